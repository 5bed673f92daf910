/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_ACCESS_H
#define PROXY_ACCESS_H

/*
 * The access log (spec proxy.md §16): one line for each inbound request when it is
 * over, on stderr, when LINKERD2_PROXY_ACCESS_LOG is "apache" or "json".
 *
 * Lines are gathered and leave at the end of the worker's turn; a reader that is slow
 * or gone loses lines, which are counted.  When it is off the filter is in no stack: it
 * costs nothing.
 *
 * total_ns is from the request's head to the end of the response, processing_ns what is
 * left of it without the application's time to its response head.
 */
#include "http/exch.h"
#include "proxy/worker.h"

struct access_log;

struct access_log *access_log_new(struct pworker *w, bool json); /* NULL: no memory */

/* The outermost layer of the inbound stack.  x->user is the px, x->conn_ctx the
 * in_conn. */
extern const struct filter access_filter;

#endif
