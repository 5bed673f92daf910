/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cnicmd.h"

#include "base/obj.h"
#include "cli/command.h"
#include "cli/install.h"

struct command {
	const char *namespace, *registry;
	struct value_flags flags;
};

#define AT(field) offsetof(struct command, field)
#define ONE(name, path, arg, help)                                                     \
	{                                                                              \
		name, path, NULL, arg, help                                            \
	}

static const struct value_flag table[] = {
	ONE("cni-image", "image.name", "NAME", "image of the plugin"),
	ONE("cni-image-version", "image.version", "VERSION", "its tag"),
	ONE("image-pull-policy", "image.pullPolicy", "POLICY",
		"Always, IfNotPresent or Never"),
	ONE("cni-log-level", "logLevel", "LEVEL", "of the plugin and its installer"),
	ONE("dest-cni-net-dir", "destCNINetDir", "DIR",
		"the node's network configurations"),
	ONE("dest-cni-bin-dir", "destCNIBinDir", "DIR", "the node's CNI plugins"),
	ONE("priority-class-name", "priorityClassName", "NAME", "of its pods"),
	ONE("inbound-port", "inboundProxyPort", "PORT", "of proxies"),
	ONE("outbound-port", "outboundProxyPort", "PORT", "of proxies"),
	ONE("control-port", "proxyControlPort", "PORT", "of proxies"),
	ONE("admin-port", "proxyAdminPort", "PORT", "of proxies"),
	ONE("proxy-uid", "proxyUID", "UID", "as whom proxies run"),
	ONE("proxy-gid", "proxyGID", "GID", "and of which group"),
	ONE("redirect-ports", "portsToRedirect", "PORTS",
		"that alone are redirected; else all"),
	ONE("skip-inbound-ports", "ignoreInboundPorts", "PORTS",
		"that are not redirected"),
	ONE("skip-outbound-ports", "ignoreOutboundPorts", "PORTS",
		"that are not redirected"),
};

static const struct opt options[] = {
	{.flag = "cni-namespace",
		.kind = OPT_TEXT,
		.offset = AT(namespace),
		.preset = "mesh-cni",
		.arg = "NAME",
		.help = "namespace of the plugin"},
	{.flag = "registry",
		.env = "LINKERD_DOCKER_REGISTRY",
		.kind = OPT_TEXT,
		.offset = AT(registry),
		.arg = "NAME",
		.help = "of the image, instead of \"mesh\""},
};
#define OPTIONS_MAX (countof(options) + FLAG_OPTIONS + countof(table))

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh install-cni: %s\n", what);
}

static size_t all_options(struct opt out[OPTIONS_MAX])
{
	size_t n = countof(options);

	memcpy(out, options, sizeof options);
	value_flags_options(out + n, AT(flags));
	n += FLAG_OPTIONS;
	value_flag_options(table, countof(table), out + n, AT(flags));
	return n + countof(table);
}

/* --registry is the name of the image, unless that is given. */
static int render(struct command *c, struct buf *out, struct err *e)
{
	char image[256];
	int n = snprintf(
		image, sizeof image, "%s/proxy", c->registry ? c->registry : "");

	if (n < 0 || (size_t)n >= sizeof image)
		return err_set(e, ERR_LIMIT, "--registry: it is too long");
	if (c->registry && !c->flags.ones[0])
		c->flags.ones[0] = image;
	return install_chart(
		"cni", c->namespace, &c->flags, table, countof(table), out, e);
}

int cni_command(int argc, char **argv)
{
	struct command c = {0};
	struct opt all[OPTIONS_MAX];
	size_t n = all_options(all);
	struct buf out = BUF_INIT;
	struct err e = {0};
	int status = 1;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh install-cni [option...] | kubectl apply -f -",
			"Prints the CNI plugin; then: mesh install "
			"--linkerd-cni-enabled.",
			all, n);
		return 0;
	}
	if (opt_read(all, n, &c, argc, argv, NULL, complain, NULL))
		return 64;
	if (render(&c, &out, &e))
		complain(NULL, e.msg);
	else
		status = command_print("install-cni", &out);
	buf_fini(&out);
	return status;
}
