/* SPDX-License-Identifier: Apache-2.0 */
/* Versions, and the proxies of everybody. */
#include <stdio.h>

#include "base/obj.h"
#include "cli/checksint.h"
#include "ctl/inject.h"
#include "tls/key.h"

#define VERSION "linkerd.io/proxy-version"
#define ANCHORS "linkerd.io/trust-root-sha256"
#define OWNER   "linkerd.io/control-plane-ns"

static const char *annotation(const struct json *object, const char *key)
{
	const char *text =
		json_text(json_get(json_path(object, "metadata.annotations"), key));

	return text ? text : "";
}

static const char *label(const struct json *object, const char *key)
{
	const char *text =
		json_text(json_get(json_path(object, "metadata.labels"), key));

	return text ? text : "";
}

static bool is_over(const struct json *pod)
{
	const char *phase = json_text_or(pod, "status.phase", "");

	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
	       json_path(pod, "metadata.deletionTimestamp");
}

int control_is_same_version(struct check_run *r, struct err *e)
{
	struct json *values = check_values(r, e);
	const char *version = json_text_or(values, "linkerdVersion", "unknown");
	int rc = 0;

	if (!values)
		rc = -1;
	else if (strcmp(version, r->cfg->version) != 0)
		rc = err_set(e, ERR_DENIED, "control plane %s, cli %s", version,
			r->cfg->version);
	json_free(values);
	return rc;
}

/* ---- pods ---- */

const struct json *check_workloads(struct check_run *r, struct err *e)
{
	if (r->cfg->workloads)
		return check_get(r, e, "/api/v1/namespaces/%s/pods", r->cfg->workloads);
	return check_get(r, e, "/api/v1/pods");
}

bool check_is_meshed(const struct check_run *r, const struct json *pod)
{
	return strcmp(label(pod, OWNER), r->cfg->namespace) == 0 && !is_over(pod);
}

/* Says which pod it was, with its namespace. */
static int name_pod(const struct json *pod, struct err *e)
{
	return err_wrap(e, "%s/%s", json_text_or(pod, "metadata.namespace", ""),
		json_text_or(pod, "metadata.name", ""));
}

static int each_proxy(struct check_run *r,
	int (*look)(struct check_run *r, const struct json *pod, struct err *e),
	struct err *e)
{
	const struct json *pods = check_workloads(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		if (check_is_meshed(r, p) && look(r, p, e))
			return name_pod(p, e);
	}
	return 0;
}

static int proxy_is_ready(struct check_run *r, const struct json *pod, struct err *e)
{
	static const char *const lists[] = {
		"status.initContainerStatuses", "status.containerStatuses"};

	(void)r;
	for (size_t i = 0; i < countof(lists); i++)
		json_each(s, json_path(pod, lists[i]))
		{
			if (strcmp(json_text_or(s, "name", ""), INJECT_PROXY) != 0)
				continue;
			if (json_bool_at(s, "ready", false))
				return 0;
			return err_set(e, ERR_BUSY, "its proxy is not ready: %s",
				json_text_or(s, "state.waiting.reason", "it runs"));
		}
	return err_set(e, ERR_BUSY, "its proxy has not begun");
}

int control_proxies_are_ready(struct check_run *r, struct err *e)
{
	const struct json *pods = check_pods(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		if (check_is_meshed(r, p) && proxy_is_ready(r, p, e))
			return name_pod(p, e);
	}
	return 0;
}

int proxies_are_ready(struct check_run *r, struct err *e)
{
	return each_proxy(r, proxy_is_ready, e);
}

static int has_version(struct check_run *r, const struct json *pod, struct err *e)
{
	const char *version = annotation(pod, VERSION);

	if (strcmp(version, r->cfg->version) == 0)
		return 0;
	return err_set(
		e, ERR_DENIED, "its proxy is %s, cli %s", version, r->cfg->version);
}

int control_proxies_are_same_version(struct check_run *r, struct err *e)
{
	const struct json *pods = check_pods(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		if (check_is_meshed(r, p) && has_version(r, p, e))
			return name_pod(p, e);
	}
	return 0;
}

int proxies_are_same_version(struct check_run *r, struct err *e)
{
	return each_proxy(r, has_version, e);
}

static const char *anchors_of(struct check_run *r, const char *ns, struct err *e)
{
	const struct json *map =
		check_get(r, e, "/api/v1/namespaces/%s/configmaps/" INJECT_ROOTS, ns);
	const char *pem = json_text(json_get(json_get(map, "data"), INJECT_ROOTS_KEY));

	return map && !pem ? "" : pem;
}

/* A proxy with the file has what its namespace has, soon; others what they were born
 * with. */
static bool follows_file(const struct json *pod)
{
	json_each(v, json_path(pod, "spec.volumes"))
	{
		if (strcmp(json_text_or(v, "configMap.name", ""), INJECT_ROOTS) == 0)
			return true;
	}
	return false;
}

static int has_anchors(struct check_run *r, const struct json *pod, struct err *e)
{
	const char *ns = json_text_or(pod, "metadata.namespace", "");
	const char *pem = anchors_of(r, r->cfg->namespace, e), *copy;
	char sum[2 * SHA256_SIZE + 1];

	if (!pem)
		return -1;
	sha256_hex(slice_of(pem), sum);
	if (!follows_file(pod) && strcmp(annotation(pod, ANCHORS), sum) != 0)
		return err_set(e, ERR_DENIED,
			"its trust anchors are not the present ones, and it follows no "
			"file: start it anew");
	if (!follows_file(pod))
		return 0;
	copy = anchors_of(r, ns, NULL);
	if (copy && strcmp(copy, pem) == 0)
		return 0;
	return err_set(e, ERR_DENIED,
		"ConfigMap %s/" INJECT_ROOTS
		" has not the present trust anchors: does mesh-injector run?",
		ns);
}

int proxies_trust_the_same(struct check_run *r, struct err *e)
{
	return each_proxy(r, has_anchors, e);
}

int workloads_exist(struct check_run *r, struct err *e)
{
	if (!r->cfg->workloads)
		return 0;
	return check_get(r, e, "/api/v1/namespaces/%s", r->cfg->workloads) ? 0 : -1;
}

/* As the webhook decides; NULL namespace: it was deleted meanwhile. */
static bool should_be_meshed(const struct json *namespace, const struct json *pod)
{
	const char *own = annotation(pod, INJECT_ANNOTATION);
	const char *asks = *own ? own : annotation(namespace, INJECT_ANNOTATION);

	return (strcmp(asks, "enabled") == 0 || strcmp(asks, "ingress") == 0) &&
	       !json_bool_at(pod, "spec.hostNetwork", false);
}

int pods_are_meshed(struct check_run *r, struct err *e)
{
	const struct json *pods = check_workloads(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		const char *ns = json_text_or(p, "metadata.namespace", "");

		if (*label(p, OWNER) || is_over(p))
			continue;
		if (should_be_meshed(
			    check_get(r, NULL, "/api/v1/namespaces/%s", ns), p))
			return err_set(e, ERR_DENIED,
				"%s/%s asks for a proxy and has none", ns,
				json_text_or(p, "metadata.name", ""));
	}
	return 0;
}
