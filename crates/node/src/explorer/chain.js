// Checkpoints and blocks.

import { h, fill } from "./dom.js";
import { get, pathIn } from "./api.js";
import { bytes, count, moment, share, short, whole } from "./format.js";
import { DagModel } from "./dag-model.js";
import { DagView } from "./dag-view.js";
import { checkpointRow } from "./overview.js";
import { badge, cell, certifiedBadge, committeesOf, facts, fullHash, hashLink, heading, heightLink, legend, loaded, none, outcomeBadge, paged, panel, proofPanel, shardIn, shardSteps, since, stationName, suffix, table, validatorLink, weightBar } from "./parts.js";

const TRANSACTIONS_SHOWN = 200;
const AROUND = { before: 5, after: 4 };
const MAX_ROUNDS_DRAWN = 20;

export function checkpointsView(_live, _argument, query) {
  const shard = shardIn(query);
  const list = table("Checkpoints, newest first", ["Height", "Leader", { label: "Blocks", number: true }, { label: "Transactions", number: true }, "State", "When"]);
  return { title: "Checkpoints", element: h("div", {}, heading("Checkpoints", "The result of each commit, newest first", shardSteps("checkpoints", shard)), panel("All checkpoints", { class: "tight" }, paged(list, pathIn(shard, "checkpoints"), "checkpoints", (one, committees) => checkpointRow(one, committees.get(one.epoch), shard), (rows) => committeesOf(rows, shard)))) };
}

export function checkpointView(live, height, query) {
  const shard = shardIn(query);
  const load = async (signal) => {
    const checkpoint = await get(pathIn(shard, "checkpoints", height), { signal });
    return { checkpoint, store: await live.at(shard, checkpoint.epoch) };
  };
  const view = loaded(`Checkpoint ${short(height)}`, load, ({ checkpoint, store }) => {
    view.certified = isFinal(checkpoint);
    view.drawing?.dispose();
    view.drawing = commitDrawing(store, checkpoint, shard);
    return renderCheckpoint(store, checkpoint, view.drawing, shard);
  });
  // A certificate takes a moment; until it is there, each one that arrives may be it. Of other
  // shards than the first no events arrive: they are asked again each second.
  const off = live.of(shard) === live ? live.on("certified", (event) => view.certified === false && event.height >= Number(height) && view.reload()) : live.on("status", () => view.certified === false && view.reload());
  return withEnd(view, off);
}

function withEnd(view, ...offs) {
  const end = view.dispose;
  view.dispose = () => {
    for (const off of offs) off();
    view.drawing?.dispose();
    end();
  };
  return view;
}

function renderCheckpoint(live, one, drawing, shard) {
  const height = Number(one.height);
  const station = stationName(live);
  const steps = h("nav", { class: "steps", "aria-label": "Neighbouring checkpoints" },
    height > 1 ? h("a", { class: "button", href: `#/checkpoint/${height - 1}${suffix(shard)}`, rel: "prev" }, `\u2190 ${whole(height - 1)}`) : null,
    h("a", { class: "button", href: `#/checkpoint/${height + 1}${suffix(shard)}`, rel: "next" }, `${whole(height + 1)} \u2192`));
  return [
    heading(`Checkpoint ${whole(one.height)}`, station ? `Of ${station}` : null, certifiedBadge(isFinal(one)), steps),
    h("div", { class: "columns two" },
      h("div", { class: "stack" },
        panel("What it states", {}, facts([
          ["Executed", [since(one.time_unix_ms), h("span", { class: "muted" }, ` ${moment(one.time_unix_ms)}`)]],
          ["Leader", one.leader ? [validatorLink(one.leader.author, live), `, round ${whole(one.leader.round)} `, hashLink("block", one.leader.digest, 6, shard)] : none()],
          ["Shard and epoch", `${whole(one.shard)}, ${whole(one.epoch)}`],
          ["Digest", fullHash(one.digest, "the checkpoint's digest")],
          ["State root", fullHash(one.state_root, "the state root")],
          ["Transactions root", fullHash(one.transactions_root, "the transactions root")],
          ["Outbox root", fullHash(one.outbox_root, "the outbox root")],
          ["Commit", fullHash(one.commit, "the commit's digest")],
          ["Parent", fullHash(one.parent, "the parent's digest")],
        ])),
        panel(`${count(one.transactions?.length ?? 0, "transaction")}, in order`, { class: "tight" }, outcomes(one))),
      h("div", { class: "stack" }, certificatePanel(live, one), isFinal(one) ? proofPanel(`${pathIn(shard, "checkpoints", height)}/proof`, `checkpoint-${shard === null ? "" : `${shard}-`}${height}.json`, "that it is final") : null, drawing.element, blocksPanel(live, one, shard)))];
}

/** Final: certified itself, or below a certified one, which covers all before it. */
const isFinal = (one) => one.certified ?? Boolean(one.certificate);

function certificatePanel(live, one) {
  const { certificate } = one;
  if (!certificate) {
    const why = isFinal(one) ? "A later checkpoint is certified and names this one as its ancestor, so it is final, too." : "Not certified yet. A quorum's attestations arrive in the next blocks.";
    return panel("Certificate", {}, h("p", { class: "empty" }, why));
  }
  const { total } = live.reach();
  const attested = new Set(certificate.authors ?? []);
  const chips = live.validators.map((one) => h("li", { class: attested.has(one.index) ? "in" : "out" }, h("span", { "aria-hidden": "true" }, attested.has(one.index) ? "\u2713 " : "\u2013 "), one.name, h("span", { class: "hidden" }, attested.has(one.index) ? " attested" : " did not attest in it")));
  return panel("Certificate", {},
    weightBar(certificate.weight, total, certificate.quorum_weight, `${share(certificate.weight, total)} of the weight attested; a quorum is ${share(certificate.quorum_weight, total)}`),
    h("p", { class: "under-bar" }, `${whole(attested.size)} validators with ${share(certificate.weight, total)} of the weight attested the same result; ${share(certificate.quorum_weight, total)} were needed.`),
    h("ul", { class: "chips" }, chips), h("p", { class: "muted" }, `${bytes((certificate.bytes?.length ?? 0) / 2)} of signatures, checkable offline.`));
}

function outcomes(one) {
  const list = table("Transactions", [{ label: "Position", number: true }, "Transaction", "Outcome", "Reason"], { empty: "It carries no transactions." });
  const all = one.transactions ?? [];
  list.body.append(...all.slice(0, TRANSACTIONS_SHOWN).map((entry, position) =>
    h("tr", {}, cell(whole(position), "number"), cell(hashLink("tx", entry.id, 8)), cell(outcomeBadge(entry.outcome)), cell(entry.outcome?.reason ?? "", "muted"))));
  list.done();
  const rest = all.length - TRANSACTIONS_SHOWN;
  return [list.element, rest > 0 ? h("p", { class: "muted more" }, `and ${whole(rest)} more, which the API lists.`) : null];
}

function blocksPanel(live, one, shard) {
  const list = table("Blocks, in their committed order", [{ label: "Round", number: true }, "Validator", "Block"]);
  list.body.append(...(one.blocks ?? []).slice(0, TRANSACTIONS_SHOWN).map((block) => h("tr", {}, cell(whole(block.round), "number"), cell(validatorLink(block.author, live)), cell(hashLink("block", block.digest, 6, shard)))));
  list.done();
  return panel(`Brings in ${count(one.blocks?.length ?? 0, "block")}`, { class: "tight" }, list.element);
}

function commitDrawing(live, one, shard) {
  const rounds = (one.blocks ?? []).map((block) => block.round);
  const to = Math.max(one.leader?.round ?? 1, ...rounds.slice(0, 1000)) + 2;
  const from = Math.max(1, Math.min(...rounds.slice(0, 1000), to - 4), to - MAX_ROUNDS_DRAWN);
  return drawing(live, shard, "In the DAG", { from, to }, () => new Set((one.blocks ?? []).map((block) => block.digest)));
}

/** Some rounds of an epoch's DAG as they are, with some blocks standing out. */
function drawing(live, shard, title, { from, to }, markedOf) {
  const model = new DagModel();
  const box = h("div", { class: "drawing" });
  const element = panel(title, { class: "strip" }, box);
  let view = null;
  let off = () => {};
  get(`${pathIn(shard, "blocks")}?epoch=${live.status.epoch}&from_round=${from}&to_round=${to}`, { exact: false }).then((answer) => {
    model.merge(answer);
    if (!model.blocks) {
      fill(box, h("p", { class: "empty" }, "This node does not hold these rounds any more."));
      return;
    }
    model.head = Math.min(Math.max(model.head, from), to);
    view = new DagView({ model, live, compact: true, fixed: { from, to: model.head }, marked: markedOf(model) });
    off = live.on("validators", () => view.draw());
    fill(box, view.element, legend());
  }, () => fill(box, h("p", { class: "empty" }, "The rounds around it could not be fetched.")));
  return {
    element,
    dispose() {
      off();
      view?.dispose();
    },
  };
}

export function blockView(live, digest, query) {
  const shard = shardIn(query);
  const load = async (signal) => {
    const block = await get(pathIn(shard, "blocks", digest), { signal });
    return { block, store: await live.at(shard, block.epoch) };
  };
  const isOver = (block) => block.epoch < live.of(shard).status.epoch;
  const view = loaded(`Block ${short(digest)}`, load, ({ block, store }) => {
    view.pending = block.state === "pending" && !isOver(block);
    view.drawing?.dispose();
    view.drawing = drawing(store, shard, "Its history", { from: Math.max(1, block.round - AROUND.before), to: block.round + AROUND.after }, (model) => model.history(block.digest));
    return renderBlock(store, block, view.drawing, shard, isOver(block));
  });
  const committed = (event) => (event.blocks ?? []).some((one) => one.digest === digest);
  const off = live.of(shard) === live ? live.on("executed", (event) => view.pending && committed(event) && view.reload()) : live.on("status", () => view.pending && view.reload());
  // The network may be in another epoch before the first shard of the node is.
  return withEnd(view, off, ...["turn", "station"].map((kind) => live.on(kind, () => view.pending && view.reload())));
}

function renderBlock(live, block, drawn, shard, isOver) {
  const committed = block.state === "committed";
  const station = stationName(live);
  const parents = table("Parents", [{ label: "Round", number: true }, "Validator", "Block"], { empty: "A block of the first round has no parents." });
  parents.body.append(...(block.parents ?? []).map((one) => h("tr", {}, cell(whole(one.round), "number"), cell(validatorLink(one.author, live)), cell(hashLink("block", one.digest, 6, shard)))));
  parents.done();
  const ids = block.transaction_ids ?? [];
  const list = table("Transactions it proposes", [{ label: "Position", number: true }, "Transaction"], { empty: "It proposes no transactions." });
  list.body.append(...ids.slice(0, TRANSACTIONS_SHOWN).map((id, position) => h("tr", {}, cell(whole(position), "number"), cell(hashLink("tx", id, 12)))));
  list.done();
  return [
    heading(`Block of ${live.nameOf(block.author)}, round ${whole(block.round)}`, station ? `In ${station}` : null, block.leader ? badge("lead", "leader") : null, committed ? badge("good", "committed") : isOver ? badge("off", "left out") : badge("wait", "pending")),
    h("div", { class: "columns two" },
      h("div", { class: "stack" },
        panel("What it says", {}, facts([
          ["Author", validatorLink(block.author, live)],
          ["Committed in", committed ? heightLink(block.height, shard) : isOver ? "no checkpoint: its epoch ended without it" : "not yet"],
          ["Signed", [since(block.time_unix_ms), h("span", { class: "muted" }, ` ${moment(block.time_unix_ms)}`)]],
          ["Carries", `${count(block.transactions, "transaction")}, ${count(block.attestations, "attestation")}, ${count(block.evidence, "proof of misbehaviour", "proofs of misbehaviour")}`],
          ["Size", bytes(block.bytes)],
          ["Digest", fullHash(block.digest, "the block's digest")],
          ["Signature", block.signature ? h("details", { class: "inline" }, h("summary", {}, `${bytes(block.signature.length / 2)}, show`), fullHash(block.signature, "the signature")) : none()],
        ])),
        panel(`${count(ids.length, "transaction")}`, { class: "tight" }, list.element, ids.length > TRANSACTIONS_SHOWN ? h("p", { class: "muted more" }, `and ${whole(ids.length - TRANSACTIONS_SHOWN)} more`) : null)),
      h("div", { class: "stack" }, drawn.element, panel(count(block.parents?.length ?? 0, "parent"), { class: "tight" }, parents.element)))];
}
