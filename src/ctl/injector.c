/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/injector.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/injectorint.h"
#include "tls/creds.h"

#define BODY_MAX ((size_t)10 * 1024 * 1024)
#define FILE_MAX ((size_t)4 * 1024 * 1024)

/* ---- namespaces ---- */

struct injector_ns {
	struct map_node node;
	char *name;
	struct json *annotations; /* or NULL */
};

static void ns_drop(struct injector *in, struct injector_ns *ns)
{
	map_remove(&in->namespaces, &ns->node);
	json_free(ns->annotations);
	free(ns->name);
	free(ns);
}

static struct injector_ns *ns_need(struct injector *in, const char *name)
{
	struct injector_ns *ns =
		map_get(&in->namespaces, slice_of(name), struct injector_ns, node);

	if (ns)
		return ns;
	ns = calloc(1, sizeof *ns);
	must(ns);
	ns->name = slice_dup(slice_of(name));
	must(ns->name &&
		map_insert(&in->namespaces, &ns->node, slice_of(ns->name)) == 0);
	return ns;
}

static void on_object(void *arg, enum kube_event ev, const struct json *object)
{
	struct injector *in = arg;
	const char *name = json_text_or(object, "metadata.name", "");
	const struct json *annotations = json_path(object, "metadata.annotations");
	struct injector_ns *ns = ns_need(in, name);

	json_free(ns->annotations);
	ns->annotations = annotations ? json_copy(annotations) : NULL;
	if (ev == KUBE_GONE)
		ns_drop(in, ns);
}

static void on_synced(void *arg)
{
	struct injector *in = arg;

	log_info("injector", "namespaces are known", LI("count", in->namespaces.count));
}

const struct json *injector_annotations(
	const struct injector *in, const char *namespace, bool *known)
{
	const struct injector_ns *ns = map_get(
		&in->namespaces, slice_of(namespace), const struct injector_ns, node);

	*known = ns != NULL;
	return ns ? ns->annotations : NULL;
}

/* ---- files ---- */

/* A file that is not there is empty. */
static int read_file(const char *path, struct buf *out, struct err *e)
{
	struct err why = {0};

	if (!path || file_read(path, FILE_MAX, out, &why) == 0)
		return 0;
	buf_clear(out);
	if (why.code == ERR_SYS && why.sys == ENOENT)
		return 0;
	*e = why;
	return -1;
}

static int load_values(struct injector *in, struct err *e)
{
	struct buf yaml = BUF_INIT, anchors = BUF_INIT;
	struct json *values = NULL;

	if (read_file(in->cfg->values, &yaml, e) == 0 &&
		read_file(in->cfg->anchors, &anchors, e) == 0)
		values = inject_values_read(buf_slice(&yaml), e);
	if (values && buf_len(&anchors))
		inject_values_set_anchors(values, buf_slice(&anchors));
	if (values && in->cfg->namespace)
		json_set_text(values, "namespace", in->cfg->namespace);
	buf_fini(&yaml);
	buf_fini(&anchors);
	if (!values)
		return -1;
	json_free(in->values);
	in->values = values;
	return 0;
}

static int load_creds(struct injector *in, struct err *e)
{
	struct buf cert = BUF_INIT, pem = BUF_INIT;
	struct creds_spec spec = {0};
	struct creds *creds = NULL;
	struct key *key = NULL;

	if (file_read(in->cfg->cert, FILE_MAX, &cert, e) == 0 &&
		file_read(in->cfg->key, FILE_MAX, &pem, e) == 0)
		key = key_read(buf_slice(&pem), e);
	if (key) {
		spec.chain_pem = buf_slice(&cert);
		spec.key = key;
		creds = creds_new(&spec, e);
	}
	key_free(key);
	buf_fini(&cert);
	buf_fini(&pem);
	if (!creds)
		return -1;
	snap_set(&in->creds, creds_ref(creds));
	return 0;
}

static uint64_t values_stamp(const struct injector *in)
{
	return file_stamp(in->cfg->values) * 31 +
	       (in->cfg->anchors ? file_stamp(in->cfg->anchors) : 0);
}

static uint64_t creds_stamp(const struct injector *in)
{
	return file_stamp(in->cfg->cert) * 31 + file_stamp(in->cfg->key);
}

void injector_look(struct injector *in)
{
	struct err e = {0};

	if (values_stamp(in) != in->values_stamp) {
		in->values_stamp = values_stamp(in);
		if (load_values(in, &e))
			log_error("injector", "the last values stay", LE(&e));
		else
			log_info("injector", "values loaded");
	}
	if (creds_stamp(in) != in->creds_stamp) {
		in->creds_stamp = creds_stamp(in);
		if (load_creds(in, &e))
			log_error("injector", "the last certificate stays", LE(&e));
		else
			log_info("injector", "certificate loaded");
	}
}

/* ---- what the cluster can ---- */

static void on_version(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct injector *in = arg;

	in->version = NULL;
	if (status == 0 || status >= 500) {
		log_debug("injector", "the cluster's version is not known yet",
			LI("status", status), LS("error", e->msg));
		return;
	}
	in->knows_version = true;
	in->no_native = status == 200 && !inject_cluster_has_native(body);
	if (in->no_native)
		log_info("injector", "this cluster has no native sidecars",
			LS("version", json_text_or(body, "gitVersion", "")));
}

static void ask_version(struct injector *in)
{
	if (!in->knows_version && !in->version)
		in->version = kube_request(
			in->kube, "GET", "/version", NULL, NULL, on_version, in);
}

static void on_poll(struct timer *t)
{
	struct injector *in = container_of(t, struct injector, poll);

	injector_look(in);
	ask_version(in);
	timer_set(&in->poll, in->cfg->poll ? in->cfg->poll : NS_PER_S);
}

/* ---- the server ---- */

static const struct route routes[] = {
	{"POST", "/", injector_handle}, {"POST", "/validate", injector_validate}};

static int begin(struct injector *in, struct err *e)
{
	static const struct kube_watch_user user = {on_object, on_synced};
	struct site_config site = {.at = in->cfg->at,
		.creds = &in->creds,
		.body_max = BODY_MAX,
		.routes = routes,
		.nroutes = countof(routes),
		.arg = in};

	in->values_stamp = values_stamp(in);
	in->creds_stamp = creds_stamp(in);
	if (load_values(in, e) || load_creds(in, e))
		return -1;
	in->site = site_new(in->loop, &site, e);
	if (!in->site)
		return err_wrap(e, "webhook");
	in->watch = kube_watch_new(in->kube, "/api/v1/namespaces", NULL, &user, in, e);
	if (!in->watch)
		return -1;
	ask_version(in);
	timer_set(&in->poll, in->cfg->poll ? in->cfg->poll : NS_PER_S);
	return 0;
}

struct injector *injector_new(struct loop *l, struct kube *k,
	const struct injector_config *cfg, struct err *e)
{
	struct injector *in = calloc(1, sizeof *in);

	must(in);
	in->loop = l;
	in->kube = k;
	in->cfg = cfg;
	in->creds = SNAP_INIT;
	list_init(&in->calls);
	list_init(&in->validating);
	timer_init(&in->poll, l, on_poll);
	if (begin(in, e) == 0)
		return in;
	injector_free(in);
	return NULL;
}

const struct addr *injector_addr(const struct injector *in)
{
	return site_addr(in->site);
}

const struct json *injector_values(const struct injector *in)
{
	return in->values;
}

bool injector_is_ready(void *injector)
{
	struct injector *in = injector;

	return kube_watch_is_synced(in->watch) && in->knows_version;
}

void injector_metrics(void *injector, struct buf *out)
{
	struct injector *in = injector;

	injector_meter_write(&in->meter, out);
	kube_metrics(in->kube, out);
}

void injector_drain(struct injector *in, void (*done)(void *arg), void *arg)
{
	site_drain(in->site, done, arg);
}

void injector_free(struct injector *in)
{
	struct injector_ns *ns;

	if (!in)
		return;
	timer_clear(&in->poll);
	if (in->version)
		kube_cancel(in->version);
	injector_calls_end(in);
	injector_validations_end(in);
	site_free(in->site);
	if (in->watch)
		kube_watch_free(in->watch);
	map_each(ns, &in->namespaces, node)
	{
		ns_drop(in, ns);
	}
	map_fini(&in->namespaces);
	injector_meter_fini(&in->meter);
	snap_set(&in->creds, NULL);
	json_free(in->values);
	free(in);
}
