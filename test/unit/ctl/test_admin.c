/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/access.h"
#include "http/channel.h"
#include "script.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static bool ready_now;

static bool is_ready(void *arg)
{
	(void)arg;
	return ready_now;
}

static void metrics(void *arg, struct buf *out)
{
	(void)arg;
	buf_text(out, "answer 42\n");
}

static int status;
static struct buf body;

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	(void)arg, (void)f;
	status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	(void)arg, (void)f;
	buf_adds(&body, bytes);
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	(void)arg, (void)f, (void)e;
	loop_stop(loop);
}

static void check_get(struct channel *ch, const char *path, int want, const char *text)
{
	static const struct fetch_user user = {on_head, on_data, on_over};
	struct fetch_spec spec = {.method = "GET", .path = path};

	status = 0;
	buf_clear(&body);
	OK(fetch_begin(ch, &spec, &user, NULL, NULL));
	OK(loop_run(loop, NULL) == 0);
	EQ_INT(status, want);
	buf_char(&body, '\0');
	if (!strstr(body.p + body.at, text))
		T_FAIL("%s: %s", path, body.p + body.at);
}

TEST(admin_says_how_it_is)
{
	struct admin_config cfg = {.ready = is_ready, .metrics = metrics};
	struct channel_config to = {.host = "127.0.0.1", .kind = HTTP_KIND_1};
	struct channel *ch;
	struct admin *a;
	struct err e = {0};

	loop = loop_new(&e);
	dns = dns_new(loop, NULL, &e);
	OK(addr_parse(SLICE("127.0.0.1:0"), &cfg.at));
	a = admin_new(loop, &cfg, &e);
	OK(a);
	to.port = admin_addr(a)->port;
	ch = channel_new(loop, dns, &to, &e);
	OK(ch);
	check_get(ch, "/ping", 200, "pong\n");
	check_get(ch, "/live", 200, "ok\n");
	check_get(ch, "/ready", 500, "not ready\n");
	ready_now = true;
	check_get(ch, "/ready", 200, "ok\n");
	check_get(ch, "/metrics", 200, "process_start_time_seconds ");
	check_get(ch, "/metrics", 200, "\nanswer 42\n");
	check_get(ch, "/none", 404, "");
	channel_free(ch);
	admin_free(a);
}

TEST(go_style_addresses_are_read)
{
	struct addr a;
	struct err e = {0};

	OK(listen_addr_parse(":8080", &a, &e) == 0 && a.port == 8080);
	OK(listen_addr_parse("127.0.0.1:80", &a, &e) == 0 && a.ip.family == 4);
	OK(listen_addr_parse("[::1]:80", &a, &e) == 0 && a.ip.family == 6);
	OK(listen_addr_parse(":x", &a, &e) != 0);
	OK(listen_addr_parse(":70000", &a, &e) != 0);
	OK(listen_addr_parse("localhost", &a, &e) != 0);
}

/* ---- access ---- */

static int allowed = -1;
static char why[256];

static void on_access(void *arg, bool ok, const char *text)
{
	(void)arg;
	allowed = ok;
	snprintf(why, sizeof why, "%s", text);
	loop_stop(loop);
}

static void ask(const struct script_step *steps, size_t n)
{
	static const struct access_what what = {"create", "g.io", "things"};
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config cfg = {.kubeconfig = path};
	int fd = mkstemp(path);
	struct access *access;
	struct script s;
	struct kube *k;
	struct err e = {0};

	log_filter_set(SLICE("off"), NULL);
	script_start(&s, steps, n);
	dprintf(fd,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d'}}]\n",
		s.port);
	close(fd);
	loop = loop_new(&e);
	dns = dns_new(loop, NULL, &e);
	k = kube_new(loop, dns, &cfg, &e);
	unlink(path);
	OK(k);
	access = access_new(loop, k, &what, on_access, NULL);
	OK(loop_run(loop, NULL) == 0);
	access_free(access);
	kube_free(k);
	OK(script_passed(&s));
}

#define REVIEW                                                                         \
	"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews ",                \
		"\"resource\":\"things\""

TEST(a_missing_role_is_said)
{
	static const struct script_step steps[] = {{REVIEW,
		SCRIPT_STATUS("201 Created") "{\"status\":{\"allowed\":false}}"}};

	ask(steps, countof(steps));
	EQ_INT(allowed, 0);
	OK(strstr(why, "may not create things.g.io"));
}

TEST(access_is_asked_for_until_there_is_an_answer)
{
	static const struct script_step steps[] = {
		{REVIEW, SCRIPT_STATUS("503 Busy") "{}"},
		{REVIEW, SCRIPT_STATUS(
				 "201 Created") "{\"status\":{\"allowed\":true}}"}};

	ask(steps, countof(steps));
	EQ_INT(allowed, 1);
}

TEST(a_server_without_reviews_allows)
{
	static const struct script_step steps[] = {
		{REVIEW, SCRIPT_STATUS("404 Not Found") "{}"}};

	ask(steps, countof(steps));
	EQ_INT(allowed, 1);
}
