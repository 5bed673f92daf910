/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three patches, on a document: "DOC\0PATCH" behind a byte that says which.  A
 * patch that fails leaves the document as it was; what it makes can be written and read
 * again.
 */
#include <string.h>

#include "base/obj.h"
#include "wire/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_text(const struct json *j, struct slice text)
{
	struct buf b = BUF_INIT;
	bool same;

	must(json_write(j, 0, &b) == 0);
	same = slice_eq(buf_slice(&b), text);
	buf_fini(&b);
	return same;
}

static void apply(uint8_t which, struct json **doc, const struct json *patch)
{
	static int (*const kinds[])(struct json **, const struct json *,
		struct err *) = {patch_json, patch_merge, patch_strategic};
	struct buf before = BUF_INIT, after = BUF_INIT;
	struct err e = {0};
	struct json *again;

	must(json_write(*doc, 0, &before) == 0);
	if (kinds[which % 3](doc, patch, &e) < 0) {
		must(e.msg[0] && same_text(*doc, buf_slice(&before)));
	} else {
		must(json_write(*doc, 0, &after) == 0);
		again = json_parse(buf_slice(&after), &e);
		must(again && same_text(again, buf_slice(&after)));
		json_free(again);
	}
	buf_fini(&before);
	buf_fini(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *mid = size ? memchr(data + 1, 0, size - 1) : NULL;
	struct json *doc, *patch;

	if (!mid)
		return 0;
	doc = json_parse(slice_bytes(data + 1, (size_t)(mid - data) - 1), NULL);
	patch = json_parse(slice_bytes(mid + 1, size - (size_t)(mid + 1 - data)), NULL);
	if (doc && patch)
		apply(data[0], &doc, patch);
	json_free(doc);
	json_free(patch);
	return 0;
}
