// A window onto the DAG that follows its head, or stands where the reader moved it. It draws only
// when something changed, and drops faint edges before it drops frames.

import { h, mark, reducedMotion, say, fill, announce } from "./dom.js";
import { count, share, short } from "./format.js";
import { drawWindow, readColours } from "./dag-draw.js";

const COLUMN_PX = { min: 16, max: 96, usual: 42, compact: 34 };
const NARROW_PX = 480;
const NARROW_COLUMN_PX = 27;
const NAME_HEIGHT_PX = 13;
const USUAL_LANES = 7;
const SLOW_FRAME_MS = 9;
const CARD_EVERY_MS = 500;

export class DagView {
  /**
   * `compact`: a strip without the inspector. `fixed`: {from, to} shows these rounds and never
   * follows. `marked`: digests to highlight for good.
   */
  constructor({ model, live, compact = false, fixed = null, marked = null, onMove = () => {} }) {
    Object.assign(this, { model, live, compact, fixed, marked, onMove });
    this.column = COLUMN_PX.usual;
    this.unit = 1; // grows with the size of the text
    this.width = 0; // until the page stands
    this.height = 0;
    this.left = null; // the round at the left edge, fractional
    this.centred = null; // the round to bring into the middle with the next frame
    this.following = !fixed;
    this.cursor = null; // {round, author}, by keyboard or click
    this.hovered = null;
    this.cost = 0;
    this.sparse = false;
    this.build();
  }

  build() {
    this.canvas = h("canvas", { class: "dag-canvas", "aria-hidden": "true" });
    this.names = h("ol", { class: "dag-names", "aria-hidden": "true" });
    this.stage = h("div", {
      class: "dag-stage", tabindex: "0", role: "application", "aria-roledescription": "block graph",
      "aria-label": "Blocks by validator and round. Arrow keys move between blocks, Enter opens one, Space pauses, plus and minus zoom, Home and End go to the oldest and newest.",
      onkeydown: (event) => this.key(event), onpointermove: (event) => this.point(event),
      onpointerleave: () => this.hover(null), onclick: (event) => this.click(event), onpointerdown: (event) => this.grab(event),
      onblur: () => this.select(null), onfocus: () => this.focusIn(),
    }, this.canvas);
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.card = h("div", { class: "dag-card", "aria-hidden": "true" });
    this.spoken = h("div", { class: "hidden", role: "status", "aria-live": "polite" });
    this.notice = h("p", { class: "dag-notice empty", hidden: true });
    this.element = h("div", { class: compactClass(this.compact) }, this.names, this.stage, this.card, this.notice, this.spoken);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.stage);
    this.colourScheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => {
      this.colours = null;
      this.draw();
    };
    this.colourScheme.addEventListener("change", this.recolour);
    document.addEventListener("qcn-theme", this.recolour);
  }

  /** Why there is nothing to draw. */
  note(text) {
    say(this.notice, text);
    this.notice.hidden = !text;
  }

  /** Another DAG, with the committee that its lanes are of. */
  show(model, live) {
    this.model = model;
    this.live = live;
    this.laneKey = null;
    this.left = null;
    this.centred = null;
    this.window = null;
    this.hovered = null;
    this.cursor = null;
    this.note("");
    this.showCard();
    this.draw();
  }

  dispose() {
    this.gone = true;
    this.sizes.disconnect();
    this.colourScheme.removeEventListener("change", this.recolour);
    document.removeEventListener("qcn-theme", this.recolour);
  }

  /** Draws with the next frame. */
  draw() {
    if (this.scheduled || this.gone) return;
    this.scheduled = true;
    requestAnimationFrame((now) => this.frame(now));
  }

  resize() {
    const box = this.stage.getBoundingClientRect();
    const scale = Math.min(devicePixelRatio || 1, 2);
    this.width = Math.max(1, Math.floor(box.width));
    this.unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;
    this.laneKey = null;
    if (!this.zoomed) this.column = (this.compact ? COLUMN_PX.compact : COLUMN_PX.usual) * this.unit;
    this.height = Math.max(1, Math.floor(box.height));
    this.canvas.width = this.width * scale;
    this.canvas.height = this.height * scale;
    this.pen = this.canvas.getContext("2d");
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    if (this.width < NARROW_PX && !this.zoomed) this.column = NARROW_COLUMN_PX;
    if (this.fixed) this.column = Math.min(COLUMN_PX.max, this.width / (this.fixed.to - this.fixed.from + 1.4));
    this.draw();
  }

  /** Where the validators' lanes are: the heaviest on top, each as high as its weight deserves. */
  lanes() {
    const validators = this.live.validators;
    const top = 24 * this.unit;
    const bottom = this.height - 24 * this.unit;
    const key = `${validators.map((one) => `${one.name}${one.weight}`).join()}:${this.height}:${this.live.isolated.size}`;
    if (this.laneKey === key) return this.laid;
    this.laneKey = key;
    const total = validators.reduce((sum, one) => sum + one.weight, 0) || 1;
    const room = bottom - top;
    const even = room / Math.max(1, validators.length);
    let y = top;
    const order = [...validators].sort((a, b) => b.weight - a.weight || a.index - b.index);
    const lanes = order.map((one, index) => {
      const height = 0.6 * even + 0.4 * room * (one.weight / total);
      const lane = { index, author: one.index, name: one.name, own: one.own, top: y, height, y: y + height / 2, isolated: this.live.isolated.has(one.index), size: Math.max(2.6, Math.min(8 * this.unit, height * 0.27, this.column * 0.26)) };
      y += height;
      return lane;
    });
    this.laid = { lanes, byAuthor: new Map(lanes.map((lane) => [lane.author, lane])), top, bottom };
    this.labels(lanes);
    return this.laid;
  }

  labels(lanes) {
    // A name that would touch the one above it is left out; the lane is still named when pointed at.
    let free = -Infinity;
    const named = lanes.filter((lane) => {
      if (lane.y < free) return false;
      free = lane.y + NAME_HEIGHT_PX * this.unit;
      return true;
    });
    fill(this.names, named.map((lane) => {
      const item = h("li", { class: lane.isolated ? "isolated" : null, title: lane.name }, lane.name, lane.own ? h("b", {}, " \u2302") : null);
      item.style.top = `${lane.y}px`;
      return item;
    }));
  }

  visible() {
    return this.width / this.column;
  }

  target() {
    if (this.fixed) return this.fixed.from - 0.7;
    // Where rounds are faster than the fetches that bring parents, the newest ones have no lines yet.
    const newest = this.fast && this.model.whole ? this.model.whole : this.model.head;
    return Math.max(0, newest - this.visible() + 1.2);
  }

  frame(now) {
    this.scheduled = false;
    if (this.gone || !this.pen || !this.element.isConnected) return;
    const passed = Math.min(100, now - (this.drawnAt ?? now));
    this.drawnAt = now;
    this.moveToCentred();
    const goal = this.following || this.fixed ? this.target() : this.left ?? this.target();
    const far = this.left === null || Math.abs(goal - this.left) > this.visible();
    if (far || reducedMotion()) this.left = goal;
    else this.left += (goal - this.left) * (1 - Math.exp(-passed / 130));
    const began = performance.now();
    this.colours ??= readColours(this.element);
    const scene = this.scene();
    drawWindow(this.pen, scene, this.colours);
    this.cost = 0.9 * this.cost + 0.1 * (performance.now() - began);
    if (this.cost > SLOW_FRAME_MS) this.sparse = true;
    else if (this.cost < SLOW_FRAME_MS / 4) this.sparse = false;
    this.moveCard();
    this.publish(scene);
    this.onMove(scene.from, scene.to);
    if (Math.abs(goal - this.left) > 0.01) this.draw();
  }

  /** How far to the left is known only here, once the width is. */
  moveToCentred() {
    if (this.centred === null) return;
    this.left = Math.max(0, Math.min(this.centred, this.model.head || this.centred) - this.visible() / 2);
    this.centred = null;
  }

  moveCard() {
    const place = this.hovered ?? this.cursor;
    if (!place) return;
    if (performance.now() - this.toldAt > CARD_EVERY_MS) this.showCard();
    else this.placeCard(place);
  }

  /** Facts about the drawing for tests and for the curious, a few times a second. */
  publish(scene) {
    if (this.publishedAt && performance.now() - this.publishedAt < 250) return;
    this.publishedAt = performance.now();
    mark(this.element, "data-head", this.model.head);
    mark(this.element, "data-epoch", this.model.epoch);
    mark(this.element, "data-from", scene.from);
    mark(this.element, "data-left", this.left.toFixed(3));
    mark(this.element, "data-columns", this.visible().toFixed(1));
    mark(this.element, "data-slots", scene.slots.length);
    mark(this.element, "data-edges", (scene.edges.plain.length + scene.edges.votes.length) / 4);
    mark(this.element, "data-frame-ms", this.cost.toFixed(2));
  }

  scene() {
    const { lanes, byAuthor, top, bottom } = this.lanes();
    const x = (round) => (round - this.left) * this.column;
    const from = Math.max(1, Math.floor(this.left));
    const to = Math.min(this.model.head, Math.ceil(this.left + this.visible()));
    const shown = this.hovered ?? this.cursor;
    const centre = shown ? this.model.slot(shown.round, shown.author)?.block : null;
    const history = centre ? this.model.history(centre.digest) : this.marked;
    const scene = {
      width: this.width, height: this.height, column: this.column, lanes, top, bottom, from, to, x, slots: [], heights: [],
      edges: { plain: [], votes: [], strong: [] }, density: Math.max(1, lanes.length / USUAL_LANES),
      frontier: this.fixed ? 0 : this.model.frontier(), unit: this.unit, font: `${11 * this.unit}px ${getFont()}`, cursor: null,
    };
    for (let round = from; round <= to; round += 1) this.column_(scene, round, byAuthor, history);
    if (shown && byAuthor.has(shown.author)) {
      const lane = byAuthor.get(shown.author);
      scene.cursor = { x: x(shown.round), y: lane.y, size: lane.size };
    }
    return scene;
  }

  column_(scene, round, byAuthor, history) {
    const row = this.model.rounds.get(round);
    if (!row) return;
    const x = scene.x(round);
    for (const slot of row.values()) {
      const lane = byAuthor.get(slot.author);
      if (!lane) continue;
      const block = slot.block;
      const shape = shapeOf(slot);
      scene.slots.push({ x, y: lane.y, size: lane.size, shape, faded: history !== null && !(block && history.has(block.digest)) });
      if (slot.decision === "commit" && block?.height) scene.heights.push({ round, label: `#${block.height}` });
      if (block?.parents) this.edges(scene, block, x, lane.y, byAuthor, history);
    }
  }

  edges(scene, block, x, y, byAuthor, history) {
    const inHistory = history?.has(block.digest);
    for (const digest of block.parents) {
      const parent = this.model.byDigest.get(digest);
      const lane = parent && byAuthor.get(parent.author);
      if (!lane) continue;
      const slot = this.model.slot(parent.round, parent.author);
      const vote = slot?.leader && parent.round === block.round - 1;
      const { plain, votes, strong } = scene.edges;
      let list = vote ? votes : plain;
      if (inHistory && history.has(digest)) list = strong;
      else if (this.sparse && !vote && parent.author !== block.author) continue;
      list.push(x, y, scene.x(parent.round), lane.y);
    }
  }

  // Moving about -----------------------------------------------------------------------------

  follow(on) {
    if (this.fixed) return;
    this.following = on;
    this.centred = null;
    if (on) this.select(null);
    this.draw();
    this.onFollow?.(on);
  }

  /** Stands still with this round in the middle. */
  goTo(round) {
    this.follow(false);
    this.centred = round;
    this.draw();
  }

  zoom(factor) {
    this.zoomed = true;
    const right = this.left + this.visible();
    this.column = Math.max(COLUMN_PX.min, Math.min(COLUMN_PX.max, this.column * factor));
    this.laneKey = null;
    if (!this.following) this.left = Math.max(0, right - this.visible());
    this.draw();
  }

  scrollBy(rounds) {
    if (this.fixed) return;
    if (this.following) this.follow(false);
    this.left = Math.max(0, Math.min(this.target() + 2, (this.left ?? 0) + rounds));
    this.draw();
  }

  wheel(event) {
    if (this.fixed || this.compact) return;
    if (event.ctrlKey) {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12);
      return;
    }
    // A vertical wheel scrolls the page; sideways, or with Shift, it scrolls through rounds.
    const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
    if (!sideways) return;
    event.preventDefault();
    this.scrollBy(sideways / this.column);
  }

  grab(event) {
    this.dragged = false;
    if (this.fixed || this.compact || event.button !== 0) return;
    const start = { x: event.clientX, left: this.left };
    const move = (moved) => {
      const distance = moved.clientX - start.x;
      if (!this.dragged && Math.abs(distance) < 5) return;
      this.dragged = true;
      if (this.following) this.follow(false);
      this.left = Math.max(0, Math.min(this.target() + 2, start.left - distance / this.column));
      this.draw();
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
      removeEventListener("pointercancel", stop);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
    addEventListener("pointercancel", stop);
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    const round = Math.round((event.clientX - box.left) / this.column + this.left);
    const y = event.clientY - box.top;
    const lane = this.lanes().lanes.find((one) => y >= one.top && y < one.top + one.height);
    return lane && this.model.slot(round, lane.author) ? { round, author: lane.author } : null;
  }

  point(event) {
    if (event.pointerType !== "touch") this.hover(this.at(event));
  }

  hover(place) {
    if (place?.round === this.hovered?.round && place?.author === this.hovered?.author) return;
    this.hovered = place;
    this.stage.classList.toggle("over-block", Boolean(place && this.model.slot(place.round, place.author)?.block));
    this.showCard();
    this.draw();
  }

  click(event) {
    if (this.dragged) return;
    const place = this.at(event);
    const block = place && this.model.slot(place.round, place.author)?.block;
    if (block) location.hash = `#/block/${encodeURIComponent(block.digest)}${this.live.suffix}`;
  }

  focusIn() {
    if (!this.cursor && this.stage.matches(":focus-visible")) this.select(this.nearest(this.model.head - 3));
  }

  /** A slot with something in it, in the top-most lane of a round near the given one. */
  nearest(round) {
    const authors = this.lanes().lanes.map((lane) => lane.author);
    for (let at = Math.min(round, this.model.head); at > Math.max(0, round - 8); at -= 1) {
      const author = authors.find((one) => this.model.slot(at, one));
      if (author !== undefined) return { round: at, author };
    }
    return null;
  }

  select(place) {
    this.cursor = place;
    this.showCard();
    this.draw();
    if (place) {
      if (!this.fixed && this.following && !this.compact) this.follow_(false);
      const room = this.visible();
      if (!this.fixed && !this.following) {
        if (place.round < this.left + 1) this.left = Math.max(0, place.round - 1.5);
        if (place.round > this.left + room - 1) this.left = place.round - room + 1.5;
      }
      say(this.spoken, this.describe(place).join(", "));
    }
  }

  follow_(on) {
    this.following = on;
    this.onFollow?.(on);
  }

  key(event) {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const at = this.cursor ?? this.nearest(this.model.head - 3);
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (moves[event.key] && at) this.select(this.step(at, ...moves[event.key]));
    else if (event.key === "Home") this.select(this.nearest(Math.floor(this.left) + 1));
    else if (event.key === "End") this.follow(true);
    else if (event.key === "PageUp") this.scrollBy(-this.visible() / 2);
    else if (event.key === "PageDown") this.scrollBy(this.visible() / 2);
    else if (event.key === " ") {
      this.follow(!this.following);
      announce(this.following ? "Following the newest round" : "Paused");
    } else if (event.key === "+" || event.key === "=") this.zoom(1.2);
    else if (event.key === "-") this.zoom(1 / 1.2);
    else if (event.key === "Escape") this.select(null);
    else if (event.key === "Enter" && this.cursor) {
      const block = this.model.slot(this.cursor.round, this.cursor.author)?.block;
      if (block) location.hash = `#/block/${encodeURIComponent(block.digest)}${this.live.suffix}`;
    } else return;
    event.preventDefault();
  }

  step(at, rounds, lanes) {
    const order = this.lanes().lanes.map((lane) => lane.author);
    const lane = Math.max(0, Math.min(order.length - 1, order.indexOf(at.author) + lanes));
    const round = Math.max(1, Math.min(this.model.head, at.round + rounds));
    return { round, author: order[lane] };
  }

  // Saying what is there -----------------------------------------------------------------------

  describe({ round, author }) {
    const slot = this.model.slot(round, author);
    const facts = [`${this.live.nameOf(author)}, round ${round}`, stateText(slot)];
    const block = slot?.block;
    if (!block) return facts;
    facts.push(count(block.transactions ?? 0, "transaction"));
    if (slot.siblings) facts.push(`${slot.siblings + 1} blocks in this slot: equivocation`);
    if (block.evidence) facts.push(`carries ${count(block.evidence, "proof of misbehaviour", "proofs of misbehaviour")}`);
    if (slot.leader) {
      const { total, quorum } = this.live.reach();
      const weights = new Map(this.live.validators.map((one) => [one.index, one.weight]));
      const { votes, voteWeight, certifies, certifyWeight } = this.model.support(block, (one) => weights.get(one) ?? 0, quorum);
      facts.push(`votes: ${votes}, ${share(voteWeight, total)} of the weight`, `certified by ${certifies}, ${share(certifyWeight, total)}`);
    }
    facts.push(`hash ${short(block.digest)}`);
    return facts;
  }

  showCard() {
    const place = this.hovered ?? this.cursor;
    this.card.classList.toggle("shown", Boolean(place));
    if (!place) return;
    const [title, state, ...rest] = this.describe(place);
    fill(this.card, h("strong", {}, title), h("span", {}, state), rest.map((fact) => h("span", {}, fact)));
    this.toldAt = performance.now();
    this.placeCard(place);
  }

  /** Beside its block, also while the drawing moves. */
  placeCard(place) {
    const lane = this.lanes().byAuthor.get(place.author);
    const x = (place.round - this.left) * this.column;
    const flip = x > this.width / 2;
    const offset = this.stage.offsetLeft;
    this.card.style.left = flip ? "auto" : `${offset + x + 18}px`;
    this.card.style.right = flip ? `${this.width - x + 18}px` : "auto";
    this.card.style.top = `${Math.max(4, Math.min(this.height - 130, (lane?.y ?? 0) - 40))}px`;
  }
}

const compactClass = (compact) => (compact ? "dag compact" : "dag");

let font = null;
const getFont = () => (font ??= getComputedStyle(document.body).fontFamily);

export function shapeOf(slot) {
  const block = slot.block;
  return {
    leader: slot.leader, decision: slot.decision, empty: !block, committed: block?.state === "committed", odd: (block?.height ?? 0) % 2 === 1,
    evidence: block?.evidence > 0, twin: slot.siblings > 0,
  };
}

/** What a slot is, in words. */
export function stateText(slot) {
  if (!slot) return "no block";
  const block = slot.block;
  const held = block?.state === "committed";
  const where = held && block.height ? ` in checkpoint ${block.height}` : "";
  if (slot.decision === "skip") return block ? `skipped as leader${held ? `, block committed${where}` : ""}` : "leader slot skipped, no block";
  if (slot.leader && slot.decision === "commit") return `leader, committed${where}`;
  if (slot.leader) return block ? "leader, undecided" : "leader slot, no block yet";
  if (!block) return "no block";
  return held ? `committed${where}` : "pending";
}
