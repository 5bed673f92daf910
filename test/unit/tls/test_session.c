/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "testca.h"
#include "tls/gcm.h"
#include "tlspair.h"

#define WEB    "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
#define VOTING "voting.emojivoto.serviceaccount.identity.linkerd.cluster.local"
#define HOUR   3600

/* Credentials of two workloads, and a pair between them. */
struct mesh {
	struct testca ca;
	struct tls_config client, server;
	struct tlspair pair;
};

static void mesh_init(struct mesh *m)
{
	*m = (struct mesh){0};
	testca_init(&m->ca);
	m->client = (struct tls_config){
		.creds = testca_creds(&m->ca, WEB), .sni = VOTING, .expect = VOTING};
	m->server = (struct tls_config){
		.creds = testca_creds(&m->ca, VOTING), .ask_client_cert = true};
}

static void mesh_fini(struct mesh *m)
{
	tlspair_fini(&m->pair);
	ref_put(creds_ref(m->client.creds));
	ref_put(creds_ref(m->server.creds));
	testca_fini(&m->ca);
}

static void set_creds(struct tls_config *cfg, struct creds *c)
{
	ref_put(creds_ref(cfg->creds));
	cfg->creds = c;
}

static bool run(struct mesh *m, int cut)
{
	tlspair_init(&m->pair, &m->client, &m->server);
	return tlspair_run(&m->pair, cut);
}

static bool says(const struct err *e, const char *what)
{
	if (strstr(e->msg, what))
		return true;
	printf("# \"%s\" lacks \"%s\"\n", e->msg, what);
	return false;
}

/* ---- handshakes ---- */

TEST(a_mutual_handshake_tells_each_side_who_the_other_is)
{
	struct mesh m;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_peer_id(m.pair.client), VOTING);
	EQ_STR(tls_peer_id(m.pair.server), WEB);
	EQ_STR(tls_sni(m.pair.server), VOTING);
	EQ_STR(tls_sni(m.pair.client), "");
	EQ_STR(tls_alpn(m.pair.server), "");
	EQ_INT(buf_len(&m.pair.to_client), 0);
	EQ_INT(buf_len(&m.pair.to_server), 0);
	mesh_fini(&m);
}

TEST(a_handshake_may_be_cut_at_every_byte)
{
	struct mesh m;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_BYTES));
	EQ_STR(tls_peer_id(m.pair.server), WEB);
	mesh_fini(&m);
}

TEST(a_handshake_may_be_cut_anywhere)
{
	struct mesh m;

	mesh_init(&m);
	for (int i = 0; i < 40; i++) {
		OK(run(&m, TLSPAIR_RANDOM));
		tlspair_fini(&m.pair);
		m.pair = (struct tlspair){0};
	}
	mesh_fini(&m);
}

TEST(a_client_without_a_certificate_is_nobody)
{
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.client, testca_anonymous(&m.ca));
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_peer_id(m.pair.server), "");
	EQ_STR(tls_peer_id(m.pair.client), VOTING);
	mesh_fini(&m);
}

TEST(a_certificate_that_was_not_asked_for_is_not_sent)
{
	struct mesh m;

	mesh_init(&m);
	m.server.ask_client_cert = false;
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_peer_id(m.pair.server), "");
	mesh_fini(&m);
}

TEST(without_a_name_to_expect_the_chain_is_enough)
{
	struct mesh m;

	mesh_init(&m);
	m.client.expect = m.client.sni = NULL;
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_peer_id(m.pair.client), VOTING);
	EQ_STR(tls_sni(m.pair.server), "");
	mesh_fini(&m);
}

TEST(the_name_asked_for_may_differ_from_the_identity)
{
	struct mesh m;

	mesh_init(&m);
	m.client.sni = "voting-svc.emojivoto.svc.cluster.local";
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_sni(m.pair.server), "voting-svc.emojivoto.svc.cluster.local");
	mesh_fini(&m);
}

TEST(an_address_and_a_name_in_other_case_are_identities)
{
	static const char *const expects[] = {
		"10.42.0.7", "VOTING.Example", "voting.example"};
	struct testleaf leaf = {.dns = "voting.example", .ip = "10.42.0.7"};
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.server, testca_creds_of(&m.ca, &leaf));
	for (size_t i = 0; i < countof(expects); i++) {
		m.client.expect = expects[i];
		OK(run(&m, TLSPAIR_WHOLE));
		tlspair_fini(&m.pair);
		m.pair = (struct tlspair){0};
	}
	mesh_fini(&m);
}

TEST(a_protocol_is_agreed_on_when_both_name_it)
{
	static const char *const client[] = {"transport.l5d.io/v1", NULL};
	static const char *const server[] = {"h2", "transport.l5d.io/v1", NULL};
	struct mesh m;

	mesh_init(&m);
	m.client.alpn = client;
	m.server.alpn = server;
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_alpn(m.pair.client), "transport.l5d.io/v1");
	EQ_STR(tls_alpn(m.pair.server), "transport.l5d.io/v1");
	tlspair_fini(&m.pair);
	m.client.alpn = NULL;
	OK(run(&m, TLSPAIR_WHOLE));
	EQ_STR(tls_alpn(m.pair.server), "");
	mesh_fini(&m);
}

TEST(no_protocol_in_common_is_refused)
{
	static const char *const client[] = {"h2", NULL}, *const server[] = {
								  "http/1.1", NULL};
	struct mesh m;

	mesh_init(&m);
	m.client.alpn = client;
	m.server.alpn = server;
	OK(!run(&m, TLSPAIR_WHOLE));
	OK(says(&m.pair.server_err, "no application protocol in common"));
	OK(says(&m.pair.client_err, "no application protocol in common"));
	mesh_fini(&m);
}

/* ---- refusals ---- */

/* The client refuses the server; the server learns why by alert. */
static void client_refuses(struct mesh *m, const char *reason, const char *alert)
{
	OK(!run(m, TLSPAIR_WHOLE));
	EQ_INT(m->pair.client_is, -1);
	EQ_INT(m->pair.server_is, -1);
	EQ_INT(m->pair.client_err.code, ERR_DENIED);
	OK(says(&m->pair.client_err, reason));
	EQ_INT(m->pair.server_err.code, ERR_DENIED);
	OK(says(&m->pair.server_err, alert));
	mesh_fini(m);
}

TEST(a_server_with_another_name_is_refused)
{
	struct mesh m;

	mesh_init(&m);
	m.client.expect = WEB;
	client_refuses(&m, "expected " WEB ", peer is " VOTING, "bad certificate");
}

TEST(a_server_of_another_authority_is_refused)
{
	struct testca other;
	struct mesh m;

	mesh_init(&m);
	testca_init(&other);
	set_creds(&m.server, testca_creds_mixed(&other, VOTING, &m.ca));
	client_refuses(&m,
		"signed by an unknown authority (root.linkerd.cluster.local)",
		"unknown authority");
	testca_fini(&other);
}

TEST(an_expired_server_is_refused)
{
	struct testleaf leaf = {.dns = VOTING, .from = -9 * HOUR, .to = -3 * HOUR};
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.server, testca_creds_of(&m.ca, &leaf));
	client_refuses(&m, VOTING " expired 3h ago at 20", "certificate expired");
}

TEST(a_server_that_is_not_yet_valid_is_refused)
{
	struct testleaf leaf = {.dns = VOTING, .from = 3 * HOUR, .to = 9 * HOUR};
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.server, testca_creds_of(&m.ca, &leaf));
	client_refuses(
		&m, VOTING " is not yet valid until 20", "TLS: refused by the peer");
}

TEST(a_client_without_anchors_believes_nobody)
{
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.client, creds_new(&(struct creds_spec){0}, NULL));
	client_refuses(&m, "signed by an unknown authority", "unknown authority");
}

/* The server refuses the client, which is done by then and reads the alert. */
static void server_refuses(struct mesh *m, const char *reason, const char *alert)
{
	struct tls_piece piece;
	struct err e = {0};

	OK(!run(m, TLSPAIR_WHOLE));
	EQ_INT(m->pair.client_is, 1);
	EQ_INT(m->pair.server_is, -1);
	EQ_INT(m->pair.server_err.code, ERR_DENIED);
	OK(says(&m->pair.server_err, reason));
	EQ_INT(tls_open(m->pair.client, (uint8_t *)m->pair.to_client.p,
		       buf_len(&m->pair.to_client), &piece, &e),
		-1);
	EQ_INT(e.code, ERR_DENIED);
	OK(says(&e, alert));
	mesh_fini(m);
}

TEST(a_client_of_another_authority_is_refused)
{
	struct testca other;
	struct mesh m;

	mesh_init(&m);
	testca_init(&other);
	set_creds(&m.client, testca_creds_mixed(&other, WEB, &m.ca));
	server_refuses(&m, "signed by an unknown authority", "unknown authority");
	testca_fini(&other);
}

TEST(an_expired_client_is_refused)
{
	struct testleaf leaf = {.dns = WEB, .from = -9 * HOUR, .to = -45 * 60 - 30};
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.client, testca_creds_of(&m.ca, &leaf));
	server_refuses(&m, WEB " expired 45m ago", "certificate expired");
}

TEST(a_client_certificate_for_servers_only_is_refused)
{
	struct testleaf leaf = {.dns = WEB, .server_only = true};
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.client, testca_creds_of(&m.ca, &leaf));
	server_refuses(&m, "not for this use", "bad certificate");
}

TEST(a_client_without_a_needed_certificate_is_refused)
{
	struct mesh m;

	mesh_init(&m);
	m.server.need_client_cert = true;
	set_creds(&m.client, testca_anonymous(&m.ca));
	server_refuses(
		&m, "the client sent no certificate", "certificate required (116)");
}

TEST(a_server_without_a_certificate_cannot_be_made)
{
	struct err e = {0};
	struct mesh m;

	mesh_init(&m);
	set_creds(&m.server, testca_anonymous(&m.ca));
	OK(tls_server(&m.server, &e) == NULL);
	EQ_INT(e.code, ERR_MISSING);
	mesh_fini(&m);
}

TEST(a_handshake_of_noise_is_refused_with_an_alert)
{
	static const uint8_t noise[] = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
	struct buf out = BUF_INIT;
	struct err e = {0};
	struct tls *t;
	struct mesh m;
	size_t used;

	mesh_init(&m);
	t = tls_server(&m.server, NULL);
	EQ_INT(tls_handshake(t, noise, sizeof noise - 1, &used, &out, &e), -1);
	EQ_INT(e.code, ERR_SYNTAX);
	EQ_INT(tls_handshake(t, noise, sizeof noise - 1, &used, &out, &e), -1);
	EQ_INT(e.code, ERR_CLOSED);
	buf_fini(&out);
	tls_free(t);
	mesh_fini(&m);
}

/* A record's head but for its size, and the one byte of a CCS, say nothing. */
static bool is_telling(struct slice flight, size_t at)
{
	size_t rec = 0, size = 0;

	do {
		rec += size;
		size = 5 + ((size_t)(uint8_t)flight.p[rec + 3] << 8 |
				   (uint8_t)flight.p[rec + 4]);
	} while (at >= rec + size);
	return flight.p[rec] != 20 && at >= rec + 5;
}

TEST(a_changed_byte_anywhere_breaks_the_handshake)
{
	struct mesh m;

	mesh_init(&m);
	for (int i = 0; i < 60; i++) {
		struct tlspair *p = &m.pair;
		struct slice flight;
		size_t used, at;

		tlspair_init(p, &m.client, &m.server);
		OK(tls_handshake(p->client, NULL, 0, &used, &p->to_server, NULL) == 0);
		OK(tls_handshake(p->server, (uint8_t *)p->to_server.p,
			   buf_len(&p->to_server), &used, &p->to_client, NULL) == 0);
		flight = buf_slice(&p->to_client);
		do {
			at = random_u64() % flight.n;
		} while (!is_telling(flight, at));
		p->to_client.p[at] ^= (char)(1 << random_u64() % 8);
		buf_clear(&p->to_server);
		EQ_INT(tls_handshake(p->client, (const uint8_t *)flight.p, flight.n,
			       &used, &p->to_server, &p->client_err),
			-1);
		tlspair_fini(p);
		*p = (struct tlspair){0};
	}
	mesh_fini(&m);
}

static void grow(uint8_t *p, unsigned bytes, unsigned by)
{
	for (; bytes > 0 && by; bytes--) {
		by += p[bytes - 1];
		p[bytes - 1] = (uint8_t)by;
		by >>= 8;
	}
}

/* A hello that says that data follow before the handshake is over (RFC 8446 §4.2.10).
 */
static void offer_early_data(struct buf *hello)
{
	uint8_t *p = (uint8_t *)(uintptr_t)buf_slice(hello).p;
	size_t at = 5 + 4 + 2 + 32;

	at += 1 + p[at];                            /* session */
	at += 2 + ((size_t)p[at] << 8 | p[at + 1]); /* suites */
	at += 1 + p[at];                            /* compression */
	grow(p + 3, 2, 4);
	grow(p + 6, 3, 4);
	grow(p + at, 2, 4);
	buf_add(hello, "\0\x2a\0\0", 4);
}

TEST(data_before_the_handshake_are_refused)
{
	static const uint8_t early[] =
		"\x17\x03\x03\0\x20 0123456789abcdef0123456789abcde";
	struct tlspair p;
	struct mesh m;
	size_t used;

	mesh_init(&m);
	tlspair_init(&p, &m.client, &m.server);
	OK(tls_handshake(p.client, NULL, 0, &used, &p.to_server, NULL) == 0);
	offer_early_data(&p.to_server);
	EQ_INT(tls_handshake(p.server, (const uint8_t *)buf_slice(&p.to_server).p,
		       buf_len(&p.to_server), &used, &p.to_client, NULL),
		0);
	EQ_INT(tls_handshake(p.server, early, sizeof early - 1, &used, &p.to_client,
		       &p.server_err),
		-1);
	tlspair_fini(&p);
	mesh_fini(&m);
}

TEST(a_handshake_without_end_is_cut_off)
{
	uint8_t ccs[] = {20, 3, 3, 0, 1, 1};
	struct buf out = BUF_INIT;
	struct tlspair p;
	struct err e = {0};
	struct mesh m;
	size_t used, n;
	int ret;

	mesh_init(&m);
	tlspair_init(&p, &m.client, &m.server);
	OK(tls_handshake(p.client, NULL, 0, &used, &out, NULL) == 0);
	OK(tls_handshake(p.server, (uint8_t *)out.p, buf_len(&out), &used, &p.to_client,
		   &e) == 0);
	for (n = 0; n < 100000; n += sizeof ccs) {
		ret = tls_handshake(p.server, ccs, sizeof ccs, &used, &p.to_client, &e);
		if (ret != 0)
			break;
	}
	EQ_INT(ret, -1);
	OK(n < 70000);
	buf_fini(&out);
	tlspair_fini(&p);
	mesh_fini(&m);
}

TEST(hundreds_of_handshakes_go_on_at_once)
{
	enum { PAIRS = 300 };
	static struct tlspair pairs[PAIRS];
	struct mesh m;

	mesh_init(&m);
	for (int i = 0; i < PAIRS; i++) {
		struct tlspair *p = &pairs[i];
		size_t used;

		tlspair_init(p, &m.client, &m.server);
		OK(tls_handshake(p->client, NULL, 0, &used, &p->to_server, NULL) == 0);
	}
	for (int i = 0; i < PAIRS; i++) {
		struct tlspair *p = &pairs[i];
		size_t used;

		OK(tls_handshake(p->server, (uint8_t *)p->to_server.p,
			   buf_len(&p->to_server), &used, &p->to_client, NULL) == 0);
		buf_take(&p->to_server, used);
	}
	for (int i = 0; i < PAIRS; i++) {
		struct tlspair *p = &pairs[i];
		size_t used;

		OK(tls_handshake(p->client, (uint8_t *)p->to_client.p,
			   buf_len(&p->to_client), &used, &p->to_server, NULL) == 1);
		OK(tls_handshake(p->server, (uint8_t *)p->to_server.p,
			   buf_len(&p->to_server), &used, &p->to_client, NULL) == 1);
		tlspair_fini(p);
	}
	mesh_fini(&m);
}

static void *shake_hands(void *arg)
{
	struct mesh *m = arg;
	intptr_t done = 0;

	for (int i = 0; i < 30; i++) {
		struct tlspair p;

		tlspair_init(&p, &m->client, &m->server);
		done += tlspair_run(&p, TLSPAIR_WHOLE);
		tlspair_fini(&p);
	}
	return (void *)done;
}

TEST(sessions_of_many_threads_share_credentials)
{
	pthread_t threads[4];
	struct mesh m;

	mesh_init(&m);
	for (size_t i = 0; i < countof(threads); i++)
		OK(pthread_create(&threads[i], NULL, shake_hands, &m) == 0);
	for (size_t i = 0; i < countof(threads); i++) {
		void *done;

		pthread_join(threads[i], &done);
		EQ_INT((intptr_t)done, 30);
	}
	mesh_fini(&m);
}

/* ---- data ---- */

static size_t seal(struct tls *t, const uint8_t *in, size_t n, uint8_t **out)
{
	*out = malloc(tls_sealed_size(n));
	return tls_seal(t, *out, in, n);
}

TEST(what_is_sealed_opens_to_the_same)
{
	static const size_t sizes[] = {
		0, 1, 15, 16, 17, 100, 16383, 16384, 16385, 32768, 100000};
	struct mesh m;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE));
	for (size_t i = 0; i < countof(sizes) + 50; i++) {
		size_t n = i < countof(sizes) ? sizes[i] : random_u64() % 70000,
		       got = 0;
		uint8_t *data = malloc(n + 1), *sealed, *at;
		bool up = random_u64() & 1;
		struct tls *from = up ? m.pair.client : m.pair.server;
		struct tls *to = up ? m.pair.server : m.pair.client;
		struct tls_piece piece;
		size_t size;

		random_secret(data, n);
		size = seal(from, data, n, &sealed);
		OK(size <= tls_sealed_size(n));
		for (at = sealed; size; at += piece.used, size -= piece.used) {
			EQ_INT(tls_open(to, at, size, &piece, NULL), 0);
			EQ_INT(piece.kind, TLS_DATA);
			OK(memcmp(piece.p, data + got, piece.n) == 0);
			got += piece.n;
		}
		EQ_INT(got, n);
		free(data);
		free(sealed);
	}
	mesh_fini(&m);
}

TEST(sealing_in_place_is_the_same)
{
	uint8_t buf[TLS_RECORD_MAX + TLS_RECORD_EXTRA + TLS_KEY_UPDATE_SIZE];
	struct tls_piece piece;
	struct mesh m;
	size_t n;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE));
	memset(buf, 'x', sizeof buf);
	n = tls_seal(m.pair.client, buf, buf + 5, TLS_RECORD_MAX);
	EQ_INT(n, TLS_RECORD_MAX + TLS_RECORD_EXTRA);
	EQ_INT(tls_open(m.pair.server, buf, n, &piece, NULL), 0);
	EQ_INT(piece.n, TLS_RECORD_MAX);
	OK(piece.p == buf + 5 && piece.p[0] == 'x' &&
		piece.p[TLS_RECORD_MAX - 1] == 'x');
	mesh_fini(&m);
}

TEST(part_of_a_record_consumes_nothing)
{
	uint8_t sealed[200];
	struct tls_piece piece;
	struct mesh m;
	size_t size;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE));
	size = tls_seal(m.pair.client, sealed, (const uint8_t *)"hello", 5);
	for (size_t n = 0; n < size; n++) {
		EQ_INT(tls_open(m.pair.server, sealed, n, &piece, NULL), 0);
		EQ_INT(piece.kind, TLS_PART);
		EQ_INT(piece.used, 0);
	}
	EQ_INT(tls_open(m.pair.server, sealed, size, &piece, NULL), 0);
	EQ_INT(piece.kind, TLS_DATA);
	EQ_INT(piece.used, size);
	mesh_fini(&m);
}

TEST(data_behind_the_handshake_is_left_for_open)
{
	struct tlspair *p;
	struct tls_piece piece;
	struct mesh m;
	size_t used, n;
	char *at;

	mesh_init(&m);
	p = &m.pair;
	tlspair_init(p, &m.client, &m.server);
	OK(tls_handshake(p->client, NULL, 0, &used, &p->to_server, NULL) == 0);
	OK(tls_handshake(p->server, (uint8_t *)p->to_server.p, buf_len(&p->to_server),
		   &used, &p->to_client, NULL) == 0);
	buf_clear(&p->to_server);
	OK(tls_handshake(p->client, (uint8_t *)p->to_client.p, buf_len(&p->to_client),
		   &used, &p->to_server, NULL) == 1);
	/* the client's Finished and its first request in one piece */
	at = buf_room(&p->to_server, tls_sealed_size(5));
	n = buf_len(&p->to_server);
	buf_added(&p->to_server,
		tls_seal(p->client, (uint8_t *)at, (const uint8_t *)"hello", 5));
	OK(tls_handshake(p->server, (uint8_t *)p->to_server.p, buf_len(&p->to_server),
		   &used, &p->to_client, NULL) == 1);
	EQ_INT(used, n);
	EQ_INT(tls_open(p->server, (uint8_t *)p->to_server.p + used,
		       buf_len(&p->to_server) - used, &piece, NULL),
		0);
	EQ_INT(piece.n, 5);
	OK(memcmp(piece.p, "hello", 5) == 0);
	mesh_fini(&m);
}

TEST(a_changed_bit_is_told_and_ends_the_session)
{
	struct mesh m;

	mesh_init(&m);
	for (size_t bit = 0; bit < (100 + TLS_RECORD_EXTRA) * 8; bit += 7) {
		uint8_t data[100] = {0}, *sealed;
		struct tls_piece piece;
		struct buf out = BUF_INIT;
		struct err e = {0};
		size_t n;

		if (bit / 8 == 3 || bit / 8 == 4)
			continue; /* the size: maybe only more is awaited */
		OK(run(&m, TLSPAIR_WHOLE));
		n = seal(m.pair.client, data, sizeof data, &sealed);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		EQ_INT(tls_open(m.pair.server, sealed, n, &piece, &e), -1);
		EQ_INT(e.code, ERR_SYNTAX);
		EQ_INT(tls_reply(m.pair.server, &out), 0);
		OK(tls_open(m.pair.client, (uint8_t *)out.p, buf_len(&out), &piece,
			   &e) == -1);
		OK(says(&e, "refused by the peer"));
		EQ_INT(tls_seal(m.pair.server, sealed, data, 1), 0);
		EQ_INT(tls_open(m.pair.server, sealed, n, &piece, &e), -1);
		EQ_INT(e.code, ERR_CLOSED);
		buf_fini(&out);
		free(sealed);
		tlspair_fini(&m.pair);
		m.pair = (struct tlspair){0};
	}
	mesh_fini(&m);
}

TEST(close_notify_ends_one_direction)
{
	uint8_t rec[TLS_RECORD_EXTRA + 2], *sealed;
	struct tls_piece piece;
	struct mesh m;
	size_t n;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE));
	n = tls_seal_close(m.pair.client, rec);
	EQ_INT(n, sizeof rec);
	EQ_INT(tls_open(m.pair.server, rec, n, &piece, NULL), 0);
	EQ_INT(piece.kind, TLS_EOF);
	n = seal(m.pair.server, (const uint8_t *)"late", 4, &sealed);
	EQ_INT(tls_open(m.pair.client, sealed, n, &piece, NULL), 0);
	EQ_INT(piece.n, 4);
	free(sealed);
	mesh_fini(&m);
}

TEST(a_large_transfer_arrives_whole)
{
	enum { CHUNK = 50000, TIMES = 400 };
	static uint8_t data[CHUNK], sealed[CHUNK * 2];
	struct tls_piece piece;
	struct mesh m;
	size_t total = 0;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE));
	random_secret(data, sizeof data);
	for (int i = 0; i < TIMES; i++) {
		size_t n = tls_seal(m.pair.server, sealed, data, sizeof data), got = 0;

		for (uint8_t *at = sealed; at < sealed + n; at += piece.used) {
			OK(tls_open(m.pair.client, at, (size_t)(sealed + n - at),
				   &piece, NULL) == 0);
			OK(memcmp(piece.p, data + got, piece.n) == 0);
			got += piece.n;
		}
		total += got;
	}
	EQ_INT(total, (size_t)CHUNK * TIMES);
	mesh_fini(&m);
}

TEST(a_session_at_rest_is_small)
{
	enum { PAIRS = 50, NETTLE_KEY = 4400 };
	bool on_heap = strcmp(gcm_engine(), "nettle") == 0;
	size_t limit = 2600 + (on_heap ? 2 * NETTLE_KEY : 0);
	struct tlspair pairs[PAIRS];
	struct mallinfo2 before;
	struct mesh m;

	mesh_init(&m);
	OK(run(&m, TLSPAIR_WHOLE)); /* what is made once is made */
	before = mallinfo2();
	for (int i = 0; i < PAIRS; i++) {
		tlspair_init(&pairs[i], &m.client, &m.server);
		OK(tlspair_run(&pairs[i], TLSPAIR_WHOLE));
	}
	OK((mallinfo2().uordblks - before.uordblks) / PAIRS / 2 <= limit);
	for (int i = 0; i < PAIRS; i++)
		tlspair_fini(&pairs[i]);
	mesh_fini(&m);
}
