/* SPDX-License-Identifier: Apache-2.0 */
#include "podrig.h"

/* ---- who is found ---- */

#define NOTE(value) ",'annotations':{'linkerd.io/inject':'" value "'}"

TEST(pods_that_the_webhook_would_leave_alone_are_left_alone)
{
	setup();
	space("shop", "enabled", 900, 900);
	pod("off", 100, BY_WEB NOTE("disabled"), "");
	pod("host", 100, BY_WEB, ",'hostNetwork':true");
	pod("meshed", 100, BY_WEB, ",'initContainers':[{'name':'mesh-proxy'}]");
	pod("mirror", 100, ",'annotations':{'kubernetes.io/config.mirror':'x'}", "");
	pod("plane", 100, ",'labels':{'plane':'x'}", "");
	pod("ending", 100, BY_WEB ",'deletionTimestamp':'x'", "");
	UNTIL(pods_stream && spaces_stream);
	A_WHILE();
	OK(!buf_len(&events) && !evict_count);
	OK(!metric("unmeshed_pods{"));
	teardown();
}

TEST(pods_that_nobody_asked_for_are_left_alone)
{
	setup();
	item(&spaces, "{'metadata':{'name':'shop'}},"
		      "{'metadata':{'name':'else','labels':{'off':'x'},"
		      "'annotations':{'linkerd.io/inject':'enabled'}}}");
	pod("quiet", 100, BY_WEB, "");
	item(&pods, "{'metadata':{'namespace':'else','name':'unserved'},"
		    "'spec':{'containers':[]}}");
	UNTIL(pods_stream && spaces_stream);
	A_WHILE();
	OK(!buf_len(&events) && !evict_count);
	teardown();
}

TEST(an_annotation_that_is_nonsense_asks_for_nothing)
{
	setup();
	space("shop", "yes please", 900, 900);
	pod("own", 100, BY_WEB NOTE("enabled"), "");
	pod("silent", 100, BY_WEB, "");
	UNTIL(pods_stream && spaces_stream);
	A_WHILE();
	OK(!buf_len(&events) && !evict_count);
	teardown();
}

/* ---- who is evicted ---- */

TEST(a_pod_is_told_and_evicted_once)
{
	setup();
	space("shop", "enabled", 900, 900);
	pod("lost", 100, BY_WEB, "");
	UNTIL(evict_count && has(&events, "UnmeshedEvicted"));
	A_WHILE();
	EQ_INT(evict_count, 1);
	OK(has(&evicts, "/api/v1/namespaces/shop/pods/lost/eviction u-lost"));
	OK(has(&events, "lost Unmeshed: The pod asks for a proxy and has none"));
	OK(metric("unmeshed_pods{namespace=\"shop\"} 1"));
	OK(metric("evictions_total{result=\"ok\"} 1"));
	teardown();
}

static const struct {
	const char *name, *more, *event; /* what is said, and the command */
	int made;
} kept[] = {
	{"older", BY_WEB,
		"older Unmeshed: The pod asks for a proxy and has none: it was made "
		"before it was asked for, or before the mesh was installed. To mend "
		"it: kubectl -n shop rollout restart deployment/web\n",
		800},
	{"before-mesh", BY_WEB, "before-mesh Unmeshed: The pod asks", 1200},
	{"annotated-later",
		BY_WEB NOTE("enabled") ",'managedFields':[{'time':'2099-01-01T00:00:"
				       "00Z','fieldsV1':{'f:metadata':{'f:annotations':"
				       "{'f:linkerd.io/inject':{}}}}}]",
		"annotated-later Unmeshed: The pod asks for a proxy and has none: it "
		"was made before it",
		100},
	{"bare", "",
		"StatefulSet or DaemonSet that would make it anew. To mend it: kubectl "
		"-n shop delete pod bare, and make it again if nobody does\n",
		100},
	{"job", OWNED("Job", "mail"), "kubectl -n shop delete pod job", 100},
	{"pinned",
		OWNED("StatefulSet", "db") ",'annotations':{'cluster-autoscaler."
					   "kubernetes.io/safe-to-evict':'false'}",
		"not to be evicted. To mend it: kubectl -n shop rollout restart "
		"statefulset/db\n",
		100},
};

TEST(what_cannot_be_known_or_mended_is_told_with_the_command)
{
	setup();
	space("shop", "enabled", 900, 500);
	for (size_t i = 0; i < countof(kept); i++)
		pod(kept[i].name, kept[i].made, kept[i].more, "");
	for (size_t i = 0; i < countof(kept); i++)
		UNTIL(has(&events, kept[i].event));
	A_WHILE();
	EQ_INT(evict_count, 0);
	OK(metric("unmeshed_pods{namespace=\"shop\"} 6"));
	teardown();
}

TEST(what_is_of_the_same_second_is_in_doubt)
{
	setup();
	space("shop", "enabled", 900, 500);
	pod("doubtful", 500, BY_WEB, "");
	UNTIL(has(&events, "doubtful Unmeshed: "));
	A_WHILE();
	EQ_INT(evict_count, 0);
	teardown();
}

TEST(a_namespace_that_was_made_with_its_annotation_is_not_in_doubt)
{
	setup();
	space("shop", "enabled", 500, 500);
	pod("at-once", 500, BY_WEB, "");
	UNTIL(evict_count == 1);
	teardown();
}

TEST(a_namespace_that_does_not_say_since_when_evicts_nobody)
{
	setup();
	item(&spaces, "{'metadata':{'name':'shop','annotations':{"
		      "'linkerd.io/inject':'enabled'}}}");
	pod("lost", 100, BY_WEB, "");
	UNTIL(has(&events, "lost Unmeshed: "));
	A_WHILE();
	EQ_INT(evict_count, 0);
	teardown();
}

TEST(a_namespace_that_is_annotated_later_evicts_nobody)
{
	struct buf b = BUF_INIT;

	setup();
	item(&spaces, "{'metadata':{'name':'shop'}}");
	pod("running", 100, BY_WEB, "");
	UNTIL(pods_stream && spaces_stream);
	A_WHILE();
	OK(!buf_len(&events));
	/* Even where managedFields claim that it was always so. */
	item(&b,
		"{'metadata':{'name':'shop','creationTimestamp':'%s','annotations':{"
		"'linkerd.io/inject':'enabled'},'managedFields':[{'time':'%s',"
		"'fieldsV1':{'f:metadata':{'f:annotations':{'f:linkerd.io/inject':{}}}}"
		"}]}}",
		when(900), when(900));
	happens(spaces_stream, "MODIFIED", &b);
	UNTIL(has(&events, "running Unmeshed: "));
	A_WHILE();
	EQ_INT(evict_count, 0);
	buf_fini(&b);
	teardown();
}

TEST(a_pod_that_has_run_for_long_is_only_told)
{
	setup();
	hook_made = 90000;
	space("shop", "enabled", 90000, 90000);
	pod("long", 3700, BY_WEB, "");
	UNTIL(has(&events, "long Unmeshed: The pod asks for a proxy and has none: it "
			   "was made while the injector could not be reached, and has "
			   "run for too long"));
	A_WHILE();
	EQ_INT(evict_count, 0);
	teardown();
}

TEST(repairs_that_are_switched_off_leave_the_telling)
{
	setup();
	space("shop", "enabled", 900, 900);
	json_set_bool(json_get(values, "proxyInjector"), "repairPods", false);
	pod("lost", 100, BY_WEB, "");
	UNTIL(has(&events, "proxyInjector.repairPods is off"));
	A_WHILE();
	EQ_INT(evict_count, 0);
	teardown();
}

/* ---- how ---- */

#define WITH_PROXY                                                                     \
	",'annotations':{'linkerd.io/created-by':'mesh/injector 1'}",                  \
		",'initContainers':[{'name':'mesh-proxy'}]"

static void come_meshed(const char *name)
{
	pod_happens("DELETED", name, 100, BY_WEB, "");
	/* Seconds later, as the API server counts them. */
	pod_happens("ADDED", "new", -evict_count, WITH_PROXY);
}

TEST(the_next_is_evicted_when_one_has_come_back_with_its_proxy)
{
	setup();
	space("shop", "enabled", 900, 900);
	pod("lost-1", 100, BY_WEB, "");
	pod("lost-2", 100, BY_WEB, "");
	UNTIL(evict_count == 1);
	A_WHILE();
	EQ_INT(evict_count, 1); /* nothing has come back yet */
	pod_happens("ADDED", "else", 0, WITH_PROXY);
	UNTIL(evict_count == 2);
	OK(has(&evicts, "lost-1/") && has(&evicts, "lost-2/"));
	teardown();
}

TEST(all_pods_come_back_one_after_another)
{
	setup();
	on_evict = come_meshed;
	space("shop", "enabled", 900, 900);
	pod("lost-1", 100, BY_WEB, "");
	pod("lost-2", 100, BY_WEB, "");
	pod("lost-3", 100, OWNED("DaemonSet", "agent"), "");
	UNTIL(evict_count == 3 && !metric("unmeshed_pods{"));
	A_WHILE();
	EQ_INT(evict_count, 3);
	teardown();
}

/* Its DaemonSet or ReplicaSet makes it anew, and nobody asks the webhook. */
static void come_bare(const char *name)
{
	const char *by =
		strcmp(name, "agent") == 0 ? OWNED("DaemonSet", "agent") : BY_WEB;

	pod_happens("DELETED", name, 100, by, "");
	pod_happens("ADDED", "again", 0, by, "");
}

TEST(a_webhook_that_is_never_asked_costs_one_pod_and_no_more)
{
	setup();
	on_evict = come_bare;
	space("shop", "enabled", 900, 900);
	pod("lost-1", 100, BY_WEB, "");
	pod("agent", 100, OWNED("DaemonSet", "agent"), "");
	UNTIL(has(&events, "again Unmeshed: The pod asks for a proxy and has none: it "
			   "was made anew and came without one again"));
	run_for(150 * PACE); /* also when nobody waits for a proof any more */
	EQ_INT(evict_count, 1);
	teardown();
}

TEST(a_disruption_budget_is_respected_and_asked_again_later)
{
	setup();
	evict_status = 429;
	space("shop", "enabled", 900, 900);
	pod("lost", 100, BY_WEB, "");
	UNTIL(evict_count == 1);
	run_for(3 * PACE);
	EQ_INT(evict_count, 1);
	OK(metric("evictions_total{result=\"budget\"} 1"));
	UNTIL(evict_count == 2);
	evict_status = 201;
	UNTIL(has(&events, "UnmeshedEvicted"));
	teardown();
}

TEST(an_api_server_that_was_away_is_asked_again)
{
	setup();
	hook_status = 503;
	lists_fail = true;
	evict_status = 500;
	space("shop", "enabled", 900, 900);
	pod("lost", 100, BY_WEB, "");
	A_WHILE();
	OK(!pods_listed);
	hook_status = 200;
	UNTIL(pods_listed);
	A_WHILE();
	OK(!buf_len(&events) && !evict_count);
	lists_fail = false;
	UNTIL(metric("evictions_total{result=\"error\"} 1"));
	evict_status = 201;
	UNTIL(has(&events, "UnmeshedEvicted"));
	EQ_INT(evict_count, 2);
	teardown();
}

TEST(without_a_webhook_nobody_is_looked_for)
{
	setup();
	hook_status = 404;
	space("shop", "enabled", 900, 900);
	pod("lost", 100, BY_WEB, "");
	A_WHILE();
	OK(!pods_listed && !evict_count);
	teardown();
}

TEST(who_does_not_hold_the_lease_does_nothing)
{
	setup();
	space("shop", "enabled", 900, 900);
	pod("lost", 100, BY_WEB, "");
	UNTIL(has(&events, "lost Unmeshed"));
	reconcile_set_active(rec, false);
	evict_count = 0;
	A_WHILE();
	OK(!evict_count && !metric("unmeshed_pods{"));
	reconcile_set_active(rec, true);
	UNTIL(evict_count == 1);
	teardown();
}
