/* SPDX-License-Identifier: Apache-2.0 */
/* Which ports a pod or Service has, and which of them carry bytes that are not looked
 * into. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/obj.h"
#include "ctl/inject_int.h"

static const char *const lists[] = {"initContainers", "containers"};

/* Hands the text over; "" when there is none. */
static char *steal(struct buf *b)
{
	char *text = buf_len(b) ? buf_steal(b) : slice_dup(SLICE(""));

	must(text);
	return text;
}

static void append(struct buf *b, struct slice part)
{
	if (buf_len(b))
		buf_char(b, ',');
	buf_adds(b, part);
}

static void append_number(struct buf *b, int64_t port)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)port);
	append(b, slice_of(text));
}

static bool is_port(int64_t n)
{
	return n > 0 && n < 65536;
}

static bool is_tcp(const struct json *port)
{
	return strcmp(json_text_or(port, "protocol", "TCP"), "TCP") == 0;
}

static int64_t port_named(const struct json *spec, struct slice name)
{
	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			json_each(port, json_get(c, "ports"))
			{
				if (slice_is(name, json_text_or(port, "name", "")))
					return json_int_at(port, "containerPort", 0);
			}
		}
	return 0;
}

char *ports_resolve(struct plan *p, const char *text)
{
	struct slice rest = slice_of(text), part;
	struct buf out = BUF_INIT;

	while (slice_cut(&rest, ',', &part)) {
		struct portset set = {{0}};
		int64_t named;

		part = slice_trim(part);
		if (!part.n)
			continue;
		named = port_named(p->spec, part);
		if (portset_parse(part, &set))
			append(&out, part);
		else if (is_port(named))
			append_number(&out, named);
		else
			plan_warn(p, "opaque-ports: the pod has no port named \"%.*s\"",
				SLICE_FMT(part));
	}
	return steal(&out);
}

/* ---- what a pod listens on ---- */

static void add_probe(const struct json *probe, struct portset *set)
{
	int64_t port = json_int_at(probe, "httpGet.port", 0);

	if (is_port(port))
		set->bits[port >> 6] |= UINT64_C(1) << (port & 63);
}

static void add_container(const struct json *c, struct portset *set)
{
	json_each(port, json_get(c, "ports"))
	{
		int64_t n = json_int_at(port, "containerPort", 0);

		if (is_tcp(port) && is_port(n))
			set->bits[n >> 6] |= UINT64_C(1) << (n & 63);
	}
	add_probe(json_get(c, "livenessProbe"), set);
	add_probe(json_get(c, "readinessProbe"), set);
	add_probe(json_get(c, "startupProbe"), set);
}

char *ports_inbound(const struct json *spec)
{
	struct portset set = {{0}};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			add_container(c, &set);
		}
	for (unsigned n = 1; n < 65536; n++)
		if (portset_has(&set, (uint16_t)n))
			append_number(&out, n);
	return steal(&out);
}

bool ports_are_udp(const struct json *spec)
{
	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			json_each(port, json_get(c, "ports"))
			{
				if (strcmp(json_text_or(port, "protocol", ""), "UDP") ==
					0)
					return true;
			}
		}
	return false;
}

/* ---- which of them are opaque ---- */

static bool add_if(const struct portset *opaque, int64_t port, struct buf *out)
{
	bool yes = is_port(port) && portset_has(opaque, (uint16_t)port);

	if (yes)
		append_number(out, port);
	return yes;
}

char *ports_of_pod(const struct json *spec, const char *text)
{
	struct portset opaque = {{0}};
	struct buf out = BUF_INIT;

	if (portset_parse(slice_of(text), &opaque))
		json_each(c, json_get(spec, "containers"))
		{
			json_each(port, json_get(c, "ports"))
			{
				(void)add_if(&opaque,
					json_int_at(port, "containerPort", 0), &out);
			}
		}
	return steal(&out);
}

/* By the target when it is a number: that is where the bytes go. */
char *ports_of_service(const struct json *spec, const char *text)
{
	struct portset opaque = {{0}};
	struct buf out = BUF_INIT;

	if (portset_parse(slice_of(text), &opaque))
		json_each(port, json_get(spec, "ports"))
		{
			const struct json *target = json_get(port, "targetPort");
			int64_t n = json_int_at(port, "port", 0),
				to = json_int(target, 0);

			if (json_kind(target) == JSON_TEXT)
				continue;
			if (is_port(n) &&
				portset_has(&opaque, (uint16_t)(is_port(to) ? to : n)))
				append_number(&out, n);
		}
	return steal(&out);
}
