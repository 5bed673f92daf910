/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/x509.h"

#include <mbedtls/oid.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/obj.h"
#include "tls/init.h"

#define SAN_KIND 0x1f /* of a context tag */

int x509_read(mbedtls_x509_crt *crt, struct slice s, struct err *e)
{
	char *copy = NULL;
	int ret;

	tls_init();
	if (s.n == 0)
		return err_set(e, ERR_SYNTAX, "certificate: empty");
	if (pem_looks(s)) {
		copy = slice_dup(s);
		ret = copy ? mbedtls_x509_crt_parse(crt, (const uint8_t *)copy, s.n + 1)
			   : MBEDTLS_ERR_X509_ALLOC_FAILED;
		free(copy);
	} else {
		ret = mbedtls_x509_crt_parse_der(crt, (const uint8_t *)s.p, s.n);
	}
	if (ret > 0)
		return err_set(e, ERR_SYNTAX,
			"%d certificates of the file are malformed", ret);
	return ret ? tls_err(e, ERR_SYNTAX, "certificate", ret) : 0;
}

bool x509_matches_key(const mbedtls_x509_crt *leaf, const struct key *k)
{
	return mbedtls_pk_check_pair(&leaf->pk, key_pk(k), tls_random, NULL) == 0;
}

/* ---- names ---- */

static struct slice san_value(const mbedtls_x509_sequence *san)
{
	return slice_bytes(san->buf.p, san->buf.len);
}

static bool san_is(const mbedtls_x509_sequence *san, enum x509_san kind)
{
	return san->buf.p && (san->buf.tag & SAN_KIND) == (int)kind;
}

static bool is_text(struct slice s)
{
	return s.n > 0 && memchr(s.p, 0, s.n) == NULL;
}

struct slice x509_san_first(const mbedtls_x509_sequence *sans, enum x509_san kind)
{
	for (const mbedtls_x509_sequence *s = sans; s; s = s->next) {
		if (san_is(s, kind) && (kind == X509_SAN_IP || is_text(san_value(s))))
			return san_value(s);
	}
	return SLICE_NONE;
}

size_t x509_san_count(const mbedtls_x509_sequence *sans, enum x509_san kind)
{
	size_t n = 0;

	for (const mbedtls_x509_sequence *s = sans; s; s = s->next)
		n += san_is(s, kind);
	return n;
}

size_t x509_san_total(const mbedtls_x509_sequence *sans)
{
	size_t n = 0;

	for (const mbedtls_x509_sequence *s = sans; s; s = s->next)
		n += s->buf.p != NULL;
	return n;
}

/* Empty when it does not fit: half a name is another name. */
static void text_copy(struct slice s, char *out, size_t size)
{
	size_t n = s.n < size && is_text(s) ? s.n : 0;

	memcpy(out, s.p ? s.p : "", n);
	out[n] = 0;
}

void x509_identity(
	const mbedtls_x509_crt *crt, const char *scheme, char *out, size_t size)
{
	struct slice name = x509_san_first(&crt->subject_alt_names, X509_SAN_DNS);

	if (name.n == 0) {
		name = x509_san_first(&crt->subject_alt_names, X509_SAN_URI);
		if (scheme && !slice_starts(name, slice_of(scheme)))
			name = SLICE_NONE;
	}
	text_copy(name, out, size);
}

void x509_common_name(const mbedtls_x509_name *subject, char *out, size_t size)
{
	out[0] = 0;
	for (const mbedtls_x509_name *n = subject; n; n = n->next) {
		if (n->oid.p && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0) {
			text_copy(slice_bytes(n->val.p, n->val.len), out, size);
			return;
		}
	}
}

static bool ip_is(struct slice san, const struct ip *ip)
{
	size_t n = ip->family == 4 ? 4 : 16;

	return san.n == n && memcmp(san.p, ip->b, n) == 0;
}

bool x509_has_identity(const mbedtls_x509_crt *crt, const char *name)
{
	struct slice want = slice_of(name);
	struct ip ip = {0};
	bool is_ip = ip_parse(want, &ip);

	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next) {
		struct slice have = san_value(s);

		if ((san_is(s, X509_SAN_DNS) && slice_ieq(have, want)) ||
			(san_is(s, X509_SAN_URI) && slice_eq(have, want)) ||
			(san_is(s, X509_SAN_IP) && is_ip && ip_is(have, &ip)))
			return true;
	}
	return false;
}

/* ---- times ---- */

/* Days since 1970 of a day of the Gregorian calendar; March is the first month. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
	       719468;
}

uint64_t x509_wall(const mbedtls_x509_time *t)
{
	int64_t s = days_of(t->year, t->mon, t->day) * 86400 + t->hour * 3600 +
		    t->min * 60 + t->sec;
	uint64_t ns;

	if (s < 0)
		return 0;
	/* "99991231235959Z": no end */
	return __builtin_mul_overflow((uint64_t)s, NS_PER_S, &ns) ? UINT64_MAX : ns;
}

/* "3h", "2d": the largest unit only, for people. */
static void span_text(uint64_t ns, char *out, size_t size)
{
	static const struct {
		uint64_t s;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	uint64_t s = ns / NS_PER_S;
	size_t i = 0;

	while (i + 1 < countof(units) && s < units[i].s)
		i++;
	snprintf(out, size, "%llu%c", (unsigned long long)(s / units[i].s),
		units[i].unit);
}

/* ---- why one is refused ---- */

/* Who it is, for a reason's text. */
static void cert_who(const mbedtls_x509_crt *crt, char *out, size_t size)
{
	x509_identity(crt, NULL, out, size);
	if (!out[0])
		x509_common_name(&crt->subject, out, size);
	if (!out[0])
		snprintf(out, size, "a certificate without a name");
}

typedef void explain(const mbedtls_x509_crt *crt, const char *who, struct err *e);

static void explain_unknown(const mbedtls_x509_crt *crt, const char *who, struct err *e)
{
	char issuer[TLS_NAME_TEXT];

	x509_common_name(&crt->issuer, issuer, sizeof issuer);
	err_set(e, ERR_DENIED, "%.90s is signed by an unknown authority (%.90s)", who,
		issuer[0] ? issuer : "no name");
}

static void explain_future(const mbedtls_x509_crt *crt, const char *who, struct err *e)
{
	char when[CLOCK_TEXT];

	clock_rfc3339(x509_wall(&crt->valid_from), false, when);
	err_set(e, ERR_DENIED, "%.120s is not yet valid until %s", who, when);
}

static void explain_expired(const mbedtls_x509_crt *crt, const char *who, struct err *e)
{
	uint64_t end = x509_wall(&crt->valid_to), now = tls_clock();
	char when[CLOCK_TEXT], ago[CLOCK_TEXT];

	clock_rfc3339(end, false, when);
	span_text(now > end ? now - end : 0, ago, sizeof ago);
	err_set(e, ERR_DENIED, "%.120s expired %s ago at %s", who, ago, when);
}

static void explain_usage(const mbedtls_x509_crt *crt, const char *who, struct err *e)
{
	(void)crt;
	err_set(e, ERR_DENIED, "%.120s is not for this use", who);
}

static void explain_weak(const mbedtls_x509_crt *crt, const char *who, struct err *e)
{
	(void)crt;
	err_set(e, ERR_DENIED, "%.120s is signed in a way that is not accepted", who);
}

#define USAGE                                                                          \
	(MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |         \
		MBEDTLS_X509_BADCERT_NS_CERT_TYPE)

static const struct {
	uint32_t flags;
	explain *explain;
} explanations[] = {
	{MBEDTLS_X509_BADCERT_NOT_TRUSTED, explain_unknown},
	{MBEDTLS_X509_BADCERT_FUTURE, explain_future},
	{MBEDTLS_X509_BADCERT_EXPIRED, explain_expired},
	{USAGE, explain_usage},
	{~UINT32_C(0), explain_weak},
};

static void explain_flags(const mbedtls_x509_crt *crt, uint32_t flags, struct err *e)
{
	char who[TLS_NAME_TEXT];
	size_t i = 0;

	cert_who(crt, who, sizeof who);
	while (!(explanations[i].flags & flags))
		i++;
	explanations[i].explain(crt, who, e);
}

int x509_verdict_cb(void *verdict, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct x509_verdict *v = verdict;
	char who[TLS_NAME_TEXT];

	/* Names are compared here, by our rules. */
	*flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
	if (*flags && v->err.code == ERR_NONE)
		explain_flags(crt, *flags, &v->err);
	if (depth == 0 && v->expect && !x509_has_identity(crt, v->expect)) {
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
		cert_who(crt, who, sizeof who);
		if (v->err.code == ERR_NONE)
			err_set(&v->err, ERR_DENIED, "expected %.100s, peer is %.100s",
				v->expect, who);
	}
	return 0;
}

int x509_verify(const mbedtls_x509_crt *chain, const mbedtls_x509_crt *anchors,
	const char *expect, uint64_t now, struct err *e)
{
	struct x509_verdict v = {.expect = expect};
	uint32_t flags = 0;
	int ret;

	tls_clock_pin(now);
	ret = mbedtls_x509_crt_verify((mbedtls_x509_crt *)chain,
		(mbedtls_x509_crt *)anchors, NULL, NULL, &flags, x509_verdict_cb, &v);
	tls_clock_pin(0);
	if (ret == 0)
		return 0;
	if (v.err.code == ERR_NONE)
		return tls_err(e, ERR_DENIED, "verify", ret);
	if (e)
		*e = v.err;
	return -1;
}
