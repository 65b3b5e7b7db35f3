// The part of the DAG that the page holds: a bounded number of rounds, each with a slot per
// validator. Events bring blocks at once; their parents come with the next fetch.

const MAX_ROUNDS_KEPT = 160;
const NEWEST_KEPT = 72;
const MAX_ROUNDS_FETCHED = 64;

/** A slot holds the block first seen, its siblings if its author equivocated, and the decision. */
const emptySlot = (round, author) => ({ round, author, block: null, siblings: 0, decision: null, leader: false });

export class DagModel {
  /** Of one epoch of a shard, as rounds begin again in each. */
  constructor({ shard = null, epoch = null } = {}) {
    this.shard = shard;
    this.epoch = epoch;
    this.rounds = new Map(); // round -> Map(author -> slot)
    this.byDigest = new Map();
    this.head = 0;
    this.whole = 0; // the newest round up to which parents were fetched
    this.version = 0;
    this.blocks = 0;
  }

  slot(round, author) {
    return this.rounds.get(round)?.get(author);
  }

  open(round, author) {
    let row = this.rounds.get(round);
    if (!row) this.rounds.set(round, (row = new Map()));
    let slot = row.get(author);
    if (!slot) row.set(author, (slot = emptySlot(round, author)));
    return slot;
  }

  /** A block as /v1/blocks gives it, or as light as an event does. */
  put(block) {
    if (!Number.isSafeInteger(block.round) || !block.digest) return;
    const slot = this.open(block.round, block.author);
    let known = this.byDigest.get(block.digest);
    if (!known) {
      known = { round: block.round, author: block.author, digest: block.digest, parents: null, state: "pending", height: null, transactions: 0, evidence: 0 };
      this.byDigest.set(block.digest, known);
      this.blocks += 1;
      if (slot.block) slot.siblings += 1;
      else slot.block = known;
    }
    // An older answer never takes back what an event has told since.
    const committed = known.state === "committed";
    const height = known.height;
    Object.assign(known, block);
    if (committed) {
      known.state = "committed";
      known.height = block.height ?? height;
    }
    if (slot.block !== known && committed) slot.block = known;
    if (block.parents) known.parents = block.parents.map((parent) => parent.digest);
    if (block.leader) slot.leader = true;
    if (block.round > this.head) this.head = block.round;
    this.version += 1;
  }

  /** A whole answer of /v1/blocks. */
  merge(answer) {
    for (const block of answer.blocks ?? []) this.put(block);
    for (const { round, author, decision } of answer.slots ?? []) {
      const slot = this.open(round, author);
      slot.decision = decision;
      slot.leader = true;
    }
    this.version += 1;
  }

  executed({ height, leaders, blocks }) {
    for (const ref of blocks ?? []) {
      if (!this.rounds.has(ref.round)) continue;
      this.put({ round: ref.round, author: ref.author, digest: ref.digest });
      const block = this.byDigest.get(ref.digest);
      block.state = "committed";
      block.height = height;
    }
    for (const ref of leaders ?? []) {
      if (!this.rounds.has(ref.round)) continue;
      const slot = this.open(ref.round, ref.author);
      slot.decision = "commit";
      slot.leader = true;
    }
    this.version += 1;
  }

  skipped({ round, author }) {
    if (!this.rounds.has(round)) return;
    const slot = this.open(round, author);
    slot.decision = "skip";
    slot.leader = true;
    this.version += 1;
  }

  /** Forgets the rounds farthest from what is looked at; the newest stay. */
  trim(from, to) {
    if (this.rounds.size <= MAX_ROUNDS_KEPT) return;
    const distance = (round) => {
      if (round > this.head - NEWEST_KEPT) return -1;
      return round < from ? from - round : Math.max(0, round - to);
    };
    const far = [...this.rounds.keys()].filter((round) => distance(round) > 0).sort((a, b) => distance(b) - distance(a));
    for (const round of far.slice(0, this.rounds.size - MAX_ROUNDS_KEPT)) this.forget(round);
  }

  forget(round) {
    for (const [digest, block] of this.byDigest) {
      if (block.round !== round) continue;
      this.byDigest.delete(digest);
      this.blocks -= 1;
    }
    this.rounds.delete(round);
    this.version += 1;
  }

  /** The rounds within from..=to that are missing or have blocks without parents, or nothing. */
  gaps(from, to) {
    let low = null;
    let high = null;
    for (let round = Math.max(1, from); round <= to; round += 1) {
      const row = this.rounds.get(round);
      const complete = row && [...row.values()].every((slot) => !slot.block || slot.block.parents);
      if (complete) continue;
      low ??= round;
      high = round;
    }
    if (low === null) return null;
    return { from: Math.max(low, high - MAX_ROUNDS_FETCHED + 1), to: high };
  }

  /** The newest leader slot up to which everything held here is decided. */
  frontier() {
    let newest = 0;
    for (const [round, row] of this.rounds) {
      if (round <= newest) continue;
      for (const slot of row.values()) if (slot.decision === "commit") newest = round;
    }
    return newest;
  }

  /** The digests in a block's history, itself included, as far as it is held here. */
  history(digest) {
    const seen = new Set();
    const stack = [digest];
    while (stack.length) {
      const next = stack.pop();
      const block = this.byDigest.get(next);
      if (!block || seen.has(next)) continue;
      seen.add(next);
      for (const parent of block.parents ?? []) stack.push(parent);
    }
    return seen;
  }

  /** Who of the next round votes for a block, and who of the one after certifies it (DESIGN 5.2). */
  support(block, weightOf, quorum) {
    const votes = [];
    for (const slot of this.rounds.get(block.round + 1)?.values() ?? []) {
      if (slot.block?.parents?.includes(block.digest)) votes.push(slot.block);
    }
    const voters = new Map(votes.map((vote) => [vote.digest, weightOf(vote.author)]));
    const certifies = [];
    for (const slot of this.rounds.get(block.round + 2)?.values() ?? []) {
      const weight = (slot.block?.parents ?? []).reduce((sum, parent) => sum + (voters.get(parent) ?? 0), 0);
      if (weight >= quorum) certifies.push(slot.block);
    }
    const weigh = (blocks) => blocks.reduce((sum, one) => sum + weightOf(one.author), 0);
    return { votes: votes.length, voteWeight: weigh(votes), certifies: certifies.length, certifyWeight: weigh(certifies) };
  }
}
