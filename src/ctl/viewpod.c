/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: what those of one template have alike is kept once. */
#include <stdlib.h>

#include "base/obj.h"
#include "ctl/viewint.h"

#define SHAPE_MAX ((size_t)256 * 1024) /* bytes */

static const char *const container_lists[] = {"initContainers", "containers"};

#define each_container(c, o)                                                           \
	for (size_t list_ = 0; list_ < countof(container_lists); list_++)              \
	json_each(c, json_get(json_get(o, "spec"), container_lists[list_]))

static void container_ports(struct reading *r, struct pod_shape *p)
{
	struct container_port *v;
	size_t n = 0;

	each_container(c, r->o) n += json_count(json_get(c, "ports"));
	p->ports = v = view_take(r, n, sizeof *v);
	if (!v)
		return;
	each_container(c, r->o)
	{
		json_each(port, json_get(c, "ports"))
		{
			v[p->nports++] = (struct container_port){
				view_text(r, json_text_at(port, "name")),
				view_port_of(json_int_at(port, "containerPort", 0)),
				view_port_of(json_int_at(port, "hostPort", 0))};
		}
	}
}

static const char *const probe_kinds[] = {
	"livenessProbe", "readinessProbe", "startupProbe"};

static void probe(struct reading *r, struct pod_shape *p, struct http_probe *v,
	const struct json *get)
{
	const struct json *port = json_get(get, "port");
	uint16_t n = view_port_of(json_int(port, 0));

	for (size_t i = 0; i < p->nports && json_text(port); i++)
		if (strcmp(p->ports[i].name, json_text(port)) == 0)
			n = p->ports[i].port;
	if (!n)
		return;
	v[p->nprobes++] =
		(struct http_probe){view_text(r, json_text_or(get, "path", "/")), n};
}

static void probes(struct reading *r, struct pod_shape *p)
{
	struct http_probe *v;
	size_t n = 0;

	each_container(c, r->o) n += countof(probe_kinds);
	p->probes = v = view_take(r, n, sizeof *v);
	if (!v)
		return;
	each_container(c, r->o)
	{
		for (size_t i = 0; i < countof(probe_kinds); i++) {
			const struct json *get =
				json_get(json_get(c, probe_kinds[i]), "httpGet");

			if (get)
				probe(r, p, v, get);
		}
	}
}

/* Where the pod's proxy listens: in its environment, "0.0.0.0:4143" or more of them. */
static uint16_t inbound_port(const struct json *o)
{
	each_container(c, o)
	{
		const char *name = json_text_or(c, "name", "");

		if (strcmp(name, "mesh-proxy") != 0 &&
			strcmp(name, "linkerd-proxy") != 0)
			continue;
		json_each(var, json_get(c, "env"))
		{
			const char *value = json_text_or(var, "value", "");
			const char *colon = strrchr(value, ':');
			uint64_t n;

			if (strcmp(json_text_or(var, "name", ""),
				    "LINKERD2_PROXY_INBOUND_LISTEN_ADDR") == 0 &&
				colon && slice_u64(slice_of(colon + 1), 65535, &n))
				return (uint16_t)n;
		}
	}
	return 0;
}

static void read_shape(struct reading *r, struct pod_shape *s)
{
	view_owner(r, &s->owner);
	s->account = view_text(r, json_text_at(r->o, "spec.serviceAccountName"));
	s->template_hash = view_text(r, LABEL(r->o, "pod-template-hash"));
	s->control_ns = view_text(r, LABEL(r->o, "linkerd.io/control-plane-ns"));
	s->opaque_ports = view_text_or_null(
		r, ANNOTATION(r->o, "config.linkerd.io/opaque-ports"));
	s->skip_inbound_ports = view_text_or_null(
		r, ANNOTATION(r->o, "config.linkerd.io/skip-inbound-ports"));
	s->default_policy = view_text_or_null(
		r, ANNOTATION(r->o, "config.linkerd.io/default-inbound-policy"));
	s->labels = view_labels(r, json_path(r->o, "metadata.labels"));
	s->inbound_port = inbound_port(r->o);
	container_ports(r, s);
	probes(r, s);
}

/* ---- the pool ---- */

/* Each text with its end, so that none can be mistaken for two. */
static void key_text(struct buf *key, const char *text)
{
	(void)buf_char(key, text ? '=' : '-');
	(void)buf_add(key, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void key_number(struct buf *key, uint64_t n)
{
	(void)buf_add(key, &n, sizeof n);
}

static void key_of(const struct pod_shape *s, struct buf *key)
{
	const char *const texts[] = {s->owner.kind, s->owner.name, s->account,
		s->template_hash, s->control_ns, s->opaque_ports, s->skip_inbound_ports,
		s->default_policy};

	for (size_t i = 0; i < countof(texts); i++)
		key_text(key, texts[i]);
	key_number(key, s->inbound_port);
	key_number(key, s->labels.n);
	for (size_t i = 0; i < s->labels.n; i++) {
		key_text(key, s->labels.v[i].key);
		key_text(key, s->labels.v[i].value);
	}
	key_number(key, s->nports);
	for (size_t i = 0; i < s->nports; i++) {
		key_text(key, s->ports[i].name);
		key_number(
			key, (uint64_t)s->ports[i].port << 16 | s->ports[i].host_port);
	}
	for (size_t i = 0; i < s->nprobes; i++) {
		key_text(key, s->probes[i].path);
		key_number(key, s->probes[i].port);
	}
}

/* A shape of its own, in just the memory it takes; NULL when it is too large. */
static struct pod_shape *shape_new(
	const struct json *object, struct slice key, size_t size)
{
	struct arena a = {.limit = SHAPE_MAX, .chunk = size};
	struct reading r = {.a = &a, .o = object};
	struct pod_shape *s = view_take(&r, 1, sizeof *s);
	char *copy = s ? view_take(&r, key.n, 1) : NULL;

	if (copy) {
		memcpy(copy, key.p, key.n);
		read_shape(&r, s);
	}
	if (!copy || r.full) {
		arena_fini(&a);
		return NULL;
	}
	s->node.key = slice_bytes(copy, key.n);
	s->arena = a;
	return s;
}

static struct pod_shape *shape_add(struct view_pool *pool, const struct json *object,
	struct slice key, size_t size)
{
	struct pod_shape *s = shape_new(object, key, size);

	if (!s)
		return NULL;
	s->pool = pool;
	must(map_insert(&pool->shapes, &s->node, s->node.key) == 0);
	return s;
}

bool view_shape_take(struct view_pool *pool, struct view *v, const struct json *object)
{
	struct arena trial = {.limit = SHAPE_MAX};
	struct reading r = {.a = &trial, .o = object};
	struct pod_shape tried = {0}, *s;
	struct buf key = BUF_INIT;

	read_shape(&r, &tried);
	key_of(&tried, &key);
	s = r.full || key.failed
		    ? NULL
		    : map_get(&pool->shapes, buf_slice(&key), struct pod_shape, node);
	if (!s && !r.full && !key.failed)
		s = shape_add(pool, object, buf_slice(&key),
			trial.used + sizeof *s + buf_len(&key) + 64);
	buf_fini(&key);
	arena_fini(&trial);
	container_of(v, struct pod_view, view)->is = s;
	if (s)
		s->pods++;
	return s != NULL;
}

void view_shape_drop(struct view *v)
{
	struct pod_shape *s =
		(struct pod_shape *)container_of(v, struct pod_view, view)->is;
	struct arena a;

	if (--s->pods)
		return;
	map_remove(&s->pool->shapes, &s->node);
	a = s->arena;
	arena_fini(&a);
}

/* ---- what is a pod's own ---- */

static bool has_condition(const struct json *o, const char *type)
{
	json_each(c, json_path(o, "status.conditions"))
	{
		if (strcmp(json_text_or(c, "type", ""), type) == 0)
			return strcmp(json_text_or(c, "status", ""), "True") == 0;
	}
	return false;
}

static bool was_ready(const struct json *o)
{
	json_each(gate, json_path(o, "spec.readinessGates"))
	{
		if (!has_condition(o, json_text_or(gate, "conditionType", "")))
			return false;
	}
	return has_condition(o, "ContainersReady") &&
	       !json_path(o, "metadata.deletionTimestamp");
}

void view_read_pod(struct reading *r, struct view *view)
{
	struct pod_view *p = container_of(view, struct pod_view, view);
	const char *phase = json_text_or(r->o, "status.phase", "");

	p->node = view_text(r, json_text_at(r->o, "spec.nodeName"));
	p->host_network = json_bool_at(r->o, "spec.hostNetwork", false);
	p->is_over = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
	p->was_ready = was_ready(r->o);
	(void)view_ip_of(json_path(r->o, "status.hostIP"), &p->host_ip);
	p->ips = view_ips(r, json_path(r->o, "status.podIPs"), "ip", &p->nips);
}
