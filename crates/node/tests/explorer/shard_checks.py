"""What the explorer shows of several shards: the map, the tables, and the way of a transfer across."""

import time

from harness import AUDIT, expect, passed

SHARD_CHECKS = []


def check(function):
    SHARD_CHECKS.append(function)
    return function


def hosted(explorer):
    return [one["shard"] for one in explorer.api("/v1/shards")["shards"] if one["hosted"]]


def sent_across(explorer):
    """A transfer between shards of this node, once there is one."""
    shards = hosted(explorer)
    for _ in range(150):
        for shard in shards:
            for row in explorer.api(f"/v1/shards/{shard}/transactions?limit=100")["transactions"]:
                if row["outcome"]["result"] == "sent":
                    one = explorer.api(f"/v1/transactions/{row['id']}")
                    if one["arrival"]["shard"] in shards:
                        return one
        time.sleep(0.2)
    raise AssertionError("no transfer went from shard to shard")


def digits(text):
    return int("".join(c for c in text if c.isdigit()) or 0)


@check
def the_shards_are_mapped(explorer):
    one = sent_across(explorer)
    lane = f"{one['shard']}:{one['arrival']['shard']}"
    browser = explorer.browser
    explorer.go("")
    browser.click("#nav [data-kind=shards]")
    browser.wait("return document.querySelector('main h1')?.textContent === 'Shards'", "the view of shards")
    told = explorer.api("/v1/shards")
    rows = browser.run("return [...document.querySelectorAll('main table')[0].tBodies[0].rows].map((row) => row.textContent)")
    expect(len(rows) == len(told["shards"]) > 1, f"a row for each of {len(rows)} shards")
    for shard, row in zip(told["shards"], rows):
        expect(all(text in row for text in (f"Shard {shard['shard']}", shard["prefix"], *(seat["name"] for seat in shard["committee"]))), f"shard {shard['shard']} has its prefix and its committee")
    cards = browser.wait("return [...document.querySelectorAll('.shard-map .card')].map((card) => [card.classList[1], card.textContent])", "the cards of the map")
    expect([kind for kind, _ in cards] == ["hosted" if one["hosted"] else "known" for one in told["shards"]], f"the map tells which are hosted: {[kind for kind, _ in cards]}")
    expect(browser.run("return document.querySelectorAll('.shard-map .lane').length") == len(told["lanes"]), f"it has an arrow for each of {len(told['lanes'])} lanes")
    expect("in flight" in browser.run("return document.querySelector('.shard-map').getAttribute('aria-label')"), "the picture has a name that says what is on it")
    cells = "const row = document.querySelector(`[data-lane='${arguments[0]}']`); return [row.cells[2].textContent, row.cells[3].textContent]"
    sent, received = map(digits, browser.run(cells, lane))
    expect(sent >= received > 0, f"after a transfer across, lane {lane} has {sent} receipts sent and {received} received")
    browser.wait("const row = document.querySelector(`[data-lane='${arguments[0]}']`); return Number(row.cells[3].textContent.replace(/\\D/g, '')) > arguments[1]", "the lane to go on", lane, received, seconds=30)
    passed("the numbers of a lane grow by themselves")
    browser.wait("return document.querySelector('.shard-map-box').dataset.dots > 0 && document.querySelector('.dots circle[visibility=visible]')", "a dot for what arrived", seconds=30)
    passed("a dot travels for what arrived")


@check
def the_map_is_accessible_and_fits(explorer):
    browser = explorer.browser
    for dark in (False, True):
        browser.scheme(dark)
        explorer.go("shards")
        time.sleep(2.5)
        name = f"shards-{'dark' if dark else 'light'}"
        report = browser.run(AUDIT)
        explorer.shot(name)
        expect(not report["problems"], f"{name}: {report['controls']} controls named, {report['texts']} texts of contrast {report['least']:.1f} or more" + "".join(f"\n      {one}" for one in report["problems"]))
        explorer.go("")
    browser.scheme(False)
    for width, tall in ((360, 780), (820, 1180), (3840, 2160)):
        browser.resize(width, tall)
        explorer.go("shards")
        time.sleep(1)
        over = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        cut = browser.run("const map = document.querySelector('.shard-map').getBoundingClientRect(); return [...document.querySelectorAll('.shard-map :is(rect, text)')].filter((one) => { const box = one.getBoundingClientRect(); return box.width && (box.left < map.left - 1 || box.right > map.right + 1 || box.top < map.top - 1 || box.bottom > map.bottom + 1); }).map((one) => one.textContent)")
        explorer.shot(f"shards-{width}")
        expect(over <= 0 and not cut, f"the map fits {width} pixels {cut or ''}".strip())
        explorer.go("")
    browser.resize(1440, 1000)


@check
def the_map_stands_still_where_asked(explorer):
    browser = explorer.browser
    browser.scheme(False, reduced_motion=True)
    explorer.go("shards", fresh=True)
    received = "return [...document.querySelectorAll('[data-lane]')].reduce((sum, row) => sum + Number(row.cells[3].textContent.replace(/\\D/g, '')), 0)"
    before = browser.run(received)
    browser.wait(received.replace("return ", "return arguments[0] < "), "receipts to arrive", before, seconds=30)
    expect(not browser.run("return document.querySelector('.dots circle')"), "with reduced motion nothing moves on the map")
    browser.scheme(False)


@check
def a_transfer_tells_its_way_across(explorer):
    one = sent_across(explorer)
    here, there = one["shard"], one["arrival"]["shard"]
    browser = explorer.browser
    explorer.go(f"tx/{one['id']}")
    browser.wait("return document.querySelectorAll('.timeline .done').length === 4", "the transfer to arrive", seconds=30)
    passed("a transfer's progress is told up to its arrival")
    steps = browser.run("return [...document.querySelectorAll('.timeline li')].map((li) => li.textContent)")
    expect(f"of shard {here}" in steps[1] and "Arrived" in steps[3] and f"of shard {there}" in steps[3], f"sent in shard {here}, arrived in shard {there}")
    way = browser.run("return document.querySelector('.way').textContent")
    height = explorer.api(f"/v1/transactions/{one['id']}")["arrival"]["height"]
    expect("arrived" in way and str(height) in way.replace("\u202f", ""), f"its way names checkpoint {height} of shard {there}")
    report = browser.run(AUDIT)
    expect(not report["problems"], f"contrast {report['least']:.1f} or more" + "".join(f"\n      {one}" for one in report["problems"]))
    explorer.shot("transaction-across")
    browser.run("[...document.querySelectorAll('.way a.height')].at(-1).click()")
    browser.wait("return location.hash === arguments[0] && document.querySelector('.facts')", "the checkpoint of its arrival", f"#/checkpoint/{height}?shard={there}")
    digest = explorer.api(f"/v1/shards/{there}/checkpoints/{height}")["digest"]
    expect(digest in browser.run("return document.querySelector('main').textContent"), "its link leads to the checkpoint of the receiver's shard")
    explorer.shot("checkpoint-across")
    browser.wait("return document.querySelector('.drawing .dag')", "the drawing of that shard's DAG")
    browser.click(".facts a[href^='#/block/']")
    browser.wait("return location.hash.endsWith('?shard=' + arguments[0]) && document.querySelector('main h1').textContent.startsWith('Block of')", "the leader's block", there)
    passed("links go on in that shard")


@check
def what_is_in_other_shards_is_found(explorer):
    browser = explorer.browser
    for shard in hosted(explorer):
        sender = explorer.api(f"/v1/shards/{shard}/transactions?limit=1")["transactions"][0]["sender"]
        explorer.search(sender, f"#/account/{sender}")
        expect(f"shard {shard}" in browser.run("return document.querySelector('.facts').textContent"), f"an account of shard {shard} is found by its address")
        browser.wait("return document.querySelectorAll('main tbody tr').length", "its transactions")
    explorer.search("5", "#/search")
    listed = browser.wait("return [...document.querySelectorAll('.results a')].map((a) => a.getAttribute('href'))", "results")
    expect(all(f"#/checkpoint/5?shard={shard}" in listed for shard in hosted(explorer)), "a height is found in each shard")
    explorer.go(f"checkpoints?shard={hosted(explorer)[-1]}")
    browser.wait("return document.querySelectorAll('main tbody tr').length === 50", "the checkpoints of the last shard")
    ends = browser.run("return [...document.querySelectorAll('main tbody a.height')].every((a) => a.getAttribute('href').endsWith('?shard=' + arguments[0]))", hosted(explorer)[-1])
    expect(ends, "a list of checkpoints stays in its shard")


@check
def the_page_goes_on_in_the_next_epoch(explorer):
    browser = explorer.browser
    # Null until the beacon's first certificate, which may be later than that of this node's shard.
    explorer.wait_for("/v1/shards", lambda told: told["began_unix_ms"] is not None, "the first epoch to begin", seconds=60)
    explorer.go("dag", fresh=True)
    browser.wait("const dag = document.querySelector('.dag').dataset; return dag.slots > 10 && dag.edges > 10", "blocks and edges", seconds=30)
    before = browser.run("window.same = true; return Number(document.querySelector('.dag').dataset.epoch)")
    # No longer than an epoch of the network lasts.
    after = browser.wait("const dag = document.querySelector('.dag').dataset; return dag.epoch > arguments[0] && dag.slots > 10 && dag.edges > 10 && Number(dag.epoch)", "the DAG of the next epoch", before, seconds=60)
    shown = browser.run("return [document.querySelector('.page-head').textContent, Number(document.querySelector('.dag').dataset.head), [...document.querySelectorAll('.dag-names li')].map((li) => li.title)]")
    status, members = explorer.api("/v1/status"), explorer.api(f"/v1/committees/{after}")["members"]
    expect(f"epoch {after}" in shown[0] and browser.run("return window.same"), f"the DAG goes from epoch {before} to {after} without a reload")
    expect(status["epoch"] > after or shown[1] <= status["round"] + 1, f"its rounds are those of the new epoch (up to {shown[1]})")
    expect(sorted(shown[2]) == sorted(one["name"] for one in members), f"its lanes are the new committee: {', '.join(shown[2])}")
    told = explorer.api(f"/v1/blocks?epoch={before}&from_round=1&to_round=9")["blocks"]
    explorer.go(f"block/{told[-1]['digest']}")
    expect(f"epoch {before}" in browser.run("return document.querySelector('.page-head').textContent"), "a block of the epoch before can be read, and says so")
    explorer.go("shards")
    browser.wait("return document.querySelector(`[data-epoch='${arguments[0]}']`)", "the list of epochs", after)
    passed(f"epoch {after} is in the list of epochs")
    report = browser.run(AUDIT)
    explorer.shot("shards-next-epoch")
    expect(not report["problems"], f"contrast {report['least']:.1f} or more" + "".join(f"\n      {one}" for one in report["problems"]))


@check
def what_another_node_has_is_said(explorer):
    away = [one for one in explorer.api("/v1/shards")["shards"] if not one["hosted"]]
    if not away:
        print("   - this node hosts all shards: not checked")
        return
    explorer.go(f"checkpoints?shard={away[0]['shard']}")
    told = explorer.browser.wait("return document.querySelector('.failure')?.textContent", "the remedy")
    expect("Another node has it" in told and away[0]["committee"][0]["name"] in told, f"it names who has it: {told[:90]}")
    explorer.shot("shard-elsewhere")
