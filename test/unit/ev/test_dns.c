/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/dns.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "t.h"
#include "wire/dns.h"

/* ---- a server in a thread: UDP and TCP on one port ---- */

struct server {
	int udp, tcp, stop[2];
	uint16_t port;
	pthread_t thread;
	bool silent, fails;
	char asked[2048]; /* "name/type " of each question; read after stopping */
	int by_tcp;
};

static struct ip ip_of(const char *text)
{
	struct ip ip = {0};

	OK(ip_parse(slice_of(text), &ip));
	return ip;
}

struct zone {
	const char *name;
	uint16_t type;
	const char *ip, *target;
	uint16_t port;
	uint32_t ttl;
};

static const struct zone zone[] = {
	{"both.test", DNS_A, "10.0.0.1", "", 0, 30},
	{"both.test", DNS_A, "10.0.0.2", "", 0, 40},
	{"both.test", DNS_AAAA, "fd00::1", "", 0, 20},
	{"short.ns.search.test", DNS_A, "10.0.0.3", "", 0, 30},
	{"four.test", DNS_A, "10.0.0.4", "", 0, 30},
	{"forged.test", DNS_A, "10.0.0.5", "", 0, 30},
	{"old.test", DNS_A, "10.0.0.6", "", 0, 30},
	{"big.test", DNS_A, "10.0.0.7", "", 0, 30},
	{"srv.test", DNS_SRV, NULL, "10-1-2-3.srv.test", 8086, 12},
	{"srv.test", DNS_SRV, NULL, "pod.srv.test", 8087, 12},
	{"srv.test", DNS_SRV, NULL, "unknown.srv.test", 8088, 12},
	{"srv.test", DNS_A, "10.9.9.9", "", 0, 30},
	{"nosrv.test", DNS_A, "10.0.0.9", "", 0, 30},
	{"alias.test", DNS_CNAME, NULL, "four.test", 0, 3},
	{"alias.test", DNS_A, "10.0.0.4", "", 0, 30},
	{"forever.test", DNS_A, "10.0.0.8", "", 0, 10000000},
};

static bool name_is(const struct dns_head *q, const char *name)
{
	return slice_ieq(slice_of(q->name), slice_of(name));
}

/* Writes the zone's records for a question; returns how many there are. */
static uint16_t write_zone(struct buf *b, const struct dns_head *q, bool *exists)
{
	uint16_t n = 0;

	for (size_t i = 0; i < countof(zone); i++) {
		struct dns_record r = {.type = zone[i].type, .port = zone[i].port};

		if (!name_is(q, zone[i].name))
			continue;
		*exists = true;
		if (zone[i].type != q->type && zone[i].type != DNS_CNAME)
			continue;
		snprintf(r.name, sizeof r.name, "%s", zone[i].name);
		snprintf(r.target, sizeof r.target, "%s", zone[i].target);
		r.ttl = zone[i].ttl;
		if (zone[i].ip)
			r.ip = ip_of(zone[i].ip);
		dns_write_record(b, &r);
		n++;
	}
	return n;
}

static void note(struct server *s, const struct dns_head *q)
{
	size_t n = strlen(s->asked);

	snprintf(s->asked + n, sizeof s->asked - n, "%s/%u ", q->name, q->type);
}

static const struct dns_record soa = {.name = "test",
	.type = DNS_SOA,
	.ttl = 40,
	.target = "ns.test",
	.negative_ttl = 17};

/* What stands behind the question; the counts are set in the head before it. */
static void write_answers(struct buf *out, const struct dns_head *q)
{
	struct dns_record extra = {.name = "pod.srv.test", .type = DNS_A, .ttl = 9};
	struct buf body = BUF_INIT;
	bool exists = false, srv = name_is(q, "srv.test") && q->type == DNS_SRV;
	uint16_t n = write_zone(&body, q, &exists);

	extra.ip = ip_of("10.1.2.4");
	if (!n)
		dns_write_record(&body, &soa);
	if (srv)
		dns_write_record(&body, &extra);
	dns_write_response(out, q, exists ? DNS_OK : DNS_NO_NAME, false, n, !n);
	out->p[11] = srv; /* additional records */
	buf_adds(out, buf_slice(&body));
	buf_fini(&body);
}

static void reply(
	struct server *s, const uint8_t *p, size_t n, struct buf *out, bool tcp)
{
	struct dns_head q;
	size_t at;

	EQ_INT(dns_read_head(p, n, &q, &at, NULL), 0);
	note(s, &q);
	if (s->fails)
		dns_write_response(out, &q, DNS_FAILED, false, 0, 0);
	else if (name_is(&q, "old.test") && q.additionals)
		dns_write_response(out, &q, DNS_FORMAT, false, 0, 0);
	else if (name_is(&q, "big.test") && !tcp)
		dns_write_response(out, &q, DNS_OK, true, 0, 0);
	else
		write_answers(out, &q);
}

static void serve_udp(struct server *s)
{
	uint8_t in[512];
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	ssize_t n = recvfrom(s->udp, in, sizeof in, 0, (struct sockaddr *)&from, &len);
	struct buf out = BUF_INIT;
	struct slice m;

	if (n < 12)
		return;
	reply(s, in, (size_t)n, &out, false);
	m = buf_slice(&out);
	if (memmem(in, (size_t)n, "forged", 6)) {
		out.p[1] ^= 1; /* another id */
		sendto(s->udp, m.p, m.n, 0, (struct sockaddr *)&from, len);
		out.p[1] ^= 1;
		out.p[14] ^= 1; /* another question */
		sendto(s->udp, m.p, m.n, 0, (struct sockaddr *)&from, len);
		out.p[14] ^= 1;
		sendto(s->udp, "x", 1, 0, (struct sockaddr *)&from, len);
	}
	if (!s->silent)
		sendto(s->udp, m.p, m.n, 0, (struct sockaddr *)&from, len);
	buf_fini(&out);
}

static void serve_tcp(struct server *s)
{
	uint8_t in[514];
	int fd = accept(s->tcp, NULL, NULL);
	ssize_t n = recv(fd, in, sizeof in, 0);
	struct buf out = BUF_INIT;
	struct buf body = BUF_INIT;
	struct slice m;

	OK(n > 14 && in[0] * 256 + in[1] == n - 2);
	buf_add(&out, "\0\0", 2);
	reply(s, in + 2, (size_t)n - 2, &body, true);
	out.p[0] = (char)(buf_len(&body) >> 8);
	out.p[1] = (char)buf_len(&body);
	buf_adds(&out, buf_slice(&body));
	m = buf_slice(&out);
	for (size_t i = 0; i < m.n; i += 11) /* in small pieces */
		send(fd, m.p + i, m.n - i < 11 ? m.n - i : 11, MSG_NOSIGNAL);
	s->by_tcp++;
	buf_fini(&body);
	buf_fini(&out);
	close(fd);
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	struct pollfd p[] = {
		{s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}, {s->stop[0], POLLIN, 0}};

	while (poll(p, 3, -1) > 0 && !p[2].revents) {
		if (p[0].revents)
			serve_udp(s);
		if (p[1].revents)
			serve_tcp(s);
	}
	return NULL;
}

static bool bind_both(struct server *s)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	bool ok;

	s->udp = socket(AF_INET, SOCK_DGRAM, 0);
	s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	ok = bind(s->udp, (struct sockaddr *)&at, n) == 0 &&
	     getsockname(s->udp, (struct sockaddr *)&at, &n) == 0 &&
	     bind(s->tcp, (struct sockaddr *)&at, n) == 0 && listen(s->tcp, 8) == 0;
	s->port = ntohs(at.sin_port);
	if (!ok) {
		close(s->udp);
		close(s->tcp);
	}
	return ok;
}

static void server_start(struct server *s)
{
	int tries = 0;

	while (!bind_both(s))
		OK(++tries < 50);
	EQ_INT(pipe(s->stop), 0);
	EQ_INT(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void server_stop(struct server *s)
{
	EQ_INT(write(s->stop[1], "", 1), 1);
	pthread_join(s->thread, NULL);
	close(s->udp);
	close(s->tcp);
}

/* ---- asking it ---- */

static struct server servers[2];
static struct loop *loop;
static struct dns *dns;
static char got[2048];
static uint32_t got_ttl;
static struct err got_err;
static char conf_path[64], hosts_path[64];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	OK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void on_done(void *arg, const struct addr *addrs, size_t n, uint32_t ttl,
	const struct err *e)
{
	char text[ADDR_TEXT];

	(void)arg;
	got[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		strncat(got, i ? " " : "", 2);
		strncat(got, addr_text(&addrs[i], text), ADDR_TEXT);
	}
	got_ttl = ttl;
	got_err = *e;
	EQ_INT(n == 0, e->code != ERR_NONE);
	loop_stop(loop);
}

/* `conf` has a %u for each server's port. */
static void setup(const char *conf, const char *hosts)
{
	char text[512];
	struct err e;

	server_start(&servers[0]);
	server_start(&servers[1]);
	snprintf(conf_path, sizeof conf_path, "/tmp/test-dns-conf.%d", getpid());
	snprintf(hosts_path, sizeof hosts_path, "/tmp/test-dns-hosts.%d", getpid());
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, conf, servers[0].port, servers[1].port);
#pragma GCC diagnostic pop
	write_file(conf_path, text);
	write_file(hosts_path, hosts);
	loop = loop_new(&e);
	dns = dns_new(loop, conf_path, &e);
	OK(loop && dns);
	dns_set_hosts(dns, hosts_path);
}

static void teardown(void)
{
	dns_free(dns);
	server_stop(&servers[0]);
	server_stop(&servers[1]);
	unlink(conf_path);
	unlink(hosts_path);
	loop_free(loop);
}

static const char *resolve(const char *name)
{
	dns_resolve(dns, slice_of(name), 80, on_done, NULL);
	EQ_STR(got, ""); /* never before it returns */
	loop_run(loop, NULL);
	return got;
}

static const char *resolve_srv(const char *name)
{
	dns_resolve_srv(dns, slice_of(name), 80, on_done, NULL);
	loop_run(loop, NULL);
	return got;
}

#define ONE "nameserver 127.0.0.1:%u\n"

TEST(both_families_come_with_ipv4_first_and_the_least_ttl)
{
	setup(ONE, "");
	EQ_STR(resolve("both.test"), "10.0.0.1:80 10.0.0.2:80 [fd00::1]:80");
	EQ_INT(got_ttl, 20);
	teardown();
}

TEST(literals_hosts_and_localhost_ask_nobody)
{
	static const char *const cases[][2] = {{"10.1.2.3", "10.1.2.3:80"},
		{"[fd00::7]", "[fd00::7]:80"}, {"fd00::7", "[fd00::7]:80"},
		{"One.Host", "192.168.0.1:80 [fd00::9]:80"},
		{"one.host.", "192.168.0.1:80 [fd00::9]:80"},
		{"alias", "192.168.0.1:80"}, {"localhost", "127.0.0.1:80 [::1]:80"},
		{"x.localhost", "127.0.0.1:80 [::1]:80"}};

	setup(ONE, "# names\n192.168.0.1\tone.host alias # more\n\nfd00::9 ONE.HOST\n"
		   "not-an-address two.host\n");
	for (size_t i = 0; i < countof(cases); i++) {
		EQ_STR(resolve(cases[i][0]), cases[i][1]);
		EQ_STR(resolve_srv(cases[i][0]), cases[i][1]);
		got[0] = '\0';
	}
	teardown();
	EQ_STR(servers[0].asked, "");
}

TEST(what_is_no_name_is_refused)
{
	char longest[400];

	setup(ONE, "");
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	EQ_STR(resolve(longest), "");
	EQ_INT(got_err.code, ERR_SYNTAX);
	EQ_STR(resolve(""), "");
	EQ_INT(got_err.code, ERR_SYNTAX);
	EQ_STR(resolve("a..b"), "");
	EQ_INT(got_err.code, ERR_SYNTAX);
	teardown();
}

TEST(a_missing_name_is_missing_for_as_long_as_the_zone_says)
{
	setup(ONE, "");
	EQ_STR(resolve("nothing.test"), "");
	EQ_INT(got_err.code, ERR_MISSING);
	OK(strstr(got_err.msg, "resolve nothing.test") != NULL);
	EQ_INT(got_ttl, 17);
	teardown();
}

TEST(ttls_are_bounded)
{
	setup(ONE, "");
	EQ_STR(resolve("forever.test"), "10.0.0.8:80");
	EQ_INT(got_ttl, DNS_TTL_MAX);
	dns_set_ttl(dns, 25, 35);
	got[0] = '\0';
	resolve("both.test");
	EQ_INT(got_ttl, 25);
	got[0] = '\0';
	resolve("forever.test");
	EQ_INT(got_ttl, 35);
	teardown();
}

#define SEARCH ONE "search ns.search.test search.test\noptions ndots:2 timeout:1\n"

TEST(a_short_name_is_searched_for_first)
{
	setup(SEARCH, "");
	EQ_STR(resolve("short"), "10.0.0.3:80");
	got[0] = '\0';
	EQ_STR(resolve("four.test"), "10.0.0.4:80");
	teardown();
	OK(strstr(servers[0].asked, "short.ns.search.test/1 ") == servers[0].asked);
	OK(!strstr(servers[0].asked, " short/1 "));
	OK(strstr(servers[0].asked, "four.test.ns.search.test/1 "));
	OK(strstr(servers[0].asked, "four.test.search.test/1 "));
	OK(strstr(servers[0].asked, "four.test/1 "));
}

TEST(a_name_with_dots_enough_is_asked_for_as_it_is_first)
{
	setup(SEARCH, "");
	EQ_STR(resolve("a.b.c"), "");
	teardown();
	OK(strstr(servers[0].asked, "a.b.c/1 ") == servers[0].asked ||
		strstr(servers[0].asked, "a.b.c/28 ") == servers[0].asked);
	OK(strstr(servers[0].asked, "a.b.c.search.test/1 "));
}

TEST(a_final_dot_ends_the_search)
{
	setup(SEARCH, "");
	EQ_STR(resolve("four.test."), "10.0.0.4:80");
	got[0] = '\0';
	EQ_STR(resolve("short."), "");
	EQ_INT(got_err.code, ERR_MISSING);
	teardown();
	OK(!strstr(servers[0].asked, "search"));
}

#define TWO                                                                            \
	"nameserver 127.0.0.1:%u\nnameserver 127.0.0.1:%u\n"                           \
	"options timeout:1 attempts:1\n"

TEST(a_silent_server_is_passed_over)
{
	servers[0].silent = true;
	setup(TWO, "");
	EQ_STR(resolve("four.test"), "10.0.0.4:80");
	teardown();
	OK(strstr(servers[1].asked, "four.test/1 ") != NULL);
}

TEST(a_failing_server_is_passed_over)
{
	servers[0].fails = true;
	setup(TWO, "");
	EQ_STR(resolve("four.test"), "10.0.0.4:80");
	teardown();
}

TEST(servers_that_all_fail_are_not_a_missing_name)
{
	servers[0].fails = servers[1].fails = true;
	setup(TWO, "");
	EQ_STR(resolve("four.test"), "");
	EQ_INT(got_err.code, ERR_BUSY);
	EQ_INT(got_ttl, DNS_TTL_FAIL);
	teardown();
}

TEST(servers_that_are_all_silent_are_a_timeout)
{
	servers[0].silent = servers[1].silent = true;
	setup(TWO "search a b c d e f\n", "");
	EQ_STR(resolve("four"), "");
	EQ_INT(got_err.code, ERR_TIMEOUT);
	teardown();
}

TEST(a_refused_server_is_passed_over_at_once)
{
	uint64_t start = clock_mono();

	setup("nameserver 127.0.0.1:1\n" ONE "options timeout:5\n", "");
	EQ_STR(resolve("four.test"), "10.0.0.4:80");
	OK(clock_mono() - start < 2 * NS_PER_S);
	teardown();
}

TEST(an_answer_that_does_not_fit_comes_by_tcp)
{
	setup(ONE, "");
	EQ_STR(resolve("big.test"), "10.0.0.7:80");
	teardown();
	OK(servers[0].by_tcp > 0);
}

TEST(answers_to_other_questions_are_not_believed)
{
	setup(ONE, "");
	EQ_STR(resolve("forged.test"), "10.0.0.5:80");
	teardown();
}

TEST(a_server_that_knows_no_edns_is_asked_without)
{
	setup(ONE, "");
	EQ_STR(resolve("old.test"), "10.0.0.6:80");
	teardown();
}

TEST(an_alias_ends_no_later_than_its_own_ttl)
{
	setup(ONE, "");
	EQ_STR(resolve("alias.test"), "10.0.0.4:80");
	EQ_INT(got_ttl, 3);
	teardown();
}

TEST(srv_targets_bring_their_ports_and_addresses)
{
	setup(ONE, "");
	EQ_STR(resolve_srv("srv.test"), "10.1.2.3:8086 10.1.2.4:8087");
	EQ_INT(got_ttl, 9);
	teardown();
	EQ_STR(servers[0].asked, "srv.test/33 ");
}

TEST(without_srv_the_name_itself_is_asked_for)
{
	setup(ONE, "");
	EQ_STR(resolve_srv("nosrv.test"), "10.0.0.9:80");
	teardown();
}

static void free_all(void *arg, const struct addr *addrs, size_t n, uint32_t ttl,
	const struct err *e)
{
	on_done(arg, addrs, n, ttl, e);
	dns_free(dns);
	dns = NULL;
}

TEST(the_resolver_may_end_in_its_callback)
{
	setup(ONE, "");
	dns_resolve(dns, SLICE("both.test"), 80, free_all, NULL);
	dns_resolve(dns, SLICE("never.test"), 80, free_all, NULL);
	loop_run(loop, NULL);
	OK(dns == NULL);
	teardown();
}

static void never(void *arg, const struct addr *addrs, size_t n, uint32_t ttl,
	const struct err *e)
{
	(void)arg, (void)addrs, (void)n, (void)ttl, (void)e;
	T_FAIL("a cancelled query has answered");
}

TEST(a_cancelled_query_says_nothing)
{
	struct dns_query *q[2];

	setup(ONE, "");
	q[0] = dns_resolve(dns, SLICE("both.test"), 80, never, NULL);
	q[1] = dns_resolve(dns, SLICE("10.0.0.1"), 80, never, NULL);
	dns_cancel(q[1]);
	resolve("10.0.0.1");
	dns_cancel(q[0]);
	got[0] = '\0';
	EQ_STR(resolve("both.test"), "10.0.0.1:80 10.0.0.2:80 [fd00::1]:80");
	teardown();
}

TEST(changed_files_are_read_again)
{
	setup(ONE, "");
	EQ_STR(resolve("new.host"), "");
	write_file(hosts_path, "10.2.2.2 new.host\n");
	EQ_STR(resolve("new.host"), "10.2.2.2:80");
	teardown();
}
