/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "api/check.h"
#include "base/obj.h"

static void *from_arena(void *arg, size_t n)
{
	return arena_alloc(arg, n ? n : 1);
}

static void to_arena(void *arg, void *p)
{
	(void)arg, (void)p; /* it ends with the arena */
}

void *api_read(const ProtobufCMessageDescriptor *type, struct slice bytes,
	struct arena *a, struct err *e)
{
	ProtobufCAllocator alloc = {from_arena, to_arena, a};
	void *m;

	if (api_check(type, bytes, 1, e)) {
		err_wrap(e, "%s", type->name);
		return NULL;
	}
	m = protobuf_c_message_unpack(type, &alloc, bytes.n, (const uint8_t *)bytes.p);
	if (m)
		return m;
	if (a->limit - a->used < bytes.n)
		err_set(e, ERR_LIMIT, "%s: too large", type->name);
	else
		err_set(e, ERR_SYNTAX, "%s: malformed message", type->name);
	return NULL;
}

int api_write(const void *m, struct buf *out)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	char *room = buf_room(out, n);

	if (!room)
		return -1;
	buf_added(out, protobuf_c_message_pack(m, (uint8_t *)room));
	return 0;
}

void *api_new(const ProtobufCMessageDescriptor *type, struct arena *a)
{
	void *m = arena_alloc(a, type->sizeof_message);

	if (m)
		protobuf_c_message_init(type, m);
	return m;
}

/* ---- addresses ---- */

static uint64_t read_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void write_be(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

/* ::ffff:a.b.c.d is a.b.c.d: one address has one form here. */
static void unmap(struct ip *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ip->family != 6 || memcmp(ip->b, mapped, sizeof mapped) != 0)
		return;
	memmove(ip->b, ip->b + 12, 4);
	memset(ip->b + 4, 0, 12);
	ip->family = 4;
}

bool api_to_ip(const Net__IPAddress *m, struct ip *out)
{
	*out = (struct ip){0};
	if (m && m->ip_case == NET__IPADDRESS__IP_IPV4) {
		out->family = 4;
		write_be(out->b, 4, m->ipv4);
	} else if (m && m->ip_case == NET__IPADDRESS__IP_IPV6 && m->ipv6) {
		out->family = 6;
		write_be(out->b, 8, m->ipv6->first);
		write_be(out->b + 8, 8, m->ipv6->last);
		unmap(out);
	}
	return out->family != 0;
}

bool api_to_addr(const Net__TcpAddress *m, struct addr *out)
{
	*out = (struct addr){0};
	if (!m || m->port > UINT16_MAX || !api_to_ip(m->ip, &out->ip))
		return false;
	out->port = (uint16_t)m->port;
	return true;
}

bool api_to_cidr(const Net__IPNetwork *m, struct cidr *out)
{
	bool six;

	*out = (struct cidr){0};
	if (!m || !api_to_ip(m->ip, &out->ip))
		return false;
	six = m->ip->ip_case == NET__IPADDRESS__IP_IPV6;
	if (m->prefix_len > (six ? 128 : 32))
		return false;
	out->bits = (uint8_t)m->prefix_len;
	if (!six || out->ip.family == 6)
		return true;
	if (out->bits < 96) /* wider than all of IPv4: none of our networks */
		return false;
	out->bits -= 96;
	return true;
}

Net__IPAddress *api_ip(const struct ip *ip, struct arena *a)
{
	Net__IPAddress *m = API_NEW(Net__IPAddress, net__ipaddress, a);

	if (!m)
		return NULL;
	if (ip->family == 4) {
		m->ip_case = NET__IPADDRESS__IP_IPV4;
		m->ipv4 = (uint32_t)read_be(ip->b, 4);
		return m;
	}
	m->ip_case = NET__IPADDRESS__IP_IPV6;
	m->ipv6 = API_NEW(Net__IPv6, net__ipv6, a);
	if (!m->ipv6)
		return NULL;
	m->ipv6->first = read_be(ip->b, 8);
	m->ipv6->last = read_be(ip->b + 8, 8);
	return m;
}

Net__TcpAddress *api_addr(const struct addr *addr, struct arena *a)
{
	Net__TcpAddress *m = API_NEW(Net__TcpAddress, net__tcp_address, a);

	if (!m)
		return NULL;
	m->ip = api_ip(&addr->ip, a);
	m->port = addr->port;
	return m->ip ? m : NULL;
}

Net__IPNetwork *api_cidr(const struct cidr *c, struct arena *a)
{
	Net__IPNetwork *m = API_NEW(Net__IPNetwork, net__ipnetwork, a);

	if (!m)
		return NULL;
	m->ip = api_ip(&c->ip, a);
	m->prefix_len = c->bits;
	return m->ip ? m : NULL;
}

/* ---- times ---- */

#define NS UINT64_C(1000000000)

uint64_t api_to_ns(const Common__Duration *m, uint64_t other)
{
	if (!m || m->seconds < 0 || m->nanos < 0 || m->nanos >= (int32_t)NS)
		return other;
	if ((uint64_t)m->seconds >= UINT64_MAX / NS)
		return other;
	return (uint64_t)m->seconds * NS + (uint64_t)m->nanos;
}

Common__Duration *api_duration(uint64_t ns, struct arena *a)
{
	Common__Duration *m = API_NEW(Common__Duration, common__duration, a);

	if (m) {
		m->seconds = (int64_t)(ns / NS);
		m->nanos = (int32_t)(ns % NS);
	}
	return m;
}

/* ---- texts, labels, metadata ---- */

char *api_text(struct slice s, struct arena *a)
{
	char *copy = arena_alloc(a, s.n + 1);

	if (copy && s.n)
		memcpy(copy, s.p, s.n);
	return copy;
}

Common__Label *api_label(const char *key, const char *value, struct arena *a)
{
	Common__Label *m = API_NEW(Common__Label, common__label, a);

	if (!m)
		return NULL;
	m->key = api_text(slice_of(key), a);
	m->value = api_text(slice_of(value), a);
	return m->key && m->value ? m : NULL;
}

const char *api_label_get(Common__Label *const *labels, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(labels[i]->key, key) == 0)
			return labels[i]->value;
	return NULL;
}

HttpTypes__HttpMethod *api_method(const char *name, struct arena *a)
{
	HttpTypes__HttpMethod *m =
		API_NEW(HttpTypes__HttpMethod, http_types__http_method, a);
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value_by_name(
		&http_types__http_method__registered__descriptor, name);

	if (!m)
		return NULL;
	if (known) {
		m->type_case = HTTP_TYPES__HTTP_METHOD__TYPE_REGISTERED;
		m->registered = (HttpTypes__HttpMethod__Registered)known->value;
		return m;
	}
	m->type_case = HTTP_TYPES__HTTP_METHOD__TYPE_UNREGISTERED;
	m->unregistered = api_text(slice_of(name), a);
	return m->unregistered ? m : NULL;
}

Meta__Metadata *api_meta_default(const char *name, struct arena *a)
{
	Meta__Metadata *m = API_NEW(Meta__Metadata, meta__metadata, a);

	if (!m)
		return NULL;
	m->kind_case = META__METADATA__KIND_DEFAULT;
	m->default_ = api_text(slice_of(name), a);
	return m->default_ ? m : NULL;
}

Meta__Metadata *api_meta(const char *group, const char *kind, const char *ns,
	const char *name, uint16_t port, struct arena *a)
{
	Meta__Metadata *m = API_NEW(Meta__Metadata, meta__metadata, a);
	Meta__Resource *r = API_NEW(Meta__Resource, meta__resource, a);

	if (!m || !r)
		return NULL;
	m->kind_case = META__METADATA__KIND_RESOURCE;
	m->resource = r;
	r->group = api_text(slice_of(group), a);
	r->kind = api_text(slice_of(kind), a);
	r->namespace_ = api_text(slice_of(ns), a);
	r->name = api_text(slice_of(name), a);
	r->port = port;
	return r->group && r->kind && r->namespace_ && r->name ? m : NULL;
}
