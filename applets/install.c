/* SPDX-License-Identifier: Apache-2.0 */
/* mesh install: the control plane as manifests, for kubectl or for mesh local. */
#include "cli/install.h"

#include "base/obj.h"
#include "cli/command.h"
#include "cli/uninstall.h"
#include "tls/init.h"

int install_main(int argc, char **argv);

struct install_app {
	struct install_config cfg;
	const char *kubeconfig, *context;
	bool crds, offline;
};

static int add_set(void *field, const char *text, bool plain, struct err *e)
{
	struct install_config *c = field;

	if (c->nsets == INSTALL_SETS)
		return err_set(e, ERR_LIMIT, "more than %d", INSTALL_SETS);
	c->set_is_plain[c->nsets] = plain;
	c->set[c->nsets++] = text;
	return 0;
}

static int add_typed(void *field, const char *text, struct err *e)
{
	return add_set(field, text, false, e);
}

static int add_plain(void *field, const char *text, struct err *e)
{
	return add_set(field, text, true, e);
}

#define AT(field) offsetof(struct install_app, field)
#define SAY(name, field, value, a, text)                                               \
	{                                                                              \
		.flag = name, .kind = OPT_TEXT, .offset = AT(cfg.field),               \
		.preset = value, .arg = a, .help = text                                \
	}

static const struct opt options[] = {
	{.flag = "ignore-cluster",
		.kind = OPT_BOOL,
		.offset = AT(offline),
		.help = "keep nothing of what is installed: a new issuer, a new "
			"anchor"},
	{.flag = "crds",
		.kind = OPT_BOOL,
		.offset = AT(crds),
		.help = "print the kinds that are configured with instead"},
	COMMAND_CLUSTER(AT(cfg.namespace), AT(kubeconfig), AT(context)),
	SAY("cluster-domain", cluster_domain, "cluster.local", "DOMAIN",
		"end of every Service's name"),
	SAY("identity-trust-domain", trust_domain, "cluster.local", "DOMAIN",
		"end of every identity"),
	SAY("identity-trust-anchors-file", anchors, NULL, "FILE",
		"whom the mesh trusts; else one is made"),
	SAY("identity-issuer-certificate-file", issuer_crt, NULL, "FILE",
		"who signs for workloads"),
	SAY("identity-issuer-key-file", issuer_key, NULL, "FILE", "its key"),
	SAY("identity-issuance-lifetime", lifetime, "24h0m0s", "TIME",
		"how long certificates of workloads live"),
	SAY("identity-clock-skew-allowance", skew, "20s", "TIME",
		"by how much clocks may differ"),
	SAY("registry", registry, NULL, "NAME", "of all images, instead of \"mesh\""),
	SAY("controller-image", image, NULL, "NAME",
		"image of the control plane; else the proxy's"),
	{.flag = "values",
		.brief = 'f',
		.kind = OPT_TEXT,
		.offset = AT(cfg.values),
		.arg = "FILE",
		.help = "values that differ from the presets (YAML)"},
	{.flag = "set",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg),
		.parse = add_typed,
		.arg = "NAME=VALUE,...",
		.help = "the same, by name: proxy.logLevel=debug"},
	{.flag = "set-string",
		.kind = OPT_CUSTOM,
		.offset = AT(cfg),
		.parse = add_plain,
		.arg = "NAME=VALUE,...",
		.help = "the same, and every value is a text"},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh install: %s\n", what);
}

/* Where no cluster is known there is nothing to keep; one that does not answer may have
 * an issuer that must not be replaced. */
static int keep(struct install_app *app, struct install_kept *kept, struct err *e)
{
	bool named = app->kubeconfig || app->context;
	struct ask *a = app->offline ? NULL : ask_new(app->kubeconfig, app->context, e);
	int r = a ? install_kept_read(a, app->cfg.namespace, kept, e) : 0;

	if (!a && named && !app->offline)
		return -1;
	ask_free(a);
	app->cfg.kept = kept;
	return r ? err_wrap(e, "is there an issuer? (else --ignore-cluster)") : 0;
}

int install_main(int argc, char **argv)
{
	struct install_app app = {0};
	struct install_kept kept = {0};
	struct buf out = BUF_INIT;
	struct err e = {0};
	int status = 1;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh install [option...] | kubectl apply -f -",
			"Prints the control plane.", options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	tls_init();
	if (app.crds)
		install_crds(&out);
	if (!app.crds &&
		(keep(&app, &kept, &e) < 0 || install_render(&app.cfg, &out, &e) < 0))
		complain(NULL, e.msg);
	else
		status = command_print("install", &out);
	install_kept_fini(&kept);
	buf_fini(&out);
	return status;
}
