# SPDX-License-Identifier: Apache-2.0
"""Two pods as network namespaces, each with mesh-init's rules, a real proxy and a scripted control
plane: what tests of the pair share.  TAP lines by ok(); begin with missing(), end with finish()."""
import os, shutil, signal, subprocess, sys, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MESH, CONTROL = os.environ.get("MESH", TOP + "/build/mesh"), TOP + "/build/tool/scripted_control"
TAG = "m%d" % (os.getpid() % 100000)
A, B = TAG + "a", TAG + "b"
ADDR = "10.99.0.2"
procs, folders, count, failed = [], [], 0, 0


def ok(cond, name, detail=""):
    global count, failed
    count += 1
    if not cond:
        failed += 1
        for line in str(detail).splitlines()[-15:]:
            print("# " + line)
    print("%sok %d - %s" % ("" if cond else "not ", count, name), flush=True)


def skip(name, why):
    global count
    count += 1
    print("ok %d - %s # SKIP %s" % (count, name, why), flush=True)


def run(*args, **kw):
    return subprocess.run(args, check=True, capture_output=True, text=True, **kw)


def spawn(ns, args, log, env=None, uid=None):
    def become():
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
    # the namespace is entered before the user is changed
    cmd = ["ip", "netns", "exec", ns] + args if not uid else [
        "ip", "netns", "exec", ns, "setpriv", "--reuid", str(uid), "--clear-groups"] + args
    p = subprocess.Popen(cmd, stdout=open(log, "w"), stderr=subprocess.STDOUT, env=env)
    procs.append(p)
    return p


def wait_for(cond, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        if cond():
            return True
        time.sleep(0.05)
    return False


def metrics(ns):
    p = subprocess.run(["ip", "netns", "exec", ns, "curl", "-s", "-m", "3", "http://127.0.0.1:4191/metrics"],
                       capture_output=True, text=True)
    return p.stdout


def namespaces():
    for ns in (A, B):
        run("ip", "netns", "add", ns)
    run("ip", "link", "add", "eth0", "netns", A, "type", "veth", "peer", "name", "eth0", "netns", B)
    for ns, last in ((A, 1), (B, 2)):
        run("ip", "-n", ns, "addr", "add", "10.99.0.%d/24" % last, "dev", "eth0")
        for dev in ("lo", "eth0"):
            run("ip", "-n", ns, "link", "set", dev, "up")
        run("ip", "netns", "exec", ns, MESH, "init", "-p", "4143", "-o", "4140", "-u", "2102",
            "--inbound-ports-to-ignore", "4190,4191", "--ipv6=false")


def script(d, extra="", ports=(8080, 2525)):
    with open(d + "/script", "w") as f:
        for p in ports:
            f.write("service %s:%d s%d:%d\nendpoint s%d:%d %s:%d web.test\n" % (ADDR, p, p, p, p, p, ADDR, p))
        f.write(extra)


def plain(port):
    """For a script: a service whose endpoint is not meshed, though a proxy is before it."""
    return "service %s:%d s%d:%d\nendpoint s%d:%d %s:%d\n" % (ADDR, port, port, port, port, port, ADDR, port)


def start(ports, extra=""):
    """Namespaces, control planes and proxies; returns the folder with the logs.  `extra`: more lines of
    the control planes' script."""
    d = tempfile.mkdtemp()
    folders.append(d)
    os.chmod(d, 0o755)
    open(d + "/token", "w").write("token")
    namespaces()
    script(d, extra, ports)
    controls = [control(A, d, 86400), control(B, d, 86400)]
    proxies = [proxy(A, d, "client.test"), proxy(B, d, "web.test")]
    return d, controls, proxies


def control(ns, d, life):
    log = "%s/control.%s" % (d, ns)
    p = spawn(ns, [CONTROL, "-listen", "127.0.0.1:8086", "-ca", d + "/ca.pem", "-life", str(life), d + "/script"], log)
    wait_for(lambda: "listening" in open(log).read())
    return p


def proxy(ns, d, name):
    ident = "%s/id.%s" % (d, ns)
    os.makedirs(ident, exist_ok=True)
    os.chown(ident, 2102, 2102)
    anchors = open(d + "/ca.pem").read()
    anchors = anchors[anchors.index("-----BEGIN CERT"):anchors.index("-----END CERT")] + "-----END CERTIFICATE-----\n"
    env = {"LINKERD2_PROXY_" + k: v for k, v in {
        "DESTINATION_SVC_ADDR": "localhost.:8086", "POLICY_SVC_ADDR": "localhost.:8086",
        "IDENTITY_SVC_ADDR": "localhost.:8086", "POLICY_WORKLOAD": '{"ns":"test","pod":"x"}',
        "IDENTITY_DIR": ident, "IDENTITY_TRUST_ANCHORS": anchors, "IDENTITY_TOKEN_FILE": d + "/token",
        "IDENTITY_LOCAL_NAME": name, "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8",
        "IDENTITY_MIN_REFRESH": "1s", "SHUTDOWN_GRACE_PERIOD": "5s"}.items()}
    env.update((k, v) for k, v in os.environ.items() if k == "PATH" or k.endswith("SAN_OPTIONS"))
    log = "%s/proxy.%s" % (d, ns)
    p = spawn(ns, [MESH, "proxy"], log, env=env, uid=2102)
    wait_for(lambda: "Ready" in open(log).read())
    return p


def missing(*programs):
    """Why the test cannot run here, or None."""
    if os.geteuid() != 0:
        return "not root"
    for p in ("ip", "setpriv", "curl", "ss") + programs:
        if subprocess.run(["which", p], capture_output=True).returncode:
            return p + " is not installed"
    return None


def tests(main, why, name):
    """Runs main() and cleans up; the exit status."""
    if why:
        print("ok 1 - %s # SKIP %s\n1..1" % (name, why))
        sys.exit(0)
    try:
        main()
        print("1..%d" % count)
    except Exception as e:
        ok(False, "the test runs", "%r %s" % (e, getattr(e, "stderr", "") or ""))
    finally:
        for p in procs:
            if p.poll() is None:
                p.kill()
        for ns in (A, B):
            pids = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True).stdout.split()
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)
        for d in folders:
            shutil.rmtree(d, ignore_errors=True)
    sys.exit(failed != 0)
