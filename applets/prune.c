/* SPDX-License-Identifier: Apache-2.0 */
/* mesh prune: what an upgrade has left behind, for kubectl to delete. */
#include "cli/prune.h"

#include "base/obj.h"
#include "cli/command.h"
#include "tls/init.h"

int prune_main(int argc, char **argv);

struct prune_app {
	struct install_config cfg;
	struct kube_config cluster;
};

static const struct opt options[] = {
	COMMAND_CLUSTER(offsetof(struct prune_app, cfg.namespace),
		offsetof(struct prune_app, cluster)),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh prune: %s\n", what);
}

static int render(struct prune_app *app, struct buf *out, struct err *e)
{
	struct install_kept kept = {0};
	struct ask *a = ask_new(&app->cluster, e);
	int r = a ? install_kept_read(a, app->cfg.namespace, &kept, e) : -1;

	app->cfg.kept = &kept;
	app->cfg.upgrade = true;
	if (r == 0 && !kept.values)
		r = err_set(e, ERR_MISSING, "nothing is installed in the namespace %s",
			app->cfg.namespace);
	if (r == 0)
		r = prune_render(a, &app->cfg, out, e);
	ask_free(a);
	install_kept_fini(&kept);
	return r;
}

int prune_main(int argc, char **argv)
{
	struct prune_app app = {0};
	struct buf out = BUF_INIT;
	struct err e = {0};
	int status = 1;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh prune [option...] | kubectl delete -f -",
			"Prints objects of the control plane that this version, with "
			"the "
			"values of the installation, no longer has.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	tls_init();
	if (render(&app, &out, &e))
		complain(NULL, e.msg);
	else
		status = command_print("prune", &out);
	buf_fini(&out);
	return status;
}
