/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/admin.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"

struct admin {
	struct admin_config cfg;
	struct site *site;
	uint64_t since; /* wall */
};

static struct admin *admin_of(struct call *c)
{
	return c->site_arg;
}

static void get_ping(struct call *c)
{
	call_text(c, 200, "pong\n");
}

static void get_live(struct call *c)
{
	call_text(c, 200, "ok\n");
}

static void get_ready(struct call *c)
{
	struct admin *a = admin_of(c);

	if (a->cfg.ready(a->cfg.arg))
		call_text(c, 200, "ok\n");
	else
		call_text(c, 500, "not ready\n");
}

static void get_metrics(struct call *c)
{
	struct admin *a = admin_of(c);
	struct buf out = BUF_INIT;

	buf_text(&out, "# TYPE process_start_time_seconds gauge\n");
	buf_printf(&out, "process_start_time_seconds %.3f\n",
		(double)a->since / (double)NS_PER_S);
	if (a->cfg.metrics)
		a->cfg.metrics(a->cfg.arg, &out);
	call_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&out));
	buf_fini(&out);
}

static const struct route routes[] = {
	{"GET", "/ping", get_ping},
	{"GET", "/live", get_live},
	{"GET", "/ready", get_ready},
	{"GET", "/metrics", get_metrics},
};

struct admin *admin_new(struct loop *l, const struct admin_config *cfg, struct err *e)
{
	struct admin *a = calloc(1, sizeof *a);
	struct site_config site = {
		.at = cfg->at,
		.routes = routes,
		.nroutes = countof(routes),
		.arg = a,
	};

	must(a);
	a->cfg = *cfg;
	a->since = clock_wall();
	a->site = site_new(l, &site, e);
	if (!a->site) {
		free(a);
		err_wrap(e, "admin server");
		return NULL;
	}
	return a;
}

const struct addr *admin_addr(const struct admin *a)
{
	return site_addr(a->site);
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	site_free(a->site);
	free(a);
}

/* ---- flags ---- */

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int listen_addr_parse(const char *text, struct addr *out, struct err *e)
{
	uint64_t port;

	if (*text != ':')
		return addr_parse(slice_of(text), out)
			       ? 0
			       : err_set(e, ERR_SYNTAX, "\"%s\" is no address", text);
	if (!slice_u64(slice_of(text + 1), UINT16_MAX, &port))
		return err_set(e, ERR_SYNTAX, "\"%s\" is no port", text);
	*out = (struct addr){.ip.family = has_ipv6() ? 6 : 4, .port = (uint16_t)port};
	return 0;
}

int listen_addr_opt(void *field, const char *text, struct err *e)
{
	return listen_addr_parse(text, field, e);
}

int log_flags_apply(const char *level, const char *format, struct err *e)
{
	if (strcmp(format, "plain") != 0 && strcmp(format, "json") != 0)
		return err_set(e, ERR_SYNTAX, "-log-format: neither plain nor json");
	log_json(strcmp(format, "json") == 0);
	return log_filter_set(slice_of(level), e) ? err_wrap(e, "-log-level") : 0;
}
