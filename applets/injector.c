/* SPDX-License-Identifier: Apache-2.0 */
/* mesh-injector: the admission webhooks of pods and of policies. */
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/opt.h"
#include "ctl/admin.h"
#include "ctl/injector.h"
#include "ctl/keeper.h"

int injector_main(int argc, char **argv);

struct injector_app {
	struct injector_config cfg;
	struct addr admin_at;
	const char *kubeconfig, *log_level, *log_format;
	bool pprof;

	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct injector *injector;
	struct keeper *keeper; /* NULL when the namespace is not known */
	struct admin *admin;
	struct timer limit; /* of draining */
};

#define AT(field) offsetof(struct injector_app, field)

static const struct opt options[] = {
	{.flag = "addr",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.at),
		.preset = ":8443",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where the webhook is served, over HTTPS"},
	{.flag = "metrics-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(admin_at),
		.preset = ":9995",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where /ready and /metrics are served"},
	{.flag = "kubeconfig",
		.kind = OPT_TEXT,
		.offset = AT(kubeconfig),
		.arg = "FILE",
		.help = "how to reach the API server; in a pod: as the pod does"},
	{.flag = "controller-namespace",
		.kind = OPT_TEXT,
		.offset = AT(cfg.namespace),
		.arg = "NAME",
		.help = "namespace of the control plane; else the values say it"},
	{.flag = "linkerd-namespace",
		.kind = OPT_TEXT,
		.offset = AT(cfg.namespace),
		.arg = "NAME",
		.help = "the same"},
	{.flag = "values",
		.kind = OPT_TEXT,
		.offset = AT(cfg.values),
		.preset = "/var/run/linkerd/config/values",
		.arg = "FILE",
		.help = "values of the installation (YAML)"},
	{.flag = "trust-roots",
		.kind = OPT_TEXT,
		.offset = AT(cfg.anchors),
		.preset = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt",
		.arg = "FILE",
		.help = "whom the mesh trusts; absent: as the values say"},
	{.flag = "tls-cert",
		.kind = OPT_TEXT,
		.offset = AT(cfg.cert),
		.preset = "/var/run/linkerd/tls/tls.crt",
		.arg = "FILE",
		.help = "certificate of the webhook; read again when it changes"},
	{.flag = "tls-key",
		.kind = OPT_TEXT,
		.offset = AT(cfg.key),
		.preset = "/var/run/linkerd/tls/tls.key",
		.arg = "FILE",
		.help = "its key"},
	{.flag = "log-level",
		.kind = OPT_TEXT,
		.offset = AT(log_level),
		.preset = "info",
		.arg = "LEVEL",
		.help = "error, warn, info, debug"},
	{.flag = "log-format",
		.kind = OPT_TEXT,
		.offset = AT(log_format),
		.preset = "plain",
		.arg = "FORMAT",
		.help = "plain or json"},
	{.flag = "enable-pprof",
		.kind = OPT_BOOL,
		.offset = AT(pprof),
		.help = "accepted, without effect"},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-injector: %s\n", what);
}

static void on_drained(void *arg)
{
	struct injector_app *app = arg;

	loop_stop(app->loop);
}

static void on_limit(struct timer *t)
{
	on_drained(container_of(t, struct injector_app, limit));
}

/* The Lease first, so that another writes on while our last answers go out. */
static void on_released(void *arg)
{
	struct injector_app *app = arg;

	injector_drain(app->injector, on_drained, app);
}

static void on_term(void *arg, int signo)
{
	struct injector_app *app = arg;

	if (timer_is_set(&app->limit))
		return;
	log_info("injector", "draining", LI("signal", signo));
	timer_set(&app->limit, 10 * NS_PER_S);
	if (app->keeper)
		keeper_release(app->keeper, on_released, app);
	else
		on_released(app);
}

static bool is_ready(void *arg)
{
	struct injector_app *app = arg;

	return injector_is_ready(app->injector);
}

static void write_metrics(void *arg, struct buf *out)
{
	struct injector_app *app = arg;

	injector_metrics(app->injector, out);
	if (app->keeper)
		keeper_metrics(app->keeper, out);
}

static const struct json *values_of(void *arg)
{
	const struct injector_app *app = arg;

	return injector_values(app->injector);
}

static int start_keeper(struct injector_app *app, struct err *e)
{
	struct keeper_config cfg = {.namespace = app->cfg.namespace
							 ? app->cfg.namespace
							 : kube_namespace(app->kube),
		.values = values_of,
		.arg = app};

	if (!cfg.namespace) {
		log_warn("injector", "without -controller-namespace nothing is kept");
		return 0;
	}
	app->keeper = keeper_new(app->loop, app->kube, &cfg, e);
	return app->keeper ? 0 : -1;
}

static int start(struct injector_app *app, struct err *e)
{
	struct kube_config kube = {
		.kubeconfig = app->kubeconfig, .component = "mesh-injector"};
	struct admin_config admin = {.at = app->admin_at,
		.ready = is_ready,
		.metrics = write_metrics,
		.arg = app};

	if (log_flags_apply(app->log_level, app->log_format, e))
		return -1;
	app->loop = loop_new(e);
	app->dns = app->loop ? dns_new(app->loop, NULL, e) : NULL;
	app->kube = app->dns ? kube_new(app->loop, app->dns, &kube, e) : NULL;
	if (!app->kube)
		return -1;
	app->injector = injector_new(app->loop, app->kube, &app->cfg, e);
	if (!app->injector || start_keeper(app, e))
		return -1;
	app->admin = admin_new(app->loop, &admin, e);
	if (!app->admin)
		return -1;
	timer_init(&app->limit, app->loop, on_limit);
	if (loop_on_signal(app->loop, SIGTERM, on_term, app, e))
		return -1;
	return loop_on_signal(app->loop, SIGINT, on_term, app, e);
}

static void stop(struct injector_app *app)
{
	admin_free(app->admin);
	keeper_free(app->keeper);
	injector_free(app->injector);
	kube_free(app->kube);
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
}

int injector_main(int argc, char **argv)
{
	struct injector_app app = {0};
	struct err e = {0};
	int status = 0;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh-injector [option...]",
			"The admission webhooks: proxies into pods, and no wrong "
			"policies.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	if (start(&app, &e) || loop_run(app.loop, &e)) {
		fprintf(stderr, "mesh-injector: %s\n", e.msg);
		status = 1;
	}
	stop(&app);
	return status;
}
