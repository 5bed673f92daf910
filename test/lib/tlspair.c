/* SPDX-License-Identifier: Apache-2.0 */
#include "tlspair.h"

#include "base/clock.h"
#include "base/obj.h"

void tlspair_init(struct tlspair *p, const struct tls_config *client,
	const struct tls_config *server)
{
	*p = (struct tlspair){0};
	p->client = tls_client(client, NULL);
	p->server = tls_server(server, NULL);
	must(p->client && p->server);
}

void tlspair_fini(struct tlspair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	buf_fini(&p->to_client);
	buf_fini(&p->to_server);
}

static size_t cut_of(int cut, size_t n)
{
	if (cut == TLSPAIR_BYTES && n > 1)
		return 1;
	if (cut == TLSPAIR_RANDOM && n > 1)
		return 1 + random_u64() % n;
	return n;
}

/* Bytes that were not taken stay, and the next cut is longer by them. */
static bool step(struct tls *t, int *is, struct buf *in, struct buf *out, struct err *e,
	int cut, bool first)
{
	size_t n = cut_of(cut, buf_len(in)), used = 0;

	if (*is != 0 || (n == 0 && !first))
		return false;
	*is = tls_handshake(t, (const uint8_t *)buf_slice(in).p, n, &used, out, e);
	buf_take(in, used);
	return used || first || *is != 0;
}

bool tlspair_run(struct tlspair *p, int cut)
{
	bool moved, first = true;

	do {
		moved = step(p->client, &p->client_is, &p->to_client, &p->to_server,
			&p->client_err, cut, first);
		first = false;
		moved |= step(p->server, &p->server_is, &p->to_server, &p->to_client,
			&p->server_err, cut, false);
	} while (moved);
	return p->client_is == 1 && p->server_is == 1;
}
