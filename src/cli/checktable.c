/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `mesh check`, in its order. */
#include "base/obj.h"
#include "cli/check.h"
#include "cli/checksint.h"

#define ANY     (CHECK_PRE | CHECK_NORMAL | CHECK_PROXY)
#define BOTH    (CHECK_NORMAL | CHECK_PROXY)
#define INSTALL "to mend: mesh install | kubectl apply -f -"
#define PLACE   "it has no effect where it is: kubectl edit"
#define ADMIN   "ask for the role cluster-admin"
#define NETWORKS                                                                       \
	"to mend: mesh install --set clusterNetworks=… with it | kubectl apply -f -"
#define CNI                                                                            \
	"to mend: install the plugin (chart cni), or name its namespace by "           \
	"--cni-namespace"
#define DESCRIBE                                                                       \
	"to see why: kubectl -n mesh describe pods; kubectl -n mesh logs POD "         \
	"--all-containers"

const struct check checks[] = {
	{"kubernetes-api", "can initialize the client", ANY, CHECK_FATAL, can_connect,
		"give a kubeconfig by --kubeconfig or KUBECONFIG, and its context by "
		"--context"},
	{"kubernetes-api", "can query the Kubernetes API", ANY, CHECK_FATAL, can_query,
		"to see why: kubectl version"},
	{"kubernetes-version", "is running the minimum Kubernetes API version", ANY, 0,
		is_new_enough, "upgrade the cluster"},

	{"pre-kubernetes-setup", "control plane namespace does not already exist",
		CHECK_PRE, 0, namespace_is_free,
		"another control plane? choose a namespace by -L, or: mesh uninstall | "
		"kubectl delete -f -"},
	{"pre-kubernetes-setup", "can create non-namespaced resources", CHECK_PRE, 0,
		can_create_global, ADMIN},
	{"pre-kubernetes-setup", "can create ServiceAccounts", CHECK_PRE, 0,
		can_create_accounts, ADMIN},
	{"pre-kubernetes-setup", "can create Services", CHECK_PRE, 0,
		can_create_services, ADMIN},
	{"pre-kubernetes-setup", "can create Deployments", CHECK_PRE, 0,
		can_create_deployments, ADMIN},
	{"pre-kubernetes-setup", "can create ConfigMaps", CHECK_PRE, 0,
		can_create_configmaps, ADMIN},
	{"pre-kubernetes-setup", "can create Secrets", CHECK_PRE, 0, can_create_secrets,
		ADMIN},
	{"pre-kubernetes-setup", "can read Secrets", CHECK_PRE, 0, can_read_secrets,
		ADMIN},

	{"pre-kubernetes-setup", "no clock skew detected", ANY, CHECK_WARN,
		clocks_agree,
		"certificates depend on it: run a time service on nodes and here"},

	{"linkerd-crd", "control plane CustomResourceDefinitions exist", BOTH,
		CHECK_WARN, has_crds,
		"to mend: mesh install --crds | kubectl apply -f -"},

	{"linkerd-existence", "control plane Namespace exists", BOTH, CHECK_FATAL,
		has_namespace, INSTALL " (or name the namespace by -L)"},
	{"linkerd-existence", "'mesh-config' config map exists", BOTH, CHECK_FATAL,
		has_config, INSTALL},
	{"linkerd-existence", "control plane replica sets are ready", BOTH, CHECK_RETRY,
		are_deployed, DESCRIBE},
	{"linkerd-existence", "no unschedulable pods", BOTH, CHECK_RETRY, are_scheduled,
		"the nodes have no room, or taints that keep it off: kubectl describe "
		"nodes"},
	{"linkerd-existence", "control plane pods are ready", BOTH, CHECK_RETRY,
		are_ready, DESCRIBE},
	{"linkerd-existence", "cluster networks contains all node podCIDRs", BOTH, 0,
		networks_have_nodes, NETWORKS},
	{"linkerd-existence", "cluster networks contains all pods", BOTH, 0,
		networks_have_pods, NETWORKS},
	{"linkerd-existence", "cluster networks contains all services", BOTH, 0,
		networks_have_services, NETWORKS},

	{"linkerd-config", "control plane ClusterRoles exist", BOTH, 0, has_roles,
		INSTALL},
	{"linkerd-config", "control plane ClusterRoleBindings exist", BOTH, 0,
		has_bindings, INSTALL},
	{"linkerd-config", "control plane ServiceAccounts exist", BOTH, 0, has_accounts,
		INSTALL},
	{"linkerd-config", "control plane pods have tokens of their ServiceAccounts",
		BOTH, 0, have_tokens,
		"to mend: kubectl -n mesh rollout restart deployment"},
	{"linkerd-config", "control plane MutatingWebhookConfigurations exist", BOTH, 0,
		has_webhook, INSTALL},

	{"linkerd-cni-plugin", "cni plugin ConfigMap exists", ANY, CHECK_FATAL,
		cni_has_config, CNI},
	{"linkerd-cni-plugin", "cni plugin ClusterRole exists", ANY, CHECK_FATAL,
		cni_has_role, CNI},
	{"linkerd-cni-plugin", "cni plugin ClusterRoleBinding exists", ANY, CHECK_FATAL,
		cni_has_binding, CNI},
	{"linkerd-cni-plugin", "cni plugin ServiceAccount exists", ANY, CHECK_FATAL,
		cni_has_account, CNI},
	{"linkerd-cni-plugin", "cni plugin DaemonSet exists", ANY, CHECK_FATAL,
		cni_has_daemonset, CNI},
	{"linkerd-cni-plugin", "cni plugin pod is running on all nodes", ANY,
		CHECK_FATAL | CHECK_RETRY, cni_runs_everywhere,
		"to see why: kubectl describe pods -A -l k8s-app=mesh-cni; pods that "
		"start on such a node are kept from running, or go un-meshed"},

	{"linkerd-identity", "certificate config is valid", BOTH, CHECK_FATAL,
		identity_is_readable, CURE_ISSUER},
	{"linkerd-identity", "trust anchors are using supported crypto algorithm", BOTH,
		0, anchors_are_of_known_kind, CURE_ISSUER},
	{"linkerd-identity", "trust anchors are within their validity period", BOTH, 0,
		anchors_are_valid, CURE_ISSUER},
	{"linkerd-identity", "trust anchors are valid for at least 60 days", BOTH,
		CHECK_WARN, anchors_last, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is using supported crypto algorithm", BOTH, 0,
		issuer_is_of_known_kind, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is within its validity period", BOTH, 0,
		issuer_is_valid, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is valid for at least 60 days", BOTH,
		CHECK_WARN, issuer_lasts, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is issued by the trust anchor", BOTH, 0,
		issuer_is_vouched_for, CURE_ISSUER},
	{"linkerd-identity", "issuer key is that of its cert", BOTH, 0, issuer_has_key,
		CURE_ISSUER},

	{"linkerd-webhooks-and-apisvc-tls", "proxy-injector webhook has valid cert",
		BOTH, 0, hook_is_valid, CURE_HOOK},
	{"linkerd-webhooks-and-apisvc-tls",
		"proxy-injector cert is valid for at least 60 days", BOTH, CHECK_WARN,
		hook_lasts, CURE_HOOK},
	{"linkerd-webhooks-and-apisvc-tls", "pods are given their proxies (dry run)",
		BOTH, CHECK_RETRY, hook_adds_proxies,
		"to see why: the API server's log; it must reach port 8443 of "
		"mesh-injector's pods (firewalls, NetworkPolicies, no proxy for "
		"HTTPS)"},

	{"control-plane-version", "control plane and cli versions match", BOTH,
		CHECK_WARN, control_is_same_version,
		"to mend: mesh install | kubectl apply -f -, with the newer mesh"},

	{"linkerd-control-plane-proxy", "control plane proxies are healthy", BOTH,
		CHECK_RETRY, control_proxies_are_ready, DESCRIBE},
	{"linkerd-control-plane-proxy", "control plane proxies and cli versions match",
		BOTH, CHECK_WARN, control_proxies_are_same_version,
		"to mend: kubectl -n NAMESPACE rollout restart deployment, of the "
		"control plane"},

	{"linkerd-ha-checks", "multiple replicas of control plane pods", BOTH,
		CHECK_WARN | CHECK_RETRY, are_several, DESCRIBE},

	{"linkerd-extension-checks", "namespace configuration for extensions", BOTH,
		CHECK_WARN, extensions_are_once,
		"to mend: kubectl label namespace NAME linkerd.io/extension-, of the "
		"one that is not it"},

	{"linkerd-identity-data-plane", "data plane proxies certificate match CA",
		CHECK_PROXY, CHECK_WARN, proxies_trust_the_same,
		"to mend: as said; mesh-injector's log, or kubectl rollout restart"},
	{"linkerd-data-plane", "data plane namespace exists", CHECK_PROXY, CHECK_FATAL,
		workloads_exist, "name another by -n"},
	{"linkerd-data-plane", "data plane proxies are ready", CHECK_PROXY, CHECK_RETRY,
		proxies_are_ready,
		"to see why: kubectl describe pod; kubectl logs POD -c mesh-proxy"},
	{"linkerd-data-plane", "data plane and cli versions match", CHECK_PROXY,
		CHECK_WARN, proxies_are_same_version,
		"to mend: kubectl rollout restart, of the workloads of these pods"},
	{"linkerd-data-plane", "data plane pod labels are configured correctly",
		CHECK_PROXY, CHECK_WARN, pod_labels_are_labels, PLACE},
	{"linkerd-data-plane", "data plane service labels are configured correctly",
		CHECK_PROXY, CHECK_WARN, service_labels_are_labels, PLACE},
	{"linkerd-data-plane",
		"data plane service annotations are configured correctly", CHECK_PROXY,
		CHECK_WARN, service_annotations_are_annotations, PLACE},
	{"linkerd-data-plane", "opaque ports are properly annotated", CHECK_PROXY,
		CHECK_WARN, opaque_ports_agree,
		"to mend: the same config.linkerd.io/opaque-ports on the Service and "
		"on the pods' template (or on the namespace), then kubectl rollout "
		"restart"},
	{"linkerd-data-plane", "NetworkPolicies let the proxies in", CHECK_PROXY,
		CHECK_WARN, policies_let_in_proxies,
		"meshed connections arrive there: add the port to the policy's rule"},
	{"linkerd-data-plane", "every pod that should have a proxy has one",
		CHECK_PROXY, CHECK_WARN, pods_are_meshed,
		"it was made while the webhook was away: kubectl delete pod, and "
		"another is made"},
};
const size_t checks_count = countof(checks);

const struct check_condition check_conditions[] = {
	{"linkerd-cni-plugin", uses_cni},
	{"linkerd-ha-checks", is_ha},
};
const size_t check_conditions_count = countof(check_conditions);
