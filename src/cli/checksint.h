/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CHECKSINT_H
#define CLI_CHECKSINT_H

/* What the table of checks.c is made of: checkcerts.c, checkhook.c, checkproxies.c,
 * checknet.c. */
#include "cli/check.h"

#define CURE_ISSUER                                                                    \
	"to mend: mesh install with --identity-trust-anchors-file, "                   \
	"--identity-issuer-certificate-file, --identity-issuer-key-file | kubectl "    \
	"apply -f -"
#define CURE_HOOK                                                                      \
	"to mend: mesh install with the files of the present issuer | kubectl apply "  \
	"-f -"

const struct json *check_pods(struct check_run *r, struct err *e); /* PodList */
int check_pod_ready(const struct json *pod, struct err *e);

/* Those of the data plane that are looked at, whether they have a proxy or not. */
const struct json *check_workloads(struct check_run *r, struct err *e);
bool check_is_meshed(const struct check_run *r, const struct json *pod);

struct json *check_values(struct check_run *r,
	struct err *e); /* of mesh-config, above the presets; owned */

bool uses_cni(struct check_run *r), is_ha(struct check_run *r);

typedef int check_fn(struct check_run *r, struct err *e);
check_fn can_connect, can_query, is_new_enough, namespace_is_free, has_crds,
	has_namespace, has_roles, has_bindings, has_accounts, has_webhook, are_deployed,
	are_scheduled, are_ready, can_create_global, has_config, are_several,
	can_create_accounts, can_create_services, can_create_deployments,
	can_create_configmaps, can_create_secrets, can_read_secrets, have_tokens;
check_fn identity_is_readable, anchors_are_valid, anchors_last, issuer_is_valid,
	issuer_lasts, issuer_is_vouched_for, issuer_has_key, hook_is_valid, hook_lasts;
check_fn control_is_same_version, control_proxies_are_ready, proxies_trust_the_same,
	workloads_exist, proxies_are_ready, proxies_are_same_version, pods_are_meshed;
check_fn control_proxies_are_same_version, anchors_are_of_known_kind,
	issuer_is_of_known_kind;
check_fn hook_adds_proxies;
check_fn clocks_agree, policies_let_in_proxies;
check_fn networks_have_nodes, networks_have_pods, networks_have_services,
	pod_labels_are_labels, service_labels_are_labels,
	service_annotations_are_annotations, opaque_ports_agree, extensions_are_once;
check_fn cni_has_config, cni_has_role, cni_has_binding, cni_has_account,
	cni_has_daemonset, cni_runs_everywhere;

#endif
