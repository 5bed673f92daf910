/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh-await: waits until the proxy of this pod is ready, then ends, or becomes the
 * program that is given.  The hook of proxies that are no native sidecars.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/opt.h"
#include "http/channel.h"

#define AGAIN (100 * NS_PER_MS)

int await_main(int argc, char **argv);

struct await_app {
	int64_t port;
	uint64_t timeout, backoff;

	struct loop *loop;
	struct dns *dns;
	struct channel *channel;
	struct fetch *fetch; /* on its way, or NULL */
	struct timer again, limit;
	int status; /* of the last answer */
	bool ready;
};

#define AT(field) offsetof(struct await_app, field)

static const struct opt options[] = {
	{.flag = "port",
		.brief = 'p',
		.kind = OPT_INT,
		.offset = AT(port),
		.preset = "4191",
		.min = 1,
		.max = 65535,
		.arg = "PORT",
		.help = "the proxy's admin port"},
	{.flag = "timeout",
		.brief = 't',
		.kind = OPT_DURATION,
		.offset = AT(timeout),
		.preset = "0",
		.arg = "TIME",
		.help = "give up after; 0: never"},
	{.flag = "backoff",
		.brief = 'b',
		.kind = OPT_DURATION,
		.offset = AT(backoff),
		.preset = "100ms",
		.arg = "TIME",
		.help = "between two looks"},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-await: %s\n", what);
}

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	struct await_app *app = arg;

	(void)f;
	app->status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	(void)arg, (void)f, (void)bytes;
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	struct await_app *app = arg;

	(void)f;
	app->fetch = NULL;
	app->ready = e->code == ERR_NONE && app->status == 200;
	if (app->ready)
		loop_stop(app->loop);
	else
		timer_set(&app->again, app->backoff ? app->backoff : AGAIN);
}

static void on_again(struct timer *t)
{
	static const struct fetch_user user = {on_head, on_data, on_over};
	static const struct fetch_spec spec = {.method = "GET", .path = "/ready"};
	struct await_app *app = container_of(t, struct await_app, again);

	app->status = 0;
	app->fetch = fetch_begin(app->channel, &spec, &user, app, NULL);
	if (!app->fetch)
		timer_set(&app->again, AGAIN);
}

static void on_limit(struct timer *t)
{
	struct await_app *app = container_of(t, struct await_app, limit);

	loop_stop(app->loop);
}

static int wait_ready(struct await_app *app, struct err *e)
{
	struct channel_config to = {.host = "127.0.0.1",
		.port = (uint16_t)app->port,
		.kind = HTTP_KIND_1,
		.backoff_min = AGAIN,
		.backoff_max = AGAIN};

	app->loop = loop_new(e);
	app->dns = app->loop ? dns_new(app->loop, NULL, e) : NULL;
	app->channel = app->dns ? channel_new(app->loop, app->dns, &to, e) : NULL;
	if (!app->channel)
		return -1;
	timer_init(&app->again, app->loop, on_again);
	timer_init(&app->limit, app->loop, on_limit);
	timer_set(&app->again, 0);
	if (app->timeout)
		timer_set(&app->limit, app->timeout);
	return loop_run(app->loop, e);
}

static void stop(struct await_app *app)
{
	if (app->fetch)
		fetch_end(app->fetch);
	if (app->channel)
		channel_free(app->channel);
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
}

int await_main(int argc, char **argv)
{
	struct await_app app = {0};
	struct err e = {0};
	int n = 0, r;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh-await [option...] [-- COMMAND...]",
			"Waits until the proxy of this pod is ready.", options,
			countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, &n, complain, NULL))
		return 64;
	r = wait_ready(&app, &e);
	stop(&app);
	if (r || !app.ready) {
		complain(NULL, r ? e.msg : "the proxy is not ready");
		return 69;
	}
	if (n == 0)
		return 0;
	argv[1 + n] = NULL;
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
