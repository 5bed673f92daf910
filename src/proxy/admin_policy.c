/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin port has a policy like any other (spec proxy.md §14).  Never refused are
 * probes, whatever it says, and the pod itself: a policy that nobody understands must
 * not make a pod die, nor shut its owner out.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/obj.h"
#include "http/site.h"
#include "proxy/control.h"

struct admin_policy {
	struct sub *sub;
	struct inbound_policy *now; /* a reference; NULL before the first turn */
};

static void told(void *arg, struct ref *value)
{
	struct admin_policy *a = arg;

	ref_get(value);
	if (a->now)
		ref_put(&a->now->ref);
	a->now = container_of(value, struct inbound_policy, ref);
}

struct admin_policy *admin_policy_new(struct loop *l, struct disco *d, uint16_t port)
{
	struct admin_policy *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->sub = disco_inbound(d, l, port, told, a);
	if (a->sub)
		return a;
	free(a);
	return NULL;
}

static bool is_probe(const struct call *c)
{
	return slice_is(c->path, "/live") || slice_is(c->path, "/ready");
}

static bool is_authorized(const struct inbound_policy *p,
	const struct policy_route *route, const struct call *c)
{
	return (route && authz_match(route->authz, route->nauthz, &c->peer.ip,
				 c->is_tls, c->peer_id)) ||
	       authz_match(p->authz, p->nauthz, &c->peer.ip, c->is_tls, c->peer_id);
}

bool admin_policy_permits(const struct admin_policy *a, struct call *c)
{
	const struct inbound_policy *p = a->now;
	const struct policy_route *route = NULL;
	char peer[ADDR_TEXT];

	if (is_probe(c) || ip_is_loopback(&c->peer.ip))
		return true;
	if (!p || p->invalid) {
		call_text(c, 500, "invalid server policy\n");
		return false;
	}
	if (p->nroutes && !routes_match(p->routes, p->nroutes, c->req, &route)) {
		call_text(c, 404, "no route found\n");
		return false;
	}
	if (is_authorized(p, route, c))
		return true;
	log_info("proxy", "request denied", LS("client", addr_text(&c->peer, peer)),
		LS("client_id", c->peer_id), LS("server", p->server.name),
		LZ("path", c->path));
	call_text(c, 403, "%s is not authorized\n", peer);
	return false;
}
