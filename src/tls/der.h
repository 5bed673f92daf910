/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_DER_H
#define TLS_DER_H

/*
 * Writes DER, last byte first: a value's length is known when its head is written.
 *
 *	size_t start = der_mark(&d);
 *	...                                  what is inside, last field first
 *	der_wrap(&d, start, DER_SEQUENCE);
 *
 * What does not fit sets `failed` and der_take() says so; nothing needs checking
 *before.
 */
#include <mbedtls/ecp.h>

#include "base/buf.h"

#define DER_MAX 16384

struct der {
	size_t at; /* the first byte written is bytes[at] */
	bool failed;
	uint8_t bytes[DER_MAX];
};

enum der_tag {
	DER_BOOL = 0x01,
	DER_INTEGER = 0x02,
	DER_BITS = 0x03,
	DER_OCTETS = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_UTF8 = 0x0c,
	DER_UTC_TIME = 0x17,
	DER_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
};
#define DER_CONTEXT(n)       (0xa0 | (n)) /* constructed */
#define DER_CONTEXT_PLAIN(n) (0x80 | (n)) /* primitive */

/* Contents of object identifiers. */
#define OID_EC_PUBLIC_KEY  SLICE("\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_P256           SLICE("\x2a\x86\x48\xce\x3d\x03\x01\x07")
#define OID_P384           SLICE("\x2b\x81\x04\x00\x22")
#define OID_P521           SLICE("\x2b\x81\x04\x00\x23")
#define OID_ECDSA_SHA256   SLICE("\x2a\x86\x48\xce\x3d\x04\x03\x02")
#define OID_RSA            SLICE("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_RSA_SHA256     SLICE("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b")
#define OID_EXTENSIONS     SLICE("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e") /* of a CSR */
#define OID_COMMON_NAME    SLICE("\x55\x04\x03")
#define OID_SUBJECT_KEY    SLICE("\x55\x1d\x0e")
#define OID_KEY_USAGE      SLICE("\x55\x1d\x0f")
#define OID_ALT_NAME       SLICE("\x55\x1d\x11")
#define OID_CONSTRAINTS    SLICE("\x55\x1d\x13")
#define OID_AUTHORITY_KEY  SLICE("\x55\x1d\x23")
#define OID_EXTENDED_USAGE SLICE("\x55\x1d\x25")
#define OID_SERVER_AUTH    SLICE("\x2b\x06\x01\x05\x05\x07\x03\x01")
#define OID_CLIENT_AUTH    SLICE("\x2b\x06\x01\x05\x05\x07\x03\x02")

void der_init(struct der *d);

static inline size_t der_mark(const struct der *d)
{
	return d->at;
}

void der_raw(struct der *d, const void *p, size_t n);
void der_wrap(struct der *d, size_t mark, unsigned tag); /* all since `mark` */
void der_value(struct der *d, unsigned tag, const void *p, size_t n);
void der_oid(struct der *d, struct slice oid);
void der_uint(struct der *d, uint64_t v);
void der_bits(struct der *d, const void *p, size_t n, unsigned unused_bits);
void der_true(struct der *d);
void der_time(
	struct der *d, uint64_t wall_ns); /* UTCTime until 2049 (RFC 5280 §4.1.2.5) */
int der_curve(
	struct der *d, mbedtls_ecp_group_id id); /* its OID; -1: not one of ours */

/* What was written so far, borrowed until the next call. */
struct slice der_slice(const struct der *d);
/* Appends it all to `out`; -1 when anything did not fit. */
int der_take(const struct der *d, struct buf *out);

#endif
