/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define WARN_EVERY (60 * NS_PER_S)
#define KEY_MAX    272 /* a name, a port and the side */

static const char *const spoken_names[] = {
	[SPOKEN_NOTHING] = "detect",
	[SPOKEN_HTTP1] = "http/1",
	[SPOKEN_HTTP2] = "http/2",
	[SPOKEN_TLS] = "tls",
	[SPOKEN_OPAQUE] = "opaque",
	[SPOKEN_SERVER_FIRST] = "opaque",
	[SPOKEN_TOO_SLOW] = "opaque",
};
static const char *const count_names[] = {
	[SPOKEN_HTTP1] = "http/1",
	[SPOKEN_HTTP2] = "http/2",
	[SPOKEN_TLS] = "tls",
	[SPOKEN_OPAQUE] = "opaque",
	[SPOKEN_SERVER_FIRST] = "server_first",
	[SPOKEN_TOO_SLOW] = "timeout",
};
static const char *const decided_names[] = {
	[DECIDED_BY_NOBODY] = "default",
	[DECIDED_BY_ANNOTATION] = "annotation",
	[DECIDED_BY_POLICY] = "policy",
	[DECIDED_BY_PROFILE] = "profile",
	[DECIDED_BY_DETECTION] = "detected",
	[DECIDED_BY_TIMEOUT] = "timeout",
};

static const char *const hint_names[] = {
	[HINT_NONE] = "none", [HINT_H2] = "h2", [HINT_OPAQUE] = "opaque"};

struct report_row {
	struct map_node node; /* by "in 8080", "out 10.0.0.1:80", "out a.b.svc:80" */
	struct report *report;
	enum side side;
	char *key;
	unsigned refs;            /* with the lock */
	atomic_uint policy, now;  /* (decided << 8) | spoken */
	atomic_uint hint;         /* enum hint */
	_Atomic uint64_t changed; /* wall time of the last change of `now`, or 0 */
	_Atomic uint64_t count[SPOKEN_KINDS];
	_Atomic uint64_t used, warned; /* mono */
};

struct report {
	pthread_mutex_t lock;
	struct map rows;
};

struct report *report_new(void)
{
	struct report *r = calloc(1, sizeof *r);

	if (r)
		pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void row_free(struct report *r, struct report_row *row)
{
	map_remove(&r->rows, &row->node);
	free(row->key);
	free(row);
}

void report_free(struct report *r)
{
	struct report_row *row;

	if (!r)
		return;
	map_each(row, &r->rows, node) row_free(r, row);
	map_fini(&r->rows);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- rows ---- */

static bool make_room(struct report *r)
{
	struct report_row *row, *oldest = NULL;

	if (r->rows.count < REPORT_MAX)
		return true;
	map_each(row, &r->rows,
		node) if (!row->refs && (!oldest || row->used < oldest->used)) oldest =
		row;
	if (oldest)
		row_free(r, oldest);
	return oldest != NULL;
}

static struct report_row *row_new(struct report *r, enum side side, const char *key)
{
	struct report_row *row = make_room(r) ? calloc(1, sizeof *row) : NULL;

	if (!row)
		return NULL;
	row->report = r;
	row->side = side;
	row->key = slice_dup(slice_of(key));
	if (row->key && map_insert(&r->rows, &row->node, slice_of(row->key)) == 0)
		return row;
	free(row->key);
	free(row);
	return NULL;
}

struct report_row *report_row_get(struct report *r, enum side side, const char *key)
{
	char full[KEY_MAX];
	struct report_row *row;

	snprintf(full, sizeof full, "%s %s", side == SIDE_IN ? "in" : "out", key);
	pthread_mutex_lock(&r->lock);
	row = map_get(&r->rows, slice_of(full), struct report_row, node);
	if (!row)
		row = row_new(r, side, full);
	if (row)
		row->refs++;
	pthread_mutex_unlock(&r->lock);
	return row;
}

void report_row_put(struct report_row *row)
{
	struct report *r = row ? row->report : NULL;

	if (!r)
		return;
	atomic_store(&row->used, clock_mono());
	pthread_mutex_lock(&r->lock);
	row->refs--;
	pthread_mutex_unlock(&r->lock);
}

static void set_now(struct report_row *row, unsigned value)
{
	if (atomic_load_explicit(&row->now, memory_order_relaxed) == value)
		return;
	atomic_store(&row->now, value);
	atomic_store(&row->changed, clock_wall());
}

void report_policy(struct report_row *row, enum spoken proto, enum decided by)
{
	unsigned value = (unsigned)by << 8 | proto;

	if (!row || atomic_exchange(&row->policy, value) == value)
		return;
	/* to be detected: what was detected stands until the next connection */
	if (proto != SPOKEN_NOTHING ||
		atomic_load(&row->now) >> 8 < DECIDED_BY_DETECTION)
		set_now(row, value);
}

void report_spoken(struct report_row *row, enum spoken what, enum decided by)
{
	if (!row)
		return;
	atomic_fetch_add_explicit(&row->count[what], 1, memory_order_relaxed);
	set_now(row, (unsigned)by << 8 | what);
}

void report_peer(struct report_row *row, enum hint hint)
{
	if (row)
		atomic_store_explicit(&row->hint, hint, memory_order_relaxed);
}

uint64_t report_count(const struct report_row *row, enum spoken what)
{
	return row ? atomic_load_explicit(&row->count[what], memory_order_relaxed) : 0;
}

bool report_may_warn(struct report_row *row)
{
	uint64_t now = clock_mono(), before;

	if (!row)
		return true;
	before = atomic_load(&row->warned);
	return (!before || now - before > WARN_EVERY) &&
	       atomic_compare_exchange_strong(&row->warned, &before, now);
}

/* ---- text ---- */

static const char *name_of(const struct report_row *row)
{
	return strchr(row->key, ' ') + 1;
}

static int port_of(const struct report_row *row)
{
	uint64_t n = 0;

	return slice_u64(slice_of(name_of(row)), 65535, &n) ? (int)n : 0;
}

static int compare(const void *a, const void *b)
{
	const struct report_row *x = *(struct report_row *const *)a;
	const struct report_row *y = *(struct report_row *const *)b;

	if (x->side != y->side)
		return x->side < y->side ? -1 : 1;
	if (x->side == SIDE_IN)
		return port_of(x) - port_of(y);
	return strcmp(x->key, y->key);
}

/* All rows, sorted, for a look with the lock held; NULL when memory is out. */
static struct report_row **sorted(struct report *r)
{
	struct report_row **v = calloc(r->rows.count + 1, sizeof(struct report_row *)),
			  *row;
	size_t n = 0;

	if (!v)
		return NULL;
	map_each(row, &r->rows, node) v[n++] = row;
	qsort(v, n, sizeof(struct report_row *), compare);
	return v;
}

static void write_each(struct report *r, struct buf *out,
	void (*write)(const struct report_row *row, bool first, struct buf *out))
{
	struct report_row **v;

	pthread_mutex_lock(&r->lock);
	v = sorted(r);
	for (size_t i = 0; v && v[i]; i++)
		write(v[i], i == 0, out);
	pthread_mutex_unlock(&r->lock);
	free((void *)v);
}

static const char *changed_text(const struct report_row *row, char text[CLOCK_TEXT])
{
	uint64_t at = atomic_load(&row->changed);

	if (!at)
		return "";
	clock_rfc3339(at, false, text);
	return text;
}

static void row_json(const struct report_row *row, bool first, struct buf *out)
{
	unsigned now = row->now, policy = row->policy;
	char text[CLOCK_TEXT];

	buf_printf(out, "%s\n{\"direction\":\"%s\",\"%s\":\"%s\",\"protocol\":\"%s\"",
		first ? "" : ",", row->side == SIDE_IN ? "inbound" : "outbound",
		row->side == SIDE_IN ? "port" : "target", name_of(row),
		spoken_names[now & 0xff]);
	buf_printf(out,
		",\"decided_by\":\"%s\",\"policy\":\"%s\",\"policy_from\":\"%s\"",
		decided_names[now >> 8], spoken_names[policy & 0xff],
		decided_names[policy >> 8]);
	if (row->side == SIDE_OUT)
		buf_printf(out, ",\"peer_hint\":\"%s\"", hint_names[row->hint]);
	buf_printf(
		out, ",\"changed\":\"%s\",\"connections\":{", changed_text(row, text));
	for (int i = SPOKEN_HTTP1; i < SPOKEN_KINDS; i++)
		buf_printf(out, "%s\"%s\":%llu", i == SPOKEN_HTTP1 ? "" : ",",
			count_names[i], (unsigned long long)row->count[i]);
	buf_text(out, "}}");
}

void report_write_json(struct report *r, struct buf *out)
{
	buf_text(out, "{\"ports\":[");
	write_each(r, out, row_json);
	buf_text(out, "\n]}\n");
}

static void row_text(const struct report_row *row, bool first, struct buf *out)
{
	unsigned now = row->now;
	char text[CLOCK_TEXT];

	(void)first;
	buf_printf(out, "%-9s %-28s %-8s %-10s %-20s",
		row->side == SIDE_IN ? "inbound" : "outbound", name_of(row),
		spoken_names[now & 0xff], decided_names[now >> 8],
		changed_text(row, text));
	for (int i = SPOKEN_HTTP1; i < SPOKEN_KINDS; i++)
		if (row->count[i])
			buf_printf(out, " %s=%llu", count_names[i],
				(unsigned long long)row->count[i]);
	buf_char(out, '\n');
}

void report_write_text(struct report *r, struct buf *out)
{
	buf_printf(out, "%-9s %-28s %-8s %-10s %-20s %s\n", "DIRECTION", "TARGET",
		"PROTOCOL", "DECIDED BY", "SINCE", "CONNECTIONS");
	write_each(r, out, row_text);
}
