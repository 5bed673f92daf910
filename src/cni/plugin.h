/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_PLUGIN_H
#define CNI_PLUGIN_H

/*
 * The chained CNI plugin (spec ext.md §3.4): writes a pod's redirection before any of
 * its containers runs, and tells success only when the rules were read back.
 *
 * Nothing is kept on the node: what a pod's rules have to be is asked of the API server
 * each time.  When it cannot be told whether a pod is in the mesh, ADD fails, and the
 * kubelet tries again: no pod is let through on a guess.
 */
#include "base/buf.h"

/* One call, as CNI_COMMAND says; `in` is the standard input.  Returns the exit status;
 * what goes to the standard output is appended to `out`. */
int plugin_call(struct slice in, struct buf *out);

#endif
