/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODIOINT_H
#define LOCAL_PODIOINT_H

/* The kubelet's answers to logs and exec. */
#include "local/nodeint.h"
#include "local/podio.h"

struct container *podio_find(struct local_node *n, const struct podio_target *t);
void podio_exec(void *arg, struct call *c, const struct podio_target *t);

#endif
