/* SPDX-License-Identifier: Apache-2.0 */
/* Is it to be injected? (spec control-plane.md §5.2) */
#include <string.h>

#include "ctl/inject_int.h"

const char *annotation_text(const struct json *annotations, const char *key)
{
	const char *text = json_text(json_get(annotations, key));

	return text ? text : "";
}

static bool starts_with_any(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strncmp(text, *list, strlen(*list)) == 0)
			return true;
	return false;
}

/* After the registry's host, which may be any mirror. */
static const char *image_path(const char *image)
{
	const char *slash = strchr(image, '/');

	return slash && strpbrk(image, ".:") && strpbrk(image, ".:") < slash ? slash + 1
									     : image;
}

static bool is_sidecar(const struct json *c, bool init)
{
	static const char *const names[] = {
		INJECT_PROXY, "linkerd-proxy", "istio-proxy", NULL};
	static const char *const init_names[] = {
		INJECT_INIT, "linkerd-init", "istio-init", NULL};
	static const char *const images[] = {
		"linkerd/proxy:", "istio-release/proxyv2:", NULL};
	static const char *const init_images[] = {
		"linkerd/proxy-init:", "istio-release/proxy_init:", NULL};
	const char *name = json_text_or(c, "name", "");
	const char *image = image_path(json_text_or(c, "image", ""));

	for (size_t i = 0; names[i]; i++)
		if (strcmp(name, names[i]) == 0 ||
			(init && strcmp(name, init_names[i]) == 0))
			return true;
	return starts_with_any(image, images) ||
	       (init && starts_with_any(image, init_images));
}

static bool has_sidecar(const struct json *spec)
{
	json_each(c, json_get(spec, "containers"))
	{
		if (is_sidecar(c, false))
			return true;
	}
	json_each(c, json_get(spec, "initContainers"))
	{
		if (is_sidecar(c, true))
			return true;
	}
	return false;
}

static bool is_yes(const char *v)
{
	return strcmp(v, "enabled") == 0 || strcmp(v, "ingress") == 0;
}

static bool is_valid(const char *v)
{
	return !*v || is_yes(v) || strcmp(v, "disabled") == 0;
}

void plan_say_no(struct plan *p, enum inject_reason r)
{
	p->out->reasons |= 1u << r;
}

static void decide_by_annotation(struct plan *p)
{
	const char *pod = annotation_text(
			   json_get(p->meta, "annotations"), INJECT_ANNOTATION),
		   *ns = annotation_text(p->in->ns_annotations, INJECT_ANNOTATION);

	p->out->annotation_at = "workload";
	if (p->in->origin == INJECT_BY_CLI) {
		if (strcmp(pod, "disabled") == 0)
			plan_say_no(p, INJECT_REASON_DISABLED);
	} else if (!is_valid(ns)) {
		p->out->annotation_at = "namespace";
		plan_say_no(p, INJECT_REASON_INVALID_NS);
	} else if (!is_valid(pod)) {
		plan_say_no(p, INJECT_REASON_INVALID_POD);
	} else if (strcmp(pod, "disabled") == 0) {
		plan_say_no(p, INJECT_REASON_DISABLED);
	} else if (!*pod && is_yes(ns)) {
		p->out->annotation_at = "namespace";
	} else if (!is_yes(pod)) {
		p->out->annotation_at = "";
		plan_say_no(p, INJECT_REASON_ABSENT);
	}
}

void plan_decide(struct plan *p)
{
	if (json_bool_at(p->spec, "hostNetwork", false))
		plan_say_no(p, INJECT_REASON_HOST_NETWORK);
	if (has_sidecar(p->spec))
		plan_say_no(p, INJECT_REASON_SIDECAR);
	decide_by_annotation(p);
	if (!value_is_set(p->in->values, "identity.serviceAccountTokenProjection") &&
		!json_bool_at(p->spec, "automountServiceAccountToken", true))
		plan_say_no(p, INJECT_REASON_NO_TOKEN);
	p->out->injected = p->out->reasons == 0;
	if (ports_are_udp(p->spec))
		plan_say_no(p, INJECT_REASON_UDP);
}

bool inject_is_asked(const struct inject_in *in)
{
	const struct json *t = inject_template(in->object, in->kind);
	struct inject_out out = {0};
	struct plan p = {.in = in,
		.out = &out,
		.meta = json_get(t, "metadata"),
		.spec = json_get(t, "spec")};

	plan_decide(&p);
	return out.injected;
}
