// Validators, the connections to them, and the evidence against them.

import { announce, h, fill, keep, say } from "./dom.js";
import { get } from "./api.js";
import { bytes, count, decimal, share, short, whole } from "./format.js";
import { accusedLink, badge, cell, copyButton, facts, failure, fullHash, heading, heightLink, isPresent, none, panel, stationName, table, validatorLink, weightBar } from "./parts.js";

const BEHIND_ROUNDS = 20;
const PEERS_EVERY_MS = 3000;

/** How a validator is, as this node sees it: a sign's kind, a word, and what it means. */
export function health(one, round) {
  if (one.isolated) return ["bad", "isolated", "proven to have misbehaved; it leads no more"];
  if (one.own) return ["good", "this node", "the node that serves this page"];
  const behind = one.last_round === null || one.last_round === undefined ? Infinity : round - one.last_round;
  if (one.connected) return behind > BEHIND_ROUNDS ? ["warn", "behind", `connected, but its last block is of round ${one.last_round ?? "\u2013"}`] : ["good", "up", "connected, and its blocks arrive"];
  if (behind <= BEHIND_ROUNDS) return ["warn", "around", "not connected; its blocks arrive through others"];
  return ["off", "down", "not connected, and no block of it arrives"];
}

export function validatorsView(live) {
  const summary = h("div", { class: "reach" });
  const sub = h("span");
  const list = table("Validators by index", [{ label: "#", number: true }, "Name", "Weight", "State", { label: "Round trip", number: true }, { label: "Last round", number: true }, { label: "Blocks", number: true }, { label: "Led", number: true }, { label: "Skipped", number: true }, { label: "Scheme", wide: true }], { empty: "The node has not told its committee yet." });
  const peers = peersTable(live);
  const update = () => {
    const { total, quorum, weight, up, size } = live.reach();
    const most = Math.max(1, ...live.validators.map((one) => one.weight));
    if (size) fill(summary, weightBar(weight, total, quorum, "Weight connected against the quorum"), h("p", { class: "under-bar" }, `${up} of ${size} up with ${share(weight, total)} of the weight. A quorum is ${share(quorum, total)}; up to ${share(live.status?.committee?.fault_weight ?? 0, total)} may be faulty.`));
    const { status } = live;
    say(sub, `${live.hasEpochs ? `Of ${stationName(live)}. ` : ""}Weight follows processing power. Counts are what this node saw since it started${live.hasEpochs ? ", or since the epoch began" : ""}.`);
    // A place in the committee is another validator's in the next epoch.
    keep(list.body, live.validators, (one) => `${status?.shard}:${status?.epoch}:${one.index}`, (one) => validatorRow(one, live, total, most));
    list.done();
  };
  const off = live.on("validators", update);
  update();
  return {
    title: "Validators",
    element: h("div", {}, heading("Validators", sub), panel("Reach", {}, summary), panel("Committee", { class: "tight" }, list.element), panel("Connections", { class: "tight" }, peers.element)),
    dispose() {
      off();
      peers.dispose();
    },
  };
}

function validatorRow(first, live, total, most) {
  const boxes = { state: h("td"), trip: h("td", { class: "number" }), round: h("td", { class: "number" }), blocks: h("td", { class: "number" }), led: h("td", { class: "number" }), skipped: h("td", { class: "number" }) };
  const bar = h("span", { class: "weight-bar", "aria-hidden": "true" }, h("span"));
  bar.firstChild.style.width = `${(100 * first.weight) / most}%`;
  const row = h("tr", {}, cell(whole(first.index), "number"), h("th", { scope: "row", class: "clip-cell" }, validatorLink(first.index)), cell([bar, h("span", { class: "share" }, share(first.weight, total))], "weight-cell"),
    boxes.state, boxes.trip, boxes.round, boxes.blocks, boxes.led, boxes.skipped, cell(first.scheme ?? none(), "wide-only muted"));
  row.update = (one) => {
    const [kind, word, meaning] = health(one, live.status?.round ?? 0);
    if (boxes.state.dataset.state !== word) {
      boxes.state.dataset.state = word;
      boxes.state.title = meaning;
      fill(boxes.state, badge(kind, word));
    }
    fill(boxes.trip, one.rtt_ms === null || one.rtt_ms === undefined ? none() : `${decimal(one.rtt_ms)} ms`);
    fill(boxes.round, whole(one.last_round));
    fill(boxes.blocks, whole(one.blocks));
    fill(boxes.led, whole(one.led));
    fill(boxes.skipped, whole(one.skipped));
  };
  return row;
}

/** Of all validators, or the one that `isShown` has. */
function peersTable(live, isShown = () => true) {
  const list = table("Connections of this node", ["Validator", "State", "Address", { label: "Received", number: true }, { label: "Sent", number: true }, { label: "Dropped", number: true }, { label: "Packets lost", number: true }, { label: "Refused", number: true }], { empty: "This node has no connections." });
  const problem = h("div");
  let timer = null;
  let gone = false;
  const load = async () => {
    try {
      const { peers = [] } = await get("/v1/peers");
      if (gone) return;
      keep(list.body, peers.filter(isShown), (one) => `${one.index}:${placeOf(one, live)}`, (one) => peerRow(one, live));
      list.done();
      fill(problem);
    } catch (error) {
      if (!list.body.childElementCount) fill(problem, failure(error, load));
    }
    if (!gone) timer = setTimeout(load, PEERS_EVERY_MS);
  };
  load();
  return {
    element: h("div", {}, list.element, problem),
    dispose() {
      gone = true;
      clearTimeout(timer);
    },
  };
}

/** A connection is numbered among all validators, which is no place in the committee; names may be the same. */
const placeOf = (peer, live) => live.validators.find((one) => one.validator === peer.index)?.index;

function peerRow(first, live) {
  const place = placeOf(first, live);
  const name = place === undefined ? h("span", { class: "name" }, first.name) : validatorLink(place);
  const row = h("tr", {}, h("th", { scope: "row", class: "clip-cell" }, name), h("td"), h("td", { class: "mono" }), h("td", { class: "number" }), h("td", { class: "number" }), h("td", { class: "number" }), h("td", { class: "number" }), h("td", { class: "number" }));
  row.update = (one) => {
    const [, state, address, received, sent, dropped, lost, refused] = row.children;
    fill(state, one.connected ? badge("good", "connected") : badge("off", "not connected"));
    fill(address, one.address ?? none());
    fill(received, bytes(one.bytes_in));
    fill(sent, bytes(one.bytes_out));
    fill(dropped, whole(one.frames_dropped));
    fill(lost, whole(one.packets_lost));
    fill(refused, whole(one.refused));
  };
  return row;
}

export function validatorView(live, argument) {
  let index = Number(argument);
  const element = h("div", {}, heading(`Validator ${short(argument)}`), h("p", { class: "loading", role: "status" }, "Asking the node\u2026"));
  const peers = peersTable(live, (peer) => peer.index === number);
  const state = h("span");
  const numbers = h("div");
  let built = null;
  let [number, name] = [null, null]; // who it is; its place is another one in each epoch
  const view = {
    title: `Validator ${short(argument)}`,
    element,
    dispose() {
      off();
      peers.dispose();
    },
  };
  const update = () => {
    if (!live.validators.length) return;
    const station = stationName(live);
    const one = live.validators.find((validator) => (number === null ? validator.index === index : validator.validator === number));
    if (!one && number !== null) {
      if (built === station) return;
      built = station;
      fill(element, heading(name, `Has no seat in ${station}`), h("p", {}, h("a", { href: "#/validators" }, "See who has")));
      announce(`${name} has no seat in ${station}`);
      return;
    }
    if (!one) {
      fill(element, heading("No such validator"), h("p", {}, `The committee has ${count(live.validators.length, "member")}, numbered from 0. `, h("a", { href: "#/validators" }, "See them all")));
      return;
    }
    [number, name] = [one.validator, one.name];
    if (one.index !== index) {
      // The page stays with the validator, and as it is, under the address of its new place.
      index = one.index;
      history.replaceState(history.state, "", `#/validator/${index}`);
      const before = view.title;
      view.title = `Validator ${index}`;
      document.title = document.title.replace(before, view.title);
    }
    if (built !== station) {
      built = station;
      const focused = element.contains(document.activeElement);
      fill(element, heading(one.name, `Validator ${one.index}${station ? ` of ${station}` : ""}`, state), h("div", { class: "columns two" }, panel("As this node sees it", {}, numbers), keysPanel(one)), one.own ? null : panel("Connection", { class: "tight" }, peers.element), againstPanel(live, index));
      if (focused) element.querySelector("h1").focus({ preventScroll: true });
    }
    const [kind, word, meaning] = health(one, live.status?.round ?? 0);
    fill(state, badge(kind, word));
    const { total } = live.reach();
    const tries = one.led + one.skipped;
    fill(numbers, facts([
      ["State", meaning],
      ["Weight", [whole(one.weight), h("span", { class: "muted" }, ` ${share(one.weight, total)} of the committee`)]],
      ["Round trip", one.own ? "itself" : one.rtt_ms === null || one.rtt_ms === undefined ? none() : `${decimal(one.rtt_ms)} ms`],
      ["Last round", whole(one.last_round)],
      ["Blocks accepted", whole(one.blocks)],
      ["Led", [whole(one.led), h("span", { class: "muted" }, tries ? ` ${share(one.led, tries)} of its ${whole(tries)} slots committed` : " no slot decided yet")]],
      ["Skipped", whole(one.skipped)],
    ]));
  };
  const off = live.on("validators", update);
  update();
  return view;
}

function keysPanel(one) {
  const long = (key, what) => (key && key.length > 128 ? h("details", { class: "inline" }, h("summary", {}, `${bytes(key.length / 2)}, show`), fullHash(key, what)) : fullHash(key, what));
  return panel("Keys", {}, facts([["Scheme", one.scheme ?? none()], ["Consensus key", long(one.consensus_key, "the consensus key")], ["Transport key", one.own ? "held by this node" : long(one.transport_key, "the transport key")]]));
}

function againstPanel(live, index) {
  const against = live.evidence.filter((one) => one.accused === index && isPresent(one, live));
  if (!against.length) return null;
  return panel("Evidence against it", {}, h("ul", { class: "events" }, against.map((one) => h("li", {}, badge("warn", ""), h("div", {}, one.offence, h("span", { class: "muted block" }, one.height ? ["committed in checkpoint ", heightLink(one.height)] : "not committed yet"))))));
}

export function evidenceView(live) {
  const list = table("Evidence, newest first", ["Accused", "Offence", "Committed in", "State", { label: "Size", number: true }, "Proof"], { empty: "No misbehaviour has been proven. An honest key never is." });
  const command = "qcn light verify evidence-*.json --genesis genesis.json";
  const how = panel("Check a proof yourself", { hidden: true }, h("p", {}, "A downloaded proof is checked offline, against the genesis file and no node: ", h("a", { href: "/v1/genesis", download: "genesis.json" }, "download that, too"), "."),
    h("div", { class: "command" }, h("code", {}, command), copyButton(command, "the command")));
  const update = () => {
    keep(list.body, live.evidence, (one) => `${one.digest}:${one.accused}:${one.offence}:${one.height}:${isPresent(one, live)}`, (one) => h("tr", {}, h("th", { scope: "row", class: "clip-cell" }, accusedLink(one, live)), cell(one.offence), cell(heightLink(one.height)),
      cell(isPresent(one, live) && live.isolated.has(one.accused) ? badge("bad", "isolated") : badge("warn", "proven")), cell(bytes((one.bytes?.length ?? 0) / 2), "number"), cell(proofOf(one))));
    list.done();
    how.hidden = !live.evidence.length;
  };
  const off = live.on("change", update);
  update();
  return { title: "Evidence", element: h("div", {}, heading("Evidence", "Proofs of misbehaviour that anyone can check offline. Being late or silent is no proof and is not listed."), panel("Proven", { class: "tight" }, list.element), how), dispose: off };
}

/** The document that `qcn light verify` reads; without a name to ask for it by, the bytes. */
function proofOf(one) {
  if (!one.digest) return one.bytes ? copyButton(one.bytes, "the evidence's bytes") : none();
  const file = `evidence-${one.digest.slice(0, 12)}.json`;
  return h("a", { class: "button small", href: `/v1/evidence/${encodeURIComponent(one.digest)}/proof`, download: file, "aria-label": `Download the proof against ${one.name ?? one.accused}` }, "Download");
}
