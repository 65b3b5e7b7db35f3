// What the node is doing now: one event stream, a little polling, bounded memory.
//
// The stream says that something happened; lists are fetched anew at most once a second, which
// is as fast as anyone reads. After a gap (reconnected, or told `missed`) everything is fetched.

import { get, pathIn } from "./api.js";
import { sentence } from "./format.js";

const STATUS_EVERY_MS = 1000;
const STATUS_BEHIND_MS = 100; // while the event stream is of another epoch than the status
const VALIDATORS_EVERY_MS = 3000;
const SLOW_EVERY_MS = 30000;
const SHARDS_EVERY_MS = 1000; // while a view shows them
const SILENT_AFTER_MS = 5000;
const MAX_WAITING_HEIGHTS = 512;
const MAX_LATENCIES = 160;
const MAX_INCIDENTS = 20;
const MAX_EVIDENCE = 500;
const EVIDENCE_PAGE = 500; // the most that the node gives at once
const MAX_EVIDENCE_PAGES = 10; // more than the node keeps
const MAX_NEWEST = 32;
const MAX_ROUND_SAMPLES = 61;
const SECONDS_KEPT = 60;
const RETRY_MS = [1000, 15000];
const RENEW_MS = 100; // a stream that ends was of an epoch that has ended
/** How many epochs the page remembers. */
const MAX_EPOCHS = 32;
const MAX_COMMITTEES = 64; // of earlier epochs
const EVENTS = ["about", "block", "executed", "skipped", "certified", "evidence", "isolated", "peer", "missed", "epoch"];
/** What names a round, or a place in the committee, means something in its epoch only. */
const OF_EPOCH = ["block", "executed", "skipped", "certified", "evidence", "isolated"];

export class Live {
  constructor() {
    this.status = null;
    this.validators = [];
    this.evidence = [];
    this.isolated = new Set();
    this.stream = "connecting"; // connecting | open | renewing | lost
    this.about = null; // the shard and the epoch that the stream is about
    this.network = null; // what /v1/shards says: {epoch, reshardings, shards, lanes, supply}
    this.committees = new Map(); // of earlier epochs: "shard:epoch" to a promise of who served
    this.epochs = []; // those seen since the page was opened, the newest first
    this.unreachable = null; // the ApiError, while the node does not answer
    this.elsewhere = null; // the ApiError of a node without a shard of its own
    this.answeredAt = 0;
    this.clockAhead = 0; // this browser's clock minus the node's
    this.latencies = [];
    this.perSecond = []; // {second, transactions, rounds}
    this.incidents = []; // newest first: {kind, text, from, to}
    this.listeners = new Map();
    this.executedAt = new Map();
    this.rounds = []; // {at, round} of the last seconds
    this.newest = []; // {height, transactions} of the newest executed checkpoints
    this.certifiedAt = 0;
    this.wantsBlocks = 0;
    this.wantsShards = 0;
    this.retry = RETRY_MS[0];
  }

  start() {
    this.connect();
    this.pollStatus();
    this.pollValidators();
    this.pollEvidence();
    this.pollShards();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.tell("gap");
    });
  }

  /** Calls `listener` on "change" (at most once a frame), "gap", "status" or an event's name. */
  on(kind, listener) {
    if (!this.listeners.has(kind)) this.listeners.set(kind, new Set());
    this.listeners.get(kind).add(listener);
    return () => this.listeners.get(kind).delete(listener);
  }

  tell(kind, detail) {
    for (const listener of this.listeners.get(kind) ?? []) listener(detail);
  }

  changed() {
    if (this.pending) return;
    this.pending = true;
    const run = () => {
      this.pending = false;
      this.watch();
      this.tell("change");
    };
    if (document.hidden) setTimeout(run, 500);
    else requestAnimationFrame(run);
  }

  /** Block events are many; they are asked for only while something draws them. */
  needBlocks() {
    this.wantsBlocks += 1;
    if (this.wantsBlocks === 1) this.connect();
    return () => {
      this.wantsBlocks -= 1;
      // A change of view releases and asks again at once: decide after it.
      setTimeout(() => {
        if (this.wantsBlocks === 0 && this.streamed.includes("blocks")) this.connect();
      }, 1000);
    };
  }

  /** Remembers an epoch, with what is different from the one before. */
  inEpoch({ epoch, reshardings, began, shards }) {
    if (this.epochs[0]?.epoch === epoch) return;
    const isNews = this.epochs.length > 0;
    const committees = shards.map((one) => ({ shard: one.shard, names: one.committee.map((seat) => seat.name) }));
    this.epochs.unshift({ epoch, reshardings, began, committees });
    if (this.epochs.length > MAX_EPOCHS) this.epochs.pop();
    if (isNews) this.tell("turn", this.epochs[0]);
  }

  /** Whether committees are drawn anew from time to time. */
  get hasEpochs() {
    return this.network !== null && (this.network.epoch > 0 || this.network.began !== null);
  }

  /** Where all shards stand is asked for each second only while something shows it. */
  needShards() {
    this.wantsShards += 1;
    this.pollShards();
    return () => (this.wantsShards -= 1);
  }

  /** Whether the network has more than one shard. */
  get several() {
    return (this.network?.shards.length ?? 0) > 1;
  }

  /** What links to things that only a shard has a name for carry, where there are several. */
  get suffix() {
    return this.several && this.status ? `?shard=${this.status.shard}` : "";
  }

  /** This store as a view of another shard needs it: that committee, and the same listeners. */
  of(shard) {
    const one = this.network?.shards.find((one) => one.shard === shard);
    if (!one || !this.status || shard === this.status.shard) return this;
    const committee = { total_weight: one.total_weight, quorum_weight: one.quorum_weight };
    return this.as({ shard, epoch: one.epoch, committee }, one.committee.map((seat) => ({ ...seat, index: seat.seat })));
  }

  /**
   * This store as a view of an earlier epoch needs it: the committee of then, or nobody if it is not
   * kept. Fails if it could not be asked for.
   */
  async at(shard, epoch) {
    const now = this.of(shard);
    if (!this.status) return now;
    const of = shard ?? now.status.shard;
    if (now.isOf({ shard: of, epoch })) return now;
    const key = `${of}:${epoch}`;
    if (!this.committees.has(key)) {
      const asked = get(pathIn(this.several ? of : null, "committees", epoch)).catch((error) => {
        // That of an epoch which is not over here may be there in a moment.
        if (error.status !== 404 || epoch >= this.status.epoch) this.committees.delete(key);
        if (error.status !== 404) throw error;
        return { members: [] };
      });
      this.committees.set(key, asked);
      if (this.committees.size > MAX_COMMITTEES) this.committees.delete(this.committees.keys().next().value);
    }
    const { members, ...committee } = await this.committees.get(key);
    return this.as({ shard: of, epoch, committee }, members);
  }

  as(station, validators, isolated = new Set()) {
    return Object.assign(Object.create(this), { validators, isolated, status: { ...this.status, ...station } });
  }

  /** How a validator is called; its place says nothing outside of its shard and epoch. */
  nameOf(index) {
    return this.validators.find((one) => one.index === index)?.name ?? `validator ${index}`;
  }

  isOf({ shard, epoch }) {
    return this.status !== null && this.status.shard === shard && this.status.epoch === epoch;
  }

  connect() {
    const topics = `${this.wantsBlocks > 0 ? "blocks," : ""}checkpoints,evidence,peers`;
    if (this.source && this.source.readyState !== EventSource.CLOSED && this.streamed === topics) return;
    clearTimeout(this.reconnect);
    this.source?.close();
    this.streamed = topics;
    const source = new EventSource(`/v1/events?topics=${topics}`);
    this.source = source;
    source.onopen = () => {
      this.stream = "open";
      this.retry = RETRY_MS[0];
      this.tell("gap");
      this.changed();
    };
    source.onerror = () => {
      if (source !== this.source) return;
      const wasOpen = this.stream === "open";
      this.stream = wasOpen ? "renewing" : "lost";
      this.changed();
      source.close();
      if (wasOpen) this.pollStatus();
      this.reconnect = setTimeout(() => this.connect(), (wasOpen ? RENEW_MS : this.retry) * (0.75 + Math.random() / 2));
      if (!wasOpen) this.retry = Math.min(this.retry * 2, RETRY_MS[1]);
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        let detail;
        try {
          detail = JSON.parse(event.data);
        } catch {
          return;
        }
        this.take(name, detail);
      });
    }
  }

  take(name, detail) {
    const now = performance.now();
    if (OF_EPOCH.includes(name) && !(this.about && this.isOf(this.about))) return;
    if (name === "about") {
      this.about = detail;
      if (!this.isOf(detail)) this.pollStatus();
    } else if (name === "executed") {
      this.executedAt.set(detail.height, now);
      if (this.executedAt.size > MAX_WAITING_HEIGHTS) this.executedAt.delete(this.executedAt.keys().next().value);
      this.newest.push({ height: detail.height, transactions: Number(detail.transactions) || 0 });
      if (this.newest.length > MAX_NEWEST) this.newest.shift();
      this.bucket().transactions += Number(detail.transactions) || 0;
      if (this.status && detail.height > this.status.height) this.status.height = detail.height;
    } else if (name === "certified") {
      this.certified(detail.height, now);
    } else if (name === "evidence") {
      this.pollEvidence();
    } else if (name === "isolated") {
      this.isolated.add(detail.index);
      this.pollValidators();
    } else if (name === "peer") {
      const validator = this.validators.find((one) => one.index === detail.index);
      if (validator) validator.connected = detail.connected;
    } else if (name === "epoch") {
      // A question that was under way may have been answered before.
      this.pollShards().then(() => this.network?.epoch < detail.epoch && this.pollShards());
      this.pollValidators();
    } else if (name === "missed") {
      this.tell("gap");
    }
    this.tell(name, detail);
    this.changed();
  }

  certified(height, now) {
    this.certifiedAt = now;
    for (const [executed, at] of this.executedAt) {
      if (executed > height) continue;
      this.latencies.push(now - at);
      this.executedAt.delete(executed);
    }
    if (this.latencies.length > MAX_LATENCIES) this.latencies.splice(0, this.latencies.length - MAX_LATENCIES);
    if (this.status && height > this.status.certified_height) this.status.certified_height = height;
  }

  bucket() {
    const second = Math.floor(Date.now() / 1000);
    let last = this.perSecond.at(-1);
    while (!last || last.second < second) {
      const next = last && second - last.second < SECONDS_KEPT ? last.second + 1 : second;
      last = { second: next, transactions: 0 };
      this.perSecond.push(last);
    }
    if (this.perSecond.length > SECONDS_KEPT) this.perSecond.splice(0, this.perSecond.length - SECONDS_KEPT);
    return last;
  }

  /** Asks once at a time, so that no older answer comes after a newer one. */
  pollStatus() {
    this.asking ??= this.askStatus().finally(() => (this.asking = null));
    return this.asking;
  }

  async askStatus() {
    clearTimeout(this.statusTimer);
    try {
      const status = await get("/v1/status", { timeout: 6000 });
      this.answeredAt = Date.now();
      if (status.now_unix_ms) this.clockAhead = Date.now() - status.now_unix_ms;
      const before = this.status;
      if (this.isOf(status) || (await this.enter(status))) this.takeStatus(status, before);
      if (this.unreachable) {
        this.unreachable = null;
        this.tell("gap");
      }
    } catch (error) {
      // A node without a seat answers well, and says who has some.
      this.elsewhere = error.misdirected ? error : null;
      this.unreachable = error.misdirected ? null : error;
    }
    this.changed();
    clearTimeout(this.statusTimer);
    const isBehind = this.about && this.stream === "open" && !this.isOf(this.about);
    this.statusTimer = setTimeout(() => this.pollStatus(), document.hidden ? 5000 : isBehind ? STATUS_BEHIND_MS : STATUS_EVERY_MS);
  }

  takeStatus(status, before) {
    this.status = status;
    this.elsewhere = null;
    if (!this.certifiedAt || status.certified_height > (before?.certified_height ?? 0)) this.certifiedAt = performance.now();
    this.rounds.push({ at: performance.now(), round: status.round });
    if (this.rounds.length > MAX_ROUND_SAMPLES) this.rounds.shift();
    this.bucket();
    this.tell("status", status);
  }

  /**
   * The node's first shard is in another epoch, or it is another shard: rounds begin again, and there
   * is another committee. Both come at once, so that nothing is shown under a wrong name.
   */
  async enter(status) {
    const answer = await get("/v1/validators");
    if (answer.shard !== status.shard || answer.epoch !== status.epoch) return false; // it has gone on
    const before = this.status && this.as({}, this.validators, this.isolated);
    const isOther = before?.status.shard !== status.shard;
    this.status = status;
    this.validators = answer.validators;
    this.isolated = new Set(this.validators.filter((one) => one.isolated).map((one) => one.index));
    this.rounds = [];
    this.certifiedAt = 0;
    if (isOther) {
      // Heights of another shard, and places in its committee.
      this.newest = [];
      this.latencies = [];
      this.executedAt.clear();
      if (before) {
        this.evidence = [];
        this.pollEvidence();
      }
    }
    if (this.stream === "lost") {
      // There was nothing to follow while the node had no shard.
      this.retry = RETRY_MS[0];
      this.connect();
    }
    if (before) this.tell("station", before);
    this.tell("validators");
    return true;
  }

  async pollValidators() {
    clearTimeout(this.validatorsTimer);
    try {
      const answer = await get("/v1/validators");
      if (this.isOf(answer)) {
        this.validators = answer.validators;
        for (const one of this.validators) if (one.isolated) this.isolated.add(one.index);
        this.tell("validators");
        this.changed();
      } else {
        this.pollStatus();
      }
    } catch {
      // The status poll says so.
    }
    clearTimeout(this.validatorsTimer);
    this.validatorsTimer = setTimeout(() => this.pollValidators(), VALIDATORS_EVERY_MS);
  }

  /** Once at a time, as the status. */
  pollShards() {
    this.askingShards ??= this.askShards().finally(() => (this.askingShards = null));
    return this.askingShards;
  }

  async askShards() {
    clearTimeout(this.shardsTimer);
    try {
      const { shards = [], lanes = [], supply = null, epoch = 0, reshardings = [], began_unix_ms: began = null } = await get("/v1/shards", { timeout: 6000 });
      if (epoch >= (this.network?.epoch ?? 0)) {
        this.network = { epoch, reshardings, began, shards, lanes, supply };
        this.inEpoch({ epoch, reshardings, began, shards });
        this.tell("shards", this.network);
      }
    } catch {
      // The status poll says so.
    }
    clearTimeout(this.shardsTimer);
    this.shardsTimer = setTimeout(() => this.pollShards(), !this.network ? VALIDATORS_EVERY_MS : this.wantsShards && !document.hidden ? SHARDS_EVERY_MS : SLOW_EVERY_MS);
  }

  async pollEvidence() {
    clearTimeout(this.evidenceTimer);
    try {
      const evidence = await allEvidence();
      const newest = (one) => one.height ?? Infinity; // what is not committed yet is the newest
      this.evidence = evidence.sort((a, b) => newest(b) - newest(a) || 0).slice(0, MAX_EVIDENCE);
      this.changed();
    } catch {
      // The status poll says so.
    }
    this.evidenceTimer = setTimeout(() => this.pollEvidence(), SLOW_EVERY_MS);
  }

  /** The weight this node can exchange messages with, itself included, and what it needs. */
  reach() {
    const total = this.status?.committee?.total_weight ?? this.validators.reduce((sum, one) => sum + one.weight, 0);
    const quorum = this.status?.committee?.quorum_weight ?? NaN;
    const up = this.validators.filter((one) => one.own || one.connected);
    return { total, quorum, weight: up.reduce((sum, one) => sum + one.weight, 0), up: up.length, size: this.validators.length };
  }

  /** Rounds per second between each two status answers, oldest first. */
  roundRates() {
    const rates = [];
    for (let at = 1; at < this.rounds.length; at += 1) {
      const [before, after] = [this.rounds[at - 1], this.rounds[at]];
      rates.push(Math.max(0, ((after.round - before.round) * 1000) / (after.at - before.at)));
    }
    return rates;
  }

  roundsPerSecond() {
    const recent = this.rounds.slice(-11);
    const [first, last] = [recent[0], recent.at(-1)];
    return first && last.at > first.at ? Math.max(0, (last.round - first.round) * 1000) / (last.at - first.at) : NaN;
  }

  transactionsPerSecond(seconds = 5) {
    const full = this.perSecond.slice(-seconds - 1, -1);
    return full.length ? full.reduce((sum, one) => sum + one.transactions, 0) / full.length : NaN;
  }

  /** Notes when trouble starts and ends. */
  watch() {
    const trouble = this.trouble();
    const open = this.incidents.find((one) => one.to === null);
    if (open && open.kind !== trouble?.kind) open.to = Date.now();
    if (trouble && open?.kind !== trouble.kind) {
      this.incidents.unshift({ ...trouble, from: Date.now(), to: null });
      this.incidents.length = Math.min(this.incidents.length, MAX_INCIDENTS);
    } else if (trouble && open) {
      open.text = trouble.text;
    }
  }

  /** What is wrong with the network as this node sees it, if anything; the gravest first. */
  trouble() {
    const status = this.status;
    if (this.unreachable) return { kind: "unreachable", text: "What you see is the last it said. It is asked again every second." };
    if (this.elsewhere) return { kind: "elsewhere", text: `${sentence(this.elsewhere.message)} ${sentence(this.elsewhere.remedy)}` };
    if (!status) return null;
    if (status.stopped) return { kind: "stopped", text: `The node stopped: ${status.stopped}` };
    const { weight, quorum, total, up, size } = this.reach();
    if (size > 0 && weight < quorum) {
      return { kind: "partition", text: `This node reaches ${up} of ${size} validators, ${Math.round((100 * weight) / total)}% of the weight. A quorum needs more than two thirds.` };
    }
    if (status.recovering) return { kind: "recovering", text: "The node is finding out what it signed before it lost its disk." };
    if (status.synchronising) return { kind: "synchronising", text: "The node is fetching state from the others." };
    const silent = performance.now() - this.certifiedAt;
    if (this.certifiedAt && silent > SILENT_AFTER_MS) {
      return { kind: "silent", text: "No checkpoint has been certified for some seconds, though a quorum is connected." };
    }
    return null;
  }
}

/** All evidence, by digest: the newest may be on any page. */
async function allEvidence() {
  const all = [];
  let before = "";
  for (let page = 0; page < MAX_EVIDENCE_PAGES; page++) {
    const { evidence = [], next = null } = await get(`/v1/evidence?limit=${EVIDENCE_PAGE}${before}`);
    all.push(...evidence);
    if (!next) break;
    before = `&before=${encodeURIComponent(next)}`;
  }
  return all;
}
