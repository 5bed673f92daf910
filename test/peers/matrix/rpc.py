# SPDX-License-Identifier: Apache-2.0
"""gRPC as Python's grpcio speaks it; see README.

	rpc.py server ADDRESS      /t/echo (streams both ways), /t/wait, /t/fail, /t/left
	rpc.py client ADDRESS      prints JSON: what each kind of call gave"""
import json, sys, threading, time
from concurrent import futures

import grpc

BIG = 3 << 20
left = 0


# ---- server: methods on bytes ----

def echo(requests, ctx):
    ctx.send_initial_metadata([("x-first", "word"), ("x-raw-bin", b"\0\xff\x80")])
    ctx.set_trailing_metadata([("x-last", "word"), ("x-sum-bin", bytes(range(256)))])
    for r in requests:
        yield r


def wait(request, ctx):
    """Says a word each 20 ms until the client leaves."""
    def gone():
        global left
        left += 1
    ctx.add_callback(gone)
    while ctx.is_active():
        yield b"%d" % (ctx.time_remaining() or 0)
        time.sleep(0.02)


def fail(request, ctx):
    ctx.abort(next(s for s in grpc.StatusCode if s.value[0] == int(request)), "why: %s \u00fc\u4e16" % request.decode())


def server(addr):
    rpc = {"echo": grpc.stream_stream_rpc_method_handler(echo), "wait": grpc.unary_stream_rpc_method_handler(wait),
           "fail": grpc.unary_unary_rpc_method_handler(fail),
           "left": grpc.unary_unary_rpc_method_handler(lambda r, ctx: b"%d" % left)}
    s = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)])
    s.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t", rpc)])
    s.add_insecure_port(addr)
    s.start()
    s.wait_for_termination()


# ---- client ----

def failure(call):
    try:
        call()
        return "no failure"
    except grpc.RpcError as e:
        return [e.code().name, e.details()]


def sized(ch, gzip=False):
    sizes = (0, 1, 16379, 16384, 65530, 1000000, BIG)
    sent = [bytes([n % 251]) * n for n in sizes]
    with_ = {"compression": grpc.Compression.Gzip} if gzip else {}
    got = list(ch.stream_stream("/t/echo")(iter(sent), timeout=20, **with_))
    return [len(g) for g in got], got == sent


def thousands(ch):
    return sum(1 for _ in ch.stream_stream("/t/echo")((b"%d" % i for i in range(3000)), timeout=20))


def ping_pong(ch):
    """Each message leaves when the answer to the one before has come."""
    turn, n = threading.Semaphore(1), 0

    def words():
        for i in range(300):
            turn.acquire()
            yield b"%d" % i
    for _ in ch.stream_stream("/t/echo")(words(), timeout=20):
        n += 1
        turn.release()
    return n


def metadata(ch):
    call = ch.stream_stream("/t/echo")(iter([b"x"]), timeout=10, metadata=[("x-mine", "a, b"), ("x-mine-bin", b"\0\1")])
    list(call)
    pick = lambda m: sorted([k, repr(v)] for k, v in m if k.startswith("x-"))
    return pick(call.initial_metadata()), pick(call.trailing_metadata())


def deadline(ch):
    began, n = time.monotonic(), []
    why = failure(lambda: n.extend(ch.unary_stream("/t/wait")(b"", timeout=0.5)))
    return why[0], 0.45 < time.monotonic() - began < 1.5, len(n) > 0


def cancelled(ch, count=5):
    """Calls that are cancelled in the middle: the server hears of each."""
    heard = lambda: int(ch.unary_unary("/t/left")(b"", timeout=5))
    before = heard()
    for _ in range(count):
        call = ch.unary_stream("/t/wait")(b"")
        next(call)
        call.cancel()
    end = time.monotonic() + 5
    while heard() < before + count and time.monotonic() < end:
        time.sleep(0.05)
    return heard() - before


def statuses(ch):
    return [failure(lambda: ch.unary_unary("/t/fail")(b"%d" % n, timeout=5)) for n in range(1, 17)]


def unknown(ch):
    return failure(lambda: ch.unary_unary("/t/none")(b"", timeout=5))[0]


def client(addr):
    out = {}
    with grpc.insecure_channel(addr, options=[("grpc.max_receive_message_length", -1)]) as ch:
        for f in (sized, thousands, ping_pong, metadata, deadline, cancelled, statuses, unknown):
            try:
                out[f.__name__] = f(ch)
            except Exception as e:
                out[f.__name__] = repr(e)
        out["gzip"] = sized(ch, True)
    print(json.dumps(out))


{"server": server, "client": client}[sys.argv[1]](sys.argv[2])
