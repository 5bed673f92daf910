# SPDX-License-Identifier: Apache-2.0
"""The demo's application as processes of this machine, on ports that the system chooses, without a
mesh: what its tests share."""
import json, os, re, subprocess, sys, tempfile, time, urllib.error, urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APP = os.environ.get("DEMO_APP", TOP + "/build/demo-app")
count, failed = 0, 0


def ok(cond, name, detail=""):
    global count, failed
    count += 1
    if not cond:
        failed += 1
        for line in str(detail).splitlines()[-15:]:
            print("# " + line)
    print("%sok %d - %s" % ("" if cond else "not ", count, name), flush=True)
    return cond


def done():
    print("1..%d" % count)
    return 1 if failed else 0


def wait_for(cond, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        got = cond()
        if got:
            return got
        time.sleep(0.05)
    return None


class Role:
    """One process; `log` is what it has written."""

    def __init__(self, name, **env):
        self.name, self.file = name, tempfile.TemporaryFile("w+")
        self.p = subprocess.Popen([APP, name], env=env, stdout=self.file, stderr=subprocess.STDOUT)

    @property
    def log(self):
        self.file.flush()
        return os.pread(self.file.fileno(), 1 << 20, 0).decode()

    def where(self):
        """The port it says it listens on."""
        found = wait_for(lambda: re.search(r"listening.* addr=\S+:(\d+)", self.log) or self.p.poll() is not None)
        if not found or found is True:
            raise RuntimeError("%s does not listen: %s" % (self.name, self.log))
        return int(found.group(1))

    def term(self):
        """Asks it to end; its exit status."""
        self.p.terminate()
        return self.p.wait(15)

    def kill(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()


class Application:
    """All roles; `replicas` of the voting service are behind one name only in a cluster: here 1."""

    def __init__(self):
        self.roles = {}

    def start(self, name, **env):
        self.roles[name] = Role(name, **env)
        return self.roles[name]

    def up(self):
        emoji, voting = self.start("emoji", GRPC_PORT="0"), self.start("voting", GRPC_PORT="0")
        self.voting_port = voting.where()
        # a name, so that the resolver is used
        web = self.start("web", WEB_PORT="0", EMOJISVC_HOST="localhost:%d" % emoji.where(),
                         VOTINGSVC_HOST="localhost:%d" % self.voting_port)
        self.port = web.where()
        self.url = "http://127.0.0.1:%d" % self.port
        return self

    def get(self, path):
        """Status, and the body as JSON where it is."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as r:
                status, body, kind = r.status, r.read(), r.headers["content-type"]
        except urllib.error.HTTPError as e:
            status, body, kind = e.code, e.read(), e.headers["content-type"]
        return status, json.loads(body) if kind == "application/json" else body.decode()

    def votes(self):
        status, board = self.get("/api/leaderboard")
        return {b["shortcode"]: b["votes"] for b in board} if status == 200 else {}

    def logs(self):
        return "\n".join("%s: %s" % (r.name, r.log[-600:]) for r in self.roles.values())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for r in self.roles.values():
            r.kill()
