/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The role that people see: a page, and what the page asks for.
 *
 *	GET /, /leaderboard       the page
 *	GET /api/list             [{"shortcode", "unicode"}]
 *	GET /api/vote?choice=:x:  {"shortcode", "unicode"}
 *	GET /api/leaderboard      [{"shortcode", "unicode", "votes"}], most votes first
 *
 * An error is {"error", "status"}, the status being gRPC's name for it.
 */
#include "web.h"

#include "base/obj.h"
#include "page.h"
#include "rpc.h"

static const struct opt options[] = {
	PORT_OPT("WEB_PORT"),
	PLACE_OPT("EMOJISVC_HOST", emojisvc, "the emoji service"),
	PLACE_OPT("VOTINGSVC_HOST", votingsvc, "the voting service"),
};

static void get_page(struct call *c)
{
	call_header(c, "cache-control", "no-cache");
	call_header(c, "content-security-policy",
		"default-src 'none'; connect-src 'self'; img-src data:; "
		"script-src 'unsafe-inline'; style-src 'unsafe-inline'");
	call_reply(c, 200, "text/html; charset=utf-8", page_text());
}

static void get_ready(struct call *c)
{
	call_text(c, 200, "ok\n");
}

static void get_other(struct call *c)
{
	if (slice_is(c->path, "/"))
		get_page(c);
	else
		call_text(c, 404, "there is nothing here\n");
}

static const struct route routes[] = {
	{"GET", "/ready", get_ready},
	{"GET", "/api/list", ask_list},
	{"GET", "/api/vote", ask_vote},
	{"GET", "/api/leaderboard", ask_leaderboard},
	{"GET", "/leaderboard", get_page},
	{"GET", "/", get_other},
};

static int start(struct app *app, struct err *e)
{
	struct web *w = app->state = calloc(1, sizeof *w);
	struct site_config site = {.at = app_listen_at(app->port),
		.routes = routes,
		.nroutes = countof(routes),
		.arg = w};

	must(w);
	w->app = app;
	w->emoji = rpc_channel(app, &app->emojisvc, e);
	w->voting = w->emoji ? rpc_channel(app, &app->votingsvc, e) : NULL;
	w->site = w->voting ? site_new(app->loop, &site, e) : NULL;
	if (!w->site)
		return -1;
	app_says_where(site_addr(w->site));
	return 0;
}

static void drain(struct app *app)
{
	site_drain(((struct web *)app->state)->site, app_drained, app);
}

static void stop(struct app *app)
{
	struct web *w = app->state;

	if (!w)
		return;
	site_free(w->site); /* its calls let go of the channels */
	channel_free(w->emoji);
	channel_free(w->voting);
	free(w);
}

const struct role role_web = {.name = "web",
	.help = "the page and its API (HTTP); asks the emoji and the voting service",
	.options = options,
	.noptions = countof(options),
	.start = start,
	.drain = drain,
	.stop = stop};
