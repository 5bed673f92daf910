# SPDX-License-Identifier: Apache-2.0
"""A page in headless Chromium, driven by its own protocol over two pipes: no driver, no download."""
import base64, json, os, select, shutil, subprocess, tempfile, time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe""".split()


class Browser:
    """One page.  `errors` gathers what its scripts throw and what it could not load."""

    def __init__(self, width=1280, height=900):
        self.folder = tempfile.mkdtemp(prefix="mesh-web-")
        theirs_in, self.out = os.pipe()
        self.inp, theirs_out = os.pipe()
        # the protocol is spoken at descriptors 3 and 4, whatever the pipes' numbers are
        words = ["sh", "-c", 'exec 3<&%d 4>&%d; exec "$@"' % (theirs_in, theirs_out), "sh", PROGRAM, *FLAGS,
                 "--user-data-dir=" + self.folder, "--window-size=%d,%d" % (width, height), "about:blank"]
        self.p = subprocess.Popen(words, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(theirs_in), os.close(theirs_out)
        self.id, self.rest, self.errors, self.session = 0, b"", [], None
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def message(self, seconds):
        while b"\0" not in self.rest:
            if not select.select([self.inp], [], [], seconds)[0]:
                raise TimeoutError("the browser does not answer")
            got = os.read(self.inp, 1 << 20)
            if not got:
                raise EOFError("the browser has ended")
            self.rest += got
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def note(self, m):
        if m.get("method") == "Runtime.exceptionThrown":
            d = m["params"]["exceptionDetails"]
            self.errors.append(d.get("exception", {}).get("description", d["text"]))
        if m.get("method") == "Log.entryAdded" and m["params"]["entry"]["level"] == "error":
            self.errors.append(m["params"]["entry"]["text"])

    def call(self, method, seconds=20, **params):
        self.id += 1
        what = {"id": self.id, "method": method, "params": params}
        if self.session:
            what["sessionId"] = self.session
        os.write(self.out, json.dumps(what).encode() + b"\0")
        while True:
            m = self.message(seconds)
            self.note(m)
            if m.get("id") == self.id:
                if "error" in m:
                    raise RuntimeError(method + ": " + m["error"]["message"])
                return m["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def js(self, text):
        """The value of an expression in the page."""
        got = self.call("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        return got["result"].get("value")

    def wait(self, text, seconds=10):
        """Until an expression in the page is true; its value, or None."""
        end = time.time() + seconds
        while time.time() < end:
            got = self.js(text)
            if got:
                return got
            time.sleep(0.05)
        return None

    def click(self, selector):
        """As a person does: a real press in the middle of what is seen."""
        x, y = self.js("(()=>{const e=document.querySelector(%s);e.scrollIntoView({block:'center'});const r=e.getBoundingClientRect();"
                       "return [r.x+r.width/2,r.y+r.height/2]})()" % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        try:
            os.killpg(self.p.pid, 9)
        except ProcessLookupError:
            pass
        self.p.wait()
        os.close(self.inp), os.close(self.out)
        shutil.rmtree(self.folder, ignore_errors=True)
