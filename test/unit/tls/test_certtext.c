/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that are only looked at: shown by anybody, told as text. */
#include <stdio.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "testca.h"
#include "tlspair.h"

static struct testca ca;

TEST(who_believes_any_server_sees_what_it_shows)
{
	struct testca other;
	struct tls_config client = {.sni = "a.test", .expect = "a.test"}, server = {0};
	struct buf pem = BUF_INIT;
	struct cert_info info;
	struct tlspair p;
	struct cert *c;

	testca_init(&ca);
	testca_init(&other);
	server.creds = testca_creds(&ca, "b.test");
	client.creds = testca_anonymous(&other);
	client.chain = &pem;
	tlspair_init(&p, &client, &server);
	OK(!tlspair_run(&p, TLSPAIR_WHOLE)); /* neither the authority nor the name */
	EQ_INT(buf_len(&pem), 0);
	tlspair_fini(&p);
	client.any_server = true;
	tlspair_init(&p, &client, &server);
	OK(tlspair_run(&p, TLSPAIR_RANDOM));
	tlspair_fini(&p);
	c = cert_read(buf_slice(&pem), NULL);
	OK(c);
	cert_info(c, &info);
	EQ_STR(info.name, "b.test");
	EQ_INT(info.count, 2);
	cert_free(c);
	buf_fini(&pem);
	ref_put(creds_ref(server.creds));
	ref_put(creds_ref(client.creds));
	testca_fini(&other);
	testca_fini(&ca);
}

static const char *const lines[] = {
	"Certificate:\n    Data:\n        Version: 3 (0x2)\n        Serial Number: ",
	"\n        Signature Algorithm: ecdsa-with-SHA256\n        Issuer: CN=",
	"\n        Validity\n            Not Before: ",
	"Z\n            Not After : ",
	"\n            Public Key: ECDSA P-256\n",
	"\n            X509v3 Extended Key Usage:\n"
	"                TLS Web Server Authentication",
	"DNS:a.test",
	"IP Address:10.0.0.1",
};

TEST(a_certificate_is_told_as_text)
{
	struct testleaf leaf = {.dns = "a.test", .ip = "10.0.0.1"};
	struct buf pem = BUF_INIT, text = BUF_INIT;
	struct key *key;
	struct cert *c;

	testca_init(&ca);
	testca_leaf(&ca, &leaf, &pem, &key);
	c = cert_read(buf_slice(&pem), NULL);
	OK(c && cert_write_text(c, &text) == 0);
	buf_char(&text, '\0');
	for (size_t i = 0; i < countof(lines); i++)
		if (!strstr(text.p, lines[i]))
			T_FAIL("no \"%s\" in:\n%s", lines[i], text.p);
	buf_fini(&text);
	OK(cert_write_text(ca.root, &text) == 0);
	buf_char(&text, '\0');
	OK(strstr(text.p, "X509v3 Basic Constraints:\n                CA:TRUE\n"));
	OK(strstr(text.p, "Certificate Sign"));
	buf_fini(&text);
	buf_fini(&pem);
	cert_free(c);
	key_free(key);
	testca_fini(&ca);
}
