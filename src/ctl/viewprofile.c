/* SPDX-License-Identifier: Apache-2.0 */
/* ServiceProfile: its routes as the messages they come to. */
#include "api/api.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyview.h"
#include "ctl/viewint.h"

#define CONDITION_DEPTH 8 /* all, any and not within each other */

/* ---- conditions of requests ---- */

static Destination__RequestMatch *request(
	struct reading *r, const struct json *j, int depth);

static Destination__RequestMatch__Seq *requests(
	struct reading *r, const struct json *list, int depth)
{
	Destination__RequestMatch__Seq *m = VIEW_NEW(
		r, Destination__RequestMatch__Seq, destination__request_match__seq);

	if (!m)
		return NULL;
	m->matches = view_take(r, json_count(list), sizeof(void *));
	json_each(x, list)
	{
		Destination__RequestMatch *one =
			m->matches ? request(r, x, depth) : NULL;

		if (one)
			m->matches[m->n_matches++] = one;
	}
	return m;
}

/* Path and method, which may stand together: both must match then. */
static Destination__RequestMatch *path_match(struct reading *r, const char *regex)
{
	Destination__RequestMatch *m =
		VIEW_NEW(r, Destination__RequestMatch, destination__request_match);

	if (!m)
		return NULL;
	m->match_case = DESTINATION__REQUEST_MATCH__MATCH_PATH;
	m->path = VIEW_NEW(r, Destination__PathMatch, destination__path_match);
	if (m->path)
		m->path->regex = view_field(r, regex);
	return m;
}

static Destination__RequestMatch *method_match(struct reading *r, const char *name)
{
	Destination__RequestMatch *m =
		VIEW_NEW(r, Destination__RequestMatch, destination__request_match);

	if (!m)
		return NULL;
	m->match_case = DESTINATION__REQUEST_MATCH__MATCH_METHOD;
	m->method = api_method(name, r->a);
	r->full |= !m->method;
	return m;
}

static Destination__RequestMatch *seq_match(struct reading *r,
	Destination__RequestMatch__MatchCase how, const struct json *list, int depth)
{
	Destination__RequestMatch *m =
		VIEW_NEW(r, Destination__RequestMatch, destination__request_match);

	if (!m)
		return NULL;
	m->match_case = how;
	m->all = requests(r, list, depth); /* a union: any, too */
	return m;
}

static Destination__RequestMatch *not_match(
	struct reading *r, const struct json *j, int depth)
{
	Destination__RequestMatch *m =
		VIEW_NEW(r, Destination__RequestMatch, destination__request_match);

	if (!m)
		return NULL;
	m->match_case = DESTINATION__REQUEST_MATCH__MATCH_NOT;
	m->not_ = request(r, j, depth);
	return m->not_ ? m : NULL;
}

/* NULL when it says nothing that is known. */
static Destination__RequestMatch *request(
	struct reading *r, const struct json *j, int depth)
{
	const char *path = json_text_at(j, "pathRegex"),
		   *method = json_text_at(j, "method");
	const struct json *all = json_get(j, "all"), *any = json_get(j, "any"),
			  *not = json_get(j, "not");
	Destination__RequestMatch *v[5] = {NULL}, *both;
	size_t n = 0;

	if (depth == 0)
		return NULL;
	if (path)
		v[n++] = path_match(r, path);
	if (method)
		v[n++] = method_match(r, method);
	if (all)
		v[n++] = seq_match(
			r, DESTINATION__REQUEST_MATCH__MATCH_ALL, all, depth - 1);
	if (any)
		v[n++] = seq_match(
			r, DESTINATION__REQUEST_MATCH__MATCH_ANY, any, depth - 1);
	if (not )
		v[n++] = not_match(r, not, depth - 1);
	if (n <= 1)
		return v[0];
	both = seq_match(r, DESTINATION__REQUEST_MATCH__MATCH_ALL, NULL, depth);
	if (both && both->all) {
		both->all->matches = view_take(r, n, sizeof(void *));
		for (size_t i = 0; i < n && both->all->matches; i++)
			if (v[i])
				both->all->matches[both->all->n_matches++] = v[i];
	}
	return both;
}

/* ---- conditions of responses ---- */

static Destination__ResponseMatch *response(
	struct reading *r, const struct json *j, int depth);

static Destination__ResponseMatch__Seq *responses(
	struct reading *r, const struct json *list, int depth)
{
	Destination__ResponseMatch__Seq *m = VIEW_NEW(
		r, Destination__ResponseMatch__Seq, destination__response_match__seq);

	if (!m)
		return NULL;
	m->matches = view_take(r, json_count(list), sizeof(void *));
	json_each(x, list)
	{
		Destination__ResponseMatch *one =
			m->matches ? response(r, x, depth) : NULL;

		if (one)
			m->matches[m->n_matches++] = one;
	}
	return m;
}

static Destination__HttpStatusRange *status(struct reading *r, const struct json *j)
{
	Destination__HttpStatusRange *m = VIEW_NEW(
		r, Destination__HttpStatusRange, destination__http_status_range);
	int64_t min = json_int_at(j, "min", 0), max = json_int_at(j, "max", 0);

	if (!m)
		return NULL;
	m->min = (uint32_t)(min > 0 ? min : max > 0 ? 100 : 0);
	m->max = (uint32_t)(max > 0 ? max : min);
	return m;
}

static Destination__ResponseMatch *response(
	struct reading *r, const struct json *j, int depth)
{
	Destination__ResponseMatch *m =
		VIEW_NEW(r, Destination__ResponseMatch, destination__response_match);
	const struct json *all = json_get(j, "all"), *any = json_get(j, "any"),
			  *not = json_get(j, "not"), *range = json_get(j, "status");

	if (!m || depth == 0)
		return NULL;
	if (range) {
		m->match_case = DESTINATION__RESPONSE_MATCH__MATCH_STATUS;
		m->status = status(r, range);
	} else if (all) {
		m->match_case = DESTINATION__RESPONSE_MATCH__MATCH_ALL;
		m->all = responses(r, all, depth - 1);
	} else if (any) {
		m->match_case = DESTINATION__RESPONSE_MATCH__MATCH_ANY;
		m->any = responses(r, any, depth - 1);
	} else if (not ) {
		m->match_case = DESTINATION__RESPONSE_MATCH__MATCH_NOT;
		m->not_ = response(r, not, depth - 1);
	}
	return m->match_case ? m : NULL;
}

/* ---- routes ---- */

static void classes(struct reading *r, Destination__Route *m, const struct json *list)
{
	m->response_classes = view_take(r, json_count(list), sizeof(void *));
	json_each(x, list)
	{
		Destination__ResponseClass *c = VIEW_NEW(
			r, Destination__ResponseClass, destination__response_class);

		if (!c || !m->response_classes)
			return;
		c->condition = response(r, json_get(x, "condition"), CONDITION_DEPTH);
		c->is_failure = json_bool_at(x, "isFailure", false);
		if (c->condition)
			m->response_classes[m->n_response_classes++] = c;
	}
}

static void label(struct reading *r, Destination__Route *m, const char *name)
{
	m->metrics_labels = view_take(r, 1, sizeof(void *));
	if (!m->metrics_labels)
		return;
	m->metrics_labels[0] = api_label("route", name ? name : "", r->a);
	r->full |= !m->metrics_labels[0];
	m->n_metrics_labels = 1;
}

/* A route that matches nothing known is left out. */
static Destination__Route *route(struct reading *r, const struct json *j)
{
	Destination__Route *m = VIEW_NEW(r, Destination__Route, destination__route);
	uint64_t ns = 0;

	if (!m)
		return NULL;
	m->condition = request(r, json_get(j, "condition"), CONDITION_DEPTH);
	if (!m->condition)
		return NULL;
	classes(r, m, json_get(j, "responseClasses"));
	label(r, m, json_text_at(j, "name"));
	m->is_retryable = json_bool_at(j, "isRetryable", false);
	if (duration_parse_go(slice_of(json_text_at(j, "timeout")), &ns) && ns) {
		m->timeout = api_duration(ns, r->a);
		r->full |= !m->timeout;
	}
	return m;
}

static void routes(struct reading *r, struct profile_view *p, const struct json *list)
{
	p->routes = view_take(r, json_count(list), sizeof(void *));
	json_each(x, list)
	{
		Destination__Route *m = p->routes ? route(r, x) : NULL;

		if (m)
			p->routes[p->nroutes++] = m;
	}
}

/* ---- the rest ---- */

static Destination__RetryBudget *budget(struct reading *r, const struct json *j)
{
	Destination__RetryBudget *m =
		VIEW_NEW(r, Destination__RetryBudget, destination__retry_budget);
	uint64_t ns = 10 * NS_PER_S;

	if (!m || !j)
		return NULL;
	m->retry_ratio = (float)json_real(json_get(j, "retryRatio"), 0.2);
	m->min_retries_per_second = (uint32_t)json_int_at(j, "minRetriesPerSecond", 10);
	(void)duration_parse_go(slice_of(json_text_at(j, "ttl")), &ns);
	m->ttl = api_duration(ns, r->a);
	r->full |= !m->ttl;
	return m;
}

/* A Kubernetes quantity as a weight ("500m", "1", 2), in thousandths. */
static uint32_t thousandths(const struct json *j)
{
	struct slice s = slice_of(json_text(j));
	uint64_t n, unit = 1000;

	if (!s.p)
		return (uint32_t)(json_real(j, 0) * 1000);
	if (slice_ends(s, SLICE("m"))) {
		unit = 1;
		s.n--;
	} else if (slice_ends(s, SLICE("k"))) {
		unit = 1000000;
		s.n--;
	}
	return slice_u64(s, UINT32_MAX / unit, &n) ? (uint32_t)(n * unit) : 0;
}

static void overrides(
	struct reading *r, struct profile_view *p, const struct json *list)
{
	p->dsts = view_take(r, json_count(list), sizeof(void *));
	json_each(x, list)
	{
		Destination__WeightedDst *m = VIEW_NEW(
			r, Destination__WeightedDst, destination__weighted_dst);

		if (!m || !p->dsts)
			return;
		m->authority = view_field(r, json_text_at(x, "authority"));
		m->weight = thousandths(json_get(x, "weight")) * 10;
		p->dsts[p->ndsts++] = m;
	}
}

static const char *ports(struct reading *r, const struct json *list)
{
	struct buf b = BUF_INIT;
	const char *text;

	if (!list)
		return NULL;
	json_each(x, list)
	{
		buf_printf(&b, "%s%s", buf_len(&b) ? "," : "",
			json_text(x) ? json_text(x) : "");
	}
	buf_char(&b, '\0');
	text = view_text(r, b.p + b.at);
	buf_fini(&b);
	return text;
}

void view_read_profile(struct reading *r, struct view *view)
{
	struct profile_view *p = container_of(view, struct profile_view, view);
	const struct json *spec = json_get(r->o, "spec");

	routes(r, p, json_get(spec, "routes"));
	p->budget = budget(r, json_get(spec, "retryBudget"));
	overrides(r, p, json_get(spec, "dstOverrides"));
	p->opaque_ports = ports(r, json_get(spec, "opaquePorts"));
}
