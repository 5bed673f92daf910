/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ender.h"
#include "net/pipe.h"
#include "net/relay.h"
#include "net/tlsconn.h"
#include "testca.h"
#include "tls/init.h"

static struct testca ca;
static struct creds *client_creds, *server_creds;

#define CLIENT "client.identity.test"
#define SERVER "server.identity.test"

static void setup(void)
{
	tls_init();
	testca_init(&ca);
	client_creds = testca_creds(&ca, CLIENT);
	server_creds = testca_creds(&ca, SERVER);
}

static struct conn *tls_to(struct conn *below, const char *expect)
{
	struct tls_config cfg = {
		.creds = client_creds, .sni = SERVER, .expect = expect};

	return tlsconn_client(below, &cfg, 5 * NS_PER_S, NULL);
}

static struct conn *tls_at(struct conn *below)
{
	struct tls_config cfg = {.creds = server_creds, .need_client_cert = true};

	return tlsconn_server(below, &cfg, 5 * NS_PER_S, NULL);
}

TEST(tls_carries_bytes_however_they_are_cut)
{
	static const size_t cuts[] = {1, 7, 1000, 0};

	setup();
	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *ends[2];

		loop = loop_new(NULL);
		EQ_INT(pipe_new(loop, cuts[i], ends, NULL), 0);
		start(0, tls_to(ends[0], SERVER), 60000, 3000);
		start(1, tls_at(ends[1]), 3000, 60000);
		run_until_over();
	}
}

#define BIG (8 * 1024 * 1024)

static void start_accepted(void)
{
	start(1, tls_at(accepted), BIG, BIG);
}

static void tls_both_ways(size_t pause_every)
{
	struct listener *ln;
	struct err e;

	setup();
	loop = loop_new(NULL);
	on_accepted = start_accepted;
	ln = listen_any(&e);
	peers[1].pause_every = pause_every;
	start(0, tls_to(tcp_dial(loop, listener_addr(ln), NULL, &e), SERVER), BIG, BIG);
	alarm(60);
	loop_run(loop, &e);
	for (int i = 0; i < 2; i++) {
		EQ_INT(peers[i].got, BIG);
		EQ_INT(peers[i].why.code, ERR_NONE);
	}
	listener_free(ln);
	end_loop();
}

TEST(tls_over_tcp_carries_megabytes_both_ways)
{
	tls_both_ways(0);
}

TEST(tls_over_tcp_waits_for_a_slow_reader)
{
	tls_both_ways(100000);
}

static int relays_over;
static void relay_over(void *arg, const struct err *e, uint64_t a, uint64_t b)
{
	(void)arg;
	EQ_INT(e->code, ERR_NONE);
	EQ_INT(a, 2000000);
	EQ_INT(b, 700);
	relays_over++;
}

/* plain - relay - TLS - relay - plain, as between two proxies */
TEST(relays_carry_bytes_through_tls_between_them)
{
	static const size_t cuts[] = {1000, 0};

	setup();
	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *left[2], *middle[2], *right[2];

		loop = loop_new(NULL);
		relays_over = 0;
		pipe_new(loop, 0, left, NULL);
		pipe_new(loop, cuts[i], middle, NULL);
		pipe_new(loop, 0, right, NULL);
		relay_new(left[1], tls_to(middle[0], SERVER), relay_over, NULL, NULL);
		relay_new(tls_at(middle[1]), right[0], relay_over, NULL, NULL);
		start(0, left[0], 2000000, 700);
		start(1, right[1], 700, 2000000);
		run_until_over();
		EQ_INT(relays_over, 2);
	}
}

/* ---- room ---- */

static bool had_room;
static void note_room(struct conn *c, void *arg)
{
	(void)arg;
	EQ_INT(conn_backlog(c), 0);
	had_room = true;
	conn_end(c);
	loop_stop(loop);
}

static const struct conn_user writer = {
	.on_in = ignore_in, .on_room = note_room, .on_gone = stop_gone};

static void serve_waiter(void)
{
	static struct err why;

	conn_use(tls_at(accepted), &waiter, &why);
}

/* All waits for the handshake, and then leaves in one go. */
TEST(a_writer_before_the_handshake_is_told_of_room_after_it)
{
	static char much[CONN_HIGH + 1000];
	struct listener *ln;
	struct err e, why;
	struct conn *c;

	setup();
	loop = loop_new(NULL);
	on_accepted = serve_waiter;
	ln = listen_any(&e);
	c = tls_to(tcp_dial(loop, listener_addr(ln), NULL, &e), SERVER);
	conn_use(c, &writer, &why);
	conn_write(c, much, sizeof much);
	loop_run(loop, NULL);
	OK(had_room);
	listener_free(ln);
	end_loop();
}

/* ---- refusals ---- */

static int gone;
static void count_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c;
	*(struct err *)arg = *e;
	if (++gone == 2)
		loop_stop(loop);
}
static void end_too(struct conn *c, void *arg)
{
	(void)arg;
	conn_shutdown(c);
}
static const struct conn_user one_of_two = {
	.on_in = ignore_in, .on_eof = end_too, .on_gone = count_gone};

TEST(a_server_of_another_name_is_denied)
{
	struct err why[2] = {{0}, {0}};
	struct conn *ends[2];

	setup();
	loop = loop_new(NULL);
	pipe_new(loop, 0, ends, NULL);
	conn_use(tls_to(ends[0], "other.identity.test"), &one_of_two, &why[0]);
	conn_use(tls_at(ends[1]), &one_of_two, &why[1]);
	loop_run(loop, NULL);
	EQ_INT(why[0].code, ERR_DENIED);
	OK(why[1].code != ERR_NONE);
	end_loop();
}

TEST(a_silent_peer_is_a_timeout)
{
	struct tls_config cfg = {.creds = client_creds};
	struct err why = {0}, none;
	struct conn *ends[2];

	setup();
	loop = loop_new(NULL);
	cfg.creds = client_creds;
	pipe_new(loop, 0, ends, NULL);
	conn_use(tlsconn_client(ends[0], &cfg, 100 * NS_PER_MS, NULL), &waiter, &why);
	conn_use(ends[1], &waiter, &none);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_TIMEOUT);
	end_loop();
}

TEST(what_is_no_tls_is_refused)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct err why[2] = {{0}, {0}};
	struct conn *ends[2];

	setup();
	loop = loop_new(NULL);
	pipe_new(loop, 0, ends, NULL);
	conn_use(ends[0], &waiter, &why[0]);
	conn_use(tls_at(ends[1]), &waiter, &why[1]);
	conn_write(ends[0], http, sizeof http - 1);
	loop_run(loop, NULL);
	EQ_INT(why[1].code, ERR_SYNTAX);
	conn_end(ends[0]);
	end_loop();
}

/* ---- a server that has looked at the first bytes ---- */

static size_t seen;
static size_t peek(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg, (void)p;
	seen = n;
	if (n > 100) /* enough of the ClientHello */
		start(1, tls_at(c), 50, 10);
	return 0;
}
static const struct conn_user peeker = {.on_in = peek, .on_gone = stop_gone};

TEST(a_handshake_starts_with_what_was_peeked)
{
	static const size_t cuts[] = {30, 0};

	setup();
	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *ends[2];

		loop = loop_new(NULL);
		pipe_new(loop, cuts[i], ends, NULL);
		conn_use(ends[1], &peeker, NULL);
		start(0, tls_to(ends[0], SERVER), 10, 50);
		run_until_over();
		OK(seen > 100);
	}
}

/* ---- the identity and the end are seen through the conn ---- */

static void check_peer(struct conn *c, void *arg)
{
	(void)arg;
	EQ_STR(tls_peer_id(conn_tls(c)), CLIENT);
	EQ_STR(tls_sni(conn_tls(c)), SERVER);
	OK(conn_base(c) != c && conn_tls(conn_base(c)) == NULL);
	conn_abort(c);
}
static const struct conn_user checker = {
	.on_open = check_peer, .on_in = ignore_in, .on_gone = stop_gone};

TEST(the_peers_identity_is_known_once_open_and_an_abort_resets)
{
	struct err why = {0};
	struct conn *ends[2];

	setup();
	loop = loop_new(NULL);
	pipe_new(loop, 0, ends, NULL);
	conn_use(tls_to(ends[0], SERVER), &waiter, &why);
	conn_use(tls_at(ends[1]), &checker, NULL);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_CLOSED);
	end_loop();
}

static void accepted_other_tls(void)
{
	static struct err why;

	conn_use(tls_at(accepted), &other, &why);
}

static void ender_on_tls(void)
{
	struct err e;

	on_accepted = accepted_other_tls;
	ender_listener = listen_any(&e);
	conn_use(
		tls_to(tcp_dial(loop, listener_addr(ender_listener), NULL, &e), SERVER),
		&ender, NULL);
}

TEST(a_tls_conn_may_be_ended_in_every_callback)
{
	setup();
	end_everywhere(ender_on_tls);
}

static void use_eof_counter(void)
{
	static struct err why;

	conn_use(tls_at(accepted), &eof_counter, &why);
}

TEST(a_tls_dial_that_is_finished_at_once_still_sends)
{
	struct err e;

	setup();
	loop = loop_new(NULL);
	on_accepted = use_eof_counter;
	ender_listener = listen_any(&e);
	write_and_finish_at_once(tls_to(
		tcp_dial(loop, listener_addr(ender_listener), NULL, &e), SERVER));
}
