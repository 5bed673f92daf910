/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CTL_PODRIG_H
#define TEST_CTL_PODRIG_H

/*
 * A reconciler with an API server that the test makes: its lists, what happens in its
 * watches, how it answers evictions.  In objects ' stands for ".
 */
#include "ctl/reconcile.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/inject.h"
#include "http/site.h"
#include "t.h"
#include "testca.h"

#define PACE (20 * NS_PER_MS)

/* ---- an API server ---- */

static struct loop *loop;
static struct dns *dns;
static struct kube *kube;
static struct site *site;
static struct testca ca;
static struct snap creds;
static struct json *values;
static struct reconcile *rec;
static struct call *pods_stream, *spaces_stream;
static struct buf spaces, pods;   /* items of the lists */
static struct buf events, evicts; /* a line each */
static int hook_status, hook_made = 1000, evict_status, evict_count, pods_listed;
static uint64_t begun;
static bool lists_fail; /* what lists answer for now */
static void (*on_evict)(const char *name);

static inline char *text_of(struct buf *b, const char *fmt, va_list ap)
{
	buf_vprintf(b, fmt, ap);
	for (size_t i = b->at; i < b->end; i++)
		if (b->p[i] == '\'')
			b->p[i] = '"';
	return b->p;
}

/* The time `ago` seconds before the test began. */
static inline const char *when(int ago)
{
	static char out[8][CLOCK_TEXT];
	static unsigned turn;
	char *to = out[turn++ % 8];

	clock_rfc3339(begun - (uint64_t)ago * NS_PER_S, false, to);
	return to;
}

static inline void get_hook(struct call *c)
{
	struct buf b = BUF_INIT;

	buf_printf(&b,
		"{\"metadata\":{\"creationTimestamp\":\"%s\"},\"webhooks\":[{"
		"\"namespaceSelector\":{\"matchExpressions\":[{\"key\":\"off\","
		"\"operator\":\"DoesNotExist\"}]},\"objectSelector\":{"
		"\"matchExpressions\":[{\"key\":\"plane\",\"operator\":"
		"\"DoesNotExist\"}]}}]}",
		when(hook_made));
	call_reply(c, hook_status, "application/json", buf_slice(&b));
	buf_fini(&b);
}

static inline void forget(struct call *c)
{
	if (c == pods_stream)
		pods_stream = NULL;
	if (c == spaces_stream)
		spaces_stream = NULL;
}

static inline void serve_list(
	struct call *c, const struct buf *items, struct call **stream)
{
	struct buf b = BUF_INIT;

	if (lists_fail) {
		call_text(c, 500, "away\n");
		return;
	}
	if (call_param(c, "watch").p) {
		*stream = c;
		c->on_gone = forget;
		call_stream(c, 200, "application/json");
		return;
	}
	buf_text(&b, "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[");
	buf_adds(&b, buf_slice(items));
	buf_text(&b, "]}");
	call_reply(c, 200, "application/json", buf_slice(&b));
	buf_fini(&b);
}

static inline void get_spaces(struct call *c)
{
	serve_list(c, &spaces, &spaces_stream);
}

static inline void get_pods(struct call *c)
{
	pods_listed++;
	serve_list(c, &pods, &pods_stream);
}

static inline void post(struct call *c)
{
	struct json *j = json_parse(c->body, NULL);
	int status = 201;

	if (slice_ends(c->path, SLICE("/eviction"))) {
		const char *name = json_text_or(j, "metadata.name", "");

		evict_count++;
		status = evict_status;
		buf_printf(&evicts, "%.*s %s\n", SLICE_FMT(c->path),
			json_text_or(j, "deleteOptions.preconditions.uid", ""));
		if (status == 201 && on_evict)
			on_evict(name);
	} else
		buf_printf(&events, "%s %s: %s\n",
			json_text_or(j, "involvedObject.name", ""),
			json_text_or(j, "reason", ""), json_text_or(j, "message", ""));
	json_free(j);
	call_reply(c, status, "application/json", SLICE("{}"));
}

static const struct route routes[] = {{"GET", "/api/v1/namespaces", get_spaces},
	{"GET", "/api/v1/pods", get_pods},
	{"GET",
		"/apis/admissionregistration.k8s.io/v1/"
		"mutatingwebhookconfigurations/hooks",
		get_hook},
	{"POST", "/api/v1/namespaces/", post}};

/* ---- objects; ' stands for " ---- */

static inline void item(struct buf *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void item(struct buf *list, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_of(&b, fmt, ap);
	va_end(ap);
	if (buf_len(list))
		buf_char(list, ',');
	buf_adds(list, buf_slice(&b));
	buf_fini(&b);
}

/* Annotated `asked` seconds ago, and made `made` seconds ago. */
static inline void space(const char *name, const char *inject, int made, int asked)
{
	item(&spaces,
		"{'metadata':{'name':'%s','creationTimestamp':'%s','annotations':{"
		"'linkerd.io/inject':'%s'},'managedFields':[{'time':'%s','fieldsV1':{"
		"'f:metadata':{'f:annotations':{'f:linkerd.io/inject':{}}}}}]}}",
		name, when(made), inject, when(asked));
}

#define OWNED(kind, name)                                                              \
	",'labels':{'pod-template-hash':'5d4f'},'ownerReferences':[{'controller':"     \
	"true,'apiVersion':'apps/v1','kind':'" kind "','name':'" name                  \
	"','uid':'u-" name "'}]"
#define BY_WEB OWNED("ReplicaSet", "web-5d4f")

/* `more`: of metadata; `spec`: of spec. */
static inline void pod_to(
	struct buf *to, const char *name, int made, const char *more, const char *spec)
{
	item(to,
		"{'metadata':{'namespace':'shop','name':'%s','uid':'u-%s',"
		"'creationTimestamp':'%s'%s},'spec':{'containers':[{'name':'app'}]%s}}",
		name, name, when(made), more, spec);
}

static inline void pod(const char *name, int made, const char *more, const char *spec)
{
	pod_to(&pods, name, made, more, spec);
}

static inline void happens(
	struct call *stream, const char *what, const struct buf *object)
{
	struct buf b = BUF_INIT;

	OK(stream);
	buf_printf(&b, "{\"type\":\"%s\",\"object\":%.*s}\n", what,
		SLICE_FMT(buf_slice(object)));
	call_send(stream, buf_slice(&b));
	buf_fini(&b);
}

static inline void pod_happens(const char *what, const char *name, int made,
	const char *more, const char *spec)
{
	struct buf b = BUF_INIT;

	pod_to(&b, name, made, more, spec);
	happens(pods_stream, what, &b);
	buf_fini(&b);
}

/* ---- running ---- */

static inline const struct json *values_now(void *arg)
{
	(void)arg;
	return values;
}

static const struct reconcile_config cfg = {
	.hook = "hooks", .values = values_now, .pace = PACE};

static inline void setup(void)
{
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config kc = {.kubeconfig = path};
	struct site_config sc = {
		.creds = &creds, .routes = routes, .nroutes = countof(routes)};
	struct testleaf leaf = {.ip = "127.0.0.1", .server_only = true};
	int fd = mkstemp(path);

	log_filter_set(SLICE("off"), NULL);
	spaces = pods = events = evicts = BUF_INIT;
	begun = clock_wall();
	hook_status = 200;
	evict_status = 201;
	values = inject_values_read(SLICE(""), NULL);
	loop = loop_new(NULL);
	dns = dns_new(loop, NULL, NULL);
	testca_init(&ca);
	creds = SNAP_INIT;
	snap_set(&creds, creds_ref(testca_creds_of(&ca, &leaf)));
	OK(values && addr_parse(SLICE("127.0.0.1:0"), &sc.at));
	site = site_new(loop, &sc, NULL);
	OK(site);
	dprintf(fd,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'https://127.0.0.1:%d', "
		"insecure-skip-tls-verify: true}}]\n",
		site_addr(site)->port);
	close(fd);
	kube = kube_new(loop, dns, &kc, NULL);
	unlink(path);
	OK(kube);
	rec = reconcile_new(loop, kube, &cfg);
	reconcile_set_active(rec, true);
}

static inline void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static inline void teardown(void)
{
	reconcile_free(rec);
	kube_free(kube);
	site_free(site);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
	json_free(values);
	snap_set(&creds, NULL);
	testca_fini(&ca);
	buf_fini(&spaces);
	buf_fini(&pods);
	buf_fini(&events);
	buf_fini(&evicts);
}

static inline void on_end(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static inline void run_for(uint64_t ns)
{
	struct timer t = {0};

	timer_init(&t, loop, on_end);
	timer_set(&t, ns);
	OK(loop_run(loop, NULL) == 0);
	timer_clear(&t);
}

static inline bool has(struct buf *b, const char *text)
{
	bool yes;

	buf_char(b, '\0');
	yes = strstr(b->p + b->at, text) != NULL;
	b->end--;
	return yes;
}

#define UNTIL(cond)                                                                    \
	do {                                                                           \
		for (int i_ = 0; i_ < 400 && !(cond); i_++)                            \
			run_for(10 * NS_PER_MS);                                       \
		OK(cond);                                                              \
	} while (0)
/* Long enough for several looks. */
#define A_WHILE() run_for(15 * PACE)

static inline bool metric(const char *text)
{
	struct buf b = BUF_INIT;
	bool yes;

	reconcile_metrics(rec, &b);
	yes = has(&b, text);
	buf_fini(&b);
	return yes;
}

#endif
