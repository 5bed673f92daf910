/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster and its proxies, for mesh-destination: an API server that makes its objects
 * up, and clients that subscribe as proxies do.
 *
 *	control_load PODS SERVICES SUBSCRIBERS SHARE CHURN SECONDS CA
 *
 * Says "api PORT" (over TLS; the authority is written to the file CA); reads
 *"DESTINATION POLICY" (two addresses) and says "subscribed" when every call was
 *answered once; reads a line, and for SECONDS replaces CHURN pods a second: the new pod
 *appears, its Service's slice has it instead of the old one, the old one goes.  Then it
 *says, as one line of JSON, how long it took until subscribers of the Service had the
 *new address (ms).  SHARE subscribers use one connection.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/obj.h"
#include "ev/dns.h"
#include "http/grpc.h"
#include "http/site.h"
#include "testca.h"
#include "tls/init.h"

#define NAMESPACES 20
#define NODES      100
#define CALLS      5       /* of a subscriber */
#define TIMES_MAX  1000000 /* of updates */

static struct {
	unsigned npods, nservices, nsubscribers, share, churn, seconds;
	struct loop *loop;
	struct dns *dns;
	struct site *site;
	struct snap creds;
	unsigned *generation; /* of each pod */
	uint64_t *changed; /* when the pod's slice was last sent; 0: not waited for */
	uint64_t version;
	struct call *watches[3]; /* pods, slices, services: who watches */
	unsigned answered;
	uint64_t *times;
	size_t ntimes, nchanges;
	uint64_t begin;
	struct timer tick;
	struct channel **destination, **policy;
} t;

static void say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

/* ---- objects ---- */

static unsigned service_of(unsigned pod)
{
	return pod % t.nservices;
}

static struct ip pod_ip(unsigned pod)
{
	unsigned n = pod + t.generation[pod] * t.npods + 256;

	return (struct ip){4, {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static void meta(struct buf *b, const char *ns, const char *name, const char *more)
{
	buf_printf(b,
		"\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":"
		"\"5f0c1c9e-2f4e-4c0a-9f6b-%012" PRIx64
		"\",\"resourceVersion\":\"%" PRIu64
		"\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\",%s"
		"\"managedFields\":[",
		ns, name, hash_bytes(name, strlen(name)) & 0xffffffffffff, t.version,
		more);
	/* as long as they are: three managers, each with its fields */
	for (int i = 0; i < 3; i++)
		buf_printf(b,
			"%s{\"manager\":\"kube-controller-%d\",\"operation\":"
			"\"Update\","
			"\"apiVersion\":\"v1\",\"time\":\"2026-01-01T00:00:00Z\","
			"\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{"
			"\"f:generateName\":{},\"f:labels\":{\".\":{},\"f:app\":{},"
			"\"f:pod-template-hash\":{}}},\"f:spec\":{\"f:containers\":{"
			"\"k:{\\\"name\\\":\\\"app\\\"}\":{\".\":{},\"f:image\":{},"
			"\"f:imagePullPolicy\":{},\"f:name\":{},\"f:ports\":{\".\":{}}}"
			"}}}}",
			i ? "," : "", i);
	buf_text(b, "]}");
}

static void write_pod(struct buf *b, unsigned i)
{
	unsigned s = service_of(i);
	char ns[32], name[64], more[600], text[ADDR_TEXT];
	struct ip ip = pod_ip(i);

	snprintf(ns, sizeof ns, "ns-%u", s % NAMESPACES);
	snprintf(name, sizeof name, "svc-%u-6d5f8b9c7d-%05x", s,
		i + t.generation[i] * t.npods);
	snprintf(more, sizeof more,
		"\"labels\":{\"app\":\"svc-%u\",\"app.kubernetes.io/name\":\"svc-%u\","
		"\"app.kubernetes.io/part-of\":\"load\",\"pod-template-hash\":"
		"\"6d5f8b9c7d\",\"linkerd.io/control-plane-ns\":\"mesh\"},"
		"\"annotations\":{\"linkerd.io/proxy-version\":\"0.1.0\"},"
		"\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"controller\":true,"
		"\"kind\":\"ReplicaSet\",\"name\":\"svc-%u-6d5f8b9c7d\"}],",
		s, s, s);
	buf_char(b, '{');
	meta(b, ns, name, more);
	buf_printf(b,
		",\"spec\":{\"nodeName\":\"node-%u\",\"serviceAccountName\":\"svc-%u\","
		"\"initContainers\":[{\"name\":\"mesh-proxy\",\"image\":\"mesh:0.1.0\","
		"\"restartPolicy\":\"Always\",\"ports\":[{\"name\":\"linkerd-proxy\","
		"\"containerPort\":4143},{\"name\":\"linkerd-admin\",\"containerPort\":"
		"4191}],"
		"\"env\":[",
		i % NODES, s);
	for (int k = 0; k < 30; k++)
		buf_printf(b,
			"{\"name\":\"LINKERD2_PROXY_SETTING_%d\",\"value\":\"some "
			"value\"},",
			k);
	buf_text(b,
		"{\"name\":\"LINKERD2_PROXY_INBOUND_LISTEN_ADDR\",\"value\":\"0.0.0.0:"
		"4143\"}"
		"]}],\"containers\":[{\"name\":\"app\",\"image\":\"app:1\",\"ports\":[{"
		"\"name\":\"http\",\"containerPort\":8080}],\"livenessProbe\":{"
		"\"httpGet\":{"
		"\"path\":\"/"
		"live\",\"port\":\"http\"}},\"readinessProbe\":{\"httpGet\":{"
		"\"path\":\"/ready\",\"port\":\"http\"}}}]}");
	buf_printf(b,
		",\"status\":{\"phase\":\"Running\",\"hostIP\":\"192.168.0.%u\","
		"\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}],\"conditions\":["
		"{\"type\":\"Ready\",\"status\":\"True\"}]}}",
		i % NODES, ip_text(&ip, text), text);
}

static void write_service(struct buf *b, unsigned i)
{
	char ns[32], name[64];

	snprintf(ns, sizeof ns, "ns-%u", i % NAMESPACES);
	snprintf(name, sizeof name, "svc-%u", i);
	buf_char(b, '{');
	meta(b, ns, name, "");
	buf_printf(b,
		",\"spec\":{\"clusterIP\":\"10.255.%u.%u\",\"clusterIPs\":[\"10.255.%u."
		"%u\"],"
		"\"selector\":{\"app\":\"svc-%u\"},\"ports\":[{\"name\":\"http\","
		"\"port\":80,"
		"\"targetPort\":\"http\"}]}}",
		i >> 8, i & 255, i >> 8, i & 255, i);
}

static void write_slice(struct buf *b, unsigned s)
{
	char ns[32], name[64], more[128], text[ADDR_TEXT];
	bool first = true;

	snprintf(ns, sizeof ns, "ns-%u", s % NAMESPACES);
	snprintf(name, sizeof name, "svc-%u-abcde", s);
	snprintf(more, sizeof more,
		"\"labels\":{\"kubernetes.io/service-name\":\"svc-%u\"},", s);
	buf_char(b, '{');
	meta(b, ns, name, more);
	buf_text(b, ",\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":"
		    "8080}],"
		    "\"endpoints\":[");
	for (unsigned i = s; i < t.npods; i += t.nservices) {
		struct ip ip = pod_ip(i);

		buf_printf(b,
			"%s{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true},"
			"\"nodeName\":\"node-%u\",\"zone\":\"zone-%u\",\"targetRef\":{"
			"\"kind\":\"Pod\",\"namespace\":\"%s\",\"name\":"
			"\"svc-%u-6d5f8b9c7d-%05x\"}}",
			first ? "" : ",", ip_text(&ip, text), i % NODES, i % 3, ns, s,
			i + t.generation[i] * t.npods);
		first = false;
	}
	buf_text(b, "]}");
}

static void write_node(struct buf *b, unsigned i)
{
	char name[32], more[128];

	snprintf(name, sizeof name, "node-%u", i);
	snprintf(more, sizeof more,
		"\"labels\":{\"topology.kubernetes.io/zone\":\"zone-%u\"},", i % 3);
	buf_char(b, '{');
	meta(b, "", name, more);
	buf_char(b, '}');
}

static void write_namespace(struct buf *b, unsigned i)
{
	char name[32];

	snprintf(name, sizeof name, "ns-%u", i);
	buf_char(b, '{');
	meta(b, "", name, "");
	buf_char(b, '}');
}

static void write_replicaset(struct buf *b, unsigned i)
{
	char ns[32], name[64], more[200];

	snprintf(ns, sizeof ns, "ns-%u", i % NAMESPACES);
	snprintf(name, sizeof name, "svc-%u-6d5f8b9c7d", i);
	snprintf(more, sizeof more,
		"\"ownerReferences\":[{\"controller\":true,\"kind\":\"Deployment\","
		"\"name\":\"svc-%u\"}],",
		i);
	buf_char(b, '{');
	meta(b, ns, name, more);
	buf_char(b, '}');
}

/* Every tenth Service has a Server, a policy, a route and a profile. */
static void write_tenth(
	struct buf *b, unsigned i, const char *fmt, const char *name_fmt)
{
	char ns[32], name[80], svc[32];

	i *= 10;
	snprintf(ns, sizeof ns, "ns-%u", i % NAMESPACES);
	snprintf(svc, sizeof svc, "svc-%u", i);
	snprintf(name, sizeof name, "%s%s", svc, name_fmt);
	buf_char(b, '{');
	meta(b, ns, name, "");
	buf_text(b, ",\"spec\":");
	for (; *fmt; fmt++)
		if (*fmt == '@')
			buf_text(b, svc);
		else
			buf_char(b, *fmt == '\'' ? '"' : *fmt);
	buf_char(b, '}');
}

static void write_server(struct buf *b, unsigned i)
{
	write_tenth(b, i,
		"{'podSelector':{'matchLabels':{'app':'@'}},'port':'http',"
		"'proxyProtocol':'HTTP/1'}",
		"");
}

static void write_policy(struct buf *b, unsigned i)
{
	write_tenth(b, i,
		"{'targetRef':{'group':'policy.linkerd.io','kind':'Server','name':'@'},"
		"'requiredAuthenticationRefs':[{'group':'policy.linkerd.io',"
		"'kind':'MeshTLSAuthentication','name':'@'}]}",
		"");
}

static void write_mesh_tls(struct buf *b, unsigned i)
{
	write_tenth(
		b, i, "{'identityRefs':[{'kind':'ServiceAccount','name':'@'}]}", "");
}

static void write_route(struct buf *b, unsigned i)
{
	write_tenth(b, i,
		"{'parentRefs':[{'group':'core','kind':'Service','name':'@','port':80}]"
		","
		"'rules':[{'matches':[{'path':{'value':'/a'}},{'path':{'value':'/b'}}],"
		"'backendRefs':[{'name':'@','port':80}]}]}",
		"");
}

static void write_profile(struct buf *b, unsigned i)
{
	char tail[64];

	snprintf(tail, sizeof tail, ".ns-%u.svc.cluster.local", i * 10 % NAMESPACES);
	write_tenth(b, i,
		"{'routes':[{'name':'a','condition':{'pathRegex':'/a'}},"
		"{'name':'b','condition':{'method':'POST','pathRegex':'/b'}}]}",
		tail);
}

/* ---- the API server ---- */

enum watched { WATCH_PODS, WATCH_SLICES, WATCH_SERVICES, WATCH_NONE };

static const struct kind {
	const char *path;
	void (*write)(struct buf *b, unsigned i);
	unsigned *count, per; /* of them: *count / per */
	enum watched watched;
} kinds[] = {
	{"/api/v1/pods", write_pod, &t.npods, 1, WATCH_PODS},
	{"/api/v1/services", write_service, &t.nservices, 1, WATCH_SERVICES},
	{"/apis/discovery.k8s.io/v1/endpointslices", write_slice, &t.nservices, 1,
		WATCH_SLICES},
	{"/api/v1/nodes", write_node, &(unsigned){NODES}, 1, WATCH_NONE},
	{"/api/v1/namespaces", write_namespace, &(unsigned){NAMESPACES}, 1, WATCH_NONE},
	{"/apis/apps/v1/replicasets", write_replicaset, &t.nservices, 1, WATCH_NONE},
	{"/apis/policy.linkerd.io/v1beta3/servers", write_server, &t.nservices, 10,
		WATCH_NONE},
	{"/apis/policy.linkerd.io/v1alpha1/authorizationpolicies", write_policy,
		&t.nservices, 10, WATCH_NONE},
	{"/apis/policy.linkerd.io/v1alpha1/meshtlsauthentications", write_mesh_tls,
		&t.nservices, 10, WATCH_NONE},
	{"/apis/policy.linkerd.io/v1beta3/httproutes", write_route, &t.nservices, 10,
		WATCH_NONE},
	{"/apis/linkerd.io/v1alpha2/serviceprofiles", write_profile, &t.nservices, 10,
		WATCH_NONE},
};

static void watch_gone(struct call *c)
{
	for (size_t i = 0; i < countof(t.watches); i++)
		if (t.watches[i] == c)
			t.watches[i] = NULL;
}

static void list(struct call *c, const struct kind *k)
{
	struct slice from = call_param(c, "continue");
	unsigned n = *k->count / k->per;
	uint64_t at = 0, limit = 500;
	struct buf b = BUF_INIT;

	(void)slice_u64(from, UINT32_MAX, &at);
	(void)slice_u64(call_param(c, "limit"), 10000, &limit);
	buf_printf(&b,
		"{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"",
		t.version);
	if (at + limit < n)
		buf_printf(&b, ",\"continue\":\"%" PRIu64 "\"", at + limit);
	buf_text(&b, "},\"items\":[");
	for (uint64_t i = at; i < n && i < at + limit; i++) {
		if (i > at)
			buf_char(&b, ',');
		k->write(&b, (unsigned)i);
	}
	buf_text(&b, "]}");
	call_reply(c, 200, "application/json", buf_slice(&b));
	buf_fini(&b);
}

static void handle(struct call *c)
{
	static const char none[] =
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}";
	bool watch = call_param(c, "watch").p != NULL;

	for (size_t i = 0; i < countof(kinds); i++) {
		if (!slice_is(c->path, kinds[i].path))
			continue;
		if (!watch) {
			list(c, &kinds[i]);
			return;
		}
		if (kinds[i].watched != WATCH_NONE) {
			t.watches[kinds[i].watched] = c;
			c->on_gone = watch_gone;
		}
	}
	if (watch)
		call_stream(c, 200, "application/json");
	else
		call_reply(c, 200, "application/json", SLICE(none));
}

/* ---- churn ---- */

static void send_event(enum watched w, const char *type,
	void (*write)(struct buf *b, unsigned i), unsigned i)
{
	struct buf b = BUF_INIT;

	if (!t.watches[w])
		return;
	t.version++;
	buf_printf(&b, "{\"type\":\"%s\",\"object\":", type);
	write(&b, i);
	buf_text(&b, "}\n");
	call_send(t.watches[w], buf_slice(&b));
	buf_fini(&b);
}

static void replace(unsigned pod)
{
	struct buf old = BUF_INIT;

	buf_text(&old, "{\"type\":\"DELETED\",\"object\":");
	write_pod(&old, pod);
	buf_text(&old, "}\n");
	t.generation[pod]++;
	send_event(WATCH_PODS, "ADDED", write_pod, pod);
	send_event(WATCH_PODS, "MODIFIED", write_pod, pod);
	t.changed[pod] = clock_mono();
	t.nchanges++;
	send_event(WATCH_SLICES, "MODIFIED", write_slice, service_of(pod));
	if (t.watches[WATCH_PODS])
		call_send(t.watches[WATCH_PODS], buf_slice(&old));
	buf_fini(&old);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double ms_at(double part)
{
	size_t i = (size_t)((double)t.ntimes * part);

	if (!t.ntimes)
		return -1;
	return (double)t.times[i < t.ntimes ? i : t.ntimes - 1] / 1e6;
}

static void finish(void)
{
	qsort(t.times, t.ntimes, sizeof *t.times, by_size);
	printf("{\"changes\": %zu, \"updates\": %zu, \"p50\": %.2f, \"p99\": %.2f, "
	       "\"max\": %.2f}\n",
		t.nchanges, t.ntimes, ms_at(0.5), ms_at(0.99), ms_at(1));
	fflush(stdout);
	loop_stop(t.loop);
}

static void on_tick(struct timer *timer)
{
	uint64_t since = clock_mono() - t.begin, due = since * t.churn / NS_PER_S;

	if (since > (t.seconds + 1) * NS_PER_S) {
		finish();
		return;
	}
	while (t.nchanges < due && since < t.seconds * NS_PER_S)
		replace((unsigned)(random_u64() % t.npods));
	timer_set(timer, NS_PER_MS);
}

/* ---- subscribers ---- */

struct stream {
	bool heard;
};

static void first(void *arg)
{
	struct stream *s = arg;

	if (s->heard)
		return;
	s->heard = true;
	if (++t.answered == t.nsubscribers * CALLS)
		say("subscribed");
}

static void heard(const Net__TcpAddress *m)
{
	struct addr at;
	unsigned n, pod;

	if (!api_to_addr(m, &at))
		return;
	n = ((unsigned)at.ip.b[1] << 16 | (unsigned)at.ip.b[2] << 8 | at.ip.b[3]) - 256;
	pod = n % t.npods;
	if (t.changed[pod] && n / t.npods == t.generation[pod] && t.ntimes < TIMES_MAX)
		t.times[t.ntimes++] = clock_mono() - t.changed[pod];
}

static void on_update(void *arg, struct grpc_call *c, struct slice message)
{
	struct arena a = {.limit = 1 << 22};
	Destination__Update *m =
		API_READ(Destination__Update, destination__update, message, &a, NULL);

	(void)c;
	first(arg);
	if (m && m->update_case == DESTINATION__UPDATE__UPDATE_ADD && t.begin)
		for (size_t i = 0; i < m->add->n_addrs; i++)
			heard(m->add->addrs[i]->addr);
	arena_fini(&a);
}

static void on_other(void *arg, struct grpc_call *c, struct slice message)
{
	(void)c;
	(void)message;
	first(arg);
}

static void on_over(void *arg, struct grpc_call *c, int status, const char *text)
{
	(void)arg;
	(void)c;
	fprintf(stderr, "control_load: a call ended with %d %s\n", status,
		text ? text : "");
	exit(1);
}

static void begin(struct channel *ch, const char *path, const void *m, bool updates)
{
	static const struct grpc_user endpoints = {on_update, on_over},
				      others = {on_other, on_over};
	struct stream *s = calloc(1, sizeof *s);
	struct buf b = BUF_INIT;

	must(s && api_write(m, &b) == 0);
	must(grpc_call_begin(ch, path, buf_slice(&b), false,
		updates ? &endpoints : &others, s, NULL));
	buf_fini(&b);
}

static struct channel *channel_to(const struct addr *at)
{
	char host[ADDR_TEXT];
	struct channel_config cfg = {
		.host = ip_text(&at->ip, host), .port = at->port, .kind = HTTP_KIND_2};
	struct channel *c = channel_new(t.loop, t.dns, &cfg, NULL);

	must(c);
	return c;
}

static void watch_ports(struct channel *policy, char *workload)
{
	Inbound__PortSpec in = INBOUND__PORT_SPEC__INIT;

	in.workload = workload;
	in.port = 8080;
	begin(policy, API_INBOUND, &in, false);
	in.port = 4191;
	begin(policy, API_INBOUND, &in, false);
}

/* Proxy i is in a pod of its own and talks to a Service of its own. */
static void subscribe(unsigned i, struct channel *destination, struct channel *policy)
{
	unsigned pod = i * (t.npods / t.nsubscribers);
	unsigned to = i * 2 % t.nservices;
	char name[128], ip[64], workload[128], token[256];
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;
	Outbound__TrafficSpec out = OUTBOUND__TRAFFIC_SPEC__INIT;
	struct arena a = {.limit = 4096};
	struct addr at;

	snprintf(name, sizeof name, "svc-%u.ns-%u.svc.cluster.local:80", to,
		to % NAMESPACES);
	snprintf(ip, sizeof ip, "10.255.%u.%u:80", to >> 8, to & 255);
	snprintf(workload, sizeof workload, "ns-%u:svc-%u-6d5f8b9c7d-%05x",
		service_of(pod) % NAMESPACES, service_of(pod), pod);
	snprintf(token, sizeof token, "{\"ns\":\"ns-%u\",\"nodeName\":\"node-%u\"}",
		service_of(pod) % NAMESPACES, pod % NODES);
	m.path = name;
	m.context_token = token;
	begin(destination, API_GET, &m, true);
	m.path = ip;
	begin(destination, API_GET_PROFILE, &m, false);
	watch_ports(policy, workload);
	must(addr_parse(slice_of(ip), &at));
	out.source_workload = workload;
	out.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR;
	out.addr = api_addr(&at, &a);
	begin(policy, API_OUTBOUND, &out, false);
	arena_fini(&a);
}

static void subscribe_all(const struct addr *destination, const struct addr *policy)
{
	struct channel *d = NULL, *p = NULL;

	for (unsigned i = 0; i < t.nsubscribers; i++) {
		if (i % t.share == 0) {
			d = channel_to(destination);
			p = channel_to(policy);
		}
		subscribe(i, d, p);
	}
}

/* ---- commands ---- */

static void on_line(char *line)
{
	char *space = strchr(line, ' ');
	struct addr destination, policy;

	if (!space) {
		t.begin = clock_mono();
		timer_set(&t.tick, 0);
		return;
	}
	*space = '\0';
	must(addr_parse(slice_of(line), &destination) &&
		addr_parse(slice_of(space + 1), &policy));
	subscribe_all(&destination, &policy);
}

static struct timer poll_stdin;
static void on_stdin(struct timer *timer)
{
	static char line[256];
	static size_t n;
	ssize_t got = read(0, line + n, sizeof line - 1 - n);
	char *end;

	if (got == 0)
		exit(1);
	n += got > 0 ? (size_t)got : 0;
	line[n] = '\0';
	end = strchr(line, '\n');
	if (end) {
		*end = '\0';
		n = 0;
		on_line(line);
	}
	timer_set(timer, 20 * NS_PER_MS);
}

static void make_creds(const char *path)
{
	struct testca ca;
	struct err e = {0};

	testca_init(&ca);
	t.creds = SNAP_INIT;
	snap_set(&t.creds,
		creds_ref(testca_creds_of(&ca, &(struct testleaf){.ip = "127.0.0.1"})));
	must(file_replace(path, 0600, buf_slice(&ca.root_pem), &e) == 0);
	testca_fini(&ca);
}

static unsigned number(const char *text)
{
	uint64_t n;

	must(slice_u64(slice_of(text), 1000000, &n) && n > 0);
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	static const struct route routes[] = {
		{"GET", "/api/", handle}, {"GET", "/apis/", handle}};
	struct site_config cfg = {.routes = routes, .nroutes = countof(routes)};
	unsigned *const counts[] = {&t.npods, &t.nservices, &t.nsubscribers, &t.share,
		&t.churn, &t.seconds};
	struct err e = {0};

	if (argc != 2 + countof(counts)) {
		fprintf(stderr, "control_load PODS SERVICES SUBSCRIBERS SHARE CHURN "
				"SECONDS CA\n");
		return 64;
	}
	for (size_t i = 0; i < countof(counts); i++)
		*counts[i] = number(argv[i + 1]);
	tls_init();
	make_creds(argv[1 + countof(counts)]);
	cfg.creds = &t.creds;
	t.version = 1;
	t.generation = calloc(t.npods, sizeof *t.generation);
	t.changed = calloc(t.npods, sizeof *t.changed);
	t.times = calloc(TIMES_MAX, sizeof *t.times);
	t.loop = loop_new(&e);
	t.dns = dns_new(t.loop, NULL, &e);
	addr_parse(SLICE("127.0.0.1:0"), &cfg.at);
	t.site = site_new(t.loop, &cfg, &e);
	if (!t.generation || !t.changed || !t.times || !t.site) {
		fprintf(stderr, "control_load: %s\n", e.msg);
		return 1;
	}
	printf("api %u\n", site_addr(t.site)->port);
	fflush(stdout);
	must(fcntl(0, F_SETFL, O_NONBLOCK) == 0);
	timer_init(&t.tick, t.loop, on_tick);
	timer_init(&poll_stdin, t.loop, on_stdin);
	timer_set(&poll_stdin, 0);
	return loop_run(t.loop, &e) == 0 ? 0 : 1;
}
