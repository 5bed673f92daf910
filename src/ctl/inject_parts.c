/* SPDX-License-Identifier: Apache-2.0 */
/* The containers and volumes that an injected pod gets (spec control-plane.md §5.4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "ctl/inject_int.h"

/* ---- what several have ---- */

static struct json *container(const struct plan *p, const char *name, const char *of)
{
	struct json *c = json_object();
	char text[128];

	snprintf(text, sizeof text, "<%s.image.name>:<%s.image.version>", of, of);
	json_set_text(c, "name", name);
	json_set(c, "image", value_string(p->values, text));
	snprintf(text, sizeof text, "<%s.image.pullPolicy>", of);
	json_set(c, "imagePullPolicy", value_string(p->values, text));
	return c;
}

/* Only what is said; an empty `resources` is left out. */
static void add_resources(struct json *c, const struct plan *p, const char *of)
{
	static const char *const whats[] = {"cpu", "memory", "ephemeral-storage"};
	static const struct {
		const char *from, *to;
	} bounds[] = {{"limit", "limits"}, {"request", "requests"}};
	struct json *r = json_object();

	for (size_t b = 0; b < countof(bounds); b++)
		for (size_t i = 0; i < countof(whats); i++) {
			char path[96], number[64];
			const char *text;

			snprintf(path, sizeof path, "%s.resources.%s.%s", of, whats[i],
				bounds[b].from);
			text = value_text(p->values, path, number);
			if (*text)
				json_set_text(json_need_object(r, bounds[b].to),
					whats[i], text);
		}
	if (json_count(r))
		json_set(c, "resources", r);
	else
		json_free(r);
}

static void add_mount(struct json *c, const char *volume, const char *path)
{
	struct json *m = json_push(json_need_list(c, "volumeMounts"), json_object());

	json_set_text(m, "mountPath", path);
	json_set_text(m, "name", volume);
}

static struct json *lock_down(struct json *c)
{
	struct json *s = json_need_object(c, "securityContext");

	json_set_bool(s, "allowPrivilegeEscalation", false);
	json_push(json_need_list(json_need_object(s, "capabilities"), "drop"),
		json_string("ALL"));
	json_set_bool(s, "readOnlyRootFilesystem", true);
	json_set_text(json_need_object(s, "seccompProfile"), "type", "RuntimeDefault");
	return s;
}

static void add_arg(struct json *c, const char *word)
{
	json_push(json_need_list(c, "args"), json_string(word));
}

/* The values of `paths`, as one list with commas, without gaps. */
static void add_list(struct json *c, const struct plan *p, const char *flag,
	const char *const *paths)
{
	struct buf b = BUF_INIT;
	char number[64];

	for (; *paths; paths++) {
		const char *text = value_text(p->values, *paths, number);

		if (*text)
			buf_printf(&b, "%s%s", buf_len(&b) ? "," : "", text);
	}
	if (buf_len(&b)) {
		add_arg(c, flag);
		json_push(json_need_list(c, "args"), json_string_n(buf_slice(&b)));
	}
	buf_fini(&b);
}

/* ---- mesh-proxy ---- */

static void add_port(
	struct json *c, const struct plan *p, const char *name, const char *path)
{
	struct json *port = json_push(json_need_list(c, "ports"), json_object());

	json_set_int(port, "containerPort", json_int(json_path(p->values, path), 0));
	json_set_text(port, "name", name);
}

static void add_probe(struct json *c, const struct plan *p, const char *name,
	const char *path, const char *from)
{
	struct json *probe = json_set(c, name, json_object());
	struct json *get = json_need_object(probe, "httpGet");

	json_set_text(get, "path", path);
	json_set_int(
		get, "port", json_int(json_path(p->values, "proxy.ports.admin"), 4191));
	json_each(it, json_path(p->values, from))
	{
		if (json_int(it, 1) ==
			0) /* the API server forgets it: it is the default */
			continue;
		json_set(probe, json_key(it), json_copy(it));
	}
}

static void add_hooks(struct json *c, const struct plan *p)
{
	int64_t wait = json_int(json_path(p->values, "proxy.waitBeforeExitSeconds"), 0);
	struct json *hook;

	if (!p->native && value_is_set(p->values, "proxy.await")) {
		hook = json_need_object(json_need_object(c, "lifecycle"), "postStart");
		hook = json_need_list(json_need_object(hook, "exec"), "command");
		json_push(hook, json_string("mesh-await"));
		json_push(hook, json_string("--timeout=2m"));
		json_push(hook, value_string(p->values, "--port=<proxy.ports.admin>"));
	}
	if (wait > 0) {
		hook = json_need_object(json_need_object(c, "lifecycle"), "preStop");
		json_set_int(json_need_object(hook, "sleep"), "seconds", wait);
	}
}

static void add_user(struct json *security, const struct plan *p)
{
	int64_t gid = json_int(json_path(p->values, "proxy.gid"), -1);

	json_set_bool(security, "runAsNonRoot", true);
	json_set_int(security, "runAsUser",
		json_int(json_path(p->values, "proxy.uid"), 2102));
	if (gid >= 0)
		json_set_int(security, "runAsGroup", gid);
}

struct json *part_proxy(const struct plan *p)
{
	struct json *c = container(p, INJECT_PROXY, "proxy");

	add_arg(c, "proxy");
	json_set(c, "env", env_proxy(p));
	add_port(c, p, "linkerd-proxy", "proxy.ports.inbound");
	add_port(c, p, "linkerd-admin", "proxy.ports.admin");
	if (p->native) {
		json_set_text(c, "restartPolicy", "Always");
		add_probe(c, p, "startupProbe", "/ready", "proxy.startupProbe");
	}
	add_probe(c, p, "livenessProbe", "/live", "proxy.livenessProbe");
	add_probe(c, p, "readinessProbe", "/ready", "proxy.readinessProbe");
	add_hooks(c, p);
	add_resources(c, p, "proxy");
	add_user(lock_down(c), p);
	json_set_text(c, "terminationMessagePolicy", "FallbackToLogsOnError");
	add_mount(c, VOLUME_ID, PATH_ID);
	add_mount(c, VOLUME_ROOTS, PATH_ROOTS);
	if (value_is_set(p->values, "identity.serviceAccountTokenProjection"))
		add_mount(c, VOLUME_TOKEN, PATH_TOKEN);
	return c;
}

/* ---- mesh-init and mesh-network-validator ---- */

static void add_init_args(struct json *c, const struct plan *p)
{
	static const char *const in[] = {"proxy.ports.control", "proxy.ports.admin",
		"proxyInit.ignoreInboundPorts", NULL};
	static const char *const out[] = {
		"proxyInit.ignoreOutboundPorts", "derived.apiPorts", NULL};
	static const char *const subnets[] = {"proxyInit.skipSubnets", NULL};
	static const struct {
		const char *flag;
		const char *path[2];
	} plain[] = {
		{"--incoming-proxy-port", {"proxy.ports.inbound", NULL}},
		{"--outgoing-proxy-port", {"proxy.ports.outbound", NULL}},
		{"--proxy-uid", {"proxy.uid", NULL}},
		{"--log-level", {"proxyInit.logLevel", NULL}},
		{"--log-format", {"proxyInit.logFormat", NULL}},
	};

	add_arg(c, "init");
	add_arg(c, value_is_set(p->values, "disableIPv6") ? "--ipv6=false"
							  : "--ipv6=true");
	for (size_t i = 0; i < countof(plain); i++)
		add_list(c, p, plain[i].flag, plain[i].path);
	if (json_int(json_path(p->values, "proxy.gid"), -1) >= 0)
		add_list(c, p, "--proxy-gid", (const char *const[]){"proxy.gid", NULL});
	add_list(c, p, "--inbound-ports-to-ignore", in);
	add_list(c, p, "--outbound-ports-to-ignore", out);
	add_list(c, p, "--subnets-to-ignore", subnets);
	if (value_is_set(p->values, "proxyInit.closeWaitTimeoutSecs"))
		add_list(c, p, "--timeout-close-wait-secs",
			(const char *const[]){"proxyInit.closeWaitTimeoutSecs", NULL});
}

static void add_init_security(struct json *c, const struct plan *p)
{
	/* The close-wait timeout is a sysctl: of root, and /proc must be writable. */
	bool privileged = value_is_set(p->values, "proxyInit.closeWaitTimeoutSecs");
	bool root = privileged || value_is_set(p->values, "proxyInit.runAsRoot");
	struct json *s = lock_down(c), *add;

	add = json_need_list(json_get(s, "capabilities"), "add");
	json_push(add, json_string("NET_ADMIN"));
	if (privileged)
		json_set_bool(s, "allowPrivilegeEscalation", true);
	json_set_bool(s, "privileged", privileged);
	json_set_bool(s, "runAsNonRoot", !root);
	json_set_int(s, "runAsUser",
		root ? 0
		     : json_int(json_path(p->values, "proxyInit.runAsUser"), 65534));
	json_set_int(s, "runAsGroup",
		root ? 0
		     : json_int(json_path(p->values, "proxyInit.runAsGroup"), 65534));
}

struct json *part_init(const struct plan *p)
{
	struct json *c = container(p, INJECT_INIT, "proxyInit");

	add_init_args(c, p);
	add_resources(c, p, "proxyInit");
	add_init_security(c, p);
	json_set_text(c, "terminationMessagePolicy", "FallbackToLogsOnError");
	return c;
}

/* An address of each family that is redirected, which nobody has to have. */
static void add_validator_addrs(struct json *c, const struct plan *p)
{
	const struct {
		const char *flag, *path, *other;
	} addrs[] = {
		{"--connect-addr", "networkValidator.connectAddr",
			value_is_set(p->values, "disableIPv6")
				? "1.1.1.1:20001"
				: "1.1.1.1:20001,[fd00::1]:20001"},
		{"--listen-addr", "networkValidator.listenAddr",
			"<derived.any>:<proxy.ports.outbound>"},
	};

	for (size_t i = 0; i < countof(addrs); i++) {
		char number[64];
		const char *text = value_text(p->values, addrs[i].path, number);

		add_arg(c, addrs[i].flag);
		json_push(json_get(c, "args"),
			value_string(p->values, *text ? text : addrs[i].other));
	}
}

struct json *part_validator(const struct plan *p)
{
	static const struct {
		const char *flag;
		const char *path[2];
	} plain[] = {
		{"--timeout", {"networkValidator.timeout", NULL}},
		{"--log-level", {"networkValidator.logLevel", NULL}},
		{"--log-format", {"networkValidator.logFormat", NULL}},
	};
	struct json *c = container(p, INJECT_VALIDATOR, "proxy"), *s;

	add_arg(c, "validator");
	add_validator_addrs(c, p);
	for (size_t i = 0; i < countof(plain); i++)
		add_list(c, p, plain[i].flag, plain[i].path);
	add_resources(c, p, "proxy");
	s = lock_down(c);
	json_set_bool(s, "runAsNonRoot", true);
	json_set_int(s, "runAsUser", 65534);
	json_set_int(s, "runAsGroup", 65534);
	json_set_text(c, "terminationMessagePolicy", "FallbackToLogsOnError");
	return c;
}

struct json *part_debug(const struct plan *p)
{
	struct json *c = container(p, INJECT_DEBUG, "debugContainer");

	json_set_text(c, "terminationMessagePolicy", "FallbackToLogsOnError");
	return c;
}

/* ---- volumes ---- */

static struct json *volume_token(void)
{
	struct json *v = json_object(), *from;
	struct json *list = json_need_list(json_need_object(v, "projected"), "sources");

	json_set_text(v, "name", VOLUME_TOKEN);
	from = json_need_object(json_push(list, json_object()), "serviceAccountToken");
	json_set_text(from, "audience", "identity.l5d.io");
	json_set_int(from, "expirationSeconds", 86400);
	json_set_text(from, "path", TOKEN_NAME);
	return v;
}

/* Optional: a pod also starts where the copy has not come yet. */
static struct json *volume_roots(void)
{
	struct json *v = json_object(), *from;

	json_set_text(v, "name", VOLUME_ROOTS);
	from = json_need_object(v, "configMap");
	json_set_text(from, "name", INJECT_ROOTS);
	json_set_bool(from, "optional", true);
	return v;
}

struct json *part_volumes(const struct plan *p)
{
	struct json *list = json_list(), *id = json_push(list, json_object());

	json_set_text(id, "name", VOLUME_ID);
	json_set_text(json_need_object(id, "emptyDir"), "medium", "Memory");
	json_push(list, volume_roots());
	if (value_is_set(p->values, "identity.serviceAccountTokenProjection"))
		json_push(list, volume_token());
	return list;
}
