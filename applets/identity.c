/* SPDX-License-Identifier: Apache-2.0 */
/* mesh-identity: the certificate authority of the mesh. */
#include <signal.h>

#include "applets.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/access.h"
#include "ctl/admin.h"
#include "ctl/identity.h"

int identity_main(int argc, char **argv);

struct identity_app {
	struct identity_config cfg;
	struct addr admin_at;
	const char *kubeconfig, *log_level, *log_format;
	int64_t qps, burst;
	bool pprof;

	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct identity *identity;
	struct admin *admin;
	struct access *access;
	struct timer limit; /* of draining */
	int status;
};

#define AT(field) offsetof(struct identity_app, field)

static const struct opt options[] = {
	{.flag = "addr",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.at),
		.preset = ":8080",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where gRPC is served"},
	{.flag = "admin-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(admin_at),
		.preset = ":9990",
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
		.preset = "mesh",
		.arg = "NAME",
		.help = "namespace of the control plane"},
	{.flag = "identity-scheme",
		.kind = OPT_TEXT,
		.offset = AT(cfg.scheme),
		.preset = "",
		.arg = "SCHEME",
		.help = "linkerd.io/tls (crt.pem, key.pem) or kubernetes.io/tls"},
	{.flag = "identity-trust-domain",
		.kind = OPT_TEXT,
		.offset = AT(cfg.trust_domain),
		.preset = "",
		.arg = "DOMAIN",
		.help = "end of every identity"},
	{.flag = "identity-issuance-lifetime",
		.kind = OPT_DURATION,
		.offset = AT(cfg.lifetime),
		.preset = "24h",
		.arg = "TIME",
		.help = "how long certificates live"},
	{.flag = "identity-clock-skew-allowance",
		.kind = OPT_DURATION,
		.offset = AT(cfg.skew),
		.preset = "10s",
		.arg = "TIME",
		.help = "by how much clocks may differ"},
	{.flag = "issuer",
		.kind = OPT_TEXT,
		.offset = AT(cfg.issuer_dir),
		.preset = "/var/run/linkerd/identity/issuer",
		.arg = "DIR",
		.help = "where the issuer's certificate and key are"},
	{.flag = "trust-roots",
		.kind = OPT_TEXT,
		.offset = AT(cfg.anchors),
		.preset = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt",
		.arg = "FILE",
		.help = "whom the mesh trusts"},
	{.flag = "trust-roots-settle",
		.kind = OPT_DURATION,
		.offset = AT(cfg.settle),
		.preset = "2m",
		.arg = "TIME",
		.help = "a new issuer waits until the roots have been the same for it"},
	{.flag = "deployment",
		.kind = OPT_TEXT,
		.offset = AT(cfg.deployment),
		.preset = "mesh-identity",
		.arg = "NAME",
		.help = "events about the issuer are written about it"},
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
	{.flag = "kube-apiclient-qps",
		.kind = OPT_INT,
		.offset = AT(qps),
		.preset = "100",
		.help = "accepted, without effect"},
	{.flag = "kube-apiclient-burst",
		.kind = OPT_INT,
		.offset = AT(burst),
		.preset = "200",
		.help = "accepted, without effect"},
	{.flag = "enable-pprof",
		.kind = OPT_BOOL,
		.offset = AT(pprof),
		.help = "accepted, without effect"},
};

static const struct access_what reviews = {
	"create", "authentication.k8s.io", "tokenreviews"};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-identity: %s\n", what);
}

static void on_access(void *arg, bool allowed, const char *why)
{
	struct identity_app *app = arg;

	if (allowed)
		return;
	log_error("identity", "tokens cannot be reviewed", LS("error", why));
	app->status = 1;
	loop_stop(app->loop);
}

static void on_drained(void *arg)
{
	struct identity_app *app = arg;

	loop_stop(app->loop);
}

static void on_limit(struct timer *t)
{
	on_drained(container_of(t, struct identity_app, limit));
}

static void on_term(void *arg, int signo)
{
	struct identity_app *app = arg;

	log_info("identity", "draining", LI("signal", signo));
	timer_set(&app->limit, 10 * NS_PER_S);
	identity_drain(app->identity, on_drained, app);
}

static int start(struct identity_app *app, struct err *e)
{
	struct kube_config kube = {
		.kubeconfig = app->kubeconfig, .component = "mesh-identity"};
	struct admin_config admin = {.at = app->admin_at,
		.ready = identity_is_ready,
		.metrics = identity_metrics};

	if (log_flags_apply(app->log_level, app->log_format, e))
		return -1;
	app->loop = loop_new(e);
	app->dns = app->loop ? dns_new(app->loop, NULL, e) : NULL;
	app->kube = app->dns ? kube_new(app->loop, app->dns, &kube, e) : NULL;
	if (!app->kube)
		return -1;
	app->identity = identity_new(app->loop, app->kube, &app->cfg, e);
	if (!app->identity)
		return -1;
	admin.arg = app->identity;
	app->admin = admin_new(app->loop, &admin, e);
	if (!app->admin)
		return -1;
	timer_init(&app->limit, app->loop, on_limit);
	app->access = access_new(app->loop, app->kube, &reviews, on_access, app);
	if (loop_on_signal(app->loop, SIGTERM, on_term, app, e))
		return -1;
	return loop_on_signal(app->loop, SIGINT, on_term, app, e);
}

static void stop(struct identity_app *app)
{
	access_free(app->access);
	admin_free(app->admin);
	identity_free(app->identity);
	kube_free(app->kube);
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
}

/* Its flags are those of the control plane; without them there is none, and what is
 * asked for are the certificates of pods. */
static bool serves_identity(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(argv[i], "-identity-") == argv[i] ||
			strstr(argv[i], "--identity-") == argv[i])
			return true;
	return false;
}

int identity_main(int argc, char **argv)
{
	struct identity_app app = {0};
	struct err e = {0};

	if (opt_asks_help(argc, argv)) {
		identities_help();
		opt_help(stdout, "mesh identity --identity-scheme=SCHEME [option...]",
			"The certificate authority of the mesh.", options,
			countof(options));
		return 0;
	}
	if (!serves_identity(argc, argv))
		return identities_main(argc, argv);
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	if (!*app.cfg.scheme || !*app.cfg.trust_domain) {
		fprintf(stderr,
			"mesh-identity: without scheme or trust domain there is "
			"nothing to do\n");
		return 0;
	}
	if (start(&app, &e) || loop_run(app.loop, &e)) {
		fprintf(stderr, "mesh-identity: %s\n", e.msg);
		app.status = 1;
	}
	stop(&app);
	return app.status;
}
