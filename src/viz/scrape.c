/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/scrape.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/channel.h"

#define AT_ONCE  16
#define PATIENCE (5 * NS_PER_S)
#define TEXT_MAX ((size_t)8 * 1024 * 1024)

/* One pod being read. */
struct reading {
	struct scrape *scrape;
	struct viz_pod *pod; /* NULL: free for the next */
	struct kube_call *call;
	struct channel *channel;
	struct fetch *fetch;
	struct timer patience;
	struct later over; /* ends it outside of the client's callbacks */
	struct err err;
	int status;
	bool starting; /* fetch_begin() has not returned */
	struct buf text;
};

struct scrape {
	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct viz_pods *pods;
	bool (*wanted)(void *arg, const struct viz_pod *p);
	const struct scrape_user *user;
	void *arg;
	size_t next, open;
	bool direct; /* the API server does not forward */
	struct later step;
	struct reading v[AT_ONCE];
};

static void drop(struct reading *r)
{
	if (r->call)
		kube_cancel(r->call);
	if (r->fetch)
		fetch_end(r->fetch);
	if (r->channel)
		channel_free(r->channel);
	r->call = NULL;
	r->fetch = NULL;
	r->channel = NULL;
	timer_clear(&r->patience);
	later_clear(&r->over);
}

static void finish(struct reading *r)
{
	struct scrape *s = r->scrape;
	struct viz_pod *p = r->pod;

	drop(r);
	if (r->err.code == ERR_NONE && r->status != 200)
		err_set(&r->err, ERR_MISSING, "its proxy answers %d", r->status);
	if (r->err.code == ERR_NONE) {
		buf_fini(&p->after);
		p->after = r->text;
	} else {
		buf_fini(&r->text);
		s->user->on_missing(s->arg, p, &r->err);
	}
	r->text = BUF_INIT;
	r->pod = NULL;
	s->open--;
	loop_later(s->loop, &s->step);
}

static void on_over_later(struct later *d)
{
	finish(container_of(d, struct reading, over));
}

static void on_patience(struct timer *t)
{
	struct reading *r = container_of(t, struct reading, patience);

	err_set(&r->err, ERR_TIMEOUT, "no answer within 5 s");
	finish(r);
}

/* ---- from the pod itself ---- */

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	(void)f;
	((struct reading *)arg)->status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	struct reading *r = arg;

	(void)f;
	if (buf_adds(&r->text, bytes) < 0)
		err_set(&r->err, ERR_LIMIT, "more than 8 MB of metrics");
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	struct reading *r = arg;

	(void)f;
	r->fetch = NULL;
	r->starting = false;
	if (r->err.code == ERR_NONE)
		r->err = *e;
	loop_later(r->scrape->loop, &r->over);
}

static const struct fetch_user fetch_user = {on_head, on_data, on_over};

static void ask_pod(struct reading *r)
{
	struct fetch_spec spec = {.method = "GET", .path = "/metrics"};
	struct channel_config to = {
		.kind = HTTP_KIND_1, .port = r->pod->admin.port, .wait_max = PATIENCE};
	char host[ADDR_TEXT];
	struct fetch *f;

	to.host = ip_text(&r->pod->admin.ip, host);
	r->channel = channel_new(r->scrape->loop, r->scrape->dns, &to, &r->err);
	if (!r->channel) {
		loop_later(r->scrape->loop, &r->over);
		return;
	}
	r->err.code = ERR_NONE;
	r->status = 0;
	r->starting = true;
	f = fetch_begin(r->channel, &spec, &fetch_user, r, &r->err);
	if (!r->starting)
		return; /* on_over() has been */
	r->starting = false;
	r->fetch = f;
	if (!f)
		loop_later(r->scrape->loop, &r->over);
}

/* ---- through the API server ---- */

static void on_text(void *arg, int status, struct slice body, const struct err *e)
{
	struct reading *r = arg;

	r->call = NULL;
	if (status == 404 || status == 405 || status == 501) {
		r->scrape->direct = true;
		ask_pod(r);
		return;
	}
	r->status = status;
	if (status == 0)
		r->err = *e;
	else if (buf_adds(&r->text, body) < 0)
		err_set(&r->err, ERR_LIMIT, "more than 8 MB of metrics");
	loop_later(r->scrape->loop, &r->over);
}

static void begin(struct reading *r)
{
	char path[700];

	r->err = (struct err){0};
	r->text = BUF_LIMIT(TEXT_MAX);
	timer_set(&r->patience, PATIENCE);
	if (r->scrape->direct) {
		ask_pod(r);
		return;
	}
	snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s:%u/proxy/metrics",
		r->pod->ns, r->pod->name, r->pod->admin.port);
	r->call = kube_get_text(r->scrape->kube, path, on_text, r);
}

static struct viz_pod *next_pod(struct scrape *s)
{
	while (s->next < s->pods->n) {
		struct viz_pod *p = &s->pods->v[s->next++];

		if (p->meshed && p->counted && p->admin.ip.family &&
			s->wanted(s->arg, p))
			return p;
	}
	return NULL;
}

static void on_step(struct later *d)
{
	struct scrape *s = container_of(d, struct scrape, step);

	for (size_t i = 0; i < AT_ONCE; i++) {
		struct reading *r = &s->v[i];

		if (r->pod)
			continue;
		r->pod = next_pod(s);
		if (!r->pod)
			break;
		s->open++;
		begin(r);
	}
	if (s->open == 0)
		s->user->on_done(s->arg);
}

struct scrape *scrape_new(struct loop *l, struct dns *d, struct kube *k,
	struct viz_pods *pods, bool (*wanted)(void *arg, const struct viz_pod *p),
	const struct scrape_user *user, void *arg)
{
	struct scrape *s = calloc(1, sizeof *s);

	must(s);
	*s = (struct scrape){.loop = l,
		.dns = d,
		.kube = k,
		.pods = pods,
		.wanted = wanted,
		.user = user,
		.arg = arg};
	later_init(&s->step, on_step);
	for (size_t i = 0; i < AT_ONCE; i++) {
		s->v[i].scrape = s;
		timer_init(&s->v[i].patience, l, on_patience);
		later_init(&s->v[i].over, on_over_later);
	}
	loop_later(l, &s->step);
	return s;
}

void scrape_free(struct scrape *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < AT_ONCE; i++) {
		drop(&s->v[i]);
		buf_fini(&s->v[i].text);
	}
	later_clear(&s->step);
	free(s);
}
