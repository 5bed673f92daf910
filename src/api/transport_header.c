/* SPDX-License-Identifier: Apache-2.0 */
#include "api/transport_header.h"

#include <ctype.h>
#include <string.h>

#include "api/api.h"
#include "api/transport.pb-c.h"

#define PREFACE     TRANSPORT_ALPN "\r\n\r\n"
#define PREFACE_LEN (sizeof PREFACE - 1)
#define BEGIN_LEN   (PREFACE_LEN + 4)

/* A host name, such as a certificate or a service may have. */
static bool read_name(const char *text, char out[254])
{
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == '.')
		n--;
	if (n > 253 || (n == 0 && *text))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!(c < 0x80 && isalnum(c)) && c != '-' && c != '.' && c != '_')
			return false;
		if (c == '.' && (i == 0 || i + 1 == n || text[i - 1] == '.'))
			return false;
		out[i] = (char)tolower(c);
	}
	out[n] = '\0';
	return true;
}

static bool read_message(struct slice bytes, struct transport_header *h)
{
	Transport__Header *m;
	struct arena a;
	struct err e;
	bool ok;

	*h = (struct transport_header){.session = SESSION_BYTES};
	arena_init(&a, 64 * 1024);
	m = API_READ(Transport__Header, transport__header, bytes, &a, &e);
	ok = m && m->port > 0 && m->port <= 65535 && read_name(m->name, h->name);
	if (ok) {
		h->port = (uint16_t)m->port;
		if (m->session_protocol &&
			m->session_protocol->kind_case ==
				TRANSPORT__SESSION_PROTOCOL__KIND_HTTP1)
			h->session = SESSION_HTTP1;
		if (m->session_protocol &&
			m->session_protocol->kind_case ==
				TRANSPORT__SESSION_PROTOCOL__KIND_HTTP2)
			h->session = SESSION_HTTP2;
	}
	arena_fini(&a);
	return ok;
}

enum transport_verdict transport_header_read(
	const uint8_t *p, size_t n, struct transport_header *h, size_t *used)
{
	size_t seen = n < PREFACE_LEN ? n : PREFACE_LEN, len;

	if (seen && memcmp(p, PREFACE, seen) != 0)
		return TRANSPORT_BAD;
	if (n < BEGIN_LEN)
		return TRANSPORT_MORE;
	p += PREFACE_LEN;
	len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (len > TRANSPORT_MESSAGE_MAX)
		return TRANSPORT_BAD;
	if (n - BEGIN_LEN < len)
		return TRANSPORT_MORE;
	*used = BEGIN_LEN + len;
	return read_message(slice_bytes(p + 4, len), h) ? TRANSPORT_DONE
							: TRANSPORT_BAD;
}

int transport_header_write(const struct transport_header *h, struct buf *out)
{
	Transport__SessionProtocol proto = TRANSPORT__SESSION_PROTOCOL__INIT;
	Transport__Header m = TRANSPORT__HEADER__INIT;
	Common__Empty empty = COMMON__EMPTY__INIT;
	struct buf b = BUF_INIT;
	uint8_t len[4];
	int r;

	m.port = h->port;
	m.name = (char *)h->name;
	if (h->session != SESSION_BYTES) {
		proto.kind_case = h->session == SESSION_HTTP1
					  ? TRANSPORT__SESSION_PROTOCOL__KIND_HTTP1
					  : TRANSPORT__SESSION_PROTOCOL__KIND_HTTP2;
		proto.http1 = &empty; /* both are empty, and lie in one union */
		m.session_protocol = &proto;
	}
	r = api_write(&m, &b);
	len[0] = len[1] = 0;
	len[2] = (uint8_t)(buf_len(&b) >> 8);
	len[3] = (uint8_t)buf_len(&b);
	buf_add(out, PREFACE, PREFACE_LEN);
	buf_add(out, len, sizeof len);
	buf_adds(out, buf_slice(&b));
	buf_fini(&b);
	return r < 0 || out->failed ? -1 : 0;
}
