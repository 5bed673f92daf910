# SPDX-License-Identifier: Apache-2.0
"""One scenario: the proxies, what the control plane says, and the steps at the left margin."""
import gzip, os, re, signal, socket, subprocess, threading, time

from . import net, text
from .peer import LIMIT, Client, Flags, Server
from .text import Failed, seconds, take

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
MESH, CONTROL = os.environ.get("MESH", TOP + "/build/mesh"), TOP + "/build/tool/scripted_control"
SANITIZED = "san/" in MESH
UID = 2102
SERIES = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Short times: a scenario that waits for a default of ten seconds is too slow to have.
DEFAULTS = {
    "DESTINATION_SVC_ADDR": "localhost.:8086", "POLICY_SVC_ADDR": "localhost.:8086",
    "IDENTITY_SVC_ADDR": "localhost.:8086", "POLICY_WORKLOAD": '{"ns":"test","pod":"x"}',
    "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8", "OUTBOUND_LISTEN_ADDRS": "127.0.0.1:4140,[::1]:4140", "INBOUND_LISTEN_ADDR": "[::]:4143",
    "IDENTITY_MIN_REFRESH": "1s", "SHUTDOWN_GRACE_PERIOD": "10s",
    "CORES": os.environ.get("SCN_CORES", "1")}

# How a log comes not to be taken.  The last: a pipe of one page, and who holds it does not read.
BAD_LOGS = {"closed": "exec %s proxy 2>&-", "full": "exec %s proxy 2>/dev/full",
            "stuck": "mkfifo $LINKERD2_PROXY_IDENTITY_DIR/log; exec 3<>$LINKERD2_PROXY_IDENTITY_DIR/log; exec %s proxy 2>&3"}


def flat(line):
    """A line and those below it as one."""
    return " ".join([line.text] + [flat(l) for l in line.below])


class Scene:
    def __init__(self, file, folder):
        self.file, self.dir = file, folder
        self.flags, self.peers, self.lines_of_log = Flags(), [], []
        self.procs, self.logs, self.hello, self.began = {}, {}, b"", time.monotonic()
        self.broken, self.said, self.vars = threading.Event(), None, {}
        self.crowd = []
        self.trying = False  # what fails now is tried again

    def note(self, what):
        self.lines_of_log.append("%7.3f %s" % (time.monotonic() - self.began, what))

    def failed(self, peer):
        self.note("%s FAILED" % peer.name)
        self.broken.set()
        if not self.trying:
            self.flags.stop()

    # ---- the run ----

    def run(self):
        """None, or (place, what) of the first failure."""
        try:
            return self.play() or self.leave()
        finally:
            for p in self.procs.values():
                p.kill()

    def leave(self):
        """A sanitizer tells of leaks, and of the rest, when its program ends in order."""
        mine = [(n, p) for n, p in self.procs.items() if "proxy" in n and p.poll() is None and SANITIZED]
        for _ in range(2):  # the second time it does not wait for connections
            for name, p in mine:
                p.send_signal(signal.SIGTERM)
            time.sleep(0.05 if mine else 0)
        for name, p in mine:
            try:
                self.must_exit(name, 0, 20)
            except Failed as e:
                return self.file, str(e)
        return None

    def play(self):
        lines = text.read(self.file)
        line = None
        try:
            self.prepare(any(re.match(r"(start )?proxy peer|control peer", l.text) for l in lines))
            for line in lines:
                self.step(line)
            self.finish()
        except Failed as e:
            return (self.first_failure() or ((e.line or line).place if e.line or line else self.file, str(e)))
        except (OSError, ValueError, IndexError, KeyError, TypeError) as e:
            return self.first_failure() or (line.place if line else self.file, "%s: %s" % (type(e).__name__, e))
        return None

    def first_failure(self):
        for p in self.peers:
            if p.error:
                return (p.error[0].place if p.error[0] else self.file), "%s: %s" % (p.name, p.error[1])
        return None

    def prepare(self, with_peer):
        net.make(["world", "pod"] + ["peer"] * with_peer)
        net.wire(with_peer)
        open(self.dir + "/token", "w").write("token")
        os.chmod(self.dir, 0o755)
        os.chown(self.dir, UID, UID)

    def step(self, line):
        words = line.words()
        do = getattr(self, "do_" + words[0], None)
        if not do:
            raise Failed("there is no step %r" % words[0])
        if self.broken.is_set():
            raise Failed("something failed before")
        self.note("* " + line.text)
        do(line, words[1:])

    def finish(self):
        for p in self.peers:
            if isinstance(p, Server) and p.each:
                p.stop()
            else:
                self.join(p, 10)
        for name, p in self.procs.items():
            if p.poll() not in (None, 0) and "control" not in name and name not in self.vars:
                raise Failed("%s ended: %d" % (name, p.returncode))
        self.raise_failure()

    def raise_failure(self):
        failure = self.first_failure()
        if failure:
            raise Failed(failure[1], text.Line("", failure[0]))

    def join(self, peer, limit):
        until = time.monotonic() + limit
        while peer.thread.is_alive() and time.monotonic() < until and not self.broken.is_set():
            peer.thread.join(0.02)
        if peer.error or self.broken.is_set():
            self.broken.wait(0.1)
            self.raise_failure()
        if peer.thread.is_alive():
            raise Failed("%s does not end: it does %r" % (peer.name, peer.asked))

    # ---- programs ----

    def program(self, name, where, args, env=None, uid=0, files=None):
        log = self.logs[name] = "%s/%s.log" % (self.dir, name.replace(" ", "-"))
        p = self.procs[name] = net.spawn(where, args, log, env or dict(os.environ), uid, files)
        return p

    def wait_log(self, name, what, limit=10):
        until = time.monotonic() + limit
        while what not in open(self.logs[name]).read():
            if self.procs[name].poll() is not None or time.monotonic() > until:
                return what in open(self.logs[name]).read()
            time.sleep(0.005)
        return True

    def control_name(self, where):
        return "control" if where == "pod" else "control peer"

    def do_control(self, line, words):
        where = "peer" if text.flag(words, "peer") else "pod"
        name = self.control_name(where)
        if words == ["stop"]:
            self.procs[name].kill()
            self.procs[name].wait()
            return
        if line.below or not os.path.exists(self.script(where)):
            with open(self.script(where) + "+", "w") as f:
                f.writelines(flat(l) + "\n" for l in line.below)
            os.rename(self.script(where) + "+", self.script(where))
        if name in self.procs and self.procs[name].poll() is None:
            self.procs[name].send_signal(signal.SIGHUP)
        else:
            self.start_control(where)

    def script(self, where):
        return self.dir + "/script." + where

    def start_control(self, where):
        name = self.control_name(where)
        if not os.path.exists(self.script(where)):
            open(self.script(where), "w").close()
        if name in self.logs:
            open(self.logs[name], "w").close()
        self.program(name, where, [CONTROL, "-listen", "127.0.0.1:8086", "-ca", self.dir + "/ca.pem",
                                   self.script(where)], uid=UID)  # not of the application, for a proxy that ends
        if not self.wait_log(name, "listening"):
            raise Failed("the control plane does not start: " + open(self.logs[name]).read())

    def anchors(self, root=""):
        pem = open(self.dir + "/ca.pem" + root).read()
        end = "-----END CERTIFICATE-----\n"
        return pem[pem.index("-----BEGIN CERT"):pem.index(end)] + end

    def do_anchors(self, line, words):
        """anchors ROOT…: the file $DIR/anchors has the certificates of these roots ("first": the one without a
        name); "anchors broken": none that can be read"""
        out, until = "", time.monotonic() + LIMIT
        for name in words:
            file = self.dir + "/ca.pem.root." + name  # made by the control plane when it is told to
            while name not in ("first", "broken") and not os.path.exists(file) and time.monotonic() < until:
                time.sleep(0.01)
            out += "no certificate" if name == "broken" else self.anchors("" if name == "first" else ".root." + name)
        with open(self.dir + "/anchors+", "w") as f:
            f.write(out)
        os.rename(self.dir + "/anchors+", self.dir + "/anchors")

    def environment(self, where, lines):
        ident = "%s/id.%s" % (self.dir, where)
        os.makedirs(ident, exist_ok=True)
        os.chown(ident, UID, UID)
        env = dict(DEFAULTS, IDENTITY_DIR=ident, IDENTITY_TRUST_ANCHORS=self.anchors(),
                   IDENTITY_TOKEN_FILE=self.dir + "/token",
                   IDENTITY_LOCAL_NAME="client.test" if where == "pod" else "web.test")
        for l in lines:
            key, _, value = l.text.partition("=")
            env[key] = value.replace("$DIR", self.dir)
            if key.startswith("!"):
                env.pop(key[1:], None)
        out = {"LINKERD2_PROXY_" + k: v for k, v in env.items() if not k.startswith("!")}
        out["PATH"] = os.environ["PATH"]
        out.update((k, v) for k, v in os.environ.items() if k.endswith("SAN_OPTIONS"))
        return out

    def do_proxy(self, line, words):
        """The proxy of a pod, ready; "proxy exits N": it must not start; "proxy unready": it only listens;
        "files N": with so many descriptors; "log closed|full|stuck": its log cannot be written (no
        descriptor, a full disk, a pipe that nobody reads)."""
        files, unready = int(take(words, "files", 0)), text.flag(words, "unready")
        where = "peer" if text.flag(words, "peer") else "pod"
        if self.control_name(where) not in self.procs:
            self.start_control(where)
        if "proxy " + where not in self.procs:
            self.redirect(where)
        bad_log = take(words, "log", None)
        args = ["sh", "-c", BAD_LOGS[bad_log] % MESH] if bad_log else [MESH, "proxy"]
        p = self.program("proxy " + where, where, args, self.environment(where, line.below), UID, files)
        if bad_log:
            self.wait_ready(where)
        elif words and words[0] == "exits":
            self.must_exit("proxy " + where, int(words[1]), LIMIT)
        elif not self.wait_log("proxy " + where, "Listening" if unready else "Ready"):
            raise Failed("the proxy does not start (%s)" % p.poll())
        if any(l.text.startswith("INBOUND_PORTS=") for l in line.below) and not (unready or words or bad_log):
            self.wait_policies(where)

    def wait_policies(self, where):
        """Until the policies of its ports are there, where the control plane says any: else a first request
        may meet the default."""
        script, until = open(self.script(where)).read(), time.monotonic() + 3
        if "bad inbound" in script or self.procs[self.control_name(where)].poll() is not None:
            return
        while time.monotonic() < until:
            rows = [r for r in self.ask_admin(where, "/ports.json", []).splitlines() if '"inbound"' in r]
            if not any('"policy_from":"default"' in r for r in rows):
                return
            time.sleep(0.01)

    def wait_ready(self, where):
        """For a proxy that cannot say so in its log."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                if "200 OK" in self.ask_admin(where, "/ready", []):
                    return
            except (OSError, Failed):
                pass
            time.sleep(0.02)
        raise Failed("the proxy does not get ready")

    def redirect(self, where):
        p = subprocess.Popen([MESH, "init", "-p", "4143", "-o", "4140", "-u", str(UID), "--inbound-ports-to-ignore",
                              "4190,4191"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             preexec_fn=lambda: net.call("setns", net.spaces[where], net.NEWNET))
        out = p.communicate(timeout=10)[0]
        if p.returncode:
            raise Failed("mesh init: " + out)

    def proxy_name(self, words):
        return "proxy " + ("peer" if text.flag(words, "peer") else "pod")

    def do_signal(self, line, words):
        self.procs[self.proxy_name(words)].send_signal(getattr(signal, "SIG" + words[-1]))

    def do_exit(self, line, words):
        """exit [peer] STATUS [within D]"""
        limit = seconds(take(words, "within", "%ds" % LIMIT))
        self.must_exit(self.proxy_name(words), int(words[0]), limit)

    def must_exit(self, name, status, limit):
        self.vars[name] = "over"
        try:
            got = self.procs[name].wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed("%s still runs" % name)
        if got != status:
            raise Failed("%s exits %d" % (name, got))

    def do_log(self, line, words):
        name = self.proxy_name(words)
        if not self.wait_log(name, words[0].decode(), LIMIT):
            raise Failed("%s does not log it" % name)

    def do_memory(self, line, words):
        """memory [peer] below NM: resident, of the proxy; a sanitizer keeps too much to tell"""
        if "/san/" in MESH or "/tsan/" in MESH:
            return
        pid = self.procs[self.proxy_name(words)].pid
        kb = int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % pid).read())[1])
        self.note("the proxy has %d kB" % kb)
        if kb > int(words[-1].rstrip("M")) * 1024:
            raise Failed("the proxy has %d kB" % kb)

    # ---- peers ----

    def parse_client(self, line, words):
        name, *words = words
        source, where = take(words, "from"), take(words, "in")
        to = net.parse(words[0])
        if not where and to[0] in (net.PEER, net.PEER6):
            where = "pod"
        c = Client(self, name, line.below, to, where, source)
        self.peers.append(c)
        c.start()
        return c

    def do_client(self, line, words):
        self.join(self.parse_client(line, words), 30)

    def do_start(self, line, words):
        """start client …: the next steps do not wait for it"""
        if words[0] != "client":
            raise Failed("only a client is started so")
        self.parse_client(line, words[1:])

    def do_server(self, line, words):
        each = text.flag(words, "each")
        s = Server(self, words[0], line.below, net.parse(words[1]), each)
        self.peers.append(s)
        s.start()

    def do_crowd(self, line, words):
        """crowd N TO ["bytes"|hello NAME]: so many connections say this and no more; "crowd over" ends them"""
        if words == ["over"]:
            while self.crowd:
                self.crowd.pop().close()
            return
        to, say = net.parse(words[1]), text.quoted(words[2:]) if words[2:] and words[2] != "hello" else b""
        if words[2:3] == ["hello"]:
            say = Client(self, "hello", [], to, None, None).client_hello(words[3])
        for _ in range(int(words[0])):
            s = net.connect(*to)
            self.crowd.append(s)
            if say:
                s.sendall(say)

    def do_wait(self, line, words):
        limit = seconds(take(words, "within", "10s"))
        for p in self.peers:
            if p.name in words:
                self.join(p, limit)

    def do_unlisten(self, line, words):
        """unlisten NAME…: these servers take no more, as an application that ends"""
        for p in self.peers:
            if p.name in words:
                p.stop()

    def do_await(self, line, words):
        self.flags.wait(words[0], seconds(take(words, "within", "%ds" % LIMIT)))

    def do_tell(self, line, words):
        self.flags.tell(words[0])

    def do_delay(self, line, words):
        time.sleep(seconds(words[0]))

    # ---- more than once ----

    def do_for(self, line, words):
        """for NAME in A..B, or in WORD WORD …: the lines below with $NAME replaced"""
        values = words[2:]
        if ".." in values[0]:
            first, last = values[0].split("..")
            values = range(int(first), int(last) + 1)
        for n in values:
            for l in line.below:
                self.step(l.replace("$" + words[0], str(n)))

    def do_unsanitized(self, line, words):
        """unsanitized: the lines below, but where a sanitizer keeps the memory that is freed"""
        if "/san/" not in MESH and "/tsan/" not in MESH:
            for l in line.below:
                self.step(l)

    def do_faultless(self, line, words):
        """faultless: the lines below, but where calls fail: no request would be served after them either"""
        if "SCN_FAULTS" not in os.environ:
            for l in line.below:
                self.step(l)

    def do_until(self, line, words):
        """until D: the lines below, again and again until they do not fail"""
        until = time.monotonic() + seconds(words[0])
        while True:
            known, self.trying = len(self.peers), True
            try:
                for l in line.below:
                    self.step(l)
                return
            except Failed:
                if time.monotonic() > until:
                    raise
                for p in self.peers[known:]:
                    p.thread.join(LIMIT)
                del self.peers[known:]
                self.raise_failure()
                self.broken.clear()
                time.sleep(0.02)
            finally:
                self.trying = False

    # ---- the admin port ----

    @staticmethod
    def ask_admin(where, path, fields):
        with net.connect("127.0.0.1", 4191, where) as s:
            head = ["GET %s HTTP/1.1" % path, "host: admin", "connection: close"] + fields
            s.sendall("\r\n".join(head + ["", ""]).encode())
            out = b""
            while data := s.recv(65536):
                out += data
        head, _, body = out.partition(b"\r\n\r\n")
        if b"content-encoding: gzip" in head:
            body = gzip.decompress(body)
        return (head + b"\r\n\r\n" + body).decode()

    def do_admin(self, line, words):
        """admin [peer] PATH "TEXT" …: the answer to a GET, head and body (of gzip: unpacked), has the
        texts, soon; request fields below; "!TEXT": it has not."""
        where = "peer" if text.flag(words, "peer") else "pod"
        wanted, until = [w.decode() for w in words[1:]], time.monotonic() + LIMIT
        while True:
            got = self.ask_admin(where, words[0], [l.text for l in line.below])
            if all((w[1:] not in got) if w[0] == "!" else (w in got) for w in wanted):
                return
            if time.monotonic() > until:
                raise Failed("it is\n  %s" % got.replace("\n", "\n  "))
            time.sleep(0.05)

    # ---- metrics ----

    def scrape(self, where):
        with net.connect("127.0.0.1", 4191, where) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
            out = b""
            while data := s.recv(65536):
                out += data
        return out.decode().partition("\r\n\r\n")[2]

    def sum_series(self, where, name, labels):
        total, found = 0, False
        for l in self.scrape(where).splitlines():
            m = SERIES.match(l)
            if m and m[1] == name and labels.items() <= dict(LABEL.findall(m[2] or "")).items():
                total, found = total + float(m[3]), True
        return total if found else None

    def do_metrics(self, line, words):
        """metrics [peer] SERIES VALUE: the series that have these labels add up to it, soon.
        VALUE may be "none", or begin with ">"."""
        rest = line.text.split(None, 1)[1]
        where = "pod"
        if rest.startswith("peer "):
            where, rest = "peer", rest[5:]
        m = SERIES.match(rest)
        if not m:
            raise Failed("that is no series and a value")
        labels, until = dict(LABEL.findall(m[2] or "")), time.monotonic() + LIMIT
        while True:
            got = self.sum_series(where, m[1], labels)
            if self.fits(m[3], got):
                return
            if time.monotonic() > until:
                near = [l for l in self.scrape(where).splitlines() if l.startswith(m[1])]
                raise Failed("it is %s\n  %s" % (got, "\n  ".join(near)))
            time.sleep(0.05)

    @staticmethod
    def fits(want, got):
        if want == "none":
            return got is None
        if want.startswith(">"):
            return got is not None and got > float(want[1:])
        return got == float(want)
