/* SPDX-License-Identifier: Apache-2.0 */
#include "base/obj.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len);

/* What was read, written and read again is the same. */
int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct err e = {0};
	struct json *j = json_parse(slice_bytes(buf, len), &e), *again;
	struct buf b = BUF_INIT;

	if (!j) {
		must(e.code == ERR_SYNTAX || e.code == ERR_LIMIT);
		return 0;
	}
	must(json_write(j, len % 3, &b) == 0);
	again = json_parse(buf_slice(&b), NULL);
	must(again && json_equal(j, again));
	json_free(again);
	json_free(j);
	buf_fini(&b);
	return 0;
}
