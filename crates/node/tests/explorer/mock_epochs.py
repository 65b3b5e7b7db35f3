"""The made-up network's shards and epochs: a layout that splits and merges, and committees drawn anew.

The node hosts the first two shards; of the others the page knows only who serves them. The chain that
is played (mock_chain.py) is that of the first.
"""

HOSTED = 2


class Epochs:
    """What is announced, and what of it has begun."""

    def __init__(self, shards, now_ms):
        self.has_epochs = shards > 1
        self.layout = [(f"{index:b}*" if shards == 2 else "*", index) for index in range(shards)]
        self.next_shard = shards
        self.plans = []  # of epoch 1 and on; the last may not have begun
        self.epoch = 0
        self.began_ms = now_ms

    def announce(self, change, validators, now_ms):
        """`("split", shard)`, `("merge", into, closed)`, or nothing but other committees."""
        layout, changes = list(self.layout), []
        shards = dict((shard, prefix) for prefix, shard in layout)
        if change and change[0] == "split":
            new, bits = self.next_shard, shards[change[1]].rstrip("*")
            self.next_shard += 1
            layout = [one for one in layout if one[1] != change[1]] + [(f"{bits}0*", change[1]), (f"{bits}1*", new)]
            changes = [dict(kind="split", shard=change[1], new=new, prefix=f"{bits}*")]
        elif change and change[0] == "merge":
            bits = shards[change[1]].rstrip("*")[:-1]
            layout = [one for one in layout if one[1] not in change[1:]] + [(f"{bits}*", change[1])]
            changes = [dict(kind="merge", into=change[1], closed=change[2], prefix=f"{bits}*")]
        plan = dict(epoch=len(self.plans) + 1, announced_unix_ms=now_ms, shards=len(layout), validators=validators, reshardings=changes)
        self.plans.append((plan, sorted(layout)))

    def begin(self):
        plan, self.layout = self.plans[self.epoch]
        self.epoch, self.began_ms = plan["epoch"], plan["announced_unix_ms"]

    @property
    def is_announced(self):
        return len(self.plans) > self.epoch

    def reshardings(self):
        changes = self.plans[self.epoch - 1][0]["reshardings"] if self.epoch else []
        return [{key: value for key, value in one.items() if key != "prefix"} for one in changes]

    def epochs_json(self, limit, before, only_resharded):
        found = [plan for plan, _ in reversed(self.plans) if (before is None or plan["epoch"] < before) and (plan["reshardings"] or not only_resharded)]
        return dict(epochs=found[:limit], next=found[limit - 1]["epoch"] if len(found) > limit else None)

    def shards_json(self, chain):
        """`chain` is the first shard's."""
        shards, hosted = [], [shard for _, shard in self.layout][:HOSTED]
        for place, (prefix, shard) in enumerate(self.layout):
            own = chain.shard_json()
            if shard != chain.shard:
                # Others have the same validators in another order, and work of their own.
                seats = own["committee"][place:] + own["committee"][:place]
                own["committee"] = [dict(seat, seat=index) for index, seat in enumerate(seats)]
                own["state"] = dict(own["state"], height=chain.height // 2) if shard in hosted else None
            for seat in own["committee"]:
                seat["own"] = seat["own"] and shard in hosted
            shards.append(dict(own, shard=shard, epoch=self.epoch, prefix=prefix, hosted=shard in hosted))
        pairs = [(a, b) for _, a in self.layout for _, b in self.layout if a != b and (a in hosted or b in hosted)]
        lanes = [self.lane_json(chain, a, b, hosted) for a, b in pairs]
        return dict(epoch=self.epoch, began_unix_ms=self.began_ms if self.has_epochs else None, reshardings=self.reshardings(), shards=shards, lanes=lanes, supply=None)

    @staticmethod
    def lane_json(chain, source, destination, hosted):
        head = lambda receipts: dict(receipts=receipts, batches=receipts, moved=str(5 * receipts))
        is_sent, is_received = source in hosted, destination in hosted
        return {"from": source, "to": destination, "sent": head(chain.height * 3 + 4) if is_sent else None, "received": head(chain.height * 3) if is_received else None,
                "acknowledged": head(chain.height * 2) if is_sent else None, "in_flight": 4 if is_sent and is_received else None}
