/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/log.h"
#include "http/accept.h"
#include "proxy/admin_int.h"
#include "proxy/report.h"
#include "wire/gzip.h"

#define PLAIN        "text/plain"
#define OPEN_METRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

static unsigned weight(const struct call *c, const char *list, const char *what)
{
	const struct field *f = fields_find(&c->req->fields, slice_of(list));

	return f ? accept_weight(f->value, slice_of(what)) : 0;
}

/* ---- metrics ---- */

/* OpenMetrics only for who would rather have it than what everybody can read. */
static bool wants_open(const struct call *c)
{
	return weight(c, "accept", "application/openmetrics-text") >
	       weight(c, "accept", "text/plain");
}

void admin_get_metrics(struct call *c)
{
	struct buf text = BUF_INIT, packed = BUF_INIT;
	bool open = wants_open(c);

	log_tick();
	metrics_write(admin_of(c)->metrics, open, &text);
	call_header(c, "vary", "accept, accept-encoding");
	if (weight(c, "accept-encoding", "gzip") &&
		gzip(buf_slice(&text), &packed) == 0) {
		call_header(c, "content-encoding", "gzip");
		call_reply(c, 200, open ? OPEN_METRICS : PLAIN, buf_slice(&packed));
	} else {
		call_reply(c, 200, open ? OPEN_METRICS : PLAIN, buf_slice(&text));
	}
	buf_fini(&text);
	buf_fini(&packed);
}

/* ---- ports ---- */

void admin_get_ports(struct call *c)
{
	struct buf b = BUF_INIT;

	report_write_text(admin_of(c)->hooks.report, &b);
	call_reply(c, 200, "text/plain; charset=utf-8", buf_slice(&b));
	buf_fini(&b);
}

void admin_get_ports_json(struct call *c)
{
	struct buf b = BUF_INIT;

	report_write_json(admin_of(c)->hooks.report, &b);
	call_reply(c, 200, "application/json", buf_slice(&b));
	buf_fini(&b);
}

/* ---- settings ---- */

static bool is_secret(struct slice name)
{
	return slice_ends(name, SLICE("_KEY")) || slice_ends(name, SLICE("_TOKEN"));
}

/* Those asked for, or all of the proxy's own. */
static bool wanted(struct call *c, struct slice name)
{
	struct slice query = c->query, one;

	if (!query.n)
		return slice_starts(name, SLICE("LINKERD2_PROXY_"));
	while (slice_cut(&query, '&', &one))
		if (slice_eq(one, name))
			return true;
	return false;
}

static void write_variable(struct buf *b, struct slice name, struct slice value)
{
	buf_text(b, buf_len(b) > 1 ? ",\"" : "\"");
	buf_json(b, name);
	buf_text(b, "\":\"");
	buf_json(b, value);
	buf_char(b, '"');
}

static bool env_is_refused(struct call *c)
{
	if (fields_find(&c->req->fields, SLICE("accept")) &&
		!weight(c, "accept", "application/json")) {
		call_text(c, 406, "application/json is what there is\n");
		return true;
	}
	if (!c->query.n || !memchr(c->query.p, '=', c->query.n))
		return false;
	call_reply(c, 400, "application/json",
		SLICE("{\"error\":\"the query is names, joined by &\"}"));
	return true;
}

void admin_get_env(struct call *c)
{
	struct buf b = BUF_INIT;

	if (env_is_refused(c))
		return;
	buf_char(&b, '{');
	for (char **env = environ; *env; env++) {
		struct slice value = slice_of(*env), name;

		slice_cut(&value, '=', &name);
		if (wanted(c, name) && !is_secret(name) && value.p)
			write_variable(&b, name, value);
	}
	buf_text(&b, "}\n");
	call_reply(c, 200, "application/json", buf_slice(&b));
	buf_fini(&b);
}
