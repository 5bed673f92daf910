/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lease.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
#include "script.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static struct kube *kube;
static struct script server;
static struct buf told; /* "+" ours, "-" not, "." released */
static const char *wanted;

static void say(const char *what)
{
	buf_text(&told, what);
	if (slice_is(buf_slice(&told), wanted))
		loop_stop(loop);
}

static void on_changed(void *arg, bool ours)
{
	(void)arg;
	say(ours ? "+" : "-");
}

static void on_released(void *arg)
{
	(void)arg;
	say(".");
}

static void start(const struct script_step *steps, size_t n)
{
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config cfg = {.kubeconfig = path};
	int fd = mkstemp(path);

	log_filter_set(SLICE("off"), NULL);
	script_start(&server, steps, n);
	dprintf(fd,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d'}}]\n",
		server.port);
	close(fd);
	loop = loop_new(NULL);
	dns = dns_new(loop, NULL, NULL);
	kube = kube_new(loop, dns, &cfg, NULL);
	unlink(path);
	OK(loop && dns && kube);
}

static void until(const char *want)
{
	wanted = want;
	if (!slice_is(buf_slice(&told), want))
		OK(loop_run(loop, NULL) == 0);
	OK(slice_is(buf_slice(&told), want));
}

static void on_time(struct timer *t)
{
	loop_stop(t->loop);
}

static void run_for(uint64_t ns)
{
	struct timer t = {0};

	timer_init(&t, loop, on_time);
	timer_set(&t, ns);
	OK(loop_run(loop, NULL) == 0);
}

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void stop(struct kube_lease *l)
{
	kube_lease_free(l);
	kube_free(kube);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
	buf_fini(&told);
	OK(script_passed(&server));
}

static struct kube_lease *lease(uint64_t lasts, uint64_t stop_after, uint64_t retry)
{
	struct kube_lease_config cfg = {.namespace = "mesh",
		.name = "w",
		.holder = "me",
		.lasts = lasts * NS_PER_MS,
		.stop = stop_after * NS_PER_MS,
		.retry = retry * NS_PER_MS};

	return kube_lease_new(loop, kube, &cfg, on_changed, NULL);
}

#define URL "/apis/coordination.k8s.io/v1/namespaces/mesh/leases"
#define LEASE(version, holder, renewed)                                                \
	"{\"metadata\":{\"name\":\"w\",\"resourceVersion\":\"" version                 \
	"\"},\"spec\":{\"holderIdentity\":\"" holder "\",\"renewTime\":\"" renewed     \
	"\",\"leaseDurationSeconds\":1,\"leaseTransitions\":4}}"
#define NONE       SCRIPT_STATUS("404 Not Found") "{\"code\":404}"
#define CREATED    SCRIPT_STATUS("201 Created")
#define CONFLICT   SCRIPT_STATUS("409 Conflict") "{\"code\":409}"
/* Of a machine whose clock is years off, both ways. */
#define LONG_AGO   "1999-01-01T00:00:00.000000Z"
#define LONG_HENCE "2099-01-01T00:00:00.000000Z"

TEST(a_lease_is_made_renewed_and_handed_back)
{
	static const struct script_step steps[] = {
		{"GET " URL "/w ", NULL, NONE},
		{"POST " URL " ", "\"holderIdentity\":\"me\"",
			CREATED LEASE("1", "me", LONG_AGO)},
		{"PUT " URL "/w ", "\"resourceVersion\":\"1\"",
			SCRIPT_OK LEASE("2", "me", LONG_HENCE)},
		{"PUT " URL "/w ", "\"holderIdentity\":\"\"",
			SCRIPT_OK LEASE("3", "", LONG_AGO)},
	};
	struct kube_lease *l;

	start(steps, countof(steps));
	l = lease(90000, 60000, 200);
	OK(!kube_lease_is_ours(l));
	until("+");
	OK(kube_lease_is_ours(l));
	run_for(300 * NS_PER_MS);
	kube_lease_release(l, on_released, NULL);
	OK(!kube_lease_is_ours(l));
	until("+-.");
	stop(l);
}

TEST(who_renews_keeps_it_whatever_his_clock_says)
{
	static const struct script_step steps[] = {
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("1", "other", LONG_AGO)},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("2", "other", LONG_HENCE)},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("3", "other", LONG_AGO)},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("4", "", LONG_HENCE)},
		{"PUT " URL "/w ", "\"leaseTransitions\":5",
			SCRIPT_OK LEASE("5", "me", LONG_AGO)},
	};
	struct kube_lease *l;

	start(steps, countof(steps));
	l = lease(90000, 60000, 600); /* his lasts a second: each look is a renewal */
	until("+");
	stop(l);
}

TEST(who_is_not_heard_of_for_his_time_loses_it)
{
	static const struct script_step steps[] = {
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("1", "other", LONG_HENCE)},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("1", "other", LONG_HENCE)},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("1", "other", LONG_HENCE)},
		{"PUT " URL "/w ", "\"resourceVersion\":\"1\"", CONFLICT},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("2", "", LONG_HENCE)},
		{"PUT " URL "/w ", "\"resourceVersion\":\"2\"",
			SCRIPT_OK LEASE("3", "me", LONG_AGO)},
	};
	struct kube_lease *l;
	uint64_t begun;

	start(steps, countof(steps));
	begun = clock_mono();
	l = lease(90000, 60000, 560);
	until("+");
	OK(clock_mono() - begun > NS_PER_S);
	stop(l);
}

TEST(who_cannot_renew_stops_before_another_may_begin)
{
	static const struct script_step steps[] = {
		{"GET " URL "/w ", NULL, SCRIPT_OK "{nonsense"},
		{"GET " URL "/w ", NULL, SCRIPT_OK LEASE("1", "", LONG_AGO)},
		{"PUT " URL "/w ", NULL, SCRIPT_OK LEASE("2", "me", LONG_AGO)},
		{"PUT " URL "/w ", NULL, SCRIPT_STATUS("500 Oops") "x"},
	};
	struct kube_lease *l;
	uint64_t begun;

	start(steps, countof(steps));
	l = lease(1000, 400, 150);
	until("+");
	begun = clock_mono();
	until("+-");
	OK(!kube_lease_is_ours(l));
	OK(clock_mono() - begun < 900 * NS_PER_MS);
	kube_lease_release(l, on_released, NULL);
	until("+-.");
	stop(l);
}
