/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/dns.h"

#define SERVERS_MAX 3
#define SEARCH_MAX  8
#define TRIES_MAX   4

struct dns {
	struct loop *loop;
	struct addr servers[SERVERS_MAX];
	size_t nservers;
	char search[SEARCH_MAX][DNS_NAME_MAX];
	size_t nsearch;
	unsigned ndots;
	uint64_t timeout;
	unsigned attempts;
	char hosts[65536]; /* /etc/hosts, as it was */
	struct list queries;
};

enum query_at {
	QUERY_LITERAL, /* an address: answers in the next turn */
	QUERY_SRV,
	QUERY_ADDRS, /* A and AAAA are out */
	QUERY_OVER,
};

struct dns_query {
	struct list node;
	struct dns *dns;
	enum query_at at;
	char host[DNS_NAME_MAX];
	uint16_t port;
	dns_done *done;
	void *arg;

	size_t candidate; /* which name of the search list */
	size_t ncandidates;
	unsigned tries;
	char name[DNS_NAME_MAX]; /* the one being asked */
	int fd;
	struct watch watch;
	struct timer timer;
	struct later later;
	uint16_t ids[2];
	bool answered[2];
	bool failed; /* a server said so, rather than that there is none */

	struct addr found[DNS_MAX];
	size_t n;
	uint32_t ttl;
	char srv_target[DNS_NAME_MAX]; /* of an SRV whose target is a name */
	uint16_t srv_port;
	struct err why;
};

static void ask(struct dns_query *q);

/* ---- configuration ---- */

static void conf_line(struct dns *d, struct slice line)
{
	struct slice word, key;
	uint64_t n;

	line = slice_trim(line);
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '\t')
			((char *)line.p)[i] = ' ';
	if (!slice_cut(&line, ' ', &key))
		return;
	if (slice_is(key, "search"))
		d->nsearch = 0;
	while (slice_cut(&line, ' ', &word)) {
		if (!word.n)
			continue;
		if (slice_is(key, "nameserver") && d->nservers < SERVERS_MAX &&
			ip_parse(word, &d->servers[d->nservers].ip))
			d->servers[d->nservers++].port = 53;
		if (slice_is(key, "search") && d->nsearch < SEARCH_MAX &&
			word.n < DNS_NAME_MAX)
			memcpy(d->search[d->nsearch++], word.p, word.n);
		if (!slice_is(key, "options"))
			continue;
		if (slice_starts(word, SLICE("ndots:")) &&
			slice_u64((struct slice){word.p + 6, word.n - 6}, 15, &n))
			d->ndots = (unsigned)n;
		if (slice_starts(word, SLICE("timeout:")) &&
			slice_u64((struct slice){word.p + 8, word.n - 8}, 30, &n) && n)
			d->timeout = n * NS_PER_S;
	}
}

static size_t read_file(const char *path, char *to, size_t max)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return 0;
	n = fread(to, 1, max - 1, f);
	to[n] = '\0';
	fclose(f);
	return n;
}

static void read_conf(struct dns *d, const char *path)
{
	char text[16384];
	struct slice rest = {text, read_file(path, text, sizeof text)}, line;

	while (rest.n && slice_cut(&rest, '\n', &line))
		if (line.n && line.p[0] != '#' && line.p[0] != ';')
			conf_line(d, line);
	if (!d->nservers && ip_parse(SLICE("127.0.0.1"), &d->servers[0].ip)) {
		d->servers[0].port = 53;
		d->nservers = 1;
	}
}

struct dns *dns_new(struct loop *l, const char *resolv_conf, struct err *e)
{
	struct dns *d = calloc(1, sizeof *d);

	if (!d) {
		err_set(e, ERR_LIMIT, "no memory for a resolver");
		return NULL;
	}
	d->loop = l;
	d->ndots = 1;
	d->timeout = 2 * NS_PER_S;
	d->attempts = TRIES_MAX;
	list_init(&d->queries);
	read_conf(d, resolv_conf ? resolv_conf : "/etc/resolv.conf");
	read_file("/etc/hosts", d->hosts, sizeof d->hosts);
	return d;
}

/* ---- one query's life ---- */

static void close_socket(struct dns_query *q)
{
	if (q->fd < 0)
		return;
	watch_end(&q->watch);
	close(q->fd);
	q->fd = -1;
}

static void query_free(struct dns_query *q)
{
	close_socket(q);
	timer_clear(&q->timer);
	later_clear(&q->later);
	list_remove(&q->node);
	free(q);
}

void dns_cancel(struct dns_query *q)
{
	query_free(q);
}

void dns_free(struct dns *d)
{
	struct dns_query *q;

	list_each(q, &d->queries, node) query_free(q);
	free(d);
}

static void finish(struct dns_query *q)
{
	struct err ok = {.code = ERR_NONE};
	dns_done *done = q->done;
	void *arg = q->arg;
	struct addr found[DNS_MAX];
	size_t n = q->n;
	uint32_t ttl = q->ttl;

	memcpy(found, q->found, n * sizeof *found);
	if (!n && q->why.code == ERR_NONE)
		err_set(&q->why, ERR_MISSING, "%s: no such name", q->host);
	if (!n)
		ok = q->why;
	query_free(q);
	done(arg, found, n, ttl, &ok);
}

static void add(struct dns_query *q, const struct ip *ip, uint16_t port, uint32_t ttl)
{
	if (q->n == DNS_MAX)
		return;
	q->found[q->n++] = (struct addr){*ip, port};
	if (q->n == 1 || ttl < q->ttl)
		q->ttl = ttl;
}

static unsigned dots(const char *name)
{
	unsigned n = 0;

	for (; *name; name++)
		n += *name == '.';
	return n;
}

/* The names to try, in order: as given first when it has dots enough. */
static bool candidate(const struct dns_query *q, size_t i, char out[DNS_NAME_MAX])
{
	const struct dns *d = q->dns;
	size_t len = strlen(q->host);
	bool absolute = len && q->host[len - 1] == '.';
	bool first = absolute || dots(q->host) >= d->ndots;
	size_t plain = first ? 0 : d->nsearch;
	int n;

	if (i == plain) {
		n = snprintf(out, DNS_NAME_MAX, "%.*s", (int)(absolute ? len - 1 : len),
			q->host);
		return n < DNS_NAME_MAX;
	}
	if (absolute || i > d->nsearch)
		return false;
	n = snprintf(out, DNS_NAME_MAX, "%s.%s", q->host, d->search[first ? i - 1 : i]);
	return n < DNS_NAME_MAX;
}

static void next_candidate(struct dns_query *q)
{
	close_socket(q);
	while (++q->candidate <= q->dns->nsearch)
		if (candidate(q, q->candidate, q->name)) {
			q->tries = 0;
			ask(q);
			return;
		}
	if (q->at == QUERY_SRV) { /* no SRV anywhere: the address records of the name */
		q->at = QUERY_ADDRS;
		q->candidate = 0;
		q->tries = 0;
		if (candidate(q, 0, q->name)) {
			ask(q);
			return;
		}
	}
	finish(q);
}

/* "10-1-2-3.name" and "fd00--1.name" hold the address in their first label. */
static bool dashed_ip(const char *target, struct ip *out)
{
	char text[64];
	size_t n = strcspn(target, ".");
	bool six = false;

	if (n >= sizeof text)
		return false;
	memcpy(text, target, n);
	text[n] = '\0';
	for (size_t i = 0; i + 1 < n; i++)
		six |= text[i] == '-' && text[i + 1] == '-';
	for (size_t i = 0; i < n; i++)
		if (text[i] == '-')
			text[i] = six ? ':' : '.';
	if (ip_parse(slice_of(text), out))
		return true;
	for (size_t i = 0; i < n; i++)
		if (text[i] == '.')
			text[i] = ':';
	return ip_parse(slice_of(text), out);
}

static void take_record(struct dns_query *q, const struct dns_record *r)
{
	struct ip ip;

	if (r->type == DNS_A || r->type == DNS_AAAA) {
		if (q->at == QUERY_ADDRS)
			add(q, &r->ip, q->port, r->ttl);
	} else if (r->type == DNS_SRV && q->at == QUERY_SRV) {
		if (dashed_ip(r->target, &ip))
			add(q, &ip, r->port, r->ttl);
		else if (!q->srv_target[0])
			memcpy(q->srv_target, r->target, sizeof q->srv_target);
		q->srv_port = r->port;
	}
}

static bool all_answered(const struct dns_query *q)
{
	return q->answered[0] && (q->at == QUERY_SRV || q->answered[1]);
}

static void answered_all(struct dns_query *q)
{
	timer_clear(&q->timer);
	if (q->n > 0) {
		finish(q);
	} else if (q->at == QUERY_SRV && q->srv_target[0]) {
		memcpy(q->host, q->srv_target, sizeof q->host);
		q->port = q->srv_port;
		q->srv_target[0] = '\0';
		q->at = QUERY_ADDRS;
		q->candidate = 0;
		memcpy(q->name, q->host, sizeof q->name);
		ask(q);
	} else {
		next_candidate(q);
	}
}

static void take_answer(struct dns_query *q, const uint8_t *p, size_t n)
{
	struct dns_record r;
	struct dns_head h;
	size_t at;
	int which;

	if (dns_read_head(p, n, &h, &at, NULL) < 0 || !h.response ||
		strcasecmp(h.name, q->name) != 0)
		return; /* not an answer to what we asked: wait for the real one */
	which = h.id == q->ids[0] ? 0 : h.id == q->ids[1] ? 1 : -1;
	if (which < 0 || q->answered[which])
		return;
	q->answered[which] = true;
	if (h.code != DNS_OK && h.code != DNS_NO_NAME) {
		q->failed = true;
		err_set(&q->why, ERR_BUSY, "%s: the name server answers code %d",
			q->name, h.code);
	}
	for (unsigned i = 0; h.code == DNS_OK && i < h.answers; i++) {
		if (dns_read_record(p, n, &at, &r, NULL) < 0)
			break;
		take_record(q, &r);
	}
	if (all_answered(q))
		answered_all(q);
}

static void on_readable(struct watch *w, int what)
{
	struct dns_query *q = container_of(w, struct dns_query, watch);
	uint8_t bytes[4096];
	ssize_t n = recv(q->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	(void)what;
	if (n > 0)
		take_answer(q, bytes, (size_t)n);
	else if (n < 0 && errno == ECONNREFUSED)
		timer_set(&q->timer, 0); /* nobody is there: the next server, now */
}

static bool send_question(struct dns_query *q, int which, enum dns_type type)
{
	struct buf b = BUF_LIMIT(512);
	bool ok;

	q->ids[which] = (uint16_t)random_u64();
	q->answered[which] = false;
	ok = dns_write_query(&b, q->ids[which], q->name, type) == 0 &&
	     send(q->fd, buf_slice(&b).p, buf_len(&b), MSG_NOSIGNAL) > 0;
	buf_fini(&b);
	return ok;
}

static bool open_socket(struct dns_query *q)
{
	const struct addr *server = &q->dns->servers[q->tries % q->dns->nservers];
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sock(server, &ss);

	close_socket(q);
	q->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return false;
	watch_init(&q->watch, q->dns->loop, q->fd, on_readable);
	if (connect(q->fd, (struct sockaddr *)&ss, n) < 0)
		return false;
	return watch_set(&q->watch, WATCH_IN) == 0;
}

static void ask(struct dns_query *q)
{
	bool ok = open_socket(q);

	if (ok && q->at == QUERY_SRV)
		ok = send_question(q, 0, DNS_SRV);
	else if (ok)
		ok = send_question(q, 0, DNS_A) && send_question(q, 1, DNS_AAAA);
	timer_set(&q->timer, ok ? q->dns->timeout : 0);
}

static void on_timer(struct timer *t)
{
	struct dns_query *q = container_of(t, struct dns_query, timer);

	if (q->n > 0) { /* one of A and AAAA came: that is enough */
		finish(q);
		return;
	}
	if (++q->tries < q->dns->attempts) {
		ask(q);
		return;
	}
	err_set(&q->why, ERR_TIMEOUT, "%s: no name server answered", q->host);
	finish(q);
}

/* ---- /etc/hosts and literals ---- */

static void look_in_hosts(struct dns_query *q)
{
	struct slice rest = slice_of(q->dns->hosts), line, word;
	struct slice host = slice_of(q->host);
	struct ip ip;

	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	while (rest.n && slice_cut(&rest, '\n', &line)) {
		bool have = false;

		for (size_t i = 0; i < line.n; i++)
			if (line.p[i] == '\t')
				((char *)line.p)[i] = ' ';
		while (slice_cut(&line, ' ', &word)) {
			if (!word.n)
				continue;
			if (word.p[0] == '#')
				break;
			if (!have && !ip_parse(word, &ip))
				break;
			if (have && slice_ieq(word, host))
				add(q, &ip, q->port, 60);
			have = true;
		}
	}
}

static void on_later(struct later *d)
{
	finish(container_of(d, struct dns_query, later));
}

static struct dns_query *query_new(struct dns *d, struct slice host, uint16_t port,
	enum query_at at, dns_done *done, void *arg)
{
	struct dns_query *q = calloc(1, sizeof *q);
	struct slice bare = host;
	struct ip ip;

	must(q != NULL);
	*q = (struct dns_query){.dns = d,
		.at = at,
		.port = port,
		.done = done,
		.arg = arg,
		.fd = -1,
		.ttl = 5};
	list_init(&q->node);
	list_push(&d->queries, &q->node);
	timer_init(&q->timer, d->loop, on_timer);
	later_init(&q->later, on_later);
	if (host.n >= sizeof q->host - 1) {
		err_set(&q->why, ERR_LIMIT, "a name of %zu bytes", host.n);
	} else {
		memcpy(q->host, host.p, host.n);
		if (bare.n > 2 && bare.p[0] == '[')
			bare = (struct slice){bare.p + 1, bare.n - 2};
		if (ip_parse(bare, &ip))
			add(q, &ip, port, 3600);
		else
			look_in_hosts(q);
	}
	if (q->n || q->why.code != ERR_NONE || !candidate(q, 0, q->name)) {
		q->at = QUERY_LITERAL;
		loop_later(d->loop, &q->later);
	} else {
		ask(q);
	}
	return q;
}

struct dns_query *dns_resolve(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg)
{
	return query_new(d, host, port, QUERY_ADDRS, done, arg);
}

struct dns_query *dns_resolve_srv(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg)
{
	return query_new(d, host, port, QUERY_SRV, done, arg);
}
