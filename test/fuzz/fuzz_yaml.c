/* SPDX-License-Identifier: Apache-2.0 */
#include "base/obj.h"
#include "wire/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len);

/* What was read, written and read again is the same. */
static void round_trip(const struct json *j)
{
	struct buf b = BUF_INIT;
	struct json *again;

	must(yaml_write(j, &b) == 0);
	again = yaml_parse(buf_slice(&b), NULL);
	must(again && json_equal(j, again));
	json_free(again);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct err e = {0};
	struct json *docs = yaml_parse_all(slice_bytes(buf, len), &e);

	if (!docs) {
		must(e.code == ERR_SYNTAX || e.code == ERR_LIMIT);
		return 0;
	}
	json_each(doc, docs)
	{
		round_trip(doc);
	}
	json_free(docs);
	return 0;
}
