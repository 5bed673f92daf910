/* SPDX-License-Identifier: Apache-2.0 */
/* A SPDY session reads the same however its bytes are cut, within its limits. */
#include <stdlib.h>

#include "base/obj.h"
#include "local/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void note(const struct spdy_frame *f, struct buf *seen)
{
	must(f->stream <= SPDY_STREAM_MAX || f->kind == SPDY_PING);
	must(f->kind == SPDY_DATA || f->bytes.n <= SPDY_HEADERS_MAX);
	if (f->kind != SPDY_DATA)
		buf_printf(seen, "<%d %u %u %d>", f->kind, f->stream, f->value, f->fin);
	else if (f->bytes.n == 0)
		must(f->fin);
	buf_adds(seen, f->bytes);
	buf_adds(seen, spdy_header(f, "port"));
}

/* Shows it `step` bytes at a time; false when refused. */
static bool read_by(size_t step, struct slice in, struct buf *seen)
{
	struct spdy *s = spdy_new();
	int rc = 0;

	must(s);
	while (in.n && rc >= 0) {
		struct slice part = {in.p, in.n < step ? in.n : step};
		struct spdy_frame f;
		size_t used;

		while ((rc = spdy_read(s, part, &used, &f, NULL)) == 1) {
			note(&f, seen);
			must(used <= part.n);
			part = slice_bytes(part.p + used, part.n - used);
		}
		in = slice_bytes(in.p + (in.n < step ? in.n : step),
			in.n - (in.n < step ? in.n : step));
	}
	spdy_free(s);
	return rc >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf whole = BUF_INIT, parts = BUF_INIT;
	struct slice in = slice_bytes(p, n);

	if (!n)
		return 0;
	must(read_by(n, in, &whole) == read_by(1 + p[0] % 7, in, &parts));
	must(slice_eq(buf_slice(&whole), buf_slice(&parts)));
	buf_fini(&whole);
	buf_fini(&parts);
	return 0;
}
