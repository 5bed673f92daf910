/* SPDX-License-Identifier: Apache-2.0 */
#include "local/api.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "local/apiint.h"
#include "local/defaults.h"
#include "local/meta.h"
#include "local/token.h"

#define CRDS     "customresourcedefinitions.apiextensions.k8s.io"
#define BODY_MAX ((size_t)4 * 1024 * 1024)
#define NAMES    64

/* ---- the controllers' turn ---- */

static void run_ctrls(struct later *d)
{
	struct local_api *a = container_of(d, struct local_api, run);
	uint64_t due = ctrls_run(a->ctrls), now = store_now(a->store);

	if (due)
		timer_set(&a->due, due > now ? due - now : 1);
	else
		timer_clear(&a->due);
}

static void on_due(struct timer *t)
{
	struct local_api *a = container_of(t, struct local_api, due);

	loop_later(a->loop, &a->run);
}

static void wake_ctrls(void *arg)
{
	struct local_api *a = arg;

	loop_later(a->loop, &a->run);
}

/* ---- custom kinds follow their definitions ---- */

static void drop_objects(struct local_api *a, const char *res)
{
	struct store_list all;

	store_list(a->store, res, NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		(void)store_delete(
			a->store, res, all.v[i]->ns, all.v[i]->name, NULL, NULL, NULL);
	store_list_end(&all);
}

static void on_crd(struct local_api *a, const struct store_event *ev)
{
	const struct json *spec = json_get(ev->now->json, "spec");
	char res[300];

	if (ev->what != STORE_DELETED) {
		if (ev->old && json_equal(json_get(ev->old->json, "spec"), spec))
			return;
		kinds_add_crd(a->kinds, ev->now->json);
		return;
	}
	snprintf(res, sizeof(res), "%s", ev->now->name);
	kinds_drop_crd(a->kinds, json_text_or(spec, "group", ""),
		json_text_or(spec, "names.plural", ""));
	drop_objects(a, res);
}

static void all_crds(struct local_api *a)
{
	struct store_list all;

	store_list(a->store, CRDS, NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		kinds_add_crd(a->kinds, all.v[i]->json);
	store_list_end(&all);
}

static void read_crds(struct later *d)
{
	struct local_api *a = container_of(d, struct local_api, crds_later);
	struct store_event ev;
	enum store_next next;

	while ((next = store_watch_next(&a->crds, &ev)) == STORE_MORE)
		on_crd(a, &ev);
	if (next == STORE_EXPIRED) {
		a->crds.at = store_version(a->store);
		all_crds(a);
		loop_later(a->loop, d);
	}
}

static void crds_wake(struct store_watch *w)
{
	struct local_api *a = container_of(w, struct local_api, crds);

	loop_later(a->loop, &a->crds_later);
}

/* ---- what is there from the start ---- */

static void put(struct local_api *a, const char *res, struct json *obj)
{
	const struct kind *k = kind_of_store(a->kinds, res);

	defaults_set(k, obj);
	defaults_set_new(k, obj);
	if (store_find(a->store, res, meta_ns(obj), meta_name(obj)))
		(void)store_update(a->store, res, obj, STORE_NO_STATUS, NULL, NULL);
	else
		(void)store_create(a->store, res, obj, NULL, NULL);
}

static void service_ip(const struct local_api *a, uint8_t last, char out[ADDR_TEXT])
{
	struct ip ip = a->rest.env.services.ip;

	ip.b[3] = (uint8_t)(ip.b[3] + last);
	ip_text(&ip, out);
}

static struct addr advertised(const struct local_api *a)
{
	struct addr at = *site_addr(a->site);

	if (a->cfg.advertise.ip.family)
		at.ip = a->cfg.advertise.ip;
	if (a->cfg.advertise.port)
		at.port = a->cfg.advertise.port;
	return at;
}

static void put_own_slice(struct local_api *a, const struct addr *at)
{
	struct json *slice = meta_new(
		"discovery.k8s.io/v1", "EndpointSlice", "default", "kubernetes");
	struct json *meta = json_get(slice, "metadata"), *j;
	char ip[ADDR_TEXT];

	json_set_text(json_need_object(meta, "labels"), "kubernetes.io/service-name",
		"kubernetes");
	json_set_text(slice, "addressType", at->ip.family == 6 ? "IPv6" : "IPv4");
	j = json_push(json_need_list(slice, "ports"), json_object());
	json_set_text(j, "name", "https");
	json_set_int(j, "port", at->port);
	json_set_text(j, "protocol", "TCP");
	j = json_push(json_need_list(slice, "endpoints"), json_object());
	json_push(json_need_list(j, "addresses"), json_string(ip_text(&at->ip, ip)));
	json_set_bool(json_need_object(j, "conditions"), "ready", true);
	put(a, "endpointslices.discovery.k8s.io", slice);
}

static void put_own_service(struct local_api *a)
{
	struct addr at = advertised(a);
	struct json *svc = meta_new("v1", "Service", "default", "kubernetes"), *spec,
		    *j;
	char ip[ADDR_TEXT];

	service_ip(a, 1, ip);
	json_set_text(json_need_object(json_get(svc, "metadata"), "labels"),
		"component", "apiserver");
	spec = json_need_object(svc, "spec");
	json_set_text(spec, "clusterIP", ip);
	json_push(json_need_list(spec, "clusterIPs"), json_string(ip));
	j = json_push(json_need_list(spec, "ports"), json_object());
	json_set_text(j, "name", "https");
	json_set_int(j, "port", 443);
	json_set_int(j, "targetPort", at.port);
	put(a, "services", svc);
	put_own_slice(a, &at);
}

static void put_first_objects(struct local_api *a)
{
	static const char *const spaces[] = {
		"default", "kube-system", "kube-public", "kube-node-lease"};

	for (size_t i = 0; i < countof(spaces); i++)
		if (!store_find(a->store, "namespaces", "", spaces[i]))
			put(a, "namespaces",
				meta_new("v1", "Namespace", "", spaces[i]));
	put_own_service(a);
}

/* ---- listening ---- */

static int set_creds(struct local_api *a, struct err *e)
{
	static const char *const dns[] = {"kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "localhost"};
	const char *names[NAMES] = {0}, *ips[NAMES] = {0};
	char own[ADDR_TEXT], adv[ADDR_TEXT], svc[ADDR_TEXT], full[200];
	size_t n = 0, m = 0;
	struct creds *creds;
	struct ip ip;

	for (; n < countof(dns); n++)
		names[n] = dns[n];
	snprintf(full, sizeof(full), "kubernetes.default.svc.%s", a->cfg.domain);
	names[n++] = full;
	ips[m++] = "127.0.0.1";
	service_ip(a, 1, svc);
	ips[m++] = svc;
	if (a->cfg.at.ip.family && !ip_is_loopback(&a->cfg.at.ip))
		ips[m++] = ip_text(&a->cfg.at.ip, own);
	if (a->cfg.advertise.ip.family)
		ips[m++] = ip_text(&a->cfg.advertise.ip, adv);
	for (const char *const *p = a->cfg.names;
		p && *p && n + 1 < NAMES && m + 1 < NAMES; p++) {
		if (ip_parse(slice_of(*p), &ip))
			ips[m++] = *p;
		else
			names[n++] = *p;
	}
	creds = pki_server(&a->pki, names, ips, e);
	if (!creds)
		return -1;
	snap_set(&a->creds, creds_ref(creds));
	return 0;
}

static bool is_let_in(void *arg, const struct addr *peer)
{
	const struct local_api *a = arg;

	return !a->cfg.friends.ip.family || ip_is_loopback(&peer->ip) ||
	       cidr_has(&a->cfg.friends, &peer->ip);
}

static int listen_there(struct local_api *a, struct err *e)
{
	static const struct route routes[] = {{"*", "/", api_handle}};
	struct site_config cfg = {
		.at = a->cfg.at,
		.creds = &a->creds,
		.ask_client_cert = true,
		.body_max = BODY_MAX,
		.routes = routes,
		.nroutes = countof(routes),
		.arg = a,
		.admit = is_let_in,
	};

	a->site = site_new(a->loop, &cfg, e);
	return a->site ? 0 : -1;
}

/* People reach it at loopback when it listens everywhere. */
static int write_kubeconfig(struct local_api *a, struct err *e)
{
	struct addr at = *site_addr(a->site);
	char ip[ADDR_TEXT], url[120];
	static const uint8_t any[16];

	if (memcmp(at.ip.b, any, sizeof(any)) == 0)
		snprintf(ip, sizeof(ip), "127.0.0.1");
	else
		ip_text(&at.ip, ip);
	snprintf(url, sizeof(url),
		strchr(ip, ':') ? "https://[%s]:%u" : "https://%s:%u", ip, at.port);
	snprintf(a->kubeconfig, sizeof(a->kubeconfig), "%s/admin.conf", a->cfg.dir);
	return pki_kubeconfig(&a->pki, a->kubeconfig, url, e);
}

/* ---- beginning and end ---- */

static int open_state(struct local_api *a, struct err *e)
{
	struct store_config sc = {.dir = a->cfg.dir};

	if (mkdir(a->cfg.dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", a->cfg.dir);
	if (pki_open(&a->pki, a->cfg.dir, e) < 0)
		return -1;
	if (!cidr_parse(slice_of(a->cfg.service_cidr), &a->rest.env.services) ||
		a->rest.env.services.ip.family != 4 || a->rest.env.services.bits > 24)
		return err_set(e, ERR_SYNTAX, "%s is no IPv4 network for Services",
			a->cfg.service_cidr);
	a->store = store_new(&sc, e);
	if (!a->store)
		return -1;
	a->rest.env.store = a->store;
	a->rest.env.kinds = a->kinds;
	a->rest.token_key = a->pki.token_key;
	all_crds(a);
	store_watch_begin(&a->crds, a->store, CRDS, store_version(a->store), crds_wake);
	return 0;
}

static void start_ctrls(struct local_api *a)
{
	struct ctrls_config cfg = {
		.store = a->store,
		.kinds = a->kinds,
		.ca_pem = a->pki.ca_pem,
		.create = api_create,
		.wake = wake_ctrls,
		.arg = a,
	};

	a->ctrls = ctrls_new(&cfg);
	wake_ctrls(a);
}

struct local_api *local_api_start(
	struct loop *l, const struct local_api_config *cfg, struct err *e)
{
	struct local_api *a = calloc(1, sizeof(*a));

	must(a);
	a->cfg = *cfg;
	if (!a->cfg.service_cidr)
		a->cfg.service_cidr = "10.96.0.0/16";
	if (!a->cfg.domain)
		a->cfg.domain = "cluster.local";
	a->loop = l;
	a->creds = SNAP_INIT;
	a->kinds = kinds_new();
	list_init(&a->creations);
	later_init(&a->run, run_ctrls);
	later_init(&a->crds_later, read_crds);
	timer_init(&a->due, l, on_due);
	if (open_state(a, e) < 0 || set_creds(a, e) < 0 || listen_there(a, e) < 0 ||
		write_kubeconfig(a, e) < 0) {
		local_api_stop(a);
		return NULL;
	}
	put_first_objects(a);
	start_ctrls(a);
	log_info("local", "API server ready", LS("kubeconfig", a->kubeconfig));
	return a;
}

void local_api_stop(struct local_api *a)
{
	if (!a)
		return;
	if (a->site)
		site_free(a->site);
	api_creations_end(a);
	ctrls_free(a->ctrls);
	store_watch_end(&a->crds);
	later_clear(&a->run);
	later_clear(&a->crds_later);
	timer_clear(&a->due);
	store_free(a->store);
	kinds_free(a->kinds);
	snap_set(&a->creds, NULL);
	pki_fini(&a->pki);
	free(a);
}

void local_api_podio(struct local_api *a, const struct podio *io)
{
	a->podio = io;
}

struct store *local_api_store(struct local_api *a)
{
	return a->store;
}

const struct addr *local_api_addr(const struct local_api *a)
{
	return site_addr(a->site);
}

const char *local_api_ca(const struct local_api *a)
{
	return a->pki.ca_pem;
}

const char *local_api_kubeconfig(const struct local_api *a)
{
	return a->kubeconfig;
}

int local_api_token(struct local_api *a, const struct token_spec *spec, struct buf *out,
	struct err *e)
{
	return token_make(a->store, a->pki.token_key, spec, out, NULL, e);
}
