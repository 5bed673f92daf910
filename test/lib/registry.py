# SPDX-License-Identifier: Apache-2.0
"""Peers from the registries, put into build/peers at pinned versions, once.  Each function says why
they cannot be had, or None."""
import os, shutil, subprocess, sys

from pair import TOP

BIN, MATRIX = TOP + "/build/peers", TOP + "/test/peers/matrix"
PY = BIN + "/python/bin/python"
PIP = "h11==0.16.0 httpx==0.28.1 h2==4.4.1 websockets==17.4 wsproto==1.3.2 hypercorn==0.18.0 grpcio==1.85.3".split()
NPM = "undici@7.30.2 ws@8.23.0".split()
os.environ["NODE_PATH"] = BIN + "/node/node_modules"


def made(stamp, what, *commands):
    """Runs the commands unless they were run before, as the stamp says."""
    stamp = "%s/%s.stamp" % (BIN, stamp)
    if os.path.exists(stamp) and open(stamp).read() == what:
        return None
    os.makedirs(BIN, exist_ok=True)
    for c in commands:
        try:
            r = subprocess.run(c, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return c[0] + " took too long"
        if r.returncode:
            return "%s failed: %s" % (c[0], ((r.stderr or r.stdout).strip().splitlines() or ["?"])[-1])
    open(stamp, "w").write(what)
    return None


def go_program(name, source):
    if not shutil.which("go"):
        return "go is not installed"
    return made(name, open(source).read(), ["go", "build", "-o", BIN + "/" + name, source])


def go_peer():
    return go_program("peer", MATRIX + "/peer.go")


def python_peers():
    return made("python", " ".join(PIP), [sys.executable, "-m", "venv", "--clear", BIN + "/python"],
                [PY, "-m", "pip", "install", "-q"] + PIP)


def node_peers():
    for p in ("node", "npm"):
        if not shutil.which(p):
            return p + " is not installed"
    return made("node", " ".join(NPM), ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", BIN + "/node"] + NPM)
