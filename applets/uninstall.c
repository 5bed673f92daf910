/* SPDX-License-Identifier: Apache-2.0 */
/* mesh uninstall: what kubectl has to delete. */
#include "cli/uninstall.h"

#include "base/obj.h"
#include "base/opt.h"
#include "tls/init.h"

int uninstall_main(int argc, char **argv);

struct uninstall_app {
	const char *namespace, *kubeconfig, *context;
	bool force;
};

#define AT(field) offsetof(struct uninstall_app, field)

static const struct opt options[] = {
	{.flag = "linkerd-namespace",
		.brief = 'L',
		.env = "LINKERD_NAMESPACE",
		.kind = OPT_TEXT,
		.offset = AT(namespace),
		.preset = "mesh",
		.arg = "NAME",
		.help = "namespace of the control plane"},
	{.flag = "force",
		.brief = 'f',
		.kind = OPT_BOOL,
		.offset = AT(force),
		.help = "ask no cluster whether pods still have a proxy"},
	{.flag = "kubeconfig",
		.kind = OPT_TEXT,
		.offset = AT(kubeconfig),
		.arg = "FILE",
		.help = "how to reach the cluster"},
	{.flag = "context",
		.kind = OPT_TEXT,
		.offset = AT(context),
		.arg = "NAME",
		.help = "which of its contexts"},
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
	else if (fwrite(out.p + out.at, 1, buf_len(&out), stdout) != buf_len(&out) ||
		 fflush(stdout))
		complain(NULL, "cannot write");
	else
		status = 0;
	buf_fini(&out);
	return status;
}
