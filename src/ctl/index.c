/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/index.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/obj.h"
#include "ctl/policyview.h"

#if defined(__GNUC__) && !defined(__clang__)
/* It does not see that a place is held by the lists it is in. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#define TELL_AFTER (10 * NS_PER_MS) /* changes come in crowds */
#define KEY_MAX    600

/* By which keys a view is found: its own name, and those that questions are asked with.
 */
enum space {
	SPACE_SLICES = 'S', /* a kind's own letter is a small one */
	SPACE_SERVICE_IP = 'V',
	SPACE_POD_IP = 'P',
	SPACE_HOST_PORT = 'H',
	SPACE_ROUTES = 'R', /* of a parent */
	SPACE_ALL = '*',    /* of a kind in a namespace */
};

#define POLICY  "/apis/policy.linkerd.io/"
#define GATEWAY "/apis/gateway.networking.k8s.io/"
#define PROFILE "/apis/linkerd.io/"

/* `path`: several versions, where there are: the first that the server has. */
static const struct kind {
	char letter;
	const char *name, *path;
} kinds[VIEW_KINDS] = {
	[VIEW_POD] = {'p', "pod", "/api/v1/pods"},
	[VIEW_SERVICE] = {'s', "service", "/api/v1/services"},
	[VIEW_SLICE] = {'e', "endpointslice",
		"/apis/discovery.k8s.io/v1/endpointslices"},
	[VIEW_NODE] = {'n', "node", "/api/v1/nodes"},
	[VIEW_NAMESPACE] = {'m', "namespace", "/api/v1/namespaces"},
	[VIEW_REPLICASET] = {'r', "replicaset", "/apis/apps/v1/replicasets"},
	[VIEW_JOB] = {'j', "job", "/apis/batch/v1/jobs"},
	[VIEW_SERVER] = {'a', "server",
		POLICY "v1beta3/servers " POLICY "v1beta2/servers " POLICY
		       "v1beta1/servers"},
	[VIEW_SERVER_AUTHORIZATION] = {'b', "serverauthorization",
		POLICY "v1beta1/serverauthorizations " POLICY
		       "v1alpha1/serverauthorizations"},
	[VIEW_AUTHORIZATION] = {'c', "authorizationpolicy",
		POLICY "v1alpha1/authorizationpolicies"},
	[VIEW_MESH_TLS] = {'d', "meshtlsauthentication",
		POLICY "v1alpha1/meshtlsauthentications"},
	[VIEW_NETWORK] = {'f', "networkauthentication",
		POLICY "v1alpha1/networkauthentications"},
	[VIEW_HTTPROUTE] = {'g', "httproute",
		POLICY "v1beta3/httproutes " POLICY "v1beta2/httproutes " POLICY
		       "v1beta1/httproutes"},
	[VIEW_GATEWAY_HTTPROUTE] = {'h', "gateway_httproute",
		GATEWAY "v1/httproutes " GATEWAY "v1beta1/httproutes"},
	[VIEW_GRPCROUTE] = {'i', "grpcroute",
		GATEWAY "v1/grpcroutes " GATEWAY "v1alpha2/grpcroutes"},
	[VIEW_PROFILE] = {'k', "serviceprofile",
		PROFILE "v1alpha2/serviceprofiles " PROFILE "v1alpha1/serviceprofiles"},
};

/* Those that are asked for by namespace. */
static bool is_listed(enum view_kind kind)
{
	return kind == VIEW_SERVER || kind == VIEW_SERVER_AUTHORIZATION ||
	       kind == VIEW_AUTHORIZATION;
}

/* What is known under one key, and who asked for it. */
struct slot {
	struct map_node node;
	struct list places;  /* place.node */
	struct list readers; /* interest.of_slot */
	char key[];
};

struct interest {
	struct list of_slot, of_reader;
	struct slot *slot;
	struct reader *reader;
};

struct watching {
	struct index *index;
	enum view_kind kind;
	struct kube_watch *watch;
	bool synced;
};

struct index {
	const struct index_user *user;
	struct map slots;
	struct view_pool pool;
	struct list views; /* view.node */
	struct list stale; /* reader.node */
	struct timer tell;
	size_t counts[VIEW_KINDS];
	struct watching watching[VIEW_KINDS];
	unsigned missing; /* kinds that are not synced */
};

const char *view_kind_name(enum view_kind kind)
{
	return kinds[kind].name;
}

/* ---- slots ---- */

static struct slot *slot_need(struct index *ix, const char *key)
{
	struct slot *s = map_get(&ix->slots, slice_of(key), struct slot, node);
	size_t n = strlen(key);

	if (s)
		return s;
	s = malloc(sizeof *s + n + 1);
	must(s);
	memcpy(s->key, key, n + 1);
	list_init(&s->places);
	list_init(&s->readers);
	must(map_insert(&ix->slots, &s->node, slice_bytes(s->key, n)) == 0);
	return s;
}

static void slot_drop_unused(struct index *ix, struct slot *s)
{
	if (!list_is_empty(&s->places) || !list_is_empty(&s->readers))
		return;
	map_remove(&ix->slots, &s->node);
	free(s);
}

static void slot_touch(struct index *ix, struct slot *s)
{
	struct interest *i;

	list_each(i, &s->readers, of_slot)
	{
		list_remove(&i->reader->node);
		list_push(&ix->stale, &i->reader->node);
	}
	if (!list_is_empty(&ix->stale) && !timer_is_set(&ix->tell))
		timer_set(&ix->tell, TELL_AFTER);
}

static void on_tell(struct timer *t)
{
	struct index *ix = container_of(t, struct index, tell);
	struct reader *r;

	while ((r = list_first(&ix->stale, struct reader, node))) {
		list_remove(&r->node);
		r->on_stale(r);
	}
}

/* ---- views in their places ---- */

static void place(struct index *ix, struct view *v, const char *key)
{
	struct place *p = malloc(sizeof *p);

	must(p);
	*p = (struct place){.slot = slot_need(ix, key), .view = v};
	list_push(&p->slot->places, &p->node);
	list_push(&v->places, &p->of_view);
	slot_touch(ix, p->slot);
}

static const char *named_key(
	char key[KEY_MAX], enum view_kind kind, const char *ns, const char *name)
{
	snprintf(key, KEY_MAX, "%c%s/%s", kinds[kind].letter, ns, name);
	return key;
}

static const char *ip_key(char key[KEY_MAX], enum space space, const struct ip *ip)
{
	char text[ADDR_TEXT];

	snprintf(key, KEY_MAX, "%c%s", space, ip_text(ip, text));
	return key;
}

static const char *addr_key(char key[KEY_MAX], enum space space, const struct addr *at)
{
	char text[ADDR_TEXT];

	snprintf(key, KEY_MAX, "%c%s", space, addr_text(at, text));
	return key;
}

static void place_pod(struct index *ix, struct pod_view *p)
{
	char key[KEY_MAX];

	if (p->is_over)
		return;
	for (size_t i = 0; i < p->nips && !p->host_network; i++)
		place(ix, &p->view, ip_key(key, SPACE_POD_IP, &p->ips[i]));
	for (size_t i = 0; i < p->is->nports && p->host_ip.family; i++)
		if (p->is->ports[i].host_port)
			place(ix, &p->view,
				addr_key(key, SPACE_HOST_PORT,
					&(struct addr){p->host_ip,
						p->is->ports[i].host_port}));
}

static const char *all_key(char key[KEY_MAX], enum view_kind kind, const char *ns)
{
	snprintf(key, KEY_MAX, "%c%c%s", SPACE_ALL, kinds[kind].letter, ns);
	return key;
}

static const char *routes_key(
	char key[KEY_MAX], const char *parent_kind, const char *ns, const char *name)
{
	snprintf(key, KEY_MAX, "%c%s/%s/%s", SPACE_ROUTES, parent_kind, ns, name);
	return key;
}

static bool same_parent(const struct object_ref *a, const struct object_ref *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->ns, b->ns) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

/* Under each parent once, though it may name several ports of it. */
static void place_route(struct index *ix, struct route_view *r)
{
	char key[KEY_MAX];

	for (size_t i = 0; i < r->nparents; i++) {
		const struct object_ref *to = &r->parents[i].to;
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again |= same_parent(&r->parents[k].to, to);
		if (!again)
			place(ix, &r->view,
				routes_key(key, to->kind, to->ns, to->name));
	}
}

static void place_view(struct index *ix, struct view *v)
{
	const struct service_view *s;
	const struct slice_view *e;
	char key[KEY_MAX];

	place(ix, v, named_key(key, v->kind, v->ns, v->name));
	ix->counts[v->kind]++;
	list_push(&ix->views, &v->node);
	if (is_listed(v->kind))
		place(ix, v, all_key(key, v->kind, v->ns));
	switch (v->kind) {
	case VIEW_POD:
		place_pod(ix, container_of(v, struct pod_view, view));
		break;
	case VIEW_SERVICE:
		s = container_of(v, struct service_view, view);
		for (size_t i = 0; i < s->nips; i++)
			place(ix, v, ip_key(key, SPACE_SERVICE_IP, &s->ips[i]));
		break;
	case VIEW_SLICE:
		e = container_of(v, struct slice_view, view);
		snprintf(key, sizeof key, "%c%s/%s", SPACE_SLICES, v->ns, e->service);
		place(ix, v, key);
		break;
	case VIEW_HTTPROUTE:
	case VIEW_GATEWAY_HTTPROUTE:
	case VIEW_GRPCROUTE:
		place_route(ix, container_of(v, struct route_view, view));
		break;
	default:
		break;
	}
}

static void displace(struct index *ix, struct view *v)
{
	struct place *p;

	list_each(p, &v->places, of_view)
	{
		list_remove(&p->node);
		list_remove(&p->of_view);
		slot_touch(ix, p->slot);
		slot_drop_unused(ix, p->slot);
		free(p);
	}
	ix->counts[v->kind]--;
	list_remove(&v->node);
	view_free(v);
}

static struct view *known(
	struct index *ix, enum view_kind kind, const char *ns, const char *name)
{
	char key[KEY_MAX];
	struct slot *s = map_get(&ix->slots, slice_of(named_key(key, kind, ns, name)),
		struct slot, node);
	struct place *p = s ? list_first(&s->places, struct place, node) : NULL;

	return p ? p->view : NULL;
}

void index_put(struct index *ix, enum view_kind kind, const struct json *object)
{
	struct view *v = view_read(&ix->pool, kind, object), *before;

	if (!v)
		return;
	before = known(ix, kind, v->ns, v->name);
	if (before && view_is_same(before, v)) {
		view_free(v);
		return;
	}
	if (before)
		displace(ix, before);
	place_view(ix, v);
}

void index_gone(struct index *ix, enum view_kind kind, const struct json *object)
{
	struct view *v = known(ix, kind, json_text_or(object, "metadata.namespace", ""),
		json_text_or(object, "metadata.name", ""));

	if (v)
		displace(ix, v);
}

size_t index_count(const struct index *ix, enum view_kind kind)
{
	return ix->counts[kind];
}

/* ---- readers ---- */

void reader_init(struct reader *r, struct index *ix, void (*on_stale)(struct reader *r))
{
	r->index = ix;
	r->on_stale = on_stale;
	list_init(&r->interests);
	list_init(&r->node);
}

void reader_reset(struct reader *r)
{
	struct interest *i;

	list_each(i, &r->interests, of_reader)
	{
		list_remove(&i->of_slot);
		list_remove(&i->of_reader);
		slot_drop_unused(r->index, i->slot);
		free(i);
	}
	list_remove(&r->node);
}

void reader_fini(struct reader *r)
{
	reader_reset(r);
}

/* ---- questions ---- */

static const struct list *ask(struct reader *r, const char *key)
{
	struct slot *s = slot_need(r->index, key);
	struct interest *i = container_of(s->readers.prev, struct interest, of_slot);

	if (!list_is_empty(&s->readers) && i->reader == r) /* it asks once more */
		return &s->places;
	i = malloc(sizeof *i);
	must(i);
	*i = (struct interest){.slot = s, .reader = r};
	list_push(&s->readers, &i->of_slot);
	list_push(&r->interests, &i->of_reader);
	return &s->places;
}

const struct view *index_named(
	struct reader *r, enum view_kind kind, const char *ns, const char *name)
{
	char key[KEY_MAX];
	const struct list *places = ask(r, named_key(key, kind, ns, name));

	return list_is_empty(places)
		       ? NULL
		       : container_of(places->next, struct place, node)->view;
}

#define AS(type, v)                                                                    \
	({                                                                             \
		const struct view *v_ = (v);                                           \
		v_ ? container_of(v_, const struct type, view) : NULL;                 \
	})

const struct pod_view *index_pod(struct reader *r, const char *ns, const char *name)
{
	return AS(pod_view, index_named(r, VIEW_POD, ns, name));
}

const struct service_view *index_service(
	struct reader *r, const char *ns, const char *name)
{
	return AS(service_view, index_named(r, VIEW_SERVICE, ns, name));
}

const struct node_view *index_node(struct reader *r, const char *name)
{
	return AS(node_view, index_named(r, VIEW_NODE, "", name));
}

const struct namespace_view *index_namespace(struct reader *r, const char *name)
{
	return AS(namespace_view, index_named(r, VIEW_NAMESPACE, "", name));
}

const struct owned_view *index_owned(
	struct reader *r, const char *kind, const char *ns, const char *name)
{
	static const enum view_kind owned[] = {VIEW_REPLICASET, VIEW_JOB};

	for (size_t i = 0; i < countof(owned); i++)
		if (strcmp(kinds[owned[i]].name, kind) == 0)
			return AS(owned_view, index_named(r, owned[i], ns, name));
	return NULL;
}

const struct list *index_all(struct reader *r, enum view_kind kind, const char *ns)
{
	char key[KEY_MAX];

	must(is_listed(kind));
	return ask(r, all_key(key, kind, ns));
}

const struct list *index_routes(
	struct reader *r, const char *parent_kind, const char *ns, const char *name)
{
	char key[KEY_MAX];

	return ask(r, routes_key(key, parent_kind, ns, name));
}

const struct list *index_slices(struct reader *r, const char *ns, const char *service)
{
	char key[KEY_MAX];

	snprintf(key, sizeof key, "%c%s/%s", SPACE_SLICES, ns, service);
	return ask(r, key);
}

const struct list *index_services_at(struct reader *r, const struct ip *ip)
{
	char key[KEY_MAX];

	return ask(r, ip_key(key, SPACE_SERVICE_IP, ip));
}

const struct list *index_pods_at(struct reader *r, const struct ip *ip)
{
	char key[KEY_MAX];

	return ask(r, ip_key(key, SPACE_POD_IP, ip));
}

const struct list *index_host_ports_at(struct reader *r, const struct addr *at)
{
	char key[KEY_MAX];

	return ask(r, addr_key(key, SPACE_HOST_PORT, at));
}

/* ---- watches ---- */

static void on_object(void *arg, enum kube_event ev, const struct json *object)
{
	struct watching *w = arg;

	if (ev == KUBE_GONE)
		index_gone(w->index, w->kind, object);
	else
		index_put(w->index, w->kind, object);
}

static void on_synced(void *arg)
{
	struct watching *w = arg;

	if (w->synced)
		return;
	w->synced = true;
	if (--w->index->missing == 0)
		w->index->user->on_synced(w->index->user->arg);
}

static const struct kube_watch_user watch_user = {on_object, on_synced};

struct index *index_new(struct loop *l, const struct index_user *user)
{
	struct index *ix = calloc(1, sizeof *ix);

	must(ix);
	ix->user = user;
	ix->missing = VIEW_KINDS;
	list_init(&ix->views);
	list_init(&ix->stale);
	timer_init(&ix->tell, l, on_tell);
	return ix;
}

int index_watch(struct index *ix, struct kube *k, struct err *e)
{
	if (!k) {
		ix->missing = 0;
		return 0;
	}
	for (unsigned i = 0; i < VIEW_KINDS; i++) {
		struct watching *w = &ix->watching[i];

		w->index = ix;
		w->kind = i;
		w->watch = kube_watch_new(k, kinds[i].path, NULL, &watch_user, w, e);
		if (!w->watch)
			return -1;
	}
	return 0;
}

bool index_is_synced(const struct index *ix)
{
	return ix->missing == 0;
}

void index_free(struct index *ix)
{
	struct view *v;

	if (!ix)
		return;
	for (unsigned i = 0; i < VIEW_KINDS; i++)
		if (ix->watching[i].watch)
			kube_watch_free(ix->watching[i].watch);
	list_each(v, &ix->views, node) displace(ix, v);
	timer_clear(&ix->tell);
	map_fini(&ix->slots);
	map_fini(&ix->pool.shapes);
	free(ix);
}
