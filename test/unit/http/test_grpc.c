/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/clock.h"
#include "http/grpc.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static struct grpc_server *server;
static struct channel *channel;
static int messages, over, status = -1, gone;
static char last[64], reason[256];

static void request_gone(struct grpc_request *r)
{
	(void)r;
	gone++;
}

static void echo(struct grpc_request *r, struct slice m)
{
	grpc_set(r, NULL, request_gone);
	grpc_send(r, m);
	grpc_end(r, GRPC_OK, NULL);
}

static void count(struct grpc_request *r, struct slice m)
{
	char text[32];

	(void)m;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "message %d", i);
		grpc_send(r, slice_of(text));
	}
	grpc_end(r, GRPC_NOT_FOUND, "that is all: 100 %");
}

static void hold(struct grpc_request *r, struct slice m)
{
	grpc_set(r, NULL, request_gone);
	grpc_send(r, m);
}

static const struct grpc_method methods[] = {{"/t.T/Echo", echo, NULL},
	{"/t.T/Count", count, NULL}, {"/t.T/Hold", hold, NULL}};

static struct grpc_call *held;
static void on_message(void *arg, struct grpc_call *c, struct slice m)
{
	messages++;
	snprintf(last, sizeof last, "%.*s", SLICE_FMT(m));
	if (arg) {
		held = c;
		loop_stop(loop);
	}
}

static void on_over(void *arg, struct grpc_call *c, int s, const char *text)
{
	(void)arg, (void)c;
	over++;
	status = s;
	snprintf(reason, sizeof reason, "%s", text);
	loop_stop(loop);
}

static const struct grpc_user user = {on_message, on_over};

static void start(struct snap *server_creds, struct snap *client_creds)
{
	struct channel_config cfg = {.host = "127.0.0.1",
		.kind = HTTP_KIND_2,
		.creds = client_creds,
		.sni = "srv.test",
		.expect = "srv.test",
		.wait_max = 2 * NS_PER_S};
	struct addr at = {0};
	struct err e;

	ip_parse(SLICE("127.0.0.1"), &at.ip);
	loop = loop_new(&e);
	dns = dns_new(loop, "/dev/null", &e);
	server = grpc_server_new(loop, &at, server_creds, methods, 3, NULL, &e);
	if (!server)
		T_FAIL("%s", e.msg);
	cfg.port = grpc_server_addr(server)->port;
	channel = channel_new(loop, dns, &cfg, &e);
	OK(channel != NULL);
}

static void stop(void)
{
	channel_free(channel);
	grpc_server_free(server);
	dns_free(dns);
	for (int i = 0; i < 3; i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	loop_free(loop);
}

TEST(a_unary_call_is_answered)
{
	start(NULL, NULL);
	grpc_call_begin(channel, "/t.T/Echo", SLICE("hello"), false, &user, NULL, NULL);
	loop_run(loop, NULL);
	EQ_INT(status, GRPC_OK);
	EQ_STR(last, "hello");
	stop();
	EQ_INT(gone, 1);
}

TEST(a_stream_brings_every_message_and_its_status)
{
	start(NULL, NULL);
	grpc_call_begin(channel, "/t.T/Count", SLICE(""), false, &user, NULL, NULL);
	loop_run(loop, NULL);
	EQ_INT(messages, 1000);
	EQ_STR(last, "message 999");
	EQ_INT(status, GRPC_NOT_FOUND);
	EQ_STR(reason, "that is all: 100 %");
	stop();
}

TEST(an_unknown_method_is_unimplemented)
{
	start(NULL, NULL);
	grpc_call_begin(channel, "/t.T/None", SLICE("x"), false, &user, NULL, NULL);
	loop_run(loop, NULL);
	EQ_INT(status, GRPC_UNIMPLEMENTED);
	stop();
}

TEST(a_cancelled_call_is_over_on_both_sides)
{
	static int mark;

	start(NULL, NULL);
	grpc_call_begin(channel, "/t.T/Hold", SLICE("x"), false, &user, &mark, NULL);
	loop_run(loop, NULL);
	EQ_INT(messages, 1);
	grpc_call_end(held);
	for (int i = 0; i < 50 && !gone; i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	EQ_INT(gone, 1);
	EQ_INT(over, 0);
	stop();
}

TEST(a_server_that_is_away_makes_calls_unavailable)
{
	start(NULL, NULL);
	grpc_server_free(server);
	server = NULL;
	grpc_call_begin(channel, "/t.T/Echo", SLICE("x"), false, &user, NULL, NULL);
	loop_run(loop, NULL);
	EQ_INT(status, GRPC_UNAVAILABLE);
	OK(strstr(reason, "Connection refused") != NULL);
	stop();
}
