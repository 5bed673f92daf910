/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/extended.h"

#include "base/clock.h"

bool extended_is(const struct px *p)
{
	return p->version == HTTP_2 && p->x->req.upgrade.n && !p->was_extended &&
	       slice_is(p->x->req.method, "CONNECT");
}

/* Any 16 bytes will do (RFC 6455 §4.1): they keep caches from answering. */
static struct slice key(struct arena *a)
{
	struct buf b = BUF_INIT;
	unsigned char raw[16];
	char *out = arena_alloc(a, 25);

	for (size_t i = 0; i < sizeof raw; i++)
		raw[i] = (unsigned char)(random_unit() * 256);
	if (out && buf_base64(&b, (struct slice){(char *)raw, sizeof raw}) == 0)
		memcpy(out, buf_slice(&b).p, 24);
	buf_fini(&b);
	return out ? (struct slice){out, 24} : SLICE_NONE;
}

int extended_to_upgrade(struct px *p)
{
	struct req_head *req = &p->x->req;
	struct slice k = key(p->x->arena);

	p->was_extended = true;
	req->method = SLICE("GET");
	req->length = 0;
	if (!slice_is(req->upgrade, "websocket"))
		return 0;
	if (!k.p)
		return -1;
	return fields_set(&req->fields, p->x->arena, SLICE("sec-websocket-key"), k);
}

bool extended_was_ignored(const struct px *p)
{
	return p->was_extended && p->x->rsp.status / 100 == 2;
}
