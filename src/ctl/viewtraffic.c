/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations of Services and routes about requests. */
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyview.h"
#include "ctl/viewint.h"

#define RANGES_MAX 32

/* ---- annotations ---- */

static uint64_t duration_at(const struct reading *r, const char *name, uint64_t other)
{
	uint64_t ns;

	return duration_parse_go(slice_of(ANNOTATION(r->o, name)), &ns) ? ns : other;
}

static uint32_t count_at(const struct reading *r, const char *name, uint32_t other)
{
	uint64_t n;
	struct slice s = slice_of(ANNOTATION(r->o, name));

	return s.p && slice_u64(s, 1000000, &n) ? (uint32_t)n : other;
}

static bool range(struct slice s, struct status_range *out)
{
	struct slice from;
	uint64_t lo, hi;

	if (slice_is(s, "5xx"))
		*out = (struct status_range){500, 599};
	else if (slice_is(s, "gateway-error"))
		*out = (struct status_range){502, 504};
	else {
		if (!slice_cut(&s, '-', &from) || !slice_u64(from, 599, &lo))
			return false;
		hi = lo;
		if (s.p && s.n && !slice_u64(s, 599, &hi))
			return false;
		*out = (struct status_range){(uint16_t)lo, (uint16_t)hi};
		return lo >= 100 && lo <= hi;
	}
	return true;
}

static void retry_http(struct reading *r, struct traffic *t)
{
	const char *text = ANNOTATION(r->o, "retry.linkerd.io/http");
	struct status_range *v = text ? view_take(r, RANGES_MAX, sizeof *v) : NULL;
	struct slice rest = slice_of(text), part;

	t->retry_http = v;
	while (v && t->nretry_http < RANGES_MAX && slice_cut(&rest, ',', &part))
		t->nretry_http += range(slice_trim(part), &v[t->nretry_http]);
}

static const struct {
	const char *name;
	enum retry_grpc bit;
} codes[] = {
	{"cancelled", RETRY_CANCELLED},
	{"deadline-exceeded", RETRY_DEADLINE},
	{"resource-exhausted", RETRY_EXHAUSTED},
	{"internal", RETRY_INTERNAL},
	{"unavailable", RETRY_UNAVAILABLE},
};

static unsigned retry_grpc(const struct reading *r)
{
	struct slice rest = slice_of(ANNOTATION(r->o, "retry.linkerd.io/grpc")), part;
	unsigned bits = 0;

	while (rest.p && slice_cut(&rest, ',', &part))
		for (size_t i = 0; i < countof(codes); i++)
			if (slice_is(slice_trim(part), codes[i].name))
				bits |= codes[i].bit;
	return bits;
}

#define ACCRUAL "balancer.linkerd.io/failure-accrual"

/* "0.5" */
static float jitter(const char *text)
{
	char *end;
	double ratio = text ? strtod(text, &end) : -1;

	return ratio >= 0 && ratio <= 100 && !*end ? (float)ratio : 0.5f;
}

static void accrual(const struct reading *r, struct traffic *t)
{
	const char *kind = ANNOTATION(r->o, ACCRUAL);

	t->breaks = kind && strcmp(kind, "consecutive") == 0;
	t->break_after = count_at(r, ACCRUAL "-consecutive-max-failures", 7);
	t->penalty_min = duration_at(r, ACCRUAL "-consecutive-min-penalty", NS_PER_S);
	t->penalty_max =
		duration_at(r, ACCRUAL "-consecutive-max-penalty", 60 * NS_PER_S);
	t->jitter = jitter(ANNOTATION(r->o, ACCRUAL "-consecutive-jitter-ratio"));
}

static bool says_something(const struct json *annotations)
{
	static const char *const heads[] = {
		"retry.linkerd.io/", "timeout.linkerd.io/", "balancer.linkerd.io/"};

	json_each(a, annotations)
	{
		for (size_t i = 0; i < countof(heads); i++)
			if (strncmp(json_key(a), heads[i], strlen(heads[i])) == 0)
				return true;
	}
	return false;
}

const struct traffic *view_traffic(struct reading *r)
{
	struct traffic *t = says_something(json_path(r->o, "metadata.annotations"))
				    ? view_take(r, 1, sizeof *t)
				    : NULL;

	if (!t)
		return NULL;
	t->request = duration_at(r, "timeout.linkerd.io/request", 0);
	t->response = duration_at(r, "timeout.linkerd.io/response", 0);
	t->idle = duration_at(r, "timeout.linkerd.io/idle", 0);
	retry_http(r, t);
	t->retry_grpc = retry_grpc(r);
	t->retry_limit = count_at(r, "retry.linkerd.io/limit", 0);
	t->retry_timeout = duration_at(r, "retry.linkerd.io/timeout", 0);
	accrual(r, t);
	return t;
}
