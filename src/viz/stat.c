/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/stat.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/obj.h"
#include "wire/prom.h"

/* ---- what changed between two readings ---- */

struct known {
	struct map_node node;
	double value;
};

struct readings {
	struct map before;
	struct known *v;
};

static bool is_wanted(struct slice name)
{
	return slice_starts(name, SLICE("response_")) ||
	       slice_starts(name, SLICE("tcp_"));
}

static void readings_init(struct readings *r, struct slice text)
{
	struct slice rest = text;
	struct prom_sample s;
	size_t n = 0;

	*r = (struct readings){0};
	while (prom_next(&rest, &s))
		n += is_wanted(s.name);
	r->v = calloc(n + 1, sizeof *r->v);
	must(r->v);
	rest = text;
	n = 0;
	while (prom_next(&rest, &s)) {
		if (!is_wanted(s.name) || map_find(&r->before, s.series))
			continue;
		r->v[n].value = s.value;
		must(map_insert(&r->before, &r->v[n].node, s.series) == 0);
		n++;
	}
}

static void readings_fini(struct readings *r)
{
	map_fini(&r->before);
	free(r->v);
}

/* A counter that went down was reset: all of it is new. */
static double increase(const struct readings *r, const struct prom_sample *s)
{
	const struct known *k = map_get(&r->before, s->series, struct known, node);
	double before = k ? k->value : 0;

	if (isnan(s->value) || isnan(before))
		return 0;
	return s->value < before ? s->value : s->value - before;
}

/* ---- rows ---- */

struct making {
	const struct stat_query *q;
	struct stat_rows *out;
	size_t cap;
};

static struct stat_row *row_of(struct making *m, const char *ns, const char *name)
{
	struct stat_rows *r = m->out;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->v[i].name, name) == 0 && strcmp(r->v[i].ns, ns) == 0)
			return &r->v[i];
	if (r->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 16;
		r->v = realloc(r->v, m->cap * sizeof *r->v);
		must(r->v);
	}
	r->v[r->n] = (struct stat_row){
		.ns = ns, .name = name, .kind = m->q->of.kind, .status = ""};
	return &r->v[r->n++];
}

static void add_bucket(struct stat_row *row, double le, double count)
{
	size_t i = 0;

	while (i < row->nbuckets && row->bucket[i].le < le)
		i++;
	if (i < row->nbuckets && row->bucket[i].le == le) {
		row->bucket[i].count += count;
		return;
	}
	if (row->nbuckets == STAT_BUCKETS)
		return;
	memmove(row->bucket + i + 1, row->bucket + i,
		(row->nbuckets - i) * sizeof *row->bucket);
	row->bucket[i].le = le;
	row->bucket[i].count = count;
	row->nbuckets++;
}

static double le_of(struct slice labels)
{
	struct slice v;
	char text[32] = "", *end;

	if (!prom_label(labels, "le", &v) || v.n >= sizeof text)
		return INFINITY;
	memcpy(text, v.p, v.n);
	return strtod(text, &end);
}

static void add_http(
	struct stat_row *row, const struct prom_sample *s, const struct readings *r)
{
	if (slice_is(s->name, "response_total")) {
		if (prom_label_is(s->labels, "classification", "success"))
			row->success += increase(r, s);
		else
			row->failure += increase(r, s);
	} else if (slice_is(s->name, "response_latency_ms_bucket")) {
		add_bucket(row, le_of(s->labels), increase(r, s));
	}
}

static void add_tcp(
	struct stat_row *row, const struct prom_sample *s, const struct readings *r)
{
	row->has_tcp = true;
	if (slice_is(s->name, "tcp_open_connections"))
		row->connections += s->value;
	else if (slice_is(s->name, "tcp_read_bytes_total"))
		row->read += increase(r, s);
	else if (slice_is(s->name, "tcp_write_bytes_total"))
		row->written += increase(r, s);
}

static void add_sample(struct stat_row *row, const struct prom_sample *s,
	const struct readings *r, bool outbound)
{
	if (slice_starts(s->name, SLICE("response_")))
		add_http(row, s, r);
	else if (prom_label_is(s->labels, "peer", outbound ? "dst" : "src"))
		add_tcp(row, s, r);
}

static bool is_pod_of(const struct viz_pod *p, const struct viz_resource *r)
{
	const char *name = p->owner[r->kind];

	return *name && (!*r->name || strcmp(name, r->name) == 0) &&
	       (!*r->ns || strcmp(p->ns, r->ns) == 0);
}

/* The series goes to `r`, by its dst_ labels; its name there into `name`. */
static bool goes_to(const struct viz_resource *r, struct slice labels, struct slice *ns,
	struct slice *name)
{
	char key[64];

	snprintf(key, sizeof key, "dst_%s", viz_kinds[r->kind].name);
	if (!prom_label(labels, key, name) || !name->n ||
		(*r->name && !slice_is(*name, r->name)))
		return false;
	if (!prom_label(labels, "dst_namespace", ns))
		*ns = SLICE("");
	return !*r->ns || slice_is(*ns, r->ns);
}

/* Rows of --from and of Services are named by labels: those live in the text. */
static const char *intern(struct making *m, struct viz_pods *pods, struct slice s)
{
	char *text;

	for (size_t i = 0; i < m->out->n; i++) {
		if (slice_is(s, m->out->v[i].name))
			return m->out->v[i].name;
		if (slice_is(s, m->out->v[i].ns))
			return m->out->v[i].ns;
	}
	text = arena_alloc(&pods->arena, s.n + 1);
	must(text);
	memcpy(text, s.p, s.n);
	return text;
}

static void add_pod(struct making *m, struct viz_pods *pods, const struct viz_pod *p)
{
	const struct stat_query *q = m->q;
	bool by_label = q->from.kind != VIZ_KINDS || q->of.kind == VIZ_SERVICE;
	bool outbound = by_label || q->to.kind != VIZ_KINDS;
	struct slice rest = buf_slice(&p->after), ns, name;
	struct readings r;
	struct prom_sample s;

	readings_init(&r, buf_slice(&p->before));
	while (prom_next(&rest, &s)) {
		struct stat_row *row;

		if (!is_wanted(s.name) || !prom_label_is(s.labels, "direction",
						  outbound ? "outbound" : "inbound"))
			continue;
		if (by_label) {
			if (!goes_to(&q->of, s.labels, &ns, &name))
				continue;
			row = row_of(m, intern(m, pods, ns), intern(m, pods, name));
		} else {
			if (outbound && !goes_to(&q->to, s.labels, &ns, &name))
				continue;
			row = row_of(m, q->of.kind == VIZ_NAMESPACE ? "" : p->ns,
				p->owner[q->of.kind]);
		}
		add_sample(row, &s, &r, outbound);
	}
	readings_fini(&r);
}

static void count_pod(struct making *m, const struct viz_pod *p)
{
	struct stat_row *row;

	if (!p->counted || (!p->meshed && !m->q->unmeshed))
		return;
	row = row_of(m, m->q->of.kind == VIZ_NAMESPACE ? "" : p->ns,
		p->owner[m->q->of.kind]);
	row->meshed += p->meshed;
	row->running++;
	if (m->q->of.kind == VIZ_POD)
		row->status = p->phase;
}

/* Pods without a proxy count where a row is. */
static void count_rest(struct making *m, const struct viz_pod *p)
{
	const char *ns = m->q->of.kind == VIZ_NAMESPACE ? "" : p->ns;

	if (!p->counted || p->meshed || m->q->unmeshed)
		return;
	for (size_t i = 0; i < m->out->n; i++) {
		struct stat_row *r = &m->out->v[i];

		if (strcmp(r->name, p->owner[m->q->of.kind]) == 0 &&
			strcmp(r->ns, ns) == 0)
			r->running++;
	}
}

static int row_order(const void *a, const void *b)
{
	const struct stat_row *x = a, *y = b;
	int d = strcmp(x->ns, y->ns);

	return d ? d : strcmp(x->name, y->name);
}

void stat_rows_make(
	const struct viz_pods *pods, const struct stat_query *q, struct stat_rows *out)
{
	struct making m = {.q = q, .out = out};
	bool plain = q->from.kind == VIZ_KINDS && q->of.kind != VIZ_SERVICE;
	const struct viz_resource *source = q->from.kind != VIZ_KINDS ? &q->from
					    : plain                   ? &q->of
								      : NULL;

	*out = (struct stat_rows){0};
	for (size_t i = 0; i < pods->n && plain; i++)
		if (is_pod_of(&pods->v[i], &q->of))
			count_pod(&m, &pods->v[i]);
	for (size_t i = 0; i < pods->n && plain; i++)
		if (is_pod_of(&pods->v[i], &q->of))
			count_rest(&m, &pods->v[i]);
	for (size_t i = 0; i < pods->n; i++)
		if (!source || is_pod_of(&pods->v[i], source))
			add_pod(&m, (struct viz_pods *)pods, &pods->v[i]);
	if (out->n)
		qsort(out->v, out->n, sizeof *out->v, row_order);
}

void stat_rows_fini(struct stat_rows *r)
{
	free(r->v);
	*r = (struct stat_rows){0};
}

/* ---- quantiles ---- */

double stat_quantile(const struct stat_row *r, double q)
{
	double all = r->nbuckets ? r->bucket[r->nbuckets - 1].count : 0;
	double rank = q * all, below, from;
	size_t i = 0;

	if (all <= 0)
		return 0;
	while (i < r->nbuckets - 1 && r->bucket[i].count < rank)
		i++;
	if (isinf(r->bucket[i].le))
		return i ? r->bucket[i - 1].le : 0;
	below = i ? r->bucket[i - 1].count : 0;
	from = i ? r->bucket[i - 1].le : 0;
	if (r->bucket[i].count <= below)
		return r->bucket[i].le;
	return from +
	       (r->bucket[i].le - from) * (rank - below) / (r->bucket[i].count - below);
}
