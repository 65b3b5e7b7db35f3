// The DAG's page, and the feed that keeps the model of the live DAG filled.

import { announce, h, fill, keep, say } from "./dom.js";
import { get, pathIn } from "./api.js";
import { sentence, whole } from "./format.js";
import { DagModel } from "./dag-model.js";
import { DagView, stateText } from "./dag-view.js";
import { heading, legend, shardIn, stationName, suffix } from "./parts.js";

const FETCH_EVERY_MS = 350;
const FETCH_AT_LEAST_MS = 1000; // and otherwise it rests as long as the last fetch took
const FAST_ROUNDS = 8; // between two fetches: more, and the view follows what was fetched
const TABLE_ROUNDS = 24;
const TABLE_EVERY_MS = 1000;

let shared = null;

/**
 * Events in, fetches for what they do not say; one model for every view of the live DAG, and another
 * one in each epoch. A view that stands still keeps the one that it shows.
 */
export class DagFeed {
  static of(live) {
    return (shared ??= new DagFeed(live));
  }

  constructor(live) {
    this.live = live;
    this.model = new DagModel(live.status ?? {});
    this.users = new Set();
    live.on("block", ({ block }) => block && this.users.size && this.change(() => this.model.put(block)));
    live.on("executed", (event) => this.change(() => this.model.executed(event)));
    live.on("skipped", (event) => this.change(() => this.model.skipped(event)));
    live.on("gap", () => (this.stale = true));
    live.on("station", (before) => this.renew(before));
    live.on("validators", () => this.change(() => {}));
  }

  change(apply) {
    apply();
    for (const view of this.users) view.draw();
  }

  /** Another epoch, or another shard: `before` is the store as it was. */
  renew(before) {
    const ended = this.model;
    this.model = new DagModel(this.live.status);
    this.stale = true;
    this.lastNewest = undefined;
    for (const view of this.users) {
      if (view.model !== ended) continue;
      if (view.following) view.show(this.model, this.live);
      else view.live = before;
    }
  }

  /** Feeds a view until the returned function is called. */
  use(view) {
    this.users.add(view);
    view.onMove = (from, to) => {
      view.window = [from, to];
    };
    const release = this.live.needBlocks();
    this.stale = true;
    this.run();
    return () => {
      this.users.delete(view);
      release();
    };
  }

  async run() {
    if (this.running) return;
    this.running = true;
    while (this.users.size) {
      const began = performance.now();
      try {
        await this.fill();
      } catch {
        // The banner tells; try again below.
      }
      const took = performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve, document.hidden ? 4000 : Math.min(Math.max(FETCH_EVERY_MS, took), FETCH_AT_LEAST_MS)));
    }
    this.running = false;
  }

  async fill() {
    const view = [...this.users][0];
    const { model } = view;
    if (model.epoch === null && this.live.status) Object.assign(model, { shard: this.live.status.shard, epoch: this.live.status.epoch });
    const newest = Math.max(model.head, model === this.model ? this.live.status?.round ?? 0 : 0);
    if (!newest || this.live.unreachable || this.live.elsewhere) return;
    const passed = newest - (this.lastNewest ?? newest);
    this.lastNewest = newest;
    for (const one of this.users) one.fast = passed > (one.fast ? FAST_ROUNDS / 2 : FAST_ROUNDS);
    const [from, to] = view.following || !view.window ? [newest - Math.ceil(view.visible() || TABLE_ROUNDS) - 1, newest] : view.window;
    model.trim(from, to);
    // Without the stream nothing tells what was decided, so all of the window is asked for anew.
    const stale = this.stale || this.live.stream !== "open";
    this.stale = false;
    const want = stale ? { from: Math.max(1, from, to - 63), to } : model.gaps(from, to);
    if (!want) {
      model.whole = Math.max(model.whole, to);
      return;
    }
    const answer = await get(`${blocksOf(this.live, model)}&from_round=${want.from}&to_round=${want.to}`, { exact: false });
    this.change(() => {
      model.merge(answer);
      model.whole = Math.max(model.whole, want.to);
      // What the node does not have any more is not asked for again.
      for (let round = want.from; round <= Math.min(want.to, newest - 4); round += 1) {
        if (!model.rounds.has(round)) model.rounds.set(round, new Map());
      }
    });
  }
}

const blocksOf = (live, { shard, epoch }) => `${pathIn(live.several ? shard : null, "blocks")}?epoch=${epoch}`;

const asNumber = (text) => (/^\d{1,15}$/.test(text ?? "") ? Number(text) : null);

export function dagView(live, _argument, query) {
  const feed = DagFeed.of(live);
  const view = new DagView({ model: feed.model, live });
  const release = feed.use(view);
  const follow = h("button", { type: "button", class: "button", "aria-keyshortcuts": "Space", onclick: () => view.follow(!view.following) });
  const state = h("span", { class: "dag-state" });
  const mode = h("button", { type: "button", class: "button", "aria-pressed": "false" }, "Show as table");
  const jump = h("input", { id: "jump", inputmode: "numeric", size: 9, placeholder: "Round" });
  const grid = dagTable(view);
  const [sub, steps] = [h("span"), h("nav", { class: "steps", "aria-label": "Epochs", hidden: true })];
  grid.element.hidden = true;
  const stageBox = h("div", {}, view.element, legend());

  view.onFollow = () => {
    // Now is in the present epoch.
    if (view.following && view.model !== feed.model) view.show(feed.model, live);
    say(follow, view.following ? "Pause" : "Follow live");
    follow.classList.toggle("primary", !view.following);
    showWhich();
  };
  const showWhich = () => {
    const isPast = view.model.epoch !== null && view.model.epoch !== live.status?.epoch;
    const still = isPast ? `The network is in epoch ${whole(live.status.epoch)}` : "Standing still; the network goes on";
    say(state, view.following ? "Following the newest round" : still);
    const station = live.status ? stationName(view.live) : "";
    say(sub, `${station ? `Of ${station}. ` : ""}${EXPLAINED}`);
    if (live.hasEpochs && view.model.epoch !== null) showSteps(steps, view, live);
  };
  view.onFollow();
  mode.addEventListener("click", () => {
    const drawing = stageBox.hidden;
    stageBox.hidden = !drawing;
    grid.element.hidden = drawing;
    mode.setAttribute("aria-pressed", String(!drawing));
    if (!drawing) grid.update(true);
  });
  const toolbar = h("div", { class: "toolbar", role: "group", "aria-label": "Move through the DAG" }, follow,
    tool("\u2190", "Older rounds", () => view.scrollBy(-view.visible() / 2)), tool("\u2192", "Newer rounds", () => view.scrollBy(view.visible() / 2)),
    tool("\u2212", "Zoom out", () => view.zoom(1 / 1.25)), tool("+", "Zoom in", () => view.zoom(1.25)),
    h("form", { class: "jump", onsubmit: (event) => jumpTo(event, jump, view) }, h("label", { class: "hidden", for: "jump" }, "Go to round"), jump, h("button", { type: "submit", class: "button" }, "Go")),
    mode, state);
  const [epoch, round] = [asNumber(query.get("epoch")), asNumber(query.get("round"))];
  const shard = shardIn(query) ?? live.status?.shard;
  const isPast = epoch !== null && live.status && !live.isOf({ shard, epoch });
  if (isPast) openPast({ shard, epoch, round }, view, live, showWhich);
  else if (round > 0) view.goTo(round);
  const offs = [live.on("change", () => grid.update(false)), live.on("shards", showWhich), live.on("station", () => {
    showWhich();
    announce(view.following ? `The DAG is that of ${stationName(live)} now` : `${stationName(live)} has begun; the drawing stands still`);
  })];
  return {
    title: "DAG",
    element: h("div", { class: "dag-page" }, heading("DAG", sub, steps), toolbar, stageBox, grid.element, howToRead()),
    dispose() {
      for (const off of offs) off();
      release();
      view.dispose();
    },
  };
}

const EXPLAINED = "Every validator signs one block a round. Lines lead to the blocks it had seen; gold lines are votes for a leader.";

/** The way to the epochs before and after the one that is shown. */
function showSteps(steps, view, live) {
  const { shard, epoch } = view.model;
  const newest = live.status.epoch;
  const key = `${shard}:${epoch}:${newest}`;
  steps.hidden = newest === 0;
  if (steps.dataset.key === key) return;
  steps.dataset.key = key;
  const to = (other) => `#/dag${other === newest && shard === live.status.shard ? "" : `?epoch=${other}${live.several ? `&shard=${shard}` : ""}`}`;
  // A drawing that stood still while an epoch began has the address of the present one.
  const onclick = (event) => {
    if (event.currentTarget.getAttribute("href") !== location.hash) return;
    event.preventDefault();
    view.follow(true);
  };
  const step = (href, text) => h("a", { class: "button small", href, onclick }, text);
  fill(steps, epoch > 0 ? step(to(epoch - 1), `\u2190 Epoch ${whole(epoch - 1)}`) : null, epoch < newest ? step(to(epoch + 1), `Epoch ${whole(epoch + 1)} \u2192`) : null,
    epoch + 1 < newest ? step("#/dag", "Now") : null);
}

/** An epoch that is over: its last rounds, or the one asked for. */
async function openPast({ shard, epoch, round }, view, live, showWhich) {
  const model = new DagModel({ shard, epoch });
  view.follow(false);
  view.show(model, live.as({ shard, epoch }, []));
  showWhich();
  try {
    const [store, newest] = await Promise.all([live.at(shard, epoch), get(blocksOf(live, model), { exact: false })]);
    model.merge(newest);
    if (view.model !== model) return;
    view.show(model, store);
    showWhich();
    if (model.head) view.goTo(round || model.head);
    view.note(model.head ? "" : `This node holds no rounds of epoch ${whole(epoch)}.`);
  } catch (error) {
    if (view.model === model) view.note(sentence(error.message));
  }
}

const tool = (sign, label, onclick) => h("button", { type: "button", class: "button square", "aria-label": label, title: label, onclick }, sign);

function jumpTo(event, input, view) {
  event.preventDefault();
  const round = Number(input.value.trim());
  if (!Number.isSafeInteger(round) || round < 1) {
    input.setCustomValidity("A round is a whole number from 1");
    input.reportValidity();
    input.oninput = () => input.setCustomValidity("");
    return;
  }
  view.goTo(round);
}

function howToRead() {
  return h("details", { class: "how" }, h("summary", {}, "How to read it"), h("ul", {},
    h("li", {}, "A lane is a validator, the heaviest on top; a lane is as high as its weight deserves. A column is a round."),
    h("li", {}, "A block of the next round that has a leader among its parents votes for it. A block of the round after, whose parents vote with a quorum, certifies it. When a quorum certifies, the leader commits, and with it its whole history that is not committed yet."),
    h("li", {}, "The two tones of committed blocks alternate with the checkpoint that brought them in. The dotted upright line is the newest committed leader: nothing right of it is decided."),
    h("li", {}, "In a network with epochs the rounds begin again in each, with another committee. A drawing that follows goes on in the new epoch; one that stands still stays in its own."),
    h("li", {}, "Point at a block to see its history. Drag, or scroll sideways, to go back in time. With the keyboard: arrows move, Enter opens, Space pauses, + and \u2212 zoom, End goes back to now.")));
}

/** The same window as a table: a row is a round, a column a validator. */
function dagTable(view) {
  const head = h("tr");
  const body = h("tbody");
  const element = h("div", { class: "table-box dag-table", role: "region", tabindex: "0", "aria-label": "The DAG as a table" },
    h("table", {}, h("caption", { class: "hidden" }, "Rounds by validator, newest first"), h("thead", {}, head), body));
  let at = 0;
  let columns = "";
  const update = (now) => {
    if (element.hidden || (!now && performance.now() - at < TABLE_EVERY_MS)) return;
    at = performance.now();
    const { live, model } = view;
    const order = [...live.validators].sort((a, b) => b.weight - a.weight || a.index - b.index);
    const key = `${model.shard}:${model.epoch}:${order.map((one) => one.index).join()}`;
    if (key !== columns) {
      columns = key;
      fill(head, h("th", { scope: "col" }, "Round"), order.map((one) => h("th", { scope: "col" }, h("span", { class: "clip" }, one.name))));
    }
    const to = view.following ? model.head : Math.min(model.head, Math.floor(view.left + view.visible()));
    const rounds = Array.from({ length: Math.min(TABLE_ROUNDS, to) }, (_, index) => to - index);
    keep(body, rounds, (round) => `${round}:${key}`, (round) => tableRow(model, round, order, live));
  };
  return { element, update };
}

function tableRow(model, round, order, live) {
  const cells = order.map((one) => ({ author: one.index, box: h("td") }));
  const row = h("tr", {}, h("th", { scope: "row" }, whole(round)), cells.map((one) => one.box));
  row.update = () => {
    for (const { author, box } of cells) {
      const slot = model.slot(round, author);
      const text = stateText(slot);
      if (box.title === text) continue;
      box.title = text;
      const block = slot?.block;
      const kind = kindOf(slot);
      const content = [h("span", { "aria-hidden": "true", class: `sign ${kind}` }, SIGNS[kind])];
      const label = `${live.nameOf(author)}, round ${round}: ${text}`;
      fill(box, block ? h("a", { href: `#/block/${block.digest}${suffix(model.shard)}`, "aria-label": label }, content) : [content, h("span", { class: "hidden" }, text)]);
    }
  };
  return row;
}

const SIGNS = { none: "\u00b7", skip: "\u22a0", leader: "\u25c6", waiting: "\u25c7", committed: "\u25cf", pending: "\u25cb" };

function kindOf(slot) {
  if (!slot) return "none";
  if (slot.decision === "skip") return "skip";
  if (slot.leader && slot.block) return slot.decision === "commit" ? "leader" : "waiting";
  if (!slot.block) return "none";
  return slot.block.state === "committed" ? "committed" : "pending";
}
