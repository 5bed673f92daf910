/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes at a server's handshake, as anybody may send them: it takes no more than it
 * is given, answers little, and where the bytes are cut changes nothing.
 */
#include "base/obj.h"
#include "tls/cert.h"
#include "tls/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct creds *make_creds(void)
{
	struct cert_spec spec = {.common_name = "web", .not_after = UINT64_MAX / 2};
	struct key *key = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct slice chain;
	struct creds_spec cs = {.chain_der = &chain, .chain_der_count = 1, .key = key};
	struct creds *c;

	must(cert_issue(key, &spec, NULL, NULL, &der, NULL) == 0);
	chain = buf_slice(&der);
	c = creds_new(&cs, NULL);
	must(c);
	key_free(key);
	buf_fini(&der);
	return c;
}

/* What the handshake says to data[0..size), given in two parts. */
static int verdict(
	const struct tls_config *cfg, const uint8_t *data, size_t size, size_t cut)
{
	struct buf out = BUF_LIMIT(1 << 16), in = BUF_INIT;
	struct tls *t = tls_server(cfg, NULL);
	struct err e = {0};
	size_t used = 0;
	int ret;

	must(t && buf_add(&in, data, cut) == 0);
	ret = tls_handshake(t, (const uint8_t *)in.p, cut, &used, &out, &e);
	must(used <= cut && ret != 1);
	if (ret == 0) {
		must(used == cut); /* whatever is not consumed would wait for ever */
		ret = tls_handshake(t, data + cut, size - cut, &used, &out, &e);
		must(used <= size - cut && ret != 1);
	}
	if (ret < 0) {
		must(e.code != ERR_NONE && e.code != ERR_BUG && e.msg[0]);
		must(tls_handshake(t, data, size, &used, &out, &e) < 0);
	}
	must(!out.failed);
	tls_free(t);
	buf_fini(&in);
	buf_fini(&out);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const alpn[] = {"transport.l5d.io/v1", NULL};
	static struct tls_config cfg = {.alpn = alpn, .ask_client_cert = true};
	size_t cut = size ? data[size - 1] * size / 256 : 0;

	if (!cfg.creds)
		cfg.creds = make_creds();
	must(verdict(&cfg, data, size, size) == verdict(&cfg, data, size, cut));
	return 0;
}
