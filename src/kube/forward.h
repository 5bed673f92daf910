/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_FORWARD_H
#define KUBE_FORWARD_H

/*
 * A connection to a port of a pod, through the API server: what `kubectl port-forward`
 * does, as a conn (the WebSocket form of it, v4.channel.k8s.io).  The kubelet connects
 * to the pod's loopback address.  Neither direction can end alone.
 */
#include "kube/kube.h"
#include "net/conn.h"

/* Not open yet; on_gone has the reason when the API server, the kubelet or the pod
 * refuses.  After a request of `k` has had an answer: ERR_BUSY before. */
struct conn *kube_forward(struct kube *k, const char *namespace, const char *pod,
	uint16_t port, struct err *e);

#endif
