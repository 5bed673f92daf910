/* SPDX-License-Identifier: Apache-2.0 */
/* What surrounds the mesh: clocks, and who may reach the proxies. */
#include "base/clock.h"
#include "base/obj.h"
#include "cli/checksint.h"

#define SKEW_MAX (300 * NS_PER_S)
#define INBOUND  4143

/* By the heartbeats of the nodes, which are seconds old where all is well. */
int clocks_agree(struct check_run *r, struct err *e)
{
	struct err why = {0};
	const struct json *leases;
	uint64_t now = r->cfg->now(), at;

	if (r->cfg->offline)
		return err_set(e, ERR_UNKNOWN, "only a cluster knows what time it is");
	leases = check_get(r, &why,
		"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases");

	json_each(l, json_get(leases, "items"))
	{
		const char *text = json_text_or(l, "spec.renewTime", "");
		uint64_t off;

		if (!clock_parse(slice_of(text), &at))
			continue;
		off = at > now ? at - now : now - at;
		if (off > SKEW_MAX)
			return err_set(e, ERR_DENIED,
				"node %s was last heard of %u minutes %s, by the clock "
				"here",
				json_text_or(l, "metadata.name", ""),
				(unsigned)(off / (60 * NS_PER_S)),
				at > now ? "in the future" : "ago");
	}
	return 0; /* also where there are no heartbeats to be seen */
}

/* ---- NetworkPolicies ---- */

static bool port_lets_in(const struct json *port)
{
	int64_t from = json_int_at(port, "port", -1);

	if (strcmp(json_text_or(port, "protocol", "TCP"), "TCP") != 0)
		return false;
	if (!json_get(port, "port"))
		return true; /* every port */
	return from <= INBOUND && INBOUND <= json_int_at(port, "endPort", from);
}

static bool rule_lets_in(const struct json *rule)
{
	if (!json_count(json_get(rule, "ports")))
		return true;
	json_each(p, json_get(rule, "ports"))
	{
		if (port_lets_in(p))
			return true;
	}
	return false;
}

/* One that lets something in, but nothing to the proxies.  One without rules is meant
 * to keep all out. */
static bool shuts_out_proxies(const struct json *policy)
{
	const struct json *rules = json_path(policy, "spec.ingress");

	if (!json_count(rules))
		return false;
	json_each(rule, rules)
	{
		if (rule_lets_in(rule))
			return false;
	}
	return true;
}

static bool selects(const struct json *policy, const struct json *pod)
{
	json_each(want, json_path(policy, "spec.podSelector.matchLabels"))
	{
		const char *has = json_text(
			json_get(json_path(pod, "metadata.labels"), json_key(want)));

		if (!has || strcmp(has, json_text(want) ? json_text(want) : "") != 0)
			return false;
	}
	return true;
}

static const struct json *shut_out(
	struct check_run *r, const struct json *policy, const struct json *pods)
{
	const char *ns = json_text_or(policy, "metadata.namespace", "");

	json_each(p, json_get(pods, "items"))
	{
		if (strcmp(json_text_or(p, "metadata.namespace", ""), ns) == 0 &&
			check_is_meshed(r, p) && selects(policy, p))
			return p;
	}
	return NULL;
}

int policies_let_in_proxies(struct check_run *r, struct err *e)
{
	const struct json *pods = check_workloads(r, e);
	struct err why = {0};
	const struct json *policies =
		check_get(r, &why, "/apis/networking.k8s.io/v1/networkpolicies");

	if (!pods)
		return -1;
	json_each(policy, json_get(policies, "items"))
	{
		const struct json *pod =
			shuts_out_proxies(policy) ? shut_out(r, policy, pods) : NULL;

		if (pod)
			return err_set(e, ERR_DENIED,
				"NetworkPolicy %s/%s does not let port %d through to "
				"%s",
				json_text_or(policy, "metadata.namespace", ""),
				json_text_or(policy, "metadata.name", ""), INBOUND,
				json_text_or(pod, "metadata.name", ""));
	}
	return 0; /* also where the kind is not there, or not ours to see */
}
