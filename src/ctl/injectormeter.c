/* SPDX-License-Identifier: Apache-2.0 */
/* How often was asked and what was answered, by owner kind, namespace and settings. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/obj.h"
#include "ctl/injectorint.h"

#define SERIES_MAX 2000
#define VALUE_MAX  64 /* of a label */

struct series {
	struct map_node node;
	char *text; /* name and labels, as printed */
	uint64_t count;
};

static void label(struct buf *b, const char *name, const char *value)
{
	size_t n = strnlen(value, VALUE_MAX);

	if (b->p[b->end - 1] != '{')
		buf_char(b, ',');
	buf_printf(b, "%s=\"", name);
	buf_json(b, slice_bytes(value, n));
	buf_char(b, '"');
}

/* "proxy-cpu-limit" as a label's name. */
static void setting_label(struct buf *b, const struct json *setting)
{
	char name[80];
	size_t n = (size_t)snprintf(name, sizeof name, "%s", json_key(setting));

	for (size_t i = 0; i < n && i < sizeof name; i++)
		if (name[i] == '-')
			name[i] = '_';
	label(b, name, json_text(setting));
}

static void common_labels(struct buf *b, const struct injector_told *t)
{
	label(b, "owner_kind", t->owner_kind);
	label(b, "namespace", t->namespace);
	label(b, "annotation_at", t->out->annotation_at);
	json_each(s, t->out->config)
	{
		setting_label(b, s);
	}
}

static void count(struct injector_meter *m, struct buf *b)
{
	struct series *s = map_get(&m->series, buf_slice(b), struct series, node);

	if (!s && m->series.count < SERIES_MAX && !b->failed) {
		s = calloc(1, sizeof *s);
		must(s);
		s->text = slice_dup(buf_slice(b));
		must(s->text);
		must(map_insert(&m->series, &s->node, slice_of(s->text)) == 0);
	}
	if (s)
		s->count++;
	else
		m->other++;
	buf_fini(b);
}

static void skip_reasons(struct buf *b, const struct injector_told *t)
{
	struct buf all = BUF_INIT;

	for (unsigned r = 0; r < INJECT_REASON_COUNT; r++)
		if (!t->out->injected && t->out->reasons & 1u << r)
			buf_printf(&all, "%s%s", buf_len(&all) ? "," : "",
				inject_reason_label(r));
	if (t->refused)
		buf_text(&all, "refused");
	buf_char(&all, '\0');
	label(b, "skip_reason", all.p ? all.p : "");
	buf_fini(&all);
}

void injector_count(struct injector_meter *m, const struct injector_told *t)
{
	struct buf asked = BUF_LIMIT(8192), answered = BUF_LIMIT(8192);

	buf_text(&asked, "proxy_inject_admission_requests_total{");
	common_labels(&asked, t);
	buf_char(&asked, '}');
	count(m, &asked);
	buf_text(&answered, "proxy_inject_admission_responses_total{");
	common_labels(&answered, t);
	label(&answered, "skip", t->out->injected ? "false" : "true");
	skip_reasons(&answered, t);
	buf_char(&answered, '}');
	count(m, &answered);
}

static void write_family(
	const struct injector_meter *m, const char *name, struct buf *out)
{
	struct series *s;

	buf_printf(out, "# TYPE %s counter\n", name);
	map_each(s, &m->series, node)
	{
		if (strncmp(s->text, name, strlen(name)) == 0)
			buf_printf(out, "%s %" PRIu64 "\n", s->text, s->count);
	}
}

void injector_meter_write(const struct injector_meter *m, struct buf *out)
{
	write_family(m, "proxy_inject_admission_requests_total", out);
	write_family(m, "proxy_inject_admission_responses_total", out);
	buf_text(out, "# TYPE proxy_inject_admission_series_dropped_total counter\n");
	buf_printf(out, "proxy_inject_admission_series_dropped_total %" PRIu64 "\n",
		m->other);
}

void injector_meter_fini(struct injector_meter *m)
{
	struct series *s;

	map_each(s, &m->series, node)
	{
		map_remove(&m->series, &s->node);
		free(s->text);
		free(s);
	}
	map_fini(&m->series);
}
