/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh-validator: the init container of pods that the CNI plugin redirects.  No
 * container of the pod starts before it has seen that the redirection works.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/opt.h"
#include "cni/prove.h"
#include "ctl/admin.h"

#define NOT_REDIRECTED 95 /* EOPNOTSUPP: by it `mesh-cni repair` knows the pod */
#define TARGETS        4

int validator_main(int argc, char **argv);

struct validator_app {
	struct addr listen, to[TARGETS];
	size_t n;
	uint64_t timeout;
	const char *log_level, *log_format;
};

static int targets_opt(void *field, const char *text, struct err *e)
{
	struct validator_app *app = field;
	struct slice rest = slice_of(text), part;

	app->n = 0;
	while (slice_cut(&rest, ',', &part)) {
		if (app->n == TARGETS)
			return err_set(e, ERR_LIMIT, "more than %d", TARGETS);
		if (!addr_parse(slice_trim(part), &app->to[app->n++]))
			return err_set(e, ERR_SYNTAX, "\"%.*s\" is not ADDRESS:PORT",
				SLICE_FMT(part));
	}
	return app->n ? 0 : err_set(e, ERR_MISSING, "no address");
}

#define AT(field) offsetof(struct validator_app, field)

static const struct opt options[] = {
	{.flag = "connect-addr",
		.kind = OPT_CUSTOM,
		.offset = 0,
		.preset = "1.1.1.1:20001,[fd00::1]:20001",
		.parse = targets_opt,
		.arg = "ADDRS",
		.help = "addresses outside, one of each family, that nobody has to "
			"have"},
	{.flag = "listen-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(listen),
		.preset = "0.0.0.0:4140",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where connections are redirected to: the proxy's outbound "
			"port"},
	{.flag = "timeout",
		.kind = OPT_DURATION,
		.offset = AT(timeout),
		.preset = "10s",
		.arg = "TIME",
		.help = "for all of them"},
	{.flag = "log-level",
		.env = "LINKERD_NETWORK_VALIDATOR_LOG_LEVEL",
		.kind = OPT_TEXT,
		.offset = AT(log_level),
		.preset = "info",
		.arg = "LEVEL",
		.help = "error, warn, info, debug"},
	{.flag = "log-format",
		.env = "LINKERD_NETWORK_VALIDATOR_LOG_FORMAT",
		.kind = OPT_TEXT,
		.offset = AT(log_format),
		.preset = "plain",
		.arg = "FORMAT",
		.help = "plain or json"},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-validator: %s\n", what);
}

static void fail(const struct addr *to, const struct err *e)
{
	char text[ADDR_TEXT];

	log_error("validator", "this pod's traffic does not go through its proxy",
		LS("to", addr_text(to, text)), LE(e));
	if (e->code == ERR_BUSY)
		complain(NULL, "another container of this pod listens on the proxy's "
			       "port: change it, or config.linkerd.io/outbound-port");
	else
		complain(NULL,
			"the CNI plugin has not redirected this pod: is the mesh-cni "
			"pod of this node ready (kubectl get pods -A -l "
			"k8s-app=mesh-cni -o wide), and is mesh-cni the last plugin "
			"of the first file in the node's /etc/cni/net.d?  While it "
			"runs, mesh-cni repairs this pod by itself");
}

static int prove_all(const struct validator_app *app)
{
	uint64_t deadline = clock_mono() + app->timeout;
	char text[ADDR_TEXT];
	size_t proven = 0;

	for (size_t i = 0; i < app->n; i++) {
		struct proof p = {app->listen, app->to[i], deadline};
		struct err e = {0};
		int rc = prove_redirect(&p, &e);

		addr_text(&app->to[i], text);
		if (rc < 0) {
			fail(&app->to[i], &e);
			return NOT_REDIRECTED;
		}
		if (rc > 0)
			log_info("validator",
				"there is no way to it from here, past "
				"the proxy or not",
				LS("to", text));
		else
			log_info("validator", "redirected", LS("to", text));
		proven += rc == 0;
	}
	if (proven)
		return 0;
	complain(NULL, "this pod has no route to any address outside: has its network "
		       "been made?  Nothing could be proven");
	return NOT_REDIRECTED;
}

static void on_term(int signo)
{
	(void)signo;
	_exit(NOT_REDIRECTED);
}

int validator_main(int argc, char **argv)
{
	static struct validator_app app;
	struct err e = {0};

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh-validator [option...]",
			"Proves that this pod's traffic goes through its proxy.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	if (log_flags_apply(app.log_level, app.log_format, &e)) {
		complain(NULL, e.msg);
		return 64;
	}
	(void)signal(SIGTERM, on_term); /* PID 1 ignores it otherwise */
	(void)signal(SIGINT, on_term);
	return prove_all(&app);
}
