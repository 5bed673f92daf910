/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/endpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/extended.h"
#include "proxy/session.h"

static void retry_due(struct timer *t)
{
	struct endpoint *ep = container_of(t, struct endpoint, retry);

	ep->at = ENDPOINT_READY;
	balancer_ready_changed(ep->balancer, ep);
}

/* In ingress mode only a name says who is there (spec proxy.md §8). */
static struct slice no_tls_reason(const struct endpoint *ep, enum side side)
{
	if (side == SIDE_IN || ep->is_local)
		return SLICE("loopback");
	if (ep->worker->cfg->ingress && !balancer_has_name(ep->balancer))
		return SLICE("ingress_without_override");
	return SLICE("not_provided_by_service_discovery");
}

static void tls_labels(struct buf *b, const struct endpoint *ep, enum side side)
{
	if (ep->use.identity) {
		labels_add(b, "tls", SLICE("true"));
		labels_add(b, "server_id", slice_of(ep->use.identity));
		return;
	}
	labels_add(b, "tls", SLICE("no_identity"));
	labels_add(b, "no_tls_reason", no_tls_reason(ep, side));
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

/* What the pod says to itself goes to its application and not through any proxy. */
static void look_at_home(struct endpoint *ep)
{
	ep->use = *ep->info;
	ep->is_local = worker_has_ip(ep->worker, &ep->info->addr.ip);
	if (!ep->is_local)
		return;
	ep->use.identity = ep->use.server_name = ep->use.authority = NULL;
	ep->use.hint = HINT_NONE;
	ep->use.tunnel_port = 0;
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
	if (side == SIDE_OUT)
		look_at_home(ep);
	else
		ep->use = *info;
	addr_text(&info->addr, ep->text);
	list_init(&ep->node);
	list_init(&ep->spares);
	for (int k = 0; k < 2; k++) {
		list_init(&ep->sessions[k]);
		list_init(&ep->waiting[k]);
	}
	timer_init(&ep->retry, w->loop, retry_due);
	timer_init(&ep->queue, w->loop, session_queue_due);
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
	timer_clear(&ep->queue);
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

	endpoint_drop_spares(ep);
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

static uint64_t backoff(const struct endpoint *ep)
{
	const struct side_config *s = ep->side;
	unsigned doublings = ep->failures > 16 ? 16 : ep->failures - 1;
	uint64_t ns = s->backoff_min << doublings;

	if (ns > s->backoff_max)
		ns = s->backoff_max;
	return ns + (uint64_t)((double)ns * s->backoff_jitter * random_unit());
}

/* Those that were under way together fail together: that is one failure. */
static void shut(struct endpoint *ep, const struct err *e)
{
	ep->last = *e;
	if (ep->at != ENDPOINT_READY)
		return;
	ep->failures++;
	ep->at = ENDPOINT_BACKOFF;
	timer_set(&ep->retry, backoff(ep));
	balancer_ready_changed(ep->balancer, ep);
}

void endpoint_name(const struct endpoint *ep, struct err *e)
{
	if (!strstr(e->msg, ep->text))
		err_wrap(e, "%s", ep->text);
}

void endpoint_dial_failed(struct endpoint *ep, const struct err *e)
{
	struct err why = *e;

	endpoint_name(ep, &why);
	log_warn("proxy", "connect failed", LS("addr", ep->text), LE(&why));
	shut(ep, &why);
	ep->users++;
	hand_back(ep, &why);
	ep->users--;
}

void endpoint_dial_worked(struct endpoint *ep)
{
	if (ep->refusals)
		return;
	ep->failures = 0;
	if (ep->at == ENDPOINT_BACKOFF) /* of several under way another has failed */
		timer_set(&ep->retry, 0);
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
	if (p->was_extended || (extended_is(p) && ep->no_extended))
		return HTTP_KIND_1;
	if (p->x->req.upgrade.n || slice_is(p->x->req.method, "CONNECT"))
		return p->x->req.version == HTTP_2 ? HTTP_KIND_2 : HTTP_KIND_1;
	if (ep->use.hint == HINT_H2 || p->x->req.version == HTTP_2)
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

/* For as long as it is with this endpoint, whose text it borrows. */
static void override_authority(struct endpoint *ep, struct px *p)
{
	struct req_head *req = &p->x->req;

	if (!p->authority.p)
		p->authority = req->authority.p ? req->authority : SLICE("");
	req->authority = slice_of(ep->use.authority);
	req->no_host = false;
	fields_remove(&req->fields, SLICE("l5d-dst-canonical"));
}

void endpoint_begin(struct endpoint *ep, struct px *p)
{
	enum http_kind kind = kind_for(ep, p);
	struct session *s = NULL;

	if (!p->fresh || kind == HTTP_KIND_2)
		s = session_with_room(
			ep, kind, !method_is_idempotent(p->x->req.method));
	p->endpoint = ep;
	ep->users++;
	ep->load++;
	p->sampled = false;
	p->sent = loop_now(ep->worker->loop);
	if (ep->use.authority)
		override_authority(ep, p);
	if (p->side == SIDE_OUT) {
		meter_put(p->meter);
		p->meter = endpoint_meter(ep, p->x->req.authority);
	}
	if (s && session_takes(s, p)) {
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
	list_each(s, &ep->sessions[HTTP_KIND_2],
		node) if (&s->node != ep->sessions[HTTP_KIND_2].next)
		session_sweep(s, now);
}
