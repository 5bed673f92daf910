# SPDX-License-Identifier: Apache-2.0
"""The whole mesh in `mesh local`, in a network namespace of the test's own: what its tests share."""
import json, os, re, shutil, signal, subprocess, sys, tempfile, time

TOP = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../..")
MESH = os.environ.get("MESH", TOP + "/build/mesh")
count = failed = 0


def report(ok, name, why=""):
    global count, failed
    count += 1
    failed += not ok
    print(f"{'' if ok else 'not '}ok {count} - {name}", flush=True)
    if not ok:
        print("\n".join("# " + line for line in str(why)[-3000:].splitlines()), flush=True)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait(what, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


class Local:
    """A mesh: `images` says which program an image is, `install` is for `mesh install`; `settle`: seconds for which a
    new issuer waits after new trust anchors."""

    def __init__(self, folder, images, install, settle=None):
        self.folder = folder
        with open(folder + "/images.yaml", "w") as f:
            f.write("mesh/proxy: {command: ['@self']}\n" + images)
        got = self("up", "--images", folder + "/images.yaml")
        if got.returncode:
            raise RuntimeError(got.stderr)
        control = subprocess.run([MESH, "install", *install], capture_output=True, text=True, check=True).stdout
        if settle is not None:
            control = re.sub(r"( +)- -identity-clock-skew-allowance=", r"\1- -trust-roots-settle=%ds\n\g<0>" % settle, control, count=1)
        self.apply(control)
        report(wait(lambda: self.ready("mesh", 3), 60), "the control plane gets ready", self.state("mesh"))

    def __call__(self, verb, *words, given=None, seconds=60):
        return subprocess.run([MESH, "local", verb, "--dir", self.folder + "/state", *words], input=given,
                              capture_output=True, text=True, timeout=seconds)

    def apply(self, text):
        got = self("apply", "-f", "-", given=text)
        if got.returncode:
            raise RuntimeError(got.stderr)

    def pods(self, ns, app=None):
        got = json.loads(self("get", "pods", "-n", ns, "-o", "json").stdout or "{}").get("items", [])
        return [p for p in got if not app or p["metadata"]["name"].startswith(app + "-")]

    def ready(self, ns, n, app=None):
        def is_ready(p):
            return any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))
        pods = [p for p in self.pods(ns, app) if not p["metadata"].get("deletionTimestamp")]
        return len(pods) == n and all(map(is_ready, pods))

    def state(self, ns):
        out = self("get", "pods", "-n", ns, "-o", "wide").stdout + self("get", "events", "-n", ns).stdout[-2000:]
        for p in self.pods(ns):
            out += "".join(self("logs", "-n", ns, p["metadata"]["name"], "-c", "mesh-proxy", "--tail", "5").stdout)
        return out

    def scale(self, ns, name, n, settle=True):
        self.apply(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": ns},
                               "spec": {**self.spec(ns, name), "replicas": n}}))
        return not settle or wait(lambda: self.ready(ns, n, name) and len(self.pods(ns, name)) == n)

    def spec(self, ns, name):
        return json.loads(self("get", "deploy", name, "-n", ns, "-o", "json").stdout)["spec"]

    def exec(self, ns, app, container, *words, seconds=60, pod=0):
        name = self.pods(ns, app)[pod]["metadata"]["name"]
        return self("exec", "-n", ns, name, "-c", container, "--", *words, seconds=seconds)

    def metrics(self, ns, app):
        """What the proxies of all its pods count."""
        return "".join(self.exec(ns, app, app, "curl", "-sS", "http://127.0.0.1:4191/metrics", pod=i).stdout
                       for i in range(len(self.pods(ns, app))))

    def processes(self, word):
        """Of this runtime's containers only: what its process begot, whose command line matches."""
        def read(pid, name):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    return f.read()
            except OSError:
                return b""

        def is_ours(pid):
            while pid > 1:
                if self.folder.encode() in read(pid, "cmdline"):
                    return True
                status = re.search(rb"PPid:\s+(\d+)", read(pid, "status"))
                pid = int(status[1]) if status else 0
            return False

        pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
        return [p for p in pids if re.search(word, read(p, "cmdline").replace(b"\0", b" ").decode()) and is_ours(p)]


def with_local(images, install, what, **more):
    folder = tempfile.mkdtemp(prefix="mesh-e2e-")
    os.chmod(folder, 0o755)
    try:
        what(Local(folder, images, install, **more))
    finally:
        got = subprocess.run([MESH, "local", "down", "--dir", folder + "/state"], capture_output=True, text=True, timeout=60)
        left = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout.split("\n")
        report(got.returncode == 0 and len([l for l in left if l]) == 1, "down leaves nothing", got.stderr + str(left))
        shutil.rmtree(folder, ignore_errors=True)


def main_inside(main):
    """Runs main() in a network namespace of its own; ends with the exit status."""
    if os.getuid() != 0:
        print("1..0 # SKIP needs root")
        sys.exit(0)
    if not os.environ.get("MESH_TEST_INSIDE"):
        os.environ["MESH_TEST_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    main()
    print(f"1..{count}")
    sys.exit(1 if failed else 0)
