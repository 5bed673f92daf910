/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/key.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "tls/cert.h"

/* openssl ecparam -name prime256v1 -genkey: for tests only. */
static const char sec1_pem[] =
	"-----BEGIN EC PRIVATE KEY-----\n"
	"MHcCAQEEIBC/pRv7J7bnzd7PZH5xO2V4+9Z5XJqVOoEgE8rUW2iOoAoGCCqGSM49\n"
	"-----END EC PRIVATE KEY-----\n";

TEST(a_key_written_reads_back_and_signs_for_the_first)
{
	static int (*const writes[])(const struct key *, struct buf *, struct err *) = {
		key_write_der, key_write_pem};

	for (size_t i = 0; i < countof(writes); i++) {
		struct key *k = key_generate(NULL), *again;
		struct buf out = BUF_INIT;
		uint8_t sig[64];

		OK(k);
		EQ_INT(writes[i](k, &out, NULL), 0);
		again = key_read(buf_slice(&out), NULL);
		OK(again);
		EQ_INT(key_sign_es256(again, SLICE("header.payload"), sig, NULL), 0);
		EQ_INT(key_verify_es256(k, SLICE("header.payload"), sig), 0);
		EQ_INT(key_verify_es256(k, SLICE("header.payloae"), sig), -1);
		key_free(k);
		key_free(again);
		buf_fini(&out);
	}
}

TEST(a_signature_with_any_bit_changed_does_not_verify)
{
	struct key *k = key_generate(NULL), *other = key_generate(NULL);
	uint8_t sig[64];

	EQ_INT(key_sign_es256(k, SLICE("x"), sig, NULL), 0);
	EQ_INT(key_verify_es256(k, SLICE("x"), sig), 0);
	EQ_INT(key_verify_es256(k, SLICE("x"), sig), 0); /* as remembered */
	EQ_INT(key_verify_es256(other, SLICE("x"), sig), -1);
	for (size_t bit = 0; bit < 512; bit += 13) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		EQ_INT(key_verify_es256(k, SLICE("x"), sig), -1);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	memset(sig, 0, sizeof sig);
	EQ_INT(key_verify_es256(k, SLICE("x"), sig), -1);
	memset(sig, 0xff, sizeof sig);
	EQ_INT(key_verify_es256(k, SLICE("x"), sig), -1);
	key_free(k);
	key_free(other);
}

TEST(a_copy_is_the_same_key)
{
	struct key *k = key_generate(NULL), *copy = key_copy(k, NULL);
	struct buf a = BUF_INIT, b = BUF_INIT;

	OK(copy);
	key_write_der(k, &a, NULL);
	key_write_der(copy, &b, NULL);
	OK(slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_fini(&a);
	buf_fini(&b);
	key_free(k);
	key_free(copy);
}

TEST(two_keys_differ)
{
	struct key *k = key_generate(NULL), *other = key_generate(NULL);
	struct buf a = BUF_INIT, b = BUF_INIT;

	key_write_der(k, &a, NULL);
	key_write_der(other, &b, NULL);
	OK(!slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_fini(&a);
	buf_fini(&b);
	key_free(k);
	key_free(other);
}

TEST(what_is_no_key_is_refused_with_a_reason)
{
	struct err e = {0};

	OK(!key_read(SLICE_NONE, &e));
	EQ_STR(e.msg, "key: empty");
	OK(!key_read(SLICE("certainly not"), &e));
	EQ_INT(e.code, ERR_SYNTAX);
	OK(!key_read(SLICE(sec1_pem), &e)); /* cut short */
	EQ_INT(e.code, ERR_SYNTAX);
	OK(!key_read(slice_bytes(sec1_pem, 1 << 20), &e));
	EQ_STR(e.msg, "key: too large");
}

TEST(a_key_cut_anywhere_is_refused)
{
	struct key *k = key_generate(NULL);
	struct buf out = BUF_INIT;

	key_write_der(k, &out, NULL);
	for (size_t n = 0; n < buf_len(&out); n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, out.p, n);
		OK(!key_read(slice_bytes(copy, n), NULL));
		free(copy);
	}
	buf_fini(&out);
	key_free(k);
}

TEST(digests_are_right)
{
	char hex[2 * SHA256_SIZE + 1];
	uint8_t d[20];
	static const uint8_t abc1[] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a,
		0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};

	sha256_hex(SLICE("abc"), hex);
	EQ_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex(SLICE_NONE, hex);
	EQ_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha1(SLICE("abc"), d);
	OK(memcmp(d, abc1, sizeof d) == 0);
}

TEST(secrets_are_random)
{
	uint8_t a[32] = {0}, b[32] = {0};

	random_secret(a, sizeof a);
	random_secret(b, sizeof b);
	OK(memcmp(a, b, sizeof a) != 0);
}
