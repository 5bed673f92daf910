/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disco_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "proxy/decode.h"

#define BACKOFF_MIN (100 * NS_PER_MS)
#define BACKOFF_MAX (10 * NS_PER_S)
#define BACKOFF_HAD (2 * NS_PER_S)  /* of a stream that had said something */
#define STABLE      (10 * NS_PER_S) /* a stream of this age had not failed */

uint64_t stream_backoff(struct stream_call *c)
{
	uint64_t max = c->fresh ? BACKOFF_MAX : BACKOFF_HAD, ns;

	if (!c->fresh && loop_now(c->watch->disco->loop) - c->opened > STABLE)
		c->failures = 0;
	ns = BACKOFF_MIN << (c->failures > 10 ? 10 : c->failures);
	c->failures++;
	ns = ns > max ? max : ns;
	return ns + (uint64_t)((double)ns * 0.1 * random_unit());
}

/* Once, until it works again. */
static void say_failure(struct stream_call *c, const char *status, const char *text)
{
	if (!c->told)
		log_warn("proxy", "discovery fails: what is known stays",
			LS("target", c->watch->key.text), LS("status", status),
			LS("text", text));
	c->told = true;
}

static void say_success(struct stream_call *c)
{
	if (c->told)
		log_info("proxy", "discovery works again",
			LS("target", c->watch->key.text), LI("failures", c->failures));
	c->told = false;
}

/*
 * A stream is a sequence: without one of its messages the next say nothing.  What is
 * known stays, and the whole is asked for again.
 */
static void break_off(struct stream_call *c, const struct err *e)
{
	c->watch->disco->invalid[c->watch->key.kind]++;
	c->broken = true;
	say_failure(c, "invalid", e->msg);
	timer_clear(&c->quiet);
	timer_set(&c->retry, stream_backoff(c));
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct stream_call *c = arg;
	uint64_t idle = c->watch->disco->cfg->stream_idle;
	struct err e;

	(void)call;
	if (c->broken)
		return;
	if (idle)
		timer_set(&c->quiet, idle);
	else
		timer_clear(&c->quiet);
	if (stream_read(c, message, &e) == 0)
		say_success(c);
	else
		break_off(c, &e);
}

/* Answers that asking again would not change. */
static bool is_final(const struct stream_call *c, int status)
{
	switch (c->watch->key.kind) {
	case WATCH_INBOUND:
		return status == GRPC_INVALID_ARGUMENT ||
		       status == GRPC_FAILED_PRECONDITION;
	case WATCH_OUTBOUND:
		return status == GRPC_INVALID_ARGUMENT || status == GRPC_UNIMPLEMENTED;
	case WATCH_ENDPOINTS:
		break;
	}
	return status == GRPC_INVALID_ARGUMENT;
}

/*
 * Says this end of a stream that there is nothing?  Of endpoints only an update says so
 * (or that the name is none): a stream that fails keeps what is known.
 */
static bool says_none(const struct stream_call *c, int status)
{
	return c->terminal ||
	       (status == GRPC_NOT_FOUND && c->watch->key.kind != WATCH_ENDPOINTS);
}

static void there_is_none(struct stream_call *c)
{
	struct disco_watch *w = c->watch;

	if (w->key.kind == WATCH_OUTBOUND) {
		c->at = PART_NONE;
		(void)watch_publish_outbound(w, NULL); /* each part was read before */
	} else if (w->key.kind == WATCH_ENDPOINTS) {
		struct endpoints *none = endpoints_none(ENDPOINTS_NO_SUCH);

		watch_publish(w, none ? &none->ref : NULL);
	}
}

/* An end that is an answer, or the usual one of a server that is told to stop. */
static bool is_usual(const struct stream_call *c, int status)
{
	return c->terminal || says_none(c, status) || status == GRPC_OK;
}

static void on_over(void *arg, struct grpc_call *call, int status, const char *text)
{
	struct stream_call *c = arg;

	(void)call;
	c->call = NULL;
	timer_clear(&c->quiet);
	c->terminal = is_final(c, status);
	log_debug("proxy", "a discovery stream ended", LS("target", c->watch->key.text),
		LS("status", grpc_status_name(status)), LS("text", text));
	if (!is_usual(c, status) && !c->broken)
		say_failure(c, grpc_status_name(status), text);
	if (says_none(c, status))
		there_is_none(c);
	if (c->terminal)
		timer_clear(&c->retry);
	else if (!c->broken)
		timer_set(&c->retry, stream_backoff(c));
}

/* It is open and says nothing: asked again, as a failure when it never said anything.
 */
static void on_quiet(struct timer *t)
{
	struct stream_call *c = container_of(t, struct stream_call, quiet);

	if (c->call)
		grpc_call_end(c->call);
	c->call = NULL;
	if (c->fresh)
		say_failure(c, "silent", "no answer in time");
	timer_set(&c->retry, stream_backoff(c));
}

const struct grpc_user stream_user = {on_message, on_over};

static void on_retry(struct timer *t)
{
	stream_open(container_of(t, struct stream_call, retry));
}

void stream_init(struct stream_call *c, struct disco_watch *w)
{
	c->watch = w;
	timer_init(&c->retry, w->disco->loop, on_retry);
	timer_init(&c->quiet, w->disco->loop, on_quiet);
}

void stream_fini(struct stream_call *c)
{
	timer_clear(&c->retry);
	timer_clear(&c->quiet);
	if (c->call)
		grpc_call_end(c->call);
	buf_fini(&c->last);
}
