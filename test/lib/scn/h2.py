# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames and HPACK, as far as a script wants to see them (RFC 9113, RFC 7541)."""
import re, struct, time
from collections import defaultdict

from .text import Failed, check_fields, differ, flag, in_parts, quoted, take

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
ERRORS = ("NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
          "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY "
          "HTTP_1_1_REQUIRED").split()
SETTING = {"HEADER_TABLE_SIZE": 1, "ENABLE_PUSH": 2, "MAX_CONCURRENT_STREAMS": 3, "INITIAL_WINDOW_SIZE": 4,
           "MAX_FRAME_SIZE": 5, "MAX_HEADER_LIST_SIZE": 6, "ENABLE_CONNECT_PROTOCOL": 8}

STATIC = [tuple(l.partition("=")[::2]) for l in (
    ":authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 :status=204 "
    ":status=206 :status=304 :status=400 :status=404 :status=500 accept-charset accept-encoding=gzip,_deflate "
    "accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control "
    "content-disposition content-encoding content-language content-length content-location content-range content-type "
    "cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since "
    "last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after "
    "server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate").split()]
STATIC[15] = ("accept-encoding", "gzip, deflate")

# The code is canonical: the lengths of RFC 7541's appendix B say all.
LENGTHS = [int(x) for x in (
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 6 10 10 12 13 6 8 "
    "11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 "
    "13 19 13 14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 20 22 20 20 22 22 22 23 22 23 "
    "23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 "
    "21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 "
    "27 24 21 21 26 26 28 27 27 27 20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 "
    "27 27 27 26 30").split()]


def huffman_codes():
    codes, code, last = {}, 0, 0
    for symbol in sorted(range(257), key=lambda s: (LENGTHS[s], s)):
        code <<= LENGTHS[symbol] - last
        last = LENGTHS[symbol]
        codes[last, code] = symbol
        code += 1
    return codes


CODES = huffman_codes()


def huffman(data):
    out, code, n = bytearray(), 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, n = code << 1 | byte >> bit & 1, n + 1
            if (n, code) in CODES:
                out.append(CODES[n, code])
                code = n = 0
    return bytes(out)


class Fields:
    """HPACK: decodes all, encodes literals only."""
    def __init__(self):
        self.table, self.size, self.limit = [], 0, 4096

    def number(self, data, at, bits):
        n = data[at] & (1 << bits) - 1
        at += 1
        if n < (1 << bits) - 1:
            return n, at
        shift = 0
        while True:
            n += (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                return n, at

    def string(self, data, at):
        coded = data[at] & 128
        n, at = self.number(data, at, 7)
        text = data[at:at + n]
        return (huffman(text) if coded else text).decode("latin-1"), at + n

    def entry(self, i):
        return STATIC[i - 1] if i <= len(STATIC) else self.table[i - len(STATIC) - 1]

    def add(self, field):
        self.table.insert(0, field)
        self.trim()

    def trim(self):
        while sum(len(n) + len(v) + 32 for n, v in self.table) > self.limit:
            self.table.pop()

    def decode(self, data):
        out, at = [], 0
        while at < len(data):
            first = data[at]
            if first & 0xe0 == 0x20:
                self.limit, at = self.number(data, at, 5)
                self.trim()
            elif first & 0x80:
                i, at = self.number(data, at, 7)
                out.append(self.entry(i))
            else:
                i, at = self.number(data, at, 6 if first & 0x40 else 4)
                name, at = (self.entry(i)[0], at) if i else self.string(data, at)
                value, at = self.string(data, at)
                out.append((name, value))
                if first & 0x40:
                    self.add((name, value))
        return out


def length(n):
    if n < 127:
        return bytes([n])
    out, n = bytearray([127]), n - 127
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def encode(fields):
    return b"".join(b"\0" + length(len(n)) + n.encode("latin-1") + length(len(v)) + v.encode("latin-1")
                    for n, v in fields)


def parse_field(line):
    name, _, value = line.text[1:].partition(":")
    long = re.fullmatch(r'"(.)"\*(\d+)', value.strip())
    return (line.text[0] + name).strip(), long[1] * int(long[2]) if long else value.strip()


class Stream:
    def __init__(self):
        self.heads, self.data, self.over, self.reset, self.window = [], bytearray(), False, None, None


class Session:
    """The frames of one connection; SETTINGS and PING are answered and, unless held, windows opened
    while a step reads."""
    def __init__(self, peer, is_client, settings, hold):
        self.peer, self.is_client, self.hold = peer, is_client, hold
        self.settings = settings
        self.fields, self.streams = Fields(), defaultdict(Stream)
        self.goaway, self.pongs, self.buf, self.block, self.theirs = None, 0, b"", None, {}
        self.conn_window, self.next, self.flooding = 65535, 1, None

    def begin(self, limit):
        self.until = time.monotonic() + limit
        if self.is_client:
            self.peer.write(PREFACE)
        else:
            self.peer.read(PREFACE)
        self.buf, self.peer.buf = self.peer.buf, b""
        self.send_settings(self.settings)
        self.read_until(lambda: self.theirs.get("seen"), "SETTINGS")

    def send_settings(self, settings):
        self.frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", SETTING[k], int(v)) for k, v in settings.items()))

    def frame(self, kind, flags, stream, payload):
        if self.flooding is not None:
            self.flooding += struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
            return
        self.peer.sock.settimeout(5)
        self.peer.note("> frame %d flags %x stream %d, %d bytes" % (kind, flags, stream, len(payload)))
        self.peer.sock.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
                               struct.pack(">I", stream) + payload)

    # ---- reading ----

    def read_until(self, done, what):
        while not done():
            try:
                self.read_frame()
            except Failed as e:
                raise Failed("%s while waiting for %s" % (e, what))

    def read_frame(self):
        while len(self.buf) < 9 or len(self.buf) < 9 + int.from_bytes(self.buf[:3], "big"):
            data = self.peer.more(self.until)
            if not data:
                raise Failed("the connection ended" + (" after GOAWAY" if self.goaway else ""))
            self.buf += data
        n = int.from_bytes(self.buf[:3], "big")
        kind, flags, stream = self.buf[3], self.buf[4], int.from_bytes(self.buf[5:9], "big")
        payload, self.buf = self.buf[9:9 + n], self.buf[9 + n:]
        self.peer.note("< frame %d flags %x stream %d, %d bytes" % (kind, flags, stream, n))
        on = {DATA: self.on_data, HEADERS: self.on_headers, CONTINUATION: self.on_headers, RST: self.on_rst,
              SETTINGS: self.on_settings, PING: self.on_ping, GOAWAY: self.on_goaway, WINDOW: self.on_window}
        if kind in on:
            on[kind](flags, self.streams[stream], stream, payload)

    def on_data(self, flags, s, stream, payload):
        n = len(payload)
        if flags & 8:
            payload = payload[1:n - payload[0]]
        s.data += payload
        s.over = s.over or bool(flags & 1)
        if n and not self.hold:
            self.frame(WINDOW, 0, 0, struct.pack(">I", n))
            if not s.over:
                self.frame(WINDOW, 0, stream, struct.pack(">I", n))

    def on_headers(self, flags, s, stream, payload):
        if self.block is None:
            if flags & 8:
                payload = payload[1:len(payload) - payload[0]]
            if flags & 32:
                payload = payload[5:]
            self.block, self.ends = b"", flags & 1
        self.block += payload
        if not flags & 4:
            return
        fields, self.block = self.fields.decode(self.block), None
        self.peer.note("< stream %d %r" % (stream, fields))
        s.heads.append(fields)
        s.over = s.over or bool(self.ends)

    def on_rst(self, flags, s, stream, payload):
        s.reset = ERRORS[struct.unpack(">I", payload)[0]]
        self.peer.note("< stream %d reset %s" % (stream, s.reset))

    def on_settings(self, flags, s, stream, payload):
        if flags & 1:
            return
        self.theirs["seen"] = True
        for at in range(0, len(payload), 6):
            k, v = struct.unpack_from(">HI", payload, at)
            self.theirs[k] = v
        self.frame(SETTINGS, 1, 0, b"")

    def on_ping(self, flags, s, stream, payload):
        if flags & 1:
            self.pongs += 1
        else:
            self.frame(PING, 1, 0, payload)

    def on_goaway(self, flags, s, stream, payload):
        self.goaway = struct.unpack(">II", payload[:8])[0] & 0x7fffffff, ERRORS[struct.unpack(">II", payload[:8])[1]]
        self.peer.note("< goaway %s %s" % self.goaway)

    def on_window(self, flags, s, stream, payload):
        n = struct.unpack(">I", payload)[0]
        if stream == 0:
            self.conn_window += n
        else:
            s.window = self.window(s) + n

    def window(self, s):
        return self.theirs.get(4, 65535) if s.window is None else s.window

    # ---- steps ----

    def get(self, words, below, limit):
        """get PATH STATUS: one whole exchange on the next stream, with the fields below"""
        self.until = time.monotonic() + limit
        stream, self.next = self.next, self.next + 2
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", words[0])]
        self.frame(HEADERS, 5, stream, encode(fields + [parse_field(l) for l in below]))
        s = self.streams[stream]
        self.read_until(lambda: s.over or s.reset, "an answer")
        status = dict(s.heads[0])[":status"] if s.heads else "reset %s" % s.reset
        del self.streams[stream]
        if status != words[1]:
            raise Failed("the answer is %s" % status)

    def serve(self, words, limit):
        """serve STATUS: answers every request until the connection ends"""
        self.until = time.monotonic() + limit
        try:
            while True:
                self.read_frame()
                for stream, s in [(n, s) for n, s in self.streams.items() if s.over and n]:
                    self.frame(HEADERS, 5, stream, encode([(":status", words[0])]))
                    del self.streams[stream]
        except Failed as e:
            if "in time" in str(e):
                raise

    def flood(self, words, below, limit):
        """flood N: the "send" steps below, so often and all at once, whether the other side reads or not; a
        stream called "new" is the next one, "same" the last"""
        self.flooding = bytearray()
        for _ in range(int(words[0])):
            for line in below:
                step = line.words()[1:]
                if "new" in step:
                    self.last, self.next = self.next, self.next + 2
                self.send([str(self.last) if w in ("new", "same") else w for w in step], line.below, limit)
        data, self.flooding = self.flooding, None
        self.peer.note("> %d bytes of a flood" % len(data))
        self.peer.sock.settimeout(limit)
        try:
            self.peer.sock.sendall(data)
        except (OSError, TimeoutError) as e:
            self.peer.note("the flood ends: %s" % e)

    def send(self, words, below, limit):
        self.until = time.monotonic() + limit
        what, end = words[0], flag(words, "end")
        stream = int(words[1]) if len(words) > 1 and str(words[1]).isdigit() else 0
        if what == "headers":
            self.send_headers(stream, encode(map(parse_field, below)), end, take(words, "in"))
        elif what == "data":
            self.send_parts(stream, words[2:], end)
        elif what == "rst":
            self.frame(RST, 0, stream, struct.pack(">I", ERRORS.index(words[2])))
        elif what == "goaway":
            self.frame(GOAWAY, 0, 0, struct.pack(">II", int(words[1]), ERRORS.index(words[2])))
        elif what == "ping":
            self.frame(PING, 0, 0, b"12345678")
        elif what == "window":
            self.frame(WINDOW, 0, stream, struct.pack(">I", int(words[2])))
        elif what == "settings":
            self.send_settings(dict(w.split("=") for w in words[1:]))
        elif what == "frame":  # frame TYPE FLAGS STREAM "payload"
            self.frame(int(words[1]), int(words[2]), int(words[3]), quoted(words[4:]))
        else:
            raise Failed("%r cannot be sent over HTTP/2" % what)

    def send_headers(self, stream, block, end, parts):
        """In one frame, or cut into so many: HEADERS and CONTINUATION."""
        size = max(1, -(-len(block) // int(parts or 1)))
        cut = [block[i:i + size] for i in range(0, len(block), size)] or [b""]
        for i, part in enumerate(cut):
            last = 4 if i + 1 == len(cut) else 0
            self.frame(CONTINUATION if i else HEADERS, last | (0 if i else end), stream, part)

    def send_parts(self, stream, words, end):
        last = None
        for part in in_parts(words):
            if last is not None:
                self.send_data(stream, last, False)
            last = part
        self.send_data(stream, last, end)

    def send_data(self, stream, data, end):
        s = self.streams[stream]
        while True:
            part = data[:16384]
            self.read_until(lambda: min(self.conn_window, self.window(s)) >= len(part) or s.reset, "a window")
            if s.reset:
                raise Failed("the stream was reset with %s" % s.reset)
            data = data[len(part):]
            s.window = self.window(s) - len(part)
            self.conn_window -= len(part)
            self.frame(DATA, int(end and not data), stream, part)
            if not data:
                return

    def expect(self, words, below, limit):
        self.until = time.monotonic() + limit
        what, end = words[0], flag(words[1:], "end")
        words = [words[0]] + [w for w in words[1:] if w != "end"]
        stream = int(words[1]) if len(words) > 1 and str(words[1]).isdigit() else 0
        s = self.streams[stream]
        if what in ("headers", "trailers"):
            only = flag(words, "only")
            self.read_until(lambda: s.heads or s.reset, what)
            if not s.heads:
                raise Failed("the stream was reset with %s" % s.reset)
            check_fields(below, s.heads.pop(0), only)
        elif what == "data":
            for part in in_parts(words[2:]):
                self.expect_data(s, part)
        elif what == "rst":
            self.read_until(lambda: s.reset, "a reset")
            if words[2:] and s.reset not in words[2:]:
                raise Failed("the reset says %s" % s.reset)
        elif what == "goaway":
            self.read_until(lambda: self.goaway, "GOAWAY")
            if words[1:] and self.goaway[1] != words[1]:
                raise Failed("GOAWAY says %s" % self.goaway[1])
        elif what == "settings":
            self.read_until(lambda: self.theirs.get("seen"), "SETTINGS")
            for name, value in (w.split("=") for w in words[1:]):
                if str(self.theirs.get(SETTING[name])) != value:
                    raise Failed("%s is %s" % (name, self.theirs.get(SETTING[name])))
        elif what == "pong":
            self.read_until(lambda: self.pongs, "a PING's answer")
            self.pongs -= 1
        elif what in ("eof", "close"):
            self.expect_end()
        elif what == "silence":
            return self.peer.expect_silence(float(words[1].rstrip("ms")) / 1000)
        elif what != "end":
            raise Failed("%r cannot be expected over HTTP/2" % what)
        if end or what == "end":
            self.read_until(lambda: s.over or s.reset, "the stream's end")
            if s.reset and not s.over:
                raise Failed("the stream was reset with %s" % s.reset)
            if s.data:
                raise Failed("there is more data: %r" % bytes(s.data[:100]))

    def expect_data(self, s, want):
        self.read_until(lambda: len(s.data) >= len(want) or s.over or s.reset, "data")
        if not s.data.startswith(want):
            raise Failed("the data: " + differ(want, bytes(s.data)))
        del s.data[:len(want)]

    def expect_end(self):
        try:
            while True:
                self.read_frame()
        except Failed as e:
            if "in time" in str(e):
                raise
