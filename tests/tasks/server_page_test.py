#!/usr/bin/env python3
"""The server's page in headless Chromium, driven over its DevTools protocol.

server_page_test.py PROGRAM [FOLDER FOR SCREENSHOTS]
"""
import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLES = os.path.join(ROOT, "tests/data/samples")


class Browser:
    """One page of a browser: the least of the WebSocket protocol that DevTools needs."""

    def __init__(self, program, width, height):
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             "--no-first-run", "--user-data-dir=" + self.folder,
             "--window-size=%d,%d" % (width, height), "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        path = os.path.join(self.folder, "DevToolsActivePort")
        deadline = time.time() + 60
        while not (os.path.exists(path) and len(open(path).read().split("\n")) > 1):
            if time.time() > deadline or self.process.poll() is not None:
                raise RuntimeError("the browser does not start")
            time.sleep(0.1)
        port = int(open(path).read().split("\n")[0])
        pages = json.load(urllib.request.urlopen("http://127.0.0.1:%d/json" % port))
        url = next(p for p in pages if p["type"] == "page")["webSocketDebuggerUrl"]
        self.s = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.s.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n" %
                        ("/" + url.split("/", 3)[3], port,
                         base64.b64encode(os.urandom(16)).decode())).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.s.recv(1)
        self.n = 0
        self.requests, self.errors = [], []
        for domain in ("Page", "Runtime", "Network", "DOM", "Accessibility"):
            self.call(domain + ".enable")

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise RuntimeError("the browser is gone")
            data += more
        return data

    def message(self):
        text = b""
        while True:
            first, second = self.read(2)
            n = second & 127
            if n == 126:
                n = struct.unpack(">H", self.read(2))[0]
            elif n == 127:
                n = struct.unpack(">Q", self.read(8))[0]
            text += self.read(n)
            if first & 128:
                return json.loads(text)

    def call(self, method, **params):
        self.n += 1
        data = json.dumps({"id": self.n, "method": method, "params": params}).encode()
        mask = os.urandom(4)
        n = len(data)
        head = b"\x81" + (struct.pack(">B", 128 | n) if n < 126 else
                          struct.pack(">BH", 254, n) if n < 65536 else
                          struct.pack(">BQ", 255, n))
        self.s.sendall(head + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))
        while True:
            got = self.message()
            if got.get("method") == "Network.requestWillBeSent":
                self.requests.append(got["params"]["request"]["url"])
            if got.get("method") == "Runtime.exceptionThrown":
                self.errors.append(got["params"]["exceptionDetails"])
            if got.get("id") == self.n:
                if "error" in got:
                    raise RuntimeError(got["error"])
                return got["result"]

    def run(self, code):
        got = self.call("Runtime.evaluate", expression=code, awaitPromise=True,
                        returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError(got["exceptionDetails"])
        return got["result"].get("value")

    def wait(self, code, seconds=60):
        deadline = time.time() + seconds
        while not self.run(code):
            if time.time() > deadline:
                raise AssertionError("never true: " + code)
            time.sleep(0.05)

    def choose(self, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[path])

    def key(self, name):
        code = {"Enter": 13, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}[name]
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                      windowsVirtualKeyCode=code, **text)

    def shot(self, name):
        if len(sys.argv) > 2:
            got = self.call("Page.captureScreenshot", captureBeyondViewport=True)
            with open(os.path.join(sys.argv[2], name + ".png"), "wb") as f:
                f.write(base64.b64decode(got["data"]))

    def close(self):
        self.s.close()
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def click(browser, x, y):
    box = browser.run("(() => { canvas.scrollIntoView(); const b = canvas.getBoundingClientRect();"
                      "return [b.left, b.top, b.width, b.height] })()")
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1,
                     x=box[0] + x * box[2], y=box[1] + y * box[3])


def measure(browser, task, expect):
    browser.run("document.querySelector('input[value=%s]').click()" % task)
    browser.run("$('go').click()")
    browser.wait("!running && (!$('answer').hidden || !!$('error').textContent)")
    assert not browser.run("$('error').textContent"), browser.run("$('error').textContent")
    assert browser.run("$('values').rows.length") == expect, task
    assert len(browser.run("$('reasoning').textContent")) > 10, task
    assert "<" not in browser.run("$('reasoning').textContent"), task
    assert browser.run("$('status').textContent").startswith("Done"), task


def check_names(browser):
    """Everything that can be focused has a name for screen readers."""
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    for node in tree:
        focusable = any(p["name"] == "focusable" and p["value"]["value"]
                        for p in node.get("properties", []))
        role = node.get("role", {}).get("value")
        if focusable and role not in ("RootWebArea", "WebArea", None):
            assert node.get("name", {}).get("value"), node


def check_downloads(browser, task):
    """What the buttons save: the overlay as a picture with the answer's colour, and the answer."""
    with tempfile.TemporaryDirectory() as folder:
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
        browser.run("$('save-json').click()")
        browser.run("$('save-png').click()")
        paths = [os.path.join(folder, "phantom1.png" + end) for end in (".json", "-overlay.png")]
        deadline = time.time() + 30
        while not all(os.path.exists(p) and os.path.getsize(p) for p in paths):
            assert time.time() < deadline, os.listdir(folder)
            time.sleep(0.05)
        with open(paths[0], encoding="utf-8") as f:
            assert json.load(f)["task"] == task
        with open(paths[1], "rb") as f:
            assert f.read(8) == b"\x89PNG\r\n\x1a\n"


def drop(browser, path):
    """A file dragged from the desktop onto the page."""
    data = {"items": [], "files": [path], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.call("Input.dispatchDragEvent", type=kind, x=300, y=300, data=data)


def check_keyboard(browser):
    """Tab reaches everything in the order of the page, and a measurement needs no pointer."""
    browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    seen = []
    for _ in range(20):  # around once
        browser.key("Tab")
        seen.append(browser.run("document.activeElement.id || document.activeElement.name"))
    for name in ("canvas", "file", "hand-clear", "task", "go"):
        assert name in seen, seen
    browser.run("$('answer').hidden = true; $('label').focus()")
    browser.key("Enter")
    browser.wait("!running && !$('answer').hidden")


def check_desktop(browser, url, nifti):
    browser.call("Page.navigate", url=url)
    browser.wait("document.readyState === 'complete' && !!$('about').textContent")
    browser.run("$('go').click()")
    assert "image" in browser.run("$('error').textContent")
    browser.shot("empty")
    drop(browser, os.path.join(SAMPLES, "phantom1.png"))
    browser.wait("!!picture && !!size[0]")
    browser.run("$('go').click()")
    assert "pixel size" in browser.run("$('error').textContent")
    browser.run("$('pw').value = '1.5'; $('ph').value = '1.5'")
    measure(browser, "size", 2)
    browser.shot("size")
    measure(browser, "detect", 4)
    browser.shot("detect")
    browser.run("$('p1').value = 'dot marker'; $('p2').value = 'square marker'")
    measure(browser, "distance", 1)
    click(browser, 0.25, 0.5)
    click(browser, 0.75, 0.5)
    side = browser.run("picture.naturalWidth")
    want = "%.1f" % (side * 0.5 * 1.5)
    text = browser.run("$('hand-value').textContent")
    got = float(text.split(" ")[1])
    assert abs(got - float(want)) < side * 1.5 * 0.01, (text, want)
    hand = browser.run("$('values').rows[0].cells[3].textContent")
    assert hand == "%.2f mm" % float(text.split(" ")[1]), (hand, text)
    browser.shot("distance")
    browser.run("Object.assign($('a1'), {value: 'dot marker'}); $('b1').value = 'square marker'")
    measure(browser, "angle", 1)
    assert browser.run("$('values').rows[0].cells[1].textContent").endswith("°")
    click(browser, 0.5, 0.25)
    click(browser, 0.5, 0.75)
    assert "90.00°" in browser.run("$('hand-value').textContent")
    assert browser.run("$('values').rows[0].cells[3].textContent") == "90.00°"
    browser.shot("angle")
    check_downloads(browser, "angle")
    browser.run("$('hand-clear').click(); canvas.focus()")
    browser.key("Enter")
    for _ in range(5):
        browser.key("ArrowRight")
    browser.key("Enter")
    assert browser.run("points.length") == 2
    assert abs(browser.run("points[1][0] - points[0][0]") - 0.02) < 1e-9
    check_names(browser)
    xray = os.path.join(ROOT, "tests/data/dicom/xray.dcm")
    browser.run("picture = null")
    browser.choose(xray)
    browser.wait("!!picture || !!$('error').textContent")
    if "DCMTK" not in browser.run("$('error').textContent"):
        assert browser.run("$('pw').value"), browser.run("$('error').textContent")
    browser.run("picture = null")
    browser.choose(nifti)
    browser.wait("!!picture || !!$('error').textContent")
    assert browser.run("!$('volume').hidden && Number($('index').max) === 11"), \
        browser.run("$('error').textContent")
    assert abs(browser.run("Number($('pw').value)") - 0.7) < 1e-6
    browser.run("$('index').value = 3; $('index').dispatchEvent(new Event('input'))")
    browser.wait("$('index-text').textContent.startsWith('3 ')")
    measure(browser, "size", 2)
    browser.shot("volume")
    check_keyboard(browser)


def check_dark(browser, url):
    browser.call("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.call("Page.navigate", url=url)
    browser.wait("document.readyState === 'complete' && !!$('about').textContent")
    browser.choose(os.path.join(SAMPLES, "phantom3.png"))
    browser.wait("!!picture")
    browser.run("$('pw').value = $('ph').value = '1'")
    measure(browser, "size", 2)
    browser.shot("dark")
    browser.call("Emulation.setEmulatedMedia", features=[])


def check_phone(browser, url):
    browser.call("Emulation.setDeviceMetricsOverride", width=375, height=740, deviceScaleFactor=2,
                 mobile=True)
    browser.call("Page.navigate", url=url)
    browser.wait("document.readyState === 'complete' && !!$('about').textContent")
    browser.choose(os.path.join(SAMPLES, "phantom2.png"))
    browser.wait("!!picture")
    measure(browser, "detect", 4)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    browser.shot("phone")


def make_nifti(path):
    """24 x 20 x 12 voxels of 0.8 x 0.7 x 2 mm, axes along R, A, S."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 24, 20, 12, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<8f", head, 76, 1, 0.8, 0.7, 2, 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[123] = 2
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, 0.8, 0, 0, 0, 0, 0.7, 0, 0, 0, 0, 2, 0)
    head[344:348] = b"n+1\0"
    voxels = b"".join(struct.pack("<h", 100 * ((x - 12) ** 2 + (y - 10) ** 2 < 40 + z))
                      for z in range(12) for y in range(20) for x in range(24))
    with open(path, "wb") as f:
        f.write(bytes(head) + voxels)


def main():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        print("skip: no Chromium")
        return 77
    server = subprocess.Popen([sys.argv[1], "serve", "--port", "0"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    if "listening" not in line:
        print("skip: " + server.stderr.read())
        return 77
    url = line.split()[-1]
    browser = Browser(program, 1280, 1000)
    try:
        with tempfile.TemporaryDirectory() as folder:
            nifti = os.path.join(folder, "volume.nii")
            make_nifti(nifti)
            check_desktop(browser, url, nifti)
        check_dark(browser, url)
        check_phone(browser, url)
        outside = [u for u in browser.requests if not u.startswith((url, "data:", "blob:"))]
        assert not outside, outside
        assert not browser.errors, browser.errors
    finally:
        browser.close()
        server.terminate()
        server.communicate(timeout=60)
    print("ok: %d requests, all of this server" % len(browser.requests))
    return 0


if __name__ == "__main__":
    sys.exit(main())
