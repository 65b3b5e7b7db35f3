"""The page under test, and how a check says that it passed."""

import json
import os
import pathlib
import time
import urllib.request

from webdriver import Browser

HERE = pathlib.Path(__file__).resolve().parent
SHOTS = pathlib.Path(os.environ.get("QCN_EXPLORER_SHOTS", HERE.parents[3] / "target" / "explorer"))
count = 0

# What is measured on every view: names of controls, contrast of text, landmarks, ids, overflow.
AUDIT = (HERE / "audit.js").read_text()


def passed(text):
    global count
    count += 1
    print(f"ok {count:3} {text}", flush=True)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)
    passed(text)


class Explorer:
    """The page under test, and the node's own answers to compare it with."""

    def __init__(self, url, mock):
        self.url, self.mock = url.rstrip("/"), mock
        self.browser = Browser()
        self.opened, self.is_open = 0, False

    def api(self, path):
        with urllib.request.urlopen(self.url + path, timeout=20) as response:
            return json.load(response)

    def wait_for(self, path, holds, what, seconds=15):
        """Asks the node until its answer is as it should be."""
        end = time.monotonic() + seconds
        while not holds(self.api(path)):
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    def post(self, path):
        urllib.request.urlopen(urllib.request.Request(self.url + path, b"", method="POST"), timeout=20).close()

    def go(self, route, fresh=False):
        """Opens a view, within the page unless a fresh one is asked for, and waits until it has been loaded."""
        self.opened += 1
        if self.is_open and not fresh and self.browser.run("return location.hash") != f"#/{route}":
            self.browser.run("document.querySelector('main').firstElementChild.dataset.old = 1; location.hash = '#/' + arguments[0]", route)
        else:
            self.browser.open(f"{self.url}/?{self.opened}#/{route}")
        self.is_open = True
        ready = "return document.querySelector('main h1') && !document.querySelector('main [data-old], main .loading')"
        self.browser.wait(ready, f"the view {route!r}")

    def leave(self):
        """Closes the page, which remembers the network that it has seen."""
        self.browser.open("about:blank")
        self.is_open = False

    def heading(self):
        return self.browser.run("return document.querySelector('main h1')?.textContent ?? ''")

    def shot(self, name):
        self.browser.screenshot(SHOTS / f"{name}.png")

    def search(self, text, reached):
        self.browser.type_into("#search-text", text + "\ue007")
        # The address changes before the view does.
        self.browser.wait("return location.hash.startsWith(arguments[0]) && !document.querySelector('main .loading') && document.querySelector('main h1').textContent !== 'Found it'", f"search for {text[:20]!r} to lead to {reached}", reached)
