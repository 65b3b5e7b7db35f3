// One box for heights, rounds, hashes, addresses and names.

import { h } from "./dom.js";
import { get } from "./api.js";
import { isHex } from "./format.js";
import { heading, loaded, panel, shardName, suffix } from "./parts.js";

const ROUTES = { checkpoint: "checkpoint", block: "block", transaction: "tx", account: "account", validator: "validator" };
const NAMES = { checkpoint: "Checkpoint", block: "Block", transaction: "Transaction", account: "Account", validator: "Validator" };

export function searchView(live, _argument, query) {
  // Hashes are lower-case hex; people paste them as they find them.
  const typed = (query.get("q") ?? "").trim();
  const bare = typed.replace(/^0x/i, "").replace(/^#(?=\d+$)/, "").replace(/[\s\u202f,_](?=\d{3}\b)/g, "");
  const text = /^[0-9a-f]{8,}$/i.test(bare) ? bare.toLowerCase() : /^\d+$/.test(bare) ? bare : typed;
  const round = /^(?:round|r)\s*(\d{1,15})$/i.exec(typed);
  if (round) {
    location.replace(`#/dag?round=${round[1]}`);
    return { title: "Search", element: heading("Found it") };
  }
  if (!text) return { title: "Search", element: h("div", {}, heading("Search"), hints()) };
  const view = loaded(`Search for ${typed.slice(0, 40)}`, (signal) => get(`/v1/search?q=${encodeURIComponent(text)}`, { signal }), ({ results = [] }) => {
    const known = results.filter((one) => Object.hasOwn(ROUTES, one.kind));
    const best = only(known, text, live);
    if (best) {
      // Replaced, so that the way back does not lead through here.
      location.replace(address(best, live));
      return heading("Found it");
    }
    return [heading(known.length ? "Several things match" : "Nothing matches", h("span", {}, "Searched for ", h("q", {}, typed.slice(0, 200)))), known.length ? list(known, live) : nothing(text)];
  });
  return view;
}

/** A validator's page is about the first shard; who serves the others stands with the shards. */
const address = (one, live) => {
  if (one.kind === "validator" && !isFirst(one, live)) return "#/shards";
  return `#/${ROUTES[one.kind]}/${encodeURIComponent(one.id)}${["checkpoint", "block"].includes(one.kind) ? suffix(one.shard) : ""}`;
};

const isFirst = (one, live) => !live.several || one.shard === live.status?.shard;

/** The one thing meant: the only result, the checkpoint of that height, or the exact hash or name. */
function only(results, text, live) {
  if (results.length === 1) return results[0];
  const named = (one) => one.kind === "validator" && isFirst(one, live) && live.validators.some((validator) => String(validator.index) === String(one.id) && validator.name === text);
  const exact = results.filter((one) => (one.kind !== "validator" && String(one.id) === text) || named(one));
  // Shards have heights of their own, and what is meant is the reader's to say.
  const heights = /^\d+$/.test(text) ? exact.filter((one) => one.kind === "checkpoint") : [];
  if (heights.length) return heights.length === 1 ? heights[0] : null;
  // An account or a transaction is the same one, whichever shard of the node knows it.
  return new Set(exact.map((one) => `${one.kind}${one.id}`)).size === 1 ? exact[0] : null;
}

function list(results, live) {
  return panel("Results", { class: "tight" }, h("ul", { class: "results" }, results.map((one) => h("li", {}, h("a", { href: address(one, live) }, h("span", { class: "kind" }, NAMES[one.kind]), h("span", { class: "result-title" }, one.title ?? one.id, live.several ? h("span", { class: "muted" }, `, ${shardName(one.shard)}`) : null))))));
}

function nothing(text) {
  const hash = isHex(text, 64);
  return [
    hash ? panel("It looks like a hash", {}, h("p", {}, "This node knows nothing by it. It may be"), h("ul", {}, h("li", {}, h("a", { href: `#/account/${text}` }, "an account that does not exist yet")), h("li", {}, h("a", { href: `#/tx/${text}` }, "a transaction that has not arrived")))) : null,
    hints(),
  ];
}

const hints = () => panel("What can be searched", {}, h("ul", {}, h("li", {}, "a height, such as ", h("code", {}, "1204")), h("li", {}, "a round, written ", h("code", {}, "round 3800")), h("li", {}, "a hash of a checkpoint, block or transaction, whole or its first 8 digits"), h("li", {}, "an account's address"), h("li", {}, "a validator's name")));
