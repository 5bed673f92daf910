/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "http/site.h"
#include "proxy/control.h"

struct admin {
	struct site *site;
	const struct proxy_config *cfg;
	struct metrics *metrics;
	struct admin_hooks hooks;
};

static struct admin *admin_of(struct call *c)
{
	return c->site_arg;
}

static void get_live(struct call *c)
{
	call_text(c, 200, "live\n");
}

static void get_ready(struct call *c)
{
	if (admin_of(c)->hooks.is_ready(admin_of(c)->hooks.arg))
		call_text(c, 200, "ready\n");
	else
		call_text(c, 503, "not ready\n");
}

static void get_metrics(struct call *c)
{
	struct buf b = BUF_INIT;

	metrics_write(admin_of(c)->metrics, false, &b);
	call_reply(c, 200, "text/plain", buf_slice(&b));
	buf_fini(&b);
}

/* For what changes the proxy: only the pod itself may. */
static bool is_local(struct call *c)
{
	if (ip_is_loopback(&c->peer.ip))
		return true;
	call_text(c, 403, "Requests are only permitted from localhost.\n");
	return false;
}

static void log_level(struct call *c)
{
	char text[512];
	struct err e;

	if (!is_local(c))
		return;
	if (slice_is(c->req->method, "GET")) {
		log_filter_get(text, sizeof text);
		call_text(c, 200, "%s\n", text);
	} else if (!slice_is(c->req->method, "PUT")) {
		call_text(c, 405, "GET or PUT\n");
	} else if (log_filter_set(slice_trim(c->body), &e) < 0) {
		call_text(c, 400, "%s\n", e.msg);
	} else {
		call_text(c, 204, "%s", "");
	}
}

static bool is_secret(struct slice name)
{
	return slice_ends(name, SLICE("_KEY")) || slice_ends(name, SLICE("_TOKEN"));
}

/* One variable as a JSON member; those asked for, or all of the proxy's own. */
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

static void get_env(struct call *c)
{
	struct buf b = BUF_INIT;
	bool first = true;

	if (c->query.n && memchr(c->query.p, '=', c->query.n)) {
		call_reply(c, 400, "application/json",
			SLICE("{\"error\":\"the query is names, joined by &\"}"));
		return;
	}
	buf_char(&b, '{');
	for (char **env = environ; *env; env++) {
		struct slice value = slice_of(*env), name;

		slice_cut(&value, '=', &name);
		if (!wanted(c, name) || is_secret(name) || !value.p)
			continue;
		buf_text(&b, first ? "\"" : ",\"");
		first = false;
		buf_json(&b, name);
		buf_text(&b, "\":\"");
		buf_json(&b, value);
		buf_char(&b, '"');
	}
	buf_text(&b, "}\n");
	call_reply(c, 200, "application/json", buf_slice(&b));
	buf_fini(&b);
}

static void post_shutdown(struct call *c)
{
	struct admin *a = admin_of(c);

	if (!slice_is(c->req->method, "POST")) {
		call_text(c, 405, "POST\n");
		return;
	}
	if (!is_local(c))
		return;
	if (!a->cfg->shutdown_endpoint) {
		call_text(c, 404, "shutdown endpoint is not enabled\n");
		return;
	}
	call_text(c, 200, "shutdown\n");
	a->hooks.shutdown(a->hooks.arg);
}

static const struct route routes[] = {
	{"*", "/live", get_live},
	{"*", "/ready", get_ready},
	{"*", "/metrics", get_metrics},
	{"*", "/proxy-log-level", log_level},
	{"GET", "/env.json", get_env},
	{"*", "/shutdown", post_shutdown},
	{"*", "/quitquitquit", post_shutdown},
};

struct admin *proxy_admin_start(struct loop *l, const struct proxy_config *cfg,
	struct metrics *metrics, struct snap *creds, const struct admin_hooks *hooks,
	struct err *e)
{
	struct admin *a = calloc(1, sizeof *a);
	struct site_config site = {.at = cfg->admin_listen,
		.creds = creds,
		.also_plain = true,
		.ask_client_cert = true,
		.routes = routes,
		.nroutes = countof(routes),
		.arg = a};

	if (!a) {
		err_set(e, ERR_LIMIT, "no memory for the admin server");
		return NULL;
	}
	a->cfg = cfg;
	a->metrics = metrics;
	a->hooks = *hooks;
	a->site = site_new(l, &site, e);
	if (a->site)
		return a;
	free(a);
	return NULL;
}

void proxy_admin_free(struct admin *a)
{
	site_free(a->site);
	free(a);
}
