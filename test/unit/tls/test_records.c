/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer may send once the handshake is over; records are made with its own keys.
 */
#include "tls/session.c"

#include "base/clock.h"
#include "t.h"
#include "testca.h"
#include "tlspair.h"

struct link {
	struct testca ca;
	struct creds *creds;
	struct tlspair pair;
	uint8_t rec[TLS_RECORD_MAX + 2 * TLS_RECORD_EXTRA];
	size_t n;
	struct tls_piece piece;
	struct err e;
};

static void link_init(struct link *l)
{
	struct tls_config cfg;

	memset(l, 0, sizeof *l);
	testca_init(&l->ca);
	l->creds = testca_creds(&l->ca, "web.example");
	cfg = (struct tls_config){.creds = l->creds, .ask_client_cert = true};
	tlspair_init(&l->pair, &cfg, &cfg);
	OK(tlspair_run(&l->pair, TLSPAIR_WHOLE));
}

static void link_fini(struct link *l)
{
	tlspair_fini(&l->pair);
	ref_put(creds_ref(l->creds));
	testca_fini(&l->ca);
}

/* One record of that type from one side to the other. */
static int give(struct link *l, struct tls *from, struct tls *to, int type,
	const void *p, size_t n)
{
	memcpy(l->rec + RECORD_HEAD, p, n);
	l->n = flow_seal(&from->tx, (enum record_type)type, l->rec, n);
	return tls_open(to, l->rec, l->n, &l->piece, &l->e);
}

static int to_client(struct link *l, int type, const void *p, size_t n)
{
	return give(l, l->pair.server, l->pair.client, type, p, n);
}

static int to_server(struct link *l, int type, const void *p, size_t n)
{
	return give(l, l->pair.client, l->pair.server, type, p, n);
}

/* Data still goes both ways. */
static void both_ways(struct link *l)
{
	struct tls *ends[] = {l->pair.client, l->pair.server};

	for (int i = 0; i < 2; i++) {
		uint8_t out[128];
		size_t n = tls_seal(ends[i], out, (const uint8_t *)"data", 4), used;

		EQ_INT(tls_open(ends[!i], out, n, &l->piece, &l->e), 0);
		EQ_INT(l->piece.kind, TLS_DATA);
		OK(l->piece.n == 4 && memcmp(l->piece.p, "data", 4) == 0);
		used = l->piece.used;
		if (used < n) /* a KeyUpdate came along */
			EQ_INT(tls_open(ends[!i], out + used, n - used, &l->piece,
				       &l->e),
				0);
	}
}

static const uint8_t update_plain[] = {24, 0, 0, 1, 0};
static const uint8_t update_asked[] = {24, 0, 0, 1, 1};

TEST(a_key_update_is_followed)
{
	struct link l;

	link_init(&l);
	for (int i = 0; i < 5; i++) {
		EQ_INT(to_server(&l, RECORD_HANDSHAKE, update_plain, 5), 0);
		EQ_INT(l.piece.kind, TLS_QUIET);
		OK(!l.piece.must_send);
		flow_renew(&l.pair.client->tx);
		both_ways(&l);
	}
	link_fini(&l);
}

TEST(a_key_update_that_asks_is_answered_once)
{
	struct buf out = BUF_INIT;
	struct link l;

	link_init(&l);
	for (int i = 0; i < 3; i++) {
		EQ_INT(to_server(&l, RECORD_HANDSHAKE, update_asked, 5), 0);
		OK(l.piece.must_send);
		flow_renew(&l.pair.client->tx);
	}
	EQ_INT(tls_reply(l.pair.server, &out), 0);
	EQ_INT(buf_len(&out), TLS_KEY_UPDATE_SIZE);
	EQ_INT(tls_open(l.pair.client, (uint8_t *)out.p, buf_len(&out), &l.piece, &l.e),
		0);
	EQ_INT(l.piece.kind, TLS_QUIET);
	OK(!l.piece.must_send);
	buf_clear(&out);
	EQ_INT(tls_reply(l.pair.server, &out), 0);
	EQ_INT(buf_len(&out), 0);
	both_ways(&l);
	buf_fini(&out);
	link_fini(&l);
}

TEST(a_key_update_not_yet_answered_goes_behind_the_next_data)
{
	struct link l;

	link_init(&l);
	EQ_INT(to_server(&l, RECORD_HANDSHAKE, update_asked, 5), 0);
	flow_renew(&l.pair.client->tx);
	both_ways(&l);
	OK(!l.pair.server->owes_update);
	both_ways(&l);
	link_fini(&l);
}

TEST(a_worn_key_is_renewed)
{
	struct link l;

	link_init(&l);
	l.pair.client->tx.seq = l.pair.server->rx.seq = (UINT64_C(1) << 24) - 2;
	both_ways(&l);
	EQ_INT(l.pair.client->tx.seq, (1 << 24) - 1);
	both_ways(&l);
	EQ_INT(l.pair.client->tx.seq, 0);
	both_ways(&l);
	link_fini(&l);
}

TEST(a_key_update_may_come_in_pieces)
{
	struct link l;

	link_init(&l);
	for (size_t i = 0; i < 5; i++)
		EQ_INT(to_server(&l, RECORD_HANDSHAKE, update_plain + i, 1), 0);
	flow_renew(&l.pair.client->tx);
	both_ways(&l);
	link_fini(&l);
}

TEST(tickets_are_passed_over_however_they_are_cut)
{
	enum { BODY = 200, COUNT = 3 };
	uint8_t tickets[(4 + BODY) * COUNT] = {0};

	for (size_t i = 0; i < COUNT; i++)
		memcpy(tickets + i * (4 + BODY), (uint8_t[]){4, 0, 0, BODY}, 4);
	for (int round = 0; round < 20; round++) {
		struct link l;
		size_t at = 0, n;

		link_init(&l);
		for (; at < sizeof tickets; at += n) {
			n = 30 + random_u64() % 400;
			if (n > sizeof tickets - at)
				n = sizeof tickets - at;
			EQ_INT(to_client(&l, RECORD_HANDSHAKE, tickets + at, n), 0);
			EQ_INT(l.piece.kind, TLS_QUIET);
		}
		both_ways(&l);
		link_fini(&l);
	}
}

struct bad {
	const char *what;
	bool to_client;
	int type;
	const char *bytes;
	size_t n;
	const char *reason;
};

#define BAD(what, to_client, type, lit, reason)                                        \
	{                                                                              \
		what, to_client, type, lit, sizeof lit - 1, reason                     \
	}

static const struct bad bads[] = {
	BAD("a ticket to a server", false, 22, "\x04\x00\x00\x08",
		"unexpected message"),
	BAD("a huge ticket", true, 22, "\x04\xff\x00\x08", "unexpected message"),
	BAD("a ClientHello", false, 22, "\x01\x00\x00\x40", "unexpected message"),
	BAD("a CertificateRequest", true, 22, "\x0d\x00\x00\x40", "unexpected message"),
	BAD("a long KeyUpdate", true, 22, "\x18\x00\x00\x02\x00\x00",
		"unexpected message"),
	BAD("an odd KeyUpdate", true, 22, "\x18\x00\x00\x01\x02",
		"malformed KeyUpdate"),
	BAD("bytes behind a KeyUpdate", true, 22, "\x18\x00\x00\x01\x00\x18",
		"bytes behind a KeyUpdate"),
	BAD("an empty handshake record", true, 22, "", "empty handshake record"),
	BAD("a long alert", true, 21, "\x02\x28\x00", "malformed alert"),
	BAD("an empty alert", true, 21, "", "malformed alert"),
	BAD("a fatal alert", true, 21, "\x02\x30",
		"refused by the peer: unknown authority"),
	BAD("an alert without a name", true, 21, "\x02\xfe",
		"refused by the peer: alert 254"),
	BAD("a CCS inside", true, 20, "\x01", "unknown record type"),
	BAD("a heartbeat", true, 24, "\x01", "unknown record type"),
};

TEST(what_a_peer_may_not_send_ends_the_session)
{
	for (size_t i = 0; i < countof(bads); i++) {
		const struct bad *b = &bads[i];
		struct link l;
		int ret;

		link_init(&l);
		ret = b->to_client ? to_client(&l, b->type, b->bytes, b->n)
				   : to_server(&l, b->type, b->bytes, b->n);
		if (ret != -1 || !strstr(l.e.msg, b->reason))
			T_FAIL("%s: %d \"%s\"", b->what, ret, l.e.msg);
		EQ_INT(tls_seal(b->to_client ? l.pair.client : l.pair.server, l.rec,
			       (const uint8_t *)"x", 1),
			0);
		link_fini(&l);
	}
}

TEST(records_that_are_not_protected_end_the_session)
{
	static const struct {
		const char *bytes, *reason;
	} heads[] = {
		{"\x14\x03\x03\x00\x01\x01", "not protected"},
		{"\x15\x03\x03\x00\x02\x02", "not protected"},
		{"\x16\x03\x03\x00\x20\x02", "not protected"},
		{"\x17\x03\x03\x41\x01\x02", "wrong size"}, /* 2^14 + 257 */
		{"\x17\x03\x03\x00\x10\x02", "wrong size"}, /* a tag and nothing */
	};

	for (size_t i = 0; i < countof(heads); i++) {
		struct link l;

		link_init(&l);
		memcpy(l.rec, heads[i].bytes, 6);
		EQ_INT(tls_open(l.pair.server, l.rec, 6, &l.piece, &l.e), -1);
		OK(strstr(l.e.msg, heads[i].reason));
		link_fini(&l);
	}
}

TEST(padding_is_taken_off)
{
	struct link l;
	size_t n;

	link_init(&l);
	/* "data", its type, zeroes: sealed with the type byte as the last of the
	 * padding */
	memcpy(l.rec + RECORD_HEAD, "data\x17\0\0\0\0", 9);
	n = flow_seal(&l.pair.client->tx, (enum record_type)0, l.rec, 9);
	EQ_INT(tls_open(l.pair.server, l.rec, n, &l.piece, &l.e), 0);
	EQ_INT(l.piece.kind, TLS_DATA);
	EQ_INT(l.piece.n, 4);
	memset(l.rec + RECORD_HEAD, 0, 9);
	n = flow_seal(&l.pair.client->tx, (enum record_type)0, l.rec, 9);
	EQ_INT(tls_open(l.pair.server, l.rec, n, &l.piece, &l.e), -1);
	link_fini(&l);
}

TEST(records_without_data_have_a_limit)
{
	struct link l;
	int n = 0;

	link_init(&l);
	while (n < 100 && to_server(&l, RECORD_DATA, "", 0) == 0)
		n++;
	EQ_INT(n, QUIET_MAX);
	EQ_INT(l.e.code, ERR_LIMIT);
	link_fini(&l);
}

TEST(data_begins_the_count_of_quiet_records_again)
{
	struct link l;

	link_init(&l);
	for (int i = 0; i < 200; i++) {
		EQ_INT(to_server(&l, RECORD_DATA, "", 0), 0);
		if (i % 20 == 0)
			EQ_INT(to_server(&l, RECORD_DATA, "x", 1), 0);
	}
	link_fini(&l);
}

TEST(data_inside_a_message_is_refused)
{
	struct link l;

	link_init(&l);
	EQ_INT(to_server(&l, RECORD_HANDSHAKE, update_plain, 3), 0);
	EQ_INT(to_server(&l, RECORD_DATA, "x", 1), -1);
	OK(strstr(l.e.msg, "a record inside a message"));
	link_fini(&l);
}

TEST(what_follows_close_notify_is_ignored)
{
	struct link l;

	link_init(&l);
	EQ_INT(to_server(&l, RECORD_ALERT, "\x01\x00", 2), 0);
	EQ_INT(l.piece.kind, TLS_EOF);
	EQ_INT(tls_open(l.pair.server, l.rec, 7, &l.piece, &l.e), 0);
	EQ_INT(l.piece.kind, TLS_EOF);
	EQ_INT(l.piece.used, 7);
	link_fini(&l);
}
