/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/*
 * What commands share: the options that say which cluster and whose mesh, and how they
 * print.
 */
#include "base/buf.h"
#include "base/opt.h"

/* Three rows of a command's table; each argument is the offset of a const char *, as
 * ask_new() takes them. */
#define COMMAND_CLUSTER(at_namespace, at_kubeconfig, at_context)                       \
	{.flag = "linkerd-namespace",                                                  \
		.brief = 'L',                                                          \
		.env = "LINKERD_NAMESPACE",                                            \
		.kind = OPT_TEXT,                                                      \
		.preset = "mesh",                                                      \
		.offset = at_namespace,                                                \
		.arg = "NAME",                                                         \
		.help = "namespace of the control plane"},                             \
		{.flag = "kubeconfig",                                                 \
			.kind = OPT_TEXT,                                              \
			.offset = at_kubeconfig,                                       \
			.arg = "FILE",                                                 \
			.help = "how to reach the cluster"},                           \
	{                                                                              \
		.flag = "context", .kind = OPT_TEXT, .offset = at_context,             \
		.arg = "NAME", .help = "which of its contexts"                         \
	}

/* Prints it all.  1, once it is told as "mesh COMMAND: …", when that cannot be. */
int command_print(const char *command, const struct buf *out);

#endif
