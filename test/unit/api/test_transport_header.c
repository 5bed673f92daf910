/* SPDX-License-Identifier: Apache-2.0 */
#include "api/transport_header.h"

#include <string.h>

#include "base/obj.h"
#include "t.h"

#define P "transport.l5d.io/v1\r\n\r\n"

static enum transport_verdict read_all(
	struct slice s, struct transport_header *h, size_t *used)
{
	return transport_header_read((const uint8_t *)s.p, s.n, h, used);
}

TEST(a_header_is_read_as_the_wire_says)
{
	/* port 8080, name "Web.ns.", session_protocol{http2{}}; then the stream's own
	 */
	struct slice s =
		SLICE(P "\0\0\0\x10\x08\x90\x3f\x12\x07Web.ns.\x1a\x02\x12\0rest");
	struct transport_header h;
	size_t used = 0;

	EQ_INT(read_all(s, &h, &used), TRANSPORT_DONE);
	EQ_INT(used, s.n - 4);
	EQ_INT(h.port, 8080);
	EQ_INT(h.session, SESSION_HTTP2);
	EQ_STR(h.name, "web.ns");
}

static const struct transport_header samples[] = {
	{.port = 1},
	{.port = 65535, .session = SESSION_HTTP1},
	{.port = 80, .session = SESSION_HTTP2, .name = "web.ns.svc.cluster.local"},
	{.port = 4143, .name = "a_b-c.1"},
};

TEST(what_is_written_is_read_the_same_however_it_is_cut)
{
	for (size_t i = 0; i < countof(samples); i++) {
		const struct transport_header *want = &samples[i];
		struct transport_header h;
		struct buf b = BUF_INIT;
		size_t used = 0;

		OK(transport_header_write(want, &b) == 0);
		for (size_t n = 0; n < buf_len(&b); n++)
			EQ_INT(read_all((struct slice){buf_slice(&b).p, n}, &h, &used),
				TRANSPORT_MORE);
		EQ_INT(read_all(buf_slice(&b), &h, &used), TRANSPORT_DONE);
		EQ_INT(used, buf_len(&b));
		EQ_INT(h.port, want->port);
		EQ_INT(h.session, want->session);
		EQ_STR(h.name, want->name);
		buf_fini(&b);
	}
}

TEST(what_is_no_header_is_refused)
{
	static const struct slice bad[] = {
		{"GET / HTTP/1.1\r\n", 16},
		{"transport.l5d.io/v2", 19},
		{P "\0\0\0\0", 27},                     /* no port */
		{P "\0\0\0\2\x08\0", 29},               /* port 0 */
		{P "\0\0\0\4\x08\x80\x80\x04", 31},     /* port 65536 */
		{P "\0\0\0\3\x08\x80\x80", 30},         /* cut within the message */
		{P "\0\0\0\6\x08\x50\x12\2a/", 33},     /* no host name */
		{P "\0\0\0\5\x08\x50\x12\1.", 32},      /* only a dot */
		{P "\0\0\0\x08\x08\x50\x12\4a..b", 35}, /* a label of nothing */
		{P "\0\0\2\1", 27},                     /* longer than it may be */
		{P "\xff\xff\xff\xff", 27},
	};
	struct transport_header h;
	size_t used;

	for (size_t i = 0; i < countof(bad); i++)
		if (read_all(bad[i], &h, &used) != TRANSPORT_BAD)
			T_FAIL("number %zu is taken", i);
}
