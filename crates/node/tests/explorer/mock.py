#!/usr/bin/env python3
"""Serves the explorer with a made-up network under the HTTP contract. Python's standard library only.

    python3 mock.py --port 8099 [--validators 30] [--rate 20] [--load 500] [--trouble 60] [--shards 2]

POST /mock/partition?on=1|0 splits or heals the network; POST /mock/down?on=1|0 makes the API fail, with
&part=committees only where that is in the path;
POST /mock/announce?split=0 (or ?merge=0,2) plans the next epoch and POST /mock/epoch begins it, with
?behind_s=2 the status only after so many seconds; POST /mock/freeze?on=1 plays no more rounds.
"""

import argparse
import heapq
import json
import mimetypes
import pathlib
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from mock_chain import Chain, digest

PAGE = pathlib.Path(__file__).resolve().parents[2] / "src" / "explorer"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
TOPICS = dict(block="blocks", executed="checkpoints", skipped="checkpoints", certified="checkpoints", evidence="evidence",
              isolated="evidence", peer="peers")
LINGERS_S = 1.2  # longer than the page waits between two looks at the status
ALWAYS = ("about", "epoch")
mimetypes.add_type("text/javascript", ".js")


class Refused(Exception):
    def __init__(self, status, code, message, remedy):
        super().__init__(message)
        self.status, self.body = status, dict(error=dict(code=code, message=message, remedy=remedy))


def not_found(what):
    return Refused(404, "not_found", f"there is no {what}", "check the address")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chain = None
    down = False
    failing = None  # the part of a path that is not answered
    behind = (0, None)  # until when the status is an old one

    def log_message(self, *_):
        pass

    def do_POST(self):
        address = urlsplit(self.path)
        on = parse_qs(address.query).get("on", ["1"])[0] == "1"
        chain = self.chain
        if address.path == "/mock/partition":
            with chain.lock:
                chain.partitioned = on
                for index in (1, 2, 3, 4):
                    chain.publish("peer", dict(index=index, connected=not on))
        elif address.path == "/mock/down":
            part = parse_qs(address.query).get("part", [None])[0]
            if part:
                Handler.failing = part if on else None
            else:
                Handler.down = on
        elif address.path == "/mock/announce":
            change = next(((key, *map(int, values[0].split(","))) for key, values in parse_qs(address.query).items()), None)
            with chain.lock:
                chain.network.announce(change, chain.size, chain.now_ms())
        elif address.path == "/mock/freeze":
            chain.frozen = on
        elif address.path == "/mock/epoch":
            Handler.behind = (time.monotonic() + float(parse_qs(address.query).get("behind_s", ["0"])[0]), chain.status())
            chain.turn()
        else:
            return self.answer(404, b"{}", "application/json")
        self.answer(200, b"{}", "application/json")

    def do_GET(self):
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        if address.path == "/" or address.path.startswith("/explorer/"):
            return self.page(address.path)
        if Handler.down or (Handler.failing and Handler.failing in address.path):
            self.close_connection = True
            return None
        if address.path == "/v1/events":
            return self.events(query)
        try:
            with self.chain.lock:
                body = self.api([unquote(part) for part in address.path.strip("/").split("/")], query)
            status = 200
        except Refused as refused:
            status, body = refused.status, refused.body
        return self.answer(status, json.dumps(body).encode(), "application/json")

    def answer(self, status, body, content_type):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def page(self, path):
        name = "index.html" if path == "/" else path.removeprefix("/explorer/")
        file = PAGE / name
        if "/" in name or not file.is_file() or file.suffix == ".rs":
            return self.answer(404, b"", "text/plain")
        return self.answer(200, file.read_bytes(), mimetypes.guess_type(name)[0] + ("" if name.endswith("svg") else "; charset=utf-8"))

    def events(self, query):
        topics = set(query.get("topics", "checkpoints,transactions,evidence,peers").split(","))
        queue = deque(maxlen=4096)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        with self.chain.lock:
            epoch = self.chain.network.epoch
            queue.append(("about", dict(shard=self.chain.shard, epoch=epoch)))
            self.chain.subscribers[id(queue)] = queue
        quiet = 0
        try:
            # A stream ends with its epoch, once all of it is told.
            while not Handler.down and (queue or self.chain.network.epoch == epoch):
                sent = b""
                while queue:
                    name, data = queue.popleft()
                    if name in ALWAYS or TOPICS.get(name) in topics:
                        sent += f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
                quiet = 0 if sent else quiet + 1
                if quiet > 500:
                    sent, quiet = b": still here\n\n", 0
                if sent:
                    self.wfile.write(sent)
                    self.wfile.flush()
                time.sleep(0.03)
            self.last_words(topics, epoch)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self.chain.subscribers.pop(id(queue), None)
            self.close_connection = True

    def last_words(self, topics, epoch):
        """A slow stream tells of its epoch when the status is of the next one already."""
        if Handler.down or "blocks" not in topics:
            return
        time.sleep(LINGERS_S)
        late = dict(block=dict(round=9_999, author=0, digest=digest("late", epoch), transactions=0))
        self.wfile.write(f"event: block\ndata: {json.dumps(late)}\n\n".encode())

    def api(self, parts, query):
        chain = self.chain
        if parts[:2] == ["v1", "shards"] and len(parts) > 3:
            if parts[2] != str(chain.shard):
                raise Refused(421, "shard_elsewhere", f"this belongs to shard {parts[2]}, which this node does not host", "ask a node that does")
            parts = ["v1", *parts[3:]]
        limit = min(500, int(query.get("limit", 50)))
        before = query.get("before")
        match parts:
            case ["health"]:
                return dict(status="ok")
            case ["v1", "status"]:
                until, old = Handler.behind
                return old if time.monotonic() < until else chain.status()
            case ["v1", "validators"]:
                return dict(shard=chain.shard, epoch=chain.network.epoch, validators=chain.validators_json())
            case ["v1", "committees", epoch]:
                if int(epoch) > chain.network.epoch:
                    raise not_found(f"committee of epoch {epoch}")
                return chain.committee_json(int(epoch))
            case ["v1", "shards"]:
                return chain.network.shards_json(chain)
            case ["v1", "epochs"]:
                return chain.network.epochs_json(limit, None if before is None else int(before), query.get("resharded") == "true")
            case ["v1", "peers"]:
                return dict(peers=chain.peers_json())
            case ["v1", "evidence"]:
                found = sorted(chain.evidence, key=lambda one: one["digest"], reverse=True)
                found = [one for one in found if before is None or one["digest"] < before][:limit]
                return dict(evidence=found, next=found[-1]["digest"] if len(found) == limit else None)
            case ["v1", "supply"]:
                return dict(balances=str(sum(chain.balances.values())), fees="0", in_flight="0", genesis=str(sum(chain.balances.values())), height=chain.certified)
            case ["v1", "genesis"]:
                return dict(chain_name="mock-net")
            case ["v1", "search"]:
                return dict(results=chain.search(query.get("q", "").strip()))
            case ["v1", "checkpoints"]:
                found = [c for c in reversed(chain.checkpoints.values()) if before is None or c["height"] < int(before)]
                return dict(checkpoints=[chain.summary(c) for c in found[:limit]])
            case ["v1", "checkpoints", which]:
                heights = dict(latest=chain.height, certified=chain.certified)
                height = heights.get(which, int(which) if which.isdigit() else -1)
                if height not in chain.checkpoints:
                    raise not_found(f"checkpoint {which}")
                return chain.checkpoint_json(chain.checkpoints[height])
            case ["v1", "checkpoints", which, "proof"]:
                return self.proof("checkpoint")
            case ["v1", "evidence", _, "proof"]:
                return self.proof("evidence")
            case ["v1", "blocks"]:
                epoch = int(query.get("epoch", chain.network.epoch))
                held, slots = chain.rounds_of(epoch)
                newest = max(held, default=0)
                last = min(int(query.get("to_round", newest)), newest)
                first = max(1, int(query.get("from_round", last - 23)), last - 63)
                rounds = [r for r in range(first, last + 1) if r in held]
                return dict(epoch=epoch, blocks=[chain.block_json(b) for r in rounds for b in held[r].values()],
                            slots=[slots[r] for r in rounds if r in slots])
            case ["v1", "blocks", which]:
                if which not in chain.blocks:
                    raise not_found("such block")
                return chain.block_json(chain.blocks[which], full=True)
            case ["v1", "transactions"]:
                return self.rows(lambda _: True, before, limit)
            case ["v1", "transactions", which]:
                return chain.transaction_json(which)
            case ["v1", "transactions", which, "proof"]:
                return self.proof("transaction", transaction_id=which)
            case ["v1", "accounts", which]:
                exists = which in chain.balances
                return dict(address=which, exists=exists, balance=str(chain.balances.get(which, 0)), nonce=chain.nonces.get(which, 0),
                            next_nonce=chain.nonces.get(which, 0), key=digest("key-of", which), height=chain.certified)
            case ["v1", "accounts", which, "proof"]:
                return self.proof("account", address=which)
            case ["v1", "accounts", which, "transactions"]:
                return self.rows(lambda one: which in (one["sender"], one["to"]), before, limit)
        raise not_found("such path")

    def rows(self, wanted, before, limit):
        """Newest first, below a height or a `height.position`."""
        end = None
        if before:
            height, _, position = before.partition(".")
            end = (int(height), int(position or 0))
        place = lambda one: (one["height"], one["position"])
        found = [one for one in self.chain.transactions.values() if one["height"] and wanted(one) and (end is None or place(one) < end)]
        page = heapq.nlargest(limit, found, key=place)
        following = f"{page[-1]['height']}.{page[-1]['position']}" if len(page) == limit else None
        return dict(transactions=[self.chain.transaction_row(one) for one in page], next=following)

    def proof(self, kind, **names):
        return dict(format="qcn-proof/1", kind=kind, chain_id=self.chain.chain_id, certificate="00", proof="00", claims={}, **names)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 costs a browser seconds of retransmission

    def handle_error(self, request, client_address):
        """Browsers hang up whenever they like; only other errors are worth a word."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--validators", type=int, default=7)
    parser.add_argument("--rate", type=float, default=4.0, help="rounds per second")
    parser.add_argument("--load", type=float, default=40.0, help="transactions per second")
    parser.add_argument("--rounds", type=int, default=60, help="rounds played before the start")
    parser.add_argument("--shards", type=int, default=1, help="2 for a network with epochs")
    parser.add_argument("--trouble", type=float, default=0, help="split the network for 12 s every so many seconds")
    options = parser.parse_args()
    chain = Chain(validators=options.validators, rate=options.rate, load=options.load, shards=options.shards)
    Handler.chain = chain
    for _ in range(options.rounds):
        chain.step()
    threading.Thread(target=play, args=(chain, options), daemon=True).start()
    server = Server(("127.0.0.1", options.port), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


def play(chain, options):
    began = last = time.monotonic()
    while True:
        last += 1 / options.rate
        time.sleep(max(0, last - time.monotonic()))
        if options.trouble:
            with chain.lock:
                chain.partitioned = (time.monotonic() - began) % options.trouble > options.trouble - 12
        chain.step()


if __name__ == "__main__":
    main()
