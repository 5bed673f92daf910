/* SPDX-License-Identifier: Apache-2.0 */
/* Containers as processes: their starts and ends, preStop and postStart. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/nodeint.h"
#include "local/podfds.h"

#define BACKOFF_FIRST (10 * NS_PER_S)
#define BACKOFF_MAX   (300 * NS_PER_S)
#define BACKOFF_CALM  (600 * NS_PER_S) /* after running so long it starts anew */

/* ---- ends ---- */

static struct json *time_json(uint64_t wall)
{
	char text[CLOCK_TEXT];

	clock_rfc3339(wall, false, text);
	return json_string(text);
}

static void read_message(struct container *c, struct json *ended)
{
	char path[PATH_MAX + 300], text[4097];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/term-%.255s", c->pod->dir, c->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n > 0) {
		text[n] = 0;
		json_set_text(ended, "message", text);
	}
}

static void note_end(struct container *c, int code, int signo, const char *reason)
{
	struct json *j = json_object();

	json_set_int(j, "exitCode", code);
	if (signo)
		json_set_int(j, "signal", signo);
	json_set_text(j, "reason", reason ? reason : code ? "Error" : "Completed");
	json_set(j, "startedAt", time_json(c->began));
	json_set(j, "finishedAt", time_json(clock_wall()));
	read_message(c, j);
	json_free(c->ended);
	c->ended = j;
	c->at = CONTAINER_ENDED;
}

/* The first restart is at once; then 10 s, doubling. */
static void back_off(struct container *c)
{
	uint64_t now = clock_mono();

	if (c->began_mono && now - c->began_mono > BACKOFF_CALM)
		c->backoff = 0;
	c->due = now + c->backoff;
	c->backoff = !c->backoff                    ? BACKOFF_FIRST
		     : c->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX
						    : c->backoff * 2;
}

static void close_watch(struct watch *w)
{
	if (w->fd < 0)
		return;
	watch_end(w);
	close(w->fd);
	w->fd = -1;
}

/* A hook that still runs is over with what it was for. */
static void end_hook(struct container *c)
{
	int status;

	if (c->hook.fd < 0)
		return;
	(void)box_kill(c->hook.fd, SIGKILL);
	(void)waitpid(c->hook_pid, &status, 0); /* it was killed: at once */
	close_watch(&c->hook);
}

static void on_exit_ready(struct watch *w, int what)
{
	struct container *c = container_of(w, struct container, exit);
	int status = 0, code;

	(void)what;
	if (box_reap(c->pid, &status))
		return;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	close_watch(&c->exit);
	end_hook(c);
	if (c->stop.loop)
		timer_clear(&c->stop);
	probes_stop(c);
	container_log_close(c);
	container_detach(c);
	c->started = c->ready = c->stopping = false;
	note_end(c, code, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		code && container_was_full(c) ? "OOMKilled" : NULL);
	back_off(c);
	log_info("node", "container ended", LS("pod", c->pod->key), LS("name", c->name),
		LI("code", code));
	pod_sync_soon(c->pod);
}

/* ---- starts ---- */

static void fail_start(struct container *c, const char *reason, const struct err *e)
{
	if (strcmp(c->message, e->msg) != 0 || strcmp(c->reason, reason) != 0)
		pod_tell(c->pod, "Warning", "Failed", "Error: %s", e->msg);
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
	snprintf(c->message, sizeof(c->message), "%s", e->msg);
	c->at = CONTAINER_WAITING;
	back_off(c);
	pod_sync_soon(c->pod);
}

/* True when there is a program for it. */
static bool find_image(struct container *c)
{
	const char *image = json_text_or(c->spec, "image", "");
	bool never = strcmp(json_text_or(c->spec, "imagePullPolicy", ""), "Never") == 0;
	struct err e = {0};

	if (images_find(c->pod->node->images, image)) {
		if (!c->image_known)
			pod_tell(c->pod, "Normal", "Pulled",
				"Container image \"%s\" already present on machine",
				image);
		c->image_known = true;
		return true;
	}
	err_set(&e, ERR_MISSING,
		"Failed to pull image \"%s\": no program is mapped to this name",
		image);
	fail_start(c, never ? "ErrImageNeverPull" : "ErrImagePull", &e);
	return false;
}

/* A container whose hook fails is ended, and started again as its policy says. */
static void fail_post_start(struct container *c, const char *why)
{
	pod_tell(c->pod, "Warning", "FailedPostStartHook", "PostStartHook failed: %s",
		why);
	container_kill(c);
}

static void post_start(struct container *c)
{
	const struct json *list =
		json_path(c->spec, "lifecycle.postStart.exec.command");
	struct words argv = {0};
	struct err e = {0};

	if (!json_count(list))
		return;
	json_each(w, list)
	{
		words_add(&argv, "%s", json_text(w) ? json_text(w) : "");
	}
	c->hook.fd = container_exec(c, argv.v, -1, -1, -1, &c->hook_pid, &e);
	if (c->hook.fd < 0)
		fail_post_start(c, e.msg);
	words_fini(&argv);
}

static void on_hook(struct watch *w, int what)
{
	struct container *c = container_of(w, struct container, hook);
	int status;

	(void)what;
	if (box_reap(c->hook_pid, &status))
		return;
	close_watch(w);
	if (c->stopping && c->exit.fd >= 0)
		(void)box_kill(c->exit.fd, SIGTERM);
	else if (!c->stopping && status != 0)
		fail_post_start(c, "it failed");
	pod_sync_soon(c->pod);
}

bool container_is_settled(const struct container *c)
{
	return c->at != CONTAINER_RUNNING || c->stopping || c->hook.fd < 0;
}

static void watch_hook(struct container *c)
{
	if (c->hook.fd < 0)
		return;
	watch_init(&c->hook, c->pod->node->loop, c->hook.fd, on_hook);
	(void)watch_set(&c->hook, WATCH_IN);
}

static void is_running(struct container *c, int pidfd)
{
	c->at = CONTAINER_RUNNING;
	c->began = clock_wall();
	c->began_mono = clock_mono();
	c->reason[0] = c->message[0] = 0;
	watch_init(&c->exit, c->pod->node->loop, pidfd, on_exit_ready);
	(void)watch_set(&c->exit, WATCH_IN);
	pod_tell(c->pod, "Normal", "Created", "Created container: %s", c->name);
	pod_tell(c->pod, "Normal", "Started", "Started container %s", c->name);
	post_start(c);
	watch_hook(c);
	probes_start(c);
}

/* With its streams: what it writes goes to the log, what is attached to its input. */
static int start_box(struct container *c, struct box_parts *b, struct err *e)
{
	bool tty = json_bool_at(c->spec, "tty", false);
	struct podfds f;
	int pidfd;

	if (podfds_open(&f, json_bool_at(c->spec, "stdin", false), tty, e)) {
		podfds_close_its(&f);
		podfds_close_ours(&f);
		return -1;
	}
	b->box.in = f.in[0];
	b->box.out = f.out[1];
	b->box.err = f.err[1];
	b->box.cgroup = container_limit(c);
	container_log_open(c, f.out[0], f.err[0]);
	container_take_in(c, f.in[1]);
	pidfd = box_start(&b->box, &c->pid, e);
	podfds_close_its(&f);
	return pidfd;
}

void container_start(struct container *c)
{
	struct box_parts b;
	struct err e = {0};
	int pidfd;

	if (!find_image(c))
		return;
	if (c->at == CONTAINER_ENDED) {
		c->restarts++;
		json_free(c->last);
		c->last = c->ended;
		c->ended = NULL;
		c->at = CONTAINER_WAITING;
	}
	if (container_box(c, &b, &e)) {
		box_fini(&b);
		fail_start(c, "CreateContainerConfigError", &e);
		return;
	}
	pidfd = start_box(c, &b, &e);
	box_fini(&b);
	if (pidfd >= 0) {
		is_running(c, pidfd);
		pod_sync_soon(c->pod);
		return;
	}
	container_log_close(c);
	container_detach(c);
	c->began = clock_wall();
	note_end(c, 128, 0, "StartError");
	json_set_text(c->ended, "message", e.msg);
	pod_tell(c->pod, "Warning", "Failed", "Error: %s", e.msg);
	back_off(c);
	pod_sync_soon(c->pod);
}

/* ---- stopping ---- */

static void on_stop_time(struct timer *t)
{
	struct container *c = container_of(t, struct container, stop);

	if (c->exit.fd >= 0)
		(void)box_kill(c->exit.fd, SIGTERM);
}

/* preStop: a sleep, or a command; true when TERM comes after it. */
static bool pre_stop(struct container *c)
{
	const struct json *hook = json_path(c->spec, "lifecycle.preStop");
	int64_t seconds = json_int_at(hook, "sleep.seconds", 0);
	const struct json *list = json_path(hook, "exec.command");
	struct words argv = {0};

	if (seconds > 0) {
		timer_set(&c->stop, (uint64_t)seconds * NS_PER_S);
		return true;
	}
	if (!json_count(list))
		return false;
	end_hook(c);
	json_each(w, list)
	{
		words_add(&argv, "%s", json_text(w) ? json_text(w) : "");
	}
	c->hook.fd = container_exec(c, argv.v, -1, -1, -1, &c->hook_pid, NULL);
	words_fini(&argv);
	watch_hook(c);
	return c->hook.fd >= 0;
}

void container_stop(struct container *c, uint64_t grace_ns)
{
	if (c->at != CONTAINER_RUNNING || c->stopping)
		return;
	c->stopping = true;
	c->ready = false;
	probes_stop(c);
	pod_tell(c->pod, "Normal", "Killing", "Stopping container %s", c->name);
	timer_init(&c->stop, c->pod->node->loop, on_stop_time);
	if (!grace_ns)
		(void)box_kill(c->exit.fd, SIGKILL);
	else if (!pre_stop(c))
		(void)box_kill(c->exit.fd, SIGTERM);
}

void container_kill(struct container *c)
{
	if (c->at == CONTAINER_RUNNING && c->exit.fd >= 0)
		(void)box_kill(c->exit.fd, SIGKILL);
}

void container_fini(struct container *c)
{
	int status;

	if (c->at == CONTAINER_RUNNING) {
		container_kill(c);
		(void)waitpid(c->pid, &status, 0); /* it was killed: at once */
	}
	probes_stop(c);
	close_watch(&c->exit);
	end_hook(c);
	container_log_close(c);
	container_detach(c);
	if (c->stop.loop)
		timer_clear(&c->stop);
	json_free(c->last);
	json_free(c->ended);
}
