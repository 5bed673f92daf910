/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"

#define DEADLINE      (2 * NS_PER_S)
#define DEADLINE_TEXT "2000m"
/* Less, so that what is wrong with the connection is what the caller hears. */
#define CONNECT_MAX   (1500 * NS_PER_MS)

/* ---- channels ---- */

/* The server may know how long anybody waits for its answer. */
static enum flow tell_deadline(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	(void)fields_set(&x->req.fields, x->arena, SLICE("grpc-timeout"),
		SLICE(DEADLINE_TEXT)); /* without it the call is as good */
	return FLOW_NEXT;
}

static const struct filter deadline_filter = {
	.name = "deadline", .on_request = tell_deadline};

static void on_state(void *arg, bool up, const struct err *e)
{
	const struct place *to = arg;

	if (up)
		log_info("demo", "connected", LS("to", to->host));
	else
		log_warn("demo", "connection lost", LS("to", to->host), LE(e));
}

struct channel *rpc_channel(struct app *app, const struct place *to, struct err *e)
{
	struct channel_config cfg = {
		.host = to->host,
		.port = to->port,
		.kind = HTTP_KIND_2,
		.connect_timeout = NS_PER_S,
		.backoff_max = 2 * NS_PER_S,
		.backoff_jitter = 0.2,
		.wait_max = CONNECT_MAX,
		.filter = &deadline_filter,
		.on_state = on_state,
		.arg = (void *)to,
	};

	return channel_new(app->loop, app->dns, &cfg, e);
}

/* ---- calls ---- */

static void finish(struct rpc *r, int status, const char *text)
{
	struct buf reply = r->reply;

	r->reply = BUF_INIT;
	r->call = NULL;
	timer_clear(&r->deadline);
	if (r->over)
		*r->over = true;
	r->done(r, status, text, buf_slice(&reply));
	buf_fini(&reply);
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct rpc *r = arg;

	(void)call;
	if (!buf_len(&r->reply) && buf_adds(&r->reply, message) < 0)
		log_warn("demo", "no memory for a reply");
}

static void on_over(void *arg, struct grpc_call *call, int status, const char *text)
{
	(void)call;
	finish(arg, status, text);
}

static const struct grpc_user user = {.on_message = on_message, .on_over = on_over};

static void on_deadline(struct timer *t)
{
	struct rpc *r = container_of(t, struct rpc, deadline);

	grpc_call_end(r->call);
	finish(r, GRPC_DEADLINE_EXCEEDED, "no answer within two seconds");
}

void rpc_begin(struct rpc *r, struct channel *ch, const char *path, const void *request,
	rpc_done *done)
{
	struct buf message = BUF_INIT;
	struct grpc_call *call;
	bool over = false;
	struct err e = {0};

	r->done = done;
	r->over = &over;
	timer_init(&r->deadline, channel_loop(ch), on_deadline);
	timer_set(&r->deadline, DEADLINE);
	must(api_write(request, &message) == 0);
	call = grpc_call_begin(ch, path, buf_slice(&message), false, &user, r, &e);
	buf_fini(&message);
	if (over)
		return;
	r->over = NULL;
	r->call = call;
	if (!call)
		finish(r, GRPC_RESOURCE_EXHAUSTED, e.msg);
}

void rpc_end(struct rpc *r)
{
	if (!r->call)
		return;
	timer_clear(&r->deadline);
	grpc_call_end(r->call);
	buf_fini(&r->reply);
	r->call = NULL;
}

/* ---- answers ---- */

void rpc_reply(struct grpc_request *r, const void *message)
{
	struct buf out = BUF_INIT;

	must(api_write(message, &out) == 0);
	grpc_send(r, buf_slice(&out));
	grpc_end(r, GRPC_OK, NULL);
	buf_fini(&out);
}

void rpc_no_message(struct grpc_request *r)
{
	grpc_end(r, GRPC_INVALID_ARGUMENT, "a request without a message");
}
