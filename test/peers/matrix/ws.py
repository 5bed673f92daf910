# SPDX-License-Identifier: Apache-2.0
"""WebSocket messages of every size; see README.  argv: ws://address:port/, messages, seed; says JSON."""
import asyncio, hashlib, json, random, sys

import websockets

SIZES = (0, 1, 125, 126, 127, 1000, 4096, 65535, 65536, 65537, 1 << 18, 1 << 20)
WEIGHTS = (4, 8, 8, 8, 8, 32, 16, 4, 4, 4, 1, 1)


def messages(n, seed):
    """Text and binary messages, the small ones often."""
    r = random.Random(seed)
    block = r.randbytes(1 << 20)
    for i in range(n):
        size = r.choices(SIZES, WEIGHTS)[0] if i >= len(SIZES) else SIZES[i]
        yield block[:size] if i % 2 else "%06d" % i + block[:size // 2].hex()[:max(0, size - 6)]


async def echoed(ws, n, seed):
    """All that is sent comes back equal, with many on the way."""
    async def send():
        for m in messages(n, seed):
            await ws.send(m)

    sender = asyncio.create_task(send())
    total = 0
    for i, m in enumerate(messages(n, seed)):
        got = await asyncio.wait_for(ws.recv(), 30)
        assert got == m, "message %d of %d bytes came as %d" % (i, len(m), len(got))
        total += len(m)
    await sender
    return {"messages": n, "bytes": total}


async def pings(ws, url):
    for n in (0, 5, 125):
        pong = await ws.ping(b"p" * n)
        await asyncio.wait_for(pong, 5)
    return {"pings": 3}


async def closes(ws, url):
    codes = []
    for code in (1000, 1001, 1008, 1011, 3000, 4999):
        async with websockets.connect(url) as w:
            await w.send("close %d" % code)
            await asyncio.wait_for(w.wait_closed(), 5)
            codes.append([w.close_code, w.close_reason])
        async with websockets.connect(url) as w:
            await w.close(code, "ours")
            codes.append([w.close_code])
    return {"codes": codes}


async def half(ws, url):
    """Half a frame, silence, then the rest."""
    for m in (b"\x82\xfe\x01\x00" + b"\0\0\0\0" + b"h" * 100, b"\x82"):
        ws.transport.write(m)
        try:
            await asyncio.wait_for(ws.recv(), 0.5)
            return {"half": "answered"}
        except asyncio.TimeoutError:
            pass
        ws.transport.write(b"h" * 156 if len(m) > 1 else b"\x81" + b"\0\0\0\0" + b"x")
        got = await asyncio.wait_for(ws.recv(), 5)
        assert got in (b"h" * 256, b"x"), got
    return {"half": "waited for"}


async def leaves(ws, url):
    """Half a frame, and the client is gone without a close."""
    async with websockets.connect(url) as w:
        w.transport.write(b"\x82\xfe\x01\x00" + b"\0\0\0\0" + b"h" * 10)
        w.transport.abort()
    return await echoed(ws, 3, 1)


async def main(url, n, seed):
    out = {}
    async with websockets.connect(url, max_size=None, compression=None, ping_interval=None) as ws:
        out["headers"] = ws.response.headers.get("Upgrade", "").lower()
        out["echoed"] = await echoed(ws, int(n), int(seed))
        out["pings"] = await pings(ws, url)
        out["half"] = await half(ws, url)
        out["codes"] = await closes(ws, url)
        out["leaves"] = await leaves(ws, url)
    async with websockets.connect(url, compression="deflate", max_size=None) as ws:
        out["deflated"] = await echoed(ws, 30, 2)
    print(json.dumps(out))


asyncio.run(main(*sys.argv[1:]))
