/* SPDX-License-Identifier: Apache-2.0 */
/* Containers as processes: from spec to box, their ends, preStop and postStart. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/nodeint.h"
#include "local/podfds.h"

#define BACKOFF_FIRST (10 * NS_PER_S)
#define BACKOFF_MAX   (300 * NS_PER_S)
#define BACKOFF_CALM  (600 * NS_PER_S) /* after running so long it starts anew */
#define MOUNTS_MAX    64

/* ---- what it needs ---- */

static const char *keep_path(struct box_parts *b, char *path)
{
	must(path);
	b->paths = reallocarray(b->paths, b->npaths + 1, sizeof(*b->paths));
	must(b->paths);
	b->paths[b->npaths++] = path;
	return path;
}

static void add_mount(
	struct box_parts *b, const char *source, const char *target, bool readonly)
{
	b->mounts = reallocarray(b->mounts, b->nmounts + 1, sizeof(*b->mounts));
	must(b->mounts);
	b->mounts[b->nmounts++] = (struct box_mount){
		source ? keep_path(b, slice_dup(slice_of(source))) : NULL,
		keep_path(b, slice_dup(slice_of(target))), readonly};
}

static int add_volume(
	struct container *c, const struct json *m, struct box_parts *b, struct err *e)
{
	struct podvol v = pod_volumes(c->pod);
	const char *name = json_text_or(m, "name", "");
	const char *sub = json_text_or(m, "subPath", "");
	char path[PATH_MAX], full[PATH_MAX * 2];

	if (podvol_path(&v, name, path, sizeof(path)))
		return err_set(e, ERR_MISSING, "there is no volume \"%s\"", name);
	if (strstr(sub, ".."))
		return err_set(e, ERR_SYNTAX, "subPath \"%s\"", sub);
	snprintf(full, sizeof(full), "%s%s%s", path, *sub ? "/" : "", sub);
	if (*sub && access(full, F_OK) && folder_make(full, 0777))
		return err_sys(e, "make %s", full);
	add_mount(b, full, json_text_or(m, "mountPath", "/mnt"),
		json_bool_at(m, "readOnly", false));
	return 0;
}

static int write_text(const char *path, struct slice text, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n;

	if (fd >= 0)
		close(fd);
	return ok ? 0 : err_sys(e, "write %s", path);
}

static int add_file(struct pod *p, struct box_parts *b, const char *name,
	const char *target, struct slice text, struct err *e)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	if (write_text(path, text, e))
		return -1;
	add_mount(b, path, target, false);
	return 0;
}

static int add_names(struct pod *p, struct box_parts *b, struct err *e)
{
	const struct local_node_config *cfg = &p->node->cfg;
	const char *host = json_text_or(p->spec, "hostname", p->obj->name);
	char ip[ADDR_TEXT], text[1200];
	int rc;

	snprintf(text, sizeof(text),
		"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n%s\t%s\n",
		ip_text(&p->ip, ip), host);
	rc = add_file(p, b, "hosts", "/etc/hosts", slice_of(text), e);
	snprintf(text, sizeof(text),
		"search %s.svc.%s svc.%s %s\nnameserver %s\noptions ndots:5\n",
		p->obj->ns, cfg->domain, cfg->domain, cfg->domain, cfg->dns);
	if (rc == 0)
		rc = add_file(
			p, b, "resolv.conf", "/etc/resolv.conf", slice_of(text), e);
	snprintf(text, sizeof(text), "%s\n", host);
	if (rc == 0)
		rc = add_file(p, b, "hostname", "/etc/hostname", slice_of(text), e);
	return rc;
}

static int add_mounts(struct container *c, struct box_parts *b, struct err *e)
{
	char program[PATH_MAX], name[300], *slash;

	/* Where the program lies, when that is not shown anyway. */
	if (b->argv.v[0][0] == '/' && realpath(b->argv.v[0], program) &&
		strncmp(program, "/usr/", 5) != 0 &&
		strncmp(program, "/bin/", 5) != 0) {
		slash = strrchr(program, '/');
		*slash = 0;
		if (*program)
			add_mount(b, program, program, true);
	}
	if (add_names(c->pod, b, e))
		return -1;
	snprintf(name, sizeof(name), "term-%.255s", c->name);
	if (add_file(c->pod, b, name,
		    json_text_or(
			    c->spec, "terminationMessagePath", "/dev/termination-log"),
		    SLICE(""), e))
		return -1;
	if (json_count(json_get(c->spec, "volumeMounts")) > MOUNTS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d mounts", MOUNTS_MAX);
	json_each(m, json_get(c->spec, "volumeMounts"))
	{
		if (add_volume(c, m, b, e))
			return -1;
	}
	return 0;
}

static void add_words(const struct json *list, struct box_parts *b)
{
	json_each(w, list)
	{
		struct buf text = BUF_INIT;

		env_expand(json_text(w) ? json_text(w) : "", &b->env, &text);
		words_add(&b->argv, "%.*s", SLICE_FMT(buf_slice(&text)));
		buf_fini(&text);
	}
}

static int add_command(struct container *c, const struct json *image,
	struct box_parts *b, struct err *e)
{
	const struct json *command = json_get(c->spec, "command");
	const struct json *args = json_get(c->spec, "args");

	add_words(json_count(command) ? command : json_get(image, "command"), b);
	if (json_count(args))
		add_words(args, b);
	else if (!json_count(command))
		add_words(json_get(image, "args"), b);
	return b->argv.n ? 0 : err_set(e, ERR_SYNTAX, "no command specified");
}

static int add_env(struct container *c, const struct json *image, struct box_parts *b,
	struct err *e)
{
	struct pod *p = c->pod;
	struct env_source src = {p->node->store, p->obj->json};
	const struct json *api =
		store_get(p->node->store, "services", "default", "kubernetes");

	words_add(&b->env,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	words_add(&b->env, "HOSTNAME=%s",
		json_text_or(p->spec, "hostname", p->obj->name));
	words_add(&b->env, "HOME=/root");
	if (json_text_at(api, "spec.clusterIP")) {
		words_add(&b->env, "KUBERNETES_SERVICE_HOST=%s",
			json_text_at(api, "spec.clusterIP"));
		words_add(&b->env, "KUBERNETES_SERVICE_PORT=443");
	}
	json_each(v, json_get(image, "env"))
	{
		words_set_env(&b->env, json_key(v), json_text(v) ? json_text(v) : "");
	}
	return env_build(&src, c->spec, &b->env, e);
}

static int64_t secure(const struct container *c, const char *key, int64_t other)
{
	return json_int_at(json_get(c->spec, "securityContext"), key,
		json_int_at(json_get(c->pod->spec, "securityContext"), key, other));
}

static void add_security(struct container *c, struct box *b)
{
	const struct json *s = json_get(c->spec, "securityContext");

	b->uid = (uint32_t)secure(c, "runAsUser", 0);
	b->gid = (uint32_t)secure(c, "runAsGroup", 0);
	b->caps = BOX_CAPS_DEFAULT;
	json_each(drop, json_path(s, "capabilities.drop"))
	{
		b->caps &= ~box_cap(json_text(drop) ? json_text(drop) : "");
	}
	json_each(add, json_path(s, "capabilities.add"))
	{
		b->caps |= box_cap(json_text(add) ? json_text(add) : "");
	}
	if (json_bool_at(s, "privileged", false))
		b->caps = BOX_CAPS_ALL;
	b->root_readonly = json_bool_at(s, "readOnlyRootFilesystem", false);
	b->no_new_privileges = !json_bool_at(s, "allowPrivilegeEscalation", true);
}

int container_box(struct container *c, struct box_parts *b, struct err *e)
{
	const struct json *image =
		images_find(c->pod->node->images, json_text_or(c->spec, "image", ""));

	*b = (struct box_parts){.box = {.in = -1, .out = -1, .err = -1, .cgroup = -1}};
	if (add_env(c, image, b, e) || add_command(c, image, b, e) ||
		add_mounts(c, b, e))
		return -1;
	add_security(c, &b->box);
	snprintf(b->scratch, sizeof(b->scratch), "%s/root", c->pod->dir);
	b->box.argv = b->argv.v;
	b->box.envp = b->env.v;
	b->box.cwd = json_text_at(c->spec, "workingDir");
	b->box.scratch = b->scratch;
	b->box.ns = c->pod->ns;
	b->box.mounts = b->mounts;
	b->box.nmounts = b->nmounts;
	return 0;
}

void box_fini(struct box_parts *b)
{
	words_fini(&b->argv);
	words_fini(&b->env);
	for (size_t i = 0; i < b->npaths; i++)
		free(b->paths[i]);
	free(b->paths);
	free(b->mounts);
	if (b->box.cgroup >= 0)
		close(b->box.cgroup);
}

/* The container runs this very program. */
static bool is_self(const struct box_parts *b)
{
	struct stat self, program;

	return stat("/proc/self/exe", &self) == 0 &&
	       stat(b->argv.v[0], &program) == 0 && self.st_dev == program.st_dev &&
	       self.st_ino == program.st_ino;
}

/* Its image would have links to it: mesh-await is `<program> await`. */
static void use_link(struct box_parts *b, char **argv, struct words *own)
{
	if (strncmp(argv[0], "mesh-", 5) != 0 || !is_self(b))
		return;
	words_add(own, "%s", b->argv.v[0]);
	words_add(own, "%s", argv[0] + 5);
	for (char **w = argv + 1; *w; w++)
		words_add(own, "%s", *w);
	b->box.argv = own->v;
}

int container_exec(struct container *c, char **argv, int in, int out, int err,
	pid_t *pid, struct err *e)
{
	struct words own = {0};
	struct box_parts b;
	int pidfd = -1;

	if (c->at != CONTAINER_RUNNING)
		return err_set(e, ERR_MISSING, "container %s is not running", c->name);
	if (container_box(c, &b, e) == 0) {
		b.box.argv = argv;
		use_link(&b, argv, &own);
		b.box.in = in;
		b.box.out = out;
		b.box.err = err;
		b.box.cgroup = container_group(c);
		pidfd = box_enter(c->exit.fd, &b.box, pid, e);
	}
	words_fini(&own);
	box_fini(&b);
	return pidfd;
}

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
