// How the map gets from one layout to the next: a card that splits becomes two that move apart, two
// that merge move onto each other. Prefixes tell which is which, also where the page was not looking
// for several epochs; what changed in the present one is marked on the cards for as long as it lasts.

import { reducedMotion } from "./dom.js";
import { whole } from "./format.js";

const TURN_MS = 1500;
const STANDS = 0.2; // of the time everything stands where it was, so that the eye finds it
const ID = "layout";

/** Moves the cards of a map from where they, or what they came from, were drawn before. */
export function turn(before, after, { ghosts, lanes, done }) {
  if (reducedMotion() || document.hidden) return done();
  const motions = [];
  for (const one of after.shards) {
    const origin = originOf(one, before.shards);
    if (!origin) continue;
    const way = between(before.places.get(origin.shard), after.places.get(one.shard));
    const isNew = origin.shard !== one.shard;
    motions.push(move(after.cards.get(one.shard).card, [{ transform: shifted(way), opacity: isNew ? 0 : 1 }, { transform: shifted(way), opacity: 1, offset: STANDS }, { transform: "none", opacity: 1 }]));
  }
  for (const one of before.shards.filter((gone) => !after.shards.some((kept) => kept.shard === gone.shard))) {
    const heir = originOf(one, after.shards);
    const { card } = before.cards.get(one.shard);
    if (!heir) continue;
    const way = between(after.places.get(heir.shard), before.places.get(one.shard));
    ghosts.append(card);
    motions.push(move(card, [{ transform: "none", opacity: 1 }, { transform: "none", opacity: 1, offset: STANDS }, { transform: shifted(way), opacity: 1, offset: 0.9 }, { transform: shifted(way), opacity: 0 }]));
  }
  // Lanes, and what travels on them, lead from where cards are in the end.
  for (const box of lanes) motions.push(move(box, [{ opacity: 0 }, { opacity: 0, offset: 0.8 }, { opacity: 1 }]));
  Promise.all(motions.map((one) => one.finished)).then(done, done);
}

/**
 * Which of some places each shard gets so that the cards move least: a ring can be entered at any place
 * and either way round. Gives the indices of places in the order of shards.
 */
export function nearestOrder(places, shards, before) {
  const indices = shards.map((_, index) => index);
  const turned = indices.flatMap((start) => [1, -1].map((way) => indices.map((index) => (start + way * index + shards.length) % shards.length)));
  const length = (order) => shards.reduce((sum, one, index) => {
    const from = before.places.get(originOf(one, before.shards)?.shard);
    const { x, y } = from ? between(from, places[order[index]]) : { x: 0, y: 0 };
    return sum + x * x + y * y;
  }, 0);
  const lengths = turned.map(length);
  return turned[lengths.indexOf(Math.min(...lengths))];
}

const move = (element, frames) => element.animate(frames, { id: ID, duration: TURN_MS, easing: "ease-in-out" });

/** The shard of a layout that has a shard's number, or else all of its addresses. */
export function originOf(one, shards) {
  return shards.find((other) => other.shard === one.shard) ?? shards.find((other) => bitsOf(one).startsWith(bitsOf(other)));
}

const bitsOf = ({ prefix }) => prefix.replace("*", "");

const between = (from, to) => ({ x: from.x - to.x, y: from.y - to.y });

const shifted = ({ x, y }) => `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;

/** What the change that an epoch began with did to a shard, in few words. */
export function changeOf(shard, reshardings) {
  for (const one of reshardings) {
    if (one.kind === "split" && one.shard === shard) return `split off ${whole(one.new)}`;
    if (one.kind === "split" && one.new === shard) return `split from ${whole(one.shard)}`;
    if (one.kind === "merge" && one.into === shard) return `merged with ${whole(one.closed)}`;
  }
  return "";
}
