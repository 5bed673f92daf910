/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: of the API server, and of the proxy on the way to it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "kube/config.h"

static char *copy(struct slice s)
{
	char *text = slice_dup(s);

	must(text);
	return text;
}

/* host[:port], [v6][:port] */
static int split_host(struct slice s, char **host, uint16_t *port, struct err *e)
{
	const char *colon, *end = s.p + s.n;
	struct slice name = s;
	uint64_t n = *port;

	if (s.n && s.p[0] == '[') {
		const char *bracket = memchr(s.p, ']', s.n);

		if (!bracket)
			return err_set(e, ERR_SYNTAX, "']' is missing");
		name = slice_bytes(s.p + 1, (size_t)(bracket - s.p - 1));
		colon = bracket + 1 < end ? bracket + 1 : NULL;
	} else {
		colon = memchr(s.p, ':', s.n);
		name.n = colon ? (size_t)(colon - s.p) : s.n;
	}
	if (colon && (*colon != ':' || !slice_u64(slice_bytes(colon + 1,
							  (size_t)(end - colon - 1)),
					       UINT16_MAX, &n)))
		return err_set(e, ERR_SYNTAX, "bad port");
	if (!name.n || n == 0)
		return err_set(e, ERR_SYNTAX, "no host");
	*host = copy(name);
	*port = (uint16_t)n;
	return 0;
}

int kube_set_server(struct kube_target *t, const char *server, struct err *e)
{
	struct slice s = slice_of(server), host;

	if (slice_starts(s, SLICE("https://")))
		t->tls = true;
	else if (!slice_starts(s, SLICE("http://")))
		return err_set(
			e, ERR_SYNTAX, "server %s: neither https nor http", server);
	s = slice_of(strstr(server, "://") + 3);
	host = slice_bytes(s.p, strcspn(s.p, "/"));
	s = slice_of(host.p + host.n);
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	t->prefix = copy(s);
	t->port = t->tls ? 443 : 80;
	return split_host(host, &t->host, &t->port, e)
		       ? err_wrap(e, "server %s", server)
		       : 0;
}

/* ---- the proxy ---- */

/* %41 is A: a password may hold any character. */
static char *unescaped(struct slice s)
{
	char *text = copy(s), *to = text;

	for (const char *p = text; *p; p++) {
		unsigned byte;

		if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1 && p[1] && p[2]) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return text;
}

static void set_login(struct kube_target *t, struct slice login)
{
	const char *colon = memchr(login.p, ':', login.n);
	size_t n = colon ? (size_t)(colon - login.p) : login.n;

	t->proxy_user = unescaped(slice_bytes(login.p, n));
	if (colon)
		t->proxy_password = unescaped(slice_bytes(colon + 1, login.n - n - 1));
}

static const struct {
	const char *scheme;
	enum via_kind kind;
	uint16_t port;
} schemes[] = {
	{"http://", VIA_HTTP, 80},
	{"socks5://", VIA_SOCKS5, 1080},
	{"socks5h://", VIA_SOCKS5, 1080},
};

static int set_scheme(struct kube_target *t, struct slice *url, struct err *e)
{
	for (size_t i = 0; i < countof(schemes); i++) {
		struct slice scheme = slice_of(schemes[i].scheme);

		if (!slice_starts(*url, scheme))
			continue;
		t->via.kind = schemes[i].kind;
		t->proxy_port = schemes[i].port;
		*url = slice_bytes(url->p + scheme.n, url->n - scheme.n);
		return 0;
	}
	if (memmem(url->p, url->n, "://", 3))
		return err_set(e, ERR_DENIED,
			"this kind of proxy is not known: use http:// or socks5://");
	t->via.kind = VIA_HTTP;
	t->proxy_port = 80;
	return 0;
}

static int parse_proxy(struct kube_target *t, const char *url, struct err *e)
{
	struct slice s = slice_of(url);
	const char *at;

	if (set_scheme(t, &s, e))
		return -1;
	s.n = strcspn(s.p, "/");
	at = memrchr(s.p, '@', s.n);
	if (at) {
		set_login(t, slice_bytes(s.p, (size_t)(at - s.p)));
		s = slice_bytes(at + 1, (size_t)(s.p + s.n - at - 1));
	}
	if (split_host(s, &t->proxy_host, &t->proxy_port, e))
		return -1;
	t->via.user = t->proxy_user;
	t->via.password = t->proxy_password;
	t->via.host = t->host;
	t->via.port = t->port;
	return 0;
}

/* ---- whom the environment excepts ---- */

static const char *env(const char *upper, const char *lower)
{
	const char *v = getenv(upper);

	return v && *v ? v : getenv(lower);
}

/* "10.0.0.0/8", "10.0.0.1", "example.com" (and what is below), ".example.com" (only
 * that), each perhaps with ":port". */
static bool is_excepted_by(const struct kube_target *t, struct slice rule)
{
	struct slice host = slice_of(t->host);
	const char *colon = memrchr(rule.p, ':', rule.n);
	struct cidr net;
	struct ip ip;
	uint64_t port;

	if (slice_is(rule, "*"))
		return true;
	if (cidr_parse(rule, &net))
		return ip_parse(host, &ip) && cidr_has(&net, &ip);
	if (colon &&
		slice_u64(slice_bytes(colon + 1, (size_t)(rule.p + rule.n - colon - 1)),
			UINT16_MAX, &port)) {
		if (port != t->port)
			return false;
		rule.n = (size_t)(colon - rule.p);
	}
	if (!rule.n || host.n < rule.n)
		return false;
	if (slice_ieq(host, rule))
		return true;
	return slice_ieq(slice_bytes(host.p + host.n - rule.n, rule.n), rule) &&
	       (rule.p[0] == '.' ||
		       (host.n > rule.n && host.p[host.n - rule.n - 1] == '.'));
}

static bool is_excepted(const struct kube_target *t)
{
	struct slice rest = slice_of(env("NO_PROXY", "no_proxy")), rule;
	struct ip ip;

	if (strcmp(t->host, "localhost") == 0 ||
		(ip_parse(slice_of(t->host), &ip) && ip_is_loopback(&ip)))
		return true;
	while (slice_cut(&rest, ',', &rule))
		if (is_excepted_by(t, slice_trim(rule)))
			return true;
	return false;
}

int kube_set_proxy(struct kube_target *t, const char *url, struct err *e)
{
	const char *what = "proxy-url";

	if (!url) {
		what = "HTTPS_PROXY";
		url = t->tls ? env("HTTPS_PROXY", "https_proxy") : NULL;
		if (!url || !*url || is_excepted(t))
			return 0;
	}
	t->proxy_url = copy(slice_of(url));
	return parse_proxy(t, url, e) ? err_wrap(e, "%s", what) : 0;
}
