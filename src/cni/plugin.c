/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "cni/apiask.h"
#include "cni/call.h"
#include "cni/podrules.h"
#include "sys/ns.h"

/* The API server may be away as long; then the kubelet has to come again. */
#define API_WAIT (10 * NS_PER_S)

#define KUBERNETES "/api/v1/namespaces/default/services/kubernetes"

struct work {
	struct cni_call call;
	struct cni_conf conf;
	struct cni_fail fail;
	struct api_ask ask;
	struct json *pod, *ns, *api; /* owned */
};

/* ---- what is asked ---- */

static int cannot_tell(struct work *w, const struct err *e)
{
	return cni_fail(&w->fail, CNI_AGAIN,
		"it cannot be told whether %s/%s is in the mesh: %s", w->call.namespace,
		w->call.pod, e->msg);
}

static struct json *get(struct work *w, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static struct json *get(struct work *w, struct err *e, const char *fmt, ...)
{
	char path[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	return api_get(&w->ask, path, e);
}

/* A pod that was made anew under its name is another one.  A static pod is called by
 * the hash of its file, which its object at the API server has as an annotation. */
static bool is_meant(const struct work *w)
{
	const struct json *notes = json_path(w->pod, "metadata.annotations");
	const char *hash = json_text(json_get(notes, "kubernetes.io/config.hash"));
	const char *uid = json_text_or(w->pod, "metadata.uid", "");

	return !*w->call.uid || strcmp(uid, w->call.uid) == 0 ||
	       (hash && strcmp(hash, w->call.uid) == 0);
}

static int ask_pod(struct work *w)
{
	struct err e = {0};

	w->pod = get(
		w, &e, "/api/v1/namespaces/%s/pods/%s", w->call.namespace, w->call.pod);
	if (!w->pod)
		return cannot_tell(w, &e);
	if (is_meant(w))
		return 0;
	err_set(&e, ERR_MISSING, "the API server's pod of this name is another one");
	return cannot_tell(w, &e);
}

static int ask_rest(struct work *w)
{
	struct err e = {0};

	w->ns = get(w, &e, "/api/v1/namespaces/%s", w->call.namespace);
	if (!w->ns)
		return cannot_tell(w, &e);
	if (!pod_wants_api_ports(w->pod))
		return 0;
	w->api = get(w, &e, KUBERNETES);
	if (!w->api && e.code != ERR_MISSING)
		return cannot_tell(w, &e);
	return 0;
}

/* 1: the pod is not redirected by us; 0: its rules are in *out. */
static int find_rules(struct work *w, struct redirect *out)
{
	const char *why = "it is no pod of Kubernetes";

	if (*w->call.pod && *w->call.namespace) {
		if (ask_pod(w))
			return -1;
		if (pod_is_ours(w->pod, &why)) {
			if (ask_rest(w))
				return -1;
			pod_redirect(&w->conf, w->pod, w->ns, w->api, out);
			return 0;
		}
	}
	log_info("cni", "not redirected", LS("namespace", w->call.namespace),
		LS("pod", w->call.pod), LS("why", why));
	return 1;
}

/* ---- commands ---- */

static int no_rules(struct work *w, const struct err *e)
{
	return cni_fail(&w->fail, CNI_NO_RULES, "%s/%s is not redirected: %s",
		w->call.namespace, w->call.pod, e->msg);
}

static int add(struct work *w, struct buf *out)
{
	static struct redirect r; /* large */
	struct err e = {0};
	int rc = find_rules(w, &r);

	if (rc < 0)
		return -1;
	if (rc == 0 && (ns_join_net(w->call.netns, &e) || redirect_apply(&r, &e)))
		return no_rules(w, &e);
	if (rc == 0)
		log_info("cni", "redirected", LS("namespace", w->call.namespace),
			LS("pod", w->call.pod), LI("inbound", r.inbound),
			LI("outbound", r.outbound));
	cni_say_result(&w->call, out);
	return 0;
}

static int check(struct work *w, struct buf *out)
{
	static struct redirect r;
	struct err e = {0};
	int rc;

	(void)out;
	if (json_kind(json_get(w->call.conf, "prevResult")) != JSON_OBJECT)
		return cni_fail(&w->fail, CNI_BAD_CONFIG, "CHECK without a prevResult");
	rc = find_rules(w, &r);
	if (rc)
		return rc < 0 ? -1 : 0;
	if (ns_join_net(w->call.netns, &e) || redirect_verify(&r, &e))
		return no_rules(w, &e);
	return 0;
}

/* The namespace may be gone, the pod may never have been ours: both are done. */
static int del(struct work *w, struct buf *out)
{
	struct err e = {0};

	(void)out;
	if (!*w->call.netns || access(w->call.netns, F_OK))
		return 0;
	if (ns_join_net(w->call.netns, &e) || redirect_remove(&e))
		log_info("cni", "rules are left to the namespace's end", LE(&e));
	return 0;
}

/* What we make ends with the network namespace it is in. */
static int collect(struct work *w, struct buf *out)
{
	(void)w, (void)out;
	return 0;
}

static int status(struct work *w, struct buf *out)
{
	(void)out;
	if (access(w->conf.kubeconfig, R_OK) == 0)
		return 0;
	return cni_fail(&w->fail, CNI_UNAVAILABLE,
		"%s is not there yet: is the mesh-cni pod of this node running?",
		w->conf.kubeconfig);
}

static int version(struct work *w, struct buf *out)
{
	cni_say_version(&w->call, out);
	return 0;
}

static int (*const commands[])(struct work *w, struct buf *out) = {
	[CNI_ADD] = add,
	[CNI_DEL] = del,
	[CNI_CHECK] = check,
	[CNI_GC] = collect,
	[CNI_STATUS] = status,
	[CNI_VERSION] = version,
};

static const char *from_environment(const char *name)
{
	return getenv(name);
}

static int read_conf(struct work *w)
{
	struct err e = {0};

	/* What undoes must not fail for what it does not need. */
	if (w->call.verb == CNI_VERSION || w->call.verb == CNI_DEL ||
		w->call.verb == CNI_GC)
		return 0;
	if (cni_conf_read(w->call.conf, &w->conf, &e))
		return cni_fail(&w->fail, CNI_BAD_CONFIG, "%s", e.msg);
	if (log_filter_set(slice_of(w->conf.log_level), &e))
		return cni_fail(&w->fail, CNI_BAD_CONFIG, "log_level: %s", e.msg);
	w->ask = (struct api_ask){w->conf.kubeconfig, clock_mono() + API_WAIT};
	return 0;
}

int plugin_call(struct slice in, struct buf *out)
{
	static struct work w; /* large */
	int rc = cni_call_read(&w.call, from_environment, in, &w.fail);

	if (rc == 0)
		rc = read_conf(&w);
	if (rc == 0)
		rc = commands[w.call.verb](&w, out);
	if (rc)
		cni_say_fail(&w.call, &w.fail, out);
	json_free(w.pod);
	json_free(w.ns);
	json_free(w.api);
	cni_call_fini(&w.call);
	return rc ? 1 : 0;
}
