/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/installcmd.h"

#include "base/obj.h"
#include "cli/command.h"
#include "cli/install.h"
#include "cli/uninstall.h"
#include "tls/init.h"

struct command {
	struct install_config cfg;
	const char *name; /* of the command */
	struct kube_config cluster;
	bool crds, offline;
};

#define AT(field)  offsetof(struct command, field)
#define CFG(field) offsetof(struct command, cfg.field)

static const struct opt options[] = {
	{.flag = "crds",
		.kind = OPT_BOOL,
		.offset = AT(crds),
		.help = "print the kinds that are configured with instead"},
	{.flag = "ha",
		.kind = OPT_BOOL,
		.offset = CFG(ha),
		.help = "three of each, on different nodes; no pod starts without its "
			"proxy"},
	{.flag = "ignore-cluster",
		.kind = OPT_BOOL,
		.offset = AT(offline),
		.help = "keep nothing of what is installed: a new issuer, a new "
			"anchor"},
	COMMAND_CLUSTER(CFG(namespace), AT(cluster)),
	{.flag = "identity-trust-anchors-file",
		.kind = OPT_TEXT,
		.offset = CFG(anchors),
		.arg = "FILE",
		.help = "whom the mesh trusts; else one is made"},
	{.flag = "identity-issuer-certificate-file",
		.kind = OPT_TEXT,
		.offset = CFG(issuer_crt),
		.arg = "FILE",
		.help = "who signs for workloads"},
	{.flag = "identity-issuer-key-file",
		.kind = OPT_TEXT,
		.offset = CFG(issuer_key),
		.arg = "FILE",
		.help = "its key"},
	{.flag = "registry",
		.env = "LINKERD_DOCKER_REGISTRY",
		.kind = OPT_TEXT,
		.offset = CFG(registry),
		.arg = "NAME",
		.help = "of all images, instead of \"mesh\""},
};
#define OPTIONS_MAX (countof(options) + FLAG_OPTIONS + FLAG_ONES)

static size_t all_options(struct opt out[OPTIONS_MAX])
{
	size_t n = countof(options);

	memcpy(out, options, sizeof options);
	value_flags_options(out + n, CFG(flags));
	n += FLAG_OPTIONS;
	value_flag_options(install_flags, install_flags_count, out + n, CFG(flags));
	return n + install_flags_count;
}

static void complain(void *arg, const char *what)
{
	const struct command *c = arg;

	fprintf(stderr, "mesh %s: %s\n", c->name, what);
}

/* Where no cluster is known there is nothing to keep; one that does not answer may have
 * an issuer that must not be replaced. */
static int keep(struct command *c, struct install_kept *kept, struct err *e)
{
	bool named = c->cluster.kubeconfig || c->cluster.context || c->cfg.upgrade;
	struct ask *a = c->offline ? NULL : ask_new(&c->cluster, e);
	int r = a ? install_kept_read(a, c->cfg.namespace, kept, e) : 0;

	if (!a && named && !c->offline)
		return -1;
	ask_free(a);
	c->cfg.kept = kept;
	if (r)
		return err_wrap(e, "is there an issuer? (else --ignore-cluster)");
	if (c->cfg.upgrade && !kept->values)
		return err_set(e, ERR_MISSING,
			"nothing is installed in the namespace %s: mesh install does "
			"that",
			c->cfg.namespace);
	return 0;
}

static int render(struct command *c, struct buf *out, struct err *e)
{
	struct install_kept kept = {0};
	int r;

	if (c->crds)
		r = install_crds(out, e);
	else
		r = keep(c, &kept, e) ? -1 : install_render(&c->cfg, out, e);
	install_kept_fini(&kept);
	return r;
}

int install_command(int argc, char **argv, bool upgrade)
{
	struct command c = {
		.name = upgrade ? "upgrade" : "install", .cfg = {.upgrade = upgrade}};
	struct opt all[OPTIONS_MAX];
	size_t n = all_options(all);
	struct buf out = BUF_INIT;
	struct err e = {0};
	int r;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout,
			upgrade ? "mesh upgrade [option...] | kubectl apply -f -"
				: "mesh install [option...] | kubectl apply -f -",
			upgrade ? "Prints the control plane of this version, with the "
				  "values and "
				  "the issuer of the one that is installed."
				: "Prints the control plane.",
			all, n);
		return 0;
	}
	if (opt_read(all, n, &c, argc, argv, NULL, complain, &c))
		return 64;
	if (upgrade && c.offline) {
		complain(&c, "--ignore-cluster: then nothing is known to upgrade");
		return 64;
	}
	tls_init();
	r = render(&c, &out, &e);
	if (r)
		complain(&c, e.msg);
	else
		r = command_print(c.name, &out);
	buf_fini(&out);
	return r ? 1 : 0;
}
