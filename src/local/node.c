/* SPDX-License-Identifier: Apache-2.0 */
/* The node: what the store says should run here, and its own object there. */
#include <net/if.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/nodeint.h"
#include "sys/link.h"
#include "sys/nft.h"

#define REFRESH_EVERY (20 * NS_PER_S)

/* ---- pods ---- */

static bool is_ours(const struct local_node *n, const struct json *pod)
{
	return strcmp(json_text_or(pod, "spec.nodeName", ""), n->cfg.name) == 0;
}

static void see_pod(struct local_node *n, struct object *o)
{
	char key[600];
	struct pod *p;

	if (!is_ours(n, o->json))
		return;
	snprintf(key, sizeof(key), "%s/%s", o->ns, o->name);
	p = map_get(&n->pods, slice_of(key), struct pod, by_name);
	if (p && strcmp(p->uid, o->uid) != 0) {
		pod_free(p);
		p = NULL;
	}
	if (!p && pod_is_over(o->json) && !meta_is_deleted(o->json))
		return;
	if (!p)
		p = pod_new(n, o);
	pod_changed(p, o);
}

static void lose_pod(struct local_node *n, const struct object *o)
{
	char key[600];
	struct pod *p;

	snprintf(key, sizeof(key), "%s/%s", o->ns, o->name);
	p = map_get(&n->pods, slice_of(key), struct pod, by_name);
	if (p && strcmp(p->uid, o->uid) == 0)
		pod_free(p);
}

static void list_pods(struct local_node *n)
{
	struct store_list all;

	store_list(n->store, "pods", NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		see_pod(n, all.v[i]);
	store_list_end(&all);
}

static void on_wake(struct store_watch *w)
{
	struct local_node *n = container_of(w, struct local_node, watch);

	loop_later(n->loop, &n->changed);
}

static void on_changed(struct later *d)
{
	struct local_node *n = container_of(d, struct local_node, changed);
	struct store_event ev;
	enum store_next next;

	while ((next = store_watch_next(&n->watch, &ev)) == STORE_MORE) {
		struct object *o = object_ref(ev.now);

		if (ev.what == STORE_DELETED)
			lose_pod(n, o);
		else
			see_pod(n, o);
		object_unref(o);
	}
	if (next != STORE_EXPIRED)
		return;
	store_watch_end(&n->watch);
	store_watch_begin(
		&n->watch, n->store, "pods", store_version(n->store), on_wake);
	list_pods(n);
}

static void on_refresh(struct timer *t)
{
	struct local_node *n = container_of(t, struct local_node, refresh);
	struct pod *p;

	map_each(p, &n->pods, by_name)
	{
		struct podvol v = pod_volumes(p);
		struct err e = {0};

		if (p->at == POD_UP && podvol_fill(&v, &e))
			log_warn("node", "a volume is not up to date",
				LS("pod", p->key), LE(&e));
	}
	timer_set(t, REFRESH_EVERY);
}

/* ---- its object ---- */

static void set_capacity(struct json *status, const char *key)
{
	struct json *c = json_need_object(status, key);
	char text[32];

	snprintf(text, sizeof(text), "%ld", sysconf(_SC_NPROCESSORS_ONLN));
	json_set_text(c, "cpu", text);
	snprintf(text, sizeof(text), "%lldKi",
		(long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 1024);
	json_set_text(c, "memory", text);
	json_set_text(c, "pods", "250");
}

static struct json *node_status(const struct local_node *n)
{
	struct json *status = json_object(), *list, *j;
	char ip[ADDR_TEXT];

	set_capacity(status, "capacity");
	set_capacity(status, "allocatable");
	condition_set(status, "Ready", "True", "KubeletReady", "the node runs pods",
		store_now(n->store));
	list = json_need_list(status, "addresses");
	j = json_push(list, json_object());
	json_set_text(j, "type", "InternalIP");
	json_set_text(j, "address", ip_text(&n->gateway, ip));
	j = json_push(list, json_object());
	json_set_text(j, "type", "Hostname");
	json_set_text(j, "address", n->cfg.name);
	j = json_need_object(status, "nodeInfo");
	json_set_text(j, "kubeletVersion", "v1.31.0");
	json_set_text(j, "containerRuntimeVersion", "mesh://" MESH_VERSION);
	json_set_text(j, "operatingSystem", "linux");
	json_set_text(j, "osImage", "this machine");
	return status;
}

static int put_node(struct local_node *n, struct err *e)
{
	struct json *obj = meta_new("v1", "Node", "", n->cfg.name);
	struct json *labels =
		json_need_object(json_need_object(obj, "metadata"), "labels");
	enum store_result r;

	json_remove(json_get(obj, "metadata"), "namespace");
	json_set_text(labels, "kubernetes.io/hostname", n->cfg.name);
	json_set_text(labels, "kubernetes.io/os", "linux");
	json_set_text(labels, "topology.kubernetes.io/zone", "local");
	json_set_text(json_need_object(obj, "spec"), "podCIDR", n->cfg.pod_cidr);
	r = store_create(n->store, "nodes", obj, NULL, e);
	if (r != STORE_OK && r != STORE_EXISTS)
		return e && e->code ? -1 : err_set(e, ERR_BUG, "the node's object");
	return store_set_status(n->store, "nodes", "", n->cfg.name, node_status(n),
		       e) == STORE_OK
		       ? 0
		       : -1;
}

/* ---- start and stop ---- */

/*
 * Names and addresses on the machine are fixed, so that there is one node at a time:
 * the one that holds this name, which ends with it.  -1: another does.
 */
static int claim_machine(struct err *e)
{
	static const char name[] = "mesh-local-node";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + sizeof(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "claim the machine");
	memcpy(at.sun_path + 1, name, sizeof(name) - 1); /* abstract: no file */
	if (bind(fd, (struct sockaddr *)&at, len) == 0)
		return fd;
	close(fd);
	return err_set(e, ERR_BUSY, "another mesh local runs pods on this machine");
}

static void sweep_machine(void);

static int configure(
	struct local_node *n, const struct local_node_config *cfg, struct err *e)
{
	char full[PATH_MAX];
	ssize_t len;

	n->cfg = *cfg;
	n->cfg.name = cfg->name ? cfg->name : "mesh-local";
	n->cfg.pod_cidr = cfg->pod_cidr ? cfg->pod_cidr : "10.244.0.0/16";
	n->cfg.dns = cfg->dns ? cfg->dns : "10.96.0.10";
	n->cfg.domain = cfg->domain ? cfg->domain : "cluster.local";
	if (!cidr_parse(slice_of(n->cfg.pod_cidr), &n->pods_cidr) ||
		n->pods_cidr.ip.family != 4 || n->pods_cidr.bits > 28)
		return err_set(e, ERR_SYNTAX, "\"%s\" is not an IPv4 network for pods",
			n->cfg.pod_cidr);
	len = readlink("/proc/self/exe", n->self, sizeof(n->self) - 1);
	n->self[len > 0 ? len : 0] = 0;
	if (cfg->self)
		snprintf(n->self, sizeof(n->self), "%s", cfg->self);
	if (folder_make(cfg->dir, 0755) || !realpath(cfg->dir, full))
		return err_sys(e, "state directory %s", cfg->dir);
	snprintf(n->dir, sizeof(n->dir), "%.3000s", full);
	n->images = images_load(cfg->images, n->self, e);
	return n->images ? 0 : -1;
}

struct local_node *local_node_start(struct loop *l, struct store *s,
	const struct local_node_config *cfg, struct err *e)
{
	struct local_node *n = calloc(1, sizeof(*n));

	must(n);
	n->loop = l;
	n->store = s;
	timer_init(&n->refresh, l, on_refresh);
	later_init(&n->changed, on_changed);
	store_watch_begin(&n->watch, s, "pods", store_version(s), on_wake);
	n->claim = claim_machine(e);
	if (n->claim < 0)
		goto stop_node;
	sweep_machine();
	if (configure(n, cfg, e) || node_net_up(n, e))
		goto stop_node;
	node_limits_up(n);
	n->services = services_start(n, e);
	n->dns = n->services ? cluster_dns_start(n, e) : NULL;
	if (!n->dns || put_node(n, e))
		goto stop_node;
	timer_set(&n->refresh, REFRESH_EVERY);
	list_pods(n);
	return n;
stop_node:
	local_node_stop(n);
	return NULL;
}

void local_node_stop(struct local_node *n)
{
	struct pod *p;

	if (!n)
		return;
	map_each(p, &n->pods, by_name)
	{
		pod_free(p);
	}
	map_fini(&n->pods);
	store_watch_end(&n->watch);
	later_clear(&n->changed);
	timer_clear(&n->refresh);
	services_stop(n->services);
	cluster_dns_stop(n->dns);
	images_free(n->images);
	if (n->claim >= 0) {
		sweep_machine();
		close(n->claim);
	}
	free(n);
}

static void sweep_links(void)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_name; i++)
		if (strncmp(i->if_name, "mlp", 3) == 0 && strlen(i->if_name) == 11)
			(void)link_delete(i->if_name, NULL);
	if (all)
		if_freenameindex(all);
}

static void sweep_machine(void)
{
	sweep_links();
	(void)link_delete(LOCAL_NODE_LINK, NULL);
	(void)nft_remove(NFT_IP4, LOCAL_NODE_TABLE, NULL);
	tree_remove(LOCAL_NODE_SHM);
	node_limits_sweep();
}

void local_node_sweep(const char *dir)
{
	char pods[PATH_MAX];
	int claim = claim_machine(NULL);

	if (claim >= 0) {
		sweep_machine();
		close(claim);
	}
	if (!dir)
		return;
	snprintf(pods, sizeof(pods), "%.4000s/pods", dir);
	tree_remove(pods);
}
