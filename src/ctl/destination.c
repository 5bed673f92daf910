/* SPDX-License-Identifier: Apache-2.0 */
/* The two services, and how what they are asked becomes a topic. */
#include "ctl/destination.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/destint.h"

#define REQUEST_MAX ((size_t)64 * 1024) /* bytes a decoded request may take */

struct destination {
	const struct destination_config *cfg;
	struct kube *kube;
	struct index_user user;
	struct index *index;
	struct topics *topics;
	struct grpc_server *destination, *policy;
	struct timer tidy;
	struct heap_watch heap;
	unsigned draining; /* servers that still do */
	void (*drained)(void *arg);
	void *drained_arg;
};

static struct destination *of(const struct grpc_request *r)
{
	return grpc_server_arg(r);
}

static void bad_request(struct grpc_request *r, const struct err *e)
{
	grpc_end(r, GRPC_INVALID_ARGUMENT, e->msg);
}

/* ---- Destination ---- */

static int read_target(struct grpc_request *r, struct slice message,
	struct authority *at, struct asker *who, struct arena *a, struct err *e)
{
	Destination__GetDestination *m = API_READ(Destination__GetDestination,
		destination__get_destination, message, a, e);
	struct err bad;

	if (!m)
		return -1;
	if (asker_parse(slice_of(m->context_token), who, &bad) < 0)
		log_warn("ctl", "a context token is ignored", LE(&bad));
	return authority_parse(slice_of(m->path), of(r)->cfg->cluster_domain, at, e);
}

/* The same for all who ask for the same; `whose` is a node or a namespace. */
static const char *target_key(
	const struct authority *at, const char *whose, char out[800])
{
	char ip[ADDR_TEXT];

	snprintf(out, 800, "%s %s %s %s %u %s",
		at->ip.family ? ip_text(&at->ip, ip) : "", at->hostname, at->service,
		at->ns, at->port, whose);
	return out;
}

static void get(struct grpc_request *r, struct slice message)
{
	struct arena a = {.limit = REQUEST_MAX};
	struct endpoints_ask ask = {0};
	struct asker who;
	struct err e = {0};
	char key[800];

	if (read_target(r, message, &ask.at, &who, &a, &e) < 0) {
		bad_request(r, &e);
	} else if (ask.at.ip.family) {
		grpc_end(r, GRPC_INVALID_ARGUMENT,
			"an IP address: Get takes the name of a Service");
	} else {
		memcpy(ask.node, who.node, sizeof ask.node);
		topics_join(of(r)->topics, &endpoints_kind,
			target_key(&ask.at, ask.node, key), &ask, r, false);
	}
	arena_fini(&a);
}

static void get_profile(struct grpc_request *r, struct slice message)
{
	struct arena a = {.limit = REQUEST_MAX};
	struct target_ask ask = {0};
	struct asker who;
	struct err e = {0};
	char key[800];

	if (read_target(r, message, &ask.at, &who, &a, &e) < 0) {
		bad_request(r, &e);
	} else {
		memcpy(ask.client_ns, who.ns, sizeof ask.client_ns);
		topics_join(of(r)->topics, &profile_kind,
			target_key(&ask.at, ask.client_ns, key), &ask, r, false);
	}
	arena_fini(&a);
}

/* ---- policies ---- */

static int read_port(
	struct slice message, struct inbound_ask *ask, struct arena *a, struct err *e)
{
	Inbound__PortSpec *m =
		API_READ(Inbound__PortSpec, inbound__port_spec, message, a, e);

	if (!m || workload_parse(slice_of(m->workload), &ask->workload, e) < 0)
		return -1;
	if (m->port == 0 || m->port > 65535)
		return err_set(e, ERR_SYNTAX, "invalid port %" PRIu32, m->port);
	ask->port = (uint16_t)m->port;
	return 0;
}

static void inbound(struct grpc_request *r, struct slice message, bool once)
{
	struct arena a = {.limit = REQUEST_MAX};
	struct inbound_ask ask = {0};
	struct err e = {0};
	char key[512];

	if (read_port(message, &ask, &a, &e) < 0) {
		bad_request(r, &e);
	} else {
		snprintf(key, sizeof key, "%s %s %u", ask.workload.ns, ask.workload.pod,
			ask.port);
		topics_join(of(r)->topics, &inbound_kind, key, &ask, r, once);
	}
	arena_fini(&a);
}

static void get_port(struct grpc_request *r, struct slice message)
{
	inbound(r, message, true);
}

static void watch_port(struct grpc_request *r, struct slice message)
{
	inbound(r, message, false);
}

static int read_spec(struct grpc_request *r, struct slice message,
	struct target_ask *ask, struct arena *a, struct err *e)
{
	Outbound__TrafficSpec *m =
		API_READ(Outbound__TrafficSpec, outbound__traffic_spec, message, a, e);
	struct asker who;
	struct addr at;

	if (!m || workload_parse(slice_of(m->source_workload), &who, e) < 0)
		return -1;
	memcpy(ask->client_ns, who.ns, sizeof ask->client_ns);
	if (m->target_case == OUTBOUND__TRAFFIC_SPEC__TARGET_AUTHORITY)
		return authority_parse(slice_of(m->authority),
			of(r)->cfg->cluster_domain, &ask->at, e);
	if (m->target_case != OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR ||
		!api_to_addr(m->addr, &at) || at.port == 0)
		return err_set(e, ERR_SYNTAX, "no target");
	ask->at.ip = at.ip;
	ask->at.port = at.port;
	return 0;
}

static void outbound(struct grpc_request *r, struct slice message, bool once)
{
	struct arena a = {.limit = REQUEST_MAX};
	struct target_ask ask = {0};
	struct err e = {0};
	char key[800];

	if (read_spec(r, message, &ask, &a, &e) < 0)
		bad_request(r, &e);
	else
		topics_join(of(r)->topics, &outbound_kind,
			target_key(&ask.at, ask.client_ns, key), &ask, r, once);
	arena_fini(&a);
}

static void outbound_get(struct grpc_request *r, struct slice message)
{
	outbound(r, message, true);
}

static void outbound_watch(struct grpc_request *r, struct slice message)
{
	outbound(r, message, false);
}

static const struct grpc_method destination_methods[] = {
	{API_GET, get, NULL},
	{API_GET_PROFILE, get_profile, NULL},
};

static const struct grpc_method policy_methods[] = {
	{API_INBOUND_GET, get_port, NULL},
	{API_INBOUND, watch_port, NULL},
	{API_OUTBOUND_GET, outbound_get, NULL},
	{API_OUTBOUND, outbound_watch, NULL},
};

/* ---- the process's part ---- */

/* What lists of a large cluster, or a crowd of clients that left, have taken. */
static void on_tidy(struct timer *t)
{
	struct destination *d = container_of(t, struct destination, tidy);

	heap_give_back(&d->heap);
	timer_set(t, NS_PER_S / 4);
}

static void on_synced(void *arg)
{
	struct destination *d = arg;

	log_info("ctl", "the cluster is known",
		LI("pods", index_count(d->index, VIEW_POD)),
		LI("services", index_count(d->index, VIEW_SERVICE)),
		LI("slices", index_count(d->index, VIEW_SLICE)));
	topics_synced(d->topics);
}

bool destination_is_ready(void *destination)
{
	struct destination *d = destination;

	return index_is_synced(d->index);
}

void destination_metrics(void *destination, struct buf *out)
{
	static const struct topic_kind *const kinds[] = {
		&endpoints_kind, &profile_kind, &inbound_kind, &outbound_kind};
	struct destination *d = destination;

	topics_metrics(d->topics, kinds, countof(kinds), out);
	for (unsigned k = 0; k < VIEW_KINDS; k++) {
		const char *name = view_kind_name(k);

		buf_printf(out, "# TYPE %s_cache_size gauge\n", name);
		buf_printf(out, "%s_cache_size{cluster=\"local\"} %zu\n", name,
			index_count(d->index, k));
	}
	if (d->kube)
		kube_metrics(d->kube, out);
}

struct destination *destination_new(struct loop *l, struct kube *k,
	const struct destination_config *cfg, struct err *e)
{
	struct destination *d = calloc(1, sizeof *d);

	must(d);
	d->cfg = cfg;
	d->kube = k;
	d->user = (struct index_user){on_synced, d};
	d->index = index_new(l, &d->user);
	timer_init(&d->tidy, l, on_tidy);
	timer_set(&d->tidy, NS_PER_S);
	d->topics = topics_new(d->index, cfg, (unsigned)cfg->queue);
	d->destination = grpc_server_new(l, &cfg->at, NULL, destination_methods,
		countof(destination_methods), d, e);
	if (d->destination)
		d->policy = grpc_server_new(l, &cfg->policy_at, NULL, policy_methods,
			countof(policy_methods), d, e);
	if (d->policy && index_watch(d->index, k, e) == 0)
		return d;
	destination_free(d);
	return NULL;
}

struct index *destination_index(struct destination *d)
{
	return d->index;
}

const struct addr *destination_addr(const struct destination *d)
{
	return grpc_server_addr(d->destination);
}

const struct addr *destination_policy_addr(const struct destination *d)
{
	return grpc_server_addr(d->policy);
}

static void on_drained(void *arg)
{
	struct destination *d = arg;

	if (--d->draining == 0)
		d->drained(d->drained_arg);
}

void destination_drain(struct destination *d, void (*done)(void *arg), void *arg)
{
	d->draining = 2;
	d->drained = done;
	d->drained_arg = arg;
	topics_end(d->topics, GRPC_UNAVAILABLE, "the server goes away");
	grpc_server_drain(d->destination, on_drained, d);
	grpc_server_drain(d->policy, on_drained, d);
}

void destination_free(struct destination *d)
{
	if (!d)
		return;
	if (d->destination)
		grpc_server_free(d->destination);
	if (d->policy)
		grpc_server_free(d->policy);
	timer_clear(&d->tidy);
	topics_free(d->topics);
	index_free(d->index);
	free(d);
}

int cidr_list_parse(const char *text, struct cidr_list *out, struct err *e)
{
	struct slice rest = slice_of(text), part;
	struct cidr_list list = {0};

	list.v = calloc(strlen(text) / 2 + 1, sizeof *list.v);
	must(list.v);
	while (slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (!part.n)
			continue;
		if (cidr_parse(part, &list.v[list.n++]))
			continue;
		free(list.v);
		return err_set(
			e, ERR_SYNTAX, "\"%.*s\" is not a network", SLICE_FMT(part));
	}
	free(out->v);
	*out = list;
	return 0;
}
