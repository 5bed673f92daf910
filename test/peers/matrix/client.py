# SPDX-License-Identifier: Apache-2.0
"""Python's HTTP clients; see README.  argv: http.client|h11|httpx|httpx2, host, file of cases, ports"""
import hashlib, http.client, json, socket, sys, time

CANNOT = {"cannot": True}
WHILE = 0.1  # so that the server has begun to read before a body breaks off


class Broken(Exception):
    pass


def pattern(n):
    return (bytes(i * 7 % 251 for i in range(251)) * (n // 251 + 1))[:n]


def pieces(case):
    body = pattern(case["Body"])
    if case.get("Abort"):
        yield body[:len(body) // 2]
        time.sleep(WHILE)
        raise Broken
    for i in range(0, len(body), 50000):
        yield body[i:i + 50000]


def result(status, fields, body, trailers=(), interim=()):
    fields = sorted(([n, v] for n, v in fields), key=lambda f: f[0])
    r = {"status": status, "fields": fields, "length": len(body), "sum": hashlib.sha256(body).hexdigest(),
         "trailers": sorted(trailers), "interim": list(interim)}
    if len(body) < 20000:
        r["body"] = body.decode("latin-1")
    return r


def framing(case):
    """The fields that say how long the body is, for clients that are told."""
    if case.get("Body") is None:
        return []
    if case.get("Chunked"):
        return [["Transfer-Encoding", "chunked"]]
    return [["Content-Length", str(case["Body"])]]


class Stdlib:
    def __init__(self, host, port):
        self.conn = http.client.HTTPConnection(host, port, timeout=10)

    def exchange(self, case):
        if case.get("Trailers") or case.get("Expect"):
            return CANNOT
        c = self.conn
        c.putrequest(case["Method"], case["Path"], skip_accept_encoding=True)
        for n, v in case.get("Fields", []) + framing(case):
            c.putheader(n, v)
        if case.get("Body") is None:
            c.endheaders()
        else:
            try:
                c.endheaders(pieces(case), encode_chunked=bool(case.get("Chunked")))
            except Broken:
                c.close()
                raise
        r = c.getresponse()
        return result(r.status, r.getheaders(), r.read())


class H11:
    def __init__(self, host, port):
        import h11
        self.h11, self.addr, self.sock = h11, (host, port), None

    def connect(self):
        self.sock = socket.create_connection(self.addr, 10)
        self.conn = self.h11.Connection(self.h11.CLIENT, max_incomplete_event_size=65536)

    def next(self):
        while True:
            e = self.conn.next_event()
            if e is not self.h11.NEED_DATA:
                return e
            self.conn.receive_data(self.sock.recv(65536))

    def send(self, event):
        self.sock.sendall(self.conn.send(event))

    def write(self, case):
        h11, interim = self.h11, []
        expect = [["Expect", "100-continue"]] if case.get("Expect") else []
        self.send(h11.Request(method=case["Method"], target=case["Path"],
                              headers=[["Host", "%s:%d" % self.addr]] + case.get("Fields", []) + framing(case) + expect))
        if expect:
            interim.append(self.next().status_code)
        if case.get("Body") is not None:
            for p in pieces(case):
                self.send(h11.Data(data=p))
        self.send(h11.EndOfMessage(headers=case.get("Trailers", [])))
        return interim

    def exchange(self, case):
        h11 = self.h11
        if not self.sock or self.conn.our_state is not h11.IDLE:
            self.connect()
        interim = self.write(case)
        head, body = self.next(), b""
        while isinstance(head, h11.InformationalResponse):
            interim.append(head.status_code)
            head = self.next()
        while isinstance(e := self.next(), h11.Data):
            body += e.data
        text = lambda l: [[n.decode(), v.decode("latin-1")] for n, v in l]
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self.conn.start_next_cycle()
        else:
            self.close()
        return result(head.status_code, text(head.headers.raw_items()), body, text(e.headers), interim)

    def close(self):
        self.sock.close()
        self.sock = None


class Httpx:
    def __init__(self, host, port, two=False):
        import httpx
        self.two = two
        self.client, self.base = httpx.Client(http1=not two, http2=two, timeout=10, trust_env=False), "http://%s:%d" % (host, port)

    def exchange(self, case):
        if case.get("Trailers") or case.get("Expect") or (self.two and case.get("Abort")):
            return CANNOT  # it forgets a stream whose body broke off, and the server waits
        fields = case.get("Fields", []) + framing(case) + [["Accept-Encoding", "identity"]]
        body = pieces(case) if case.get("Body") is not None else None
        with self.client.stream(case["Method"], self.base + case["Path"], headers=fields, content=body) as r:
            text = b"".join(r.iter_raw())
            return result(r.status_code, [[n.decode(), v.decode("latin-1")] for n, v in r.headers.raw], text)


def attempt(client, case):
    try:
        return client.exchange(case)
    except Exception as e:
        if hasattr(client, "close"):
            client.close()
        elif hasattr(client, "conn"):
            client.conn.close()
        return {"error": True, "text": repr(e)}


def abort(client, case):
    count = lambda: attempt(client, {"Method": "GET", "Path": "/aborted"}).get("body")
    before = count()
    if attempt(client, case) == CANNOT:
        return CANNOT
    for _ in range(60):
        if count() != before:
            return {"noticed": True}
        time.sleep(0.05)
    return {"noticed": False}


KINDS = {"http.client": Stdlib, "h11": H11, "httpx": Httpx, "httpx2": lambda h, p: Httpx(h, p, True)}


def main(kind, host, cases, *ports):
    cases, out = json.load(open(cases)), {}
    for port in ports:
        client = KINDS[kind](host, int(port))
        out[port] = {c["Name"]: (abort if c.get("Abort") else attempt)(client, c) for c in cases}
    print(json.dumps(out))


main(*sys.argv[1:])
