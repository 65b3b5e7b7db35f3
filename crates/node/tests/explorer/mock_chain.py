"""A plausible network for the explorer's mock server: seven validators, a DAG, a commit rule.

It is not the protocol. It plays what the page must show: leaders that commit, leaders that are
skipped, an equivocation with its evidence and isolation, and partitions, all from one seed.
"""

import hashlib
import random
import threading
import time
from collections import OrderedDict, deque

from mock_epochs import Epochs

NAMES = ["amsterdam-0", "ashburn-1", "frankfurt-2", "singapore-3", "<script>alert(1)</script>", "sao-paulo-5", "tokyo-6"]
WEIGHTS = [1600, 1400, 1250, 1100, 1000, 900, 700]
WAITING = [("oslo-7", 1050), ("oslo-7", 950)]  # names need not be unique
EQUIVOCATOR = 5
ROUNDS_KEPT = 4_000
CHECKPOINTS_KEPT = 5_000
GENESIS_SUPPLY = 18_446_744_073_709_551_615  # the largest u64: more than a float can hold


def digest(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


class Chain:
    """All state, behind one lock; `step` plays one round, `turn` begins another epoch."""

    def __init__(self, seed=7, validators=7, rate=4.0, load=40.0, shards=1):
        self.lock = threading.RLock()
        self.random = random.Random(seed)
        self.seed, self.rate, self.load = seed, rate, load
        self.size = validators
        committee = [(NAMES[i] if i < len(NAMES) else f"validator-{i}", WEIGHTS[i] if i < len(WEIGHTS) else 1000) for i in range(validators)]
        self.pool = [(*one, number) for number, one in enumerate(committee + WAITING)]  # who may serve in a later epoch
        self.form(self.pool[:validators])
        self.rounds = OrderedDict()
        self.blocks = {}
        self.slots = {}
        self.leaders = {}
        self.round = 0
        self.decided = 0
        self.height = self.certified = 0
        self.checkpoints = OrderedDict()
        self.transactions = OrderedDict()
        self.waiting = deque()
        self.evidence = []
        self.isolated = set()
        self.partitioned = self.frozen = False
        self.subscribers = {}  # by identity: queues that are equal are not the same
        self.nonces = {}
        self.balances = {}
        self.accounts = [digest("account", i) for i in range(40)]
        for account in self.accounts:
            self.balances[account] = GENESIS_SUPPLY // 50
        self.counters = [dict(blocks=0, led=0, skipped=0, last=0) for _ in range(validators)]
        self.chain_id = digest("genesis", seed)
        self.shard = 0
        self.network = Epochs(shards, self.now_ms())
        self.past = {}  # epoch to its rounds, slots, names and weights

    # What happens ------------------------------------------------------------------------------

    def publish(self, name, data):
        for queue in list(self.subscribers.values()):
            queue.append((name, data))

    def now_ms(self):
        return int(time.time() * 1000)

    def connected(self, index):
        if index == self.own:
            return True
        return not (self.partitioned and index in (1, 2, 3, 4))

    def turn(self):
        """Somebody else serves, all have other places, and rounds begin again; heights go on."""
        with self.lock:
            network = self.network
            if not network.is_announced:
                network.announce(None, self.size, self.now_ms())
            self.past[network.epoch] = (self.rounds, self.slots, self.names, self.weights)
            network.begin()
            self.rounds, self.slots, self.leaders, self.isolated = OrderedDict(), {}, {}, set()
            self.round = self.decided = 0
            self.form(self.draw())
            self.counters = [dict(blocks=0, led=0, skipped=0, last=0) for _ in range(self.size)]
            self.publish("epoch", dict(epoch=network.epoch, reshardings=network.reshardings()))
            self.subscribers.clear()  # what follows is for streams of this epoch

    def draw(self):
        """The next committee: this node's validator, and others in turn."""
        self.pool = self.pool[2:] + self.pool[:2]
        others = [one for one in self.pool if one[2] != 0][:self.size - 1]
        own = next(one for one in self.pool if one[2] == 0)
        place = self.network.epoch % self.size
        return others[:place] + [own] + others[place:]

    def form(self, committee):
        self.names, self.weights, self.numbers = map(list, zip(*committee))
        self.own = self.numbers.index(0)
        self.total = sum(self.weights)
        self.fault = (self.total - 1) // 3
        self.quorum = self.total - self.fault

    def step(self):
        with self.lock:
            if self.frozen:
                return
            self.submit()
            reachable = sum(w for i, w in enumerate(self.weights) if self.connected(i))
            if reachable < self.quorum:
                return
            self.round += 1
            self.propose()
            self.decide()

    def submit(self):
        for _ in range(int(self.load / self.rate * self.random.uniform(0.4, 1.6))):
            sender, to = self.random.sample(self.accounts, 2)
            nonce = self.nonces.get(sender, 0)
            self.nonces[sender] = nonce + 1
            identity = digest("tx", self.seed, sender, nonce)
            scheme = self.random.choice(["falcon-512", "ml-dsa-44"])
            self.transactions[identity] = dict(
                id=identity, sender=sender, to=to, nonce=nonce, amount=self.random.choice([5, 250, 12_000, 9_007_199_254_740_993]),
                scheme=scheme, bytes=1_700 if scheme == "falcon-512" else 3_850, height=None, position=None, outcome=None, block=None)
            self.waiting.append(identity)
        while len(self.transactions) > 20_000:
            self.transactions.popitem(last=False)

    def leader_of(self, round_):
        if round_ not in self.leaders:
            allowed = [i for i in range(self.size) if i not in self.isolated]
            self.leaders[round_] = self.random.choices(allowed, [self.weights[i] for i in allowed])[0]
        return self.leaders[round_]

    def propose(self):
        self.leader_of(self.round)
        previous = self.rounds.get(self.round - 1, {})
        row = {}
        late = self.random.randrange(self.size) if self.random.random() < 0.12 else None
        for author in range(self.size):
            missed = author == late or (author == self.size - 1 and self.random.random() < 0.15)
            if missed and sum(self.weights[a] for a in row) + sum(self.weights[author + 1:]) >= self.quorum:
                continue
            parents = self.parents(author, previous)
            take = [self.waiting.popleft() for _ in range(min(len(self.waiting), 1 + len(self.waiting) // self.size))]
            block = dict(epoch=self.network.epoch, round=self.round, author=author, digest=digest("block", self.seed, self.network.epoch, self.round, author), parents=parents,
                         ids=take, attestations=1 if self.height else 0, evidence=0, time_unix_ms=self.now_ms(), height=None)
            for identity in take:
                self.transactions.get(identity, {})["block"] = self.ref(block)
            row[author] = block
            self.blocks[block["digest"]] = block
            self.counters[author]["blocks"] += 1
            self.counters[author]["last"] = self.round
        self.rounds[self.round] = row
        if (self.round == 30 and self.network.epoch == 0) or self.round % 900 == 0:
            self.equivocate(row)
        for block in row.values():
            self.publish("block", {"block": {**self.ref(block), "transactions": len(block["ids"])}})
        while len(self.rounds) > ROUNDS_KEPT:
            for block in self.rounds.popitem(last=False)[1].values():
                self.blocks.pop(block["digest"], None)

    def parents(self, author, previous):
        order = sorted(previous.values(), key=lambda block: (block["author"] != author, block["author"]))
        kept, weight = [], 0
        slow = self.leader_of(self.round - 1) if self.round > 1 and self.random_of_round(self.round - 1) < 0.1 else None
        everyone = sum(self.weights[b["author"]] for b in order)
        for block in order:
            leave = block["author"] == slow and author != slow
            if leave and everyone - self.weights[block["author"]] >= self.quorum:
                continue
            if weight >= self.quorum and self.random.random() < 0.18:
                continue
            kept.append(self.ref(block))
            weight += self.weights[block["author"]]
        return kept

    def random_of_round(self, round_):
        return random.Random(self.seed * 1_000_003 + round_).random()

    def equivocate(self, row):
        if EQUIVOCATOR >= self.size or EQUIVOCATOR in self.isolated:
            return
        first = row.get(EQUIVOCATOR)
        if first:
            twin = dict(first, digest=digest("twin", self.seed, self.round), ids=[])
            self.blocks[twin["digest"]] = twin
            row[f"twin-{EQUIVOCATOR}"] = twin
        reporter = row.get(0) or next(iter(row.values()))
        reporter["evidence"] = 1
        self.evidence.append(dict(digest=digest("evidence", self.round), epoch=self.network.epoch, accused=EQUIVOCATOR, name=self.names[EQUIVOCATOR], offence="signed two blocks in one slot",
                                  height=self.height + 2, bytes=digest("evidence") * 40))
        self.isolated.add(EQUIVOCATOR)
        self.publish("evidence", {"accused": EQUIVOCATOR, "offence": "signed two blocks in one slot"})
        self.publish("isolated", {"index": EQUIVOCATOR})

    def decide(self):
        while self.decided + 3 <= self.round:
            self.decided += 1
            round_ = self.decided
            leader = self.leader_of(round_)
            block = self.rounds.get(round_, {}).get(leader)
            votes = 0
            for voter in self.rounds.get(round_ + 1, {}).values():
                if block and any(parent["digest"] == block["digest"] for parent in voter["parents"]):
                    votes += self.weights[voter["author"]]
            if block and votes >= self.quorum:
                self.slots[round_] = dict(round=round_, author=leader, decision="commit")
                self.counters[leader]["led"] += 1
                self.execute(block)
            else:
                self.slots[round_] = dict(round=round_, author=leader, decision="skip")
                self.counters[leader]["skipped"] += 1
                self.publish("skipped", dict(round=round_, author=leader))
        if self.height - 1 > self.certified and self.height > 1:
            self.certified = self.height - 1
            self.publish("certified", dict(height=self.certified, digest=self.checkpoints[self.certified]["digest"]))

    def execute(self, leader):
        found, stack = [], [leader["digest"]]
        while stack:
            block = self.blocks.get(stack.pop())
            if not block or block["height"] is not None:
                continue
            block["height"] = self.height + 1
            found.append(block)
            stack.extend(parent["digest"] for parent in block["parents"])
        found.sort(key=lambda block: (block["round"], block["author"]))
        self.height += 1
        executed = []
        for block in found:
            for identity in block["ids"]:
                executed.append(self.apply(identity, len(executed)))
        checkpoint = dict(
            height=self.height, digest=digest("checkpoint", self.seed, self.height), shard=self.shard, epoch=self.network.epoch, time_unix_ms=self.now_ms(),
            leader=self.ref(leader), state_root=digest("state", self.height), transactions_root=digest("txs", self.height),
            outbox_root=digest("outbox"), parent=digest("checkpoint", self.seed, self.height - 1), commit=digest("commit", self.height),
            leaders=[self.ref(leader)], blocks=[self.ref(block) for block in found],
            transactions=[dict(id=one["id"], outcome=one["outcome"]) for one in executed if one])
        self.checkpoints[self.height] = checkpoint
        while len(self.checkpoints) > CHECKPOINTS_KEPT:
            self.checkpoints.popitem(last=False)
        self.publish("executed", dict(height=self.height, digest=checkpoint["digest"], leaders=checkpoint["leaders"],
                                      blocks=checkpoint["blocks"], transactions=len(executed), time_unix_ms=checkpoint["time_unix_ms"]))

    def apply(self, identity, position):
        one = self.transactions.get(identity)
        if one is None:
            return None
        one["height"], one["position"] = self.height, position
        chance = self.random.random()
        if chance < 0.03:
            one["outcome"] = dict(result="failed", reason="the balance does not cover the amount")
        elif chance < 0.04:
            one["outcome"] = dict(result="skipped", reason="the nonce is not the next one")
        else:
            one["outcome"] = dict(result="applied")
            moved = min(one["amount"], self.balances[one["sender"]])
            self.balances[one["sender"]] -= moved
            self.balances[one["to"]] += moved
        return one

    # What is shown -----------------------------------------------------------------------------

    @staticmethod
    def ref(block):
        return dict(round=block["round"], author=block["author"], digest=block["digest"])

    def block_json(self, block, full=False):
        slots = self.slots if block["epoch"] == self.network.epoch else self.past[block["epoch"]][1]
        shown = dict(self.ref(block), epoch=block["epoch"], parents=block["parents"], transactions=len(block["ids"]), attestations=block["attestations"],
                     evidence=block["evidence"], bytes=900 + 90 * len(block["parents"]) + 1700 * len(block["ids"]),
                     time_unix_ms=block["time_unix_ms"], leader=slots.get(block["round"]) == dict(round=block["round"], author=block["author"], decision="commit"),
                     state="pending" if block["height"] is None else "committed", height=block["height"])
        if full:
            shown.update(signature=digest("signature", block["digest"]) * 20, transaction_ids=block["ids"])
        return shown

    def transaction_row(self, one):
        return {key: one[key] for key in ("id", "height", "position", "outcome", "sender", "to")} | {"amount": str(one["amount"])}

    def transaction_json(self, identity):
        one = self.transactions.get(identity)
        if one is None:
            return dict(id=identity, status="unknown", height=None, position=None, outcome=None, block=None,
                        checkpoint_time_unix_ms=None, transaction=None, refusal=None)
        status = "pending" if one["height"] is None else "final" if one["height"] <= self.certified else "executed"
        checkpoint = self.checkpoints.get(one["height"])
        return dict(id=identity, status=status, height=one["height"], position=one["position"], outcome=one["outcome"], block=one["block"],
                    checkpoint_time_unix_ms=checkpoint and checkpoint["time_unix_ms"], refusal=None,
                    transaction=dict(sender=one["sender"], nonce=one["nonce"], fee="1", scheme=one["scheme"], bytes=one["bytes"],
                                     action=dict(transfer=dict(to=one["to"], amount=str(one["amount"])))))

    def status(self):
        return dict(
            version="0.2.0-mock", chain_id=self.chain_id, chain_name="mock-net", shard=self.shard, epoch=self.network.epoch,
            validator=dict(index=self.own, name=self.names[self.own], weight=self.weights[self.own]),
            committee=dict(size=self.size, total_weight=self.total, quorum_weight=self.quorum, fault_weight=self.fault),
            round=self.round, floor=max(0, self.round - 120), height=self.height, certified_height=self.certified, mempool=len(self.waiting),
            dag_blocks=min(len(self.blocks), 120 * self.size), waiting_blocks=0, recovering=False, synchronising=False, stopped=None,
            peers_connected=sum(self.connected(i) for i in range(self.size)) - 1, now_unix_ms=self.now_ms(),
            last_checkpoint_unix_ms=self.checkpoints[self.height]["time_unix_ms"] if self.height else 0)

    def validators_json(self):
        return [dict(index=i, validator=self.numbers[i], name=self.names[i], weight=self.weights[i], scheme="falcon-512", consensus_key=digest("key", self.numbers[i]) * 28,
                     transport_key=None if i == self.own else digest("transport", self.numbers[i]), isolated=i in self.isolated, own=i == self.own,
                     connected=self.connected(i), rtt_ms=None if i == self.own or not self.connected(i) else round(1.5 + 11.3 * i, 1),
                     last_round=self.counters[i]["last"] or None, blocks=self.counters[i]["blocks"], led=self.counters[i]["led"],
                     skipped=self.counters[i]["skipped"]) for i in range(self.size)]

    def shard_json(self):
        committee = [dict(seat=i, validator=self.numbers[i], name=self.names[i], weight=self.weights[i], own=i == self.own, connected=self.connected(i)) for i in range(self.size)]
        state = dict(round=self.round, height=self.height, certified_height=self.certified, mempool=len(self.waiting), transactions_per_second=40.0,
                     dag_blocks=0, waiting_blocks=0, balances=None, stopped=None)
        return dict(shard=self.shard, epoch=self.network.epoch, prefix="*", hosted=True, total_weight=self.total, quorum_weight=self.quorum, committee=committee, state=state)

    def peers_json(self):
        return [dict(index=self.numbers[i], name=self.names[i], address=f"10.0.0.{self.numbers[i]}:7100", connected=self.connected(i),
                     rtt_ms=round(1.5 + 11.3 * i, 1) if self.connected(i) else None, bytes_in=self.round * 9_300 * i,
                     bytes_out=self.round * 8_100 * i, frames_dropped=0 if i != 4 else 3, refused=0 if i != EQUIVOCATOR else 1)
                for i in range(self.size) if i != self.own]

    def committee_json(self, epoch):
        now = self.network.epoch == epoch
        names, weights = (self.names, self.weights) if now else self.past[epoch][2:]
        members = [dict(index=i, name=names[i], weight=weights[i], consensus_key=digest("key", names[i])) for i in range(self.size)]
        total = sum(weights)
        return dict(shard=self.shard, epoch=epoch, total_weight=total, quorum_weight=total - (total - 1) // 3, members=members)

    def rounds_of(self, epoch):
        if epoch == self.network.epoch:
            return self.rounds, self.slots
        return self.past[epoch][:2] if epoch in self.past else ({}, {})

    def summary(self, checkpoint):
        return dict(height=checkpoint["height"], digest=checkpoint["digest"], epoch=checkpoint["epoch"], time_unix_ms=checkpoint["time_unix_ms"], leader=checkpoint["leader"],
                    transactions=len(checkpoint["transactions"]), blocks=len(checkpoint["blocks"]), certified=checkpoint["height"] <= self.certified)

    def checkpoint_json(self, checkpoint):
        certificate = None
        if checkpoint["height"] <= self.certified:
            authors = [i for i in range(self.size) if (checkpoint["height"] + i) % 6 != 0 or i < 3]
            certificate = dict(weight=sum(self.weights[i] for i in authors), quorum_weight=self.quorum, authors=authors, bytes=digest("certificate") * 100)
        return dict(checkpoint, certified=certificate is not None, certificate=certificate if checkpoint["height"] % 4 else None)

    def search(self, text):
        results = []
        if text.isdigit():
            number = int(text)
            if number in self.checkpoints:
                results.append(dict(kind="checkpoint", id=str(number), title=f"checkpoint {number}"))
            for block in self.rounds.get(number, {}).values():
                results.append(dict(kind="block", id=block["digest"], title=f"block of {self.names[block['author']]} in round {number}"))
        lowered = text.lower()
        if len(lowered) >= 8 and all(c in "0123456789abcdef" for c in lowered):
            results += [dict(kind="block", id=d, title=f"block {d[:12]}") for d in self.blocks if d.startswith(lowered)][:5]
            results += [dict(kind="transaction", id=d, title=f"transaction {d[:12]}") for d in self.transactions if d.startswith(lowered)][:5]
            results += [dict(kind="account", id=d, title=f"account {d[:12]}") for d in self.accounts if d.startswith(lowered)][:5]
            results += [dict(kind="checkpoint", id=str(c["height"]), title=f"checkpoint {c['height']}") for c in self.checkpoints.values()
                        if c["digest"].startswith(lowered)][:5]
        if len(text) >= 2:
            results += [dict(kind="validator", id=str(i), title=f"validator {name}") for i, name in enumerate(self.names) if lowered in name.lower()]
        return results
