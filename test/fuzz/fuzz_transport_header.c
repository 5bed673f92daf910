/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/transport_header.h"
#include "base/obj.h"

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len);

/* A verdict is final, and what was read can be written and read again. */
static void again(const struct transport_header *h)
{
	struct transport_header same;
	struct buf b = BUF_INIT;
	size_t used;

	must(transport_header_write(h, &b) == 0);
	must(transport_header_read((const uint8_t *)buf_slice(&b).p, buf_len(&b), &same,
		     &used) == TRANSPORT_DONE);
	must(used == buf_len(&b) && same.port == h->port && same.session == h->session);
	must(strcmp(same.name, h->name) == 0);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct transport_header h, part;
	size_t used = 0, n_used = 0;
	enum transport_verdict v = transport_header_read(buf, len, &h, &used);

	if (v == TRANSPORT_DONE) {
		must(used <= len && h.port > 0);
		again(&h);
	}
	for (size_t n = len > 700 ? len - 700 : 0; n < len; n++) {
		enum transport_verdict w =
			transport_header_read(buf, n, &part, &n_used);

		must(w == TRANSPORT_MORE || w == v);
		must(w != TRANSPORT_DONE || (n_used == used && part.port == h.port));
		must(w != TRANSPORT_MORE || v != TRANSPORT_DONE || n < used);
	}
	return 0;
}
