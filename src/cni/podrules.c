/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/podrules.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/obj.h"
#include "ctl/inject.h"

#define COMPONENT "linkerd.io/control-plane-component"

/* ---- the configuration ---- */

static int read_port(
	const struct json *o, const char *key, uint16_t *out, struct err *e)
{
	int64_t n = json_int(json_get(o, key), -1);

	if (n < 1 || n > UINT16_MAX)
		return err_set(e, ERR_SYNTAX, "linkerd.%s is not a port", key);
	*out = (uint16_t)n;
	return 0;
}

static int read_id(const struct json *o, const char *key, int64_t *out, struct err *e)
{
	const struct json *j = json_get(o, key);

	*out = json_int(j, -1);
	if (j && (json_kind(j) != JSON_INT || *out > UINT32_MAX))
		return err_set(e, ERR_SYNTAX, "linkerd.%s is not an id", key);
	return 0;
}

/* A list of texts and numbers, each with `add`. */
static int read_list(const struct json *o, const char *key,
	int (*add)(const char *text, struct redirect *r, struct err *e),
	struct redirect *r, struct err *e)
{
	const struct json *list = json_get(o, key);
	char number[24];

	if (list && json_kind(list) != JSON_LIST && json_kind(list) != JSON_NULL)
		return err_set(e, ERR_SYNTAX, "linkerd.%s is not a list", key);
	json_each(it, list)
	{
		const char *text = json_text(it);

		if (!text) {
			snprintf(number, sizeof number, "%" PRId64, json_int(it, 0));
			text = number;
		}
		if (add(text, r, e))
			return err_wrap(e, "linkerd.%s", key);
	}
	return 0;
}

static int add_only(const char *text, struct redirect *r, struct err *e)
{
	return redirect_ports(text, r->only, &r->nonly, e);
}

static int add_in(const char *text, struct redirect *r, struct err *e)
{
	return redirect_ports(text, r->skip_in, &r->nskip_in, e);
}

static int add_out(const char *text, struct redirect *r, struct err *e)
{
	return redirect_ports(text, r->skip_out, &r->nskip_out, e);
}

int cni_conf_read(const struct json *entry, struct cni_conf *out, struct err *e)
{
	const struct json *o = json_get(entry, "linkerd");
	struct redirect *r = &out->base;

	*out = (struct cni_conf){
		.kubeconfig = json_text_or(entry, "kubernetes.kubeconfig", ""),
		.log_level = json_text_or(entry, "log_level", "info")};
	if (!*out->kubeconfig)
		return err_set(e, ERR_SYNTAX, "kubernetes.kubeconfig is missing");
	if (json_kind(o) != JSON_OBJECT)
		return err_set(e, ERR_SYNTAX, "the object \"linkerd\" is missing");
	r->ipv6 = json_bool_at(o, "ipv6", true);
	if (read_port(o, "incoming-proxy-port", &r->inbound, e) ||
		read_port(o, "outgoing-proxy-port", &r->outbound, e) ||
		read_id(o, "proxy-uid", &r->uid, e) ||
		read_id(o, "proxy-gid", &r->gid, e) ||
		read_list(o, "ports-to-redirect", add_only, r, e) ||
		read_list(o, "inbound-ports-to-ignore", add_in, r, e) ||
		read_list(o, "outbound-ports-to-ignore", add_out, r, e))
		return -1;
	return read_list(o, "subnets-to-ignore", redirect_subnets, r, e);
}

/* ---- the pod ---- */

static const struct json *container(const struct json *pod, const char *name)
{
	static const char *const lists[] = {"spec.containers", "spec.initContainers"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_path(pod, lists[i]))
		{
			if (strcmp(json_text_or(c, "name", ""), name) == 0)
				return c;
		}
	return NULL;
}

bool pod_is_ours(const struct json *pod, const char **why)
{
	*why = NULL;
	if (json_bool_at(pod, "spec.hostNetwork", false))
		*why = "it uses the node's network";
	else if (!container(pod, INJECT_PROXY))
		*why = "it has no proxy";
	else if (container(pod, INJECT_INIT))
		*why = "its init container writes the rules";
	return *why == NULL;
}

bool pod_wants_api_ports(const struct json *pod)
{
	return json_get(json_path(pod, "metadata.labels"), COMPONENT) != NULL;
}

/* What the pod says, else its namespace; NULL. */
static const char *annotation(
	const struct json *pod, const struct json *ns, const char *name)
{
	char key[96];
	const char *text;

	snprintf(key, sizeof key, INJECT_CONFIG "%s", name);
	text = json_text(json_get(json_path(pod, "metadata.annotations"), key));
	return text ? text
		    : json_text(json_get(json_path(ns, "metadata.annotations"), key));
}

static void complain(const char *name, const struct err *e)
{
	log_warn("cni", "an annotation has no effect", LS("annotation", name), LE(e));
}

struct list_rule {
	const char *annotation;
	int (*add)(const char *text, struct redirect *r, struct err *e);
	bool replaces;
	size_t n; /* offset of the list's length */
};

static const struct list_rule list_rules[] = {
	{"skip-inbound-ports", add_in, false, offsetof(struct redirect, nskip_in)},
	{"skip-outbound-ports", add_out, true, offsetof(struct redirect, nskip_out)},
	{"skip-subnets", redirect_subnets, true, offsetof(struct redirect, nskip_from)},
};

static void apply_list(const struct list_rule *l, const char *text, struct redirect *r)
{
	static struct redirect with; /* large, and there is one thread */
	struct err e = {0};

	with = *r;
	if (l->replaces)
		*(size_t *)(void *)((char *)&with + l->n) = 0;
	if (l->add(text, &with, &e) == 0)
		*r = with;
	else
		complain(l->annotation, &e);
}

/* A number that an annotation gives; `other` when it gives none. */
static int64_t number(const struct json *pod, const struct json *ns, const char *name,
	uint64_t max, int64_t other)
{
	const char *text = annotation(pod, ns, name);
	struct err e = {0};
	uint64_t n;

	if (!text)
		return other;
	if (slice_u64(slice_of(text), max, &n) && (max != UINT16_MAX || n > 0))
		return (int64_t)n;
	err_set(&e, ERR_SYNTAX, "\"%s\" is not a number up to %" PRIu64, text, max);
	complain(name, &e);
	return other;
}

/* The ids the proxy really runs with, whatever made it so. */
static void apply_ids(const struct json *pod, const struct json *ns, struct redirect *r)
{
	const struct json *proxy = container(pod, INJECT_PROXY);

	r->uid = number(pod, ns, "proxy-uid", UINT32_MAX, r->uid);
	r->gid = number(pod, ns, "proxy-gid", UINT32_MAX, r->gid);
	r->uid = json_int_at(proxy, "securityContext.runAsUser", r->uid);
	r->gid = json_int_at(proxy, "securityContext.runAsGroup", r->gid);
}

/* And the ports it listens on. */
static int64_t proxy_port(const struct json *pod, const char *name, int64_t other)
{
	json_each(p, json_get(container(pod, INJECT_PROXY), "ports"))
	{
		if (strcmp(json_text_or(p, "name", ""), name) == 0)
			return json_int(json_get(p, "containerPort"), other);
	}
	return other;
}

static void skip_own_port(int64_t port, struct redirect *r)
{
	char text[24];
	struct err e = {0};

	for (size_t i = 0; i < r->nskip_in; i++)
		if (r->skip_in[i].low <= port && port <= r->skip_in[i].high)
			return;
	snprintf(text, sizeof text, "%" PRId64, port);
	if (port > 0 && add_in(text, r, &e))
		complain("admin-port", &e);
}

static void apply_ports(
	const struct json *pod, const struct json *ns, struct redirect *r)
{
	r->inbound = (uint16_t)proxy_port(pod, "linkerd-proxy",
		number(pod, ns, "inbound-port", UINT16_MAX, r->inbound));
	r->outbound =
		(uint16_t)number(pod, ns, "outbound-port", UINT16_MAX, r->outbound);
	skip_own_port(proxy_port(pod, "linkerd-admin",
			      number(pod, ns, "admin-port", UINT16_MAX, 0)),
		r);
	skip_own_port(number(pod, ns, "control-port", UINT16_MAX, 0), r);
}

/* The control plane's proxies do not stand between it and the API server. */
static void skip_api(const struct json *api, struct redirect *r)
{
	struct buf b = BUF_INIT;
	struct err e = {0};

	json_each(p, json_path(api, "spec.ports"))
	{
		int64_t target = json_int(json_get(p, "targetPort"), 0);

		buf_printf(&b, "%" PRId64 ",", json_int(json_get(p, "port"), 443));
		if (target)
			buf_printf(&b, "%" PRId64 ",", target);
	}
	buf_text(&b, buf_len(&b) ? "" : "443,6443");
	buf_char(&b, '\0');
	if (b.failed || add_out(b.p, r, &e))
		complain("(ports of the API server)", &e);
	buf_fini(&b);
}

void pod_redirect(const struct cni_conf *c, const struct json *pod,
	const struct json *ns, const struct json *api, struct redirect *out)
{
	*out = c->base;
	for (size_t i = 0; i < countof(list_rules); i++) {
		const char *text = annotation(pod, ns, list_rules[i].annotation);

		if (text)
			apply_list(&list_rules[i], text, out);
	}
	apply_ids(pod, ns, out);
	apply_ports(pod, ns, out);
	if (pod_wants_api_ports(pod))
		skip_api(api, out);
}
