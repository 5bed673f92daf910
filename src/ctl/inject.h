/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_INJECT_H
#define CTL_INJECT_H

/*
 * Which workloads get a proxy, and what of it becomes part of the pod (spec
 * control-plane.md §5).  Bytes of a request and the installation's values in, a JSON
 * Patch out; no I/O, no clock.
 *
 * An annotation whose value cannot be understood is refused, and the message names it,
 * its value and what it may be: a pod that starts otherwise than was asked for is found
 * out too late.  One that nobody knows is warned of.
 */
#include "wire/json.h"

#define INJECT_ANNOTATION  "linkerd.io/inject"
#define INJECT_CONFIG      "config.linkerd.io/" /* of every other annotation */
#define INJECT_CONFIG_ALFA "config.alpha.linkerd.io/"
#define INJECT_CONFIG_BETA "config.beta.linkerd.io/"
#define INJECT_PROXY       "mesh-proxy" /* names of containers */
#define INJECT_INIT        "mesh-init"
#define INJECT_VALIDATOR   "mesh-network-validator"
#define INJECT_DEBUG       "mesh-debug"

/* The ConfigMap with the trust anchors: in the control plane's namespace the one that
 * counts, elsewhere its copy (anchorcopy.h). */
#define INJECT_ROOTS     "mesh-identity-trust-roots"
#define INJECT_ROOTS_KEY "ca-bundle.crt"

/* ---- values ---- */

/*
 * The installation's values, as the chart calls them: `yaml` (may be empty) over the
 * presets.  Owned.  A value that an annotation could not have either is an error, and
 * every such one is named in it as far as there is room.
 */
struct json *inject_values_read(struct slice yaml, struct err *e);
/* Sets values.identityTrustAnchorsPEM. */
void inject_values_set_anchors(struct json *values, struct slice pem);

/* ---- the decision ---- */

/* name, metric label, text for people */
#define INJECT_REASONS(X)                                                              \
	X(HOST_NETWORK, "host_network_enabled", "hostNetwork is enabled")              \
	X(SIDECAR, "sidecar_already_exists", "pod has a sidecar injected already")     \
	X(UNSUPPORTED, "unsupported_resource", "this resource kind is unsupported")    \
	X(ABSENT, "injection_enable_annotation_absent",                                \
		"neither the namespace nor the pod have the annotation "               \
		"\"linkerd.io/inject\" set to \"enabled\"")                            \
	X(DISABLED, "injection_disable_annotation_present",                            \
		"pod has the annotation \"linkerd.io/inject: disabled\"")              \
	X(INVALID_NS, "invalid_inject_annotation_at_ns",                               \
		"invalid value for annotation \"linkerd.io/inject\" at namespace")     \
	X(INVALID_POD, "invalid_inject_annotation_at_workload",                        \
		"invalid value for annotation \"linkerd.io/inject\" at workload")      \
	X(NO_TOKEN, "disabled_automount_service_account_token_account",                \
		"automountServiceAccountToken is false and token projection is off")   \
	X(UDP, "udp_ports_enabled", "UDP port(s) configured on pod spec")

enum inject_reason {
#define X(name, label, text) INJECT_REASON_##name,
	INJECT_REASONS(X)
#undef X
		INJECT_REASON_COUNT
};
const char *inject_reason_label(enum inject_reason r);
const char *inject_reason_text(enum inject_reason r);

enum inject_origin {
	INJECT_BY_WEBHOOK,
	INJECT_BY_CLI, /* asked for by name: no annotation is needed */
};

struct inject_in {
	enum inject_origin origin;
	const struct json *values; /* from inject_values_read() */
	const struct json *object; /* of the request, with its kind or `kind` */
	const char *kind;          /* NULL: object.kind */
	const char *namespace;
	const struct json *ns_annotations;   /* object of texts, or NULL */
	const char *owner_kind, *owner_name; /* of a pod: "Deployment", "web"; or NULL
					      */
	bool no_native;                      /* the cluster knows no native sidecars */
};

struct inject_out {
	unsigned reasons; /* bits 1u << enum inject_reason; UDP may be set beside yes */
	bool injected;
	const char *annotation_at; /* "workload", "namespace" or "" */
	struct json *patch;        /* JSON Patch; an empty list: nothing to do */
	struct json *warnings;     /* list of texts */
	struct json *config;       /* annotation -> value, of those that had effect */
};

/* -1: the object must be refused, e says why.  `out` needs inject_out_fini() always. */
int inject(const struct inject_in *in, struct inject_out *out, struct err *e);
void inject_out_fini(struct inject_out *out);

/* The decision alone: a webhook that sees this would put a proxy into it. */
bool inject_is_asked(const struct inject_in *in);

/* Where the pod template of that kind is: "", "/spec/template", …; NULL: it has none.
 */
const char *inject_template_path(const char *kind);
/* The pod template itself (an object with metadata and spec), borrowed; NULL. */
struct json *inject_template(const struct json *object, const char *kind);

/* The owner reference of who made the object; borrowed, NULL: nobody did. */
const struct json *inject_controller(const struct json *object);

/* From the API server's /version: init containers that stay (since 1.29).  What says
 * nothing is taken for a new one. */
bool inject_cluster_has_native(const struct json *version);

/* Checks one setting as an annotation ("proxy-cpu-limit"); -1 when it cannot be. */
int inject_setting_check(const char *name, const char *value, struct err *e);

#endif
