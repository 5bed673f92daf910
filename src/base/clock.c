/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t clock_wall(void)
{
	return now(CLOCK_REALTIME);
}

void clock_rfc3339(uint64_t wall_ns, bool millis, char out[CLOCK_TEXT])
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	if (millis)
		n += (size_t)snprintf(out + n, CLOCK_TEXT - n, ".%03u",
			(unsigned)(wall_ns / NS_PER_MS % 1000));
	snprintf(out + n, CLOCK_TEXT - n, "Z");
}

/* ---- parsing ---- */

/* `n` digits at the front of *s. */
static bool digits(struct slice *s, size_t n, int *out)
{
	uint64_t v;

	if (s->n < n || !slice_u64((struct slice){s->p, n}, 9999, &v))
		return false;
	*out = (int)v;
	s->p += n;
	s->n -= n;
	return true;
}

static bool literal(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	s->p++;
	s->n--;
	return true;
}

/* ".5"; nothing at all is 0, a dot alone is not a fraction and stays. */
static uint64_t fraction(struct slice *s)
{
	uint64_t ns = 0, unit = NS_PER_S / 10;

	if (s->n < 2 || s->p[1] < '0' || s->p[1] > '9' || !literal(s, '.'))
		return 0;
	while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
		ns += (uint64_t)(s->p[0] - '0') * unit;
		unit /= 10;
		s->p++;
		s->n--;
	}
	return ns;
}

static bool offset(struct slice *s, int *seconds)
{
	int sign, h, m;

	*seconds = 0;
	if (literal(s, 'Z') || literal(s, 'z'))
		return s->n == 0;
	if (s->n == 0 || (s->p[0] != '+' && s->p[0] != '-'))
		return false;
	sign = s->p[0] == '-' ? -1 : 1;
	s->p++;
	s->n--;
	if (!digits(s, 2, &h) || !literal(s, ':') || !digits(s, 2, &m) || s->n ||
		h > 23 || m > 59)
		return false;
	*seconds = sign * (h * 3600 + m * 60);
	return true;
}

static bool letter_t(struct slice *s)
{
	return literal(s, 'T') || literal(s, 't');
}

/* A day that the calendar has; a leap second is the next minute's first. */
static bool is_time(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (year < 1970 || tm->tm_mon < 0 || tm->tm_mon > 11 || tm->tm_mday < 1)
		return false;
	return tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap) &&
	       tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60;
}

bool clock_parse(struct slice text, uint64_t *wall_ns)
{
	struct tm tm = {0};
	uint64_t ns, whole;
	int year, month, off;
	time_t s;

	if (!digits(&text, 4, &year) || !literal(&text, '-') ||
		!digits(&text, 2, &month) || !literal(&text, '-') ||
		!digits(&text, 2, &tm.tm_mday) || !letter_t(&text) ||
		!digits(&text, 2, &tm.tm_hour) || !literal(&text, ':') ||
		!digits(&text, 2, &tm.tm_min) || !literal(&text, ':') ||
		!digits(&text, 2, &tm.tm_sec))
		return false;
	ns = fraction(&text);
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	if (!offset(&text, &off) || !is_time(&tm))
		return false;
	s = timegm(&tm) - off;
	if (s < 0)
		return false;
	return !__builtin_mul_overflow((uint64_t)s, NS_PER_S, &whole) &&
	       !__builtin_add_overflow(whole, ns, wall_ns);
}

static const struct unit {
	struct slice name;
	uint64_t ns;
} units[] = {
	{{"ns", 2}, 1},
	{{"us", 2}, NS_PER_US},
	{{"ms", 2}, NS_PER_MS},
	{{"s", 1}, NS_PER_S},
	{{"m", 1}, 60 * NS_PER_S},
	{{"h", 1}, 3600 * NS_PER_S},
	{{"d", 1}, 86400 * NS_PER_S},
};

static const struct unit *unit_at(struct slice s)
{
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (slice_starts(s, units[i].name))
			return &units[i];
	return NULL;
}

static size_t number_length(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

bool duration_parse(struct slice text, uint64_t *ns)
{
	struct slice s = slice_trim(text);
	size_t n = number_length(s);
	const struct unit *u;
	uint64_t v;

	if (!slice_u64((struct slice){s.p, n}, UINT64_MAX, &v))
		return false;
	s.p += n;
	s.n -= n;
	if (s.n == 0) {
		*ns = 0;
		return v == 0;
	}
	u = unit_at(s);
	if (!u || u->name.n != s.n || u->ns < NS_PER_MS)
		return false;
	return !__builtin_mul_overflow(v, u->ns, ns);
}

static bool go_part(struct slice *s, uint64_t *total)
{
	size_t n = number_length(*s);
	const struct unit *u;
	uint64_t v = 0, frac, ns;

	if (n && !slice_u64((struct slice){s->p, n}, UINT64_MAX, &v))
		return false;
	s->p += n;
	s->n -= n;
	frac = fraction(s);
	u = unit_at(*s);
	if (!u || (n == 0 && frac == 0) || __builtin_mul_overflow(v, u->ns, &ns))
		return false;
	s->p += u->name.n;
	s->n -= u->name.n;
	ns += (uint64_t)((double)frac / (double)NS_PER_S * (double)u->ns);
	return !__builtin_add_overflow(*total, ns, total);
}

bool duration_parse_go(struct slice text, uint64_t *ns)
{
	uint64_t total = 0;

	if (slice_is(text, "0")) {
		*ns = 0;
		return true;
	}
	if (text.n == 0)
		return false;
	while (text.n > 0)
		if (!go_part(&text, &total))
			return false;
	*ns = total;
	return true;
}

/* ---- random numbers: xorshift64*, seeded per thread ---- */

uint64_t random_u64(void)
{
	static __thread uint64_t state;

	if (!state && getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state)
		state = clock_mono();
	state |= state == 0;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

double random_unit(void)
{
	return (double)(random_u64() >> 11) * 0x1p-53;
}
