/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of pods through an API server that is scripted here. */
#include "kube/forward.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "local/wsconn.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static struct site *site;
static struct kube *kube;
static struct wsconn ws;
static struct buf got, heard;
static struct err failure;
static bool opened, pod_left;
static const char *trouble; /* what the kubelet says on the error channel */

/* ---- the API server and the pod, which says back what it hears ---- */

static void say(unsigned channel, struct slice bytes)
{
	wsconn_send_on(&ws, (enum ws_channel)channel, bytes);
}

static void on_message(void *arg, struct slice m)
{
	(void)arg;
	OK(m.n > 1 && m.p[0] == 0);
	buf_adds(&heard, slice_bytes(m.p + 1, m.n - 1));
	say(0, slice_bytes(m.p + 1, m.n - 1));
	if (memchr(m.p, '!', m.n))
		wsconn_finish(&ws); /* the pod closes */
}

static void on_room(void *arg)
{
	(void)arg;
}

static void on_left(void *arg)
{
	(void)arg;
	pod_left = true;
	loop_stop(loop);
}

static const struct wsconn_user ws_user = {on_message, on_room, on_left};

static void forward(struct call *c)
{
	static const char *const protocols[] = {"v4.channel.k8s.io", NULL};
	static const char port[2] = {(char)0x90, 0x1f}; /* 8080 */

	OK(slice_is(call_param(c, "ports"), "8080"));
	OK(wsconn_accept(&ws, c, protocols, 1 << 20, &ws_user, NULL) == 0);
	say(0, slice_bytes(port, 2));
	say(1, slice_bytes(port, 2));
	if (trouble)
		say(1, slice_of(trouble));
}

static void refuse(struct call *c)
{
	call_reply(c, 403, "application/json",
		SLICE("{\"kind\": \"Status\", \"message\": \"pods is forbidden\"}"));
}

static void get_object(struct call *c)
{
	call_reply(c, 200, "application/json", SLICE("{}"));
}

static const struct route routes[] = {
	{"GET", "/api/v1/namespaces/n/pods/p/portforward", forward},
	{"GET", "/api/v1/namespaces/n/pods/q/portforward", refuse},
	{"GET", "/version", get_object},
};

/* ---- us ---- */

static void on_version(
	void *arg, int status, const struct json *body, const struct err *e)
{
	(void)arg, (void)body, (void)e;
	EQ_INT(status, 200);
	loop_stop(loop);
}

static void start(void)
{
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config cfg = {.kubeconfig = path};
	struct site_config at = {.at = {.ip = {.family = 4, .b = {127, 0, 0, 1}}},
		.routes = routes,
		.nroutes = countof(routes)};
	struct err e = {0};
	int fd = mkstemp(path);

	log_filter_set(SLICE("off"), NULL);
	loop = loop_new(&e);
	dns = dns_new(loop, NULL, &e);
	site = site_new(loop, &at, &e);
	if (!site)
		T_FAIL("%s", e.msg);
	dprintf(fd,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d'}}]\n",
		site_addr(site)->port);
	close(fd);
	kube = kube_new(loop, dns, &cfg, &e);
	unlink(path);
	if (!kube)
		T_FAIL("%s", e.msg);
	(void)kube_request(kube, "GET", "/version", NULL, NULL, on_version, NULL);
	OK(loop_run(loop, NULL) == 0);
}

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void turn(void)
{
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
}

static void stop(void)
{
	kube_free(kube);
	turn();
	site_free(site);
	turn();
	wsconn_fini(&ws);
	dns_free(dns);
	loop_free(loop);
	buf_fini(&got);
	buf_fini(&heard);
}

static void on_open(struct conn *c, void *arg)
{
	(void)arg;
	opened = true;
	conn_write(c, "b", 1);
}

static size_t on_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c;
	buf_add(&got, p, n);
	if (slice_is(buf_slice(&got), arg))
		loop_stop(loop);
	return n;
}

static void on_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg;
	failure = *e;
	loop_stop(loop);
}

static const struct conn_user user = {
	.on_open = on_open, .on_in = on_in, .on_gone = on_gone};

static struct conn *begin(const char *pod, const char *until)
{
	struct err e = {0};
	struct conn *c = kube_forward(kube, "n", pod, 8080, &e);

	if (!c)
		T_FAIL("%s", e.msg);
	conn_use(c, &user, (void *)until);
	return c;
}

TEST(bytes_go_both_ways_and_those_written_early_first)
{
	struct conn *c;

	start();
	c = begin("p", "ab");
	conn_write(c, "a", 1);
	OK(loop_run(loop, NULL) == 0);
	OK(opened);
	OK(slice_is(buf_slice(&heard), "ab"));
	conn_finish(c);
	OK(loop_run(loop, NULL) == 0);
	OK(pod_left);
	stop();
}

TEST(the_pods_end_is_ours)
{
	struct conn *c;

	start();
	c = begin("p", NULL);
	conn_write(c, "a!", 2);
	OK(loop_run(loop, NULL) == 0);
	EQ_INT(failure.code, ERR_NONE);
	OK(slice_starts(buf_slice(&got), SLICE("a!")));
	stop();
}

TEST(what_the_kubelet_says_is_told)
{
	start();
	trouble = "error forwarding port 8080: connection refused\n";
	(void)begin("p", NULL);
	OK(loop_run(loop, NULL) == 0);
	EQ_STR(failure.msg, "error forwarding port 8080: connection refused");
	stop();
}

TEST(what_the_api_server_refuses_is_told)
{
	start();
	(void)begin("q", NULL);
	OK(loop_run(loop, NULL) == 0);
	EQ_INT(failure.code, ERR_DENIED);
	EQ_STR(failure.msg, "the API server answers 403: pods is forbidden");
	stop();
}

TEST(before_any_answer_there_is_no_way)
{
	struct err e = {0};
	struct kube *other;
	struct kube_config cfg = {0};
	char path[] = "/tmp/kubeconfig-XXXXXX";
	int fd = mkstemp(path);

	start();
	dprintf(fd, "current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\n"
		    "clusters: [{name: a, cluster: {server: 'http://name.test'}}]\n");
	close(fd);
	cfg.kubeconfig = path;
	other = kube_new(loop, dns, &cfg, &e);
	OK(other);
	unlink(path);
	OK(!kube_forward(other, "n", "p", 8080, &e));
	EQ_INT(e.code, ERR_BUSY);
	kube_free(other);
	stop();
}
