// The first page: how the network is, the DAG as it grows, and what happened last.

import { h, fill, keep, say } from "./dom.js";
import { get } from "./api.js";
import { count, decimal, duration, clock, milliseconds, percentiles, share, whole } from "./format.js";
import { DagFeed } from "./dag.js";
import { DagView } from "./dag-view.js";
import { accusedLink, badge, cell, certifiedBadge, committeesOf, hashLink, heading, heightLink, legend, outcomeBadge, panel, since, stationName, sparkline, table, validatorLink, weightBar } from "./parts.js";

const ROWS = 10;
const LISTS_EVERY_MS = 1000;
const VITALS_EVERY_MS = 500;

export function overview(live) {
  const feed = DagFeed.of(live);
  const strip = new DagView({ model: feed.model, live, compact: true });
  const release = feed.use(strip);
  const vitals = makeVitals(live);
  const checkpoints = table("Newest checkpoints", ["Height", { label: "Leader" }, { label: "Blocks", number: true }, { label: "Transactions", number: true }, "State", "When"], { empty: "No checkpoint has been executed yet." });
  const transactions = table("Newest transactions", ["Transaction", { label: "From", wide: true }, { label: "To", wide: true }, { label: "Amount", number: true }, "Outcome"], { empty: "No transaction has been executed yet." });
  const events = h("ul", { class: "events" });
  const partitions = h("ul", { class: "events" });
  const whose = h("p", { class: "whose muted" });
  const lists = makeLists(checkpoints, transactions);
  const update = () => {
    showWhose(whose, live);
    vitals.update();
    lists.update();
    showEvidence(events, live);
    showPartitions(partitions, live);
  };
  const offs = [live.on("change", update), live.on("executed", () => lists.want()), live.on("certified", () => lists.want()), live.on("gap", () => lists.want()), live.on("status", () => live.stream !== "open" && lists.want())];
  update();
  const title = heading("Overview", "The network as this node sees it");
  title.classList.add("hidden");
  return {
    title: "Overview",
    element: h("div", { class: "overview" }, title, whose, vitals.element,
      panel("The DAG, live", { class: "strip", end: h("a", { href: "#/dag", class: "panel-link" }, "Explore the DAG") }, strip.element, legend()),
      h("div", { class: "columns" },
        panel("Checkpoints", { class: "tight", end: h("a", { href: "#/checkpoints", class: "panel-link" }, "All checkpoints") }, checkpoints.element),
        panel("Transactions", { class: "tight", end: h("a", { href: "#/transactions", class: "panel-link" }, "All transactions") }, transactions.element),
        h("div", { class: "stack" },
          panel("Evidence", { end: h("a", { href: "#/evidence", class: "panel-link" }, "All evidence") }, events),
          panel("Partitions seen", {}, partitions)))),
    dispose() {
      for (const off of offs) off();
      release();
      strip.dispose();
    },
  };
}

/** With several shards all of this is about one of them, and with epochs about the present one. */
function showWhose(line, live) {
  const station = live.status && stationName(live);
  line.hidden = !station;
  const text = station && `This is ${station}${live.several ? `; the shard is the first of ${count(live.network.shards.filter((one) => one.hosted).length, "shard")} that this node hosts` : ""}. `;
  if (line.dataset.text === text) return;
  line.dataset.text = text;
  fill(line, text, h("a", { href: "#/shards" }, live.several ? "See all shards" : "See epochs and shards"));
}

function vital(label, id) {
  const value = h("strong", { id });
  const unit = h("span", { class: "unit" });
  const note = h("span", { class: "note" });
  const picture = h("div", { class: "picture" });
  return { element: h("div", { class: "vital" }, h("dt", {}, label), h("dd", {}, h("span", { class: "figure" }, value, unit), note, picture)), value, unit, note, picture };
}

function makeVitals(live) {
  const height = vital("Final height", "vital-height");
  const finality = vital("Finality", "vital-finality");
  const rounds = vital("Round", "vital-round");
  const rate = vital("Transactions", "vital-rate");
  const validators = vital("Validators up", "vital-validators");
  const all = [height, finality, rate, rounds, validators];
  const element = h("dl", { class: "vitals" }, all.map((one) => one.element));
  let drawnAt = 0;
  const update = () => {
    const { status } = live;
    if (!status) return;
    say(height.value, whole(status.certified_height));
    say(height.note, `executed ${whole(status.height)}${status.height > status.certified_height ? `, ${status.height - status.certified_height} ahead` : ""}`);
    say(rounds.value, whole(status.round));
    if (performance.now() - drawnAt < VITALS_EVERY_MS) return;
    drawnAt = performance.now();
    say(rounds.note, `${live.hasEpochs ? `of epoch ${whole(status.epoch)}; ` : ""}${decimal(live.roundsPerSecond())} per second, ${count(status.dag_blocks, "block")} held`);
    const rates = live.roundRates();
    if (rates.length > 1) fill(rounds.picture, sparkline(rates, `Rounds per second over the last ${rates.length} seconds, now ${decimal(live.roundsPerSecond())}`));
    if (live.newest.length) fill(height.picture, ladder(live.newest, status.certified_height));
    showFinality(finality, live);
    showRate(rate, live);
    showReach(validators, live);
  };
  return { element, update };
}

/** A bar per checkpoint, as high as the transactions it carries; hollow until it is final. */
function ladder(newest, certified) {
  const top = Math.max(1, ...newest.map((one) => one.transactions));
  const bars = newest.map((one) => {
    const bar = h("span", { class: one.height <= certified ? "final" : null });
    bar.style.height = `${Math.max(8, (100 * one.transactions) / top)}%`;
    return bar;
  });
  return h("div", { class: "ladder", role: "img", "aria-label": `Transactions of the last ${newest.length} checkpoints` }, bars);
}

function showFinality(part, live) {
  const { middle, high } = percentiles(live.latencies);
  say(part.value, Number.isFinite(middle) ? milliseconds(middle).split(" ")[0] : "\u2013");
  say(part.unit, Number.isFinite(middle) ? milliseconds(middle).split(" ")[1] : "");
  say(part.note, Number.isFinite(high) ? `executed to certified; p95 ${milliseconds(high)}` : "executed to certified, measured here");
  const recent = live.latencies.slice(-60);
  if (recent.length > 1) fill(part.picture, sparkline(recent, `Finality of the last ${recent.length} checkpoints, median ${milliseconds(middle)}`));
}

function showRate(part, live) {
  const now = live.transactionsPerSecond();
  say(part.value, decimal(now));
  say(part.unit, "per second");
  say(part.note, `${count(live.status.mempool, "waits", "wait")} to be proposed`);
  const values = live.perSecond.slice(0, -1).map((one) => one.transactions);
  if (values.length > 1) fill(part.picture, sparkline(values, `Executed per second over ${values.length} seconds, now ${decimal(now)}`));
}

function showReach(part, live) {
  const { total, quorum, weight, up, size } = live.reach();
  if (!size) return;
  say(part.value, whole(up));
  say(part.unit, `of ${whole(size)}`);
  say(part.note, `${share(weight, total)} of the weight; quorum ${share(quorum, total)}`);
  fill(part.picture, weightBar(weight, total, quorum, `${share(weight, total)} of the weight is connected; a quorum is ${share(quorum, total)}`));
}

function makeLists(checkpoints, transactions) {
  let wanted = true;
  let busy = false;
  let at = -Infinity;
  const update = async () => {
    if (!wanted || busy || performance.now() - at < LISTS_EVERY_MS || document.hidden) return;
    wanted = false;
    busy = true;
    at = performance.now();
    try {
      const [newest, executed] = await Promise.all([get(`/v1/checkpoints?limit=${ROWS}`), get(`/v1/transactions?limit=${ROWS}`)]);
      const rows = newest.checkpoints ?? [];
      const committees = await committeesOf(rows, null);
      // The first shard of the node may become another one, with the same heights; and who leads
      // may be known only later.
      keep(checkpoints.body, rows, (one) => `${one.digest}:${committees.get(one.epoch).validators.length > 0}`, (one) => checkpointRow(one, committees.get(one.epoch)));
      keep(transactions.body, executed.transactions ?? [], (one) => one.id, transactionRow);
      checkpoints.done();
      transactions.done();
    } catch {
      wanted = true;
    }
    busy = false;
  };
  return { update, want: () => (wanted = true) };
}

/** In the committee of its epoch; of a shard, which is that of the first where it is not given. */
export function checkpointRow(one, store, shard = null) {
  const state = h("td", {}, certifiedBadge(one.certified));
  const row = h("tr", {}, cell(heightLink(one.height, shard)), cell(one.leader ? validatorLink(one.leader.author, store) : "", "clip-cell"), cell(whole(one.blocks), "number"), cell(whole(one.transactions), "number"), state, cell(since(one.time_unix_ms), "when"));
  let certified = one.certified;
  row.update = (next) => {
    if (next.certified === certified) return;
    certified = next.certified;
    fill(state, certifiedBadge(certified));
  };
  return row;
}

export function transactionRow(one) {
  return h("tr", {}, cell(hashLink("tx", one.id)), cell(hashLink("account", one.sender, 4), "wide-only"), cell(hashLink("account", one.to, 4), "wide-only"), cell(whole(one.amount), "number"), cell(outcomeBadge(one.outcome)));
}

function showEvidence(list, live) {
  const newest = live.evidence.slice(0, 4).map((one, index) => ({ ...one, key: `${one.epoch}:${one.accused}:${one.offence}:${one.height ?? index}` }));
  if (!newest.length) {
    if (!list.querySelector(".calm")) {
      list.kept = null;
      fill(list, h("li", { class: "calm" }, badge("good", "No misbehaviour has been proven.")));
    }
    return;
  }
  keep(list, newest, (one) => one.key, (one) => h("li", {}, badge("warn", ""), h("div", {}, accusedLink(one, live), h("span", { class: "muted block" }, `${one.offence}${one.height ? `, checkpoint ${one.height}` : ""}`))));
}

const INCIDENTS = { partition: "No quorum connected", silent: "No certificate", elsewhere: "No shard on this node", unreachable: "Node did not answer", stopped: "Node stopped", recovering: "Node recovering", synchronising: "Node synchronising" };

function showPartitions(list, live) {
  if (!live.incidents.length) {
    if (!list.querySelector(".calm")) {
      list.kept = null;
      fill(list, h("li", { class: "calm" }, badge("good", "None since this page was opened.")));
    }
    return;
  }
  keep(list, live.incidents.slice(0, 5), (one) => `${one.kind}${one.from}`, (one) => {
    const text = h("span", { class: "muted block" });
    const item = h("li", {}, badge("bad", ""), h("div", {}, h("strong", {}, INCIDENTS[one.kind] ?? one.kind), text));
    item.update = (now) => say(text, now.to === null ? `since ${clock(now.from)}, for ${duration(Date.now() - now.from)}` : `${clock(now.from)}, lasted ${duration(now.to - now.from)}`);
    return item;
  });
}
