/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/query.h"

#include <stdio.h>

#include "wire/json.h"

/* Only what names are made of: they are printed into metrics and keys. */
static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z') &&
			c != '-' && c != '.' && c != '_')
			return false;
	}
	return true;
}

static int copy(struct slice s, char *out, size_t size)
{
	if (s.n >= size || !is_name(s))
		return -1;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return 0;
}

/* ---- authorities ---- */

static int split_port(struct slice *host, uint16_t *port, struct err *e)
{
	const char *colon = memrchr(host->p, ':', host->n);
	uint64_t n = 80;

	if (colon) {
		struct slice digits = {
			colon + 1, (size_t)(host->p + host->n - colon - 1)};

		if (!slice_u64(digits, 65535, &n) || n == 0)
			return err_set(e, ERR_SYNTAX, "invalid port \"%.*s\"",
				SLICE_FMT(digits));
		host->n = (size_t)(colon - host->p);
	}
	*port = (uint16_t)n;
	return 0;
}

static int names(struct slice labels, struct authority *out)
{
	struct slice v[3] = {SLICE_NONE}, part;
	size_t n = 0;

	while (slice_cut(&labels, '.', &part)) {
		if (n == 3 || part.n == 0)
			return -1;
		v[n++] = part;
	}
	if (n < 2)
		return -1;
	if (n == 3 && copy(v[0], out->hostname, sizeof out->hostname) < 0)
		return -1;
	if (copy(v[n - 2], out->service, sizeof out->service) < 0)
		return -1;
	return copy(v[n - 1], out->ns, sizeof out->ns);
}

int authority_parse(
	struct slice text, const char *domain, struct authority *out, struct err *e)
{
	struct slice host = text;
	struct addr at;
	struct ip ip;
	char tail[300];

	*out = (struct authority){.port = 80};
	if (text.n == 0 || text.n > 600)
		return err_set(e, ERR_SYNTAX, "no authority");
	if (addr_parse(text, &at)) {
		out->ip = at.ip;
		out->port = at.port;
		return at.port ? 0 : err_set(e, ERR_SYNTAX, "invalid port \"0\"");
	}
	if (ip_parse(text, &ip)) {
		out->ip = ip;
		return 0;
	}
	if (split_port(&host, &out->port, e) < 0)
		return -1;
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	snprintf(tail, sizeof tail, ".svc.%s", domain);
	if (slice_ends(host, slice_of(tail)) &&
		names((struct slice){host.p, host.n - strlen(tail)}, out) == 0)
		return 0;
	return err_set(e, ERR_SYNTAX, "\"%.*s\" is not the name of a Service in %s",
		SLICE_FMT(host), domain);
}

/* ---- who asks ---- */

static int member(const struct json *j, const char *key, char *out, size_t size)
{
	return copy(slice_of(json_text_or(j, key, "")), out, size);
}

static int from_json(struct slice token, struct asker *out, struct err *e)
{
	struct json *j = json_parse(token, e);
	int bad;

	if (!j)
		return -1;
	bad = json_kind(j) != JSON_OBJECT ||
	      member(j, "ns", out->ns, sizeof out->ns) < 0 ||
	      member(j, "nodeName", out->node, sizeof out->node) < 0 ||
	      member(j, "pod", out->pod, sizeof out->pod) < 0;
	json_free(j);
	if (!bad)
		return 0;
	*out = (struct asker){0};
	return err_set(e, ERR_SYNTAX, "not an object of names");
}

int asker_parse(struct slice token, struct asker *out, struct err *e)
{
	*out = (struct asker){0};
	if (token.n == 0)
		return 0;
	if (token.n > 2048)
		return err_set(e, ERR_LIMIT, "longer than 2048 bytes");
	if (token.p[0] == '{')
		return from_json(token, out, e);
	if (slice_starts(token, SLICE("ns:")) &&
		copy((struct slice){token.p + 3, token.n - 3}, out->ns,
			sizeof out->ns) == 0)
		return 0;
	return err_set(e, ERR_SYNTAX, "neither JSON nor ns:NAME");
}

int workload_parse(struct slice token, struct asker *out, struct err *e)
{
	struct slice rest = token, ns;

	*out = (struct asker){0};
	if (token.n && token.p[0] == '{') {
		if (asker_parse(token, out, e) < 0)
			return -1;
	} else if (!slice_cut(&rest, ':', &ns) ||
		   copy(ns, out->ns, sizeof out->ns) < 0 || !rest.p ||
		   copy(rest, out->pod, sizeof out->pod) < 0) {
		return err_set(e, ERR_SYNTAX, "invalid workload: not NAMESPACE:POD");
	}
	if (*out->ns && *out->pod)
		return 0;
	return err_set(e, ERR_SYNTAX, "invalid workload: it names no pod");
}
