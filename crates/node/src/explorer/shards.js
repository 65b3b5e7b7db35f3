// The shards of the network: the map, and the same in tables.

import { announce, h, fill, keep, say } from "./dom.js";
import { count, decimal, share, whole } from "./format.js";
import { epochTable, layoutChanges } from "./epochs.js";
import { badge, cell, facts, heading, heightLink, none, panel, table } from "./parts.js";
import { committeeText, isOpening, nameOf, ShardMap } from "./shard-map.js";

const SHARD_COLUMNS = ["Shard", "Prefix", "Here", { label: "Height", number: true }, { label: "Certified", number: true }, { label: "Per second", number: true }, { label: "Waiting", number: true }, { label: "Quorum", number: true }, "Committee and weights"];
const LANE_COLUMNS = ["From", "To", { label: "Sent", number: true }, { label: "Received", number: true }, { label: "In flight", number: true }, { label: "Acknowledged", number: true }, { label: "Moved", number: true }];

export function shardsView(live) {
  const map = new ShardMap();
  const shards = table("Shards, in the order of their prefixes", SHARD_COLUMNS);
  const lanes = table("Lanes between shards, by receipts", LANE_COLUMNS, { empty: "This node hosts neither end of any lane." });
  const [changes, epochs] = [layoutChanges(live), epochTable(live)];
  const supply = h("div");
  const sub = h("span");
  const stopped = new Set();
  const update = () => {
    const { network } = live;
    const hosted = network.shards.filter((one) => one.hosted).length;
    say(sub, `${live.hasEpochs ? `Epoch ${whole(network.epoch)}. ` : ""}${count(network.shards.length, "chain")}, each with a committee of its own. This node hosts ${hostedInWords(hosted, network.shards.length)}.`);
    map.show(network);
    // In another epoch it has another committee, and maybe other addresses.
    keep(shards.body, network.shards, (one) => `${one.shard}:${one.epoch}:${one.prefix}:${one.hosted}`, shardRow);
    keep(lanes.body, network.lanes, nameOf, laneRow);
    shards.done();
    lanes.done();
    fill(supply, supplyFacts(network.supply, hosted));
    tellStopped(network, stopped);
  };
  const offs = [live.needShards(), live.on("shards", update), live.on("gap", () => live.pollShards())];
  update();
  return {
    title: "Shards",
    element: h("div", { class: "shards-page" }, heading("Shards", sub),
      panel("Map", {}, map.element, legend()),
      panel("Shards", { class: "tight" }, shards.element),
      panel("Lanes", { class: "tight" }, lanes.element),
      panel("Changes of the layout", { class: "tight" }, changes.element),
      panel("Epochs", { class: "tight" }, epochs.element),
      panel("Where the units are", {}, supply)),
    dispose() {
      for (const off of offs) off();
      map.dispose();
      changes.dispose();
      epochs.dispose();
    },
  };
}

function hostedInWords(hosted, all) {
  if (hosted === all) return "all of them";
  return hosted ? `${whole(hosted)}, and knows of the others only who serves them` : "none of them, and knows only who serves them";
}

/** Screen readers hear once that a shard of this node stopped. */
function tellStopped({ shards }, told) {
  for (const one of shards) {
    if (!one.state?.stopped || told.has(one.shard)) continue;
    told.add(one.shard);
    announce(`Shard ${one.shard} stopped: ${one.state.stopped}`);
  }
}

function shardRow(first) {
  const numbers = Array.from({ length: 4 }, () => h("td", { class: "number" }));
  const [here, committee] = [h("td"), h("td", { class: "committee" })];
  const row = h("tr", {}, h("th", { scope: "row" }, first.hosted ? h("a", { href: `#/checkpoints?shard=${first.shard}` }, `Shard ${whole(first.shard)}`) : `Shard ${whole(first.shard)}`),
    cell(h("code", {}, first.prefix)), here, numbers, cell(`${whole(first.quorum_weight)} of ${whole(first.total_weight)}`, "number"), committee);
  let stands = null;
  let served = null;
  row.update = (one) => {
    const { state } = one;
    const [height, certified, load, waiting] = numbers;
    const [kind, word] = isOpening(one) ? ["wait", "about to open"] : !one.hosted ? ["off", "known of"] : state?.stopped ? ["bad", "stopped"] : ["good", "hosted"];
    if (stands !== word) fill(here, badge(kind, word), state?.stopped ? h("span", { class: "muted block" }, state.stopped) : null);
    stands = word;
    say(height, state ? whole(state.height) : "\u2013");
    // Kept while it is the same, so that the focus stays on it.
    if (certified.dataset.height !== String(state?.certified_height)) linkTo(certified, state?.certified_height, one.shard);
    say(load, state ? decimal(state.transactions_per_second) : "\u2013");
    say(waiting, state ? whole(state.mempool) : "\u2013");
    const text = committeeText(one) + one.committee.map((seat) => seat.connected).join();
    if (served !== text) fill(committee, seats(one));
    served = text;
  };
  return row;
}

function linkTo(box, height, shard) {
  box.dataset.height = String(height);
  const known = box.querySelector("a");
  if (!height || !known) {
    fill(box, height ? heightLink(height, shard) : none());
    return;
  }
  known.setAttribute("href", `#/checkpoint/${height}?shard=${shard}`);
  say(known, whole(height));
}

const seats = (one) => h("ul", { class: "seats" }, one.committee.map((seat) => h("li", { class: seat.connected ? null : "away" },
  h("span", { class: "clip", title: seat.name }, seat.name), h("span", { class: "muted" }, ` ${whole(seat.weight)} (${share(seat.weight, one.total_weight)})${seat.own ? ", this node" : seat.connected ? "" : ", not connected"}`))));

function laneRow(first) {
  const numbers = Array.from({ length: 5 }, () => h("td", { class: "number" }));
  const row = h("tr", { "data-lane": nameOf(first) }, h("th", { scope: "row" }, `Shard ${whole(first.from)}`), cell(`Shard ${whole(first.to)}`), numbers);
  row.update = (lane) => {
    const [sent, received, flying, acknowledged, moved] = numbers;
    say(sent, whole(lane.sent?.receipts));
    say(received, whole(lane.received?.receipts));
    say(flying, whole(lane.in_flight));
    say(acknowledged, whole(lane.acknowledged?.receipts));
    say(moved, whole((lane.received ?? lane.sent)?.moved));
  };
  return row;
}

function supplyFacts(supply, hosted) {
  if (!supply) return h("p", { class: "muted" }, hosted ? "Not known before each shard of this node has a certified state." : "A node that hosts a shard can tell.");
  const counted = supply.complete ? "all shards of the network" : `${supply.shards.length === 1 ? "shard" : "shards"} ${supply.shards.join(", ")}, which this node hosts`;
  return facts([
    ["Counted", counted],
    ["On accounts", whole(supply.balances)],
    ["Paid as fees", whole(supply.fees)],
    [supply.complete ? "On their way" : "Sent, less received", whole(supply.in_flight)],
    ["At genesis", whole(supply.genesis)],
  ]);
}

const KEYS = [["hosted", "Hosted by this node"], ["known", "Known of only"]];

const legend = () => h("ul", { class: "legend shard-legend", "aria-label": "Legend" }, KEYS.map(([kind, text]) => h("li", {}, h("span", { class: kind, "aria-hidden": "true" }), text)),
  h("li", {}, h("span", { class: "changed", "aria-hidden": "true" }), "Split or merged when this epoch began"),
  h("li", {}, h("span", { class: "dot", "aria-hidden": "true" }), "Receipts that arrived"));
