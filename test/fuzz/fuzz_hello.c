/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/obj.h"
#include "wire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len);

/* A verdict is final, and what it says is too. */
int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct hello whole, part;
	enum hello_verdict v = hello_parse(buf, len, &whole);

	if (v == HELLO_DONE) {
		must(strlen(whole.sni) <= 253);
		must(!hello_offers(&whole, ""));
	}
	for (size_t n = len > 64 ? len - 64 : 0; n < len; n++) {
		enum hello_verdict w = hello_parse(buf, n, &part);

		must(w == HELLO_MORE || w == v);
		must(w != HELLO_DONE || strcmp(part.sni, whole.sni) == 0);
	}
	return 0;
}
