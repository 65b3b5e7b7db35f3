// The shards as a map: a card for each, an arrow for each lane, and a dot for what arrives.
//
// The map is a picture of the tables under it and says nothing that they do not say, so it is one
// image to screen readers. It is laid out anew when its width or the shards change, and otherwise
// only its texts are. Where shards have split or merged the cards move there (shard-turn.js).

import { h, fill, mark, reducedMotion, say, svg } from "./dom.js";
import { changeText } from "./epochs.js";
import { count, decimal, share, whole } from "./format.js";
import { changeOf, nearestOrder, turn } from "./shard-turn.js";

const MAX_DRAWN = 12; // more shards are in the table only
const MAX_LABELLED = 4; // with more shards, or no room, a lane is labelled only while something is on its way
const MAX_DOTS_OF_LANE = 24;
const MAX_DOTS = 240;
const SPREAD_MS = 900; // what arrived between two polls sets out over this time
const TRAVEL_MS = 1100;
const LINES = 5;
const SLANTED = 0.25; // a lane's label stands beside it, unless it is flatter than this

// In units of the page's letter size.
const CARD = { width: 17, height: 8.6, pad: 0.8, line: 1.45 };
const APART = { x: 9, y: 3.6 };
const BULGE = 2.1;
const LABELS = 3.2;
const CHARACTER = 0.47;

export class ShardMap {
  constructor() {
    this.lanesBox = svg("g");
    this.dotsBox = svg("g", { class: "dots" });
    this.cardsBox = svg("g");
    this.ghostsBox = svg("g"); // what has merged into another, until it is there
    this.drawing = svg("svg", { role: "img", class: "shard-map" }, this.lanesBox, this.dotsBox, this.ghostsBox, this.cardsBox);
    this.element = h("div", { class: "shard-map-box" }, this.drawing);
    this.network = null;
    this.arrived = new Map(); // lane to the receipts that had arrived at the last poll
    this.dots = [];
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
  }

  dispose() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  show(network) {
    this.network = network;
    this.draw();
    for (const lane of network.lanes) this.follow(lane);
  }

  draw() {
    const width = this.element.clientWidth;
    if (!this.network || !width) return;
    const shards = this.network.shards.slice(0, MAX_DRAWN);
    const layout = shards.map((one) => `${one.shard}:${one.prefix}`).join();
    const key = `${width}:${layout}`;
    if (key !== this.key) {
      const before = this.layout && this.layout !== layout ? this.drawn : null;
      if (layout !== this.layout) this.order = null;
      Object.assign(this, { key, layout });
      this.layOut(shards, width, before);
      if (before) this.turn(before);
    }
    const lanes = this.network.lanes.map(nameOf).join();
    if (lanes !== this.lanesKey) {
      this.lanesKey = lanes;
      this.lanes = new Map();
      fill(this.lanesBox, this.network.lanes.map((lane) => this.makeLane(lane, shards.length)));
    }
    for (const one of shards) this.showCard(one);
    for (const lane of this.network.lanes) this.showLane(lane);
    mark(this.drawing, "aria-label", summary(this.network));
  }

  layOut(shards, width, before) {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const { places, height, labelled, ring } = placesOf(shards.length, width / unit);
    const scaled = places.map(({ x, y }) => ({ x: x * unit, y: y * unit }));
    if (before && ring) this.order = nearestOrder(scaled, shards, before);
    // It stays when the width changes, but for a column, which goes by prefixes.
    const place = (index) => scaled[(ring && this.order?.[index]) ?? index];
    this.resize(width, height * unit);
    this.unit = unit;
    this.labelled = labelled;
    this.places = new Map(shards.map((one, index) => [one.shard, place(index)]));
    this.cards = new Map();
    this.lanesKey = null;
    this.dots = [];
    fill(this.dotsBox);
    fill(this.ghostsBox);
    fill(this.cardsBox, shards.map((one) => this.makeCard(one)));
    this.drawn = { shards, places: this.places, cards: this.cards, width, height: height * unit };
  }

  resize(width, height) {
    mark(this.drawing, "viewBox", `0 0 ${width} ${height.toFixed(0)}`);
    mark(this.drawing, "width", width);
    mark(this.drawing, "height", height.toFixed(0));
  }

  /** From another layout to the one that is drawn. */
  turn(before) {
    const { drawn } = this;
    const done = () => {
      if (this.drawn !== drawn) return;
      fill(this.ghostsBox);
      this.resize(drawn.width, drawn.height);
    };
    this.resize(drawn.width, Math.max(before.height, drawn.height));
    turn(before, drawn, { ghosts: this.ghostsBox, lanes: [this.lanesBox, this.dotsBox], done });
    this.element.dataset.turns = Number(this.element.dataset.turns ?? 0) + 1;
  }

  makeCard(one) {
    const { unit } = this;
    const { x, y } = this.places.get(one.shard);
    const [wide, tall] = [CARD.width * unit, CARD.height * unit];
    const [left, top] = [x - wide / 2, y - tall / 2];
    const line = (index) => top + unit * (1.6 + CARD.line * index);
    const lines = Array.from({ length: LINES }, (_, index) => svg("text", { x: left + CARD.pad * unit, y: line(index), class: index ? null : "title" }));
    const prefix = svg("text", { x: left + wide - CARD.pad * unit, y: line(0), class: "prefix" }, one.prefix);
    const [name, change] = [svg("tspan"), svg("tspan", { class: "change", dx: 0.6 * unit })];
    lines[0].append(name, change);
    const tooltip = svg("title");
    const box = svg("rect", { x: left, y: top, width: wide, height: tall, rx: unit * 0.5 });
    const card = svg("g", { class: "card" }, tooltip, box, lines, prefix);
    this.cards.set(one.shard, { card, lines: [name, ...lines.slice(1)], change, title: tooltip });
    return card;
  }

  showCard(one) {
    const { card, lines, change, title } = this.cards.get(one.shard);
    const { state } = one;
    const changed = changeOf(one.shard, this.network.reshardings);
    mark(card, "class", `card ${!one.hosted ? "known" : state?.stopped ? "stopped" : "hosted"} ${changed ? "changed" : ""}`.trim());
    mark(card, "data-shard", one.shard);
    say(change, changed);
    const stands = isOpening(one) ? ["about to open here", ""] : !state ? ["not hosted by this node,", "which knows only who serves it"]
      : state.stopped ? ["stopped", clip(state.stopped, CARD.width / CHARACTER - 4)]
        : [`height ${whole(state.height)}, certified ${whole(state.certified_height)}`, `${decimal(state.transactions_per_second)} per second, ${whole(state.mempool)} waiting`];
    const texts = [`Shard ${whole(one.shard)}`, ...stands, ...namesIn(one, 2, (CARD.width - 2 * CARD.pad) / CHARACTER)];
    lines.forEach((line, index) => say(line, texts[index] ?? ""));
    say(title, committeeText(one));
  }

  makeLane(lane, shards) {
    const [from, to] = [this.places.get(lane.from), this.places.get(lane.to)];
    if (!from || !to) return null;
    const { unit } = this;
    const long = Math.hypot(to.x - from.x, to.y - from.y);
    // To the left of the way, so that the two lanes of a pair keep apart.
    const aside = { x: (to.y - from.y) / long, y: (from.x - to.x) / long };
    const bend = { x: (from.x + to.x) / 2 + aside.x * BULGE * 2 * unit, y: (from.y + to.y) / 2 + aside.y * BULGE * 2 * unit };
    const [start, end] = [edgeOf(from, bend, unit, 0.15), edgeOf(to, bend, unit, 0.55)];
    const point = (part) => bezier(start, bend, end, part);
    const label = this.makeLabel(point(shards === 2 ? 0.5 : shards === 3 ? 0.45 : 0.34), aside);
    const path = svg("path", { class: "way", d: `M${at(start)}Q${at(bend)} ${at(end)}` });
    const way = svg("g", { class: "lane" }, path, svg("path", { class: "head", d: headOf(bend, end, unit) }), label);
    this.lanes.set(nameOf(lane), { way, label, point, above: aside.y < (Math.abs(aside.x) <= SLANTED ? 0 : -SLANTED) });
    return way;
  }

  makeLabel(place, aside) {
    const { unit } = this;
    const [line, sideways] = [1.2 * unit, Math.abs(aside.x) > SLANTED];
    const x = place.x + aside.x * 0.8 * unit;
    const anchor = !sideways ? "middle" : aside.x > 0 ? "start" : "end";
    // Beside a slanted lane the whole label stands above it or below it.
    const beside = aside.y < -SLANTED ? place.y - 0.2 * unit - 2 * line : place.y + (aside.y > SLANTED ? 1.1 * unit : -0.6 * line);
    const first = sideways ? beside : aside.y < 0 ? place.y - 0.6 * unit - 2 * line : place.y + 1.5 * unit;
    return svg("text", { "text-anchor": anchor }, [0, 1, 2].map((index) => svg("tspan", { x, y: first + index * line })));
  }

  showLane(lane) {
    const known = this.lanes.get(nameOf(lane));
    if (!known) return;
    const flying = lane.in_flight ?? null;
    const used = (lane.sent?.receipts ?? lane.received?.receipts ?? 0) > 0;
    mark(known.way, "class", `lane ${used ? "used" : "unused"} ${flying ? "flying" : ""}`.trim());
    const counted = [lane.sent && `${whole(lane.sent.receipts)} sent`, lane.received && `${whole(lane.received.receipts)} received`, flying === null ? null : `${whole(flying)} in flight`].filter(Boolean);
    const texts = this.labelled ? counted : flying ? counted.slice(-1) : [];
    // The line next to the lane is never the empty one.
    const lines = [...known.label.children];
    const skipped = known.above ? lines.length - texts.length : 0;
    lines.forEach((line, index) => say(line, texts[index - skipped] ?? ""));
  }

  /** Sets a dot on its way for each receipt that arrived since the last poll, up to a bound. */
  follow(lane) {
    const name = nameOf(lane);
    const now = (lane.received ?? lane.sent)?.receipts ?? 0;
    const before = this.arrived.get(name) ?? now;
    this.arrived.set(name, now);
    if (!this.lanes?.has(name) || document.hidden || reducedMotion()) return;
    const dots = Math.min(now - before, MAX_DOTS_OF_LANE, MAX_DOTS - this.dots.length);
    for (let index = 0; index < dots; index += 1) {
      const circle = svg("circle", { r: 0.3 * this.unit, visibility: "hidden" });
      this.dotsBox.append(circle);
      this.dots.push({ circle, point: this.lanes.get(name).point, from: performance.now() + (SPREAD_MS * index) / dots });
    }
    if (dots > 0) this.element.dataset.dots = Number(this.element.dataset.dots ?? 0) + dots;
    if (this.dots.length) this.move();
  }

  move() {
    cancelAnimationFrame(this.frame);
    const now = performance.now();
    this.dots = this.dots.filter(({ circle, point, from }) => {
      const part = (now - from) / TRAVEL_MS;
      if (part >= 1) circle.remove();
      if (part < 0 || part >= 1) return part < 0;
      const { x, y } = point(part);
      mark(circle, "visibility", "visible");
      mark(circle, "cx", x.toFixed(1));
      mark(circle, "cy", y.toFixed(1));
      return true;
    });
    if (this.dots.length) this.frame = requestAnimationFrame(() => this.move());
  }
}

/** This node has a seat in it, and its instance has yet to begin. */
export const isOpening = (one) => !one.hosted && one.committee.some((seat) => seat.own);

export const nameOf = (lane) => `${lane.from}:${lane.to}`;

/** Who serves a shard, each with its weight, in words. */
export const committeeText = (one) => one.committee.map((seat) => `${seat.name} ${whole(seat.weight)}`).join(", ");

/** Where the cards' middles are, in units of a letter: on a ring, or one under another where it is narrow. */
function placesOf(number, width) {
  if (width < 2 * CARD.width + APART.x + 2) {
    const step = CARD.height + (number === 2 ? 6 : APART.y + 1);
    const middles = Array.from({ length: number }, (_, index) => ({ x: width / 2, y: 0.5 + CARD.height / 2 + index * step }));
    return { places: middles, height: middles.at(-1).y + CARD.height / 2 + 0.5, labelled: number === 2 };
  }
  const across = Math.min((width - CARD.width) / 2 - 0.5, number === 2 ? 20 : 42);
  const start = { 2: Math.PI, 4: (-3 * Math.PI) / 4 }[number] ?? -Math.PI / 2;
  const angles = Array.from({ length: number }, (_, index) => start + (2 * Math.PI * index) / number);
  const ring = (tall) => angles.map((angle) => ({ x: width / 2 + across * Math.cos(angle), y: tall * Math.sin(angle) }));
  let tall = number === 2 ? 0 : 1.5 * CARD.height;
  while (tall < number * CARD.height && overlaps(ring(tall))) tall += 1;
  const ys = ring(tall).map((one) => one.y);
  // Cards side by side leave room for the labels above and below the lanes between them.
  const [over, under] = number > MAX_LABELLED ? [1, 1] : [number === 3 ? 1 : LABELS, LABELS];
  const [top, bottom] = [Math.min(...ys) - CARD.height / 2 - over, Math.max(...ys) + CARD.height / 2 + under];
  return { places: ring(tall).map(({ x, y }) => ({ x, y: y - top })), height: bottom - top, labelled: number <= MAX_LABELLED, ring: true };
}

function overlaps(places) {
  return places.some((one, index) => places.slice(index + 1).some((other) => Math.abs(one.x - other.x) < CARD.width + APART.x && Math.abs(one.y - other.y) < CARD.height + APART.y));
}

/** Where the way from a card's middle to a point leaves the card, and a little further. */
function edgeOf(middle, towards, unit, gap) {
  const [x, y] = [towards.x - middle.x, towards.y - middle.y];
  const part = Math.min((CARD.width / 2 + gap) * unit / Math.max(Math.abs(x), 1e-6), (CARD.height / 2 + gap) * unit / Math.max(Math.abs(y), 1e-6));
  return { x: middle.x + x * part, y: middle.y + y * part };
}

function bezier(start, bend, end, part) {
  const rest = 1 - part;
  const mix = (axis) => rest * rest * start[axis] + 2 * rest * part * bend[axis] + part * part * end[axis];
  return { x: mix("x"), y: mix("y") };
}

/** An arrow's head at the end of a way. */
function headOf(bend, end, unit) {
  const long = Math.hypot(end.x - bend.x, end.y - bend.y) || 1;
  const [x, y] = [((end.x - bend.x) / long) * unit, ((end.y - bend.y) / long) * unit];
  const tip = { x: end.x + 0.4 * x, y: end.y + 0.4 * y };
  const corner = (side) => ({ x: end.x - 0.45 * x - side * 0.36 * y, y: end.y - 0.45 * y + side * 0.36 * x });
  return `M${at(tip)}L${at(corner(1))}L${at(corner(-1))}Z`;
}

const at = ({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`;

const clip = (text, characters) => (text.length > characters ? `${text.slice(0, Math.max(1, Math.floor(characters) - 1))}\u2026` : text);

/** The committee in so many lines: names with their shares of the weight, and how many there are besides. */
function namesIn(one, lines, characters) {
  const texts = [""];
  for (const [index, seat] of one.committee.entries()) {
    const left = one.committee.length - index - 1;
    const word = `${clip(seat.name, characters / 2)} ${share(seat.weight, one.total_weight)}`;
    const more = left ? ` and ${whole(left + 1)} more`.length : 0;
    const isLast = texts.length === lines;
    const joined = texts.at(-1) ? `${texts.at(-1)}, ${word}` : word;
    if (joined.length + (isLast ? more : 1) <= characters) texts[texts.length - 1] = joined;
    else if (isLast) return [...texts.slice(0, -1), `${texts.at(-1)} and ${whole(left + 1)} more`];
    else {
      texts[texts.length - 1] += ",";
      texts.push(word);
    }
  }
  return texts;
}

function summary({ shards, lanes, reshardings }) {
  const drawn = Math.min(shards.length, MAX_DRAWN);
  const flying = lanes.reduce((sum, lane) => sum + (lane.in_flight ?? 0), 0);
  const hosted = shards.filter((one) => one.hosted).length;
  return `Map of ${drawn < shards.length ? `the first ${drawn} of ` : ""}${count(shards.length, "shard")}, ${whole(hosted)} hosted by this node, and ${count(lanes.length, "lane")} between them with ${count(flying, "receipt")} in flight.${reshardings.length ? ` With this epoch ${reshardings.map(changeText).join(", ")}.` : ""} The tables below say the same.`;
}
