/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/init.h"

#include <errno.h>
#include <mbedtls/platform_time.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/obj.h"
#include "tls/key.h"

static _Thread_local uint64_t pinned;

void tls_clock_pin(uint64_t wall_ns)
{
	pinned = wall_ns;
}

uint64_t tls_clock(void)
{
	return pinned ? pinned : clock_wall();
}

static mbedtls_time_t seconds_now(mbedtls_time_t *out)
{
	mbedtls_time_t now = (mbedtls_time_t)(tls_clock() / NS_PER_S);

	if (out)
		*out = now;
	return now;
}

static void init_once(void)
{
	mbedtls_platform_set_time(seconds_now);
	if (psa_crypto_init() == PSA_SUCCESS)
		return;
	fputs("cryptography does not start: no memory, or no randomness\n", stderr);
	exit(1); /* at a program's start; nothing can be done without it */
}

void tls_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
}

void random_secret(void *p, size_t n)
{
	uint8_t *at = p;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		must(got > 0);
		at += got;
		n -= (size_t)got;
	}
}

int tls_random(void *unused, unsigned char *out, size_t n)
{
	(void)unused;
	random_secret(out, n);
	return 0;
}

struct reason {
	int ret; /* low-level part included only where it is exact */
	const char *text;
};

static const struct reason reasons[] = {
	{MBEDTLS_ERR_SSL_INVALID_MAC, "a record does not decrypt"},
	{MBEDTLS_ERR_SSL_INVALID_RECORD, "not a TLS record"},
	{MBEDTLS_ERR_SSL_DECODE_ERROR, "malformed message"},
	{MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, "a parameter is not allowed"},
	{MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION, "unsupported extension"},
	{MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, "no application protocol in common"},
	{MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "unexpected message"},
	{MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME, "unrecognised server name"},
	{MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, "peer closed"},
	{MBEDTLS_ERR_SSL_BAD_CERTIFICATE,
		"certificate is malformed or its usage is wrong"},
	{MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "peer sent no certificate"},
	{MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED, "no private key"},
	{MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "peer does not speak TLS 1.3"},
	{MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "no parameters in common"},
	{MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, "unexpected record"},
	{MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL, "message too large"},
	{MBEDTLS_ERR_SSL_ALLOC_FAILED, "out of memory"},
	{MBEDTLS_ERR_X509_ALLOC_FAILED, "out of memory"},
	{MBEDTLS_ERR_PK_ALLOC_FAILED, "out of memory"},
	{MBEDTLS_ERR_PK_KEY_INVALID_FORMAT, "not a key"},
	{MBEDTLS_ERR_PK_PASSWORD_REQUIRED, "the key is encrypted"},
	{MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE, "unknown curve"},
	{MBEDTLS_ERR_PK_UNKNOWN_PK_ALG, "unknown kind of key"},
	{MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT, "not a certificate"},
};

static const char *reason_of(int ret)
{
	for (size_t i = 0; i < countof(reasons); i++) {
		if (reasons[i].ret == ret)
			return reasons[i].text;
	}
	return NULL;
}

int tls_err(struct err *e, enum errc code, const char *what, int ret)
{
	/* A high-level code may carry a low-level one in its last seven bits. */
	const char *text = reason_of(ret);

	if (!text)
		text = reason_of(-(-ret & ~0x7f));
	if (text)
		return err_set(e, code, "%s: %s", what, text);
	return err_set(e, code, "%s: malformed (-0x%04x)", what, (unsigned)-ret);
}
