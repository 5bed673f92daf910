# SPDX-License-Identifier: Apache-2.0
"""What the bench does to this machine: namespaces, processes on their core, what they used."""
import ctypes, glob, json, os, re, resource, shutil, signal, subprocess, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
A, B = "mba%d" % os.getpid(), "mbb%d" % os.getpid()  # the client's side, the application's
OUT, IN = "10.99.0.1", "10.99.0.2"
PROXIES, REST = 0, 1  # cores
d = tempfile.mkdtemp(prefix="mesh-bench.")
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, PR_SET_PDEATHSIG, FILES = 0x40000000, 1, 65536


def tool(name):
    return TOP + "/build/tool/" + name


def run(*args, **kw):
    return subprocess.run(args, check=True, capture_output=True, text=True, timeout=60, **kw)


def _settle(ns, core, uid):
    """In the child, before exec: so that no other program runs between."""
    fd = os.open("/run/netns/" + ns, os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.sched_setaffinity(0, {core})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if uid:
        os.setgroups([])
        os.setuid(uid)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(ns, core, args, env=None, uid=None, **kw):
    if "stdout" not in kw:
        name = "%s/%s.%s.log" % (d, os.path.basename(args[0]), ns)
        kw["stdout"], kw["stderr"] = open(name, "w"), subprocess.STDOUT
    return subprocess.Popen(args, env=env, preexec_fn=lambda: _settle(ns, core, uid), **kw)


def ask(ns, core, args, seconds=60):
    """Runs a load to its end: what it printed."""
    p = spawn(ns, core, args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        return p.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        p.kill()
        return p.communicate()[0]


def family(pid):
    """The process and its children: nginx forks."""
    out = []
    for f in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            out += [q for c in open(f).read().split() for q in family(int(c))]
        except OSError:
            pass
    return [pid] + out


def cpu_ns(p):
    total = 0
    for pid in family(p.pid):
        for f in glob.glob("/proc/%d/task/*/schedstat" % pid):
            try:
                total += int(open(f).read().split()[0])
            except OSError:
                pass
    return total


def pss_kb(p):
    total = 0
    for pid in family(p.pid):
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", open("/proc/%d/smaps_rollup" % pid).read(), re.M)[1])
        except (OSError, TypeError):
            pass
    return total


def alive(pid):
    try:
        return open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(p):
    """Returns when all of them are gone: thousands of sockets take a while to close."""
    pids = family(p.pid)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    p.wait()
    end = time.time() + 10
    while any(map(alive, pids)) and time.time() < end:
        time.sleep(0.01)


class Syscalls:
    """Counts the calls of a process while it is open; None where perf cannot."""

    def __init__(self, p):
        self.p = None
        if shutil.which("perf"):
            self.p = subprocess.Popen(
                ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", ",".join(map(str, family(p.pid)))],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def close(self):
        if not self.p:
            return None
        self.p.send_signal(signal.SIGINT)
        try:
            m = re.search(r"^(\d+),", self.p.communicate(timeout=10)[1], re.M)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return None
        return int(m[1]) if m else None


def make_namespaces():
    for ns in (A, B):
        run("ip", "netns", "add", ns)
    run("ip", "link", "add", "eth0", "netns", A, "type", "veth", "peer", "name", "eth0", "netns", B)
    for ns, addr in ((A, OUT), (B, IN)):
        run("ip", "-n", ns, "addr", "add", addr + "/24", "dev", "eth0")
        for dev in ("lo", "eth0"):
            run("ip", "-n", ns, "link", "set", dev, "up")
        run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65000",
            "net.ipv4.tcp_tw_reuse=1", "net.core.somaxconn=8192")


def make_certificates():
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("openssl", *new, "-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", d + "/ca.key", "-out", d + "/ca.crt")
    run("openssl", *new, "-subj", "/CN=web.test", "-keyout", d + "/web.key", "-out", d + "/web.csr")
    write("ext", "subjectAltName=DNS:web.test,IP:" + IN)
    run("openssl", "x509", "-req", "-in", d + "/web.csr", "-CA", d + "/ca.crt", "-CAkey", d + "/ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", d + "/ext", "-out", d + "/web.crt")
    write("web.pem", open(d + "/web.crt").read() + open(d + "/web.key").read())
    run("chmod", "-R", "a+rX", d)


def write(name, text):
    path = d + "/" + name
    with open(path, "w") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))
    os.chmod(path, 0o644)
    return path


def clean():
    """All that runs in our namespaces, they themselves, and our files."""
    for ns in (A, B):
        out = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True).stdout
        for pid in out.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass
        subprocess.run(["ip", "netns", "del", ns], capture_output=True)
    shutil.rmtree(d, ignore_errors=True)
