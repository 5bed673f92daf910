# SPDX-License-Identifier: Apache-2.0
"""Traffic of every kind (traffic.go) between pods of `mesh local`: what soak tests of a whole mesh share."""
import json, os, subprocess, time

from local import *
from registry import BIN, go_program

RATE = 500
PROGRAM = BIN + "/traffic"
IMAGES = f"""
test/traffic: {{command: ["{PROGRAM}"]}}
"""
SPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {linkerd.io/inject: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: shop, annotations: {config.linkerd.io/opaque-ports: "2525"}}
spec: {selector: {app: server}, ports: [{name: http, port: 8080}, {name: bytes, port: 2525}]}
"""


def build():
    return go_program("traffic", TOP + "/test/lib/traffic.go")


def deployment(name, args, replicas=1, mark="", more="", volumes=""):
    """New pods come before old ones go.  `mark`: another one is another template."""
    return f"""
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  strategy: {{rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{config.linkerd.io/opaque-ports: "2525", mark: "{mark}"}}}}
    spec:
      serviceAccountName: {name}
      terminationGracePeriodSeconds: 30
      containers: [{{name: {name}, image: test/traffic, args: {json.dumps(args)}{more}}}]{volumes}
"""


def server(replicas=1, mark=""):
    return deployment("server", ["serve"], replicas, mark,
                      ", readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}")


CLIENT = deployment("client", ["idle"])


class Ask:
    """Traffic from the client's pod, while the block runs."""

    def __init__(self, local, seconds, *more):
        self.local, self.seconds, self.more = local, seconds, more

    def __enter__(self):
        pod = self.local.pods("shop", "client")[0]["metadata"]["name"]
        self.run = subprocess.Popen(
            [MESH, "local", "exec", "--dir", self.local.folder + "/state", "-n", "shop", pod, "-c", "client", "--",
             PROGRAM, "ask", "server.shop", str(RATE), str(self.seconds), *self.more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        return self

    def __exit__(self, *_):
        out, err = self.run.communicate(timeout=self.seconds + 60)
        self.result = json.loads(out) if self.run.returncode == 0 else {"done": {}, "again": 0, "bad": [["run", 0, 0, "exit %d: %s %s" % (self.run.returncode, out[:300], err)]]}

    def check(self, name):
        """Nothing has failed, and nothing was forgotten."""
        r = self.result
        print("# %s: %s" % (name, summary(r)), flush=True)
        report(asked(r) == RATE * self.seconds and not r["bad"], name, summary(r) + "\n" + self.complaints())

    def complaints(self):
        """What the client's proxy said of failures."""
        pod = self.local.pods("shop", "client")[0]["metadata"]["name"]
        said = self.local("logs", "-n", "shop", pod, "-c", "mesh-proxy").stdout.splitlines()
        return "\n".join([l for l in said if "error" in l and "refused addr" not in l][-12:])


def asked(r):
    """How many requests have an outcome; the messages of sessions that were held are beside them."""
    return (sum(n for kind, n in r["done"].items() if not kind.startswith("held")) +
            sum(1 for b in r["bad"] if not b[0].startswith("held")))


def summary(r):
    """What became of all; of each cause of a failure how often, and when first."""
    causes = {}
    for kind, begun, ended, why in r["bad"]:
        causes.setdefault((kind, why), []).append((begun, ended - begun))
    lines = ["%d done, %d failed, %d sent twice; %s" % (sum(r["done"].values()), len(r["bad"]), r["again"], r["done"])]
    for (kind, why), when in sorted(causes.items(), key=lambda c: -len(c[1]))[:12]:
        lines.append("%d of %s, from %.2f, after %.2f s: %s" % (len(when), kind, *when[0], why[:300]))
    return "\n# ".join(lines)
