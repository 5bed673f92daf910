# SPDX-License-Identifier: Apache-2.0
"""Namespaces of one scenario: the world, the pod and its peer pod.  They have no name and vanish
with this process.  A thread enters one to make a socket; the socket stays where it was made."""
import contextlib, ctypes, os, resource, signal, socket, subprocess

NEWNET, IPV6_FREEBIND = 0x40000000, 78
POD, PEER, GATE = "10.1.0.1", "10.1.0.2", "10.1.0.254"
POD6, PEER6, GATE6 = "fd01::1", "fd01::2", "fd01::ffff"
libc = ctypes.CDLL(None, use_errno=True)
spaces = {}  # name: descriptor


def call(what, *args):
    if getattr(libc, what)(*args) < 0:
        raise OSError(ctypes.get_errno(), what + ": " + os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def inside(name):
    """The calling thread is in this namespace for a while."""
    call("setns", spaces[name], NEWNET)
    try:
        yield
    finally:
        call("setns", spaces["world"], NEWNET)


def make(names):
    for name in names:
        call("unshare", NEWNET)
        spaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    call("setns", spaces["world"], NEWNET)


def space_of(addr):
    """Where an address lives; what is not of a pod is the world's."""
    if addr in (PEER, PEER6):
        return "peer"
    return "pod" if addr in (POD, POD6) or is_loopback(addr) else "world"


def is_loopback(addr):
    return addr.startswith("127.") or addr == "::1"


def parse(text):
    """ADDR:PORT or [ADDR]:PORT; the pods have names."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return {"pod": POD, "peer": PEER, "pod6": POD6, "peer6": PEER6}.get(host, host), int(port)


def new_socket(addr):
    if ":" not in addr:
        return socket.socket()
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)  # a local route makes no address, unlike in IPv4
    return s


def ip(name, *lines):
    """One call of ip(8) in a namespace."""
    with inside(name):
        p = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True,
                           pass_fds=list(spaces.values()))
    if p.returncode:
        raise OSError("ip: " + p.stderr.strip())


def path(name):
    return "/proc/self/fd/%d" % spaces[name]


def wire(with_peer):
    """Every address of 10.9.0.0/16 and fd09::/16 is the world's own; 10.8.0.0/16 answers nothing."""
    ip("world", "link set lo up", "link add pod0 type veth peer name eth0 netns " + path("pod"),
       "addr add %s/8 dev pod0" % GATE, "addr add %s/16 dev pod0 nodad" % GATE6, "link set pod0 up",
       "route add local 10.9.0.0/16 dev lo", "route add local fd09::/16 dev lo")
    ip("pod", "link set lo up", "addr add %s/8 dev eth0" % POD, "addr add %s/16 dev eth0 nodad" % POD6, "link set eth0 up",
       "route add default via " + GATE, "route add default via " + GATE6)
    if not with_peer:
        return
    ip("pod", "link add eth1 type veth peer name eth0 netns " + path("peer"), "link set eth1 up",
       "route add %s/32 dev eth1 src %s" % (PEER, POD),
       "addr add %s/128 dev eth1 nodad" % POD6, "route add %s/128 dev eth1 src %s" % (PEER6, POD6))
    ip("peer", "link set lo up", "addr add %s/8 dev eth0" % PEER, "addr add %s/16 dev eth0 nodad" % PEER6, "link set eth0 up")


def connect(addr, port, where=None, source=None, timeout=5):
    """From the pod to the world, from the world to a pod, when not told otherwise."""
    if not where:
        where = "world" if space_of(addr) != "world" and not is_loopback(addr) else "pod"
    with inside(where):
        s = new_socket(addr)
        s.settimeout(timeout)
        if source:
            s.bind((source, 0))
        try:
            s.connect((addr, port))
        except OSError:
            s.close()
            raise
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def listen(addr, port):
    with inside(space_of(addr)):
        s = new_socket(addr)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((addr, port))
        s.listen(64)
    return s


def accept(listener):
    s = listener.accept()[0]
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def spawn(name, args, log, env, uid=0, files=None):
    """A program in a namespace; it dies with this thread.  Call from the main thread."""
    def become():
        call("setns", spaces[name], NEWNET)
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        call("prctl", 1, signal.SIGKILL)
    return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=open(log, "a"), stderr=subprocess.STDOUT, env=env,
                            preexec_fn=become)
