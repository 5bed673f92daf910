/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/obj.h"

#define HOLDER_MAX 256

enum lease_at {
	LEASE_WAITING, /* for the timer */
	LEASE_READING,
	LEASE_WRITING, /* to make or keep it ours */
	LEASE_RELEASING,
	LEASE_OVER,
};

struct kube_lease {
	struct loop *loop;
	struct kube *kube;
	char *path, *name, *namespace;
	char holder[HOLDER_MAX];
	uint64_t lasts, stop, retry;
	void (*changed)(void *arg, bool ours);
	void *arg;

	enum lease_at at;
	struct kube_call *call;
	struct timer timer;  /* the next look */
	struct timer expiry; /* of our own right to write */
	bool ours;
	struct json *seen;   /* the Lease as it was last read or written, or NULL */
	uint64_t seen_since; /* it has been so, by our clock */
	uint64_t sent;       /* the write that is on its way */
	int trouble;         /* the status that was last complained about */
	void (*done)(void *arg);
	void *done_arg;
};

static void look(struct kube_lease *l);

/* ---- what we have seen ---- */

static const char *holder_of(const struct json *lease)
{
	return json_text_or(lease, "spec.holderIdentity", "");
}

static bool is_held_by_us(const struct kube_lease *l)
{
	return strcmp(holder_of(l->seen), l->holder) == 0;
}

static void see(struct kube_lease *l, const struct json *lease)
{
	if (!json_equal(json_get(l->seen, "spec"), json_get(lease, "spec")))
		l->seen_since = loop_now(l->loop);
	json_free(l->seen);
	l->seen = json_copy(lease);
}

/* Whoever holds it has not been heard of for as long as it said it would keep it. */
static bool is_free(const struct kube_lease *l)
{
	int64_t seconds = json_int_at(l->seen, "spec.leaseDurationSeconds", 0);
	uint64_t lasts =
		seconds > 0 && seconds < 3600 ? (uint64_t)seconds * NS_PER_S : l->lasts;

	if (!*holder_of(l->seen) || is_held_by_us(l))
		return true;
	return loop_now(l->loop) - l->seen_since >= lasts;
}

static void set_ours(struct kube_lease *l, bool ours)
{
	if (l->ours == ours)
		return;
	l->ours = ours;
	if (!ours)
		timer_clear(&l->expiry);
	log_info("kube", ours ? "lease acquired" : "lease lost", LS("name", l->name));
	l->changed(l->arg, ours);
}

/* ---- writing ---- */

/* "2026-01-02T03:04:05.678000Z": a MicroTime has six digits. */
static void micro_time(char out[CLOCK_TEXT + 4])
{
	char text[CLOCK_TEXT];
	size_t n;

	clock_rfc3339(clock_wall(), true, text);
	n = strlen(text);
	snprintf(out, CLOCK_TEXT + 4, "%.*s000Z", (int)n - 1, text);
}

static struct json *lease_as(const struct kube_lease *l, const char *holder)
{
	struct json *j = l->seen ? json_copy(l->seen) : json_object(), *spec;
	bool taken = strcmp(holder_of(l->seen), holder) != 0;
	char now[CLOCK_TEXT + 4];

	micro_time(now);
	json_set_text(j, "apiVersion", "coordination.k8s.io/v1");
	json_set_text(j, "kind", "Lease");
	json_set_text(json_need_object(j, "metadata"), "name", l->name);
	json_set_text(json_need_object(j, "metadata"), "namespace", l->namespace);
	spec = json_need_object(j, "spec");
	json_set_text(spec, "holderIdentity", holder);
	json_set_text(spec, "renewTime", now);
	json_set_int(spec, "leaseDurationSeconds",
		*holder ? (int64_t)((l->lasts + NS_PER_S - 1) / NS_PER_S) : 1);
	if (!taken)
		return j;
	json_set_text(spec, "acquireTime", now);
	if (*holder)
		json_set_int(spec, "leaseTransitions",
			json_int_at(l->seen, "spec.leaseTransitions", -1) + 1);
	return j;
}

static void wait(struct kube_lease *l)
{
	l->at = LEASE_WAITING;
	timer_set(&l->timer, (uint64_t)((double)l->retry * (0.9 + random_unit() / 5)));
}

/* That somebody else was first is no trouble; the rest is told once. */
static void said_no(struct kube_lease *l, const char *what, int status,
	const struct json *body, const struct err *e)
{
	if (status == 409 || (l->trouble && l->trouble == status + 1))
		return;
	l->trouble = status + 1;
	log_warn("kube", what, LS("name", l->name), LI("status", status),
		LS("error", status ? json_text_or(body, "message", "") : e->msg));
}

static void hand_back(struct kube_lease *l);
static void is_over(struct kube_lease *l);

static void on_written(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct kube_lease *l = arg;

	l->call = NULL;
	if ((status == 200 || status == 201) && json_get(body, "spec")) {
		see(l, body);
		l->trouble = 0;
		if (l->done) {
			hand_back(l);
			return;
		}
		wait(l);
		if (loop_now(l->loop) - l->sent >= l->stop)
			return; /* so late that it may not be ours any more */
		timer_set(&l->expiry, l->stop - (loop_now(l->loop) - l->sent));
		set_ours(l, true);
		return;
	}
	said_no(l, "the lease was not written", status, body, e);
	json_free(l->seen); /* somebody else wrote: read it before the next try */
	l->seen = NULL;
	if (l->done)
		is_over(l);
	else
		wait(l);
}

static void write_lease(struct kube_lease *l, const char *holder, kube_done *done)
{
	bool is_new = !json_path(l->seen, "metadata.resourceVersion");
	struct json *j = lease_as(l, holder);
	struct buf path = BUF_INIT;

	buf_text(&path, l->path);
	if (!is_new)
		buf_printf(&path, "/%s", l->name);
	buf_char(&path, '\0');
	l->sent = loop_now(l->loop);
	l->call = kube_request(
		l->kube, is_new ? "POST" : "PUT", path.p, NULL, j, done, l);
	buf_fini(&path);
	json_free(j);
}

static void take(struct kube_lease *l)
{
	l->at = LEASE_WRITING;
	write_lease(l, l->holder, on_written);
}

/* ---- reading ---- */

static void on_read(void *arg, int status, const struct json *body, const struct err *e)
{
	struct kube_lease *l = arg;

	l->call = NULL;
	if (status == 404) {
		json_free(l->seen);
		l->seen = NULL;
		take(l);
		return;
	}
	if (status != 200 || !json_path(body, "metadata.resourceVersion")) {
		said_no(l, "the lease cannot be read", status, body, e);
		wait(l);
		return;
	}
	see(l, body);
	if (is_free(l))
		take(l);
	else
		wait(l);
}

static void look(struct kube_lease *l)
{
	struct buf path = BUF_INIT;

	if (l->ours && l->seen) {
		take(l);
		return;
	}
	l->at = LEASE_READING;
	buf_printf(&path, "%s/%s", l->path, l->name);
	buf_char(&path, '\0');
	l->call = kube_request(l->kube, "GET", path.p, NULL, NULL, on_read, l);
	buf_fini(&path);
}

static void on_timer(struct timer *t)
{
	look(container_of(t, struct kube_lease, timer));
}

/* Another may take it soon: what is ours to write stops before. */
static void on_expiry(struct timer *t)
{
	struct kube_lease *l = container_of(t, struct kube_lease, expiry);

	log_warn("kube", "the lease could not be renewed", LS("name", l->name));
	set_ours(l, false);
}

/* ---- life ---- */

static char *copy(const char *text)
{
	char *s = slice_dup(slice_of(text));

	must(s);
	return s;
}

struct kube_lease *kube_lease_new(struct loop *l, struct kube *k,
	const struct kube_lease_config *cfg, void (*changed)(void *arg, bool ours),
	void *arg)
{
	struct kube_lease *n = calloc(1, sizeof *n);
	struct buf path = BUF_INIT;

	must(n);
	*n = (struct kube_lease){
		.loop = l,
		.kube = k,
		.name = copy(cfg->name),
		.namespace = copy(cfg->namespace),
		.lasts = cfg->lasts ? cfg->lasts : KUBE_LEASE_FOR,
		.stop = cfg->stop ? cfg->stop : KUBE_LEASE_STOP,
		.retry = cfg->retry ? cfg->retry : KUBE_LEASE_LOOK,
		.changed = changed,
		.arg = arg,
	};
	must(n->retry < n->stop && n->stop < n->lasts);
	snprintf(n->holder, sizeof n->holder, "%s", cfg->holder);
	buf_printf(&path, "/apis/coordination.k8s.io/v1/namespaces/%s/leases",
		cfg->namespace);
	n->path = buf_steal(&path);
	must(n->path);
	timer_init(&n->timer, l, on_timer);
	timer_init(&n->expiry, l, on_expiry);
	timer_set(&n->timer, 0);
	return n;
}

bool kube_lease_is_ours(const struct kube_lease *l)
{
	return l->ours;
}

static void is_over(struct kube_lease *l)
{
	l->at = LEASE_OVER;
	l->done(l->done_arg);
}

static void on_released(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct kube_lease *l = arg;

	l->call = NULL;
	if (status != 200)
		said_no(l, "the lease was not handed back", status, body, e);
	is_over(l);
}

static void hand_back(struct kube_lease *l)
{
	l->at = LEASE_RELEASING;
	write_lease(l, "", on_released);
}

void kube_lease_release(struct kube_lease *l, void (*done)(void *arg), void *arg)
{
	timer_clear(&l->timer);
	l->done = done;
	l->done_arg = arg;
	set_ours(l, false);
	if (l->at == LEASE_WRITING) /* it is handed back when that is answered */
		return;
	if (l->call)
		kube_cancel(l->call);
	l->call = NULL;
	if (l->seen && is_held_by_us(l))
		hand_back(l);
	else
		is_over(l);
}

void kube_lease_free(struct kube_lease *l)
{
	if (!l)
		return;
	if (l->call)
		kube_cancel(l->call);
	timer_clear(&l->timer);
	timer_clear(&l->expiry);
	json_free(l->seen);
	free(l->path);
	free(l->name);
	free(l->namespace);
	free(l);
}
