/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's process needs, from its spec: words, environment, mounts, rights.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/nodeint.h"

#define MOUNTS_MAX 64

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
