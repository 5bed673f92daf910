/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpcframe.h"

#include "base/obj.h"
#include "http/grpc.h"

#define PREFIX 5

static size_t message_size(const uint8_t *p)
{
	return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

static int check(const uint8_t *p, struct err *e)
{
	if (p[0])
		return err_set(
			e, ERR_SYNTAX, "compressed gRPC messages are not understood");
	if (message_size(p) > GRPC_MESSAGE_MAX)
		return err_set(
			e, ERR_LIMIT, "a gRPC message of %zu bytes", message_size(p));
	return 0;
}

int grpc_read(struct grpc_reader *r, const uint8_t *p, size_t n,
	bool (*fn)(void *arg, struct slice message), void *arg, struct err *e)
{
	if (n && buf_add(&r->part, p, n) < 0)
		return err_set(e, ERR_LIMIT, "no memory for a gRPC message");
	while (buf_len(&r->part) >= PREFIX) {
		struct slice s = buf_slice(&r->part);
		struct buf whole = {0};
		size_t size;
		bool more;

		must(s.p);
		if (check((const uint8_t *)s.p, e) < 0)
			return -1;
		size = message_size((const uint8_t *)s.p);
		if (s.n < PREFIX + size)
			break;
		if (s.n == PREFIX + size) { /* the usual case: shown where it lies */
			whole = r->part;
			r->part = BUF_INIT;
			more = fn(arg, (struct slice){s.p + PREFIX, size});
			buf_fini(&whole);
		} else {
			if (buf_add(&whole, s.p + PREFIX, size) < 0 && size)
				return err_set(e, ERR_LIMIT, "no memory");
			buf_take(&r->part, PREFIX + size);
			more = fn(arg, buf_slice(&whole));
			buf_fini(&whole);
		}
		if (!more)
			return 1;
	}
	return 0;
}

void grpc_reader_fini(struct grpc_reader *r)
{
	buf_fini(&r->part);
}

int grpc_frame(struct buf *out, struct slice message)
{
	const char prefix[PREFIX] = {0, (char)(message.n >> 24),
		(char)(message.n >> 16), (char)(message.n >> 8), (char)message.n};

	if (buf_add(out, prefix, PREFIX) < 0)
		return -1;
	return buf_adds(out, message);
}

const char *grpc_status_name(int status)
{
	static const char *const names[] = {"OK", "CANCELLED", "UNKNOWN",
		"INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
		"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
		"DATA_LOSS", "UNAUTHENTICATED"};

	return status >= 0 && (size_t)status < countof(names) ? names[status]
							      : "UNKNOWN";
}
