/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/memory.h"
#include "ev/worker.h"
#include "net/tcp.h"
#include "proxy/balancer.h"
#include "proxy/control.h"
#include "proxy/inbound.h"
#include "proxy/outbound.h"
#include "proxy/report.h"
#include "proxy/worker.h"
#include "sys/sockets.h"

#define WORKERS_MAX      64
#define APPLICATION_LOOK (200 * NS_PER_MS) /* has it ended? */

struct proxy;

struct data_worker {
	struct proxy *proxy;
	struct worker thread;
	struct pworker p;
	struct listener *in, *out[2];
};

struct proxy {
	struct proxy_config cfg;
	struct loop *loop;
	struct dns *dns;
	struct metrics *metrics;
	struct report *report;
	struct snap creds;
	struct identity *identity;
	struct channel *destination, *policy;
	struct control_meter destination_meter, policy_meter;
	struct disco *disco;
	struct admin *admin;
	struct data_worker *workers;
	unsigned nworkers;
	unsigned draining; /* workers that have not drained yet */
	bool is_stopping;
	unsigned signals;
	struct timer grace, application;
};

/* ---- control-plane channels ---- */

struct channel *control_channel(struct loop *l, struct dns *d,
	const struct control_addr *to, struct snap *creds, struct control_meter *meter,
	struct err *e)
{
	struct channel_config cfg = {.host = to->host,
		.port = to->port,
		.srv = to->name[0] != '\0',
		.kind = HTTP_KIND_2,
		.creds = to->name[0] ? creds : NULL,
		.sni = to->name,
		.expect = to->name,
		.backoff_jitter = 0.1,
		.on_state = control_meter_state,
		.on_lookup = control_meter_lookup,
		.arg = meter,
		.filter = &control_meter_filter,
		.filter_shared = meter};

	return channel_new(l, d, &cfg, e);
}

/* ---- workers ---- */

static void in_accept(void *arg, int fd, const struct addr *peer)
{
	struct data_worker *w = arg;

	(void)peer;
	inbound_accept(&w->p, fd);
}

static void out_accept(void *arg, int fd, const struct addr *peer)
{
	struct data_worker *w = arg;

	(void)peer;
	outbound_accept(&w->p, fd);
}

/*
 * Each connection that is accepted needs another to where it goes: the last quarter of
 * the descriptors is for these, and of that the last quarter for the control plane and
 * for those who ask what is wrong.
 */
static int all_but_one_in(unsigned parts)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > INT_MAX)
		return 0;
	return (int)(r.rlim_cur - r.rlim_cur / parts);
}

/* A pod without IPv6 has nothing that could be redirected to [::1]. */
static bool is_family_absent(
	const struct data_worker *w, size_t nth, const struct err *e)
{
	const struct addr *at = &w->proxy->cfg.outbound_listen[nth];

	if (nth == 0 || at->ip.family != 6 || e->code != ERR_SYS ||
		(e->sys != EAFNOSUPPORT && e->sys != EADDRNOTAVAIL))
		return false;
	log_debug("proxy", "there is no IPv6 here", LE(e));
	return true;
}

static struct listener_opts listener_opts(
	const struct data_worker *w, const struct side_config *side)
{
	return (struct listener_opts){
		.tuning = {.keepalive = side->accept_keepalive,
			.user_timeout = side->accept_user_timeout},
		.backlog = (int)side->backlog,
		.reuse_port = w->proxy->nworkers > 1,
		.fd_max = all_but_one_in(4)};
}

static int listen_all(struct data_worker *w, struct err *e)
{
	const struct proxy_config *cfg = &w->proxy->cfg;
	struct listener_opts in = listener_opts(w, &cfg->in);
	struct listener_opts out = listener_opts(w, &cfg->out);

	w->p.fd_max = all_but_one_in(16);
	w->in = listener_new(w->p.loop, &cfg->inbound_listen, &in, in_accept, w, e);
	if (!w->in)
		return -1;
	for (size_t i = 0; i < cfg->noutbound_listen; i++) {
		struct err why = {0};

		w->out[i] = listener_new(
			w->p.loop, &cfg->outbound_listen[i], &out, out_accept, w, &why);
		if (!w->out[i] && !is_family_absent(w, i, &why))
			return err_set(e, why.code, "%s", why.msg);
	}
	return 0;
}

static int worker_begin(struct worker *t, struct err *e)
{
	struct data_worker *w = t->state;
	struct proxy *px = w->proxy;

	w->p = (struct pworker){.index = t->index,
		.cfg = &px->cfg,
		.metrics = px->metrics,
		.report = px->report,
		.disco = px->disco,
		.creds = &px->creds};
	worker_init(&w->p, t->loop);
	if (listen_all(w, e) < 0)
		return -1;
	inbound_watch_ports(&w->p);
	return 0;
}

/* Taken before there is a certificate: what is not meshed needs none. */
static int start_workers(struct proxy *px, struct err *e)
{
	for (unsigned i = 0; i < px->nworkers; i++)
		if (worker_start(&px->workers[i].thread, i, worker_begin,
			    &px->workers[i], e) < 0)
			return -1;
	log_info("proxy", "Listening");
	return 0;
}

static void identity_ready(void *arg)
{
	struct proxy *px = arg;
	char text[ADDR_TEXT];

	log_info("proxy", "Ready",
		LS("inbound", addr_text(&px->cfg.inbound_listen, text)));
}

/* ---- shutdown ---- */

static void all_drained(void *arg)
{
	struct proxy *px = arg;

	if (px->draining && --px->draining == 0)
		loop_stop(px->loop);
}

static void worker_drained(struct pworker *p)
{
	struct data_worker *w = container_of(p, struct data_worker, p);

	loop_post(w->proxy->loop, all_drained, w->proxy);
}

/* From now on connections end when they are done; new ones are still served. */
static void begin_drain(void *arg)
{
	struct data_worker *w = arg;

	balancers_drain(&w->p);
	worker_drain(&w->p, NULL);
}

static void finish_drain(void *arg)
{
	struct data_worker *w = arg;

	worker_drain(&w->p, worker_drained);
}

static void each_worker(struct proxy *px, void (*fn)(void *arg))
{
	for (unsigned i = 0; i < px->nworkers; i++)
		loop_post(px->workers[i].p.loop, fn, &px->workers[i]);
}

static void grace_over(struct timer *t)
{
	struct proxy *px = container_of(t, struct proxy, grace);

	log_warn(
		"proxy", "the grace period is over: connections that are left are cut");
	loop_stop(px->loop);
}

/* An application that has not ended yet may still want to say something. */
static void look_for_application(struct timer *t)
{
	struct proxy *px = container_of(t, struct proxy, application);

	if (sockets_of_others(geteuid())) {
		timer_set(t, APPLICATION_LOOK);
		return;
	}
	px->draining = px->nworkers;
	each_worker(px, finish_drain);
}

static void shut_down(struct proxy *px, bool waits)
{
	if (px->is_stopping)
		return;
	px->is_stopping = true;
	log_info("proxy", "Shutting down");
	timer_set(&px->grace, px->cfg.shutdown_grace);
	each_worker(px, begin_drain);
	if (waits) {
		timer_set(&px->application, 0);
		return;
	}
	px->draining = px->nworkers;
	each_worker(px, finish_drain);
}

/* Whoever asks over the admin port is the application, and ready for the end. */
static void asked_to_shut_down(void *arg)
{
	shut_down(arg, false);
}

static void on_signal(void *arg, int signo)
{
	struct proxy *px = arg;

	(void)signo;
	if (px->signals++ == 0) {
		shut_down(px, true);
		return;
	}
	log_warn("proxy", "a second signal: connections that are left are cut");
	loop_stop(px->loop);
}

static const char *missing(void *arg)
{
	const struct proxy *px = arg;

	return px->identity ? proxy_identity_problem(px->identity) : "starting";
}

/* ---- start ---- */

static void raise_fd_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r); /* fewer connections, no more */
}

/* A log whose place was closed must not go into the first connection instead. */
static void hold_std_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR); /* the lowest that is free */
}

static void say_hello(const struct proxy_config *c)
{
	char text[ADDR_TEXT];

	log_info("proxy", "mesh-proxy " MESH_VERSION);
	log_info("proxy", "Admin interface",
		LS("on", addr_text(&c->admin_listen, text)));
	log_info("proxy", "Inbound interface",
		LS("on", addr_text(&c->inbound_listen, text)));
	for (size_t i = 0; i < c->noutbound_listen; i++)
		log_info("proxy", "Outbound interface",
			LS("on", addr_text(&c->outbound_listen[i], text)));
	log_info("proxy", "Local identity", LS("is", c->local_name));
	log_info("proxy", "Destinations resolved", LS("via", c->destination.host),
		LS("id", c->destination.name));
}

static void find_memory(const struct proxy_config *c)
{
	uint64_t mb = c->memory_limit_mb;

	memory_set_limit(mb ? mb << 20 : memory_of_cgroup(""));
	if (memory_limit())
		log_info("proxy", "Memory", LI("limit_mb", memory_limit() >> 20));
}

static int start(struct proxy *px, struct err *e)
{
	struct admin_hooks hooks = {missing, asked_to_shut_down, px, NULL};

	px->nworkers = px->cfg.cores > WORKERS_MAX ? WORKERS_MAX : px->cfg.cores;
	if (px->nworkers == 1)
		heap_is_one();
	px->workers = calloc(px->nworkers, sizeof *px->workers);
	px->loop = loop_new(e);
	px->metrics = metrics_new(px->nworkers);
	px->report = report_new();
	if (!px->workers || !px->loop || !px->metrics || !px->report)
		return -1;
	metrics_retain(px->metrics, px->cfg.metrics_retain);
	for (unsigned i = 0; i < px->nworkers; i++)
		px->workers[i].proxy = px;
	timer_init(&px->grace, px->loop, grace_over);
	timer_init(&px->application, px->loop, look_for_application);
	metrics_extra(px->metrics, proxy_process_metrics, NULL);
	if (loop_on_signal(px->loop, SIGTERM, on_signal, px, e) < 0 ||
		loop_on_signal(px->loop, SIGINT, on_signal, px, e) < 0)
		return -1;
	hooks.report = px->report;
	px->dns = dns_new(px->loop, NULL, e);
	if (!px->dns)
		return -1;
	px->admin = proxy_admin_start(
		px->loop, &px->cfg, px->metrics, &px->creds, &hooks, e);
	if (!px->admin)
		return -1;
	control_meter_init(&px->destination_meter, px->metrics, CLIENT_DESTINATION,
		&px->cfg.destination);
	control_meter_init(
		&px->policy_meter, px->metrics, CLIENT_POLICY, &px->cfg.policy);
	px->destination = control_channel(px->loop, px->dns, &px->cfg.destination,
		&px->creds, &px->destination_meter, e);
	px->policy = control_channel(
		px->loop, px->dns, &px->cfg.policy, &px->creds, &px->policy_meter, e);
	if (!px->destination || !px->policy)
		return -1;
	px->disco = disco_new(px->loop, &px->cfg, px->destination, px->policy);
	if (!px->disco)
		return -1;
	metrics_extra(px->metrics, disco_metrics, px->disco);
	if (proxy_admin_guard(px->admin, px->disco, e) < 0)
		return -1;
	px->identity = proxy_identity_start(px->loop, px->dns, &px->cfg, &px->creds,
		px->metrics, identity_ready, px, e);
	return px->identity ? start_workers(px, e) : -1;
}

int proxy_run(void)
{
	static struct proxy px;
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	hold_std_fds();
	pthread_mutex_init(&px.creds.lock, NULL);
	if (proxy_config_read(&px.cfg) > 0)
		return EX_USAGE;
	log_json(px.cfg.log_json);
	if (log_filter_set(slice_of(px.cfg.log_filter), &e) < 0) {
		fprintf(stderr, "LINKERD2_PROXY_LOG: %s\n", e.msg);
		return EX_USAGE;
	}
	raise_fd_limit();
	say_hello(&px.cfg);
	find_memory(&px.cfg);
	if (start(&px, &e) < 0) {
		fprintf(stderr, "Initialization failure: %s\n", e.msg);
		return 1;
	}
	if (loop_run(px.loop, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	/* what is left ends with the process: workers may be in the middle of a turn */
	return 0;
}
