/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"

#define DRAIN_MAX (10 * NS_PER_S)

static const struct role *const roles[] = {
	&role_web, &role_emoji, &role_voting, &role_traffic};

/* ---- for the roles ---- */

/* Within the loop, which frees what ends with the role at the end of the turn. */
static void on_end(struct later *d)
{
	struct app *app = container_of(d, struct app, end);

	app->role->stop(app);
	app->state = NULL;
	loop_stop(app->loop);
}

void app_drained(void *arg)
{
	struct app *app = arg;

	loop_later(app->loop, &app->end);
}

struct addr app_listen_at(int64_t port)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return (struct addr){.ip.family = fd >= 0 ? 6 : 4, .port = (uint16_t)port};
}

void app_says_where(const struct addr *at)
{
	char text[ADDR_TEXT];

	log_info("demo", "listening", LS("addr", addr_text(at, text)));
}

int place_opt(void *place, const char *text, struct err *e)
{
	struct place *p = place;
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	uint64_t port;

	if (n && *text == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (!n || n >= sizeof p->host ||
		!slice_u64(slice_of(colon + 1), UINT16_MAX, &port) || !port)
		return err_set(e, ERR_SYNTAX, "\"%s\" is not host:port", text);
	snprintf(p->host, sizeof p->host, "%.*s", (int)n, text);
	p->port = (uint16_t)port;
	return 0;
}

/* ---- the process ---- */

static void on_limit(struct timer *t)
{
	app_drained(container_of(t, struct app, limit));
}

static void on_term(void *arg, int signo)
{
	struct app *app = arg;

	if (app->draining) { /* asked twice */
		app_drained(app);
		return;
	}
	app->draining = true;
	log_info("demo", "ending", LI("signal", signo));
	timer_set(&app->limit, DRAIN_MAX);
	app->role->drain(app);
}

static int start(struct app *app, struct err *e)
{
	if (gethostname(app->pod, sizeof app->pod - 1))
		snprintf(app->pod, sizeof app->pod, "unknown");
	app->loop = loop_new(e);
	app->dns = app->loop ? dns_new(app->loop, NULL, e) : NULL;
	if (!app->dns)
		return -1;
	timer_init(&app->limit, app->loop, on_limit);
	later_init(&app->end, on_end);
	if (loop_on_signal(app->loop, SIGTERM, on_term, app, e) ||
		loop_on_signal(app->loop, SIGINT, on_term, app, e))
		return -1;
	return app->role->start(app, e);
}

static int run(struct app *app)
{
	struct err e = {0};
	int status = 0;

	if (start(app, &e) || loop_run(app->loop, &e)) {
		fprintf(stderr, "demo-app %s: %s\n", app->role->name, e.msg);
		status = 1;
		app->role->stop(app);
	}
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
	return status;
}

static void complain(void *arg, const char *what)
{
	const struct app *app = arg;

	fprintf(stderr, "demo-app %s: %s\n", app->role->name, what);
}

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: demo-app <role> [--help]\n\n");
	for (size_t i = 0; i < countof(roles); i++)
		fprintf(to, "  %-8s %s\n", roles[i]->name, roles[i]->help);
	return status;
}

static const struct role *find(const char *name)
{
	for (size_t i = 0; i < countof(roles); i++)
		if (strcmp(roles[i]->name, name) == 0)
			return roles[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct app app = {.role = argc > 1 ? find(argv[1]) : NULL};
	char synopsis[64];

	if (!app.role && opt_asks_help(argc, argv))
		return usage(stdout, 0);
	if (!app.role)
		return usage(stderr, 64);
	if (opt_asks_help(argc, argv)) {
		snprintf(synopsis, sizeof synopsis, "demo-app %s", app.role->name);
		opt_help(stdout, synopsis, app.role->help, app.role->options,
			app.role->noptions);
		return 0;
	}
	if (opt_read(app.role->options, app.role->noptions, &app, argc - 1, argv + 1,
		    NULL, complain, &app))
		return 64;
	signal(SIGPIPE, SIG_IGN);
	return run(&app);
}
