/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log at run time: its filter, and the log itself as a stream of JSON lines for
 * those who follow it, each with a filter of its own.
 *
 * Lines are logged in any thread; each follower has a box of FOLLOW_BOX bytes that they
 * go into, and the control loop empties it into the answer while the reader keeps up.
 * A full box drops lines; the reader is told how many once there is room.
 */
#include <stdlib.h>

#include "base/log.h"
#include "proxy/admin_int.h"

#define FOLLOWERS_MAX 8
#define FOLLOW_BOX    ((size_t)64 * 1024)

void admin_log_level(struct call *c)
{
	char text[512];
	struct err e;

	if (!admin_is_local(c))
		return;
	if (slice_is(c->req->method, "GET") || slice_is(c->req->method, "HEAD")) {
		log_filter_get(text, sizeof text);
		call_text(c, 200, "%s\n", text);
	} else if (!slice_is(c->req->method, "PUT")) {
		call_header(c, "allow", "GET, PUT");
		call_text(c, 405, "GET or PUT\n");
	} else if (log_filter_set(slice_trim(c->body), &e) < 0) {
		call_text(c, 400, "%s\n", e.msg);
	} else {
		call_text(c, 204, "%s", "");
	}
}

/* ---- following ---- */

struct follower {
	struct log_tap tap;
	struct loop *loop;
	struct admin *admin;
	struct call *call; /* NULL: over; control thread */
	atomic_uint refs;  /* the call, and a message under way */

	pthread_mutex_t lock; /* what follows; never held while waiting */
	struct buf box;
	unsigned dropped;
	bool told; /* a message is under way, or the reader is slow */
};

static void unref(struct follower *f)
{
	if (atomic_fetch_sub(&f->refs, 1) > 1)
		return;
	buf_fini(&f->box);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static bool is_slow(const struct follower *f)
{
	return call_backlog(f->call) > CONN_LOW;
}

static void send_box(struct follower *f)
{
	struct buf out = BUF_INIT;

	if (f->call && is_slow(f))
		return; /* on_room comes */
	pthread_mutex_lock(&f->lock);
	f->told = false;
	if (f->dropped)
		buf_printf(&out, "{\"dropped\":%u}\n", f->dropped);
	f->dropped = 0;
	buf_adds(&out, buf_slice(&f->box));
	buf_clear(&f->box);
	pthread_mutex_unlock(&f->lock);
	if (f->call && buf_len(&out))
		call_send(f->call, buf_slice(&out));
	buf_fini(&out);
}

static void on_told(void *arg)
{
	send_box(arg);
	unref(arg);
}

static void on_room(struct call *c)
{
	send_box(c->arg);
}

/* In any thread, with the log locked. */
static void on_line(struct log_tap *t, struct slice line)
{
	struct follower *f = container_of(t, struct follower, tap);
	bool tell;

	pthread_mutex_lock(&f->lock);
	if (buf_adds(&f->box, line) < 0) {
		f->box.failed = false;
		f->dropped++;
	}
	tell = !f->told;
	f->told = true;
	pthread_mutex_unlock(&f->lock);
	if (!tell)
		return;
	atomic_fetch_add(&f->refs, 1);
	if (loop_post(f->loop, on_told, f) == 0)
		return;
	atomic_fetch_sub(&f->refs, 1);
	pthread_mutex_lock(&f->lock);
	f->told = false; /* the next line tries again */
	pthread_mutex_unlock(&f->lock);
}

static void on_gone(struct call *c)
{
	struct follower *f = c->arg;

	log_tap_end(&f->tap);
	f->admin->followers--;
	f->call = NULL;
	unref(f);
}

static void follow(struct call *c, const struct log_filter *filter)
{
	struct follower *f = calloc(1, sizeof *f);

	if (!f) {
		call_text(c, 503, "no memory to follow the log\n");
		return;
	}
	f->tap.filter = *filter;
	f->tap.fn = on_line;
	f->loop = c->loop;
	f->admin = admin_of(c);
	f->admin->followers++;
	f->call = c;
	atomic_init(&f->refs, 1);
	pthread_mutex_init(&f->lock, NULL);
	f->box = BUF_LIMIT(FOLLOW_BOX);
	c->arg = f;
	c->on_gone = on_gone;
	c->on_room = on_room;
	call_stream(c, 200, "application/json");
	log_tap_begin(&f->tap);
}

static bool may_follow(struct call *c)
{
	if (!admin_is_local(c))
		return false;
	if (!slice_is(c->req->method, "GET") && !slice_is(c->req->method, "QUERY")) {
		call_header(c, "allow", "GET, QUERY");
		call_text(c, 405, "GET or QUERY\n");
		return false;
	}
	if (admin_of(c)->followers < FOLLOWERS_MAX)
		return true;
	call_text(c, 503, "%d follow the log already\n", FOLLOWERS_MAX);
	return false;
}

void admin_follow_log(struct call *c)
{
	struct slice text = slice_trim(c->body.n ? c->body : call_query(c));
	struct log_filter filter;
	struct err e;

	if (!may_follow(c))
		return;
	if (log_filter_parse(text, &filter, &e) < 0)
		call_text(c, 400, "%s\n", e.msg);
	else
		follow(c, &filter);
}
