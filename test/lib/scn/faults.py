# SPDX-License-Identifier: Apache-2.0
"""A scenario whose proxies' allocations and system calls fail (test/fault/fault.h).  What it expects may then
fail, but a proxy lives, serves as soon as nothing fails any more, keeps no descriptor, and ends in order."""
import mmap, os, random, signal, struct, threading, time

from . import peer, scene, text
from .text import Failed

AFTER = scene.TOP + "/test/fault/after.scn"
MEMORY, CALLS, TELL = 1, 2, 4
SPARE_FDS = 8  # connections kept idle for the next request
USUAL_FDS = 20
REFUSED = 1, 64  # a proxy that cannot start says why and ends with one of these
END = 15       # seconds after SIGTERM


class Control:
    """struct fault_control in the file that a proxy has mapped."""
    def __init__(self, path):
        with open(path, "wb") as f:
            f.truncate(4096)
        os.chmod(path, 0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def arm(self, on, seed, one_in, nth):
        struct.pack_into("=5Q", self.map, 8, seed, one_in, nth, 0, 0)
        struct.pack_into("=Q", self.map, 0, on)

    def disarm(self):
        struct.pack_into("=Q", self.map, 0, 0)

    def counts(self):
        """(calls, failed)"""
        return struct.unpack_from("=2Q", self.map, 32)


def plan(seed, name):
    """What fails in this scenario: a share of all, or one call; from the start (True) or when the proxy is ready."""
    r = random.Random("%d %s" % (seed, name))
    kinds = r.choice([MEMORY, CALLS, MEMORY | CALLS])
    early = r.random() < 0.2
    if r.random() < 0.4:
        return early, (kinds, r.getrandbits(32), 0, int(2 ** r.uniform(0, 12)))
    return early, (kinds, r.getrandbits(32), int(2 ** r.uniform(4, 11)), 0)


class FaultyScene(scene.Scene):
    def __init__(self, file, folder, seed):
        super().__init__(file, folder)
        self.controls, self.fds, self.ended, self.mute = {}, {}, set(), set()
        self.early, self.plan = plan(seed, os.path.basename(file))
        threading.excepthook = lambda _: None  # of peers whose sockets were taken away
        peer.LIMIT = scene.LIMIT = 1
        scene.DEFAULTS.update(SHUTDOWN_GRACE_PERIOD="5s")

    def environment(self, where, lines):
        out = super().environment(where, lines)
        path = "%s/faults.%s" % (self.dir, where)
        self.controls["proxy " + where] = Control(path)
        if self.early:
            self.arm("proxy " + where)
        ips = "LINKERD2_PROXY_INBOUND_IPS"
        if ips in out:  # what must work afterwards comes to the pod's own address
            out[ips] += ",10.1.0.1,10.1.0.2"
        return dict(out, MESH_FAULTS=path)

    def do_proxy(self, line, words):
        name = self.proxy_name(list(words))
        if "exits" in words:  # it is not to live
            self.fds.pop(name, None)
            return super().do_proxy(line, words)
        self.fds[name] = USUAL_FDS
        if "log" in words:  # what it says cannot be read
            self.mute.add(name)
        super().do_proxy(line, words)
        if self.procs[name].poll() is None and not self.early:
            self.fds[name] = self.open_fds(name)
            self.arm(name)

    def arm(self, name):
        kinds, *rest = self.plan
        self.controls[name].arm(kinds | TELL, *rest)

    def failed(self, peer):
        if peer in self.peers:  # not one of before
            super().failed(peer)

    def do_signal(self, line, words):
        self.ended.add(self.proxy_name(list(words)))
        super().do_signal(line, words)

    def open_fds(self, name):
        return len(os.listdir("/proc/%d/fd" % self.procs[name].pid))

    # ---- the run ----

    def leave(self):
        return None

    def play(self):
        failure = super().play()
        self.note("* faults end; the scenario itself: %s" % (failure and "%s: %s" % failure))
        for name, c in self.controls.items():
            c.disarm()
            self.note("%s: %d calls, %d failed" % (name, *c.counts()))
        self.forget_peers()
        try:
            for name in self.fds:
                self.must_live(name)
            if "proxy pod" in self.fds and "proxy pod" not in self.ended:
                self.must_serve()
            for name in self.fds:
                self.must_shrink(name)
            for name in self.fds:
                self.must_end(name)
        except Failed as e:
            return "faults %s %s" % (self.early, self.plan), str(e)
        return None

    def forget_peers(self):
        self.flags.stop()
        for p in self.peers:
            if isinstance(p, peer.Server):
                p.stop()
                for s in p.silent:
                    s.close()
        until = time.monotonic() + 2
        for p in self.peers:
            if p.thread:
                p.thread.join(max(0.01, until - time.monotonic()))
        self.peers.clear()
        self.broken.clear()
        self.flags = peer.Flags()

    def must_live(self, name):
        rc = self.procs[name].poll()
        if rc in (None, 0) and self.wait_log(name, "Shutting down", 0):
            self.ended.add(name)
        elif self.early and rc in REFUSED and not self.wait_log(name, "Ready", 0):
            self.ended.add(name)
        elif rc is None and name not in self.mute and not self.wait_log(name, "Ready", 20):
            raise Failed("%s is not ready" % name)
        elif rc is not None and (rc != 0 or name not in self.ended):
            raise Failed("%s ended with %d" % (name, rc))

    def must_serve(self):
        for line in text.read(AFTER):
            try:
                self.step(line)
            except Failed as e:
                self.must_live("proxy pod")
                raise Failed("afterwards: %s" % e)
        for p in self.peers:
            if isinstance(p, peer.Server):
                p.stop()

    def must_shrink(self, name):
        until = time.monotonic() + 12
        while self.procs[name].poll() is None and self.open_fds(name) > self.fds[name] + SPARE_FDS:
            if time.monotonic() > until:
                raise Failed("%s keeps %d descriptors, had %d" % (name, self.open_fds(name), self.fds[name]))
            time.sleep(0.05)

    def must_end(self, name):
        p = self.procs[name]
        if p.poll() is None and name not in self.ended:
            p.send_signal(signal.SIGTERM)
        if p.poll() not in REFUSED:
            self.must_exit(name, 0, END)
