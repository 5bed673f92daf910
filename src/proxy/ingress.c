/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ingress mode (spec proxy.md §8): the application is an ingress controller, which
 * picks pods by itself.  The service that it means is in a field of each request;
 * without it a request goes where its connection was meant to go.
 */
#include <stdio.h>

#include "http/grpc.h"
#include "proxy/outbound_int.h"

#define NAME_MAX_LEN 253

static bool is_name(struct slice s)
{
	if (s.n == 0 || s.n > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			!(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return true;
}

/* "name[:port]" as "name:port"; the port is 80 when it is not said. */
static bool authority_of(struct slice said, char *out, size_t size)
{
	struct slice name = {0}, rest = slice_trim(said);
	uint64_t port = 80;

	if (!slice_cut(&rest, ':', &name) || !is_name(name))
		return false;
	if (rest.p && (!slice_u64(rest, 65535, &port) || port == 0))
		return false;
	snprintf(out, size, "%.*s:%u", SLICE_FMT(name), (unsigned)port);
	return true;
}

static enum flow ingress_request(struct exch *x, void *shared, void *state)
{
	const struct field *said =
		fields_find(&x->req.fields, SLICE("l5d-dst-override"));
	struct px *p = x->user;
	char authority[NAME_MAX_LEN + 8];

	(void)shared, (void)state;
	if (!said)
		return FLOW_NEXT;
	if (!authority_of(said->value, authority, sizeof authority)) {
		px_count_error(p, "unexpected");
		return px_answer(p, 400, GRPC_INVALID_ARGUMENT, false,
			"l5d-dst-override is not name[:port]");
	}
	fields_remove(&x->req.fields, SLICE("l5d-dst-override"));
	p->target = out_target_named(p->worker, authority);
	if (p->target)
		return FLOW_NEXT;
	err_set(&x->err, ERR_LIMIT, "no memory for a request");
	return FLOW_ABORT;
}

const struct filter ingress_filter = {.name = "ingress", .on_request = ingress_request};
