/* SPDX-License-Identifier: Apache-2.0 */
/* mesh-destination: discovery and policy for every proxy of the mesh. */
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/opt.h"
#include "ctl/admin.h"
#include "ctl/destination.h"

int destination_main(int argc, char **argv);

struct destination_app {
	struct destination_config cfg;
	struct addr admin_at;
	const char *kubeconfig, *log_level, *log_format;
	const char *unused;
	bool ignored;

	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct destination *destination;
	struct admin *admin;
	struct timer limit; /* of draining */
};

#define AT(field) offsetof(struct destination_app, field)

static int mode_opt(void *field, const char *text, struct err *e)
{
	bool header = strcmp(text, "transport-header") == 0;

	if (!header && strcmp(text, "transparent") != 0)
		return err_set(
			e, ERR_SYNTAX, "neither transparent nor transport-header");
	*(bool *)field = header;
	return 0;
}

static int policy_opt(void *field, const char *text, struct err *e)
{
	if (!default_policy_is_known(text))
		return err_set(e, ERR_SYNTAX, "no policy is called \"%s\"", text);
	*(const char **)field = text;
	return 0;
}

static int networks_opt(void *field, const char *text, struct err *e)
{
	return cidr_list_parse(text, field, e);
}

static const struct opt options[] = {
	{.flag = "addr",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.at),
		.preset = ":8086",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where discovery is served"},
	{.flag = "grpc-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.policy_at),
		.preset = ":8090",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where policy is served"},
	{.flag = "metrics-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(admin_at),
		.preset = ":9996",
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
	{.flag = "identity-trust-domain",
		.kind = OPT_TEXT,
		.offset = AT(cfg.trust_domain),
		.preset = "cluster.local",
		.arg = "DOMAIN",
		.help = "end of every identity"},
	{.flag = "cluster-domain",
		.kind = OPT_TEXT,
		.offset = AT(cfg.cluster_domain),
		.preset = "cluster.local",
		.arg = "DOMAIN",
		.help = "end of every Service's name"},
	{.flag = "default-opaque-ports",
		.kind = OPT_TEXT,
		.offset = AT(cfg.opaque_ports),
		.preset = "25,587,3306,4444,5432,6379,9300,11211",
		.arg = "PORTS",
		.help = "not looked into where no annotation says otherwise"},
	{.flag = "default-policy",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.default_policy),
		.preset = "all-unauthenticated",
		.parse = policy_opt,
		.arg = "NAME",
		.help = "who may use a port where no annotation says otherwise"},
	{.flag = "cluster-networks",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.cluster_networks),
		.preset = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,"
			  "fd00::/8",
		.parse = networks_opt,
		.arg = "CIDRS",
		.help = "what is inside the cluster"},
	{.flag = "probe-networks",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.probe_networks),
		.preset = "0.0.0.0/0,::/0",
		.parse = networks_opt,
		.arg = "CIDRS",
		.help = "where HTTP probes may come from"},
	{.flag = "outbound-transport-mode",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg.transport_header),
		.preset = "transparent",
		.parse = mode_opt,
		.arg = "MODE",
		.help = "transparent or transport-header"},
	{.flag = "enable-h2-upgrade",
		.kind = OPT_BOOL,
		.offset = AT(cfg.h2_upgrade),
		.preset = "true",
		.help = "HTTP/1 goes over HTTP/2 between proxies"},
	{.flag = "allow-l5d-request-headers",
		.kind = OPT_BOOL,
		.offset = AT(cfg.allow_request_headers),
		.help = "clients may set timeouts and retries in header fields"},
	{.flag = "enable-ipv6",
		.kind = OPT_BOOL,
		.offset = AT(cfg.ipv6),
		.preset = "true",
		.help = "endpoints may have IPv6 addresses"},
	{.flag = "stream-queue-capacity",
		.kind = OPT_INT,
		.offset = AT(cfg.queue),
		.preset = "100",
		.min = 1,
		.max = 100000,
		.arg = "N",
		.help = "updates that may wait for one client"},
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
	{.flag = "enable-endpoint-slices",
		.kind = OPT_BOOL,
		.offset = AT(ignored),
		.help = "accepted: EndpointSlices are always read"},
	{.flag = "export-queue-metrics",
		.kind = OPT_BOOL,
		.offset = AT(ignored),
		.help = "accepted, without effect"},
	{.flag = "enable-pprof",
		.kind = OPT_BOOL,
		.offset = AT(ignored),
		.help = "accepted, without effect"},
	{.flag = "trace-collector",
		.kind = OPT_TEXT,
		.offset = AT(unused),
		.arg = "ADDR",
		.help = "accepted, without effect"},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-destination: %s\n", what);
}

static void on_drained(void *arg)
{
	struct destination_app *app = arg;

	loop_stop(app->loop);
}

static void on_limit(struct timer *t)
{
	on_drained(container_of(t, struct destination_app, limit));
}

static void on_term(void *arg, int signo)
{
	struct destination_app *app = arg;

	log_info("destination", "draining", LI("signal", signo));
	timer_set(&app->limit, 10 * NS_PER_S);
	destination_drain(app->destination, on_drained, app);
}

static int start(struct destination_app *app, struct err *e)
{
	struct kube_config kube = {
		.kubeconfig = app->kubeconfig, .component = "mesh-destination"};
	struct admin_config admin = {.at = app->admin_at,
		.ready = destination_is_ready,
		.metrics = destination_metrics};

	if (log_flags_apply(app->log_level, app->log_format, e))
		return -1;
	app->loop = loop_new(e);
	app->dns = app->loop ? dns_new(app->loop, NULL, e) : NULL;
	app->kube = app->dns ? kube_new(app->loop, app->dns, &kube, e) : NULL;
	if (!app->kube)
		return -1;
	app->destination = destination_new(app->loop, app->kube, &app->cfg, e);
	if (!app->destination)
		return -1;
	admin.arg = app->destination;
	app->admin = admin_new(app->loop, &admin, e);
	if (!app->admin)
		return -1;
	timer_init(&app->limit, app->loop, on_limit);
	if (loop_on_signal(app->loop, SIGTERM, on_term, app, e))
		return -1;
	return loop_on_signal(app->loop, SIGINT, on_term, app, e);
}

static void stop(struct destination_app *app)
{
	admin_free(app->admin);
	destination_free(app->destination);
	kube_free(app->kube);
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
	free(app->cfg.cluster_networks.v);
	free(app->cfg.probe_networks.v);
}

int destination_main(int argc, char **argv)
{
	struct destination_app app = {0};
	struct err e = {0};
	int status = 0;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh-destination [option...]",
			"Discovery and policy for every proxy of the mesh.", options,
			countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	if (start(&app, &e) || loop_run(app.loop, &e)) {
		fprintf(stderr, "mesh-destination: %s\n", e.msg);
		status = 1;
	}
	stop(&app);
	return status;
}
