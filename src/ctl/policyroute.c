/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/policyroute.h"

#include "base/obj.h"

/* ---- which ---- */

static bool names(
	const struct route_view *r, const struct object_ref *parent, uint16_t port)
{
	for (size_t i = 0; i < r->nparents; i++) {
		const struct parent_ref *p = &r->parents[i];

		if (strcmp(p->to.group, parent->group) == 0 &&
			strcmp(p->to.kind, parent->kind) == 0 &&
			strcmp(p->to.ns, parent->ns) == 0 &&
			strcmp(p->to.name, parent->name) == 0 &&
			(!p->port || !port || p->port == port))
			return true;
	}
	return false;
}

static int older(const void *a, const void *b)
{
	const struct route_view *x = *(const struct route_view *const *)a,
				*y = *(const struct route_view *const *)b;
	int d = strcmp(x->created, y->created);

	if (!d)
		d = strcmp(x->view.ns, y->view.ns);
	if (!d)
		d = strcmp(x->view.name, y->view.name);
	return d ? d : (int)x->view.kind - (int)y->view.kind;
}

struct route_list routes_of(struct reader *r, const struct object_ref *parent,
	uint16_t port, bool grpc, const char *ns, struct arena *a)
{
	const struct list *places =
		index_routes(r, parent->kind, parent->ns, parent->name);
	struct route_list all = {
		MAKE_LIST(const struct route_view *, places_count(places), a), 0};
	struct place *p;

	list_each(p, places, node)
	{
		const struct route_view *route = place_as(p, route_view);

		if (route->is_grpc == grpc && names(route, parent, port) &&
			(!ns || strcmp(route->view.ns, ns) == 0))
			all.v[all.n++] = route;
	}
	qsort(all.v, all.n, sizeof *all.v, older);
	return all;
}

/* ---- parts ---- */

#define GRPC_INTERNAL 13

Outbound__HttpRoute__Filter *failure_filter(
	bool grpc, const char *message, struct arena *a)
{
	Outbound__HttpRoute__Filter *f =
		MAKE(Outbound__HttpRoute__Filter, outbound__http_route__filter, a);
	HttpRoute__HttpFailureInjector *m = MAKE(
		HttpRoute__HttpFailureInjector, http_route__http_failure_injector, a);

	f->kind_case = OUTBOUND__HTTP_ROUTE__FILTER__KIND_FAILURE_INJECTOR;
	f->failure_injector = m;
	m->status = grpc ? GRPC_INTERNAL : 500;
	m->message = make_text(a, "%s", message);
	return f;
}

Outbound__HttpRoute__Filter **rule_filters(
	const struct route_rule *rule, bool grpc, size_t *n, struct arena *a)
{
	Outbound__HttpRoute__Filter **v =
		MAKE_LIST(Outbound__HttpRoute__Filter *, rule->nfilters + 1, a);

	*n = 0;
	if (rule->unknown)
		v[(*n)++] = failure_filter(
			grpc, make_text(a, "filter %s is not known", rule->unknown), a);
	for (size_t i = 0; i < rule->nfilters; i++)
		v[(*n)++] = rule->filters[i];
	return v;
}

Meta__Metadata *route_metadata(const struct route_view *r, struct arena *a)
{
	Meta__Metadata *m =
		api_meta(route_group(r), route_kind(r), r->view.ns, r->view.name, 0, a);

	must(m);
	return m;
}
