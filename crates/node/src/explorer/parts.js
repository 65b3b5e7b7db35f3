// The pieces that views are made of.

import { h, svg, fill, announce } from "./dom.js";
import { ago, moment, sentence, share, short, whole } from "./format.js";
import { drawSlot, readColours } from "./dag-draw.js";
import { ApiError, get, nodeUrl } from "./api.js";

let live = null;

/** Given once by main.js: names of validators come from it. */
export function use(store) {
  live = store;
}

export const nowMs = () => Date.now() - (live?.clockAhead ?? 0);

export function heading(title, sub = null, ...end) {
  return h("header", { class: "page-head" }, h("div", {}, h("h1", { tabindex: "-1" }, title), sub ? h("p", { class: "sub" }, sub) : null), end.length ? h("div", { class: "page-end" }, end) : null);
}

export function panel(title, attributes, ...children) {
  const id = `panel-${(panel.next = (panel.next ?? 0) + 1)}`;
  const { end, ...rest } = attributes ?? {};
  return h("section", { ...rest, class: `panel ${rest.class ?? ""}`.trim(), "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), end), children);
}

/** Label and value pairs. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));
}

/** A table with a caption for screen readers; `columns` are texts or {label, number, narrow}. */
export function table(caption, columns, { empty = "Nothing here yet." } = {}) {
  const body = h("tbody");
  const none = h("p", { class: "empty", hidden: true }, empty);
  const head = columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : column.wide ? "wide-only" : null }, column.label ?? column));
  const element = h("div", { class: "table-box" }, h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, h("tr", {}, head)), body), none);
  return {
    element,
    body,
    done() {
      none.hidden = body.childElementCount > 0;
      element.firstChild.hidden = !none.hidden;
    },
  };
}

export const cell = (content, kind = null) => h("td", { class: kind }, content);

/** The shard that a view is asked for; nothing where there is one, or where the first is meant. */
export function shardIn(query) {
  const asked = query?.get("shard") ?? "";
  return live.several && /^\d{1,5}$/.test(asked) ? Number(asked) : null;
}

const PER_SHARD = ["checkpoint", "block"]; // every other name says itself whose it is
const link = (kind, id, text, attributes, shard = null) => h("a", { href: `#/${kind}/${encodeURIComponent(id)}${PER_SHARD.includes(kind) ? suffix(shard) : ""}`, ...attributes }, text);

/** What a link has to carry, so that it means the same with every node. */
export const suffix = (shard = null) => (shard === null || shard === undefined || !live.several ? live.suffix : `?shard=${shard}`);

/** "Shard 1 (prefix 1*)", and who it is made of. */
export function shardName(shard) {
  const one = live.network?.shards.find((one) => one.shard === shard);
  return one ? `shard ${whole(shard)} (${one.prefix})` : `shard ${whole(shard)}`;
}

/** The way to the same list of the other shards, where there are several. */
export function shardSteps(kind, shown) {
  if (!live.several) return null;
  const current = shown ?? live.status?.shard;
  return h("nav", { class: "steps", "aria-label": "Shards" }, live.network.shards.map((one) => h("a", { class: "button small", href: `#/${kind}?shard=${one.shard}`, "aria-current": one.shard === current ? "page" : null, title: one.hosted ? null : "not hosted by this node" }, `Shard ${whole(one.shard)}`)));
}

/** A hash that leads somewhere, shortened to its ends. */
export const hashLink = (kind, hex, ends = 6, shard = null) => (hex ? link(kind, hex, short(hex, ends), { class: "hash", title: hex }, shard) : none());
export const heightLink = (height, shard = null) => (height === null || height === undefined ? none() : link("checkpoint", height, whole(height), { class: "height" }, shard));
export const none = () => h("span", { class: "muted" }, "\u2013");

/** A hash in full, with a button that copies it. */
export const fullHash = (hex, what) => (hex ? h("span", { class: "full-hash" }, h("code", {}, pieces(hex)), copyButton(hex, what)) : none());

/** A long value with places to break, so that its lines are equally long. */
export function pieces(hex) {
  const parts = String(hex).match(/.{1,32}/g) ?? [];
  return parts.map((part, index) => (index ? [h("wbr"), part] : part));
}

export function copyButton(text, what) {
  const button = h("button", {
    type: "button", class: "copy", "aria-label": `Copy ${what}`, title: `Copy ${what}`,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.classList.add("done");
        announce(`Copied ${what}`);
        setTimeout(() => button.classList.remove("done"), 1500);
      } catch {
        announce("The browser does not allow copying here");
      }
    },
  }, svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    svg("path", { class: "sheets", d: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" }), svg("path", { class: "tick", d: "M3 8.5l3.5 3.5L13 4.5" })));
  return button;
}

/** A validator's page is about the present committee of the first shard; in others it has a name. */
export const validatorLink = (index, store = live) => (store === live ? link("validator", index, live.nameOf(index), { class: "name" }) : h("span", { class: "name" }, store.nameOf(index)));

/** Whether evidence is about the present committee. */
export const isPresent = (evidence, { status }) => evidence.epoch === undefined || evidence.epoch === status?.epoch;

/** The accused has the name of its epoch: its place is another validator's in the next one. */
export const accusedLink = (one, store) => (isPresent(one, store) ? validatorLink(one.accused) : h("span", { class: "name" }, one.name, h("span", { class: "muted" }, ` in epoch ${whole(one.epoch)}`)));

/** "shard 1 (1*), epoch 3", as far as there are several of each. */
export function stationName({ status }) {
  if (!status) return "";
  const parts = [live.several && shardName(status.shard), live.hasEpochs && `epoch ${whole(status.epoch)}`];
  return parts.filter(Boolean).join(", ");
}

/** How long ago, kept current by main.js; the moment itself is in the title. */
export function since(unixMs) {
  if (!unixMs) return none();
  return h("time", { datetime: new Date(Number(unixMs)).toISOString(), "data-at": unixMs, title: moment(unixMs) }, ago(unixMs, nowMs()));
}

export function tick() {
  for (const element of document.querySelectorAll("time[data-at]")) {
    const text = ago(Number(element.dataset.at), nowMs());
    if (element.textContent !== text) element.textContent = text;
  }
}

const SIGNS = { good: "\u25cf", wait: "\u25cb", bad: "\u2715", warn: "\u25b2", off: "\u2013" };

/** A state in words with a sign of its own; colour only repeats it. */
export const badge = (kind, text) => h("span", { class: `badge ${kind}` }, h("span", { "aria-hidden": "true" }, SIGNS[kind] ?? ""), text);

export function outcomeBadge(outcome) {
  if (!outcome) return badge("wait", "pending");
  if (outcome.result === "applied") return badge("good", "applied");
  if (outcome.result === "sent") return badge("out", "sent");
  return badge(outcome.result === "failed" ? "bad" : "warn", outcome.result);
}

export const certifiedBadge = (certified) => (certified ? badge("good", "final") : badge("wait", "executed"));

/** Weight present against the quorum it takes. */
export function weightBar(weight, total, quorum, label) {
  const part = total > 0 ? Math.min(100, (100 * weight) / total) : 0;
  const need = total > 0 && quorum ? (100 * quorum) / total : null;
  const filled = h("span", { class: "filled" });
  filled.style.width = `${part}%`;
  const mark = need === null ? null : h("span", { class: "quorum", title: `quorum: ${share(quorum, total)}` });
  if (mark) mark.style.left = `${need}%`;
  return h("div", { class: `bar ${quorum && weight < quorum ? "short" : ""}`, role: "img", "aria-label": label }, filled, mark);
}

const SPARK_POINTS = 30;

/** A small plot of the last values; `label` says them in words. */
export function sparkline(values, label, { width = 132, height = 30 } = {}) {
  const top = Math.max(...values, 1e-9);
  // A short series stands at the right, where the newest value belongs.
  const step = width / (Math.max(values.length, SPARK_POINTS) - 1);
  const start = width - step * (values.length - 1);
  const points = values.map((value, index) => `${(start + index * step).toFixed(1)},${(height - 2 - (height - 5) * (value / top)).toFixed(1)}`);
  const line = points.length ? `M${points.join("L")}` : "";
  const area = points.length ? `${line}L${width},${height}L${start.toFixed(1)},${height}Z` : "";
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("path", { class: "area", d: area }), svg("path", { class: "line", d: line }));
}

const LEGEND = [
  ["Committed block", { committed: true }],
  ["Pending block", {}],
  ["Leader, committed", { leader: true, committed: true, decision: "commit" }],
  ["Leader skipped", { decision: "skip", leader: true, committed: true }],
  ["Carries evidence", { committed: true, evidence: true }],
  ["Two blocks in a slot", { committed: true, twin: true }],
];

/** What the shapes mean, drawn with the code that draws the DAG. */
export function legend() {
  const list = h("ul", { class: "legend", "aria-label": "Legend" });
  const draw = () => {
    const colours = readColours(document.documentElement);
    fill(list, LEGEND.map(([text, shape]) => {
      const canvas = h("canvas", { width: 48, height: 48, "aria-hidden": "true" });
      const pen = canvas.getContext("2d");
      pen.scale(2, 2);
      drawSlot(pen, colours, shape, 12, 13, 6);
      return h("li", {}, canvas, text);
    }), h("li", {}, h("span", { class: "legend-vote", "aria-hidden": "true" }), "Vote for a leader"));
  };
  requestAnimationFrame(draw);
  document.addEventListener("qcn-theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return list;
}

/** What went wrong, what to do about it, and a way to try again. */
export function failure(error, again) {
  const told = error instanceof ApiError ? error : new ApiError(0, "page", String(error?.message ?? error), "Reload the page.");
  const title = told.status === 404 ? "Not found" : told.misdirected ? "Another node has it" : told.unreachable ? "The node does not answer" : "That did not work";
  return h("div", { class: "failure", role: "alert" }, h("h2", {}, title), h("p", {}, sentence(told.message)), told.remedy ? h("p", { class: "muted" }, sentence(told.remedy)) : null,
    again ? h("button", { type: "button", class: "button", onclick: again }, "Try again") : null);
}

/** The proof as a file, and the commands that check it without trusting this node. */
export function proofPanel(url, file, shows) {
  const commands = [`curl -o ${file} ${nodeUrl()}${url}`, `qcn light verify ${file} --genesis genesis.json`];
  return panel("Prove it to anyone", {},
    h("p", {}, `The proof shows ${shows}. It is checked offline against the genesis file, not against this node.`),
    h("p", { class: "actions" }, h("a", { class: "button primary", href: url, download: file }, "Download the proof"), h("a", { class: "button", href: "/v1/genesis", download: "genesis.json" }, "Genesis file")),
    commands.map((command, index) => h("div", { class: "command" }, h("code", {}, command), copyButton(command, index ? "the command that verifies" : "the command that downloads"))));
}

/**
 * A view that is loaded: `load(signal)` asks, `render(answer)` gives nodes. `reload()` asks again
 * and keeps what is shown until the answer is there.
 */
export function loaded(title, load, render) {
  const element = h("div", {}, heading(title), h("p", { class: "loading", role: "status" }, "Asking the node\u2026"));
  let controller = null;
  let shown = false;
  let off = () => {};
  const reload = async () => {
    off();
    controller?.abort();
    controller = new AbortController();
    const { signal } = controller;
    try {
      const answer = await load(signal);
      if (signal.aborted) return;
      const hadFocus = element.contains(document.activeElement) && document.activeElement.tagName === "H1";
      fill(element, render(answer));
      shown = true;
      if (hadFocus) element.querySelector("h1")?.focus({ preventScroll: true });
    } catch (error) {
      if (signal.aborted) return;
      if (!shown || !error.unreachable) fill(element, heading(title), failure(error, reload));
      if (error.unreachable) off = live.on("gap", reload);
    }
  };
  reload();
  return { title, element, reload, dispose: () => (off(), controller?.abort()) };
}

/** Who served in the epochs of these checkpoints, so that leaders have the names they had then. */
export async function committeesOf(checkpoints, shard) {
  const epochs = [...new Set(checkpoints.map((one) => one.epoch))];
  return new Map(await Promise.all(epochs.map(async (epoch) => [epoch, await live.at(shard, epoch)])));
}

const PAGE = 50;

/**
 * A list that grows on demand, newest first. The answer's `next` is the cursor where it has one,
 * because a height may be cut in two by a page; otherwise it is the last height. What `prepare(rows)`
 * promises is given to each row.
 */
export function paged(parts, address, name, makeRow, prepare = () => null) {
  const more = h("button", { type: "button", class: "button", hidden: true }, "Show older");
  const problem = h("div");
  let before = null;
  const load = async () => {
    more.disabled = true;
    try {
      const answer = await get(`${address}?limit=${PAGE}${before === null ? "" : `&before=${encodeURIComponent(before)}`}`);
      const rows = answer[name] ?? [];
      const prepared = await prepare(rows);
      fill(problem);
      parts.element.hidden = false;
      parts.body.append(...rows.map((row) => makeRow(row, prepared)));
      before = answer.next ?? rows.at(-1)?.height ?? null;
      more.hidden = rows.length < PAGE || answer.next === null;
      parts.done();
    } catch (error) {
      // A list that could not be had is not an empty one.
      parts.element.hidden = !parts.body.childElementCount;
      fill(problem, failure(error, load));
    }
    more.disabled = false;
  };
  more.addEventListener("click", load);
  load();
  return h("div", {}, parts.element, problem, h("p", { class: "more" }, more));
}
