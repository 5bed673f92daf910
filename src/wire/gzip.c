/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gzip.h"

#include <limits.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest, and the gzip header */

int gzip(struct slice in, struct buf *out)
{
	z_stream z = {0};
	size_t room;
	char *to;
	int r;

	if (in.n > INT_MAX || deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8,
				      Z_DEFAULT_STRATEGY) != Z_OK)
		return -1;
	room = deflateBound(&z, in.n);
	to = buf_room(out, room);
	z.next_in = (Bytef *)in.p;
	z.avail_in = (uInt)in.n;
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)room;
	r = to ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	deflateEnd(&z);
	if (r != Z_STREAM_END)
		return -1;
	buf_added(out, room - z.avail_out);
	return 0;
}
