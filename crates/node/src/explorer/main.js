// Starts the page: routes, the frame around the views, and the banner that says what is wrong.

import { h, fill, say, mark, announce, svg } from "./dom.js";
import { Live } from "./live.js";
import { tick, use, heading } from "./parts.js";
import { duration, short, whole } from "./format.js";
import { overview } from "./overview.js";
import { dagView } from "./dag.js";
import { blockView, checkpointView, checkpointsView } from "./chain.js";
import { accountView, transactionView, transactionsView } from "./transaction.js";
import { evidenceView, validatorView, validatorsView } from "./network.js";
import { searchView } from "./search.js";
import { shardsView } from "./shards.js";
import { turnText } from "./epochs.js";

const live = new Live();
use(live);

const VIEWS = {
  "": overview, dag: dagView, checkpoints: checkpointsView, checkpoint: checkpointView, block: blockView, transactions: transactionsView, tx: transactionView,
  account: accountView, validators: validatorsView, validator: validatorView, evidence: evidenceView, search: searchView, shards: shardsView,
};

const NAV = [["", "Overview"], ["dag", "DAG"], ["checkpoints", "Checkpoints"], ["transactions", "Transactions"], ["validators", "Validators"], ["evidence", "Evidence"]];
const PARENTS = { checkpoint: "checkpoints", block: "dag", tx: "transactions", account: "transactions", validator: "validators" };

const main = document.getElementById("main");
let view = null;

/** `#/kind/argument?name=value`; anything else is not a route. */
function parseHash() {
  const text = location.hash.replace(/^#\/?/, "");
  const [path, query = ""] = text.split("?");
  const [kind = "", argument = ""] = path.split("/");
  let decoded = argument;
  try {
    decoded = decodeURIComponent(argument);
  } catch {
    // A broken escape is taken as it stands.
  }
  return { kind, argument: decoded, query: new URLSearchParams(query) };
}

function show(moved) {
  const { kind, argument, query } = parseHash();
  view?.dispose?.();
  const make = Object.hasOwn(VIEWS, kind) && (kind !== "shards" || hasShards()) ? VIEWS[kind] : missing;
  view = make(live, argument, query);
  fill(main, view.element);
  document.title = `${view.title} \u00b7 ${live.status?.chain_name ?? "qcn"} explorer`;
  for (const link of document.querySelectorAll("#nav a")) mark(link, "aria-current", link.dataset.kind === (PARENTS[kind] ?? kind) ? "page" : null);
  document.getElementById("search-text").value = kind === "search" ? query.get("q") ?? "" : "";
  if (!moved) return;
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

/** Where there is more than one shard, or may come to be, there is a view of them. */
const hasShards = () => live.several || live.hasEpochs;

function missing() {
  return { title: "Not found", element: h("div", {}, heading("There is no such view"), h("p", {}, "The address leads nowhere. ", h("a", { href: "#/" }, "Go to the overview"), " or search for a height, hash, address or name.")) };
}

// The frame ------------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];
const THEME_SIGNS = {
  auto: "M8 1.7a6.3 6.3 0 1 0 0 12.6a6.3 6.3 0 0 0 0-12.6z",
  light: "M8 4.8a3.2 3.2 0 1 0 0 6.4a3.2 3.2 0 0 0 0-6.4zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M3 13l1.2-1.2M11.8 4.2L13 3",
  dark: "M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z",
};

function themeButton() {
  const button = document.getElementById("theme");
  const current = () => document.documentElement.dataset.theme ?? "auto";
  const label = () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    const name = { auto: "as the system", light: "light", dark: "dark" };
    mark(button, "aria-label", `Colours: ${name[current()]}. Change to ${name[next]}.`);
    mark(button, "title", `Colours: ${name[current()]}`);
    fill(button, svg("svg", { viewBox: "0 0 16 16", width: 18, height: 18, "aria-hidden": "true", }, svg("path", { d: THEME_SIGNS[current()] }),
      current() === "auto" ? svg("path", { class: "half", d: "M8 1.7a6.3 6.3 0 0 1 0 12.6z" }) : null));
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("qcn-theme", next);
    } catch {
      // It lasts until the page is closed.
    }
    label();
    document.dispatchEvent(new Event("qcn-theme"));
  });
  label();
}

function frame() {
  fill(document.getElementById("nav"), NAV.map(([kind, text]) => h("li", {}, h("a", { href: `#/${kind}`, "data-kind": kind }, text))));
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    (main.querySelector("h1") ?? main).focus();
  });
  const input = document.getElementById("search-text");
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) location.hash = `#/search?q=${encodeURIComponent(text)}`;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName)) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  themeButton();
}

const STREAM = { connecting: ["wait", "Connecting"], open: ["good", "Live"], renewing: ["good", "Live"], lost: ["warn", "Reconnecting"] };

function showFrame() {
  const { status } = live;
  const state = document.getElementById("link-state");
  const [kind, text] = live.unreachable ? ["bad", "No answer"] : live.elsewhere ? ["wait", "No shard"] : STREAM[live.stream];
  mark(state, "class", `link-state ${kind}`);
  say(state, text);
  document.body.classList.toggle("stale", Boolean(live.unreachable));
  if (!status) return;
  say(document.getElementById("chain-name"), status.chain_name ?? "");
  showCount(live.evidence.length);
  const foot = document.getElementById("foot");
  const key = `${status.chain_id}${status.version}${status.validator?.index}`;
  if (foot.dataset.key === key) return;
  foot.dataset.key = key;
  if (view) document.title = `${view.title} \u00b7 ${status.chain_name ?? "qcn"} explorer`;
  fill(foot, h("span", {}, "Served by ", h("a", { href: `#/validator/${status.validator?.index ?? 0}` }, status.validator?.name ?? "this node")), h("span", {}, `qcn ${status.version}`),
    h("span", {}, "Chain ", h("code", { title: status.chain_id }, short(status.chain_id, 8))),
    h("nav", { "aria-label": "Machine-readable" }, h("a", { href: "/openapi.json" }, "API"), h("a", { href: "/metrics" }, "Metrics"), h("a", { href: "/v1/genesis", download: "genesis.json" }, "Genesis")));
}

/** Evidence is news on every page: its number stands in the navigation. */
function showCount(number) {
  const link = document.querySelector('#nav [data-kind="evidence"]');
  if (link.dataset.count === String(number)) return;
  link.dataset.count = number;
  fill(link, "Evidence", number ? [h("span", { class: "hidden" }, ", proofs: "), h("span", { class: "count" }, whole(number))] : null);
}

function showShardsLink() {
  const nav = document.getElementById("nav");
  if (!hasShards() || nav.querySelector('[data-kind="shards"]')) return;
  const link = h("a", { href: "#/shards", "data-kind": "shards", "aria-current": parseHash().kind === "shards" ? "page" : null }, "Shards");
  nav.querySelector('[data-kind="dag"]').parentElement.after(h("li", {}, link));
}

let bannerKind = null;

/** One banner, for the gravest trouble; screen readers hear when it comes and goes. */
function showBanner() {
  const trouble = live.trouble();
  const banners = document.getElementById("banners");
  if ((trouble?.kind ?? null) !== bannerKind) {
    if (trouble) announce(`${TITLES[trouble.kind] ?? trouble.kind}. ${trouble.text}`);
    else if (bannerKind) announce("The network is well again");
    bannerKind = trouble?.kind ?? null;
    fill(banners, trouble ? bannerFor(trouble) : null);
  }
  if (!trouble) return;
  const incident = live.incidents.find((one) => one.to === null);
  say(banners.querySelector(".banner-text"), trouble.text);
  say(banners.querySelector(".banner-time"), incident ? duration(Date.now() - incident.from) : "");
}

const TITLES = { elsewhere: "No shard here", unreachable: "The node does not answer", stopped: "The node stopped", partition: "Cut off from a quorum", recovering: "Recovering", synchronising: "Synchronising", silent: "Finality stands still" };

function bannerFor({ kind }) {
  const calm = kind === "elsewhere" || kind === "recovering" || kind === "synchronising";
  const hint = kind === "elsewhere" ? "The shards and their committees are shown all the same." : kind === "partition" ? "Nothing becomes final here until it heals; reads go on." : "";
  return h("div", { class: `banner ${calm ? "calm" : "grave"}` }, h("span", { class: "banner-sign", "aria-hidden": "true" }, calm ? "\u21bb" : "\u25b2"),
    h("p", {}, h("strong", {}, TITLES[kind] ?? kind), " ", h("span", { class: "banner-text" }), hint ? ` ${hint}` : ""), h("span", { class: "banner-time" }),
    kind === "unreachable" ? h("button", { type: "button", class: "button", onclick: () => live.pollStatus() }, "Try now") : null);
}

frame();
live.on("change", () => {
  showFrame();
  showBanner();
});
live.on("evidence", ({ accused, offence }) => announce(`New evidence against ${live.nameOf(accused)}: ${offence}`));
// A change of the layout is news on every page; that committees are drawn anew is where they are shown.
live.on("turn", (turn) => (turn.reshardings.length || parseHash().kind === "shards") && announce(turnText(turn)));
addEventListener("hashchange", () => show(true));
setInterval(tick, 1000);
live.start();

// Views name validators, so the committee comes first; a node that does not answer gets its view
// (and the banner) after a moment, and the names when it does.
let started = false;
function begin() {
  if (started) return;
  started = true;
  show(false);
}
const FIRST_ANSWER_MS = 2500;
setTimeout(begin, FIRST_ANSWER_MS);
live.on("change", () => {
  if (live.unreachable || (live.elsewhere && live.network)) begin();
});
live.on("shards", showShardsLink);
const offs = ["validators", "shards"].map((kind) => live.on(kind, () => {
  const hasShard = live.status && live.validators.length;
  if (!live.network || !(hasShard || live.elsewhere)) return;
  for (const off of offs) off();
  if (started) show(false);
  else begin();
}));
