/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"

#define P "LINKERD2_PROXY_"

enum kind {
	K_TEXT,
	K_NEEDED_TEXT, /* must be set and not empty */
	K_BOOL,
	K_UINT,
	K_DURATION,
	K_RATIO,
	K_ADDR,
	K_ADDRS, /* one or two */
	K_NETWORKS,
	K_IPS,
	K_PORTS, /* a set */
	K_PORTLIST,
	K_CONTROL, /* <name>_ADDR and <name>_NAME */
	K_NEEDED_CONTROL,
	K_POLICY,
	K_BOTH_UNUSED, /* known, without effect here */
};

struct var {
	const char *name; /* after LINKERD2_PROXY_ */
	enum kind kind;
	size_t offset;
	const char *preset;
};

#define V(name, kind, field, preset)                                                   \
	{                                                                              \
		name, kind, offsetof(struct proxy_config, field), preset               \
	}
/* What inbound and outbound both have. */
#define SIDE(NAME, s, connect_, idle_, failfast_, backoff_max_)                        \
	V(NAME "_DETECT_TIMEOUT", K_DURATION, s.detect_timeout, "10s"),                \
		V(NAME "_CONNECT_TIMEOUT", K_DURATION, s.connect_timeout, connect_),   \
		V(NAME "_CONNECT_EXP_BACKOFF_MIN", K_DURATION, s.backoff_min,          \
			"100ms"),                                                      \
		V(NAME "_CONNECT_EXP_BACKOFF_MAX", K_DURATION, s.backoff_max,          \
			backoff_max_),                                                 \
		V(NAME "_CONNECT_EXP_BACKOFF_JITTER", K_RATIO, s.backoff_jitter,       \
			"0.1"),                                                        \
		V(NAME "_HTTP_QUEUE_CAPACITY", K_UINT, s.queue_capacity, "10000"),     \
		V(NAME "_HTTP_FAILFAST_TIMEOUT", K_DURATION, s.failfast, failfast_),   \
		V(NAME "_MAX_IN_FLIGHT", K_UINT, s.max_in_flight, "100000"),           \
		V(NAME "_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", K_DURATION, s.pool_idle, \
			"3s"),                                                         \
		V(NAME "_DISCOVERY_IDLE_TIMEOUT", K_DURATION, s.discovery_idle,        \
			idle_),                                                        \
		V(NAME "_ACCEPT_KEEPALIVE", K_DURATION, s.accept_keepalive, "0"),      \
		V(NAME "_CONNECT_KEEPALIVE", K_DURATION, s.connect_keepalive, "0"),    \
		V(NAME "_ACCEPT_USER_TIMEOUT", K_DURATION, s.accept_user_timeout,      \
			"0"),                                                          \
		V(NAME "_CONNECT_USER_TIMEOUT", K_DURATION, s.connect_user_timeout,    \
			"0"),                                                          \
		V(NAME "_TCP_LISTEN_BACKLOG", K_UINT, s.backlog, "0"),                 \
		V(NAME "_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE", K_UINT,             \
			s.h2_server.stream_window, "65535"),                           \
		V(NAME "_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", K_UINT,         \
			s.h2_server.conn_window, "1048576"),                           \
		V(NAME "_SERVER_HTTP2_KEEP_ALIVE_INTERVAL", K_DURATION,                \
			s.h2_server.ping_every, "0"),                                  \
		V(NAME "_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT", K_DURATION,                 \
			s.h2_server.ping_timeout, "0"),                                \
		V(NAME "_SERVER_HTTP2_MAX_CONCURRENT_STREAMS", K_UINT,                 \
			s.h2_server.max_streams, "10000"),                             \
		V(NAME "_SERVER_HTTP2_MAX_FRAME_SIZE", K_UINT, s.h2_server.max_frame,  \
			"16384"),                                                      \
		V(NAME "_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL", K_BOOL,                  \
			s.h2_server.adaptive, "false")

static const struct var vars[] = {
	V("DESTINATION_SVC", K_NEEDED_CONTROL, destination, NULL),
	V("POLICY_SVC", K_NEEDED_CONTROL, policy, NULL),
	V("POLICY_WORKLOAD", K_NEEDED_TEXT, workload, NULL),
	V("IDENTITY_SVC", K_NEEDED_CONTROL, identity, NULL),
	V("IDENTITY_DIR", K_NEEDED_TEXT, identity_dir, NULL),
	V("IDENTITY_TRUST_ANCHORS", K_TEXT, trust_anchors, ""),
	V("IDENTITY_TRUST_ANCHORS_FILE", K_TEXT, trust_anchors_file, ""),
	V("IDENTITY_TOKEN_FILE", K_NEEDED_TEXT, token_file, NULL),
	V("IDENTITY_LOCAL_NAME", K_TEXT, local_name, ""),
	V("IDENTITY_SERVER_ID", K_TEXT, server_id, ""),
	V("IDENTITY_SERVER_NAME", K_TEXT, server_name, ""),
	V("IDENTITY_MIN_REFRESH", K_DURATION, identity_min_refresh, "10s"),
	V("IDENTITY_MAX_REFRESH", K_DURATION, identity_max_refresh, "1d"),
	V("OUTBOUND_LISTEN_ADDR", K_ADDRS, outbound_listen, "127.0.0.1:4140"),
	V("OUTBOUND_LISTEN_ADDRS", K_ADDRS, outbound_listen, ""),
	V("INBOUND_LISTEN_ADDR", K_ADDR, inbound_listen, "0.0.0.0:4143"),
	V("CONTROL_LISTEN_ADDR", K_ADDR, control_listen, "0.0.0.0:4190"),
	V("ADMIN_LISTEN_ADDR", K_ADDR, admin_listen, "127.0.0.1:4191"),
	SIDE("INBOUND", in, "300ms", "90s", "1s", "10s"),
	SIDE("OUTBOUND", out, "1s", "5s", "3s", "60s"),
	V("OUTBOUND_TCP_QUEUE_CAPACITY", K_UINT, out_tcp_queue, "10000"),
	V("OUTBOUND_TCP_FAILFAST_TIMEOUT", K_DURATION, out_tcp_failfast, "3s"),
	V("MAX_IDLE_CONNS_PER_ENDPOINT", K_UINT, in.max_idle_conns, "10000"),
	V("OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT", K_UINT, out.max_idle_conns, "10000"),
	V("HTTP2_INITIAL_STREAM_WINDOW_SIZE", K_UINT, h2_client.stream_window, "65535"),
	V("HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", K_UINT, h2_client.conn_window,
		"1048576"),
	V("HTTP_HEAD_MAX", K_UINT, head_max, "65536"),
	V("HTTP_HEAD_TIMEOUT", K_DURATION, head_timeout, "30s"),
	V("HTTP2_STALL_TIMEOUT", K_DURATION, h2_stall, "5m"),
	V("MEMORY_LIMIT_MB", K_UINT, memory_limit_mb, "0"),
	V("SHUTDOWN_GRACE_PERIOD", K_DURATION, shutdown_grace, "2m"),
	V("SHUTDOWN_ENDPOINT_ENABLED", K_BOOL, shutdown_endpoint, "false"),
	V("METRICS_RETAIN_IDLE", K_DURATION, metrics_retain, "10m"),
	V("INGRESS_MODE", K_BOOL, ingress, "false"),
	V("OUTBOUND_DISABLE_INFORMATIONAL_HEADERS", K_BOOL, no_informational, "false"),
	V("DESTINATION_CONTEXT", K_TEXT, context, ""),
	V("DESTINATION_PROFILE_SUFFIXES", K_TEXT, profile_suffixes,
		"svc.cluster.local."),
	V("DESTINATION_PROFILE_NETWORKS", K_NETWORKS, profile_networks, ""),
	V("DESTINATION_PROFILE_INITIAL_TIMEOUT", K_DURATION, profile_initial, "500ms"),
	V("CONTROL_STREAM_INITIAL_TIMEOUT", K_DURATION, stream_initial, "0"),
	V("CONTROL_STREAM_IDLE_TIMEOUT", K_DURATION, stream_idle, "0"),
	V("CONTROL_STREAM_LIFETIME", K_DURATION, stream_lifetime, "0"),
	V("POLICY_CLUSTER_NETWORKS", K_NETWORKS, cluster_networks, ""),
	V("INBOUND_DEFAULT_POLICY", K_POLICY, default_policy, "all-unauthenticated"),
	V("INBOUND_PORTS", K_PORTLIST, inbound_ports, ""),
	V("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", K_PORTS, opaque_ports, ""),
	V("INBOUND_PORTS_REQUIRE_IDENTITY", K_BOTH_UNUSED, workload, NULL),
	V("INBOUND_PORTS_REQUIRE_TLS", K_BOTH_UNUSED, workload, NULL),
	V("INBOUND_IPS", K_IPS, inbound_ips, ""),
	V("INBOUND_GATEWAY_SUFFIXES", K_TEXT, gateway_suffixes, ""),
	V("TAP_SVC_NAME", K_TEXT, tap_identity, ""),
	V("DNS_MIN_TTL", K_DURATION, dns_min_ttl, "0"),
	V("DNS_MAX_TTL", K_DURATION, dns_max_ttl, "0"),
	V("TRACE_COLLECTOR_SVC", K_CONTROL, trace, NULL),
	V("OUTBOUND_METRICS_HOSTNAME_LABELS", K_BOOL, hostname_labels, "false"),
	V("INBOUND_METRICS_AUTHORITY_LABELS", K_TEXT, authority_option, ""),
	V("LOG", K_TEXT, log_filter, "warn,linkerd=info"),
	V("LOG_FORMAT", K_TEXT, log_format, "plain"),
	V("ACCESS_LOG", K_TEXT, access_log, ""),
	V("CORES", K_UINT, cores, "1"),
};

/* ---- one value ---- */

static int set_bool(bool *out, const char *text, struct err *e)
{
	*out = strcmp(text, "true") == 0;
	if (*out || strcmp(text, "false") == 0)
		return 0;
	return err_set(e, ERR_SYNTAX, "\"%s\" is neither true nor false", text);
}

static int set_uint(uint32_t *out, const char *text, struct err *e)
{
	uint64_t n;

	if (!slice_u64(slice_trim(slice_of(text)), UINT32_MAX, &n))
		return err_set(e, ERR_SYNTAX, "\"%s\" is not a whole number", text);
	*out = (uint32_t)n;
	return 0;
}

static int set_ratio(double *out, const char *text, struct err *e)
{
	char *end;

	*out = strtod(text, &end);
	if (end == text || *end || *out < 0 || *out > 100)
		return err_set(
			e, ERR_SYNTAX, "\"%s\" is not a ratio such as 0.1", text);
	return 0;
}

static int set_addr(struct addr *out, struct slice text, struct err *e)
{
	if (addr_parse(slice_trim(text), out))
		return 0;
	return err_set(e, ERR_SYNTAX, "\"%.*s\" is not an address such as 0.0.0.0:4143",
		SLICE_FMT(text));
}

static int set_addrs(struct proxy_config *c, const char *text, struct err *e)
{
	struct slice rest = slice_of(text), part;

	if (!*text)
		return 0;
	c->noutbound_listen = 0;
	while (slice_cut(&rest, ',', &part)) {
		if (c->noutbound_listen == countof(c->outbound_listen))
			return err_set(e, ERR_LIMIT, "more than two addresses");
		if (set_addr(&c->outbound_listen[c->noutbound_listen++], part, e) < 0)
			return -1;
	}
	return 0;
}

static size_t count_parts(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == ',';
	return n;
}

/* Each list has its count in the member after the pointer. */
static int set_networks(struct cidr **out, const char *text, struct err *e)
{
	struct slice rest = slice_of(text), part;
	struct cidr *v = calloc(count_parts(text), sizeof *v);
	size_t n = 0;

	*out = v;
	if (!v)
		return err_set(e, ERR_LIMIT, "no memory");
	while (*text && slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (part.n && !cidr_parse(part, &v[n++]))
			return err_set(e, ERR_SYNTAX,
				"\"%.*s\" is not a network such as 10.0.0.0/8",
				SLICE_FMT(part));
	}
	*(size_t *)(out + 1) = n;
	return 0;
}

static int set_ips(struct ip **out, const char *text, struct err *e)
{
	struct slice rest = slice_of(text), part;
	struct ip *v = calloc(count_parts(text), sizeof *v);
	size_t n = 0;

	*out = v;
	if (!v)
		return err_set(e, ERR_LIMIT, "no memory");
	while (*text && slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (part.n && !ip_parse(part, &v[n++]))
			return err_set(e, ERR_SYNTAX, "\"%.*s\" is not an IP address",
				SLICE_FMT(part));
	}
	*(size_t *)(out + 1) = n;
	return 0;
}

static int set_portlist(uint16_t **out, const char *text, struct err *e)
{
	struct portset set = {{0}};
	size_t n = 0;

	if (!portset_parse(slice_of(text), &set))
		return err_set(e, ERR_SYNTAX, "\"%s\" is not a list of ports", text);
	for (unsigned p = 0; p < 65536; p++)
		n += portset_has(&set, (uint16_t)p);
	*out = calloc(n + 1, sizeof **out);
	if (!*out)
		return err_set(e, ERR_LIMIT, "no memory");
	n = 0;
	for (unsigned p = 0; p < 65536; p++)
		if (portset_has(&set, (uint16_t)p))
			(*out)[n++] = (uint16_t)p;
	*(size_t *)(out + 1) = n;
	return 0;
}

static int set_policy(const char **out, const char *text, struct err *e)
{
	static const char *const names[] = {"deny", "audit", "all-authenticated",
		"all-unauthenticated", "cluster-authenticated",
		"cluster-unauthenticated"};

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*out = names[i];
			return 0;
		}
	return err_set(e, ERR_SYNTAX,
		"\"%s\" is none of deny, audit, all-authenticated, "
		"all-unauthenticated, "
		"cluster-authenticated, cluster-unauthenticated",
		text);
}

static bool is_local(const struct control_addr *c)
{
	struct slice host = slice_of(c->host);
	struct ip ip;

	if (slice_starts(host, SLICE("localhost")))
		return true;
	return ip_parse(host, &ip) && ip_is_loopback(&ip);
}

/* host:port, where the host is a name. */
static int set_control(
	struct control_addr *c, const char *addr, const char *name, struct err *e)
{
	const char *colon = strrchr(addr, ':');
	uint64_t port;

	if (!colon || !slice_u64(slice_of(colon + 1), 65535, &port) || port == 0 ||
		(size_t)(colon - addr) >= sizeof c->host || colon == addr)
		return err_set(e, ERR_SYNTAX, "\"%s\" is not host:port", addr);
	memcpy(c->host, addr, (size_t)(colon - addr));
	c->port = (uint16_t)port;
	c->set = true;
	snprintf(c->name, sizeof c->name, "%s", name ? name : "");
	if (!c->name[0] && !is_local(c))
		return err_set(e, ERR_SYNTAX,
			"the identity is needed (…_NAME) unless the address is local");
	return 0;
}

/* ---- all ---- */

struct reading {
	struct proxy_config *c;
	int mistakes;
};

static void complain(
	struct reading *r, const char *name, const char *suffix, const char *what)
{
	r->mistakes++;
	fprintf(stderr, "%s%s%s: %s\n", P, name, suffix, what);
}

static const char *get(const char *name, const char *suffix)
{
	char full[128];
	const char *text;

	snprintf(full, sizeof full, P "%s%s", name, suffix);
	text = getenv(full);
	return text && *text ? text : NULL;
}

static void read_control(struct reading *r, const struct var *v, void *field)
{
	const char *addr = get(v->name, "_ADDR"), *name = get(v->name, "_NAME");
	struct err e;

	if (!addr) {
		if (v->kind == K_NEEDED_CONTROL)
			complain(r, v->name, "_ADDR", "must be set");
		return;
	}
	if (set_control(field, addr, name, &e) < 0)
		complain(r, v->name, name ? "_ADDR" : "_NAME", e.msg);
}

static int set(struct proxy_config *c, const struct var *v, void *field,
	const char *text, struct err *e)
{
	switch (v->kind) {
	case K_TEXT:
	case K_NEEDED_TEXT:
		*(const char **)field = text;
		return 0;
	case K_BOOL:
		return set_bool(field, text, e);
	case K_UINT:
		return set_uint(field, text, e);
	case K_DURATION:
		if (duration_parse(slice_of(text), field))
			return 0;
		return err_set(e, ERR_SYNTAX,
			"\"%s\" is not a duration such as 500ms, 10s, 2m", text);
	case K_RATIO:
		return set_ratio(field, text, e);
	case K_ADDR:
		return set_addr(field, slice_of(text), e);
	case K_ADDRS:
		return set_addrs(c, text, e);
	case K_NETWORKS:
		free(*(void **)field);
		return set_networks(field, text, e);
	case K_IPS:
		free(*(void **)field);
		return set_ips(field, text, e);
	case K_PORTS:
		if (portset_parse(slice_of(text), field))
			return 0;
		return err_set(e, ERR_SYNTAX, "\"%s\" is not a list of ports", text);
	case K_PORTLIST:
		free(*(void **)field);
		return set_portlist(field, text, e);
	case K_POLICY:
		return set_policy(field, text, e);
	case K_CONTROL:
	case K_NEEDED_CONTROL:
	case K_BOTH_UNUSED:
		break;
	}
	return 0;
}

static void read_var(struct reading *r, const struct var *v)
{
	void *field = (char *)r->c + v->offset;
	const char *text;
	struct err e;

	if (v->kind == K_CONTROL || v->kind == K_NEEDED_CONTROL) {
		read_control(r, v, field);
		return;
	}
	if (v->preset)
		(void)set(r->c, v, field, v->preset, &e);
	text = get(v->name, "");
	if (!text && v->kind == K_NEEDED_TEXT)
		complain(r, v->name, "", "must be set");
	if (text && set(r->c, v, field, text, &e) < 0)
		complain(r, v->name, "", e.msg);
}

static void check_log_format(struct reading *r)
{
	r->c->log_json = strcmp(r->c->log_format, "json") == 0;
	if (!r->c->log_json && strcmp(r->c->log_format, "plain") != 0)
		complain(r, "LOG_FORMAT", "", "neither plain nor json");
}

static void check_identity(struct reading *r)
{
	struct proxy_config *c = r->c;

	if (*c->server_id && !*c->local_name)
		c->local_name = c->server_id;
	if (!*c->local_name)
		complain(r, "IDENTITY_LOCAL_NAME", "", "must be set");
	if (!*c->server_name)
		c->server_name = c->local_name;
	if (c->token_file && access(c->token_file, R_OK) < 0)
		complain(r, "IDENTITY_TOKEN_FILE", "", "the file cannot be read");
	if (!*c->trust_anchors && !*c->trust_anchors_file)
		complain(r, "IDENTITY_TRUST_ANCHORS", "",
			"must be set, or IDENTITY_TRUST_ANCHORS_FILE");
	if (getenv(P "IDENTITY_DISABLED") && *getenv(P "IDENTITY_DISABLED"))
		complain(r, "IDENTITY_DISABLED", "", "identity cannot be disabled");
}

static void check_order(struct reading *r)
{
	const struct proxy_config *c = r->c;

	if (c->stream_initial && c->stream_idle && c->stream_initial > c->stream_idle)
		complain(r, "CONTROL_STREAM_INITIAL_TIMEOUT", "",
			"longer than CONTROL_STREAM_IDLE_TIMEOUT");
	if (c->stream_idle && c->stream_lifetime && c->stream_idle > c->stream_lifetime)
		complain(r, "CONTROL_STREAM_IDLE_TIMEOUT", "",
			"longer than CONTROL_STREAM_LIFETIME");
	if (*c->access_log && strcmp(c->access_log, "apache") != 0 &&
		strcmp(c->access_log, "json") != 0)
		complain(r, "ACCESS_LOG", "", "neither apache nor json");
	r->c->authority_labels = strcmp(c->authority_option, "unsafe") == 0;
	if (*c->authority_option && !c->authority_labels)
		complain(r, "INBOUND_METRICS_AUTHORITY_LABELS", "",
			"neither empty nor unsafe");
	if (!c->cores)
		complain(r, "CORES", "", "at least 1");
}

int proxy_config_read(struct proxy_config *c)
{
	struct reading r = {c, 0};

	*c = (struct proxy_config){0};
	for (size_t i = 0; i < countof(vars); i++)
		read_var(&r, &vars[i]);
	check_log_format(&r);
	check_identity(&r);
	check_order(&r);
	if (c->ingress)
		c->no_informational = true;
	return r.mistakes;
}

void proxy_config_free(struct proxy_config *c)
{
	free(c->profile_networks);
	free(c->cluster_networks);
	free(c->inbound_ports);
	free(c->inbound_ips);
}
