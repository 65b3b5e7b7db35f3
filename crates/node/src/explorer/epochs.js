// The epochs of the network, and how its layout changed from one to the next.
//
// Nodes keep the plans of all epochs, which say what changed and not why: a split by load and one
// that was voted for look the same in them, and the page says nothing that they do not say.

import { h, fill, keep } from "./dom.js";
import { get } from "./api.js";
import { moment, whole } from "./format.js";
import { badge, cell, failure, none, table } from "./parts.js";

const EPOCHS_SHOWN = 32;
const PAGE = 50;
const REFRESH_MS = 3000;

const CHANGE_COLUMNS = [{ label: "Epoch", number: true }, "Announced", "Change", "Addresses before", "Addresses after"];
const EPOCH_COLUMNS = [{ label: "Epoch", number: true }, "Announced", "What changed", { label: "Shards", number: true }, { label: "Validators", number: true }, "Committees"];

/** A split or a merge in words. */
export function changeText(change) {
  return change.kind === "split" ? `shard ${whole(change.shard)} split in two: shards ${whole(change.shard)} and ${whole(change.new)}` : `shards ${whole(change.into)} and ${whole(change.closed)} merged: shard ${whole(change.into)}`;
}

/** What screen readers hear when an epoch begins. */
export const turnText = ({ epoch, reshardings }) => `Epoch ${whole(epoch)} has begun${reshardings.length ? `: ${reshardings.map(changeText).join("; ")}` : ""}`;

/** Every change of the layout since the genesis, the newest first. */
export function layoutChanges(live) {
  const list = table("Changes of the layout, the newest first", CHANGE_COLUMNS, { empty: "The layout is that of the genesis: no shard has split or merged." });
  const more = h("button", { type: "button", class: "button", hidden: true }, "Show older");
  const problem = h("div");
  const known = new Map(); // epoch to the changes that it began with
  let oldest = null; // the `before` of the next older page; undefined at the end
  const load = async (before) => {
    try {
      const { epochs, next } = await get(`/v1/epochs?resharded=true&limit=${PAGE}${before === null ? "" : `&before=${before}`}`);
      for (const one of epochs) known.set(one.epoch, one);
      if (before !== null || oldest === null) oldest = next ?? undefined;
      if (problem.dataset.before === String(before)) fill(problem);
    } catch (error) {
      // What is asked for again by itself is not missed while something of it is shown.
      if (before !== null || !known.size) {
        problem.dataset.before = String(before);
        fill(problem, failure(error, () => load(before)));
      }
    }
    more.hidden = oldest === undefined || oldest === null;
    show();
  };
  const show = () => {
    const newest = [...known.values()].sort((a, b) => b.epoch - a.epoch);
    const rows = newest.flatMap((one) => one.reshardings.map((change, index) => ({ ...one, change, index })));
    // Once an announced epoch begins, its row says so.
    const key = (row) => `${row.epoch}:${row.index}:${isAhead(row, live)}`;
    keep(list.body, rows, key, (row) => changeRow(row, live));
    list.done();
  };
  more.addEventListener("click", () => load(oldest));
  const dispose = follow(live, () => load(null));
  return {
    element: h("div", {}, list.element, problem, h("p", { class: "more" }, more), h("p", { class: "muted note-below" }, "Plans of epochs say what changed, not whether it was voted for or followed from the load.")),
    dispose,
  };
}

/** Loads now, when an epoch begins, and often enough that what is announced shows before it does. */
function follow(live, load) {
  let at = -Infinity;
  const now = () => {
    at = performance.now();
    load();
  };
  now();
  const offs = [live.on("shards", () => performance.now() - at > REFRESH_MS && now()), live.on("turn", now)];
  return () => offs.forEach((off) => off());
}

/** Announced, and not begun here yet. */
const isAhead = ({ epoch }, live) => epoch > (live.network?.epoch ?? 0);

function changeRow({ epoch, announced_unix_ms: announced, change }, live) {
  const [wide, halves] = [change.prefix, halvesOf(change)];
  const one = (prefix, shard) => [h("code", {}, prefix), ` shard ${whole(shard)}`];
  const isSplit = change.kind === "split";
  const kept = isSplit ? change.shard : change.into;
  const both = halves ? [one(halves[0], kept), h("br"), one(halves[1], isSplit ? change.new : change.closed)] : none();
  const whole_ = wide ? one(wide, kept) : none();
  return h("tr", { "data-change": epoch }, h("th", { scope: "row", class: "number" }, whole(epoch)), cell([moment(announced), isAhead({ epoch }, live) ? [h("br"), badge("wait", "about to begin")] : null]),
    cell(isSplit ? badge("fork", "split") : badge("join", "merge")), cell(isSplit ? whole_ : both), cell(isSplit ? both : whole_));
}

/** What a prefix is divided into. */
function halvesOf({ prefix }) {
  if (!prefix) return null;
  const bits = prefix.replace("*", "");
  return [`${bits}0*`, `${bits}1*`];
}

/** The last epochs; who served is known of those that began while the page was open. */
export function epochTable(live) {
  const list = table("Epochs, the newest first", EPOCH_COLUMNS);
  let planned = [];
  let isAll = false; // whether the first of them follows that of the genesis
  const show = () => {
    const seen = new Map(live.epochs.map((one) => [one.epoch, one]));
    const rows = new Map(planned.map((one) => [one.epoch, { ...one, seen: seen.get(one.epoch) }]));
    for (const [epoch, one] of seen) if (!rows.has(epoch)) rows.set(epoch, { epoch, seen: one, reshardings: one.reshardings, announced_unix_ms: one.began });
    if (isAll && !rows.has(0)) rows.set(0, { epoch: 0, reshardings: [] });
    const newest = [...rows.values()].sort((a, b) => b.epoch - a.epoch).slice(0, EPOCHS_SHOWN);
    keep(list.body, newest, (one) => `${one.epoch}:${isAhead(one, live)}:${Boolean(one.seen)}:${one.validators}`, (one) => epochRow(one, live));
    list.done();
  };
  const load = async () => {
    try {
      const { epochs, next } = await get(`/v1/epochs?limit=${EPOCHS_SHOWN}`);
      planned = epochs;
      isAll = next === null;
    } catch {
      // Those that were seen are shown all the same.
    }
    show();
  };
  show();
  return { element: list.element, dispose: follow(live, load) };
}

function epochRow({ epoch, announced_unix_ms: announced, shards, validators, reshardings, seen }, live) {
  const changes = reshardings.map(changeText);
  const committees = seen?.committees.map(({ shard, names }) => `${whole(shard)}: ${names.join(", ")}`);
  return h("tr", { "data-epoch": String(epoch) }, h("th", { scope: "row", class: "number" }, whole(epoch)), cell(epoch && announced ? moment(announced).slice(0, 19) : "at genesis"),
    cell(isAhead({ epoch }, live) ? badge("wait", "about to begin") : changes.length ? changes.join("; ") : epoch ? "committees drawn anew" : none()),
    cell(shards ? whole(shards) : whole(seen?.committees.length), "number"), cell(whole(validators), "number"),
    cell(committees ? h("ul", { class: "lines" }, committees.map((one) => h("li", {}, one))) : h("span", { class: "muted" }, "before this page was opened")));
}
