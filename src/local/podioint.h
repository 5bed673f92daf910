/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODIOINT_H
#define LOCAL_PODIOINT_H

/* The kubelet's answers to logs, exec, attach and port-forward. */
#include "local/nodeint.h"
#include "local/podio.h"
#include "local/wsconn.h"

#define PODIO_MESSAGE_MAX ((size_t)1 << 20)

/* Of the streams with channels, for wsconn_accept(). */
extern const char *const podio_protocols[];

/* NULL when the node does not run it. */
struct pod *podio_pod(struct local_node *n, const struct podio_target *t);
struct container *podio_find(struct local_node *n, const struct podio_target *t);

void podio_exec(void *arg, struct call *c, const struct podio_target *t);
void podio_attach(void *arg, struct call *c, const struct podio_target *t);
/* port-forward to the ports of the query; false: not asked for so, nothing answered. */
bool podio_ports(struct call *c, const struct pod *p, const struct podio_target *t);
void podio_forward(void *arg, struct call *c, const struct podio_target *t);

#endif
