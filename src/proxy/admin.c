/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "proxy/admin_int.h"

static void get_live(struct call *c)
{
	call_text(c, 200, "live\n");
}

static void get_ready(struct call *c)
{
	const char *missing = admin_of(c)->hooks.missing(admin_of(c)->hooks.arg);

	if (missing)
		call_text(c, 503, "not ready\nno identity: %s\n", missing);
	else
		call_text(c, 200, "ready\n");
}

bool admin_is_local(struct call *c)
{
	if (ip_is_loopback(&c->peer.ip))
		return true;
	call_text(c, 403, "Requests are only permitted from localhost.\n");
	return false;
}

static void post_shutdown(struct call *c)
{
	struct admin *a = admin_of(c);

	if (!slice_is(c->req->method, "POST")) {
		call_header(c, "allow", "POST");
		call_text(c, 405, "POST\n");
		return;
	}
	if (!admin_is_local(c))
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
	{"*", "/metrics", admin_get_metrics},
	{"GET", "/ports", admin_get_ports},
	{"GET", "/ports.json", admin_get_ports_json},
	{"*", "/proxy-log-level", admin_log_level},
	{"*", "/logs.json", admin_follow_log},
	{"GET", "/env.json", admin_get_env},
	{"*", "/shutdown", post_shutdown},
	{"*", "/quitquitquit", post_shutdown},
};

static bool permit(struct call *c)
{
	return admin_policy_permits(admin_of(c)->policy, c);
}

int proxy_admin_guard(struct admin *a, struct disco *d, struct err *e)
{
	a->policy = admin_policy_new(a->loop, d, a->cfg->admin_listen.port);
	return a->policy ? 0 : err_set(e, ERR_LIMIT, "no memory for a policy");
}

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
		.permit = permit,
		.arg = a};

	if (!a) {
		err_set(e, ERR_LIMIT, "no memory for the admin server");
		return NULL;
	}
	a->cfg = cfg;
	a->loop = l;
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
