# SPDX-License-Identifier: Apache-2.0
"""Hypercorn's HTTP/1.1 and HTTP/2 in the clear, and WebSocket; see README.  argv: address:port"""
import asyncio, gzip, hashlib, json, sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

aborted = 0


def pattern(n):
    return (bytes(i * 7 % 251 for i in range(251)) * (n // 251 + 1))[:n]


async def read(receive):
    body = []
    while True:
        m = await receive()
        if m["type"] == "http.disconnect":
            return None
        body.append(m.get("body", b""))
        if not m.get("more_body"):
            return b"".join(body)


def described(scope, body):
    text = lambda b: b.decode("latin-1")
    target = text(scope["raw_path"]) + ("?" + text(scope["query_string"]) if scope["query_string"] else "")
    fields = sorted(([text(n), text(v)] for n, v in scope["headers"]), key=lambda f: f[0])
    return json.dumps({"method": scope["method"], "target": target, "fields": fields, "length": len(body),
                       "sum": hashlib.sha256(body).hexdigest()}).encode()


def plain(scope):
    """Status, fields and body of what needs no request body."""
    what, _, arg = scope["path"][1:].partition("/")
    if what == "bytes":
        return 200, [("content-length", arg)], pattern(int(arg))
    if what == "stream":
        return 200, [], pattern(int(arg))
    if what == "status":
        return int(arg), [("etag", '"tag"')], b""
    if what == "cookies":
        return 200, [("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2, with; a=comma"), ("X-Odd-CASE", "kept"),
                     ("x-dup", "one"), ("x-dup", "two"), ("x-empty", ""), ("content-length", "0")], b""
    if what == "big":
        return 200, [("x-big-%d" % i, "b" * 1000) for i in range(12)] + [("content-length", "0")], b""
    if what == "gzip":
        body = gzip.compress(b"text " * 10000, mtime=0)
        return 200, [("content-encoding", "gzip"), ("content-length", str(len(body)))], body
    if what == "early":
        close = [("connection", "close")] if scope["http_version"] == "1.1" else []
        return 413, close + [("content-length", "0")], b""
    body = b"%d" % aborted
    return 200, [("content-length", str(len(body)))], body


async def answer(scope, receive, send):
    global aborted
    trailers = []
    if scope["path"] == "/echo":
        body = await read(receive)
        if body is None:
            aborted += 1
            return
        out = described(scope, body)
        streamed = scope["query_string"] == b"streamed"
        status, fields = 200, [("content-type", "application/json")]
        fields += [] if streamed else [("content-length", str(len(out)))]
        if streamed and "http.response.trailers" in scope.get("extensions", {}):
            trailers = [(b"x-sum", hashlib.sha256(body).hexdigest().encode())]
    else:
        if scope["path"] == "/early" and scope["http_version"] == "2":
            await read(receive)  # Hypercorn ends the connection for what comes after an answer
        status, fields, out = plain(scope)
    await send({"type": "http.response.start", "status": status, "trailers": bool(trailers),
                "headers": [(n.encode(), v.encode()) for n, v in fields]})
    for i in range(0, len(out), 65536):
        await send({"type": "http.response.body", "body": out[i:i + 65536], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    if trailers:
        await send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})


async def websocket(scope, receive, send):
    """Says what it hears; "close N" makes it close with that code."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        m = await receive()
        if m["type"] == "websocket.disconnect":
            return
        text = m.get("text")
        if text and text.startswith("close "):
            await send({"type": "websocket.close", "code": int(text[6:]), "reason": "as told"})
            return
        await send({"type": "websocket.send", "text": text, "bytes": m.get("bytes")})


async def app(scope, receive, send):
    if scope["type"] == "http":
        await answer(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        raise NotImplementedError


config = Config()
config.bind = [sys.argv[1]]
config.websocket_max_message_size = 32 << 20
config.h11_max_incomplete_size = 65536
config.keep_alive_timeout = 60
asyncio.run(serve(app, config))
