# SPDX-License-Identifier: Apache-2.0
"""Clients and servers that do what a scenario's lines say, one thread each."""
import select, socket, ssl, struct, threading, time

from . import h2, net
from .text import Failed, Quoted, check_fields, differ, flag, in_parts, literal, match, quoted, seconds, take

LIMIT = 5  # seconds a step may take, unless it says "within"


class Closed(Failed):
    pass


class Left(Exception):
    """A connection that was made in advance ended before it served a purpose."""


class Flags:
    """Names that scripts tell each other of."""
    def __init__(self):
        self.lock, self.told, self.over = threading.Condition(), set(), False

    def tell(self, name):
        with self.lock:
            self.told.add(name)
            self.lock.notify_all()

    def wait(self, name, limit):
        with self.lock:
            if not self.lock.wait_for(lambda: name in self.told or self.over, limit) or self.over:
                raise Failed("%s was not told" % name)

    def stop(self):
        with self.lock:
            self.over = True
            self.lock.notify_all()


class Peer:
    """One connection after the other and the steps on them."""
    def __init__(self, scene, name, lines):
        self.scene, self.name, self.lines = scene, name, lines
        self.sock, self.http2, self.listener = None, None, None
        self.buf, self.head, self.hello = b"", None, b""
        self.error, self.thread, self.asked, self.trailers = None, None, "", []

    def note(self, what):
        self.scene.note("%s %s" % (self.name, what))

    # ---- the run ----

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        line = None
        try:
            for line in self.lines:
                self.step(line)
        except Left:
            pass
        except Failed as e:
            self.error = (e.line or line, str(e))
        except (OSError, ValueError, IndexError, KeyError) as e:
            self.error = (line, "%s: %s" % (type(e).__name__, e))
        finally:
            if self.error:
                self.scene.failed(self)
            self.end()

    def end(self):
        if self.sock:
            self.drain()
            self.sock.close()
        self.sock = None

    def drain(self):
        """Bytes that nobody read would make the kernel reset the connection and drop what was sent."""
        try:
            self.sock.settimeout(0)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def step(self, line):
        words = line.words()
        self.limit = seconds(take(words, "within", "%ds" % LIMIT))
        self.asked = words[0]
        step = getattr(self, "do_" + words[0].replace("-", "_"), None)
        if not step:
            raise Failed("there is no step %r" % words[0])
        self.below = line.below
        step(words[1:])

    # ---- bytes ----

    def write(self, data, cut=None):
        self.note("> %r" % data[:300] + (" … %d bytes" % len(data) if len(data) > 300 else ""))
        self.sock.settimeout(self.limit)
        if cut is not None:
            self.sock.sendall(data[:cut])
            time.sleep(0.01)
            data = data[cut:]
        self.sock.sendall(data)

    def more(self, until):
        """Reads once; b"" at the end."""
        left = until - time.monotonic()
        if left <= 0:
            raise Failed("nothing came in time")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(262144)
        except TimeoutError:
            raise Failed("nothing came in time")
        except ssl.SSLEOFError:
            data = b""
        except (ConnectionResetError, ssl.SSLError) as e:
            raise Closed("the connection was reset (%s)" % e)
        self.note("< %r" % data[:300] + (" … %d bytes" % len(data) if len(data) > 300 else "") if data else "< end")
        return data

    def need(self, done):
        """Reads until done(buf) is true."""
        until = time.monotonic() + self.limit
        while not done(self.buf):
            data = self.more(until)
            if not data:
                raise Closed("the connection ended")
            self.buf += data

    def read(self, want):
        """Exactly these bytes come."""
        try:
            self.need(lambda b: len(b) >= len(want) or not want.startswith(b))
        except Failed as e:
            raise Failed("%s: %s" % (e, differ(want, self.buf)))
        if not self.buf.startswith(want):
            raise Failed(differ(want, self.buf[:len(want) + 40]))
        self.buf = self.buf[len(want):]

    def read_until(self, want):
        """These bytes come, whatever comes before them."""
        until = time.monotonic() + self.limit
        while want not in self.buf:
            self.buf = self.buf[-len(want):]
            data = self.more(until)
            if not data:
                raise Closed("the connection ended before %r" % want)
            self.buf += data
        self.buf = self.buf.split(want, 1)[1]

    # ---- HTTP/1 ----

    def read_head(self, only):
        try:
            self.need(lambda b: b"\r\n\r\n" in b)
        except Failed as e:
            raise Failed("%s; of a head there is %r" % (e, self.buf[-300:]))
        text, self.buf = self.buf.split(b"\r\n\r\n", 1)
        first, *rest = text.decode("latin-1").split("\r\n")
        fields = [(n.lower(), v.strip()) for n, _, v in (l.partition(":") for l in rest)]
        self.head = dict(fields)
        if self.below and not match(self.below[0].text, first):
            raise Failed("want %r, got %r\n  with %r" % (self.below[0].text, first, fields), self.below[0])
        check_fields(self.below[1:], fields, only)

    def body_parts(self):
        if "chunked" in self.head.get("transfer-encoding", ""):
            yield from self.chunks()
        elif "content-length" in self.head:
            yield from self.exactly(int(self.head["content-length"]))
        else:
            yield from self.rest()

    def exactly(self, n):
        while n:
            self.need(lambda b: b)
            part, self.buf = self.buf[:n], self.buf[n:]
            n -= len(part)
            yield part

    def rest(self):
        until = time.monotonic() + self.limit
        part, self.buf = self.buf, b""
        while True:
            yield part
            part = self.more(until)
            if not part:
                return

    def chunks(self):
        while True:
            self.need(lambda b: b"\r\n" in b)
            size, self.buf = self.buf.split(b"\r\n", 1)
            n = int(size.split(b";")[0], 16)
            if n == 0:
                break
            yield from self.exactly(n)
            self.need(lambda b: len(b) >= 2)
            if self.buf[:2] != b"\r\n":
                raise Failed("a chunk of %d does not end with it" % n)
            self.buf = self.buf[2:]
        self.read_trailers()

    def read_trailers(self):
        self.need(lambda b: b.startswith(b"\r\n") or b"\r\n\r\n" in b)
        trailers, self.buf = (b"", self.buf[2:]) if self.buf.startswith(b"\r\n") else self.buf.split(b"\r\n\r\n", 1)
        self.trailers = [(n.lower(), v.strip()) for n, _, v in
                         (l.partition(":") for l in trailers.decode("latin-1").split("\r\n") if l)]

    # ---- steps: sending ----

    def do_send(self, words):
        if self.http2:
            return self.http2.send(words, self.below, self.limit)
        if flag(words, "urgent"):
            return self.sock.send(quoted(words), socket.MSG_OOB)
        cut = take(words, "cut")
        if words[1:2] == ["bytes"] and cut is None:
            for part in in_parts(words):
                self.write(part)
        else:
            self.write(self.text_to_send(words), None if cut is None else int(cut))

    def lines_below(self):
        return "".join(l.text + "\r\n" for l in self.below).encode("latin-1")

    def text_to_send(self, words):
        what = words[0] if words else ""
        if what == "head":
            return self.lines_below() + b"\r\n" + quoted(words[1:])
        if what == "chunk":
            data = quoted(words[1:])
            return b"%x\r\n%s\r\n" % (len(data), data)
        if what == "last-chunk":
            return b"0\r\n" + self.lines_below() + b"\r\n"
        if what == "hello":
            return self.client_hello(words[1])
        return literal(words)

    def client_hello(self, name):
        out = ssl.MemoryBIO()
        tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.scene.hello = out.read()
        return self.scene.hello

    # ---- steps: expecting ----

    def do_expect(self, words):
        if self.http2:
            return self.http2.expect(words, self.below, self.limit)
        what = words[0]
        if isinstance(what, Quoted):
            self.read(quoted(words))
        elif what == "head":
            self.read_head(flag(words, "only"))
        elif what == "body":
            self.expect_body(words[1:])
        elif what == "trailers":
            check_fields(self.below, self.trailers, True)
        elif what == "hello":
            self.read(self.scene.hello)
        elif what == "until":
            self.read_until(quoted(words[1:]))
        elif what == "silence":
            self.expect_silence(seconds(words[1]))
        elif what in ("eof", "reset", "close"):
            self.expect_end(what)
        elif words[1:2] == ["bytes"]:
            for part in in_parts(words):
                self.read(part)
        else:
            raise Failed("%r cannot be expected" % what)

    def expect_body(self, words):
        parts, want, at = in_parts(words), b"", 0
        for got in self.body_parts():
            while len(want) < len(got) and (more := next(parts, None)) is not None:
                want += more
            if not want.startswith(got):
                raise Failed("the body, after %d bytes: %s" % (at, differ(want, got)))
            want, at = want[len(got):], at + len(got)
        want += next(parts, b"")
        if want:
            raise Failed("the body ends after %d bytes; wanted: %r" % (at, want[:100]))

    def expect_silence(self, time_):
        ready = select.select([self.sock], [], [], time_)[0]
        if self.buf or ready:
            raise Failed("there are bytes, or the end: %r" % (self.buf or self.sock.recv(1000, socket.MSG_PEEK)))

    def expect_end(self, what):
        try:
            data = self.buf or self.more(time.monotonic() + self.limit)
        except Closed:
            if what == "eof":
                raise
            return
        if data:
            raise Failed("the connection goes on with %r" % data[:200])
        if what == "reset":
            raise Failed("the connection ended in order")

    # ---- steps: the rest ----

    def do_times(self, words):
        """times N: the lines below, so often"""
        lines = self.below
        for _ in range(int(words[0])):
            for l in lines:
                self.step(l)

    def do_loop(self, words):
        """The lines below, again and again until the connection ends before they begin."""
        lines = self.below
        while self.buf or has_bytes(self.sock, time.monotonic() + 10):
            for l in lines:
                self.step(l)

    def do_tell(self, words):
        self.scene.flags.tell(words[0])

    def do_await(self, words):
        self.scene.flags.wait(words[0], self.limit)

    def do_delay(self, words):
        time.sleep(seconds(words[0]))

    def do_shutdown(self, words):
        self.note("> end")
        socket.socket.shutdown(self.sock, socket.SHUT_WR)  # of TLS too: its own would forget the keys

    def do_close(self, words):
        self.end()

    def do_reset(self, words):
        self.note("> reset")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.sock = None

    def do_small_window(self, words):
        """What the kernel takes for us before the sender must wait."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def do_tls(self, words):
        """tls [refused] [old] [CERTIFICATE] [for SNI] [alpn NAME]: mesh TLS from here, as a client or as a server."""
        again = list(words)
        alpn = take(words, "alpn")
        sni, refused, server = take(words, "for"), flag(words, "refused"), not isinstance(self, Client)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        old = flag(words, "old")
        tls.maximum_version = ssl.TLSVersion.TLSv1_2 if old else ssl.TLSVersion.TLSv1_3
        tls.minimum_version, tls.check_hostname, tls.verify_mode = tls.maximum_version, False, ssl.CERT_NONE
        if words:
            tls.load_cert_chain(self.scene.dir + "/ca.pem." + words[0])
        if alpn:
            tls.set_alpn_protocols([alpn])
        self.sock.settimeout(self.limit)
        try:
            self.sock = tls.wrap_socket(self.sock, server_side=server, server_hostname=sni)
        except OSError as e:
            self.note("TLS: %s" % e)
            left = isinstance(e, (ssl.SSLEOFError, ConnectionError))
            if left and isinstance(self, One):
                raise Left
            if left and not refused and isinstance(self, Server):  # made in advance, for a client who then spoke HTTP
                self.do_accept([])
                return self.do_tls(again)
            if not refused:
                raise Failed("TLS: %s" % e)
            return
        if refused:
            raise Failed("TLS: the certificate is taken")
        if self.sock.selected_alpn_protocol() != alpn:
            raise Failed("ALPN: %r" % self.sock.selected_alpn_protocol())

    def do_h2(self, words):
        self.http2 = h2.Session(self, isinstance(self, Client), dict(w.split("=") for w in words if "=" in w),
                                "hold" in words)
        self.http2.begin(self.limit)

    def do_get(self, words):
        self.http2.get(words, self.below, self.limit)

    def do_flood(self, words):
        self.http2.flood(words, self.below, self.limit)

    def do_serve(self, words):
        self.http2.serve(words, self.limit)


def begins_with_bytes(line):
    words = line.text.split() if line else [""]
    return words[0] in ("expect", "h2", "tls", "loop", "times") and words[1:2] not in (["eof"], ["reset"], ["close"], ["silence"])


def has_bytes(sock, until):
    """False: it ended without one."""
    sock.settimeout(max(0.01, until - time.monotonic()))
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return True
    except OSError:
        return False


class One(Peer):
    """A connection of a server that does the same for each."""
    def __init__(self, scene, name, lines, sock):
        super().__init__(scene, name, lines)
        self.sock = sock

    def run(self):
        if self.lines[0].text == "small-window": # before bytes come
            self.do_small_window([])
            self.lines = self.lines[1:]
        if begins_with_bytes(self.lines[0]) and not has_bytes(self.sock, time.monotonic() + 10):
            return self.end()
        super().run()


class Client(Peer):
    def __init__(self, scene, name, lines, to, where, source):
        super().__init__(scene, name, lines)
        self.to, self.where, self.source = to, where, source

    def run(self):
        if not self.lines or not self.lines[0].text.startswith("connect"):
            try:
                self.limit = LIMIT
                self.do_connect([])
            except Exception as e:
                self.error = (self.lines[0] if self.lines else None, "connect: %s" % e)
                self.scene.failed(self)
                return
        super().run()

    def do_connect(self, words):
        """"connect" anew; "connect refused" when it must not succeed; "connect reset": then, or right after."""
        self.end()
        self.buf, self.http2 = b"", None
        try:
            self.sock = net.connect(*self.to, self.where, self.source, self.limit)
        except OSError as e:
            if words == ["refused"] or words == ["reset"] and isinstance(e, ConnectionResetError):
                return
            raise Failed("connect: %s" % e)
        if words == ["refused"]:
            raise Failed("the connection was taken")
        if words == ["reset"]:
            self.expect_end("reset")


class Server(Peer):
    """Accepts by itself, and again at each "accept"; `each`: the lines for every connection."""
    def __init__(self, scene, name, lines, at, each):
        super().__init__(scene, name, lines)
        self.at, self.each = at, each
        self.listener = net.listen(*at)
        self.wants_bytes, self.silent = False, []

    def run(self):
        if self.each:
            return self.run_each()
        try:
            self.limit = 10
            if not self.lines or not self.lines[0].text.startswith("accept"):
                self.plan(self.lines[0] if self.lines else None)
                self.do_accept([])
        except Failed as e:
            self.error = (self.lines[0], str(e))
            self.scene.failed(self)
            return
        super().run()

    def run_each(self):
        while True:
            try:
                sock = net.accept(self.listener)
            except OSError:
                return
            One(self.scene, self.name, self.lines, sock).start()

    def step(self, line):
        if line.text.startswith("accept"):
            at = self.lines.index(line) + 1
            self.plan(self.lines[at] if at < len(self.lines) else None)
        super().step(line)

    def plan(self, following):
        self.wants_bytes = begins_with_bytes(following)

    def do_accept(self, words):
        """The next connection; when its bytes are awaited, the next with bytes: others were made in
        advance."""
        self.end()
        self.buf, self.http2 = b"", None
        until = time.monotonic() + self.limit
        while not self.sock:
            ready = select.select([self.listener] + self.silent, [], [], max(0, until - time.monotonic()))[0]
            if not ready:
                raise Failed("no connection came")
            for s in ready:
                self.look_at(s)
        self.note("accepted")

    def look_at(self, s):
        if self.sock:
            return
        if s is self.listener:
            self.silent.append(net.accept(s))
            if not self.wants_bytes:
                self.sock = self.silent.pop()
            return
        self.silent.remove(s)
        if has_bytes(s, time.monotonic() + 1):
            self.sock = s
        else:
            s.close()

    def do_unlisten(self, words):
        self.listener.close()

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
