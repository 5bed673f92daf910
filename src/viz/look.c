/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/look.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"
#include "viz/scrape.h"

#define LONG (2 * NS_PER_S) /* what takes longer says so */

struct looking {
	const struct look_config *cfg;
	struct viz_pods *out;
	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct scrape *scrape;
	struct timer wait;
	uint64_t until; /* of the wait, loop's clock */
	size_t asked, missing;
	bool listed, again; /* again: this is the second reading */
	struct err err;
};

static bool at_terminal(void)
{
	return isatty(STDERR_FILENO);
}

static bool is_wanted(void *arg, const struct viz_pod *p)
{
	struct looking *l = arg;
	bool yes = !l->cfg->wanted || l->cfg->wanted(l->cfg->arg, p);

	l->asked += yes;
	return yes;
}

static void on_missing(void *arg, const struct viz_pod *p, const struct err *e)
{
	struct looking *l = arg;

	l->missing++;
	if (!l->again || !l->cfg->window)
		fprintf(stderr, "%s: %s/%s: %s\n", l->cfg->command, p->ns, p->name,
			e->msg);
	l->err = *e;
}

static void read_again(struct looking *l);

static void on_wait(struct timer *t)
{
	struct looking *l = container_of(t, struct looking, wait);
	uint64_t now = loop_now(l->loop), left = l->until > now ? l->until - now : 0;

	if (left < NS_PER_MS) {
		if (at_terminal() && l->cfg->window > LONG)
			fprintf(stderr, "\r\033[K");
		read_again(l);
		return;
	}
	if (at_terminal() && l->cfg->window > LONG)
		fprintf(stderr, "\r\033[Kwatching, %.0f s to go",
			(double)left / (double)NS_PER_S);
	timer_set(t, left < NS_PER_S ? left : NS_PER_S);
}

static void on_done(void *arg)
{
	struct looking *l = arg;

	scrape_free(l->scrape);
	l->scrape = NULL;
	if (l->again || !l->cfg->window || l->missing == l->asked) {
		loop_stop(l->loop);
		return;
	}
	for (size_t i = 0; i < l->out->n; i++) {
		l->out->v[i].before = l->out->v[i].after;
		l->out->v[i].after = BUF_INIT;
	}
	l->until = loop_now(l->loop) + l->cfg->window;
	timer_set(&l->wait, 0);
}

static const struct scrape_user scrape_user = {on_missing, on_done};

static void read_all(struct looking *l)
{
	l->asked = l->missing = 0;
	l->scrape = scrape_new(
		l->loop, l->dns, l->kube, l->out, is_wanted, &scrape_user, l);
}

static void read_again(struct looking *l)
{
	l->again = true;
	read_all(l);
}

static void on_pods(void *arg, int status, const struct json *body, const struct err *e)
{
	struct looking *l = arg;

	if (status != 200) {
		if (status)
			err_set(&l->err, ERR_DENIED, "the API server answers %d: %s",
				status, json_text_or(body, "message", ""));
		else
			l->err = *e;
		loop_stop(l->loop);
		return;
	}
	l->listed = true;
	viz_pods_read(body, l->cfg->control_ns, l->out);
	read_all(l);
}

static int run(struct looking *l, struct err *e)
{
	char path[512];
	struct kube_config k = l->cfg->cluster;

	k.kubeconfig = kube_local_config(k.kubeconfig, path);
	k.component = "mesh-cli";
	l->loop = loop_new(e);
	l->dns = l->loop ? dns_new(l->loop, NULL, e) : NULL;
	l->kube = l->dns ? kube_new(l->loop, l->dns, &k, e) : NULL;
	if (!l->kube)
		return -1;
	timer_init(&l->wait, l->loop, on_wait);
	(void)kube_request(l->kube, "GET", "/api/v1/pods", NULL, NULL, on_pods, l);
	return loop_run(l->loop, e);
}

int look(const struct look_config *cfg, struct viz_pods *out, struct err *e)
{
	struct looking l = {.cfg = cfg, .out = out};
	int r;

	*out = (struct viz_pods){0};
	r = run(&l, e);
	if (l.kube)
		kube_free(l.kube);
	if (l.dns)
		dns_free(l.dns);
	if (l.loop)
		loop_free(l.loop);
	if (r == 0 && (!l.listed || (l.asked && l.missing == l.asked))) {
		if (e)
			*e = l.err;
		return l.listed ? err_wrap(e, "no proxy could be read") : -1;
	}
	return r;
}
