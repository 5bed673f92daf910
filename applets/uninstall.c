/* SPDX-License-Identifier: Apache-2.0 */
/* mesh uninstall: what kubectl has to delete. */
#include "cli/uninstall.h"

#include "base/obj.h"
#include "cli/command.h"
#include "tls/init.h"

int uninstall_main(int argc, char **argv);

struct uninstall_app {
	const char *namespace, *kubeconfig, *context;
	bool force;
};

#define AT(field) offsetof(struct uninstall_app, field)

static const struct opt options[] = {
	COMMAND_CLUSTER(AT(namespace), AT(kubeconfig), AT(context)),
	{.flag = "force",
		.brief = 'f',
		.kind = OPT_BOOL,
		.offset = AT(force),
		.help = "ask no cluster whether pods still have a proxy"},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh uninstall: %s\n", what);
}

/* Proxies without a control plane go on for a day, until their certificates end. */
static int check_unused(const struct uninstall_app *app, struct err *e)
{
	struct ask *a = ask_new(app->kubeconfig, app->context, e);
	struct buf where = BUF_INIT;
	int n = a ? uninstall_left(a, app->namespace, &where, e) : -1;

	if (n > 0)
		err_set(e, ERR_DENIED,
			"%d pods still have a proxy, in: %.*s.  Uninject and restart "
			"them first, or use --force",
			n, SLICE_FMT(buf_slice(&where)));
	buf_fini(&where);
	ask_free(a);
	return n ? -1 : 0;
}

int uninstall_main(int argc, char **argv)
{
	struct uninstall_app app = {0};
	struct buf out = BUF_INIT;
	struct err e = {0};
	int status = 1;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh uninstall [option...] | kubectl delete -f -",
			"Prints what mesh install made.", options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	tls_init();
	if ((!app.force && check_unused(&app, &e)) ||
		uninstall_render(app.namespace, &out, &e))
		complain(NULL, e.msg);
	else
		status = command_print("uninstall", &out);
	buf_fini(&out);
	return status;
}
