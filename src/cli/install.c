/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/install.h"

#include "base/obj.h"
#include "chart/chart.h"
#include "chart/values.h"
#include "cli/issuer.h"
#include "ctl/inject.h"
#include "tls/key.h"
#include "wire/yaml.h"

#define ONE(name, path, arg, help)                                                     \
	{                                                                              \
		name, path, NULL, arg, help                                            \
	}
#define ON(name, path, value, help)                                                    \
	{                                                                              \
		name, path, value, NULL, help                                          \
	}

const struct value_flag install_flags[] = {
	ONE("cluster-domain", "clusterDomain", "DOMAIN", "end of every Service's name"),
	ONE("identity-trust-domain", "identityTrustDomain", "DOMAIN",
		"end of every identity"),
	ONE("identity-issuance-lifetime", "identity.issuer.issuanceLifetime", "TIME",
		"how long certificates of workloads live"),
	ONE("identity-clock-skew-allowance", "identity.issuer.clockSkewAllowance",
		"TIME", "by how much clocks may differ"),
	ON("identity-external-issuer", "identity.issuer.scheme", "kubernetes.io/tls",
		"the issuer's Secret is somebody else's (cert-manager)"),
	ON("identity-external-ca", "identity.externalCA", "true",
		"the ConfigMap of trust anchors is somebody else's"),
	ON("linkerd-cni-enabled", "cniEnabled", "true",
		"pods are redirected by the CNI plugin"),
	ONE("controller-replicas", "controllerReplicas", "N",
		"of each part of the control plane"),
	ONE("controller-log-level", "controllerLogLevel", "LEVEL",
		"of the control plane"),
	ONE("controller-uid", "controllerUID", "UID", "as whom it runs"),
	ONE("controller-gid", "controllerGID", "GID", "and of which group"),
	ONE("image-pull-policy",
		"imagePullPolicy,proxy.image.pullPolicy,debugContainer.image."
		"pullPolicy",
		"POLICY", "Always, IfNotPresent or Never"),
	ONE("proxy-image", "proxy.image.name", "NAME", "of the proxy"),
	ONE("proxy-log-level", "proxy.logLevel", "FILTER", "of proxies"),
	ONE("proxy-uid", "proxy.uid", "UID", "as whom proxies run"),
	ONE("proxy-gid", "proxy.gid", "GID", "and of which group"),
	ONE("proxy-cpu-request", "proxy.resources.cpu.request", "CPUS",
		"of each proxy"),
	ONE("proxy-cpu-limit", "proxy.resources.cpu.limit", "CPUS", "of each proxy"),
	ONE("proxy-memory-request", "proxy.resources.memory.request", "BYTES",
		"of each proxy"),
	ONE("proxy-memory-limit", "proxy.resources.memory.limit", "BYTES",
		"of each proxy"),
	ONE("inbound-port", "proxy.ports.inbound", "PORT", "of proxies"),
	ONE("outbound-port", "proxy.ports.outbound", "PORT", "of proxies"),
	ONE("control-port", "proxy.ports.control", "PORT", "of proxies"),
	ONE("admin-port", "proxy.ports.admin", "PORT", "of proxies"),
	ONE("skip-inbound-ports", "proxyInit.ignoreInboundPorts", "PORTS",
		"that are not redirected"),
	ONE("skip-outbound-ports", "proxyInit.ignoreOutboundPorts", "PORTS",
		"that are not redirected"),
	ONE("default-inbound-policy", "proxy.defaultInboundPolicy", "POLICY",
		"who may talk to pods for which no policy says anything"),
	ON("enable-external-profiles", "proxy.enableExternalProfiles", "true",
		"profiles also for names outside of the cluster"),
};
const size_t install_flags_count = countof(install_flags);

/* ---- values ---- */

static void set_image(
	struct json *image, const char *key, const char *registry, const char *name)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s/%s", registry, name);
	json_set(image, key, json_string_n(buf_slice(&b)));
	buf_fini(&b);
}

static void set_registry(struct json *own, const char *registry)
{
	struct json *proxy = json_need_object(own, "proxy");
	struct json *debug = json_need_object(own, "debugContainer");

	set_image(own, "controllerImage", registry, "proxy");
	set_image(json_need_object(proxy, "image"), "name", registry, "proxy");
	set_image(json_need_object(debug, "image"), "name", registry, "debug");
}

/* What differs from the chart's values, certificates left out.  Owned. */
static struct json *own_values(const struct install_config *cfg, struct err *e)
{
	struct json *own = json_object(), *ha;

	if (cfg->upgrade && cfg->kept && cfg->kept->values)
		values_put(own, cfg->kept->values);
	if (cfg->ha) {
		ha = chart_variant("control", "ha");
		must(ha);
		values_put(own, ha);
		json_free(ha);
	}
	if (cfg->registry)
		set_registry(own, cfg->registry);
	if (value_flags_apply(
		    &cfg->flags, install_flags, countof(install_flags), own, e) == 0)
		return own;
	json_free(own);
	return NULL;
}

/* The injector reads the same values, and knows more of them than a schema can say. */
static int check_for_pods(const struct json *values, struct err *e)
{
	struct buf yaml = BUF_INIT;
	struct json *read = NULL;

	if (yaml_write(values, &yaml) == 0)
		read = inject_values_read(buf_slice(&yaml), e);
	json_free(read);
	buf_fini(&yaml);
	return read ? 0 : -1;
}

/* ---- objects ---- */

static int write_objects(const struct json *objects, struct buf *out, struct err *e)
{
	json_each(it, objects)
	{
		buf_text(out, "---\n");
		if (yaml_write(it, out) || out->failed)
			return err_set(e, ERR_LIMIT, "out of memory");
	}
	return 0;
}

static const struct tmpl_host host = {.sha256_hex = sha256_hex};

static int render(const char *chart, const char *namespace, const struct json *values,
	struct buf *out, struct err *e)
{
	struct chart_job job = {.chart = chart,
		.release = "mesh",
		.namespace = namespace,
		.service = "CLI",
		.values = values,
		.host = &host};
	struct json *objects = chart_render(&job, e);
	int r = objects ? write_objects(objects, out, e) : -1;

	json_free(objects);
	return r;
}

/* Leaves out what is as it is in `preset`. */
static void drop_same(struct json *own, const struct json *preset)
{
	for (struct json *it = json_first(own), *next; it; it = next) {
		struct json *other = json_get(preset, json_key(it));

		next = json_next(it);
		if (json_kind(it) == JSON_OBJECT && json_kind(other) == JSON_OBJECT)
			drop_same(it, other);
		if (json_equal(it, other) ||
			(json_kind(it) == JSON_OBJECT && !json_count(it) && other))
			json_free(json_detach(own, it));
	}
}

/* What was chosen, for the next upgrade: it is not told apart in mesh-config. */
static int write_chosen(const struct install_config *cfg, struct json *own,
	struct buf *out, struct err *e)
{
	struct json *list = json_list(), *o = json_push(list, json_object()), *m;
	struct json *presets = chart_presets("control");
	struct buf yaml = BUF_INIT, base64 = BUF_INIT;
	int r = -1;

	issuer_strip(own);
	drop_same(own, presets);
	json_set_text(o, "apiVersion", "v1");
	json_set_text(o, "kind", "Secret");
	m = json_need_object(o, "metadata");
	json_set_text(m, "name", "mesh-config-overrides");
	json_set_text(m, "namespace", cfg->namespace);
	json_set_text(json_need_object(m, "labels"), "linkerd.io/control-plane-ns",
		cfg->namespace);
	if (yaml_write(own, &yaml) == 0 && buf_base64(&base64, buf_slice(&yaml)) == 0) {
		json_set(json_need_object(o, "data"), "mesh-config-overrides",
			json_string_n(buf_slice(&base64)));
		r = write_objects(list, out, e);
	}
	buf_fini(&yaml);
	buf_fini(&base64);
	json_free(presets);
	json_free(list);
	return r;
}

/* ---- names ---- */

static int check_name(
	const char *what, const char *text, const char *extra, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = strspn(text, plain);

	while (text[n] && strchr(extra, text[n]))
		n += 1 + strspn(text + n + 1, plain);
	if (*text && !text[n] && n < 254)
		return 0;
	return err_set(e, ERR_SYNTAX, "%s: \"%s\" cannot be a name", what, text);
}

int install_render(const struct install_config *cfg, struct buf *out, struct err *e)
{
	struct json *own = NULL, *values = NULL;
	int r = -1;

	if (check_name("namespace", cfg->namespace, "", e) == 0 &&
		(!cfg->registry || !check_name("registry", cfg->registry, "./:_", e)))
		own = own_values(cfg, e);
	/* first without certificates: a wrong value is told before keys are made */
	if (own)
		values = chart_values("control", own, e);
	if (values && issuer_fill(cfg, own, e) == 0) {
		json_free(values);
		values = chart_values("control", own, e);
		if (values && check_for_pods(values, e) == 0)
			r = render("control", cfg->namespace, values, out, e);
	}
	if (r == 0)
		r = write_chosen(cfg, own, out, e);
	json_free(values);
	json_free(own);
	return r;
}

int install_chart(const char *name, const char *namespace,
	const struct value_flags *flags, const struct value_flag *table, size_t n,
	struct buf *out, struct err *e)
{
	struct json *own = json_object(), *values = NULL;
	int r = check_name("namespace", namespace, "", e);

	if (r == 0)
		r = value_flags_apply(flags, table, n, own, e);
	if (r == 0)
		values = chart_values(name, own, e);
	r = values ? render(name, namespace, values, out, e) : -1;
	json_free(values);
	json_free(own);
	return r;
}
