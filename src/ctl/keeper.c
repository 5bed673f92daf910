/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"
#include "ctl/anchorcopy.h"
#include "ctl/hookcert.h"
#include "ctl/reconcile.h"
#include "kube/lease.h"

#define HOOK "mesh-injector-webhook-config"

struct keeper {
	struct kube_lease *lease;
	struct anchorcopy *anchors;
	struct hookcert *hook;
	struct hookcert_config hook_cfg;
	struct reconcile *pods;
	struct reconcile_config pods_cfg;
};

static void on_changed(void *arg, bool ours)
{
	struct keeper *k = arg;

	anchorcopy_set_active(k->anchors, ours);
	hookcert_set_active(k->hook, ours);
	reconcile_set_active(k->pods, ours);
}

static struct kube_lease *begin_lease(
	struct loop *l, struct kube *kube, struct keeper *k, const char *namespace)
{
	char host[128] = "", holder[160];
	struct kube_lease_config cfg = {
		.namespace = namespace, .name = KEEPER_LEASE, .holder = holder};

	(void)gethostname(host, sizeof host - 1); /* the rest is enough */
	snprintf(holder, sizeof holder, "%s_%016" PRIx64, host, random_u64());
	return kube_lease_new(l, kube, &cfg, on_changed, k);
}

struct keeper *keeper_new(struct loop *l, struct kube *kube,
	const struct keeper_config *cfg, struct err *e)
{
	struct keeper *k = calloc(1, sizeof *k);

	must(k);
	k->hook_cfg = (struct hookcert_config){
		.namespace = cfg->namespace,
		.secret = "mesh-injector-k8s-tls",
		.hook_kind = "mutatingwebhookconfigurations",
		.hook = HOOK,
		.service = "mesh-injector",
		.deployment = "mesh-injector",
	};
	k->pods_cfg = (struct reconcile_config){
		.hook = HOOK, .values = cfg->values, .arg = cfg->arg};
	k->anchors = anchorcopy_new(l, kube, cfg->namespace, e);
	if (!k->anchors) {
		keeper_free(k);
		return NULL;
	}
	k->hook = hookcert_new(l, kube, &k->hook_cfg);
	k->pods = reconcile_new(l, kube, &k->pods_cfg);
	k->lease = begin_lease(l, kube, k, cfg->namespace);
	return k;
}

void keeper_release(struct keeper *k, void (*done)(void *arg), void *arg)
{
	kube_lease_release(k->lease, done, arg);
}

void keeper_metrics(const struct keeper *k, struct buf *out)
{
	buf_text(out, "# TYPE lease_is_ours gauge\n");
	buf_printf(out, "lease_is_ours{lease=\"" KEEPER_LEASE "\"} %d\n",
		kube_lease_is_ours(k->lease));
	anchorcopy_metrics(k->anchors, out);
	hookcert_metrics(k->hook, out);
	reconcile_metrics(k->pods, out);
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	kube_lease_free(k->lease);
	reconcile_free(k->pods);
	hookcert_free(k->hook);
	anchorcopy_free(k->anchors);
	free(k);
}
