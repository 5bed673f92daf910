/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/apiask.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/kube.h"

#define TRY_WAIT (3 * NS_PER_S) /* for one answer */
#define PAUSE    (300 * NS_PER_MS)

/* One try. */
struct asking {
	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct timer limit;
	int status; /* 0: none came */
	struct json *body;
	struct err err;
};

static void on_done(void *arg, int status, const struct json *body, const struct err *e)
{
	struct asking *a = arg;

	a->status = status;
	a->err = *e;
	a->body = body ? json_copy(body) : NULL;
	loop_stop(a->loop);
}

static void on_limit(struct timer *t)
{
	struct asking *a = container_of(t, struct asking, limit);

	err_set(&a->err, ERR_TIMEOUT, "no answer from the API server");
	loop_stop(a->loop);
}

static int open_api(struct asking *a, const char *kubeconfig, struct err *e)
{
	struct kube_config cfg = {.kubeconfig = kubeconfig, .component = "mesh-cni"};

	a->loop = loop_new(e);
	a->dns = a->loop ? dns_new(a->loop, NULL, e) : NULL;
	a->kube = a->dns ? kube_new(a->loop, a->dns, &cfg, e) : NULL;
	return a->kube ? 0 : -1;
}

static void close_api(struct asking *a)
{
	kube_free(a->kube);
	if (a->dns)
		dns_free(a->dns);
	if (a->loop)
		loop_free(a->loop);
}

static void try_once(struct asking *a, const char *kubeconfig, const char *path)
{
	if (open_api(a, kubeconfig, &a->err) == 0) {
		timer_init(&a->limit, a->loop, on_limit);
		timer_set(&a->limit, TRY_WAIT);
		kube_request(a->kube, "GET", path, NULL, NULL, on_done, a);
		(void)loop_run(a->loop, &a->err); /* no status then */
	}
	close_api(a);
}

/* Now the answer is final, or worth another try. */
static bool is_final(const struct asking *a)
{
	return (a->status == 200 && a->body) || a->status == 404;
}

static int explain(const struct asking *a, const char *path, struct err *e)
{
	const char *said = json_text_or(a->body, "message", "");

	if (a->status == 404)
		return err_set(e, ERR_MISSING, "%s: not found", path);
	if (a->status)
		return err_set(e,
			a->status == 401 || a->status == 403 ? ERR_DENIED : ERR_BUSY,
			"%s: status %d%s%s", path, a->status, *said ? ": " : "", said);
	return err_set(e, ERR_BUSY, "%s: %s", path, a->err.msg);
}

struct json *api_get(const struct api_ask *ask, const char *path, struct err *e)
{
	static const struct timespec pause = {.tv_nsec = PAUSE};

	for (;;) {
		struct asking a = {0};

		try_once(&a, ask->kubeconfig, path);
		if (a.status == 200 && a.body)
			return a.body;
		explain(&a, path, e);
		json_free(a.body);
		if (is_final(&a) || clock_mono() + PAUSE >= ask->deadline)
			return NULL;
		log_debug("cni", "the API server is asked again", LE(e));
		(void)nanosleep(&pause, NULL); /* a shorter one does no harm */
	}
}
