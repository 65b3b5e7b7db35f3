"""What the explorer shows as epochs follow each other: another DAG and committee in each, and a layout
that splits and merges. Against the mock, whose epochs begin when a check says so: each check has one of
its own, in its first epoch with two shards. What a real network shows of it is in shard_checks.py."""

import time

from harness import AUDIT, expect, passed

EPOCH_CHECKS = []
DAG = "const dag = document.querySelector('.dag')?.dataset ?? {}; "


def check(function):
    EPOCH_CHECKS.append(function)
    return function


def epoch_of(explorer):
    return explorer.api("/v1/status")["epoch"]


def turn(explorer, change=None):
    """Begins the next epoch, and gives its number."""
    if change:
        explorer.post(f"/mock/announce?{change}")
    explorer.post("/mock/epoch")
    return epoch_of(explorer)


def with_history(explorer, epochs):
    """So many epochs are over at least, each with some rounds; gives the present one."""
    while epoch_of(explorer) < epochs:
        explorer.wait_for("/v1/status", lambda status: status["round"] > 8, "some rounds")
        turn(explorer)
    return epoch_of(explorer)


def committee(explorer, epoch):
    return {one["index"]: one for one in explorer.api(f"/v1/committees/{epoch}")["members"]}


def serving(explorer):
    return explorer.api("/v1/validators")["validators"]


def lanes(explorer):
    return explorer.browser.run("return [...document.querySelectorAll('.dag-names li')].map((li) => li.title)")


def by_weight(members):
    return [one["name"] for one in sorted(members.values(), key=lambda one: (-one["weight"], one["index"]))]


def wait_for_dag(explorer, epoch):
    explorer.browser.wait(DAG + "return dag.epoch === arguments[0] && dag.slots > 10 && dag.edges > 10", f"the DAG of epoch {epoch}", str(epoch), seconds=30)


def expect_sound(explorer, name):
    report = explorer.browser.run(AUDIT)
    over = explorer.browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    expect(not report["problems"] and over <= 0, f"{name}: {report['controls']} controls named, {report['texts']} texts of contrast {report['least']:.1f} or more, and it fits" + "".join(f"\n      {one}" for one in report["problems"]))


# Everything that is said while epochs change: a page that lost its stream or saw a partition says so.
LISTEN = """window.said = []; const note = () => said.push(document.getElementById('link-state').textContent, document.getElementById('banners').textContent);
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true }); window.same = true"""


MEASURES_LATE = """const Sizes = ResizeObserver;
    window.ResizeObserver = class extends Sizes { constructor(tell) { super((...sizes) => setTimeout(() => tell(...sizes), 700)); } }"""


@check
def the_dag_follows_into_the_next_epoch(explorer):
    browser = explorer.browser
    explorer.go("dag")
    before = epoch_of(explorer)
    wait_for_dag(explorer, before)
    expect(f"epoch {before}" in browser.run("return document.querySelector('.page-head').textContent"), "the DAG says which epoch it is of")
    browser.run(LISTEN)
    head = float(browser.run(DAG + "return dag.head"))
    after = turn(explorer)
    wait_for_dag(explorer, after)
    newest = float(browser.run(DAG + "return dag.head"))
    expect(newest < head and newest <= explorer.api("/v1/status")["round"], f"rounds begin again (from {head:.0f} to {newest:.0f})")
    expect(lanes(explorer) == by_weight(committee(explorer, after)) != by_weight(committee(explorer, before)), "its lanes are those of the new committee")
    expect(f"epoch {after}" in browser.run("return document.querySelector('.page-head').textContent"), "it says that it is another epoch")
    browser.wait("return document.getElementById('news').textContent.includes('epoch ' + arguments[0])", "the announcement", after)
    passed("screen readers are told")
    expect(browser.run("return window.same"), "all without a reload")
    said = set(browser.run("return [...new Set(said)]"))
    expect(said <= {"Live", ""}, f"nobody is alarmed meanwhile ({sorted(said)})")
    known = {block["digest"] for block in explorer.api(f"/v1/blocks?epoch={after}")["blocks"]}
    browser.run("[...document.querySelectorAll('.toolbar button')].find((b) => b.textContent === 'Show as table').click()")
    shown = browser.wait("const links = [...document.querySelectorAll('.dag-table tbody a')]; return links.length > 20 && links.map((a) => a.hash.slice(8, 72))", "blocks in the table", seconds=30)
    known |= {block["digest"] for block in explorer.api(f"/v1/blocks?epoch={after}")["blocks"]}
    expect(known >= set(shown), f"no block of another epoch is among the {len(shown)} shown")


@check
def what_stands_still_stays_in_its_epoch(explorer):
    browser = explorer.browser
    explorer.go("dag", fresh=True)
    before = epoch_of(explorer)
    wait_for_dag(explorer, before)
    browser.click(".toolbar .button")
    after = turn(explorer)
    browser.wait("return document.querySelector('.dag-state').textContent.includes('network is in epoch ' + arguments[0])", "the page to say where the network is", after)
    passed("a drawing that stands still says that the network has gone on")
    expect(browser.run(DAG + "return dag.epoch") == str(before) and lanes(explorer) == by_weight(committee(explorer, before)), "it keeps its epoch and its committee")
    browser.click("[aria-label='Older rounds']")
    browser.wait(DAG + "return dag.slots > 10 && dag.edges > 10", "older rounds of that epoch")
    expect(browser.run(DAG + "return dag.epoch") == str(before), "older rounds are those of that epoch")
    expect_sound(explorer, "dag, standing still")
    explorer.shot("dag-stands-still")
    browser.click(".toolbar .button")
    wait_for_dag(explorer, after)
    passed("following leads to the present epoch")


@check
def earlier_epochs_can_be_read(explorer):
    browser = explorer.browser
    newest = with_history(explorer, 2)
    explorer.go("dag?epoch=0")
    wait_for_dag(explorer, 0)
    expect(lanes(explorer) == by_weight(committee(explorer, 0)), "an epoch that is over has the lanes of its committee")
    expect("epoch 0" in browser.run("return document.querySelector('.page-head').textContent"), "and its number")
    explorer.shot("dag-epoch-0")
    step = "[...document.querySelectorAll('.steps a')].find((a) => a.textContent.includes(arguments[0])).click()"
    for text, epoch in (("Epoch 1", 1), ("Epoch 0", 0), ("Now", newest)):
        browser.run(step, text)
        wait_for_dag(explorer, epoch)
        passed(f"a link leads to epoch {epoch}")


@check
def a_drawing_waits_until_its_width_is_known(explorer):
    # An answer may be there before the browser has measured the stage.
    newest = with_history(explorer, 1)
    explorer.go("")
    explorer.browser.run(MEASURES_LATE)
    for route, epoch in (("dag?epoch=0", 0), ("dag?round=5", newest)):
        explorer.go(route)
        wait_for_dag(explorer, epoch)
        passed(f"{route} is drawn although its width was known late")
    explorer.go("checkpoints", fresh=True)


@check
def checkpoints_and_blocks_are_those_of_their_epoch(explorer):
    browser = explorer.browser
    with_history(explorer, 1)
    # Right after an epoch has begun all checkpoints are of the one before.
    explorer.wait_for("/v1/checkpoints?limit=1", lambda body: body["checkpoints"][0]["epoch"] > 0, "a checkpoint of a later epoch")
    explorer.go("checkpoints")
    browser.wait("return document.querySelectorAll('main tbody tr').length", "checkpoints")
    rows, epochs = [], set()
    while True:
        count = len(rows)
        rows = browser.wait("const rows = [...document.querySelectorAll('main tbody tr')]; return rows.length > arguments[0] && rows.map((row) => [Number(row.cells[0].textContent.replace(/\\D/g, '')), row.cells[1].textContent])", "more checkpoints", count)
        told = {one["height"]: one for one in explorer.api(f"/v1/checkpoints?limit=500&before={rows[0][0] + 1}")["checkpoints"]}
        epochs = {told[height]["epoch"] for height, _ in rows}
        if len(epochs) > 1:
            break
        browser.click(".more .button")
    members = {epoch: committee(explorer, epoch) for epoch in epochs}
    wrong = [(height, name) for height, name in rows if members[told[height]["epoch"]][told[height]["leader"]["author"]]["name"] != name]
    expect(len(epochs) > 1 and not wrong, f"in a list over {len(epochs)} epochs every leader has its name of then {wrong[:3] or ''}".strip())
    first = explorer.api("/v1/checkpoints/5")
    expect(first["epoch"] == 0, "the fifth checkpoint is of the first epoch")
    explorer.go(f"checkpoint/{first['height']}")
    leader = committee(explorer, 0)[first["leader"]["author"]]["name"]
    facts = browser.wait("return document.querySelector('.facts').textContent", "the checkpoint")
    expect(leader in facts and "epoch 0" in browser.run("return document.querySelector('.page-head').textContent"), f"a checkpoint of epoch 0 was led by {leader}")
    browser.wait(DAG + "return dag.slots > 3 && dag.edges > 3", "the drawing of its rounds")
    expect(lanes(explorer) == by_weight(committee(explorer, 0)), "it is drawn with the rounds and the committee of then")
    explorer.shot("checkpoint-epoch-0")
    left_out = [one for one in explorer.api("/v1/blocks?epoch=0")["blocks"] if one["state"] == "pending"][-1]
    explorer.go(f"block/{left_out['digest']}")
    text = browser.run("return document.querySelector('main').textContent")
    author = committee(explorer, 0)[left_out["author"]]["name"]
    expect("left out" in text and "its epoch ended without it" in text, "a block that no checkpoint of its epoch brought in is not awaited any more")
    expect(explorer.heading().startswith(f"Block of {author}, round {left_out['round']}"), f"its author is named as then: {explorer.heading()}")


@check
def names_are_asked_for_again(explorer):
    browser = explorer.browser
    turn(explorer)
    explorer.post("/mock/down?on=1&part=committees")
    explorer.go("checkpoints")
    browser.wait("return document.querySelector('main .failure button')", "a list without its names to say so")
    explorer.post("/mock/down?on=0&part=committees")
    browser.click("main .failure button")
    names = browser.wait("return [...document.querySelectorAll('main tbody tr')].map((row) => row.cells[1].textContent)", "the list")
    expect(not [name for name in names if name.startswith("validator ")], f"after an answer that failed, {len(names)} leaders have their names")


@check
def shards_are_asked_for_once_at_a_time(explorer):
    browser = explorer.browser
    explorer.go("shards")
    browser.run("performance.clearResourceTimings(); for (let at = 0; at < 6; at += 1) document.dispatchEvent(new Event('visibilitychange'))")
    time.sleep(0.5)
    asked = browser.run("return performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/v1/shards')).length")
    expect(asked <= 2, f"six reasons to ask for the shards at once lead to {asked} questions")


@check
def a_block_is_not_awaited_after_its_epoch(explorer):
    browser = explorer.browser
    explorer.post("/mock/freeze?on=1")
    pending = [one for one in explorer.api("/v1/blocks")["blocks"] if one["state"] == "pending"][-1]
    explorer.go(f"block/{pending['digest']}")
    expect("not yet" in browser.run("return document.querySelector('main').textContent"), "a block of the present epoch is awaited")
    # The network tells of its epoch before this node's shard is in it.
    explorer.post("/mock/epoch?behind_s=2")
    browser.wait("return document.querySelector('main').textContent.includes('its epoch ended without it')", "the page to see that its epoch is over")
    passed("and no longer once its epoch is over, without a reload")


@check
def validators_are_those_of_the_present_epoch(explorer):
    browser = explorer.browser
    explorer.go("validators")
    browser.wait("return document.querySelectorAll('main tbody tr').length", "validators")
    after = turn(explorer)
    names = [one["name"] for _, one in sorted(committee(explorer, after).items())]
    shown = "return [...document.querySelector('main tbody').rows].map((row) => row.cells[1].textContent)"
    browser.wait("return JSON.stringify((() => { " + shown + " })()) === JSON.stringify(arguments[0])", "the new committee", names)
    passed("the list is that of the new committee, name by name")
    expect(f"epoch {after}" in browser.run("return document.querySelector('.page-head').textContent"), "and says of which epoch")


@check
def a_validators_page_stays_with_it(explorer):
    browser = explorer.browser
    explorer.go("validators")
    while sum(one["name"] == "oslo-7" for one in serving(explorer)) < 2:
        turn(explorer)
    places = {one["validator"]: one["index"] for one in serving(explorer)}
    told = {f"10.0.0.{number}:7100": f"#/validator/{place}" for number, place in places.items() if number}
    links = "return Object.fromEntries([...document.querySelectorAll('main tbody')[1].rows].map((row) => [row.cells[2].textContent, row.cells[0].querySelector('a')?.hash]))"
    browser.wait(f"const links = (() => {{ {links} }})(); return Object.entries(arguments[0]).every(([address, hash]) => links[address] === hash)", "the connections of this committee", told)
    passed("of two validators with one name each has its own connection")
    first, second = (one for one in serving(explorer) if one["name"] == "oslo-7")
    explorer.go(f"validator/{second['index']}")
    browser.resize(1440, 400)
    browser.run("window.same = document.querySelector('main').firstElementChild; document.querySelector('#theme').focus(); scrollTo(0, 150)")
    before = browser.run("return scrollY")
    turn(explorer)
    again = next(one for one in serving(explorer) if one["validator"] == second["validator"])
    expect(again["index"] != second["index"] and before > 0, f"it has place {again['index']} after {second['index']}")
    browser.wait("return location.hash === '#/validator/' + arguments[0] && document.querySelector('.page-head').textContent.includes('Validator ' + arguments[0])", "the page to stay with its validator", again["index"])
    shown = browser.run("return document.querySelector('main').textContent")
    expect(again["consensus_key"][:32] in shown and again["transport_key"][:32] in shown, "its page stays with it, and not with its name")
    expect(browser.run("return window.same === document.querySelector('main').firstElementChild && document.activeElement.id === 'theme' && scrollY") == before, "focus and scroll position stay")
    expect(browser.run("return document.title").startswith(f"Validator {again['index']} "), "the title names its place")
    browser.resize(1440, 1000)


@check
def evidence_names_who_it_was(explorer):
    browser = explorer.browser
    with_history(explorer, 1)
    proof = explorer.api("/v1/evidence")["evidence"][0]
    now = committee(explorer, epoch_of(explorer))
    expect(proof["epoch"] == 0 and now[proof["accused"]]["name"] != proof["name"], "somebody else has the place of an accused of epoch 0")
    explorer.go("evidence")
    row = browser.wait("return document.querySelector('main tbody tr')?.textContent", "the evidence")
    expect(proof["name"] in row and "epoch 0" in row and now[proof["accused"]]["name"] not in row, "the evidence names the accused of then")
    explorer.go(f"validator/{proof['accused']}")
    expect("Evidence against it" not in browser.run("return document.querySelector('main').textContent"), "nobody is accused by the place that another had")


@check
def every_page_says_what_epoch_it_is_of(explorer):
    browser = explorer.browser
    epoch = with_history(explorer, 1)
    for dark in (False, True):
        browser.scheme(dark)
        for width in (1400, 360):
            browser.resize(width, 900)
            for route in ("", "dag", "validators", "evidence", "shards"):
                explorer.go(route, fresh=True)
                browser.wait("return document.querySelectorAll('main .dag, main tbody tr, main .card').length", "something to see")
                if route != "evidence":
                    said = browser.run("return document.querySelector('main').textContent.toLowerCase()")
                    expect(f"epoch {epoch}" in said, f"{route or 'overview'} names epoch {epoch}")
                name = f"epochs-{route or 'overview'}-{'dark' if dark else 'light'}-{width}"
                expect_sound(explorer, name)
                explorer.shot(name)
    browser.scheme(False)
    browser.resize(1440, 1000)


# The layout -------------------------------------------------------------------------------------

# Stops the movement of the map as soon as it begins, for a check to look at it.
CATCH = """window.caught = null; const look = () => { const motions = document.getAnimations().filter((one) => one.id === 'layout');
    if (motions.length) { motions.forEach((one) => one.pause()); window.caught = motions; } else requestAnimationFrame(look); }; look()"""
SEEK = "caught.forEach((one) => (one.currentTime = arguments[0]))"
PLACES = "return Object.fromEntries([...document.querySelectorAll('.shard-map .card')].map((card) => { const box = card.querySelector('rect').getBoundingClientRect(); return [card.dataset.shard, [box.x, box.y]]; }))"


def change_layout(explorer, change):
    """Changes the layout, and gives where the cards are as it begins, in the middle, and in the end."""
    browser = explorer.browser
    browser.run(CATCH)
    epoch = turn(explorer, change)
    browser.wait("return caught", "the map to move", seconds=20)
    places = []
    for at in (0, 800):
        browser.run(SEEK, at)
        places.append(browser.run(PLACES))
    return epoch, places


def finish(explorer):
    browser = explorer.browser
    browser.run("caught.forEach((one) => one.finish())")
    browser.wait("return !document.querySelector('.shard-map').getAnimations({ subtree: true }).length", "the movement to end")
    return browser.run(PLACES)


def apart(places, one, other):
    (x, y), (to_x, to_y) = places[one], places[other]
    return ((x - to_x) ** 2 + (y - to_y) ** 2) ** 0.5


@check
def a_split_is_seen_as_it_happens(explorer):
    browser = explorer.browser
    explorer.go("shards")
    browser.wait("return document.querySelectorAll('.shard-map .card').length === 2", "the map of two shards")
    empty = browser.wait("return [...document.querySelectorAll('main .empty')].map((one) => one.textContent).join()", "the list of changes")
    expect("no shard has split or merged" in empty, "before a change the list says that there was none")
    explorer.post("/mock/announce?split=0")
    browser.wait("return document.querySelector('[data-change]')?.textContent.includes('about to begin')", "the announced split")
    browser.wait("return document.querySelector('[data-epoch=\"1\"]')?.textContent.includes('about to begin')", "the announced epoch")
    passed("a split is listed as soon as it is announced, among the changes and the epochs")
    epoch, (begin, middle) = change_layout(explorer, None)
    expect(apart(begin, "0", "2") < 1, "both halves begin where the shard was")
    for dark in (False, True):
        browser.scheme(dark)
        explorer.shot(f"split-{'dark' if dark else 'light'}")
    browser.scheme(False)
    end = finish(explorer)
    expect(1 < apart(middle, "0", "2") < apart(end, "0", "2") - 1, f"and move apart ({apart(middle, '0', '2'):.0f} of {apart(end, '0', '2'):.0f} pixels halfway)")
    marks = browser.run("return [...document.querySelectorAll('.shard-map .changed')].map((card) => card.querySelector('.title').textContent)")
    expect(marks == ["Shard 0split off 2", "Shard 2split from 0"], f"the cards say what happened for the rest of the epoch: {marks}")
    row = browser.wait("const row = document.querySelector('[data-change]'); return !row.textContent.includes('about') && [...row.cells].map((cell) => cell.innerText)", "the list to say that it has begun")
    expect(row[0] == str(epoch) and "split" in row[2] and row[3] == "0* shard 0" and row[4].split("\n") == ["00* shard 0", "01* shard 2"], f"the list of changes tells it: {row}")
    browser.wait("return document.getElementById('news').textContent.includes('shard 0 split in two')", "the announcement")
    passed("screen readers are told")
    expect("split in two" in browser.run("return document.querySelector('.shard-map').getAttribute('aria-label')"), "the picture's name tells it, too")
    explorer.shot("split-after")


@check
def a_merge_is_seen_as_it_happens(explorer):
    browser = explorer.browser
    turn(explorer, "split=0")
    explorer.go("shards")
    browser.wait("return document.querySelectorAll('.shard-map .card').length === 3", "the map of three shards")
    before = browser.run(PLACES)
    browser.resize(360, 900)
    browser.wait("return document.querySelector('.shard-map').getBoundingClientRect().width < 360", "the narrow map")
    before = browser.run(PLACES)
    epoch, (begin, middle) = change_layout(explorer, "merge=0,2")
    expect(apart(begin, "0", "2") > 1 and abs(apart(begin, "0", "2") - apart(before, "0", "2")) < 1, "both begin where they were")
    expect(apart(middle, "0", "2") < apart(begin, "0", "2") - 1, f"and move onto each other ({apart(middle, '0', '2'):.0f} of {apart(begin, '0', '2'):.0f} pixels)")
    explorer.shot("merge-360")
    end = finish(explorer)
    expect(set(end) == {"0", "1"}, "one of them is left")
    expect(browser.run("return document.querySelector('.shard-map .changed .title').textContent") == "Shard 0merged with 2", "it says what happened")
    rows = browser.wait("const rows = [...document.querySelectorAll('[data-change]')]; return rows.length === 2 && rows.map((row) => [...row.cells].map((cell) => cell.innerText))", "the list of changes")
    expect(rows[0][0] == str(epoch) and "merge" in rows[0][2] and rows[0][4] == "0* shard 0", f"the list of changes has both, the newest first: {rows[0]}")
    expect_sound(explorer, "the map after a merge, 360 pixels")
    browser.resize(1440, 1000)


@check
def without_motion_a_split_is_marked(explorer):
    browser = explorer.browser
    browser.scheme(False, reduced_motion=True)
    explorer.go("shards", fresh=True)
    browser.wait("return document.querySelectorAll('.shard-map .card').length === 2", "the map of two shards")
    browser.run("window.moved = 0; const animate = Element.prototype.animate; Element.prototype.animate = function (...all) { window.moved += 1; return animate.apply(this, all); }")
    turn(explorer, "split=1")
    browser.wait("return document.querySelectorAll('.shard-map .changed').length === 2", "the marks")
    expect(browser.run("return window.moved") == 0, "with reduced motion nothing moves, and the cards are marked")
    turn(explorer)
    browser.wait("return !document.querySelector('.shard-map .changed')", "the marks to go")
    passed("the marks go with the epoch")
    browser.scheme(False)
