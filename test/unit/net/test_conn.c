/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/ender.h"
#include "net/peers.h"
#include "net/pipe.h"
#include "net/relay.h"

TEST(a_pipe_carries_bytes_however_they_are_cut)
{
	static const size_t cuts[] = {1, 2, 3, 7, 0};

	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *ends[2];

		loop = loop_new(NULL);
		EQ_INT(pipe_new(loop, cuts[i], ends, NULL), 0);
		start(0, ends[0], 20000, 3000);
		start(1, ends[1], 3000, 20000);
		run_until_over();
	}
}

TEST(a_count_outlives_its_conn_and_a_conn_its_count)
{
	struct conn_count first, second;
	struct conn *ends[2];

	loop = loop_new(NULL);
	EQ_INT(pipe_new(loop, 0, ends, NULL), 0);
	conn_count_begin(&first, ends[0]);
	conn_count_begin(&second, ends[1]);
	start(0, ends[0], 20000, 3000);
	start(1, ends[1], 3000, 20000);
	conn_count_end(&second);
	EQ_INT(second.in, 0);
	run_until_over();
	EQ_INT(first.conn == NULL, 1);
	EQ_INT(first.out, 20000);
	EQ_INT(first.in, 3000);
	conn_count_end(&first);
}

/* ---- tcp ---- */

#define BIG (20 * 1024 * 1024)

static void start_accepted(void)
{
	start(1, accepted, BIG, BIG);
}

static void tcp_both_ways(size_t pause_every)
{
	struct listener *ln;
	struct err e;

	loop = loop_new(NULL);
	on_accepted = start_accepted;
	ln = listen_any(&e);
	OK(ln != NULL);
	peers[1].pause_every = pause_every;
	start(0, tcp_dial(loop, listener_addr(ln), NULL, &e), BIG, BIG);
	alarm(60);
	if (loop_run(loop, &e) < 0)
		T_FAIL("%s", e.msg);
	listener_free(ln);
	EQ_INT(peers[0].got, BIG);
	EQ_INT(peers[1].got, BIG);
	EQ_INT(peers[0].why.code, ERR_NONE);
	end_loop();
}

TEST(tcp_carries_twenty_megabytes_both_ways)
{
	tcp_both_ways(0);
}

TEST(tcp_waits_for_a_slow_reader)
{
	tcp_both_ways(300000);
}

static void nothing(void)
{
}

TEST(a_refused_dial_says_where_and_why)
{
	struct err e, why = {0};
	struct listener *ln;
	struct addr at;
	struct conn *c;

	loop = loop_new(NULL);
	on_accepted = nothing;
	ln = listen_any(&e);
	at = *listener_addr(ln);
	listener_free(ln);
	c = tcp_dial(loop, &at, NULL, &e);
	OK(c != NULL);
	conn_use(c, &waiter, &why);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_SYS);
	EQ_INT(why.sys, ECONNREFUSED);
	OK(strstr(why.msg, "connect 127.0.0.1:") == why.msg);
	end_loop();
}

/* ---- relay ---- */

static int relays_over;
static void relay_over(void *arg, const struct err *e, uint64_t a, uint64_t b)
{
	(void)arg;
	EQ_INT(e->code, ERR_NONE);
	EQ_INT(a, 3000000);
	EQ_INT(b, 500);
	relays_over++;
}

TEST(a_relay_carries_bytes_and_half_closes)
{
	static const size_t cuts[] = {3, 4096, 0};

	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *left[2], *right[2];

		loop = loop_new(NULL);
		relays_over = 0;
		EQ_INT(pipe_new(loop, cuts[i], left, NULL), 0);
		EQ_INT(pipe_new(loop, cuts[i] * 3, right, NULL), 0);
		OK(relay_new(left[1], right[0], relay_over, NULL, NULL) != NULL);
		start(0, left[0], 3000000, 500);
		start(1, right[1], 500, 3000000);
		run_until_over();
		EQ_INT(relays_over, 1);
	}
}

static void relay_broken(void *arg, const struct err *e, uint64_t a, uint64_t b)
{
	(void)a, (void)b;
	*(int *)arg = (int)e->code;
}

TEST(a_reset_on_one_side_of_a_relay_ends_the_other)
{
	struct conn *left[2], *right[2];
	struct err why = {0};
	int code = -1;

	loop = loop_new(NULL);
	pipe_new(loop, 0, left, NULL);
	pipe_new(loop, 0, right, NULL);
	relay_new(left[1], right[0], relay_broken, &code, NULL);
	conn_use(right[1], &waiter, &why);
	conn_use(left[0], &waiter, &why);
	conn_abort(left[0]);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_CLOSED);
	EQ_INT(code, ERR_CLOSED);
	end_loop();
}

/* One that shuts down at once sends its FIN before anybody relays. */
static size_t wait_for_more(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)p;
	*(size_t *)arg = n;
	return 0;
}

static struct conn *relay_to;
static void eof_starts_relay(struct conn *c, void *arg)
{
	EQ_INT(*(size_t *)arg, 5);
	OK(relay_new(c, relay_to, relay_broken, arg, NULL) != NULL);
}

static const struct conn_user detector = {
	.on_in = wait_for_more, .on_eof = eof_starts_relay, .on_gone = stop_gone};

TEST(bytes_and_an_end_that_came_before_the_relay_are_passed_on)
{
	struct conn *left[2], *right[2];
	size_t seen = 0;

	loop = loop_new(NULL);
	pipe_new(loop, 0, left, NULL);
	pipe_new(loop, 0, right, NULL);
	relay_to = right[0];
	conn_use(left[1], &detector, &seen);
	start(0, left[0], 5, 0);
	start(1, right[1], 0, 5);
	run_until_over();
	EQ_INT((int)seen, ERR_NONE);
}

/* ---- ends ---- */

TEST(a_dial_that_nobody_answers_times_out)
{
	struct tcp_opts o = {.connect_timeout = 150 * NS_PER_MS};
	struct sockaddr_storage ss;
	struct err e, why = {0};
	struct addr at = {0};
	socklen_t n;
	int queue[8], fd = socket(AF_INET, SOCK_STREAM, 0);

	/* a listener whose queue is full drops what comes */
	ip_parse(SLICE("127.0.0.1"), &at.ip);
	n = addr_to_sock(&at, &ss);
	EQ_INT(bind(fd, (struct sockaddr *)&ss, n), 0);
	EQ_INT(listen(fd, 0), 0);
	EQ_INT(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	addr_from_sock((struct sockaddr *)&ss, &at);
	for (size_t i = 0; i < countof(queue); i++) {
		queue[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(queue[i], (struct sockaddr *)&ss, n);
	}
	loop = loop_new(NULL);
	conn_use(tcp_dial(loop, &at, &o, &e), &waiter, &why);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_TIMEOUT);
	OK(strstr(why.msg, "connect 127.0.0.1:") == why.msg);
	end_loop();
}

static void is_open(struct conn *c, void *arg)
{
	*(bool *)arg = true;
	conn_end(c);
	loop_stop(loop);
}

static void not_open(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
	loop_stop(loop);
}

static size_t no_bytes(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p, (void)n;
	return 0;
}

TEST(a_process_that_was_held_up_takes_the_answer_that_is_there)
{
	static const struct conn_user user = {
		.on_open = is_open, .on_in = no_bytes, .on_gone = not_open};
	struct tcp_opts o = {.connect_timeout = 20 * NS_PER_MS};
	bool opened = false;
	struct listener *ln;
	struct err e;

	loop = loop_new(NULL);
	on_accepted = nothing;
	ln = listen_any(&e);
	conn_use(tcp_dial(loop, listener_addr(ln), &o, &e), &user, &opened);
	usleep(60000);
	loop_run(loop, NULL);
	EQ_INT(opened, true);
	listener_free(ln);
	loop_free(loop);
}

static void abort_accepted(void)
{
	conn_abort(accepted);
}

TEST(an_end_is_seen_before_the_loop_tells_it)
{
	struct err e, why = {0};
	struct conn *c;
	int fds[2];

	loop = loop_new(NULL);
	EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	c = tcp_adopt(loop, fds[0], NULL, &e);
	OK(c != NULL);
	conn_use(c, &waiter, &why);
	EQ_INT(conn_has_ended(c), false);
	EQ_INT(write(fds[1], "x", 1), 1);
	EQ_INT(conn_has_ended(c), false); /* that byte comes first */
	EQ_INT(read(fds[0], (char[1]){0}, 1), 1);
	close(fds[1]);
	EQ_INT(conn_has_ended(c), true);
	conn_end(c);
	end_loop();
}

TEST(a_reset_by_the_peer_is_said_to_be_one)
{
	struct err e, why = {0};
	struct listener *ln;

	loop = loop_new(NULL);
	on_accepted = abort_accepted;
	ln = listen_any(&e);
	conn_use(tcp_dial(loop, listener_addr(ln), NULL, &e), &waiter, &why);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_SYS);
	EQ_INT(why.sys, ECONNRESET);
	listener_free(ln);
	end_loop();
}

static int raw;
static void reset_raw(struct timer *t)
{
	const struct linger hard = {.l_onoff = 1};

	(void)t;
	setsockopt(raw, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(raw);
}

static struct timer reset_timer;
static void reset_soon(struct conn *c, void *arg)
{
	(void)c, (void)arg;
	timer_init(&reset_timer, loop, reset_raw);
	timer_set(&reset_timer, 50 * NS_PER_MS);
}
static const struct conn_user half = {
	.on_in = ignore_in, .on_eof = reset_soon, .on_gone = stop_gone};

static struct err half_why;
static void use_half(void)
{
	conn_use(accepted, &half, &half_why);
}

TEST(a_reset_is_seen_though_the_peer_had_shut_its_side)
{
	struct sockaddr_storage ss;
	struct listener *ln;
	socklen_t n;
	struct err e;

	loop = loop_new(NULL);
	on_accepted = use_half;
	ln = listen_any(&e);
	n = addr_to_sock(listener_addr(ln), &ss);
	raw = socket(AF_INET, SOCK_STREAM, 0);
	EQ_INT(connect(raw, (struct sockaddr *)&ss, n), 0);
	shutdown(raw, SHUT_WR);
	loop_run(loop, NULL);
	OK(half_why.sys == EPIPE || half_why.sys == ECONNRESET); /* Linux says EPIPE */
	listener_free(ln);
	end_loop();
}

/* Two sockets that are connected: ours, and the peer's. */
static void tcp_pair(int fds[2])
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	int ln = socket(AF_INET, SOCK_STREAM, 0);

	OK(bind(ln, (struct sockaddr *)&at, n) == 0 && listen(ln, 1) == 0);
	OK(getsockname(ln, (struct sockaddr *)&at, &n) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	OK(connect(fds[0], (struct sockaddr *)&at, n) == 0);
	fds[1] = accept(ln, NULL, NULL);
	OK(fds[1] >= 0);
	close(ln);
}

static void keep_why(struct conn *c, void *arg, const struct err *e)
{
	(void)c;
	*(struct err *)arg = *e;
	loop_stop(loop);
}

TEST(what_came_before_a_failed_write_is_still_read)
{
	static const struct conn_user user = {.on_in = count_in, .on_gone = keep_why};
	static const struct linger hard = {.l_onoff = 1};
	static char much[100000];
	struct err why = {0};
	struct conn *c;
	int fds[2];

	loop = loop_new(NULL);
	tcp_pair(fds);
	c = tcp_adopt(loop, fds[0], NULL, NULL);
	conn_use(c, &user, &why);
	EQ_INT(write(fds[1], "enough", 6), 6);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fds[1]);
	conn_write(c, much, sizeof much);
	conn_write(c, much, sizeof much);
	alarm(30);
	EQ_INT(why.code, ERR_NONE);
	loop_run(loop, NULL);
	EQ_INT(bytes_seen, 6);
	EQ_INT(why.code, ERR_SYS);
	end_loop();
}

TEST(a_write_that_fails_says_so_when_the_turn_ends)
{
	static const struct conn_user user = {.on_in = count_in, .on_gone = keep_why};
	static const struct linger hard = {.l_onoff = 1};
	static char much[100000];
	struct err why = {0};
	struct conn *c;
	int fds[2];

	loop = loop_new(NULL);
	tcp_pair(fds);
	c = tcp_adopt(loop, fds[0], NULL, NULL);
	conn_use(c, &user, &why);
	conn_pause(c);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fds[1]);
	conn_write(c, much, sizeof much);
	conn_write(c, much, sizeof much);
	EQ_INT(why.code, ERR_NONE); /* who writes is not ended by it */
	alarm(30);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_SYS);
	end_loop();
}

static char sent_by_server[4000000];
static void send_much_and_finish(void)
{
	conn_use(accepted, &waiter, NULL);
	conn_write(accepted, sent_by_server, sizeof sent_by_server);
	conn_finish(accepted);
}

static void end_at_eof(struct conn *c, void *arg)
{
	(void)arg;
	conn_end(c);
	loop_stop(loop);
}
static const struct conn_user counter = {
	.on_in = count_in, .on_eof = end_at_eof, .on_gone = stop_gone};

static struct conn *held;
static void resume_held(struct timer *t)
{
	(void)t;
	conn_resume(held);
}

static uint64_t cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* The peer has shut its side and reads nothing for a while: no reason to spin. */
TEST(what_was_written_before_a_finish_leaves_without_haste)
{
	struct timer later;
	struct listener *ln;
	struct err e, why;
	uint64_t cpu = cpu_ms();

	loop = loop_new(NULL);
	on_accepted = send_much_and_finish;
	ln = listen_any(&e);
	held = tcp_dial(loop, listener_addr(ln), NULL, &e);
	conn_use(held, &counter, &why);
	conn_pause(held);
	conn_shutdown(held);
	timer_init(&later, loop, resume_held);
	timer_set(&later, 400 * NS_PER_MS);
	loop_run(loop, NULL);
	EQ_INT(bytes_seen, sizeof sent_by_server);
	OK(cpu_ms() - cpu < 250);
	listener_free(ln);
	end_loop();
}

/* ---- no more descriptors ---- */

static int raw_conns[3], naccepted;
static void count_accepted(void *arg, int fd, const struct addr *peer)
{
	(void)arg;
	EQ_INT(peer->ip.family, 4);
	close(fd);
	if (++naccepted == (int)countof(raw_conns))
		loop_stop(loop);
}

static void set_limit(rlim_t n)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = n;
	EQ_INT(setrlimit(RLIMIT_NOFILE, &r), 0);
}

static void more_descriptors(struct timer *t)
{
	(void)t;
	EQ_INT(naccepted, 0);
	set_limit(256);
}

TEST(a_listener_rests_while_there_are_no_descriptors)
{
	struct addr at = {0};
	struct sockaddr_storage ss;
	struct listener *ln;
	struct timer t;
	uint64_t cpu;
	socklen_t n;
	int next;

	log_filter_set(SLICE("off"), NULL);
	loop = loop_new(NULL);
	ip_parse(SLICE("127.0.0.1"), &at.ip);
	ln = listener_new(loop, &at, NULL, count_accepted, NULL, NULL);
	n = addr_to_sock(listener_addr(ln), &ss);
	for (size_t i = 0; i < countof(raw_conns); i++) {
		raw_conns[i] = socket(AF_INET, SOCK_STREAM, 0);
		EQ_INT(connect(raw_conns[i], (struct sockaddr *)&ss, n), 0);
	}
	next = dup(0);
	close(next);
	set_limit((rlim_t)next); /* none is left */
	timer_init(&t, loop, more_descriptors);
	timer_set(&t, 250 * NS_PER_MS);
	cpu = cpu_ms();
	loop_run(loop, NULL);
	EQ_INT(naccepted, countof(raw_conns));
	OK(cpu_ms() - cpu < 100);
	listener_free(ln);
	end_loop();
}

static int accepted_fds[8], accepted_count;

static void keep_accepted(void *arg, int fd, const struct addr *peer)
{
	(void)arg, (void)peer;
	accepted_fds[accepted_count++] = fd;
	if (accepted_count == 4)
		loop_stop(loop);
}

/* As often as not all could be taken, some leave. */
static void free_accepted(struct timer *t)
{
	static int closed;

	OK(accepted_count > closed);
	OK(accepted_count < 4);
	while (closed < accepted_count)
		close(accepted_fds[closed++]);
	timer_set(t, 250 * NS_PER_MS);
}

TEST(a_listener_leaves_descriptors_to_others)
{
	struct addr at = {0};
	struct sockaddr_storage ss;
	struct listener_opts o = {0};
	struct listener *ln;
	struct timer t;
	socklen_t n;
	int fd;

	log_filter_set(SLICE("off"), NULL);
	loop = loop_new(NULL);
	ip_parse(SLICE("127.0.0.1"), &at.ip);
	fd = dup(0);
	close(fd);
	o.fd_max =
		fd + 7; /* itself, four clients, what the loop needs, one or two more */
	ln = listener_new(loop, &at, &o, keep_accepted, NULL, NULL);
	n = addr_to_sock(listener_addr(ln), &ss);
	for (int i = 0; i < 4; i++)
		EQ_INT(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&ss,
			       n),
			0);
	timer_init(&t, loop, free_accepted);
	timer_set(&t, 250 * NS_PER_MS);
	loop_run(loop, NULL);
	EQ_INT(accepted_count, 4);
	OK(listener_rests() >= 1);
	timer_clear(&t);
	listener_free(ln);
	end_loop();
}

/* ---- one who sends without end ---- */

static int talker;
static size_t talked;

static void talk(struct timer *t)
{
	static char much[256 * 1024];
	ssize_t n;

	while ((n = send(talker, much, sizeof much, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
		talked += (size_t)n;
	if (errno == EAGAIN)
		timer_set(t, NS_PER_MS / 10);
	else
		loop_stop(loop);
}

static size_t bites, largest;

/* A tenth of a microsecond for each. */
static size_t chew(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	uint64_t end = clock_mono() + 100 * n;

	(void)c, (void)arg, (void)p;
	while (clock_mono() < end)
		;
	if (++bites > 20 && n > largest)
		largest = n;
	if (bites == 100)
		loop_stop(loop);
	return n;
}

TEST(bytes_that_take_long_are_taken_in_small_bites)
{
	static const struct conn_user user = {.on_in = chew, .on_gone = stop_gone};
	struct conn *c;
	struct timer t;
	int fds[2];

	loop = loop_new(NULL);
	EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	talker = fds[1];
	c = tcp_adopt(loop, fds[0], NULL, NULL);
	conn_use(c, &user, NULL);
	timer_init(&t, loop, talk);
	timer_set(&t, 1);
	loop_run(loop, NULL);
	OK(bites >= 100);
	OK(largest <= 8192); /* it would be 64 KB */
	timer_clear(&t);
	conn_end(c);
	end_loop();
}

/* ---- many of them ---- */

enum { CROWD = 32, TURNS = 500, WARM = 500 };
static int talkers[CROWD];
static size_t turns, eaten, share[CROWD];

static size_t nibble(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	uint64_t end = clock_mono() + 20 * n;

	(void)c, (void)p;
	while (clock_mono() < end)
		;
	if (turns > WARM) {
		eaten += n;
		*(size_t *)arg += n;
	}
	return n;
}

static void all_talk(struct timer *t)
{
	static const char much[64 * 1024];

	for (int i = 0; i < CROWD; i++)
		while (send(talkers[i], much, sizeof much,
			       MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			;
	if (++turns == WARM + TURNS)
		loop_stop(loop);
	timer_set(t, 1);
}

TEST(those_who_send_without_end_share_short_turns)
{
	static const struct conn_user user = {.on_in = nibble};
	struct conn *c[CROWD];
	struct timer t;
	int fds[2];

	loop = loop_new(NULL);
	for (int i = 0; i < CROWD; i++) {
		EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		talkers[i] = fds[1];
		c[i] = tcp_adopt(loop, fds[0], NULL, NULL);
		conn_use(c[i], &user, &share[i]);
	}
	timer_init(&t, loop, all_talk);
	timer_set(&t, 1);
	loop_run(loop, NULL);
	OK(eaten / TURNS <= 32000); /* it would be some 15000 of each */
	for (int i = 0; i < CROWD; i++)
		OK(share[i] > eaten / CROWD / 4);
	timer_clear(&t);
	for (int i = 0; i < CROWD; i++) {
		conn_end(c[i]);
		close(talkers[i]);
	}
	end_loop();
}

TEST(who_goes_on_sending_when_all_is_said_is_cut_off)
{
	uint64_t begin = clock_mono();
	struct timer t;
	struct err e;
	int fds[2];

	loop = loop_new(NULL);
	EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	talker = fds[1];
	conn_finish(tcp_adopt(loop, fds[0], NULL, &e));
	timer_init(&t, loop, talk);
	timer_set(&t, 1);
	loop_run(loop, &e);
	OK(clock_mono() - begin < CONN_LINGER);
	OK(talked >= CONN_DROPPED && talked < 2 * CONN_DROPPED);
	end_loop();
}

/* ---- socket options ---- */

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t n = sizeof value;

	EQ_INT(getsockopt(fd, level, name, &value, &n), 0);
	return value;
}

static void is_tuned(int fd)
{
	EQ_INT(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	EQ_INT(option(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	EQ_INT(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	EQ_INT(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 10);
	EQ_INT(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
}

static void accepted_tuned(void *arg, int fd, const struct addr *peer)
{
	(void)arg, (void)peer;
	is_tuned(fd);
	close(fd);
	loop_stop(loop);
}

TEST(accepted_and_dialled_sockets_are_tuned_alike)
{
	const struct tcp_tuning tuning = {
		.keepalive = 10 * NS_PER_S, .user_timeout = 30 * NS_PER_S};
	const struct listener_opts lo = {.tuning = tuning};
	const struct tcp_opts o = {.tuning = tuning};
	struct listener *ln;
	struct conn *out;
	struct addr at = {0};
	int next;

	loop = loop_new(NULL);
	ip_parse(SLICE("127.0.0.1"), &at.ip);
	ln = listener_new(loop, &at, &lo, accepted_tuned, NULL, NULL);
	next = dup(0);
	close(next);
	out = tcp_dial(loop, listener_addr(ln), &o, NULL);
	is_tuned(next);
	loop_run(loop, NULL);
	conn_end(out);
	listener_free(ln);
	end_loop();
}

/* ---- ends in every callback (net/ender.h) ---- */

static void ender_on_pipe(void)
{
	static struct err why;
	struct conn *ends[2];

	pipe_new(loop, 0, ends, NULL);
	conn_use(ends[0], &ender, NULL);
	conn_use(ends[1], &other, &why);
}

TEST(a_pipe_may_be_ended_in_every_callback)
{
	end_everywhere(ender_on_pipe);
}

static void accepted_other(void)
{
	static struct err why;

	conn_use(accepted, &other, &why);
	other_open(accepted, NULL);
}

static void ender_on_tcp(void)
{
	struct err e;

	on_accepted = accepted_other;
	ender_listener = listen_any(&e);
	conn_use(tcp_dial(loop, listener_addr(ender_listener), NULL, &e), &ender, NULL);
}

TEST(a_tcp_conn_may_be_ended_in_every_callback)
{
	end_everywhere(ender_on_tcp);
}

static void use_eof_counter(void)
{
	static struct err why;

	conn_use(accepted, &eof_counter, &why);
}

TEST(a_dial_that_is_finished_at_once_still_sends)
{
	struct err e;

	loop = loop_new(NULL);
	on_accepted = use_eof_counter;
	ender_listener = listen_any(&e);
	write_and_finish_at_once(
		tcp_dial(loop, listener_addr(ender_listener), NULL, &e));
}

/* A detector keeps the bytes; who gets the conn from it ends it at the sight of them.
 */
static void (*end_it)(struct conn *c);
static size_t end_at_sight(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg, (void)p, (void)n;
	end_it(c);
	return 0;
}
static const struct conn_user refuser = {.on_in = end_at_sight, .on_gone = stop_gone};

static size_t hand_on(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)p, (void)n;
	conn_use(c, &refuser, arg);
	return 0;
}
static const struct conn_user handler = {.on_in = hand_on, .on_gone = stop_gone};

static void use_handler(void)
{
	static struct err why;

	conn_use(accepted, &handler, &why);
}

TEST(a_conn_may_be_ended_while_it_shows_what_it_kept)
{
	void (*const ends[])(struct conn *) = {conn_end, conn_finish, conn_abort};
	struct listener *ln;
	struct conn *c;
	struct err e, why;

	loop = loop_new(NULL);
	on_accepted = use_handler;
	ln = listen_any(&e);
	for (size_t i = 0; i < countof(ends); i++) {
		end_it = ends[i];
		c = tcp_dial(loop, listener_addr(ln), NULL, &e);
		conn_use(c, &eof_counter, &why);
		conn_write(c, "hello", 5);
		loop_run(loop, NULL);
	}
	listener_free(ln);
	end_loop();
}
