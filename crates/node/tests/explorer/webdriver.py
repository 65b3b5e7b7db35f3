"""Drives headless Chromium by the WebDriver protocol, with Python's standard library only."""

import base64
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

KEYS = dict(tab="\ue004", enter="\ue007", left="\ue012", up="\ue013", right="\ue014", down="\ue015", escape="\ue00c", space=" ", end="\ue010", shift="\ue008")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Browser:
    """One browser with a profile of its own, thrown away at the end."""

    def __init__(self, width=1440, height=1000, dark=False, reduced_motion=False):
        driver = shutil.which("chromedriver")
        if not driver:
            raise SystemExit("chromedriver is missing: apt-get install -y chromium chromium-driver")
        self.profile = tempfile.mkdtemp(prefix="qcn-explorer-")
        port = free_port()
        self.driver = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        flags = FLAGS + [f"--user-data-dir={self.profile}", f"--window-size={width},{height}"]
        if reduced_motion:
            flags.append("--force-prefers-reduced-motion")
        capabilities = {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}
        self.session = None
        self.wait_for_driver()
        self.session = self.send("POST", "/session", {"capabilities": capabilities})["sessionId"]
        self.resize(width, height)
        self.scheme(dark, reduced_motion)

    def wait_for_driver(self):
        for _ in range(100):
            try:
                if self.send("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("chromedriver did not start")

    def send(self, method, path, body=None):
        path = path if self.session is None else f"/session/{self.session}{path}"
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise RuntimeError(f"{method} {path}: {told['error']}: {told['message'].splitlines()[0]}") from None

    def close(self):
        try:
            self.send("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(10)
            shutil.rmtree(self.profile, ignore_errors=True)

    def devtools(self, command, **parameters):
        return self.send("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, dark, reduced_motion=False):
        features = [dict(name="prefers-color-scheme", value="dark" if dark else "light")]
        if reduced_motion:
            features.append(dict(name="prefers-reduced-motion", value="reduce"))
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def open(self, url):
        self.send("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.send("POST", f"/element/{self.find(selector)}/click")

    def type_into(self, selector, text):
        element = self.find(selector)
        self.send("POST", f"/element/{element}/clear")
        self.send("POST", f"/element/{element}/value", {"text": text})

    def press(self, *names):
        """Keys on whatever has the focus, one after another."""
        actions = []
        for name in names:
            value = KEYS.get(name, name)
            actions += [dict(type="keyDown", value=value), dict(type="keyUp", value=value)]
        self.send("POST", "/actions", {"actions": [dict(type="key", id="keyboard", actions=actions)]})

    def move_to(self, x, y):
        move = dict(type="pointerMove", duration=0, x=int(x), y=int(y), origin="viewport")
        self.send("POST", "/actions", {"actions": [dict(type="pointer", id="mouse", parameters=dict(pointerType="mouse"), actions=[move])]})

    def wait(self, script, what, *arguments, seconds=15):
        """Polls until the script gives something true, and returns that."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    def log(self, kind):
        return self.send("POST", "/se/log", {"type": kind})

    def screenshot(self, path, full=False):
        if full:
            shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        else:
            shot = self.send("GET", "/screenshot")
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot))
