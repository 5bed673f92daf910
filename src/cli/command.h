/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/*
 * What commands share: the options that say which cluster and whose mesh, and how they
 * print.
 */
#include "base/buf.h"
#include "base/opt.h"
#include "kube/kube.h"

/* The rows of a command's table that say which cluster; the arguments are the offsets
 * of a const char *, and of a struct kube_config. */
#define COMMAND_CLUSTER(at_namespace, at_cluster)                                      \
	{.flag = "linkerd-namespace",                                                  \
		.brief = 'L',                                                          \
		.env = "LINKERD_NAMESPACE",                                            \
		.kind = OPT_TEXT,                                                      \
		.preset = "mesh",                                                      \
		.offset = at_namespace,                                                \
		.arg = "NAME",                                                         \
		.help = "namespace of the control plane"},                             \
		COMMAND_KUBE("kubeconfig", "FILE", at_cluster, kubeconfig,             \
			"how to reach the cluster"),                                   \
		COMMAND_KUBE("context", "NAME", at_cluster, context,                   \
			"which of its contexts"),                                      \
		COMMAND_KUBE("as", "USER", at_cluster, as, "act for this user"),       \
	{                                                                              \
		.flag = "as-group", .kind = OPT_CUSTOM, .offset = at_cluster,          \
		.arg = "GROUP", .help = "with --as: and this group (may be repeated)", \
		.parse = command_as_group                                              \
	}
#define COMMAND_KUBE(name, a, at_cluster, field, text)                                 \
	{                                                                              \
		.flag = name, .kind = OPT_TEXT,                                        \
		.offset = (at_cluster) + offsetof(struct kube_config, field),          \
		.arg = a, .help = text                                                 \
	}
int command_as_group(void *cluster, const char *text, struct err *e);

/* Prints it all.  1, once it is told as "mesh COMMAND: …", when that cannot be. */
int command_print(const char *command, const struct buf *out);

#endif
