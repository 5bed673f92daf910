/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/edges.h"

#include <stdlib.h>

#include "base/obj.h"
#include "viz/table.h"
#include "wire/prom.h"

#if defined(__GNUC__) && !defined(__clang__)
/* It does not see that the list is the caller's. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct gathering {
	struct viz_pods *pods;
	enum viz_kind kind;
	const char *ns;
	struct edges *out;
	size_t cap;
};

static const char *own(struct gathering *g, struct slice s)
{
	char *text = arena_alloc(&g->pods->arena, s.n + 1);

	must(text);
	memcpy(text, s.p, s.n);
	return text;
}

static const char *label(struct gathering *g, struct slice labels, const char *key)
{
	struct slice v;

	return prom_label(labels, key, &v) ? own(g, v) : "";
}

static int edge_order(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	const char *const left[] = {x->src_ns, x->src, x->dst_ns, x->dst, x->client_id,
		x->server_id, x->reason};
	const char *const right[] = {y->src_ns, y->src, y->dst_ns, y->dst, y->client_id,
		y->server_id, y->reason};
	int d = 0;

	for (size_t i = 0; i < countof(left) && !d; i++)
		d = strcmp(left[i], right[i]);
	return d;
}

static void grow(struct gathering *g)
{
	size_t cap = g->cap ? 2 * g->cap : 16;
	struct edge *v = realloc(g->out->v, cap * sizeof *v);

	must(v);
	g->out->v = v;
	g->cap = cap;
}

static void add(struct gathering *g, const struct edge *e)
{
	struct edges *r = g->out;

	if (*g->ns && strcmp(g->ns, e->src_ns) != 0 && strcmp(g->ns, e->dst_ns) != 0)
		return;
	for (size_t i = 0; i < r->n; i++)
		if (edge_order(&r->v[i], e) == 0)
			return;
	if (r->n == g->cap)
		grow(g);
	r->v[r->n++] = *e;
}

static void add_connections(
	struct gathering *g, const struct viz_pod *p, const struct prom_sample *s)
{
	char key[64];
	struct edge e = {.src = p->owner[g->kind], .src_ns = p->ns};

	snprintf(key, sizeof key, "dst_%s", viz_kinds[g->kind].name);
	e.dst = label(g, s->labels, key);
	if (!*e.dst)
		return;
	e.dst_ns = label(g, s->labels, "dst_namespace");
	e.server_id = label(g, s->labels, "server_id");
	e.reason = *e.server_id ? "" : label(g, s->labels, "no_tls_reason");
	e.client_id = *e.server_id ? p->identity : "";
	add(g, &e);
}

static void add_pod(struct gathering *g, const struct viz_pod *p)
{
	struct slice rest = buf_slice(&p->after);
	struct prom_sample s;

	if (!*p->owner[g->kind])
		return;
	while (prom_next(&rest, &s))
		if (s.value > 0 && slice_is(s.name, "tcp_open_connections") &&
			prom_label_is(s.labels, "direction", "outbound"))
			add_connections(g, p, &s);
}

void edges_make(
	struct viz_pods *pods, enum viz_kind kind, const char *ns, struct edges *out)
{
	struct gathering g = {.pods = pods, .kind = kind, .ns = ns, .out = out};

	*out = (struct edges){0};
	for (size_t i = 0; i < pods->n; i++)
		add_pod(&g, &pods->v[i]);
	if (out->n)
		qsort(out->v, out->n, sizeof *out->v, edge_order);
}

void edges_fini(struct edges *e)
{
	free(e->v);
	*e = (struct edges){0};
}

/* "web.apps" of an identity, which is what tells it from others. */
static struct slice brief(const char *id)
{
	const char *tail = strstr(id, ".serviceaccount.identity.");

	return tail ? slice_bytes(id, (size_t)(tail - id)) : slice_of(id);
}

void edges_write_table(const struct edges *e, bool wide, struct buf *out)
{
	static const char *const heads[] = {
		"SRC", "DST", "SRC_NS", "DST_NS", "CLIENT_ID", "SERVER_ID", "SECURED"};
	struct table t = {.right_from = TABLE_COLUMNS};

	if (e->n == 0)
		return;
	for (size_t i = 0; i < countof(heads); i++)
		if (wide || !strstr(heads[i], "_ID"))
			table_cell(&t, "%s", heads[i]);
	table_end_row(&t);
	for (size_t i = 0; i < e->n; i++) {
		const struct edge *d = &e->v[i];

		table_cell(&t, "%s", d->src);
		table_cell(&t, "%s", d->dst);
		table_cell(&t, "%s", d->src_ns);
		table_cell(&t, "%s", d->dst_ns);
		if (wide) {
			table_cell(&t, "%.*s", SLICE_FMT(brief(d->client_id)));
			table_cell(&t, "%.*s", SLICE_FMT(brief(d->server_id)));
		}
		table_cell(&t, "%s",
			*d->server_id ? "√"
			: *d->reason  ? d->reason
				      : "-");
		table_end_row(&t);
	}
	table_write(&t, out);
	table_fini(&t);
}

struct json *edges_json(const struct edges *e)
{
	struct json *list = json_list();

	for (size_t i = 0; i < e->n; i++) {
		const struct edge *d = &e->v[i];
		struct json *o = json_push(list, json_object());

		json_set_text(o, "src", d->src);
		json_set_text(o, "src_namespace", d->src_ns);
		json_set_text(o, "dst", d->dst);
		json_set_text(o, "dst_namespace", d->dst_ns);
		json_set_text(o, "client_id", d->client_id);
		json_set_text(o, "server_id", d->server_id);
		json_set_text(o, "no_tls_reason", d->reason);
	}
	return list;
}
