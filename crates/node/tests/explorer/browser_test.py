#!/usr/bin/env python3
"""Uses the explorer as its readers do, in headless Chromium, and fails if it fails them.

    python3 browser_test.py [CHECK ...]                      against the mock of this folder
    QCN_EXPLORER_URL=http://127.0.0.1:8080 python3 browser_test.py   against a real node with load

Of a network of several shards it looks at what is special to them (shard_checks.py); what follows
from epochs it looks at with a mock that has some (epoch_checks.py).

Prints every check as it passes, saves screenshots to QCN_EXPLORER_SHOTS (default
target/explorer), and exits with 1 at the first failure. Python's standard library only.
"""

import json
import os
import subprocess
import sys
import time
import traceback

import harness
from epoch_checks import EPOCH_CHECKS
from harness import AUDIT, HERE, SHOTS, Explorer, expect, passed
from shard_checks import SHARD_CHECKS
from webdriver import free_port

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def dag(explorer, name):
    return float(explorer.browser.run("return document.querySelector('.dag')?.dataset[arguments[0]] ?? 0", name))


@check
def the_overview_lives(explorer):
    explorer.go("")
    browser = explorer.browser
    browser.wait("return Number(document.querySelector('#vital-height')?.textContent.replace(/\\D/g, '')) > 0", "a final height")
    before = explorer.api("/v1/status")["certified_height"]
    shown = browser.wait("const n = Number(document.querySelector('#vital-height').textContent.replace(/\\D/g, '')); return n > arguments[0] && n", "the height to grow", before)
    expect(shown > before, f"the final height grows ({before} to {shown})")
    browser.wait("return /\\d/.test(document.querySelector('#vital-finality').textContent)", "finality")
    passed("finality is measured from executed to certified")
    rows = browser.wait("return document.querySelectorAll('.overview tbody tr').length", "rows of checkpoints")
    expect(rows > 0, "checkpoints are listed")
    expect(browser.run("return document.getElementById('link-state').textContent") == "Live", "the event stream is open")
    name = explorer.api("/v1/status")["chain_name"]
    expect(browser.run("return document.getElementById('chain-name').textContent") == name, "the chain's name is shown")


@check
def the_dag_draws_and_grows(explorer):
    explorer.go("dag")
    browser = explorer.browser
    browser.wait("const d = document.querySelector('.dag').dataset; return d.slots > 10 && d.edges > 10", "blocks and edges", seconds=30)
    head = dag(explorer, "head")
    browser.wait("return document.querySelector('.dag').dataset.head > arguments[0] + 2", "the head to grow", head, seconds=30)
    passed(f"the DAG draws and grows ({head:.0f} to {dag(explorer, 'head'):.0f}, {dag(explorer, 'slots'):.0f} slots, {dag(explorer, 'edges'):.0f} edges)")
    inked = browser.run("""const c = document.querySelector('.dag-canvas'); const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const colours = new Set(); for (let at = 0; at < pixels.length; at += 4 * 7) colours.add(pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2]); return colours.size""")
    expect(inked > 20, f"the canvas is painted ({inked} colours)")
    expect(dag(explorer, "frameMs") < 50, f"a frame takes {dag(explorer, 'frameMs')} ms")


@check
def the_dag_obeys_the_keyboard(explorer):
    browser = explorer.browser
    browser.run("document.querySelector('.toolbar .button').focus()")
    for _ in range(12):
        browser.press("tab")
        if browser.run("return document.activeElement.className") == "dag-stage":
            break
    expect(browser.run("return document.activeElement.className") == "dag-stage", "Tab reaches the drawing")
    said = "return document.querySelector('.dag [role=status]').textContent"
    browser.press("left")
    first = browser.wait(said, "a block to be described")
    expect("round" in first, f"a block is described: {first[:90]}")
    browser.press("left", "down")
    expect(browser.run(said) != first, "arrows move to another block")
    expect(browser.run("return document.querySelector('.toolbar .button').textContent") == "Follow live", "moving pauses the drawing")
    explorer.shot("dag-keyboard")
    for _ in range(8):
        if "no block" not in browser.run(said):
            break
        browser.press("left")
    browser.press("enter")
    browser.wait("return location.hash.startsWith('#/block/') && document.querySelector('.facts')", "Enter to open the block")
    passed("Enter opens the block")
    expect("Block of" in explorer.heading(), f"its page is headed {explorer.heading()!r}")
    expect(browser.run("return document.activeElement.tagName") == "H1", "the focus follows to the new heading")


@check
def the_dag_has_a_table(explorer):
    explorer.go("dag")
    browser = explorer.browser
    browser.wait("return document.querySelector('.dag').dataset.slots > 10", "blocks", seconds=30)
    browser.run("[...document.querySelectorAll('.toolbar button')].find((b) => b.textContent === 'Show as table').click()")
    cells = browser.wait("return document.querySelectorAll('.dag-table tbody a').length", "links to blocks")
    named = browser.run("return [...document.querySelectorAll('.dag-table tbody a')].every((a) => a.getAttribute('aria-label'))")
    expect(cells > 10 and named, f"the table names {cells} blocks")
    top = browser.run("return document.querySelector('.dag-table tbody th').textContent")
    browser.wait("return document.querySelector('.dag-table tbody th').textContent !== arguments[0]", "the table to grow", top)
    passed("the table grows")


@check
def pointing_shows_and_clicking_opens(explorer):
    explorer.go("dag")
    browser = explorer.browser
    browser.wait("return document.querySelector('.dag').dataset.edges > 10", "edges", seconds=30)
    browser.click(".toolbar .button")
    time.sleep(0.5)
    box = browser.run("const b = document.querySelector('.dag-stage').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]")
    found = None
    for step in range(60):
        x, y = box[0] + box[2] * (0.3 + 0.0067 * step), box[1] + 24 + (box[3] - 48) * 0.1
        browser.move_to(x, y)
        if browser.run("return document.querySelector('.dag-stage').classList.contains('over-block')"):
            found = (x, y)
            break
    expect(found and browser.run("return document.querySelector('.dag-card.shown').textContent"), "pointing at a block shows what it is")
    time.sleep(0.3)
    explorer.shot("dag-hover")
    browser.run("const [x, y] = arguments[0]; document.querySelector('.dag-stage').dispatchEvent(new MouseEvent('click', {clientX: x, clientY: y, bubbles: true}))", found)
    browser.wait("return location.hash.startsWith('#/block/')", "a click to open the block")
    passed("a click opens the block")


@check
def history_is_in_reach(explorer):
    explorer.go("dag")
    browser = explorer.browser
    browser.wait("return document.querySelector('.dag').dataset.edges > 10", "edges", seconds=30)
    shown = lambda: dag(explorer, "from")
    browser.type_into("#jump", "12\ue007")
    browser.wait("return document.querySelector('.dag').dataset.from < 12 && document.querySelector('.dag').dataset.edges > 10", "round 12 and its edges", seconds=20)
    passed(f"a jump to round 12 shows the rounds from {shown():.0f} on")
    at = shown()
    browser.click("[aria-label='Newer rounds']")
    browser.wait("return document.querySelector('.dag').dataset.from > arguments[0]", "newer rounds", at)
    passed("a button moves to newer rounds")
    wide = browser.run("return Number(document.querySelector('.dag').dataset.columns)")
    browser.click("[aria-label='Zoom out']")
    browser.wait("return document.querySelector('.dag').dataset.columns > arguments[0]", "more rounds", wide)
    passed("zooming out shows more rounds")
    browser.click(".toolbar .button")
    browser.wait("return document.querySelector('.dag').dataset.head - document.querySelector('.dag').dataset.from < 120", "the newest rounds")
    passed("following leads back to now")


@check
def lists_go_back_in_time(explorer):
    browser = explorer.browser
    if explorer.api("/v1/status")["height"] < 60:
        print("   - fewer than 60 checkpoints: not checked")
        return
    explorer.go("checkpoints")
    rows = "return [...document.querySelectorAll('main tbody tr')].map((row) => row.cells[0].textContent)"
    browser.wait("return document.querySelectorAll('main tbody tr').length === 50", "a page of checkpoints")
    browser.run("[...document.querySelectorAll('main button')].find((b) => b.textContent === 'Show older').click()")
    browser.wait("return document.querySelectorAll('main tbody tr').length > 50", "older checkpoints")
    shown = [int("".join(c for c in text if c.isdigit())) for text in browser.run(rows)]
    expect(shown == list(range(shown[0], shown[0] - len(shown), -1)), f"older checkpoints follow without a gap ({len(shown)} rows)")


@check
def searching_leads_there(explorer):
    explorer.go("")
    height = max(1, explorer.api("/v1/status")["certified_height"] - 1)
    explorer.search(str(height), f"#/checkpoint/{height}")
    expect(explorer.heading().replace("\u202f", "") == f"Checkpoint {height}", f"search by height {height}")
    checkpoint = explorer.api(f"/v1/checkpoints/{height}")
    block = checkpoint["blocks"][0]["digest"]
    explorer.search(block, f"#/block/{block}")
    expect("Block of" in explorer.heading(), "search by a block's hash")
    explorer.search("0X" + block.upper(), f"#/block/{block}")
    passed("search forgives capitals and 0x")
    validators = explorer.api("/v1/validators")["validators"]
    explorer.search(validators[1]["name"], "#/validator/1")
    expect(explorer.heading() == validators[1]["name"], "search by a validator's name")
    newest = explorer.api("/v1/transactions?limit=1")["transactions"]
    if not newest:
        print("   - no transactions here: search by transaction and address is not checked")
        return
    explorer.search(newest[0]["id"], f"#/tx/{newest[0]['id']}")
    expect(explorer.heading() == "Transaction", "search by a transaction's hash")
    explorer.search(newest[0]["sender"], f"#/account/{newest[0]['sender']}")
    expect(explorer.heading() == "Account", "search by an address")
    explorer.search("no such thing anywhere", "#/search")
    explorer.browser.wait("return document.querySelector('main h1').textContent === 'Nothing matches'", "the empty result")
    passed("what is not there is said not to be there")


@check
def transactions_and_accounts_tell_their_story(explorer):
    rows = explorer.api("/v1/transactions?limit=50")["transactions"]
    if not rows:
        print("   - no transactions here: not checked")
        return
    one = rows[-1]
    explorer.go(f"tx/{one['id']}")
    browser = explorer.browser
    browser.wait("return document.querySelectorAll('.timeline .done').length === 3", "the transaction to be final", seconds=30)
    passed("a transaction's progress is told: pending, executed, final")
    commands = browser.run("return [...document.querySelectorAll('.command')].map((c) => c.textContent).join(' ')")
    expect("qcn light verify" in commands, "the command that verifies the proof is given")
    proof = browser.run("return document.querySelector('a[download]').getAttribute('href')")
    expect(explorer.api(proof)["format"] == "qcn-proof/1", "the proof can be downloaded")
    explorer.shot("transaction")
    explorer.go(f"account/{one['sender']}")
    shown, told = None, set()
    for _ in range(100):  # the balance may move while it is looked at
        told.add(explorer.api(f"/v1/accounts/{one['sender']}")["balance"])
        shown = browser.run("return document.querySelector('.facts .amount').textContent.replace(/\\D/g, '')")
        if shown in told:
            break
        time.sleep(0.1)
    expect(shown in told, f"the balance is shown to the last digit ({shown})")
    browser.wait("return document.querySelectorAll('main tbody tr').length", "the account's transactions")
    passed("the account's transactions are listed")
    explorer.shot("account")


@check
def every_view_is_accessible_in_both_themes(explorer):
    height = explorer.api("/v1/status")["certified_height"]
    block = explorer.api(f"/v1/checkpoints/{height}")["blocks"][0]["digest"]
    newest = explorer.api("/v1/transactions?limit=1")["transactions"]
    routes = ["", "dag", "checkpoints", f"checkpoint/{height}", f"block/{block}", "transactions", "validators", "validator/1", "evidence", "search?q=zzzz", "nowhere"]
    routes += [f"tx/{newest[0]['id']}", f"account/{newest[0]['sender']}"] if newest else []
    browser = explorer.browser
    for dark in (False, True):
        browser.scheme(dark)
        for route in routes:
            explorer.go(route)
            time.sleep(0.4)
            report = browser.run(AUDIT)
            name = f"{route.split('/')[0].split('?')[0] or 'overview'}-{'dark' if dark else 'light'}"
            explorer.shot(name)
            expect(not report["problems"], f"{name}: {report['controls']} controls named, {report['texts']} texts of contrast {report['least']:.1f} or more" + "".join(f"\n      {one}" for one in report["problems"]))
    browser.scheme(False)


@check
def it_fits_from_360_pixels_to_4k(explorer):
    browser = explorer.browser
    height = explorer.api("/v1/status")["certified_height"]
    for width, tall in ((360, 780), (820, 1180), (3840, 2160)):
        browser.resize(width, tall)
        for route in ("", "dag", "validators", "evidence", f"checkpoint/{height}"):
            explorer.go(route)
            time.sleep(0.5)
            over = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            explorer.shot(f"{route.split('/')[0] or 'overview'}-{width}")
            expect(over <= 0, f"{route or 'overview'} fits {width} pixels")
    browser.resize(1440, 1000)


@check
def the_keyboard_is_enough(explorer):
    explorer.go("", fresh=True)
    browser = explorer.browser
    browser.press("tab")
    expect(browser.run("return document.activeElement.id") == "skip", "the first Tab reaches the skip link")
    browser.press("enter")
    expect(browser.run("return document.activeElement.tagName") == "H1", "it leads to the content")
    browser.press("/")
    expect(browser.run("return document.activeElement.id") == "search-text", "/ leads to the search")
    browser.run("document.getElementById('search-text').blur(); document.querySelector('#nav a').focus()")
    browser.press("tab", "enter")
    browser.wait("return location.hash === '#/dag'", "the navigation to obey Enter")
    passed("the navigation obeys Tab and Enter")
    outlined = browser.run("document.querySelector('#nav a').focus(); return getComputedStyle(document.activeElement).outlineStyle")
    expect(outlined != "none", "the focus is visible")


@check
def the_theme_is_remembered(explorer):
    explorer.go("")
    browser = explorer.browser
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    for _ in range(2):
        browser.click("#theme")
    dark = browser.run(ground)
    expect(light != dark and browser.run("return document.documentElement.dataset.theme") == "dark", f"the button changes the colours ({light} to {dark})")
    browser.open(f"{explorer.url}/?again#/")
    expect(browser.run(ground) == dark, "the choice outlasts the page")
    browser.run("localStorage.clear()")


@check
def one_shard_needs_no_map(explorer):
    explorer.go("shards")
    expect(explorer.heading() == "There is no such view", "with one shard there is no view of shards")
    expect(not explorer.browser.run("return document.querySelector('#nav [data-kind=shards]')"), "and no link to one")
    explorer.go("checkpoints")
    links = explorer.browser.wait("return [...document.querySelectorAll('main a')].map((a) => a.getAttribute('href')).join()", "checkpoints")
    expect("shard" not in links, "nor a word of them in links")


@check
def names_are_never_markup(explorer):
    if not explorer.mock:
        return
    explorer.go("validators")
    browser = explorer.browser
    browser.wait("return document.querySelector('main').textContent.includes('<script>alert(1)</script>')", "the hostile name")
    expect(browser.run("return document.querySelectorAll('main script, #banners script').length") == 0, "a hostile name is shown as text")


@check
def a_partition_is_told(explorer):
    if not explorer.mock:
        return
    explorer.go("")
    browser = explorer.browser
    explorer.post("/mock/partition?on=1")
    browser.wait("return document.querySelector('.banner')?.textContent.includes('Cut off from a quorum')", "the banner")
    passed("a partition raises a banner")
    browser.wait("return document.getElementById('news').textContent.includes('quorum')", "the announcement")
    passed("screen readers are told")
    time.sleep(1.5)
    explorer.shot("partition")
    report = browser.run(AUDIT)
    expect(not report["problems"], f"its contrast is {report['least']:.1f} or more" + "".join(f"\n      {one}" for one in report["problems"]))
    explorer.post("/mock/partition?on=0")
    browser.wait("return !document.querySelector('.banner')", "the banner to go")
    browser.wait("return [...document.querySelectorAll('.events li')].some((one) => one.textContent.includes('lasted'))", "the incident to be listed as over")
    passed("it is remembered under partitions seen")


@check
def an_unreachable_node_is_told(explorer):
    if not explorer.mock:
        return
    explorer.go("")
    browser = explorer.browser
    explorer.post("/mock/down?on=1")
    browser.wait("return document.querySelector('.banner')?.textContent.includes('does not answer')", "the banner", seconds=30)
    passed("an unreachable node raises a banner")
    browser.run("location.hash = '#/checkpoint/5'")
    browser.wait("return document.querySelector('main .failure button')", "a way to try again")
    passed("a view that cannot load says so and offers to try again")
    explorer.shot("unreachable")
    explorer.post("/mock/down?on=0")
    browser.wait("return !document.querySelector('.banner')", "the banner to go", seconds=30)
    browser.wait("return document.querySelector('main h1').textContent === 'Checkpoint 5' && document.querySelector('.facts')", "the view to load")
    passed("the view loads by itself once the node answers")
    browser.wait("return document.getElementById('link-state').textContent === 'Live'", "the stream to reopen", seconds=40)
    passed("the event stream reopens")


@check
def reduced_motion_is_honoured(explorer):
    browser = explorer.browser
    browser.scheme(False, reduced_motion=True)
    explorer.go("", fresh=True)
    browser.wait("return document.querySelector('.dag').dataset.slots > 10", "blocks", seconds=30)
    lefts = [browser.run("return Number(document.querySelector('.dag').dataset.left) % 1") for _ in range(5)]
    expect(len({round(left, 3) for left in lefts}) == 1, "with reduced motion the drawing moves in whole rounds, not in between")
    browser.scheme(False)


@check
def memory_stays_bounded(explorer):
    explorer.go("dag")
    browser = explorer.browser
    browser.wait("return document.querySelector('.dag').dataset.edges > 10", "edges", seconds=30)
    nodes = lambda: browser.run("return document.querySelectorAll('*').length")
    before = nodes()
    time.sleep(6)
    expect(nodes() < before + 200, f"the page does not grow while it runs ({before} to {nodes()} elements)")


def quiet(explorer, went_down, elsewhere=False):
    """Nothing in the console, and no request but to the node."""
    complaints = [entry["message"] for entry in explorer.browser.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    if went_down:
        complaints = [text for text in complaints if "net::ERR" not in text]
    if elsewhere:
        complaints = [text for text in complaints if "status of 421" not in text]
    expect(not complaints, "the console is quiet" + "".join(f"\n      {one}" for one in complaints[:10]))
    foreign = set()
    for entry in explorer.browser.log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith((explorer.url, "data:", "blob:", "chrome:", "about:")):
                foreign.add(url)
    expect(not foreign, f"nothing is asked of anyone else {sorted(foreign)[:3] or ''}".strip())


def run(url, mock, checks=None, renew=None):
    explorer = Explorer(url, mock)
    chosen = sys.argv[1:]
    shards = explorer.api("/v1/shards")["shards"]
    try:
        for function in checks or (CHECKS if len(shards) == 1 else SHARD_CHECKS):
            if chosen and function.__name__ not in chosen:
                continue
            print(f"-- {function.__name__.replace('_', ' ')}", flush=True)
            if renew:
                explorer.leave()
                renew()
            function(explorer)
        print("-- nothing is said behind the scenes")
        quiet(explorer, mock, not all(one["hosted"] for one in shards))
    except Exception as error:
        explorer.shot("failure")
        print(f"FAILED {error}", flush=True)
        traceback.print_exc()
        for entry in explorer.browser.log("browser")[:20]:
            print("console:", entry["level"], entry["message"][:400])
        return 1
    finally:
        explorer.browser.close()
    print(f"{harness.count} checks passed; screenshots in {SHOTS}")
    return 0


def main():
    given = os.environ.get("QCN_EXPLORER_URL")
    if given:
        return run(given, mock=False)
    return against_mock(CHECKS) or against_mock(EPOCH_CHECKS, "--shards", "2", "--rate", "8", each=True)


def against_mock(checks, *options, each=False):
    """What a check does to the network stays: where that matters, each has a network of its own."""
    if len(sys.argv) > 1 and not any(function.__name__ in sys.argv for function in checks):
        return 0
    port = free_port()
    mock = None

    def end():
        if mock:
            mock.terminate()
            mock.wait(10)

    def begin():
        nonlocal mock
        end()
        mock = subprocess.Popen([sys.executable, HERE / "mock.py", "--port", str(port), *options], stdout=subprocess.PIPE, text=True)
        mock.stdout.readline()

    try:
        begin()
        return run(f"http://127.0.0.1:{port}", True, checks, begin if each else None)
    finally:
        end()


if __name__ == "__main__":
    sys.exit(main())
