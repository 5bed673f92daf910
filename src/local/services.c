/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service addresses: one nf_tables table, written anew in one transaction whenever
 * Services or EndpointSlices change.  Each connection goes to one ready endpoint at
 * random; a Service without any refuses.
 */
#include "base/clock.h"
#include "base/log.h"
#include "local/nodeint.h"
#include "sys/nft.h"

#define ENDPOINTS_MAX 512
#define SETTLE        (20 * NS_PER_MS)

#define SLICES "endpointslices.discovery.k8s.io"

struct services {
	struct local_node *node;
	struct store_watch watches[2];
	struct later changed;
	struct timer write;
};

/* ---- rules ---- */

struct endpoints {
	struct addr v[ENDPOINTS_MAX];
	size_t n;
};

static uint16_t slice_port(const struct json *slice, const char *name)
{
	json_each(p, json_get(slice, "ports"))
	{
		if (strcmp(json_text_or(p, "name", ""), name) == 0)
			return (uint16_t)json_int_at(p, "port", 0);
	}
	return 0;
}

static bool is_usable(const struct json *endpoint, bool ending)
{
	const struct json *c = json_get(endpoint, "conditions");

	if (ending)
		return json_bool_at(c, "serving", false);
	return json_bool_at(c, "ready", true);
}

static void add_endpoints(
	const struct json *slice, uint16_t port, bool ending, struct endpoints *out)
{
	json_each(ep, json_get(slice, "endpoints"))
	{
		const char *ip = json_text_or(ep, "addresses.0", "");
		struct addr a = {.port = port};

		if (!port || out->n == ENDPOINTS_MAX || !is_usable(ep, ending))
			continue;
		if (ip_parse(slice_of(ip), &a.ip) && a.ip.family == 4)
			out->v[out->n++] = a;
	}
}

/* The ready ones; when there is none, those that still serve while they end. */
static void find_endpoints(const struct store_list *slices, const struct object *svc,
	const char *port, struct endpoints *out)
{
	out->n = 0;
	for (int ending = 0; ending < 2 && !out->n; ending++)
		for (size_t i = 0; i < slices->n; i++) {
			const struct json *s = slices->v[i]->json;
			const char *of = meta_label(s, "kubernetes.io/service-name");

			if (of && strcmp(of, svc->name) == 0 &&
				strcmp(slices->v[i]->ns, svc->ns) == 0)
				add_endpoints(s, slice_port(s, port), ending, out);
		}
}

struct way {                   /* how packets for a Service's port look */
	const struct cidr *to; /* NULL: any address of the machine */
	bool udp;
	uint16_t port;
	char name[90];
};

static void begin(struct nft *t, const char *chain, const struct way *w)
{
	nft_rule(t, chain, w->name);
	if (w->to)
		nft_dest(t, w->to);
	else
		nft_dest_local(t);
	if (w->udp)
		nft_udp(t);
	else
		nft_tcp(t);
	nft_dport(t, w->port, w->port);
}

static void put_way(struct nft *t, const struct way *w, const struct endpoints *eps)
{
	for (size_t i = 0; i < eps->n; i++) {
		begin(t, "services", w);
		if (eps->n - i > 1)
			nft_one_in(t, (uint32_t)(eps->n - i));
		nft_dnat(t, &eps->v[i]);
	}
	if (eps->n || !w->to)
		return;
	begin(t, "empty", w);
	if (w->udp)
		nft_refuse(t);
	else
		nft_reset(t);
}

/* An endpoint that calls its own Service must see an answer come from it. */
static void put_hairpins(struct nft *t, const struct endpoints *eps)
{
	for (size_t i = 0; i < eps->n; i++) {
		struct cidr self = {eps->v[i].ip, 32};

		nft_rule(t, "leave", "to itself");
		nft_source(t, &self);
		nft_dest(t, &self);
		nft_masquerade(t);
	}
}

static void put_service(
	struct nft *t, const struct store_list *slices, const struct object *svc)
{
	struct cidr to = {.bits = 32};
	struct endpoints eps;

	if (!ip_parse(
		    slice_of(json_text_or(svc->json, "spec.clusterIP", "")), &to.ip) ||
		to.ip.family != 4)
		return;
	json_each(p, json_path(svc->json, "spec.ports"))
	{
		const char *proto = json_text_or(p, "protocol", "TCP");
		struct way w = {.to = &to, .udp = strcmp(proto, "UDP") == 0};

		if (!w.udp && strcmp(proto, "TCP") != 0)
			continue;
		snprintf(w.name, sizeof(w.name), "%.40s/%.40s", svc->ns, svc->name);
		w.port = (uint16_t)json_int_at(p, "port", 0);
		find_endpoints(slices, svc, json_text_or(p, "name", ""), &eps);
		put_way(t, &w, &eps);
		put_hairpins(t, &eps);
		w.to = NULL;
		w.port = (uint16_t)json_int_at(p, "nodePort", 0);
		if (w.port)
			put_way(t, &w, &eps);
	}
}

static void put_chains(struct nft *t, const struct cidr *pods)
{
	nft_chain(t, "services", NULL);
	nft_chain(t, "empty", NULL);
	nft_chain(t, "in", &(struct nft_hook){"nat", NFT_PREROUTING, -100});
	nft_chain(t, "out", &(struct nft_hook){"nat", NFT_OUTPUT, -100});
	nft_chain(t, "leave", &(struct nft_hook){"nat", NFT_POSTROUTING, 100});
	nft_chain(t, "refuse_in", &(struct nft_hook){"filter", NFT_PREROUTING, -110});
	nft_chain(t, "refuse_out", &(struct nft_hook){"filter", NFT_OUTPUT, -110});
	nft_rule(t, "in", "");
	nft_jump(t, "services");
	nft_rule(t, "out", "");
	nft_jump(t, "services");
	nft_rule(t, "refuse_in", "");
	nft_jump(t, "empty");
	nft_rule(t, "refuse_out", "");
	nft_jump(t, "empty");
	nft_rule(t, "leave", "from pods to the world");
	nft_source(t, pods);
	nft_dest_not(t, pods);
	nft_masquerade(t);
}

struct nft *services_rules(const struct store *s, const struct cidr *pods)
{
	struct nft *t = nft_new(NFT_IP4, LOCAL_NODE_TABLE);
	struct store_list svcs, slices;

	put_chains(t, pods);
	store_list(s, "services", NULL, &svcs);
	store_list(s, SLICES, NULL, &slices);
	for (size_t i = 0; i < svcs.n; i++)
		put_service(t, &slices, svcs.v[i]);
	store_list_end(&svcs);
	store_list_end(&slices);
	return t;
}

/* ---- following the store ---- */

static int write_rules(struct services *s, struct err *e)
{
	struct nft *t = services_rules(s->node->store, &s->node->pods_cidr);
	int rc = nft_apply(t, e);

	nft_free(t);
	return rc;
}

static void on_write(struct timer *t)
{
	struct services *s = container_of(t, struct services, write);
	struct err e = {0};

	if (write_rules(s, &e) == 0)
		return;
	log_error("node", "Service addresses are not up to date", LE(&e));
	timer_set(t, NS_PER_S);
}

static void drain(struct services *s, struct store_watch *w, const char *res,
	void (*wake)(struct store_watch *w))
{
	struct store_event ev;
	enum store_next next;

	while ((next = store_watch_next(w, &ev)) == STORE_MORE)
		;
	if (next != STORE_EXPIRED)
		return;
	store_watch_end(w);
	store_watch_begin(w, s->node->store, res, store_version(s->node->store), wake);
}

static void on_wake_services(struct store_watch *w)
{
	struct services *s = container_of(w, struct services, watches[0]);

	loop_later(s->node->loop, &s->changed);
}

static void on_wake_slices(struct store_watch *w)
{
	struct services *s = container_of(w, struct services, watches[1]);

	loop_later(s->node->loop, &s->changed);
}

static void on_changed(struct later *d)
{
	struct services *s = container_of(d, struct services, changed);

	drain(s, &s->watches[0], "services", on_wake_services);
	drain(s, &s->watches[1], SLICES, on_wake_slices);
	if (!timer_is_set(&s->write))
		timer_set(&s->write, SETTLE);
}

struct services *services_start(struct local_node *n, struct err *e)
{
	struct services *s = calloc(1, sizeof(*s));
	uint64_t now = store_version(n->store);

	must(s);
	s->node = n;
	later_init(&s->changed, on_changed);
	timer_init(&s->write, n->loop, on_write);
	store_watch_begin(&s->watches[0], n->store, "services", now, on_wake_services);
	store_watch_begin(&s->watches[1], n->store, SLICES, now, on_wake_slices);
	if (write_rules(s, e) == 0)
		return s;
	services_stop(s);
	return NULL;
}

void services_stop(struct services *s)
{
	if (!s)
		return;
	store_watch_end(&s->watches[0]);
	store_watch_end(&s->watches[1]);
	later_clear(&s->changed);
	timer_clear(&s->write);
	free(s);
}
