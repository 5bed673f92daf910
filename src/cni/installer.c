/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/installer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "ev/loop.h"

#define LOOK_AGAIN (5 * NS_PER_S) /* whatever inotify has missed */
#define ASK_WAIT   (5 * NS_PER_S) /* for why we are to end */

struct installer {
	const struct installer_config *cfg;
	struct loop *loop;
	struct node node;
	struct watch watch; /* inotify */
	struct timer again, limit;
	bool ready, stopping, lost;
	char said[240]; /* why it was not in order last time */
	uint64_t failures;
	struct kube_call *ask; /* on its way, or NULL */
	void (*done)(void *arg);
	void *arg;
};

/* ---- keeping it ---- */

static void say(struct installer *in, int rc, const struct err *e)
{
	const char *now = rc ? e->msg : "";

	if (strcmp(now, in->said) == 0)
		return;
	snprintf(in->said, sizeof in->said, "%s", now);
	if (rc && e->code == ERR_MISSING)
		log_info("cni", "not installed yet", LE(e));
	else if (rc)
		log_error("cni", "not installed", LE(e));
	else
		log_info("cni", "installed", LS("chain", in->node.chain));
}

/* What is mounted here is no longer what the runtime reads: whoever removed and made
 * the directory again is only followed by a new container. */
static bool is_lost(struct installer *in)
{
	struct stat st;

	if (stat(in->cfg->node.net_dir, &st) == 0 && st.st_nlink > 0)
		return false;
	log_error("cni", "the directory was removed; a new start finds the next one",
		LS("path", in->cfg->node.net_dir));
	in->lost = true;
	loop_stop(in->loop);
	return true;
}

static void look(struct installer *in)
{
	struct err e = {0};
	int rc;

	if (in->stopping || is_lost(in))
		return;
	rc = node_put(&in->node, &e);
	in->failures += rc != 0 && e.code != ERR_MISSING;
	in->ready = rc == 0;
	say(in, rc, &e);
	timer_set(&in->again, rc ? NS_PER_S : LOOK_AGAIN);
}

static void on_again(struct timer *t)
{
	look(container_of(t, struct installer, again));
}

/* What happened is not looked at: node_put() finds out. */
static void on_change(struct watch *w, int what)
{
	char events[4096];

	(void)what;
	while (read(w->fd, events, sizeof events) > 0)
		;
	look(container_of(w, struct installer, watch));
}

static int follow(struct installer *in, const char *dir, struct err *e)
{
	/* Not IN_MODIFY: a file that is being written is not worth a look. */
	const uint32_t what = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
			      IN_DELETE_SELF | IN_ONLYDIR;

	if (inotify_add_watch(in->watch.fd, dir, what) < 0)
		return err_sys(e, "watch %s", dir);
	return 0;
}

static int follow_all(struct installer *in, struct err *e)
{
	const struct node_config *n = &in->cfg->node;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "inotify");
	watch_init(&in->watch, in->loop, fd, on_change);
	if (watch_set(&in->watch, WATCH_IN))
		return err_set(e, ERR_LIMIT, "inotify cannot be watched");
	if (follow(in, n->net_dir, e) || follow(in, n->bin_dir, e))
		return -1;
	return follow(in, n->account, e);
}

/* ---- ending ---- */

static void finish(struct installer *in, bool undo, const char *why)
{
	struct err e = {0};

	timer_clear(&in->limit);
	log_info("cni", undo ? "taken away from this node" : "left as it is",
		LS("because", why));
	if (undo && node_undo(&in->node, &e))
		log_error("cni", "something is left on this node", LE(&e));
	in->done(in->arg);
}

static void on_asked(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct installer *in = arg;

	(void)e;
	in->ask = NULL;
	if (status == 404)
		finish(in, true, "the DaemonSet is gone");
	else if (status == 401 || status == 403)
		finish(in, true, "our rights are gone");
	else if (status == 200 && json_path(body, "metadata.deletionTimestamp"))
		finish(in, true, "the DaemonSet is being deleted");
	else if (status == 200)
		finish(in, false, "the DaemonSet will start the next");
	else
		finish(in, false, "the API server does not say that it is to go");
}

static void on_limit(struct timer *t)
{
	struct installer *in = container_of(t, struct installer, limit);

	kube_cancel(in->ask);
	in->ask = NULL;
	finish(in, false, "the API server does not answer");
}

static void ask_why(struct installer *in)
{
	char path[600];

	snprintf(path, sizeof path, "/apis/apps/v1/namespaces/%s/daemonsets/%s",
		in->cfg->namespace, in->cfg->daemonset);
	timer_set(&in->limit, ASK_WAIT);
	in->ask = kube_request(in->cfg->kube, "GET", path, NULL, NULL, on_asked, in);
}

void installer_stop(struct installer *in, void (*done)(void *arg), void *arg)
{
	if (in->stopping)
		return;
	in->stopping = true;
	in->ready = false;
	in->done = done;
	in->arg = arg;
	if (in->cfg->undo == UNDO_AUTO && in->cfg->kube)
		ask_why(in);
	else
		finish(in, in->cfg->undo == UNDO_ALWAYS, "it was said so");
}

/* ---- the whole ---- */

bool installer_is_ready(void *installer)
{
	const struct installer *in = installer;

	return in->ready;
}

bool installer_is_lost(const struct installer *in)
{
	return in->lost;
}

void installer_metrics(void *installer, struct buf *out)
{
	const struct installer *in = installer;

	buf_printf(out,
		"# HELP mesh_cni_writes_total Files of the node that were written.\n"
		"# TYPE mesh_cni_writes_total counter\n"
		"mesh_cni_writes_total %" PRIu64 "\n"
		"# HELP mesh_cni_failures_total Times that they could not be.\n"
		"# TYPE mesh_cni_failures_total counter\n"
		"mesh_cni_failures_total %" PRIu64 "\n",
		in->node.writes, in->failures);
}

struct installer *installer_new(
	struct loop *l, const struct installer_config *cfg, struct err *e)
{
	struct installer *in = calloc(1, sizeof *in);

	must(in);
	*in = (struct installer){
		.cfg = cfg, .loop = l, .node.cfg = &cfg->node, .watch.fd = -1};
	timer_init(&in->again, l, on_again);
	timer_init(&in->limit, l, on_limit);
	if (follow_all(in, e)) {
		installer_free(in);
		return NULL;
	}
	look(in);
	return in;
}

void installer_free(struct installer *in)
{
	if (!in)
		return;
	kube_cancel(in->ask);
	timer_clear(&in->again);
	timer_clear(&in->limit);
	if (in->watch.fd >= 0) {
		int fd = in->watch.fd;

		watch_end(&in->watch);
		close(fd);
	}
	free(in);
}
