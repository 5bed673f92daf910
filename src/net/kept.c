/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport.h"

static size_t show(struct conn *c, const uint8_t *p, size_t n)
{
	size_t used = c->user->on_in(c, c->arg, p, n);

	return used > n ? n : used;
}

/* Nothing else is kept: the user sees the reader's own memory. */
static int in_fresh(struct kept *k, struct conn *c, const uint8_t *p, size_t n)
{
	const struct conn_user *user = c->user;
	size_t used = show(c, p, n);

	if (conn_is_left(c) || used == n) {
		kept_fini(k);
		return 0;
	}
	if (buf_add(&k->bytes, p + used, n - used) < 0)
		return -1;
	if (c->user != user && !c->is_paused)
		c->ops->read(c, true); /* the new one wants to see them */
	return 0;
}

void kept_again(struct kept *k, struct conn *c)
{
	struct slice s = buf_slice(&k->bytes);
	struct buf held = k->bytes;
	size_t used;

	if (!s.n || c->is_paused)
		return;
	k->showing = true;
	used = show(c, (const uint8_t *)s.p, s.n);
	k->showing = false;
	if (conn_is_left(c))
		used = s.n;
	must(held.p == k->bytes.p);
	buf_take(&k->bytes, used);
}

int kept_in(struct kept *k, struct conn *c, uint8_t *p, size_t n, size_t room)
{
	struct slice old = buf_slice(&k->bytes);

	if (c->is_paused || (old.n && (old.n > room || old.n > n))) {
		if (buf_add(&k->bytes, p, n) < 0)
			return -1;
		kept_again(k, c);
		return 0;
	}
	if (old.p)
		memcpy(p - old.n, old.p, old.n);
	buf_clear(&k->bytes); /* its memory will be used again at once */
	return in_fresh(k, c, p - old.n, n + old.n);
}

void kept_fini(struct kept *k)
{
	if (!k->showing)
		buf_fini(&k->bytes);
}
