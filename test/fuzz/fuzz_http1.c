/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "wire/http1.h"

/*
 * HTTP/1 messages: the events of the whole input are those of the input in pieces, and
 * what is consumed never goes back.  The first byte says how it is read and cut.
 */
struct events {
	size_t heads, ends, body, fields;
	uint64_t sum;
	bool bad;
};

static void mix(struct events *ev, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ev->sum = ev->sum * 1099511628211u + ((const uint8_t *)p)[i];
}

static void count(struct events *ev, enum http1_got got, const struct http1_out *out)
{
	if (got == HTTP1_DATA) {
		must(out->data.n > 0);
		ev->body += out->data.n;
		mix(ev, out->data.p, out->data.n);
	}
	if (got == HTTP1_HEAD || got == HTTP1_END) {
		ev->heads += got == HTTP1_HEAD;
		ev->ends += got == HTTP1_END;
		ev->fields += out->head.nfields;
		for (size_t i = 0; i < out->head.nfields; i++) {
			must(http1_is_token(out->head.field[i].name));
			mix(ev, out->head.field[i].name.p, out->head.field[i].name.n);
			mix(ev, out->head.field[i].value.p, out->head.field[i].value.n);
		}
	}
}

/* A refusal names a field only by what may be a name, however the input ends. */
static void explain(const struct http1 *h, const struct http1_out *out)
{
	struct err e;

	must(h->why && h->status >= 400);
	must(!out->culprit.n || http1_is_token(out->culprit));
	http1_explain(h, out, &e);
	must(e.code == ERR_SYNTAX || e.code == ERR_LIMIT);
}

static struct events run(
	enum http1_kind kind, const uint8_t *p, size_t n, size_t cut, size_t data_max)
{
	struct events ev = {0};
	enum http1_got got = HTTP1_MORE;
	struct http1_out out;
	struct http1 h;
	size_t at = 0, shown = 0;

	http1_init(&h, kind, 4096);
	while (shown < n) {
		uint8_t *copy;

		shown = n - shown < cut ? n : shown + cut;
		do {
			copy = malloc(shown - at + 1);
			memcpy(copy, p + at, shown - at);
			got = http1_next(&h, copy, shown - at, data_max, &out);
			must(out.used <= shown - at);
			if (got == HTTP1_BAD)
				explain(&h, &out);
			else
				count(&ev, got, &out);
			free(copy);
			at += out.used;
			if (got == HTTP1_BAD) {
				ev.bad = true;
				return ev;
			}
		} while (got != HTTP1_MORE);
	}
	return ev;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct events whole, pieces;
	enum http1_kind kind;
	size_t cut;

	if (size < 1 || size > 8192)
		return 0;
	kind = data[0] & 1 ? HTTP1_RESPONSE : HTTP1_REQUEST;
	cut = 1 + (data[0] >> 1);
	whole = run(kind, data + 1, size - 1, SIZE_MAX / 2, SIZE_MAX);
	pieces = run(kind, data + 1, size - 1, cut, 1 + data[0] % 7);
	must(whole.bad == pieces.bad);
	must(whole.heads == pieces.heads && whole.ends == pieces.ends);
	must(whole.body == pieces.body || whole.bad);
	must(whole.sum == pieces.sum || whole.bad);
	return 0;
}
