/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/endpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tcp.h"
#include "net/tlsconn.h"
#include "proxy/session.h"

static void retry_due(struct timer *t)
{
	struct endpoint *ep = container_of(t, struct endpoint, retry);

	ep->at = ENDPOINT_READY;
	balancer_ready_changed(ep->balancer, ep);
}

static void tls_labels(struct buf *b, const struct endpoint *ep, enum side side)
{
	if (ep->info->identity) {
		labels_add(b, "tls", SLICE("true"));
		labels_add(b, "server_id", slice_of(ep->info->identity));
		return;
	}
	labels_add(b, "tls", SLICE("no_identity"));
	labels_add(b, "no_tls_reason",
		side == SIDE_IN ? SLICE("loopback")
				: SLICE("not_provided_by_service_discovery"));
}

static void target_labels(struct buf *b, const struct endpoint *ep)
{
	char port[8], ip[ADDR_TEXT];

	snprintf(port, sizeof port, "%u", ep->info->addr.port);
	labels_add(b, "target_addr", slice_of(ep->text));
	labels_add(b, "target_ip", slice_of(ip_text(&ep->info->addr.ip, ip)));
	labels_add(b, "target_port", slice_of(port));
}

static void endpoint_labels(struct buf *b, const struct endpoint *ep)
{
	target_labels(b, ep);
	tls_labels(b, ep, SIDE_OUT);
	for (size_t i = 0; i < ep->info->labels.n; i++)
		labels_add(b, ep->info->labels.v[i].key,
			slice_of(ep->info->labels.v[i].value));
}

/* What the destination service says of the endpoint's zone (label zone_locality). */
static const char *zone_of(const struct endpoint *ep)
{
	for (size_t i = 0; i < ep->info->labels.n; i++) {
		const struct label *l = &ep->info->labels.v[i];

		if (strcmp(l->key, "dst_zone_locality") != 0)
			continue;
		if (strcmp(l->value, "local") == 0)
			return "Local";
		return strcmp(l->value, "remote") == 0 ? "Remote" : "Unknown";
	}
	return "Unknown";
}

static struct transport_meter *dialed_meter(struct endpoint *ep, enum side side)
{
	struct transport_meter *m;
	struct buf b = BUF_INIT;

	labels_add(&b, "direction",
		side == SIDE_IN ? SLICE("inbound") : SLICE("outbound"));
	labels_add(&b, "peer", SLICE("dst"));
	if (side == SIDE_IN)
		tls_labels(&b, ep, side);
	else
		endpoint_labels(&b, ep);
	m = transport_meter_get(ep->worker, buf_slice(&b));
	if (side == SIDE_OUT)
		transport_meter_cost(m, zone_of(ep));
	buf_fini(&b);
	return m;
}

struct endpoint *endpoint_new(struct balancer *b, enum side side, struct pworker *w,
	const struct endpoint_info *info, struct ref *owner)
{
	struct endpoint *ep = calloc(1, sizeof *ep);

	if (!ep)
		return NULL;
	ep->balancer = b;
	ep->worker = w;
	ep->side = worker_side(w, side);
	ep->info = info;
	ep->owner = owner;
	ref_get(owner);
	addr_text(&info->addr, ep->text);
	list_init(&ep->node);
	list_init(&ep->streams);
	for (int k = 0; k < 2; k++) {
		list_init(&ep->sessions[k]);
		list_init(&ep->waiting[k]);
	}
	timer_init(&ep->retry, w->loop, retry_due);
	ep->transport = dialed_meter(ep, side);
	ep->rtt_at = loop_now(w->loop);
	return ep;
}

void endpoint_reap(struct endpoint *ep)
{
	if (ep->at != ENDPOINT_REMOVED || ep->users > 0 ||
		ep->dialing[0] + ep->dialing[1])
		return;
	if (!list_is_empty(&ep->sessions[0]) || !list_is_empty(&ep->sessions[1]))
		return;
	timer_clear(&ep->retry);
	transport_meter_put(ep->transport);
	meter_put(ep->meter);
	free(ep->authority);
	ref_put(ep->owner);
	free(ep);
}

/* Those that wait for a connection; `why` is NULL when nothing has failed. */
static void hand_back(struct endpoint *ep, const struct err *why)
{
	struct px *p;

	for (int k = 0; k < 2; k++)
		while ((p = list_first(&ep->waiting[k], struct px, node))) {
			list_remove(&p->node);
			if (why)
				balancer_retry(ep->balancer, p, why);
			else
				balancer_again(ep->balancer, p);
		}
}

void endpoint_remove(struct endpoint *ep)
{
	list_remove(&ep->node);
	ep->at = ENDPOINT_REMOVED;
	timer_clear(&ep->retry);
	ep->users++; /* not freed while we are here */
	hand_back(ep, NULL);
	endpoint_drain(ep);
	ep->users--;
	endpoint_reap(ep);
}

void endpoint_drain(struct endpoint *ep)
{
	struct session *s;

	for (int k = 0; k < 2; k++)
		list_each(s, &ep->sessions[k], node) session_drain(s);
}

/* ---- cost ---- */

static double decayed(const struct endpoint *ep, uint64_t now, uint64_t decay)
{
	uint64_t elapsed = now > ep->rtt_at ? now - ep->rtt_at : 0;

	return ep->rtt * exp(-(double)elapsed / (double)decay);
}

double endpoint_cost(struct endpoint *ep, uint64_t now, uint64_t decay)
{
	return decayed(ep, now, decay) * (ep->load + 1.0);
}

void endpoint_observe(struct endpoint *ep, uint64_t rtt, uint64_t now, uint64_t decay)
{
	double sample = (double)rtt, old = ep->rtt;

	if (sample > decayed(ep, now, decay)) {
		ep->rtt = sample;
	} else {
		double w = exp(-(double)(now - ep->rtt_at) / (double)decay);

		ep->rtt = old * w + sample * (1 - w);
	}
	ep->rtt_at = now;
}

/* ---- dialling ---- */

static struct conn *dial_tls(struct endpoint *ep, struct conn *tcp, struct err *e)
{
	struct ref *creds = snap_get(ep->worker->creds);
	struct tls_config cfg = {.creds = (struct creds *)creds,
		.sni = ep->info->server_name,
		.expect = ep->info->identity};
	struct conn *c;

	if (!creds) {
		conn_end(tcp);
		err_set(e, ERR_BUSY, "%s wants TLS and we have no certificate yet",
			ep->text);
		return NULL;
	}
	c = tlsconn_client(tcp, &cfg, ep->side->detect_timeout, e);
	ref_put(creds);
	return c;
}

struct conn *endpoint_dial(struct endpoint *ep, struct err *e)
{
	struct tcp_opts o = {.connect_timeout = ep->side->connect_timeout,
		.keepalive = ep->side->connect_keepalive,
		.user_timeout = ep->side->connect_user_timeout,
		.leaving = &ep->worker->leaving};
	struct conn *c = tcp_dial(ep->worker->loop, &ep->info->addr, &o, e);

	if (!c || !ep->info->identity)
		return c;
	return dial_tls(ep, c, e);
}

static uint64_t backoff(const struct endpoint *ep)
{
	const struct side_config *s = ep->side;
	unsigned doublings = ep->failures > 16 ? 16 : ep->failures - 1;
	uint64_t ns = s->backoff_min << doublings;

	if (ns > s->backoff_max)
		ns = s->backoff_max;
	return ns + (uint64_t)((double)ns * s->backoff_jitter * random_unit());
}

static void shut(struct endpoint *ep, const struct err *e)
{
	ep->failures++;
	ep->last = *e;
	if (ep->at != ENDPOINT_READY)
		return;
	ep->at = ENDPOINT_BACKOFF;
	timer_set(&ep->retry, backoff(ep));
	balancer_ready_changed(ep->balancer, ep);
}

void endpoint_dial_failed(struct endpoint *ep, const struct err *e)
{
	log_warn("proxy", "connect failed", LS("addr", ep->text), LE(e));
	shut(ep, e);
	ep->users++;
	hand_back(ep, e);
	ep->users--;
}

void endpoint_dial_worked(struct endpoint *ep)
{
	if (!ep->refusals)
		ep->failures = 0;
}

void endpoint_refused(struct endpoint *ep, const struct err *e)
{
	log_warn("proxy", "request refused", LS("addr", ep->text), LE(e));
	if (++ep->refusals > 1)
		shut(ep, e);
}

void endpoint_answered(struct endpoint *ep)
{
	ep->refusals = 0;
	ep->failures = 0;
}

/* ---- exchanges ---- */

static enum http_kind kind_for(const struct endpoint *ep, const struct px *p)
{
	if (p->x->req.upgrade.n || slice_is(p->x->req.method, "CONNECT"))
		return p->x->req.version == HTTP_2 ? HTTP_KIND_2 : HTTP_KIND_1;
	if (ep->info->hint == HINT_H2 || p->x->req.version == HTTP_2)
		return HTTP_KIND_2;
	return HTTP_KIND_1;
}

static struct meter *endpoint_meter(struct endpoint *ep, struct slice authority)
{
	struct buf b = BUF_INIT;

	if (ep->authority && slice_is(authority, ep->authority))
		return meter_ref(ep->meter);
	meter_put(ep->meter);
	free(ep->authority);
	labels_add(&b, "direction", SLICE("outbound"));
	labels_add(&b, "authority", authority);
	endpoint_labels(&b, ep);
	ep->meter = meter_get(ep->worker, buf_slice(&b));
	ep->authority = slice_dup(authority);
	buf_fini(&b);
	return meter_ref(ep->meter);
}

void endpoint_begin(struct endpoint *ep, struct px *p)
{
	enum http_kind kind = kind_for(ep, p);
	struct session *s = NULL;

	if (!p->fresh || kind == HTTP_KIND_2)
		s = session_with_room(ep, kind);
	p->endpoint = ep;
	ep->users++;
	ep->load++;
	p->sampled = false;
	p->sent = loop_now(ep->worker->loop);
	if (p->side == SIDE_OUT) {
		meter_put(p->meter);
		p->meter = endpoint_meter(ep, p->x->req.authority);
	}
	if (s) {
		session_begin(s, p);
		return;
	}
	list_push(&ep->waiting[kind], &p->node);
	session_dial(ep, kind);
}

void endpoint_forget(struct px *p)
{
	list_remove(&p->node);
}

void endpoint_unuse(struct endpoint *ep)
{
	ep->users--;
	endpoint_reap(ep);
}

void endpoint_sweep(struct endpoint *ep, uint64_t now)
{
	struct session *s;

	list_each(s, &ep->sessions[HTTP_KIND_1], node) session_sweep(s, now);
}
