/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_API_H
#define API_API_H

/*
 * The proxy API's messages (spec api.md): reading them into an arena, writing them, and
 * the values inside.  The messages themselves are in api/<file>.pb-c.h, made from the
 * .proto files beside this one; their names are `Destination__Update`, …
 *
 * A message that was read lives in its arena and is never freed alone; an absent
 * sub-message is NULL, an absent string "".  A message that is to be written may lie
 * anywhere (on the stack, in an arena): it is only borrowed.
 */
#include "api/common.pb-c.h"
#include "api/http_types.pb-c.h"
#include "api/meta.pb-c.h"
#include "api/net.pb-c.h"
#include "base/addr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define API_CERTIFY      "/io.linkerd.proxy.identity.Identity/Certify"
#define API_GET          "/io.linkerd.proxy.destination.Destination/Get"
#define API_GET_PROFILE  "/io.linkerd.proxy.destination.Destination/GetProfile"
#define API_INBOUND_GET  "/io.linkerd.proxy.inbound.InboundServerPolicies/GetPort"
#define API_INBOUND      "/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort"
#define API_OUTBOUND_GET "/io.linkerd.proxy.outbound.OutboundPolicies/Get"
#define API_OUTBOUND     "/io.linkerd.proxy.outbound.OutboundPolicies/Watch"
#define API_TAP          "/io.linkerd.proxy.tap.Tap/Observe"

#define API_DEPTH 32 /* messages within messages */

/*
 * Reads one message into `a` (its limit bounds what the bytes can cost; 16 to 40 times
 * their length is usual).  NULL when malformed, nested deeper than API_DEPTH or too
 * large for the arena; strings with a zero byte in them are malformed.
 */
void *api_read(const ProtobufCMessageDescriptor *type, struct slice bytes,
	struct arena *a, struct err *e);

/* api_read() with the right type: API_READ(Destination__Update, destination__update,
 * bytes, &arena, e). */
#define API_READ(type, name, bytes, a, e)                                              \
	((type *)api_read(&name##__descriptor, (bytes), (a), (e)))

/* Appends the message `m` (any generated struct).  -1 when `out` is full. */
int api_write(const void *m, struct buf *out);

/* A zeroed and initialised message in `a`; NULL when the arena is full. */
void *api_new(const ProtobufCMessageDescriptor *type, struct arena *a);
#define API_NEW(type, name, a) ((type *)api_new(&name##__descriptor, (a)))

/* ---- addresses; false when the message is absent or says no address ---- */
bool api_to_ip(const Net__IPAddress *m, struct ip *out);
bool api_to_addr(const Net__TcpAddress *m, struct addr *out);
bool api_to_cidr(const Net__IPNetwork *m, struct cidr *out);
/* In `a`; NULL when it is full. */
Net__IPAddress *api_ip(const struct ip *ip, struct arena *a);
Net__TcpAddress *api_addr(const struct addr *addr, struct arena *a);
Net__IPNetwork *api_cidr(const struct cidr *c, struct arena *a);

/* ---- times ---- */
/* Nanoseconds; `other` when absent, negative or out of range. */
uint64_t api_to_ns(const Common__Duration *m, uint64_t other);
Common__Duration *api_duration(uint64_t ns, struct arena *a);

/* "GET", "PURGE"; NULL when the arena is full. */
HttpTypes__HttpMethod *api_method(const char *name, struct arena *a);

/* ---- texts, labels and metadata, in `a`; NULL when it is full ---- */
char *api_text(struct slice s, struct arena *a);
Common__Label *api_label(const char *key, const char *value, struct arena *a);
/* The value under `key`, or NULL. */
const char *api_label_get(Common__Label *const *labels, size_t n, const char *key);
Meta__Metadata *api_meta_default(const char *name, struct arena *a);
Meta__Metadata *api_meta(const char *group, const char *kind, const char *ns,
	const char *name, uint16_t port, struct arena *a); /* port 0: none */

#endif
