/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/dns.h"

#include <stdlib.h>

#include "base/clock.h"
#include "ev/dnsint.h"

/* With addresses of one family there, the other is not waited for longer. */
#define GRACE     (1 * NS_PER_S)
#define TTL_HOSTS 60 /* the hosts file may change */

struct dns {
	struct loop *loop;
	struct dns_conf conf;
	uint32_t ttl_min, ttl_max;
	unsigned turn; /* of `rotate` */
	struct list queries;
};

enum query_at {
	QUERY_READY, /* what is known already is told at the end of the turn */
	QUERY_SRV,
	QUERY_ADDR,
};

struct dns_query {
	struct list node;
	struct dns *dns;
	enum query_at at;
	char host[DNS_NAME_MAX]; /* as asked for, without its final dot */
	bool is_full;            /* it had one: no search */
	unsigned dots;
	uint16_t port;
	dns_done *done;
	void *arg;
	void (*watch)(void *arg, bool is_srv, bool found); /* or NULL */
	unsigned candidate; /* which name of the search list is being asked for */
	struct ask a, aaaa; /* SRV is asked for by `a` */
	struct later later;
	struct timer grace;
	struct addr addrs[DNS_MAX];
	size_t n, n4; /* the first n4 are IPv4 */
	uint32_t ttl, no_ttl;
	struct dns_record target; /* the SRV whose addresses are looked for */
	struct err why;           /* what kept us from knowing, if anything */
};

/* ---- results ---- */

static void add_addr(
	struct dns_query *q, const struct ip *ip, uint16_t port, uint32_t ttl)
{
	struct addr a = {*ip, port};
	size_t at = ip->family == 4 ? q->n4 : q->n;

	for (size_t i = 0; i < q->n; i++)
		if (addr_eq(&q->addrs[i], &a))
			return;
	if (q->n == DNS_MAX)
		return;
	memmove(&q->addrs[at + 1], &q->addrs[at], (q->n - at) * sizeof a);
	q->addrs[at] = a;
	q->n++;
	q->n4 += ip->family == 4;
	q->ttl = ttl < q->ttl ? ttl : q->ttl;
}

static uint32_t ttl_of(const struct dns_query *q)
{
	const struct dns *d = q->dns;
	uint32_t ttl = q->ttl;

	if (!q->n)
		ttl = q->why.code != ERR_NONE ? DNS_TTL_FAIL : q->no_ttl;
	if (ttl > DNS_TTL_MAX)
		ttl = DNS_TTL_MAX;
	if (ttl > d->ttl_max)
		ttl = d->ttl_max;
	return ttl < d->ttl_min ? d->ttl_min : ttl;
}

static void forget(struct dns_query *q)
{
	list_remove(&q->node);
	later_clear(&q->later);
	timer_clear(&q->grace);
	ask_end(&q->a);
	ask_end(&q->aaaa);
}

static void tell_watch(const struct dns_query *q)
{
	if (q->watch)
		q->watch(q->arg, q->at == QUERY_SRV, q->n > 0);
}

static void finish(struct dns_query *q)
{
	uint32_t ttl = ttl_of(q);
	struct err e = {.code = ERR_NONE};

	tell_watch(q);
	if (!q->n && q->why.code == ERR_NONE)
		err_set(&q->why, ERR_MISSING, "no address");
	if (!q->n) {
		e = q->why;
		err_wrap(&e, "resolve %s", q->host);
	}
	forget(q);
	q->done(q->arg, q->addrs, q->n, ttl, &e);
	free(q);
}

/* ---- the search list (resolv.conf(5)) ---- */

/* The i-th full name to ask for; false when there is none. */
static bool candidate(const struct dns_query *q, unsigned i, char out[2 * DNS_NAME_MAX])
{
	const struct dns_conf *c = &q->dns->conf;
	bool bare_first = q->dots >= c->ndots;
	size_t n = q->is_full ? 0 : c->nsearches;

	if (i > n)
		return false;
	if (i == (bare_first || q->is_full ? 0 : n))
		snprintf(out, 2 * DNS_NAME_MAX, "%s", q->host);
	else
		snprintf(out, 2 * DNS_NAME_MAX, "%s.%s", q->host,
			c->searches[bare_first ? i - 1 : i]);
	return true;
}

static void ask_candidate(struct dns_query *q)
{
	char name[2 * DNS_NAME_MAX];

	for (; candidate(q, q->candidate, name); q->candidate++) {
		if (strlen(name) > DNS_TEXT_MAX)
			continue; /* with this suffix it is no name */
		q->a.first = q->aaaa.first = q->dns->conf.rotate ? q->dns->turn++ : 0;
		ask_begin(&q->a, name, q->at == QUERY_SRV ? DNS_SRV : DNS_A);
		if (q->at == QUERY_ADDR)
			ask_begin(&q->aaaa, name, DNS_AAAA);
		return;
	}
	if (q->at == QUERY_ADDR) {
		finish(q);
		return;
	}
	tell_watch(q);
	q->at = QUERY_ADDR;
	q->candidate = 0;
	q->why.code = ERR_NONE;
	ask_candidate(q);
}

/* ---- answers ---- */

static void no_for(struct dns_query *q, uint32_t ttl)
{
	q->no_ttl = ttl < DNS_TTL_NO ? ttl : DNS_TTL_NO;
}

/* Calls fn for each record of class IN; `is_answer`: of the answer section. */
typedef void record_fn(struct dns_query *q, const struct dns_record *r, bool is_answer,
	struct slice msg);

static void each_record(struct dns_query *q, struct slice msg, record_fn *fn)
{
	const uint8_t *p = (const uint8_t *)msg.p;
	struct dns_record r;
	struct dns_head h;
	unsigned all;
	size_t at;

	if (dns_read_head(p, msg.n, &h, &at, NULL) < 0)
		return;
	all = (unsigned)h.answers + h.authorities + h.additionals;
	for (unsigned i = 0; i < all; i++) {
		if (dns_read_record(p, msg.n, &at, &r, NULL) < 0)
			return; /* what was read before stands */
		if (r.class == 1)
			fn(q, &r, i < h.answers, msg);
	}
}

static void use_addr(struct dns_query *q, const struct dns_record *r, bool is_answer,
	struct slice msg)
{
	(void)msg;
	if (!is_answer && r->type == DNS_SOA) /* RFC 2308 §5 */
		no_for(q, r->ttl < r->negative_ttl ? r->ttl : r->negative_ttl);
	if (!is_answer)
		return;
	if (r->type == DNS_CNAME && r->ttl < q->ttl)
		q->ttl = r->ttl;
	if (r->type == DNS_A || r->type == DNS_AAAA)
		add_addr(q, &r->ip, q->port, r->ttl);
}

/* Addresses that the answer brings along for the target being used. */
static void use_extra(struct dns_query *q, const struct dns_record *r, bool is_answer,
	struct slice msg)
{
	(void)msg;
	if (!is_answer && (r->type == DNS_A || r->type == DNS_AAAA) &&
		slice_ieq(slice_of(r->name), slice_of(q->target.target)))
		add_addr(q, &r->ip, q->target.port,
			r->ttl < q->target.ttl ? r->ttl : q->target.ttl);
}

static void use_srv(struct dns_query *q, const struct dns_record *r, bool is_answer,
	struct slice msg)
{
	struct ip ip;

	if (!is_answer || r->type != DNS_SRV || q->n == DNS_MAX)
		return;
	if (dns_dashed_ip(r->target, &ip)) {
		add_addr(q, &ip, r->port, r->ttl);
	} else {
		q->target = *r;
		each_record(q, msg, use_extra);
	}
}

/* Nobody answers: other names will not be answered either. */
static bool is_hopeless(const struct err *e)
{
	return e->code == ERR_TIMEOUT || e->code == ERR_SYS;
}

/* All that was asked about a candidate is settled. */
static void settled(struct dns_query *q)
{
	if (q->n || (q->at == QUERY_ADDR && is_hopeless(&q->why))) {
		finish(q);
		return;
	}
	q->candidate++;
	if (is_hopeless(&q->why))
		q->candidate = DNS_SEARCHES + 1;
	ask_candidate(q);
}

static void take_answer(
	struct dns_query *q, const struct slice *answer, const struct err *e)
{
	if (!answer)
		q->why = *e;
	else
		each_record(q, *answer, q->at == QUERY_SRV ? use_srv : use_addr);
	if (q->a.at == ASK_IDLE && q->aaaa.at == ASK_IDLE)
		settled(q);
	else if (q->n)
		timer_set(&q->grace, GRACE);
}

static void on_a(struct ask *a, const struct slice *answer, const struct err *e)
{
	take_answer(container_of(a, struct dns_query, a), answer, e);
}

static void on_aaaa(struct ask *a, const struct slice *answer, const struct err *e)
{
	take_answer(container_of(a, struct dns_query, aaaa), answer, e);
}

static void on_grace(struct timer *t)
{
	finish(container_of(t, struct dns_query, grace));
}

/* ---- queries ---- */

static void on_later(struct later *l)
{
	struct dns_query *q = container_of(l, struct dns_query, later);

	if (q->at == QUERY_READY)
		finish(q);
	else
		ask_candidate(q);
}

/* Copies the host's name without its final dot; false when it is none. */
static bool take_host(struct dns_query *q, struct slice host)
{
	q->is_full = host.n > 1 && host.p[host.n - 1] == '.';
	host.n -= q->is_full;
	if (host.n == 0 || host.n > DNS_TEXT_MAX || memchr(host.p, '\0', host.n))
		return false;
	memcpy(q->host, host.p, host.n);
	for (size_t i = 0; i < host.n; i++)
		q->dots += host.p[i] == '.';
	return true;
}

/* What needs no server: literals, the hosts file, what is no name. */
static bool is_known(struct dns_query *q, struct slice host)
{
	struct slice inner = host;
	struct ip ips[DNS_MAX];
	size_t n;

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		inner = (struct slice){host.p + 1, host.n - 2};
	if (ip_parse(inner, &ips[0])) {
		add_addr(q, &ips[0], q->port, UINT32_MAX);
		return true;
	}
	if (!take_host(q, host)) {
		err_set(&q->why, ERR_SYNTAX, "\"%.*s\" is not a host name",
			(int)(host.n < DNS_TEXT_MAX ? host.n : DNS_TEXT_MAX), host.p);
		return true;
	}
	n = dns_conf_hosts(&q->dns->conf, host, ips, DNS_MAX);
	for (size_t i = 0; i < n; i++)
		add_addr(q, &ips[i], q->port, TTL_HOSTS);
	return n > 0;
}

static struct dns_query *resolve(struct dns *d, struct slice host, uint16_t port,
	dns_done *done, void *arg, enum query_at at)
{
	struct dns_query *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	dns_conf_refresh(&d->conf);
	list_init(&q->node);
	list_push(&d->queries, &q->node);
	q->dns = d;
	q->port = port;
	q->done = done;
	q->arg = arg;
	q->ttl = UINT32_MAX;
	q->no_ttl = DNS_TTL_FAIL;
	ask_init(&q->a, d->loop, &d->conf, on_a);
	ask_init(&q->aaaa, d->loop, &d->conf, on_aaaa);
	timer_init(&q->grace, d->loop, on_grace);
	later_init(&q->later, on_later);
	q->at = is_known(q, host) ? QUERY_READY : at;
	loop_later(d->loop, &q->later);
	return q;
}

struct dns_query *dns_resolve(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg)
{
	return resolve(d, host, port, done, arg, QUERY_ADDR);
}

struct dns_query *dns_resolve_srv(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg)
{
	return resolve(d, host, port, done, arg, QUERY_SRV);
}

void dns_query_watch(
	struct dns_query *q, void (*fn)(void *arg, bool is_srv, bool found))
{
	q->watch = fn;
}

void dns_cancel(struct dns_query *q)
{
	if (!q)
		return;
	forget(q);
	free(q);
}

/* ---- life ---- */

struct dns *dns_new(struct loop *l, const char *resolv_conf, struct err *e)
{
	struct dns *d = calloc(1, sizeof *d);

	if (!d ||
		dns_conf_init(&d->conf, resolv_conf ? resolv_conf : "/etc/resolv.conf",
			"/etc/hosts") < 0) {
		free(d);
		err_set(e, ERR_LIMIT, "no memory for a resolver");
		return NULL;
	}
	d->loop = l;
	d->ttl_max = UINT32_MAX;
	list_init(&d->queries);
	return d;
}

void dns_free(struct dns *d)
{
	struct dns_query *q;

	if (!d)
		return;
	while ((q = list_first(&d->queries, struct dns_query, node)))
		dns_cancel(q);
	dns_conf_fini(&d->conf);
	free(d);
}

void dns_set_hosts(struct dns *d, const char *path)
{
	char *copy = slice_dup(slice_of(path));

	must(copy != NULL);
	free(d->conf.hosts_file.path);
	d->conf.hosts_file = (struct dns_file){.path = copy};
	dns_conf_refresh(&d->conf);
}

void dns_set_ttl(struct dns *d, uint32_t min, uint32_t max)
{
	d->ttl_min = min;
	d->ttl_max = max;
}
