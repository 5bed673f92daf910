/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/seen.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/routemeter.h"

enum result {
	RESULT_HTTP1,
	RESULT_HTTP2,
	RESULT_NOT_HTTP,
	RESULT_TIMEOUT,
	RESULT_ERROR
};
static const char *const result_names[] = {
	"http/1", "http/2", "not_http", "read_timeout", "error"};

enum close_reason {
	CLOSE_IN_ORDER,
	CLOSE_FORBIDDEN,
	CLOSE_INVALID_BACKEND,
	CLOSE_INVALID_POLICY,
	CLOSE_UNEXPECTED
};
static const char *const close_names[] = {
	"", "forbidden", "invalid_backend", "invalid_policy", "unexpected"};

struct seen {
	struct pworker *worker;
	enum side side;
	const char *key; /* its owner's */
	struct report_row *row;
	enum proto proto;
	enum decided by;
	char *labels, *route_labels; /* PARENT or SRV; PARENT ROUTE */
	/* found when first needed, and let go when the labels change */
	struct series *duration, *results[countof(result_names)];
	struct series *protocol, *open, *closed[countof(close_names)];
};

/* ---- life ---- */

static const char *direction(const struct seen *s)
{
	return s->side == SIDE_IN ? "inbound" : "outbound";
}

static void count_stack(const struct seen *s, enum family f)
{
	struct buf b = BUF_INIT;

	labels_add(&b, "direction", slice_of(direction(s)));
	labels_add(&b, "protocol", SLICE("tcp"));
	labels_add(&b, "name", s->side == SIDE_IN ? SLICE("port") : SLICE("target"));
	metrics_count(s->worker->metrics, f, buf_slice(&b), s->worker->index);
	buf_fini(&b);
}

struct seen *seen_new(struct pworker *w, enum side side, const char *key)
{
	struct seen *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->worker = w;
	s->side = side;
	s->key = key;
	s->row = w->report ? report_row_get(w->report, side, key) : NULL;
	count_stack(s, M_STACK_CREATE);
	return s;
}

static void let_go(struct series **s)
{
	series_put(*s);
	*s = NULL;
}

static void series_drop(struct seen *s)
{
	let_go(&s->duration);
	let_go(&s->protocol);
	let_go(&s->open);
	for (size_t i = 0; i < countof(s->results); i++)
		let_go(&s->results[i]);
	for (size_t i = 0; i < countof(s->closed); i++)
		let_go(&s->closed[i]);
}

void seen_free(struct seen *s)
{
	if (!s)
		return;
	count_stack(s, M_STACK_DROP);
	series_drop(s);
	report_row_put(s->row);
	free(s->labels);
	free(s->route_labels);
	free(s);
}

/* ---- policy ---- */

static enum spoken spoken_of(enum proto p)
{
	switch (p) {
	case PROTO_HTTP1:
		return SPOKEN_HTTP1;
	case PROTO_HTTP2:
	case PROTO_GRPC:
		return SPOKEN_HTTP2;
	case PROTO_TLS:
		return SPOKEN_TLS;
	case PROTO_OPAQUE:
		return SPOKEN_OPAQUE;
	case PROTO_DETECT:
		break;
	}
	return SPOKEN_NOTHING;
}

static bool same(const char *a, struct slice b)
{
	return a && slice_is(b, a);
}

static void use_labels(struct seen *s, struct buf *labels, struct buf *route)
{
	if (!same(s->labels, buf_slice(labels)) ||
		!same(s->route_labels, buf_slice(route))) {
		series_drop(s);
		free(s->labels);
		free(s->route_labels);
		s->labels = slice_dup(buf_slice(labels));
		s->route_labels = slice_dup(buf_slice(route));
	}
	buf_fini(labels);
	buf_fini(route);
}

static enum decided decided_by(enum policy_source source)
{
	switch (source) {
	case SOURCE_ANNOTATION:
		return DECIDED_BY_ANNOTATION;
	case SOURCE_POLICY:
		return DECIDED_BY_POLICY;
	case SOURCE_PROFILE:
		return DECIDED_BY_PROFILE;
	case SOURCE_DEFAULT:
		break;
	}
	return DECIDED_BY_NOBODY;
}

static void use_proto(struct seen *s, enum proto proto, enum policy_source source)
{
	s->proto = proto;
	s->by = decided_by(source);
	report_policy(s->row, spoken_of(proto), s->by);
}

void seen_inbound(struct seen *s, const struct inbound_policy *p)
{
	struct buf labels = BUF_INIT, none = BUF_INIT;

	if (!s)
		return;
	labels_meta(&labels, "srv_", &p->server);
	use_labels(s, &labels, &none);
	use_proto(s, p->proto, p->source);
}

void seen_outbound(struct seen *s, const struct outbound_policy *p)
{
	struct buf labels = BUF_INIT, route = BUF_INIT;

	if (!s)
		return;
	labels_parent(&labels, &p->parent);
	labels_parent(&route, &p->parent);
	labels_route(&route, &p->stream_route);
	use_labels(s, &labels, &route);
	use_proto(s, p->proto, p->source);
}

/* ---- series ---- */

static struct series *find(struct seen *s, struct series **at, enum family f,
	const char *labels, const char *key, const char *value)
{
	struct buf b = BUF_INIT;

	if (*at || !labels)
		return *at;
	buf_text(&b, labels);
	if (key)
		labels_add(&b, key, slice_of(value));
	*at = metrics_series(s->worker->metrics, f, buf_slice(&b));
	buf_fini(&b);
	return *at;
}

static const char *policy_name(enum proto p)
{
	switch (p) {
	case PROTO_HTTP1:
		return "http/1";
	case PROTO_HTTP2:
	case PROTO_GRPC:
		return "http/2";
	case PROTO_TLS:
		return "tls";
	case PROTO_OPAQUE:
		return "opaq";
	case PROTO_DETECT:
		break;
	}
	return "detect";
}

/* `protocol` says which protocol comes first in the set of labels. */
static struct series *protocol_series(struct seen *s)
{
	struct buf b = BUF_INIT;

	if (s->protocol || !s->labels)
		return s->protocol;
	labels_add(&b, "protocol", slice_of(policy_name(s->proto)));
	buf_char(&b, ',');
	buf_text(&b, s->labels);
	s->protocol = metrics_series(s->worker->metrics, M_OUT_PROTOCOL, buf_slice(&b));
	buf_fini(&b);
	return s->protocol;
}

void seen_connection(struct seen *s)
{
	if (!s)
		return;
	if (s->side == SIDE_OUT)
		series_add(protocol_series(s), s->worker->index, 1);
	if (s->proto != PROTO_DETECT && s->proto != PROTO_HTTP1)
		report_spoken(s->row, spoken_of(s->proto), s->by);
}

static void count_result(struct seen *s, enum result r, uint64_t since)
{
	bool in = s->side == SIDE_IN;
	unsigned w = s->worker->index;
	uint64_t now = loop_now(s->worker->loop);

	series_observe(
		find(s, &s->duration, in ? M_IN_DETECT_DURATION : M_OUT_DETECT_DURATION,
			s->labels, NULL, NULL),
		w, (now - since) / NS_PER_US);
	series_add(
		find(s, &s->results[r], in ? M_IN_DETECT_RESULTS : M_OUT_DETECT_RESULTS,
			s->labels, "result", result_names[r]),
		w, 1);
}

/* ---- disagreement ---- */

static void disagree(struct seen *s, const char *reason, const char *text)
{
	struct buf b = BUF_INIT;

	labels_add(&b, "direction", slice_of(direction(s)));
	labels_add(&b, "reason", slice_of(reason));
	metrics_count(
		s->worker->metrics, M_DISAGREEMENTS, buf_slice(&b), s->worker->index);
	buf_fini(&b);
	if (report_may_warn(s->row))
		log_warn("proxy", text, LS("direction", direction(s)),
			LS(s->side == SIDE_IN ? "port" : "target", s->key),
			LS("policy", policy_name(s->proto)));
}

static bool http_was_seen(const struct seen *s)
{
	return report_count(s->row, SPOKEN_HTTP1) || report_count(s->row, SPOKEN_HTTP2);
}

/* Bytes that are not HTTP came where somebody has said, or shown, that it is. */
static void check_opaque(struct seen *s)
{
	if (s->proto == PROTO_HTTP1)
		disagree(s, "policy",
			"the policy says HTTP/1 and the client does not speak it: "
			"carried as opaque bytes");
	else if (http_was_seen(s))
		disagree(s, "downgrade",
			"HTTP was spoken here before and now it is not: carried as "
			"opaque bytes");
}

void seen_peer(struct seen *s, enum hint hint, bool is_http)
{
	if (!s)
		return;
	report_peer(s->row, hint);
	if (is_http && hint == HINT_OPAQUE)
		disagree(s, "hint",
			"the client speaks HTTP and the peer's proxy takes it as "
			"opaque bytes");
}

/* ---- verdicts ---- */

static void not_http(struct seen *s, bool is_tls)
{
	report_spoken(
		s->row, is_tls ? SPOKEN_TLS : SPOKEN_OPAQUE, DECIDED_BY_DETECTION);
	if (!is_tls)
		check_opaque(s);
}

void seen_verdict(struct seen *s, enum detect d, bool late, uint64_t since)
{
	if (!s)
		return;
	if (late) {
		count_result(s, RESULT_TIMEOUT, since);
		report_spoken(s->row, SPOKEN_TOO_SLOW, DECIDED_BY_TIMEOUT);
		disagree(s, "timeout",
			"protocol detection timed out: carried as opaque bytes");
	} else if (d == DETECT_HTTP1 || d == DETECT_HTTP2) {
		bool h2 = d == DETECT_HTTP2;

		count_result(s, h2 ? RESULT_HTTP2 : RESULT_HTTP1, since);
		report_spoken(
			s->row, h2 ? SPOKEN_HTTP2 : SPOKEN_HTTP1, DECIDED_BY_DETECTION);
	} else {
		count_result(s, RESULT_NOT_HTTP, since);
		not_http(s, d == DETECT_TLS);
	}
}

void seen_server_first(struct seen *s, uint64_t since)
{
	if (!s)
		return;
	count_result(s, RESULT_NOT_HTTP, since);
	report_spoken(s->row, SPOKEN_SERVER_FIRST, DECIDED_BY_DETECTION);
}

void seen_client_left(struct seen *s, uint64_t since)
{
	if (s)
		count_result(s, RESULT_ERROR, since);
}

/* ---- byte streams ---- */

static enum close_reason close_reason(const struct err *why)
{
	if (!why || why->code == ERR_NONE)
		return CLOSE_IN_ORDER;
	if (why->code == ERR_DENIED)
		return CLOSE_FORBIDDEN;
	if (why->code == ERR_MISSING)
		return CLOSE_INVALID_BACKEND;
	return why->code == ERR_SYNTAX ? CLOSE_INVALID_POLICY : CLOSE_UNEXPECTED;
}

/* Once a connection: routes of TLS are told apart by the server's name. */
static void count_tls(
	struct seen *s, enum family f, const struct meta *route, const char *error)
{
	struct buf b = BUF_INIT;

	buf_text(&b, s->labels ? s->labels : "");
	labels_route(&b, route);
	if (error)
		labels_add(&b, "error", slice_of(error));
	metrics_count(s->worker->metrics, f, buf_slice(&b), s->worker->index);
	buf_fini(&b);
}

void seen_stream_open(struct seen *s, const struct meta *tls_route)
{
	if (!s)
		return;
	if (tls_route)
		count_tls(s, M_TLS_ROUTE_OPEN, tls_route, NULL);
	else
		series_add(find(s, &s->open, M_TCP_ROUTE_OPEN, s->route_labels, NULL,
				   NULL),
			s->worker->index, 1);
}

void seen_stream_close(
	struct seen *s, const struct meta *tls_route, const struct err *why)
{
	enum close_reason r = close_reason(why);

	if (!s)
		return;
	if (tls_route)
		count_tls(s, M_TLS_ROUTE_CLOSE, tls_route, close_names[r]);
	else
		series_add(find(s, &s->closed[r], M_TCP_ROUTE_CLOSE, s->route_labels,
				   "error", close_names[r]),
			s->worker->index, 1);
}
