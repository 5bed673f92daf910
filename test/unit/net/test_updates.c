/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS client that never reads, and asks for a new key with every byte it sends. */
#include "tls/session.c"

#include "base/clock.h"
#include "net/pipe.h"
#include "net/tlsconn.h"
#include "t.h"
#include "testca.h"
#include "tls/init.h"

#define UPDATES 20000

static struct loop *loop;
static struct testca ca;
static struct creds *creds;
static struct tls *client;
static struct conn *ends[2];

static size_t bytes_seen;

static size_t feed(struct conn *c, const uint8_t *p, size_t n)
{
	struct buf out = BUF_INIT;
	size_t used = 0;
	struct err e;
	int r = tls_handshake(client, p, n, &used, &out, &e);

	OK(r >= 0);
	conn_write(c, buf_slice(&out).p, buf_len(&out));
	buf_fini(&out);
	if (r > 0)
		conn_pause(c);
	return used;
}

static size_t client_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	return feed(c, p, n);
}

/* Enough of them for half a megabyte of answers. */
static void send_updates(struct conn *c)
{
	static const uint8_t update[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 1};
	uint8_t rec[128];
	size_t n;

	for (int i = 0; i < UPDATES; i++) {
		n = tls_seal(client, rec, (const uint8_t *)"x", 1);
		conn_write(c, rec, n);
		memcpy(rec + RECORD_HEAD, update, sizeof update);
		n = flow_seal(&client->tx, RECORD_HANDSHAKE, rec, sizeof update);
		conn_write(c, rec, n);
		OK(flow_renew(&client->tx) == 0);
	}
}

static size_t server_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p;
	bytes_seen += n;
	if (bytes_seen >= UPDATES)
		loop_stop(loop);
	return n;
}

static void server_open(struct conn *c, void *arg)
{
	(void)c, (void)arg;
	send_updates(ends[0]);
}

static void no_end(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg;
	T_FAIL("%s", e->msg);
}

static const struct conn_user client_user = {.on_in = client_in, .on_gone = no_end};
static const struct conn_user server_user = {
	.on_open = server_open, .on_in = server_in, .on_gone = no_end};

static void stop(void *arg)
{
	loop_stop(arg);
}

TEST(answers_to_key_updates_that_are_not_read_do_not_pile_up)
{
	struct tls_config cfg = {.sni = "web.test"};
	struct conn *server;
	size_t used;

	tls_init();
	testca_init(&ca);
	creds = testca_creds(&ca, "web.test");
	cfg.creds = creds;
	loop = loop_new(NULL);
	EQ_INT(pipe_new(loop, 0, ends, NULL), 0);
	client = tls_client(&cfg, NULL);
	server = tlsconn_server(ends[1], &cfg, 5 * NS_PER_S, NULL);
	conn_use(ends[0], &client_user, NULL);
	conn_use(server, &server_user, NULL);
	used = feed(ends[0], NULL, 0);
	EQ_INT(used, 0);
	alarm(20);
	loop_run(loop, NULL);
	OK(conn_backlog(server) <= CONN_HIGH + TLS_KEY_UPDATE_SIZE);
	conn_end(server);
	conn_end(ends[0]);
	tls_free(client);
	loop_post(loop, stop, loop);
	loop_run(loop, NULL); /* what has ended is freed */
	loop_free(loop);
	ref_put(creds_ref(creds));
	testca_fini(&ca);
}
