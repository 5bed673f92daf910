/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <stdlib.h>

#include "api/destination.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/obj.h"
#include "t.h"

static struct arena a = {.limit = 1 << 20};

/* Update{add{addrs[{addr{ip 10.1.2.3, port 8080}, weight 10000, labels pod=web-0,
 * tls_identity{dns "web.x"}, hint h2}], labels svc=web}}, by hand. */
static const uint8_t update[] = {
	0x0a, 0x3c,                                                  /* add */
	0x0a, 0x2e,                                                  /* addrs */
	0x0a, 0x0a, 0x0a, 0x05, 0x0d, 3, 2, 1, 10, 0x10, 0x90, 0x3f, /* addr */
	0x18, 0x90, 0x4e,                                            /* weight */
	0x22, 0x0c, 0x0a, 3, 'p', 'o', 'd', 0x12, 5, 'w', 'e', 'b', '-',
	'0',                                                         /* label */
	0x2a, 0x09, 0x0a, 0x07, 0x0a, 0x05, 'w', 'e', 'b', '.', 'x', /* tls_identity */
	0x32, 0x04, 0x0a, 0x00, 0x12, 0x00,                          /* hint */
	0x12, 0x0a, 0x0a, 3, 's', 'v', 'c', 0x12, 3, 'w', 'e', 'b',  /* labels */
};

static Destination__Update *read_update(const uint8_t *p, size_t n, struct err *e)
{
	return API_READ(
		Destination__Update, destination__update, slice_bytes(p, n), &a, e);
}

TEST(an_update_is_read_as_the_wire_says)
{
	struct err e = {0};
	Destination__Update *u = read_update(update, sizeof update, &e);
	Destination__WeightedAddr *w;
	struct addr addr;
	char text[ADDR_TEXT];

	if (!u)
		T_FAIL("%s", e.msg);
	EQ_INT(u->update_case, DESTINATION__UPDATE__UPDATE_ADD);
	EQ_INT(u->add->n_addrs, 1);
	EQ_STR(api_label_get(u->add->metric_labels, u->add->n_metric_labels, "svc"),
		"web");
	w = u->add->addrs[0];
	OK(api_to_addr(w->addr, &addr));
	EQ_STR(addr_text(&addr, text), "10.1.2.3:8080");
	EQ_INT(w->weight, 10000);
	EQ_STR(api_label_get(w->metric_labels, w->n_metric_labels, "pod"), "web-0");
	OK(api_label_get(w->metric_labels, w->n_metric_labels, "none") == NULL);
	EQ_STR(w->tls_identity->dns_like_identity->name, "web.x");
	EQ_INT(w->protocol_hint->protocol_case,
		DESTINATION__PROTOCOL_HINT__PROTOCOL_H2);
	EQ_INT(w->protocol_hint->opaque_transport->inbound_port, 0);
	OK(w->authority_override == NULL && w->http2 == NULL);
}

TEST(what_was_read_is_written_the_same)
{
	struct buf out = BUF_INIT;

	OK(api_write(read_update(update, sizeof update, NULL), &out) == 0);
	OK(slice_eq(buf_slice(&out), slice_bytes(update, sizeof update)));
	buf_fini(&out);
}

/* A cut message is an error, or (at a field's end) a shorter message: never a crash. */
TEST(any_cut_of_an_update_is_refused_or_shorter)
{
	for (size_t n = 0; n < sizeof update; n++) {
		uint8_t *cut = malloc(n + 1);
		struct err e = {0};

		memcpy(cut, update, n);
		if (read_update(cut, n, &e))
			OK(n == 0);
		else
			EQ_INT(e.code, ERR_SYNTAX);
		free(cut);
	}
}

/* RequestMatch{not{RequestMatch{not{…}}}}; `depth` messages. */
static size_t nest(uint8_t *out, int depth)
{
	size_t n = 0;

	while (--depth > 0) {
		memmove(out + 2, out, n);
		out[0] = 0x1a;
		out[1] = (uint8_t)n;
		n += 2;
	}
	return n;
}

TEST(nesting_is_limited)
{
	uint8_t bytes[3 * API_DEPTH];
	struct err e = {0};
	size_t n = nest(bytes, API_DEPTH);

	OK(API_READ(Destination__RequestMatch, destination__request_match,
		slice_bytes(bytes, n), &a, &e));
	n = nest(bytes, API_DEPTH + 1);
	OK(!API_READ(Destination__RequestMatch, destination__request_match,
		slice_bytes(bytes, n), &a, &e));
	EQ_INT(e.code, ERR_LIMIT);
}

TEST(an_arena_that_is_full_refuses_the_message)
{
	struct arena small;
	struct err e = {0};

	arena_init(&small, 100);
	OK(API_READ(Destination__Update, destination__update,
		   slice_bytes(update, sizeof update), &small, &e) == NULL);
	OK(e.code != ERR_NONE);
	arena_fini(&small);
}

TEST(a_zero_byte_in_a_text_is_refused)
{
	struct err e = {0};

	OK(API_READ(Destination__GetDestination, destination__get_destination,
		   slice_bytes("\x12\x03"
			       "a\0b",
			   5),
		   &a, &e) == NULL);
	OK(strstr(e.msg, "a zero byte in path"));
}

TEST(addresses_go_through_unchanged)
{
	static const char *const texts[] = {
		"1.2.3.4:80", "255.255.255.255:65535", "[2001:db8::1]:443", "[::]:0"};

	for (size_t i = 0; i < countof(texts); i++) {
		struct addr in, out;

		OK(addr_parse(slice_of(texts[i]), &in));
		OK(api_to_addr(api_addr(&in, &a), &out));
		OK(addr_eq(&in, &out));
	}
}

TEST(a_mapped_address_is_read_as_ipv4)
{
	Net__IPv6 six = NET__IPV6__INIT;
	Net__IPAddress m = NET__IPADDRESS__INIT;
	Net__IPNetwork net = NET__IPNETWORK__INIT;
	struct ip ip;
	struct cidr c;
	char text[ADDR_TEXT];

	six.last = 0xffff0a010203;
	m.ip_case = NET__IPADDRESS__IP_IPV6;
	m.ipv6 = &six;
	OK(api_to_ip(&m, &ip));
	EQ_STR(ip_text(&ip, text), "10.1.2.3");
	net.ip = &m;
	net.prefix_len = 104;
	OK(api_to_cidr(&net, &c));
	EQ_INT(c.bits, 8);
	net.prefix_len = 129;
	OK(!api_to_cidr(&net, &c));
	OK(!api_to_ip(NULL, &ip));
	m.ip_case = NET__IPADDRESS__IP__NOT_SET;
	OK(!api_to_ip(&m, &ip));
}

TEST(networks_go_through_unchanged)
{
	struct cidr in, out;

	OK(cidr_parse(SLICE("10.0.0.0/8"), &in));
	OK(api_to_cidr(api_cidr(&in, &a), &out));
	OK(ip_eq(&in.ip, &out.ip) && in.bits == out.bits);
}

TEST(durations_out_of_range_are_the_default)
{
	Common__Duration d = COMMON__DURATION__INIT;

	EQ_INT(api_to_ns(NULL, 7), 7);
	d.seconds = 1, d.nanos = 5;
	EQ_INT(api_to_ns(&d, 7), 1000000005);
	d.nanos = -1;
	EQ_INT(api_to_ns(&d, 7), 7);
	d.nanos = 0, d.seconds = INT64_MAX;
	EQ_INT(api_to_ns(&d, 7), 7);
	EQ_INT(api_to_ns(api_duration(UINT64_C(123456789012), &a), 0), 123456789012);
}

TEST(metadata_names_a_resource)
{
	Meta__Metadata *m = api_meta("core", "Service", "ns", "web", 80, &a);

	EQ_STR(m->resource->group, "core");
	EQ_STR(m->resource->namespace_, "ns");
	EQ_INT(m->resource->port, 80);
	EQ_STR(api_meta_default("all", &a)->default_, "all");
}
