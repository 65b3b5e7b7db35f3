// The DAG's page, and the feed that keeps the model of the live DAG filled.

import { h, fill, keep, say } from "./dom.js";
import { get } from "./api.js";
import { whole } from "./format.js";
import { DagModel } from "./dag-model.js";
import { DagView, stateText } from "./dag-view.js";
import { heading, legend, shardName, suffix, validatorName } from "./parts.js";

const FETCH_EVERY_MS = 350;
const FETCH_AT_LEAST_MS = 1000; // and otherwise it rests as long as the last fetch took
const FAST_ROUNDS = 8; // between two fetches: more, and the view follows what was fetched
const TABLE_ROUNDS = 24;
const TABLE_EVERY_MS = 1000;

let shared = null;

/** Events in, fetches for what they do not say; one model for every view of the live DAG. */
export class DagFeed {
  static of(live) {
    return (shared ??= new DagFeed(live));
  }

  constructor(live) {
    this.live = live;
    this.model = new DagModel();
    this.users = new Set();
    live.on("block", ({ block }) => block && this.users.size && this.change(() => this.model.put(block)));
    live.on("executed", (event) => this.change(() => this.model.executed(event)));
    live.on("skipped", (event) => this.change(() => this.model.skipped(event)));
    live.on("gap", () => (this.stale = true));
    live.on("validators", () => this.change(() => {}));
  }

  change(apply) {
    apply();
    for (const view of this.users) view.draw();
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
    const newest = Math.max(this.model.head, this.live.status?.round ?? 0);
    if (!newest || this.live.unreachable) return;
    const passed = newest - (this.lastNewest ?? newest);
    this.lastNewest = newest;
    for (const one of this.users) one.fast = passed > (one.fast ? FAST_ROUNDS / 2 : FAST_ROUNDS);
    const [from, to] = view.following || !view.window ? [newest - Math.ceil(view.visible() || TABLE_ROUNDS) - 1, newest] : view.window;
    this.model.trim(from, to);
    // Without the stream nothing tells what was decided, so all of the window is asked for anew.
    const stale = this.stale || this.live.stream !== "open";
    this.stale = false;
    const want = stale ? { from: Math.max(1, from, to - 63), to } : this.model.gaps(from, to);
    if (!want) {
      this.model.whole = Math.max(this.model.whole, to);
      return;
    }
    const answer = await get(`/v1/blocks?from_round=${want.from}&to_round=${want.to}`, { exact: false });
    this.change(() => {
      this.model.merge(answer);
      this.model.whole = Math.max(this.model.whole, want.to);
      // What the node does not have any more is not asked for again.
      for (let round = want.from; round <= Math.min(want.to, newest - 4); round += 1) {
        if (!this.model.rounds.has(round)) this.model.rounds.set(round, new Map());
      }
    });
  }
}

export function dagView(live, _argument, query) {
  const feed = DagFeed.of(live);
  const view = new DagView({ model: feed.model, live });
  const release = feed.use(view);
  const follow = h("button", { type: "button", class: "button", "aria-keyshortcuts": "Space", onclick: () => view.follow(!view.following) });
  const state = h("span", { class: "dag-state" });
  const mode = h("button", { type: "button", class: "button", "aria-pressed": "false" }, "Show as table");
  const jump = h("input", { id: "jump", inputmode: "numeric", size: 9, placeholder: "Round" });
  const grid = dagTable(live, feed.model, view);
  grid.element.hidden = true;
  const stageBox = h("div", {}, view.element, legend());

  view.onFollow = () => {
    say(follow, view.following ? "Pause" : "Follow live");
    follow.classList.toggle("primary", !view.following);
    say(state, view.following ? "Following the newest round" : "Standing still; the network goes on");
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
  const asked = Number(query.get("round"));
  if (Number.isSafeInteger(asked) && asked > 0) goTo(asked, view);
  const offs = [live.on("change", () => grid.update(false))];
  return {
    title: "DAG",
    element: h("div", { class: "dag-page" }, heading("DAG", `${live.several ? `Of ${shardName(live.status?.shard)}. ` : ""}Every validator signs one block a round. Lines lead to the blocks it had seen; gold lines are votes for a leader.`), toolbar, stageBox, grid.element, howToRead()),
    dispose() {
      for (const off of offs) off();
      release();
      view.dispose();
    },
  };
}

const tool = (sign, label, onclick) => h("button", { type: "button", class: "button square", "aria-label": label, title: label, onclick }, sign);

function goTo(round, view) {
  view.follow(false);
  view.draw();
  // The width is known only once the page stands.
  requestAnimationFrame(() => {
    view.left = Math.max(0, Math.min(round, view.model.head || round) - view.visible() / 2);
    view.draw();
  });
}

function jumpTo(event, input, view) {
  event.preventDefault();
  const round = Number(input.value.trim());
  if (!Number.isSafeInteger(round) || round < 1) {
    input.setCustomValidity("A round is a whole number from 1");
    input.reportValidity();
    input.oninput = () => input.setCustomValidity("");
    return;
  }
  goTo(round, view);
}

function howToRead() {
  return h("details", { class: "how" }, h("summary", {}, "How to read it"), h("ul", {},
    h("li", {}, "A lane is a validator, the heaviest on top; a lane is as high as its weight deserves. A column is a round."),
    h("li", {}, "A block of the next round that has a leader among its parents votes for it. A block of the round after, whose parents vote with a quorum, certifies it. When a quorum certifies, the leader commits, and with it its whole history that is not committed yet."),
    h("li", {}, "The two tones of committed blocks alternate with the checkpoint that brought them in. The dotted upright line is the newest committed leader: nothing right of it is decided."),
    h("li", {}, "Point at a block to see its history. Drag, or scroll sideways, to go back in time. With the keyboard: arrows move, Enter opens, Space pauses, + and \u2212 zoom, End goes back to now.")));
}

/** The same window as a table: a row is a round, a column a validator. */
function dagTable(live, model, view) {
  const head = h("tr");
  const body = h("tbody");
  const element = h("div", { class: "table-box dag-table", role: "region", tabindex: "0", "aria-label": "The DAG as a table" },
    h("table", {}, h("caption", { class: "hidden" }, "Rounds by validator, newest first"), h("thead", {}, head), body));
  let at = 0;
  let columns = "";
  const update = (now) => {
    if (element.hidden || (!now && performance.now() - at < TABLE_EVERY_MS)) return;
    at = performance.now();
    const order = [...live.validators].sort((a, b) => b.weight - a.weight || a.index - b.index);
    const key = order.map((one) => one.index).join();
    if (key !== columns) {
      columns = key;
      fill(head, h("th", { scope: "col" }, "Round"), order.map((one) => h("th", { scope: "col" }, h("span", { class: "clip" }, one.name))));
    }
    const to = view.following ? model.head : Math.min(model.head, Math.floor(view.left + view.visible()));
    const rounds = Array.from({ length: Math.min(TABLE_ROUNDS, to) }, (_, index) => to - index);
    keep(body, rounds, (round) => `${round}:${key}`, (round) => tableRow(model, round, order));
  };
  return { element, update };
}

function tableRow(model, round, order) {
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
      const label = `${validatorName(author)}, round ${round}: ${text}`;
      fill(box, block ? h("a", { href: `#/block/${block.digest}${suffix()}`, "aria-label": label }, content) : [content, h("span", { class: "hidden" }, text)]);
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
