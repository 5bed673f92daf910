/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/obj.h"

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len);

static const ProtobufCMessageDescriptor *const types[] = {
	&destination__update__descriptor,
	&destination__destination_profile__descriptor,
	&inbound__server__descriptor,
	&outbound__outbound_policy__descriptor,
};

/* What was read can be written and read again; nothing exceeds its arena. */
static void round_trip(const ProtobufCMessageDescriptor *type, struct slice bytes)
{
	struct arena a;
	struct buf out = BUF_INIT, again = BUF_INIT;
	void *m;

	arena_init(&a, 1 << 20);
	m = api_read(type, bytes, &a, NULL);
	if (m && api_write(m, &out) == 0) {
		m = api_read(type, buf_slice(&out), &a, NULL);
		must(m || a.limit - a.used < 64 * buf_len(&out) + 4096);
		must(!m || api_write(m, &again) == 0);
		must(!m || slice_eq(buf_slice(&out), buf_slice(&again)));
	}
	buf_fini(&out);
	buf_fini(&again);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	if (len == 0)
		return 0;
	round_trip(types[buf[0] % countof(types)], slice_bytes(buf + 1, len - 1));
	return 0;
}
