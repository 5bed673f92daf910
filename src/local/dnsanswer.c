/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster DNS answers from the store, without I/O: Services, headless ones with their
 * endpoints, ports (SRV), pods by dashed address, addresses back to names (PTR).
 * Names outside the cluster's domain are refused: nothing is forwarded.
 */
#include <ctype.h>

#include "local/nodeint.h"
#include "wire/dns.h"

#define LABELS_MAX  12
#define RECORDS_MAX 64
#define TTL         5
#define SLICES      "endpointslices.discovery.k8s.io"

struct asking {
	const struct store *store;
	const char *domain;
	struct dns_head head;
	char text[DNS_NAME_MAX]; /* the name before the domain, cut into labels */
	char *labels[LABELS_MAX];
	int n;
	bool exists; /* the name, whatever its types */
	struct dns_record *out;
	uint16_t nout;
};

static struct dns_record *add(struct asking *a, enum dns_type type)
{
	struct dns_record *r;

	if (a->nout == RECORDS_MAX)
		return NULL;
	r = &a->out[a->nout++];
	memset(r, 0, sizeof(*r));
	snprintf(r->name, sizeof(r->name), "%s", a->head.name);
	r->type = type;
	r->ttl = TTL;
	return r;
}

static void add_ip(struct asking *a, const struct ip *ip)
{
	enum dns_type type = ip->family == 6 ? DNS_AAAA : DNS_A;
	struct dns_record *r;

	a->exists = true;
	r = a->head.type == type ? add(a, type) : NULL;
	if (r)
		r->ip = *ip;
}

static void add_ip_text(struct asking *a, const char *text)
{
	struct ip ip;

	if (ip_parse(slice_of(text), &ip))
		add_ip(a, &ip);
}

/* ---- endpoints ---- */

static void dashed(const char *ip, char *out, size_t size)
{
	snprintf(out, size, "%s", ip);
	for (char *p = out; *p; p++)
		if (*p == '.' || *p == ':')
			*p = '-';
}

static void endpoint_name(const struct json *ep, char *out, size_t size)
{
	const char *host = json_text_or(ep, "hostname", "");

	if (*host)
		snprintf(out, size, "%s", host);
	else
		dashed(json_text_or(ep, "addresses.0", ""), out, size);
}

/* What is asked of each endpoint of a Service. */
struct endpoint_use {
	const char *host;  /* only of this name; NULL: all */
	const char *port;  /* SRV: of the port of this name */
	const char *proto; /* "tcp" */
};

static void add_srv(
	struct asking *a, const struct object *svc, const char *host, uint16_t port)
{
	struct dns_record *r;

	a->exists = true;
	r = a->head.type == DNS_SRV && port ? add(a, DNS_SRV) : NULL;
	if (!r)
		return;
	r->port = port;
	r->weight = 100;
	snprintf(r->target, sizeof(r->target), "%s%s%.63s.%.63s.svc.%s", host,
		*host ? "." : "", svc->name, svc->ns, a->domain);
}

static bool same_word(const char *a, const char *b)
{
	return slice_ieq(slice_of(a), slice_of(b));
}

static void use_endpoint(struct asking *a, const struct object *svc,
	const struct json *slice, const struct json *ep, const struct endpoint_use *use)
{
	char name[128];

	endpoint_name(ep, name, sizeof(name));
	if (!json_bool_at(ep, "conditions.ready", true))
		return;
	if (use->host && strcmp(use->host, name) != 0)
		return;
	if (!use->port) {
		add_ip_text(a, json_text_or(ep, "addresses.0", ""));
		return;
	}
	json_each(p, json_get(slice, "ports"))
	{
		if (same_word(json_text_or(p, "name", ""), use->port) &&
			same_word(json_text_or(p, "protocol", "TCP"), use->proto))
			add_srv(a, svc, name, (uint16_t)json_int_at(p, "port", 0));
	}
}

static void use_endpoints(
	struct asking *a, const struct object *svc, const struct endpoint_use *use)
{
	struct store_list slices;

	store_list(a->store, SLICES, svc->ns, &slices);
	for (size_t i = 0; i < slices.n; i++) {
		const struct json *s = slices.v[i]->json;
		const char *of = meta_label(s, "kubernetes.io/service-name");

		if (!of || strcmp(of, svc->name) != 0)
			continue;
		json_each(ep, json_get(s, "endpoints"))
		{
			use_endpoint(a, svc, s, ep, use);
		}
	}
	store_list_end(&slices);
}

/* ---- services ---- */

static bool is_headless(const struct object *svc)
{
	return strcmp(json_text_or(svc->json, "spec.clusterIP", ""), "None") == 0;
}

static void answer_alias(struct asking *a, const struct object *svc)
{
	struct dns_record *r = add(a, DNS_CNAME);

	a->exists = true;
	if (r)
		snprintf(r->target, sizeof(r->target), "%s",
			json_text_or(svc->json, "spec.externalName", ""));
}

static void answer_service(struct asking *a, const struct object *svc)
{
	struct endpoint_use all = {0};

	a->exists = true;
	if (strcmp(json_text_or(svc->json, "spec.type", ""), "ExternalName") == 0)
		answer_alias(a, svc);
	else if (is_headless(svc))
		use_endpoints(a, svc, &all);
	else
		add_ip_text(a, json_text_or(svc->json, "spec.clusterIP", ""));
}

static void answer_port(
	struct asking *a, const struct object *svc, const char *port, const char *proto)
{
	struct endpoint_use use = {.port = port + 1, .proto = proto + 1};

	if (is_headless(svc)) {
		use_endpoints(a, svc, &use);
		return;
	}
	json_each(p, json_path(svc->json, "spec.ports"))
	{
		if (same_word(json_text_or(p, "name", ""), port + 1) &&
			same_word(json_text_or(p, "protocol", "TCP"), proto + 1))
			add_srv(a, svc, "", (uint16_t)json_int_at(p, "port", 0));
	}
}

/* labels: [… ,] service, namespace, "svc" */
static void answer_svc(struct asking *a)
{
	int n = a->n;
	const struct object *svc = n >= 3 ? store_find(a->store, "services",
						    a->labels[n - 2], a->labels[n - 3])
					  : NULL;
	struct endpoint_use one = {.host = a->labels[0]};

	if (n <= 2) /* "svc" itself, and namespaces */
		a->exists =
			n == 1 || store_find(a->store, "namespaces", "", a->labels[0]);
	else if (svc && n == 3)
		answer_service(a, svc);
	else if (svc && n == 4)
		use_endpoints(a, svc, &one);
	else if (svc && n == 5 && a->labels[0][0] == '_' && a->labels[1][0] == '_')
		answer_port(a, svc, a->labels[0], a->labels[1]);
}

/* labels: dashed address, namespace, "pod" */
static void answer_pod(struct asking *a)
{
	char name[72];
	struct ip ip;

	if (a->n != 3 || !store_find(a->store, "namespaces", "", a->labels[1]))
		return;
	snprintf(name, sizeof(name), "%.60s.x", a->labels[0]);
	if (dns_dashed_ip(name, &ip))
		add_ip(a, &ip);
}

/* ---- addresses back to names ---- */

static void add_ptr(
	struct asking *a, const char *host, const char *name, const char *ns)
{
	struct dns_record *r;

	a->exists = true;
	r = a->head.type == DNS_PTR ? add(a, DNS_PTR) : NULL;
	if (r)
		snprintf(r->target, sizeof(r->target), "%.63s%s%.63s.%.63s.svc.%s",
			host, *host ? "." : "", name, ns, a->domain);
}

static void ptr_services(struct asking *a, const char *ip)
{
	struct store_list all;

	store_list(a->store, "services", NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		if (strcmp(json_text_or(all.v[i]->json, "spec.clusterIP", ""), ip) == 0)
			add_ptr(a, "", all.v[i]->name, all.v[i]->ns);
	store_list_end(&all);
}

static void ptr_endpoints(struct asking *a, const char *ip)
{
	struct store_list all;
	char name[128];

	store_list(a->store, SLICES, NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		json_each(ep, json_get(all.v[i]->json, "endpoints"))
		{
			const char *svc = meta_label(
				all.v[i]->json, "kubernetes.io/service-name");

			if (!svc ||
				strcmp(json_text_or(ep, "addresses.0", ""), ip) != 0)
				continue;
			endpoint_name(ep, name, sizeof(name));
			add_ptr(a, name, svc, all.v[i]->ns);
		}
	store_list_end(&all);
}

/* "4.3.2.1.in-addr.arpa"; false: not such a name. */
static bool answer_reverse(struct asking *a)
{
	static const struct slice tail = SLICE(".in-addr.arpa");
	struct slice name = slice_of(a->head.name), part;
	const char *octets[4];
	int lens[4], n = 0;
	char ip[64];

	if (!slice_ends(name, tail))
		return false;
	name.n -= tail.n;
	while (n < 4 && slice_cut(&name, '.', &part)) {
		octets[n] = part.p;
		lens[n++] = (int)part.n;
	}
	if (n != 4)
		return true;
	snprintf(ip, sizeof(ip), "%.*s.%.*s.%.*s.%.*s", lens[3] & 7, octets[3],
		lens[2] & 7, octets[2], lens[1] & 7, octets[1], lens[0] & 7, octets[0]);
	ptr_services(a, ip);
	ptr_endpoints(a, ip);
	return true;
}

/* ---- the message ---- */

/* Cuts the name before the cluster's domain; false: it is not below it. */
static bool cut_labels(struct asking *a)
{
	struct slice name = slice_of(a->head.name), domain = slice_of(a->domain);
	char *p = a->text;

	if (!slice_ends(name, domain))
		return false;
	if (name.n > domain.n && name.p[name.n - domain.n - 1] != '.')
		return false;
	if (name.n == domain.n)
		return true;
	snprintf(
		a->text, sizeof(a->text), "%.*s", (int)(name.n - domain.n - 1), name.p);
	while (p && a->n < LABELS_MAX) {
		a->labels[a->n++] = p;
		p = strchr(p, '.');
		if (p)
			*p++ = 0;
	}
	return true;
}

static enum dns_code find_answer(struct asking *a)
{
	if (answer_reverse(a))
		return a->exists ? DNS_OK : DNS_NO_NAME;
	if (!cut_labels(a))
		return DNS_REFUSED;
	if (a->n == 0)
		a->exists = true;
	else if (strcmp(a->labels[a->n - 1], "svc") == 0)
		answer_svc(a);
	else if (strcmp(a->labels[a->n - 1], "pod") == 0)
		answer_pod(a);
	return a->exists ? DNS_OK : DNS_NO_NAME;
}

static int write_records(struct asking *a, bool soa, struct buf *out)
{
	struct dns_record r = {.type = DNS_SOA, .ttl = TTL, .negative_ttl = TTL};

	for (uint16_t i = 0; i < a->nout; i++)
		if (dns_write_record(out, &a->out[i]))
			return -1;
	if (!soa)
		return 0;
	snprintf(r.name, sizeof(r.name), "%.200s", a->domain);
	snprintf(r.target, sizeof(r.target), "ns.dns.%.200s", a->domain);
	return dns_write_record(out, &r);
}

static void write_answer(
	struct asking *a, enum dns_code code, size_t max, struct buf *out)
{
	bool soa = !a->nout && code != DNS_REFUSED;

	if (dns_write_response(out, &a->head, code, false, a->nout, soa) == 0 &&
		write_records(a, soa, out) == 0 && buf_len(out) <= max)
		return;
	buf_clear(out);
	(void)dns_write_response(out, &a->head, code, true, 0, 0);
}

bool cluster_dns_answer(const struct store *s, const char *domain, struct slice query,
	size_t max, struct buf *out)
{
	struct asking *a;
	struct dns_head head;
	enum dns_code code;
	size_t at;

	if (dns_read_head((const uint8_t *)query.p, query.n, &head, &at, NULL) ||
		head.response || head.questions != 1)
		return false;
	a = calloc(1, sizeof(*a));
	must(a);
	a->out = calloc(RECORDS_MAX, sizeof(*a->out));
	must(a->out);
	a->store = s;
	a->domain = domain;
	a->head = head;
	if (head.additionals && max == 512)
		max = DNS_UDP_MAX; /* EDNS: ours are the only ones that are larger */
	code = find_answer(a);
	write_answer(a, code, max, out);
	free(a->out);
	free(a);
	return true;
}
