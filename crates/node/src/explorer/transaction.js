// Transactions and accounts.

import { announce, h } from "./dom.js";
import { get, path, pathIn } from "./api.js";
import { bytes, isHex, moment, sentence, short, whole } from "./format.js";
import { transactionRow } from "./overview.js";
import { badge, cell, copyButton, facts, fullHash, hashLink, heading, heightLink, loaded, none, outcomeBadge, paged, panel, pieces, proofPanel, shardIn, shardName, shardSteps, table } from "./parts.js";

const POLL_MS = 1000;
const STATUS = { pending: ["wait", "pending"], executed: ["wait", "executed"], final: ["good", "final"], refused: ["bad", "refused"], unknown: ["off", "unknown"] };

/** How a transfer to another shard went on: a sign, a word, and what it means. */
const ARRIVALS = {
  in_flight: ["wait", "in flight", "sent, and not applied there yet"],
  arrived: ["good", "arrived", "the receiver has it"],
  forwarded: ["warn", "forwarded", "the receiver belongs to another shard now: it goes there"],
  bounced: ["warn", "bounced", "the receiver cannot hold it: it goes back, less the fee"],
  burned: ["bad", "burned", "nobody can hold it"],
  elsewhere: ["off", "not known here", "this node does not host that shard"],
};

export function transactionsView(_live, _argument, query) {
  const shard = shardIn(query);
  const list = table("Transactions, newest first", ["Transaction", { label: "From", wide: true }, { label: "To", wide: true }, { label: "Amount", number: true }, "Outcome"]);
  return { title: "Transactions", element: h("div", {}, heading("Transactions", "Executed transactions, newest first", shardSteps("transactions", shard)), panel("All transactions", { class: "tight" }, paged(list, pathIn(shard, "transactions"), "transactions", transactionRow))) };
}

export function transactionView(live, id) {
  let timer = null;
  let told = null;
  const view = loaded(`Transaction ${short(id)}`, (signal) => get(path("transactions", id), { signal }), (answer) => {
    clearTimeout(timer);
    if (isUnderWay(answer)) timer = setTimeout(() => view.reload(), POLL_MS);
    const stands = answer.arrival ? `${answer.status}, and ${arrivalOf(answer.arrival)[1]}` : answer.status;
    if (told !== null && told !== stands) announce(`The transaction is ${stands} now`);
    told = stands;
    return renderTransaction(live, id, answer);
  });
  const end = view.dispose;
  view.dispose = () => {
    clearTimeout(timer);
    end();
  };
  return view;
}

/** Whether more is still to come of it, here or in the receiver's shard. */
function isUnderWay({ status, arrival }) {
  if (status === "refused") return false;
  if (!arrival) return status !== "final";
  if (arrival.status === "elsewhere") return status !== "final";
  // What comes from a shard that this node does not host is as final as its arrival.
  if (!arrival.final) return true;
  return status !== "unknown" && (status !== "final" || (arrival.status === "bounced" && arrival.returned_height === null));
}

const arrivalOf = (arrival) => ARRIVALS[arrival.status] ?? ["off", String(arrival.status), ""];

function renderTransaction(live, id, answer) {
  const [kind, text] = STATUS[answer.status] ?? ["off", String(answer.status)];
  // From a shard that this node does not host: of its way there is only the end.
  const onlyArrived = answer.status === "unknown" && answer.arrival;
  const inner = answer.transaction;
  const transfer = inner?.action?.transfer;
  const rotation = inner?.action?.rotate_key;
  const details = !inner ? null : panel("What it asks for", {}, facts([
    transfer && ["Transfer", [h("strong", { class: "amount" }, whole(transfer.amount))]],
    transfer && ["To", accountLink(transfer.to)],
    rotation && ["New key", [h("span", {}, `${rotation.scheme} `), fullHash(rotation.key, "the new key")]],
    ["From", accountLink(inner.sender)],
    ["Nonce", whole(inner.nonce)],
    ["Fee", whole(inner.fee)],
    ["Signed with", `${inner.scheme}, ${bytes(inner.bytes)} in all`],
  ]));
  return [
    heading("Transaction", h("span", { class: "title-hash" }, fullHash(id, "the transaction's id")), onlyArrived ? null : badge(kind, text), answer.arrival ? badge(...arrivalOf(answer.arrival)) : null),
    timeline(answer),
    h("div", { class: "columns two" }, h("div", { class: "stack" }, details ?? unknownPanel(live, answer), answer.arrival && !onlyArrived ? wayPanel(answer) : null),
      h("div", { class: "stack" }, onlyArrived ? wayPanel(answer) : panel("Where it stands", {}, facts([
        ["Outcome", [outcomeBadge(answer.outcome), answer.outcome?.reason ? h("span", { class: "muted" }, ` ${answer.outcome.reason}`) : null]],
        ["Checkpoint", answer.height === null ? none() : [heightLink(answer.height, answer.shard), `, position ${whole(answer.position)}`, live.several ? ` of ${shardName(answer.shard)}` : null]],
        ["Block", answer.block ? hashLink("block", answer.block.digest, 6, answer.shard) : none()],
        answer.refusal && ["Refused", answer.refusal],
      ])), answer.status === "final" ? proofPanel(`/v1/transactions/${encodeURIComponent(id)}/proof`, `transaction-${id.slice(0, 12)}.json`, "that it was executed, and with what outcome") : null))];
}

/** From shard to shard: where it was sent, and what became of it where it was sent to. */
function wayPanel({ shard, height, status, arrival }) {
  const [kind, word, meaning] = arrivalOf(arrival);
  const at = arrival.height === null || arrival.height === undefined ? null : ["checkpoint ", heightLink(arrival.height, arrival.shard), ` of ${shardName(arrival.shard)}, `, arrival.final ? "certified" : "not certified yet"];
  return panel("Its way across shards", { class: "way" }, facts([
    ["Sent", height === null ? "from a shard that this node does not host" : ["checkpoint ", heightLink(height, shard), ` of ${shardName(shard)}, `, status === "final" ? "certified" : "not certified yet"]],
    ["To", shardName(arrival.shard)],
    ["There", [badge(kind, word), h("span", { class: "muted" }, ` ${meaning}`)]],
    at && [kind === "good" ? "Arrived" : "Decided", at],
    arrival.status === "bounced" && ["Returned", arrival.returned_height === null ? "not yet, as far as this node knows" : ["checkpoint ", heightLink(arrival.returned_height, shard), shard === null ? null : ` of ${shardName(shard)}`]],
    arrival.ask && ["Who knows", sentence(arrival.ask)],
  ]), h("p", { class: "muted" }, h("a", { href: "#/shards" }, "See all shards")));
}

function unknownPanel(live, answer) {
  if (answer.arrival) return panel("What it asks for", {}, h("p", { class: "empty" }, "It was sent from a shard that this node does not host; here it has only arrived. A node of the sender's shard tells the rest."));
  const away = live.several ? live.network.shards.filter((one) => !one.hosted) : [];
  if (answer.status === "unknown" && away.length) {
    return panel("What it asks for", {}, h("p", { class: "empty" }, "None of the shards that this node hosts has seen it. It may be in another; ask a node that hosts that one:"),
      h("ul", {}, away.map((one) => h("li", {}, `${sentence(shardName(one.shard)).replace(/\.$/, "")}: ${one.committee.map((seat) => seat.name).join(", ")}`))));
  }
  const text = answer.status === "unknown" ? "This node has never seen it, or has forgotten it. It is looked up again every second." : "The node has not told what it asks for.";
  return panel("What it asks for", {}, h("p", { class: "empty" }, text));
}

const accountLink = (address) => h("span", { class: "full-hash" }, h("a", { href: `#/account/${encodeURIComponent(address)}`, class: "hash" }, pieces(address)), copyButton(address, "the address"));

/** The step that a transfer to another shard has besides: what became of it there. */
function arrivalStep({ shard, height, arrival }) {
  const [, word, meaning] = arrivalOf(arrival);
  if (arrival.status === "elsewhere") return ["Arrived", `${shardName(arrival.shard)} knows; this node does not host it`, null];
  if (arrival.height === null || arrival.height === undefined) return ["Arrived", `${word} to ${shardName(arrival.shard)}`, null];
  const name = { bounced: "Bounced", burned: "Burned" }[arrival.status] ?? "Arrived";
  const back = arrival.returned_height === null || arrival.returned_height === undefined ? null : ["; returned in checkpoint ", heightLink(arrival.returned_height, height === null ? null : shard)];
  return [name, ["in checkpoint ", heightLink(arrival.height, arrival.shard), ` of ${shardName(arrival.shard)}`, arrival.final ? null : ", not certified yet", arrival.status === "arrived" ? null : `: ${meaning}`, back], null];
}

/** Pending, executed, final: done steps are ticked, the present one is named to screen readers. */
function timeline(answer) {
  const { arrival } = answer;
  const hasLanded = Boolean(arrival?.final);
  if (answer.status === "unknown" && arrival) return h("ol", { class: "timeline", "aria-label": "Progress" }, step(arrivalStep(answer), hasLanded, true));
  const executed = { pending: 1, executed: 2, final: 3 }[answer.status] ?? 0;
  const reached = executed === 3 && hasLanded ? 4 : executed;
  if (answer.status === "refused") return h("p", { class: "banner grave" }, h("strong", {}, "Refused. "), answer.refusal ?? "");
  const steps = [
    ["Pending", "accepted by the node, waits to be committed", null],
    ["Executed", answer.height === null ? "a commit orders it and it is applied" : [arrival ? "sent in checkpoint " : "in checkpoint ", heightLink(answer.height, answer.shard), arrival ? ` of ${shardName(answer.shard)}` : null], answer.checkpoint_time_unix_ms],
    ["Final", "a quorum attested the result", null],
  ];
  if (arrival) steps.push(arrivalStep(answer));
  return h("ol", { class: `timeline ${arrival ? "across" : ""}`.trim(), "aria-label": "Progress" }, steps.map((one, index) => step(one, index < reached, index === reached, index === reached - 1)));
}

function step([name, text, at], done, next, current = false) {
  return h("li", { class: done ? "done" : next ? "next" : "", "aria-current": current ? "step" : null },
    h("span", { class: "dot", "aria-hidden": "true" }, done ? "\u2713" : ""), h("strong", {}, name), h("span", { class: "hidden" }, done ? ", done." : ", not yet."),
    h("span", { class: "muted" }, text), at ? h("span", { class: "muted at" }, moment(at)) : null);
}

export function accountView(live, address) {
  if (!isHex(address, 64)) {
    return { title: "Account", element: h("div", {}, heading("Not an address"), h("p", {}, "An address is 64 hexadecimal digits in lower case. ", h("a", { href: `#/search?q=${encodeURIComponent(address)}` }, "Search for it"))) };
  }
  const facts_ = h("div");
  let shard = null;
  const view = loaded(`Account ${short(address)}`, (signal) => get(path("accounts", address), { signal }), (account) => {
    shard = account.shard;
    facts_.replaceChildren(accountFacts(live, account));
    return view.body ?? (view.body = renderAccount(address, account, facts_));
  });
  let at = 0;
  const refresh = () => {
    if (Date.now() - at < 2 * POLL_MS) return;
    at = Date.now();
    get(path("accounts", address)).then((account) => facts_.replaceChildren(accountFacts(live, account)), () => {});
  };
  // Certificates are told of the first shard only; accounts of others are read again in time.
  const isElsewhere = () => live.several && shard !== null && shard !== live.status?.shard;
  const offs = [live.on("certified", () => !isElsewhere() && refresh()), live.on("status", () => isElsewhere() && refresh())];
  const end = view.dispose;
  view.dispose = () => {
    for (const off of offs) off();
    end();
  };
  return view;
}

function accountFacts(live, account) {
  return facts([
    ["Balance", h("strong", { class: "amount" }, whole(account.balance))],
    ["Nonce", whole(account.nonce)],
    account.next_nonce !== account.nonce && ["Next nonce", [whole(account.next_nonce), h("span", { class: "muted" }, " counting what waits")]],
    ["Key that may sign", fullHash(account.key, "the digest of the key")],
    live.several && ["Shard", shardName(account.shard)],
    ["Read at", [heightLink(account.height, account.shard), h("span", { class: "muted" }, " certified")]],
  ]);
}

function renderAccount(address, account, balance) {
  const list = table("Its transactions, newest first", ["Height", "Transaction", "Way", "Other account", { label: "Amount", number: true }, "Outcome"], { empty: "It has sent and received nothing that this node remembers." });
  const row = (one) => {
    const sent = one.sender === address;
    return h("tr", {}, cell(heightLink(one.height, account.shard)), cell(hashLink("tx", one.id)), cell(sent ? badge("out", "sent") : badge("in", "received")), cell(hashLink("account", sent ? one.to : one.sender)), cell(whole(one.amount), "number"), cell(outcomeBadge(one.outcome)));
  };
  return [
    heading("Account", h("span", { class: "title-hash" }, fullHash(address, "the address")), account.exists ? null : badge("off", "does not exist yet")),
    h("div", { class: "columns two" }, panel("State", {}, balance),
      proofPanel(`/v1/accounts/${encodeURIComponent(address)}/proof`, `account-${address.slice(0, 12)}.json`, account.exists ? "its balance and nonce" : "that it does not exist")),
    panel("Transactions", { class: "tight" }, paged(list, `${path("accounts", address)}/transactions`, "transactions", row))];
}
