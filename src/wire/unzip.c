/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/unzip.h"

#include <stdlib.h>
#include <zlib.h>

struct unzip {
	z_stream z;
	struct buf plain;
	size_t max; /* bytes of a block, unpacked */
	void (*dictionary)(struct buf *out);
};

struct unzip *unzip_new(size_t block_max, void (*dictionary)(struct buf *out))
{
	struct unzip *u = calloc(1, sizeof *u);

	if (!u)
		return NULL;
	u->plain = BUF_LIMIT(block_max);
	u->max = block_max;
	u->dictionary = dictionary;
	if (inflateInit(&u->z) == Z_OK)
		return u;
	free(u);
	return NULL;
}

void unzip_free(struct unzip *u)
{
	if (!u)
		return;
	(void)inflateEnd(&u->z); /* it can only have been misused */
	buf_fini(&u->plain);
	free(u);
}

static int step(struct unzip *u)
{
	struct buf dictionary = BUF_INIT;
	int rc = inflate(&u->z, Z_SYNC_FLUSH);

	if (rc != Z_NEED_DICT)
		return rc;
	u->dictionary(&dictionary);
	rc = inflateSetDictionary(&u->z, (const Bytef *)dictionary.p + dictionary.at,
		(uInt)buf_len(&dictionary));
	buf_fini(&dictionary);
	return rc;
}

int unzip_block(struct unzip *u, struct slice in, struct slice *out, struct err *e)
{
	char *room;

	buf_clear(&u->plain);
	room = buf_room(&u->plain, u->max);
	if (!room)
		return err_set(e, ERR_LIMIT, "no room for what is packed");
	u->z.next_in = (z_const Bytef *)in.p;
	u->z.avail_in = (uInt)in.n;
	u->z.next_out = (Bytef *)room;
	u->z.avail_out = (uInt)u->max;
	while (u->z.avail_in && u->z.avail_out)
		if (step(u) != Z_OK)
			return err_set(e, ERR_SYNTAX, "it cannot be unpacked");
	if (!u->z.avail_out)
		return err_set(e, ERR_LIMIT, "more than %zu bytes, unpacked", u->max);
	buf_added(&u->plain, u->max - u->z.avail_out);
	*out = buf_slice(&u->plain);
	return 0;
}
