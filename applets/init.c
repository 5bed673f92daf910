/* SPDX-License-Identifier: Apache-2.0 */
/* mesh-init: sends a pod's traffic through its proxy. */
#include <stdio.h>

#include "base/log.h"
#include "base/opt.h"
#include "ctl/admin.h"
#include "sys/caps.h"
#include "sys/ns.h"
#include "sys/redirect.h"

int init_main(int argc, char **argv);

struct init_app {
	struct redirect r;
	int64_t in, out, close_wait;
	const char *netns, *log_level, *log_format, *mode, *bin, *save_bin;
	bool simulate, wait, remove;
};

static int only_opt(void *field, const char *text, struct err *e)
{
	struct redirect *r = field;

	return redirect_ports(text, r->only, &r->nonly, e);
}

static int skip_in_opt(void *field, const char *text, struct err *e)
{
	struct redirect *r = field;

	return redirect_ports(text, r->skip_in, &r->nskip_in, e);
}

static int skip_out_opt(void *field, const char *text, struct err *e)
{
	struct redirect *r = field;

	return redirect_ports(text, r->skip_out, &r->nskip_out, e);
}

static int subnets_opt(void *field, const char *text, struct err *e)
{
	return redirect_subnets(text, field, e);
}

static int mode_opt(void *field, const char *text, struct err *e)
{
	const char **mode = field;

	if (*text && strcmp(text, "legacy") != 0 && strcmp(text, "nft") != 0 &&
		strcmp(text, "plain") != 0)
		return err_set(
			e, ERR_SYNTAX, "\"%s\" is not legacy, nft or plain", text);
	*mode = text;
	return 0;
}

#define AT(field) offsetof(struct init_app, field)
#define CUSTOM(name, letter, at, fn, a, text)                                          \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_CUSTOM, .offset = at,       \
		.parse = fn, .arg = a, .help = text                                    \
	}
#define NUMBER(name, letter, at, low, high, set, text)                                 \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_INT, .offset = at,          \
		.min = low, .max = high, .preset = set, .arg = "N", .help = text       \
	}
#define TEXT(name, at, set, text)                                                      \
	{                                                                              \
		.flag = name, .kind = OPT_TEXT, .offset = at, .preset = set,           \
		.arg = "TEXT", .help = text                                            \
	}
#define YES(name, letter, at, set, text)                                               \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_BOOL, .offset = at,         \
		.preset = set, .help = text                                            \
	}

static const struct opt options[] = {
	NUMBER("incoming-proxy-port", 'p', AT(in), -1, 65535, "-1",
		"where the proxy takes inbound connections (needed)"),
	NUMBER("outgoing-proxy-port", 'o', AT(out), -1, 65535, "-1",
		"where the proxy takes outbound connections (needed)"),
	NUMBER("proxy-uid", 'u', AT(r.uid), -1, UINT32_MAX, "-1",
		"user whose traffic is left alone"),
	NUMBER("proxy-gid", 'g', AT(r.gid), -1, UINT32_MAX, "-1",
		"group whose traffic is left alone"),
	CUSTOM("ports-to-redirect", 'r', AT(r), only_opt, "PORTS",
		"inbound ports to redirect; none: all"),
	CUSTOM("inbound-ports-to-ignore", 0, AT(r), skip_in_opt, "PORTS",
		"inbound ports and ranges to leave alone"),
	CUSTOM("outbound-ports-to-ignore", 0, AT(r), skip_out_opt, "PORTS",
		"outbound ports and ranges to leave alone"),
	CUSTOM("subnets-to-ignore", 0, AT(r), subnets_opt, "CIDRS",
		"sources whose inbound traffic is left alone"),
	YES("simulate", 0, AT(simulate), NULL, "print the rules, change nothing"),
	YES("remove", 0, AT(remove), NULL, "take the rules away again"),
	TEXT("netns", AT(netns), "", "path of the network namespace to work in"),
	NUMBER("timeout-close-wait-secs", 0, AT(close_wait), 0, INT32_MAX, "0",
		"conntrack's close-wait timeout; 0: as it is"),
	YES("ipv6", 0, AT(r.ipv6), "true", "redirect IPv6 too"),
	TEXT("log-format", AT(log_format), "plain", "plain or json"),
	TEXT("log-level", AT(log_level), "info", "error, warn, info, debug"),
	YES("use-wait-flag", 'w', AT(wait), NULL, "accepted, without effect"),
	CUSTOM("iptables-mode", 0, AT(mode), mode_opt, "MODE",
		"accepted: rules are always written by nf_tables"),
	TEXT("firewall-bin-path", AT(bin), "", "accepted, without effect"),
	TEXT("firewall-save-bin-path", AT(save_bin), "", "accepted, without effect"),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-init: %s\n", what);
}

static int check(const struct init_app *app)
{
	if (app->remove)
		return 0;
	if (app->in < 1)
		complain(NULL, "--incoming-proxy-port is needed, a port");
	if (app->out < 1)
		complain(NULL, "--outgoing-proxy-port is needed, a port");
	return app->in < 1 || app->out < 1 ? -1 : 0;
}

static int simulate(const struct init_app *app)
{
	struct nft *t = redirect_rules(&app->r);
	struct buf text = BUF_INIT;

	nft_text(t, &text);
	if (app->close_wait)
		buf_printf(&text, "# net.netfilter." REDIRECT_CLOSE_WAIT " = %lld\n",
			(long long)app->close_wait);
	fwrite(text.p + text.at, 1, buf_len(&text), stdout);
	buf_fini(&text);
	nft_free(t);
	return 0;
}

static int work(struct init_app *app, struct err *e)
{
	if (app->simulate)
		return simulate(app);
	if (*app->netns && ns_join_net(app->netns, e))
		return -1;
	if (app->remove)
		return redirect_remove(e);
	if (redirect_apply(&app->r, e))
		return -1;
	if (app->close_wait && redirect_close_wait(app->close_wait, e))
		return -1;
	log_info("init", "traffic goes through the proxy", LS("by", "nf_tables"),
		LS("table", REDIRECT_TABLE), LI("inbound", app->in),
		LI("outbound", app->out), LS("ipv6", app->r.ipv6 ? "yes" : "no"));
	return 0;
}

int init_main(int argc, char **argv)
{
	static struct init_app app;
	struct err e = {0};

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh-init [option...]",
			"Sends a pod's TCP traffic through its proxy, by nf_tables.",
			options, sizeof(options) / sizeof(*options));
		return 0;
	}
	if (opt_read(options, sizeof(options) / sizeof(*options), &app, argc, argv,
		    NULL, complain, NULL) ||
		check(&app))
		return 64;
	app.r.inbound = (uint16_t)app.in;
	app.r.outbound = (uint16_t)app.out;
	if (log_flags_apply(app.log_level, app.log_format, &e)) {
		complain(NULL, e.msg);
		return 64;
	}
	caps_use();
	if (work(&app, &e)) {
		log_error("init", "traffic is not redirected", LE(&e));
		return 1;
	}
	return 0;
}
