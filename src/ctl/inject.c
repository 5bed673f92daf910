/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/inject.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "ctl/inject_int.h"
#include "tls/key.h"
#include "wire/patch.h"

#define WARNINGS_MAX 20
#define NATIVE_SINCE 29 /* 1.29: on unless it is switched off */
#define LABEL_MAX    63 /* of a label's value */
#define OPAQUE       INJECT_CONFIG "opaque-ports"
#define NATIVE       "proxy-enable-native-sidecar"
#define COMPONENT    "linkerd.io/control-plane-component"

static const struct {
	const char *label, *text;
} reasons[] = {
#define X(name, label, text) {label, text},
	INJECT_REASONS(X)
#undef X
};

const char *inject_reason_label(enum inject_reason r)
{
	return reasons[r].label;
}

const char *inject_reason_text(enum inject_reason r)
{
	return reasons[r].text;
}

void plan_warn(struct plan *p, const char *fmt, ...)
{
	char text[320];
	va_list ap;

	if (json_count(p->out->warnings) >= WARNINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_push(p->out->warnings, json_string(text));
}

/* ---- kinds ---- */

static const struct {
	const char *kind, *path, *dotted;
} templates[] = {
	{"Pod", "", NULL},
	{"Deployment", "/spec/template", "spec.template"},
	{"DaemonSet", "/spec/template", "spec.template"},
	{"StatefulSet", "/spec/template", "spec.template"},
	{"ReplicaSet", "/spec/template", "spec.template"},
	{"ReplicationController", "/spec/template", "spec.template"},
	{"Job", "/spec/template", "spec.template"},
	{"CronJob", "/spec/jobTemplate/spec/template",
		"spec.jobTemplate.spec.template"},
};

const char *inject_template_path(const char *kind)
{
	for (size_t i = 0; kind && i < countof(templates); i++)
		if (strcmp(templates[i].kind, kind) == 0)
			return templates[i].path;
	return NULL;
}

struct json *inject_template(const struct json *object, const char *kind)
{
	for (size_t i = 0; kind && i < countof(templates); i++)
		if (strcmp(templates[i].kind, kind) == 0)
			return templates[i].dotted
				       ? json_path(object, templates[i].dotted)
				       : json_path(object, NULL);
	return NULL;
}

const struct json *inject_controller(const struct json *object)
{
	json_each(ref, json_path(object, "metadata.ownerReferences"))
	{
		if (json_bool_at(ref, "controller", false))
			return ref;
	}
	return NULL;
}

bool inject_cluster_has_native(const struct json *version)
{
	long major = strtol(json_text_or(version, "major", ""), NULL, 10);
	long minor = strtol(json_text_or(version, "minor", ""), NULL, 10); /* "29+" */

	return major != 1 || minor == 0 || minor >= NATIVE_SINCE;
}

/* ---- the patch ---- */

static void op_add(struct plan *p, const char *path, struct json *value)
{
	struct json *op = json_push(p->out->patch, json_object());
	struct buf full = BUF_INIT;

	buf_printf(&full, "%s%s", p->prefix, path);
	json_set_text(op, "op", "add");
	json_set(op, "path", json_string_n(buf_slice(&full)));
	json_set(op, "value", value);
	buf_fini(&full);
}

/* A member of a map under metadata; its key as RFC 6901 has it. */
static void op_add_key(
	struct plan *p, const char *map, const char *key, const char *value)
{
	char path[512];
	size_t n = (size_t)snprintf(path, sizeof path, "/metadata/%s/", map);

	for (; *key && n < sizeof path - 3; key++) {
		if (*key == '/' || *key == '~') {
			path[n++] = '~';
			path[n++] = *key == '/' ? '1' : '0';
		} else
			path[n++] = *key;
	}
	path[n] = '\0';
	op_add(p, path, json_string(value));
}

static void need_metadata(struct plan *p, const char *map)
{
	char path[64];

	if (json_kind(json_get(p->meta, map)) == JSON_OBJECT)
		return;
	snprintf(path, sizeof path, "/metadata/%s", map);
	op_add(p, path, json_object());
}

static void need_list(struct plan *p, const char *list)
{
	char path[64];

	if (json_kind(json_get(p->spec, list)) == JSON_LIST)
		return;
	snprintf(path, sizeof path, "/spec/%s", list);
	op_add(p, path, json_list());
}

/* ---- what annotations and values make of it ---- */

static bool is_inherited(const char *key)
{
	return setting_is_known(key) || strcmp(key, INJECT_ANNOTATION) == 0 ||
	       strncmp(key, "resource.opentelemetry.io/", 26) == 0;
}

static void read_annotations(struct plan *p)
{
	const struct json *own = json_get(p->meta, "annotations");

	p->annotations = json_kind(own) == JSON_OBJECT ? json_copy(own) : json_object();
	json_each(a, p->in->ns_annotations)
	{
		const char *key = json_key(a);

		if (json_text(a) && is_inherited(key) && !json_get(own, key))
			json_set(p->annotations, key, json_copy(a));
	}
}

static void set_cores(struct json *v)
{
	char a[64], b[64];
	int64_t most = quantity_cores(value_text(v, "proxy.resources.cpu.limit", a));
	int64_t least = quantity_cores(value_text(v, "proxy.resources.cpu.request", b));

	if (most > 0 && !value_is_set(v, "proxy.cores"))
		value_set(v, "proxy.cores", json_integer(most));
	if (most > 0)
		value_set(v, "proxy.runtime.workers.maximum", json_integer(most));
	if (least > 0)
		value_set(v, "proxy.runtime.workers.minimum",
			json_integer(most && least > most ? most : least));
}

static void set_host(struct json *v, const char *key, bool local, const char *service)
{
	char text[128];

	snprintf(text, sizeof text, "%s.<namespace>.svc.<clusterDomain>.", service);
	value_set(v, key, local ? json_string("localhost.") : value_string(v, text));
}

/* What several settings decide together. */
static void derive(struct plan *p)
{
	struct json *v = p->values;
	const char *of = p->component ? p->component : "";
	bool destination = strcmp(of, "destination") == 0;
	bool identity = strcmp(of, "identity") == 0;

	value_set(v, "derived.isDestination", json_boolean(destination));
	value_set(v, "derived.isIdentity", json_boolean(identity));
	value_set(v, "identityTrustDomain", value_string(v, "<identityTrustDomain>"));
	set_host(v, "derived.destination", destination, "mesh-dst-headless");
	set_host(v, "derived.policy", destination, "mesh-policy");
	set_host(v, "derived.identity", identity, "mesh-identity-headless");
	value_set(v, "derived.any",
		json_string(value_is_set(v, "disableIPv6") ? "0.0.0.0" : "[::]"));
	value_set(v, "derived.suffixes",
		value_is_set(v, "proxy.enableExternalProfiles")
			? json_string(".")
			: value_string(v, "svc.<clusterDomain>."));
	value_set(v, "derived.token",
		json_string(value_is_set(v, "identity.serviceAccountTokenProjection")
				    ? PATH_TOKEN "/" TOKEN_NAME
				    : PATH_ACCOUNT "/token"));
	if (p->component)
		value_set(v, "derived.apiPorts",
			value_string(v, "<proxyInit.kubeAPIServerPorts>"));
	if (strcmp(annotation_text(p->annotations, INJECT_ANNOTATION), "ingress") == 0)
		value_set(v, "proxy.isIngress", json_boolean(true));
	if (identity) {
		/* Its proxy is ready when the application behind it has signed. */
		value_set(v, "proxy.nativeSidecar", json_boolean(false));
		value_set(v, "proxy.await", json_boolean(false));
	}
	set_cores(v);
	p->native = value_is_set(v, "proxy.nativeSidecar") && !p->in->no_native;
	if (p->in->no_native && json_get(p->out->config, NATIVE))
		plan_warn(p,
			"%s: this cluster has no native sidecars, the proxy "
			"becomes an ordinary one",
			NATIVE);
}

static void derive_ports(struct plan *p)
{
	char number[64];
	char *opaque =
		ports_resolve(p, value_text(p->values, "proxy.opaquePorts", number));

	value_set(p->values, "proxy.opaquePorts", json_string(opaque));
	free(opaque);
	if (!value_is_set(p->values, "proxy.podInboundPorts")) {
		char *in = ports_inbound(p->spec);

		value_set(p->values, "proxy.podInboundPorts", json_string(in));
		free(in);
	}
}

/* ---- what is patched ---- */

/* The annotation that says which ports are opaque; NULL when none is to be added. */
static char *opaque_annotation(const struct plan *p, bool service)
{
	const struct json *own = json_get(p->meta, "annotations");
	const char *ns = annotation_text(p->in->ns_annotations, OPAQUE);
	char number[64], *text;
	const char *preset = value_text(p->in->values, "proxy.opaquePorts", number);

	if (json_get(own, OPAQUE))
		return NULL;
	if (*ns)
		return slice_dup(slice_of(ns));
	text = service ? ports_of_service(p->spec, preset)
		       : ports_of_pod(p->spec, preset);
	if (*text)
		return text;
	free(text);
	return NULL;
}

static void patch_opaque_only(struct plan *p, bool service)
{
	char *text = opaque_annotation(p, service);

	if (!text)
		return;
	if (json_kind(p->meta) != JSON_OBJECT)
		op_add(p, "/metadata", json_object());
	need_metadata(p, "annotations");
	op_add_key(p, "annotations", OPAQUE, text);
	free(text);
}

static void patch_annotations(struct plan *p)
{
	const struct json *own = json_get(p->meta, "annotations");
	char *opaque = opaque_annotation(p, false), sum[2 * SHA256_SIZE + 1];
	char number[64];

	need_metadata(p, "annotations");
	json_each(a, p->annotations)
	{
		if (!json_get(own, json_key(a)) && strcmp(json_key(a), OPAQUE) != 0)
			op_add_key(p, "annotations", json_key(a), json_text(a));
	}
	op_add_key(p, "annotations", "linkerd.io/created-by",
		p->in->origin == INJECT_BY_CLI ? "mesh/cli " MESH_VERSION
					       : "mesh/injector " MESH_VERSION);
	op_add_key(p, "annotations", "linkerd.io/proxy-version",
		value_text(p->values, "proxy.image.version", number));
	sha256_hex(
		slice_of(json_text_or(p->values, "identityTrustAnchorsPEM", "")), sum);
	op_add_key(p, "annotations", "linkerd.io/trust-root-sha256", sum);
	if (opaque)
		op_add_key(p, "annotations", OPAQUE, opaque);
	free(opaque);
}

/* A text that may stand as a label; longer names are left out. */
static void patch_label(struct plan *p, const char *key, const char *value)
{
	if (value && *value && strlen(value) <= LABEL_MAX)
		op_add_key(p, "labels", key, value);
}

static void patch_owner(struct plan *p)
{
	const char *kind = p->in->owner_kind, *name = p->in->owner_name;
	char key[96];
	size_t n;

	if (!kind && *p->prefix) {
		kind = p->kind;
		name = json_text_at(p->in->object, "metadata.name");
	}
	if (!kind || !*kind)
		return;
	n = (size_t)snprintf(key, sizeof key, "linkerd.io/proxy-%.48s", kind);
	for (size_t i = 0; i < n; i++)
		if (key[i] >= 'A' && key[i] <= 'Z')
			key[i] = (char)(key[i] + 32);
	patch_label(p, key, name);
}

static void patch_labels(struct plan *p)
{
	char number[64];

	need_metadata(p, "labels");
	patch_label(p, "linkerd.io/control-plane-ns",
		value_text(p->values, "namespace", number));
	patch_owner(p);
	patch_label(p, "linkerd.io/workload-ns", p->in->namespace);
}

/* The proxy comes after what redirects to it, and before all else of the pod. */
static void patch_containers(struct plan *p)
{
	bool await = value_is_set(p->values, "proxy.await");

	need_list(p, "initContainers");
	op_add(p, p->native ? "/spec/initContainers/0" : "/spec/initContainers/-",
		value_is_set(p->values, "cniEnabled") ? part_validator(p)
						      : part_init(p));
	if (value_is_set(p->values, "debugContainer.enabled"))
		op_add(p, "/spec/containers/-", part_debug(p));
	op_add(p,
		p->native ? "/spec/initContainers/1"
		: await   ? "/spec/containers/0"
			  : "/spec/containers/-",
		part_proxy(p));
}

static void patch_volumes(struct plan *p)
{
	struct json *list = part_volumes(p);

	need_list(p, "volumes");
	json_each(v, list)
	{
		op_add(p, "/spec/volumes/-", json_copy(v));
	}
	json_free(list);
}

static int inject_pod(struct plan *p, struct err *e)
{
	read_annotations(p);
	p->values = json_copy(p->in->values);
	p->component = json_text(json_get(json_get(p->meta, "labels"), COMPONENT));
	if (settings_apply(p, e))
		return -1;
	if (!p->component && !value_is_set(p->values, "identityTrustAnchorsPEM"))
		return err_set(e, ERR_MISSING,
			"the trust anchors are not known (identityTrustAnchorsPEM)");
	derive(p);
	derive_ports(p);
	if (json_kind(p->meta) != JSON_OBJECT)
		op_add(p, "/metadata", json_object());
	patch_annotations(p);
	patch_labels(p);
	patch_containers(p);
	patch_volumes(p);
	return 0;
}

static int inject_template_of(struct plan *p, struct err *e)
{
	const struct json *t = inject_template(p->in->object, p->kind);

	p->meta = json_get(t, "metadata");
	p->spec = json_get(t, "spec");
	if (json_kind(p->spec) != JSON_OBJECT ||
		json_kind(json_get(p->spec, "containers")) != JSON_LIST) {
		plan_say_no(p, INJECT_REASON_UNSUPPORTED);
		return 0;
	}
	plan_decide(p);
	if (p->out->injected)
		return inject_pod(p, e);
	if (p->in->origin == INJECT_BY_WEBHOOK)
		patch_opaque_only(p, false);
	return 0;
}

static int check_service(const struct plan *p, struct err *e)
{
	const struct json *own = json_get(json_get(p->meta, "annotations"), OPAQUE);
	struct err why;

	if (!json_text(own) ||
		inject_setting_check("opaque-ports", json_text(own), &why) == 0)
		return 0;
	return err_set(e, ERR_DENIED, "annotation " OPAQUE ": %s", why.msg);
}

static int inject_any(struct plan *p, struct err *e)
{
	p->prefix = inject_template_path(p->kind);
	if (p->prefix)
		return inject_template_of(p, e);
	p->prefix = "";
	plan_say_no(p, INJECT_REASON_UNSUPPORTED);
	if (!p->kind || strcmp(p->kind, "Service") != 0)
		return 0;
	p->meta = json_get(p->in->object, "metadata");
	p->spec = json_get(p->in->object, "spec");
	if (check_service(p, e))
		return -1;
	patch_opaque_only(p, true);
	return 0;
}

int inject(const struct inject_in *in, struct inject_out *out, struct err *e)
{
	struct plan p = {.in = in, .out = out};
	int r;

	*out = (struct inject_out){.annotation_at = "",
		.patch = json_list(),
		.warnings = json_list(),
		.config = json_object()};
	p.kind = in->kind ? in->kind : json_text_at(in->object, "kind");
	r = inject_any(&p, e);
	if (r) {
		out->injected = false;
		json_free(out->patch);
		out->patch = json_list();
	}
	json_free(p.annotations);
	json_free(p.values);
	return r;
}

void inject_out_fini(struct inject_out *out)
{
	json_free(out->patch);
	json_free(out->warnings);
	json_free(out->config);
	*out = (struct inject_out){0};
}
