/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_PODRULES_H
#define CNI_PODRULES_H

/*
 * Which pods are redirected and how: our plugin's configuration, and what the pod and
 * its namespace say (spec ext.md §3.2, §3.4).  Values in, values out.
 */
#include "sys/redirect.h"
#include "wire/json.h"

struct cni_conf {
	const char *kubeconfig;
	const char *log_level;
	struct redirect base; /* for a pod that says nothing */
};

/* One entry of the chain (borrowed: texts point into it).  Every value that cannot be
 * is an error: nobody's pods are to be redirected by half of a configuration. */
int cni_conf_read(const struct json *entry, struct cni_conf *out, struct err *e);

/* Does the plugin write this pod's rules?  Else *why says why not. */
bool pod_is_ours(const struct json *pod, const char **why);

/* It is of the control plane: its way to the API server passes no proxy. */
bool pod_wants_api_ports(const struct json *pod);

/*
 * The pod's rules.  `ns` is its Namespace, `api` the Service "kubernetes" (NULL: its
 * usual ports).  An annotation that cannot be understood leaves what the configuration
 * says, as at injection, and is logged.
 */
void pod_redirect(const struct cni_conf *c, const struct json *pod,
	const struct json *ns, const struct json *api, struct redirect *out);

#endif
