/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/der.h"

#include <stdio.h>

#include "base/clock.h"

void der_init(struct der *d)
{
	d->at = DER_MAX;
	d->failed = false;
}

void der_raw(struct der *d, const void *p, size_t n)
{
	if (n > d->at) {
		d->failed = true;
		return;
	}
	d->at -= n;
	if (n)
		memcpy(d->bytes + d->at, p, n);
}

static void der_byte(struct der *d, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	der_raw(d, &b, 1);
}

/* Length and tag (X.690 §8.1.3); DER_MAX needs two bytes of length. */
static void der_head(struct der *d, unsigned tag, size_t n)
{
	der_byte(d, (unsigned)n & 0xff);
	if (n > 0xff)
		der_byte(d, (unsigned)(n >> 8));
	if (n > 0x7f)
		der_byte(d, n > 0xff ? 0x82 : 0x81);
	der_byte(d, tag);
}

void der_wrap(struct der *d, size_t mark, unsigned tag)
{
	der_head(d, tag, mark - d->at);
}

void der_value(struct der *d, unsigned tag, const void *p, size_t n)
{
	der_raw(d, p, n);
	der_head(d, tag, n);
}

void der_oid(struct der *d, struct slice oid)
{
	der_value(d, DER_OID, oid.p, oid.n);
}

void der_uint(struct der *d, uint64_t v)
{
	size_t mark = der_mark(d);

	do {
		der_byte(d, v & 0xff);
		v >>= 8;
	} while (v);
	if (!d->failed && d->bytes[d->at] & 0x80)
		der_byte(d, 0); /* else it would be negative */
	der_wrap(d, mark, DER_INTEGER);
}

void der_bits(struct der *d, const void *p, size_t n, unsigned unused_bits)
{
	size_t mark = der_mark(d);

	der_raw(d, p, n);
	der_byte(d, unused_bits);
	der_wrap(d, mark, DER_BITS);
}

void der_true(struct der *d)
{
	der_value(d, DER_BOOL, "\xff", 1);
}

void der_time(struct der *d, uint64_t wall_ns)
{
	char text[CLOCK_TEXT], digits[CLOCK_TEXT] = "";
	bool late;
	size_t n = 0;

	clock_rfc3339(wall_ns, false, text);
	for (const char *c = text; *c; c++) {
		if (*c != '-' && *c != ':' && *c != 'T')
			digits[n++] = *c;
	}
	late = memcmp(digits, "2050", 4) >= 0;
	if (late)
		der_value(d, DER_TIME, digits, n);
	else
		der_value(d, DER_UTC_TIME, digits + 2, n - 2);
}

int der_curve(struct der *d, mbedtls_ecp_group_id id)
{
	if (id == MBEDTLS_ECP_DP_SECP256R1)
		der_oid(d, OID_P256);
	else if (id == MBEDTLS_ECP_DP_SECP384R1)
		der_oid(d, OID_P384);
	else if (id == MBEDTLS_ECP_DP_SECP521R1)
		der_oid(d, OID_P521);
	else
		return -1;
	return 0;
}

struct slice der_slice(const struct der *d)
{
	return slice_bytes(d->bytes + d->at, DER_MAX - d->at);
}

int der_take(const struct der *d, struct buf *out)
{
	return d->failed ? -1 : buf_adds(out, der_slice(d));
}
