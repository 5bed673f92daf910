/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/anchorcopy.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "script.h"
#include "t.h"
#include "testca.h"

static struct loop *loop;
static struct dns *dns;
static struct kube *kube;
static struct script server;

static void start(const struct script_step *steps, size_t n)
{
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config kc = {.kubeconfig = path};
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
	kube = kube_new(loop, dns, &kc, NULL);
	unlink(path);
	OK(loop && dns && kube);
}

static void on_tick(struct timer *t)
{
	if (script_is_over(&server))
		loop_stop(loop);
	else
		timer_set(t, 5 * NS_PER_MS);
}

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run(const struct script_step *steps, size_t n, const char *metric)
{
	struct anchorcopy *a;
	struct timer t = {0};
	struct buf text = BUF_INIT;

	start(steps, n);
	a = anchorcopy_new(loop, kube, "mesh", NULL);
	OK(a);
	anchorcopy_set_active(a, true);
	timer_init(&t, loop, on_tick);
	timer_set(&t, 0);
	OK(loop_run(loop, NULL) == 0);
	anchorcopy_metrics(a, &text);
	buf_char(&text, '\0');
	if (metric && !strstr(text.p, metric))
		T_FAIL("no %s in %s", metric, text.p);
	buf_fini(&text);
	anchorcopy_free(a);
	kube_free(kube);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
	OK(script_passed(&server));
}

#define SPACES_URL "GET /api/v1/namespaces?limit=500 "
#define MAPS_URL                                                                       \
	"GET /api/v1/configmaps?fieldSelector=metadata.name%3Dmesh-identity-trust-"    \
	"roots&limit=500 "
#define LIST(items)                                                                    \
	SCRIPT_OK "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" items "]}"
#define SPACE(name, more)                                                              \
	"{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u-" name "\"" more "}}"
#define MAP(ns, more, text)                                                            \
	"{\"metadata\":{\"name\":\"mesh-identity-trust-roots\",\"namespace\":\"" ns    \
	"\"" more "},\"data\":{\"ca-bundle.crt\":\"" text "\"}}"
#define OURS                                                                           \
	",\"labels\":{\"linkerd.io/control-plane-ns\":\"mesh\","                       \
	"\"linkerd.io/managed-by\":\"mesh-injector\"}"
#define STREAM(url) "GET /api/v1/" url "watch=true"
#define SPACES                                                                         \
	SPACE("mesh", "")                                                              \
	"," SPACE("kube-system", "") "," SPACE("shop", "") "," SPACE("off",            \
		",\"labels\":{\"config.linkerd.io/"                                    \
		"admission-webhooks\":\"disabled\"}") "," SPACE("ending",              \
		",\"deletionTimestamp\":\"now\"") "," SPACE("theirs", "")

/* A PEM text as JSON has it. */
static char *json_of(const struct buf *pem)
{
	struct buf b = BUF_INIT;

	buf_json(&b, buf_slice(pem));
	return buf_steal(&b);
}

static char *printed(const char *fmt, ...) PRINTF_LIKE(1, 2);
static char *printed(const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	return buf_steal(&b);
}

TEST(anchors_are_copied_to_namespaces_that_are_served)
{
	struct testca ca;
	char *pem, *list, *answer;

	testca_init(&ca);
	pem = json_of(&ca.root_pem);
	list = printed(LIST(MAP("mesh", "", "%s") "," MAP("theirs", "", "x")), pem);
	answer = printed(SCRIPT_STATUS("201 Created") MAP("shop", OURS, "%s"), pem);
	{
		struct script_step steps[] = {
			{SPACES_URL, NULL, LIST(SPACES)},
			{MAPS_URL, NULL, list},
			{STREAM("namespaces?"), NULL, SCRIPT_OK},
			{"~POST /api/v1/namespaces/shop/configmaps ",
				"\"kind\":\"Namespace\",\"name\":\"mesh\",\"uid\":\"u-"
				"mesh\"",
				answer},
			{STREAM("configmaps?fieldSelector=metadata.name%3Dmesh-"
				"identity-trust-roots&"),
				NULL, SCRIPT_OK},
		};

		run(steps, countof(steps), "copies{state=\"current\"} 1");
	}
	free(pem);
	free(list);
	free(answer);
	testca_fini(&ca);
}

TEST(a_bundle_that_is_none_is_not_handed_out)
{
	static const struct script_step steps[] = {
		{SPACES_URL, NULL, LIST(SPACES)},
		{MAPS_URL, NULL, LIST(MAP("mesh", "", "no certificate"))},
		{STREAM("namespaces?"), NULL, SCRIPT_OK},
		{STREAM("configmaps?fieldSelector=metadata.name%3Dmesh-identity-trust-"
			"roots&"),
			NULL, SCRIPT_OK},
	};

	run(steps, countof(steps), "copies{state=\"current\"} 0");
}
