// Transactions and accounts.

import { announce, h } from "./dom.js";
import { get, path } from "./api.js";
import { bytes, isHex, moment, short, whole } from "./format.js";
import { transactionRow } from "./overview.js";
import { badge, cell, copyButton, facts, fullHash, hashLink, heading, heightLink, loaded, none, outcomeBadge, paged, panel, pieces, proofPanel, table } from "./parts.js";

const POLL_MS = 1000;
const STATUS = { pending: ["wait", "pending"], executed: ["wait", "executed"], final: ["good", "final"], refused: ["bad", "refused"], unknown: ["off", "unknown"] };

export function transactionsView() {
  const list = table("Transactions, newest first", ["Transaction", { label: "From", wide: true }, { label: "To", wide: true }, { label: "Amount", number: true }, "Outcome"]);
  return { title: "Transactions", element: h("div", {}, heading("Transactions", "Executed transactions, newest first"), panel("All transactions", { class: "tight" }, paged(list, "/v1/transactions", "transactions", transactionRow))) };
}

export function transactionView(_live, id) {
  let timer = null;
  let told = null;
  const view = loaded(`Transaction ${short(id)}`, (signal) => get(path("transactions", id), { signal }), (answer) => {
    clearTimeout(timer);
    if (!["final", "refused"].includes(answer.status)) timer = setTimeout(() => view.reload(), POLL_MS);
    if (told !== null && told !== answer.status) announce(`The transaction is ${answer.status} now`);
    told = answer.status;
    return renderTransaction(id, answer);
  });
  const end = view.dispose;
  view.dispose = () => {
    clearTimeout(timer);
    end();
  };
  return view;
}

function renderTransaction(id, answer) {
  const [kind, text] = STATUS[answer.status] ?? ["off", String(answer.status)];
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
    heading("Transaction", h("span", { class: "title-hash" }, fullHash(id, "the transaction's id")), badge(kind, text)),
    timeline(answer),
    h("div", { class: "columns two" }, h("div", { class: "stack" }, details ?? unknownPanel(answer)),
      h("div", { class: "stack" }, panel("Where it stands", {}, facts([
        ["Outcome", [outcomeBadge(answer.outcome), answer.outcome?.reason ? h("span", { class: "muted" }, ` ${answer.outcome.reason}`) : null]],
        ["Checkpoint", answer.height === null ? none() : [heightLink(answer.height), `, position ${whole(answer.position)}`]],
        ["Block", answer.block ? hashLink("block", answer.block.digest) : none()],
        answer.refusal && ["Refused", answer.refusal],
      ])), answer.status === "final" ? proofPanel(`/v1/transactions/${encodeURIComponent(id)}/proof`, `transaction-${id.slice(0, 12)}.json`, "that it was executed, and with what outcome") : null))];
}

function unknownPanel(answer) {
  const text = answer.status === "unknown" ? "This node has never seen it, or has forgotten it. It is looked up again every second." : "The node has not told what it asks for.";
  return panel("What it asks for", {}, h("p", { class: "empty" }, text));
}

const accountLink = (address) => h("span", { class: "full-hash" }, h("a", { href: `#/account/${encodeURIComponent(address)}`, class: "hash" }, pieces(address)), copyButton(address, "the address"));

/** Pending, executed, final: done steps are ticked, the present one is named to screen readers. */
function timeline(answer) {
  const reached = { pending: 1, executed: 2, final: 3 }[answer.status] ?? 0;
  if (answer.status === "refused") return h("p", { class: "banner grave" }, h("strong", {}, "Refused. "), answer.refusal ?? "");
  const steps = [
    ["Pending", "accepted by the node, waits to be committed", null],
    ["Executed", answer.height === null ? "a commit orders it and it is applied" : ["in checkpoint ", heightLink(answer.height)], answer.checkpoint_time_unix_ms],
    ["Final", "a quorum attested the result", null],
  ];
  return h("ol", { class: "timeline", "aria-label": "Progress" }, steps.map(([name, text, at], index) => {
    const done = index < reached;
    return h("li", { class: done ? "done" : index === reached ? "next" : "", "aria-current": index === reached - 1 ? "step" : null },
      h("span", { class: "dot", "aria-hidden": "true" }, done ? "\u2713" : ""), h("strong", {}, name), h("span", { class: "hidden" }, done ? ", done." : ", not yet."),
      h("span", { class: "muted" }, text), at ? h("span", { class: "muted at" }, moment(at)) : null);
  }));
}

export function accountView(live, address) {
  if (!isHex(address, 64)) {
    return { title: "Account", element: h("div", {}, heading("Not an address"), h("p", {}, "An address is 64 hexadecimal digits in lower case. ", h("a", { href: `#/search?q=${encodeURIComponent(address)}` }, "Search for it"))) };
  }
  const facts_ = h("div");
  const view = loaded(`Account ${short(address)}`, (signal) => get(path("accounts", address), { signal }), (account) => {
    facts_.replaceChildren(accountFacts(account));
    return view.body ?? (view.body = renderAccount(address, account, facts_));
  });
  let at = 0;
  const off = live.on("certified", () => {
    if (Date.now() - at < 2 * POLL_MS) return;
    at = Date.now();
    get(path("accounts", address)).then((account) => facts_.replaceChildren(accountFacts(account)), () => {});
  });
  const end = view.dispose;
  view.dispose = () => {
    off();
    end();
  };
  return view;
}

function accountFacts(account) {
  return facts([
    ["Balance", h("strong", { class: "amount" }, whole(account.balance))],
    ["Nonce", whole(account.nonce)],
    account.next_nonce !== account.nonce && ["Next nonce", [whole(account.next_nonce), h("span", { class: "muted" }, " counting what waits")]],
    ["Key that may sign", fullHash(account.key, "the digest of the key")],
    ["Read at", [heightLink(account.height), h("span", { class: "muted" }, " certified")]],
  ]);
}

function renderAccount(address, account, balance) {
  const list = table("Its transactions, newest first", ["Height", "Transaction", "Way", "Other account", { label: "Amount", number: true }, "Outcome"], { empty: "It has sent and received nothing that this node remembers." });
  const row = (one) => {
    const sent = one.sender === address;
    return h("tr", {}, cell(heightLink(one.height)), cell(hashLink("tx", one.id)), cell(sent ? badge("out", "sent") : badge("in", "received")), cell(hashLink("account", sent ? one.to : one.sender)), cell(whole(one.amount), "number"), cell(outcomeBadge(one.outcome)));
  };
  return [
    heading("Account", h("span", { class: "title-hash" }, fullHash(address, "the address")), account.exists ? null : badge("off", "does not exist yet")),
    h("div", { class: "columns two" }, panel("State", {}, balance),
      proofPanel(`/v1/accounts/${encodeURIComponent(address)}/proof`, `account-${address.slice(0, 12)}.json`, account.exists ? "its balance and nonce" : "that it does not exist")),
    panel("Transactions", { class: "tight" }, paged(list, `${path("accounts", address)}/transactions`, "transactions", row))];
}
