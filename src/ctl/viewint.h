/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_VIEWINT_H
#define CTL_VIEWINT_H

/* Inside views: what their readers share (view.c; viewpolicy.c, viewroute.c,
 * viewtraffic.c, viewprofile.c).  Everything is taken from the view's arena. */
#include "api/api.h"
#include "ctl/view.h"

/* What a view is read into.  `full` once memory did not suffice: the view is dropped.
 */
struct reading {
	struct arena *a;
	const struct json *o;
	bool full;
};

#define ANNOTATION(o, name)                                                            \
	json_text(json_get(json_path((o), "metadata.annotations"), name))
#define LABEL(o, name) json_text(json_get(json_path((o), "metadata.labels"), name))

/* Room for n (at least one); NULL when there is none. */
void *view_take(struct reading *r, size_t n, size_t size);
const char *view_text_or_null(struct reading *r, const char *s);
const char *view_text(struct reading *r, const char *s); /* never NULL */
/* As a field of a message, which is not const there. */
static inline char *view_field(struct reading *r, const char *s)
{
	return (char *)(uintptr_t)view_text(r, s);
}

/* A message; NULL when there is no room. */
#define VIEW_NEW(r, type, name)                                                        \
	({                                                                             \
		type *new_ = API_NEW(type, name, (r)->a);                              \
		(r)->full |= !new_;                                                    \
		new_;                                                                  \
	})
uint16_t view_port_of(int64_t n); /* 0: none */
/* metadata.labels, in the order of their keys' bytes as written. */
struct labels view_labels(struct reading *r, const struct json *map);
/* A LabelSelector; absent: everything. */
struct selector view_selector(struct reading *r, const struct json *selector);

void view_owner(struct reading *r, struct owner *out);
bool view_ip_of(const struct json *j, struct ip *out);
/* `member` of each in the list, or the items themselves. */
const struct ip *view_ips(
	struct reading *r, const struct json *list, const char *member, size_t *n);

/* The pod's shape, from the pool or new; false when it is too large. */
bool view_shape_take(struct view_pool *pool, struct view *v, const struct json *object);
void view_shape_drop(struct view *v);

void view_read_pod(struct reading *r, struct view *v);
void view_read_server(struct reading *r, struct view *v);
void view_read_server_authorization(struct reading *r, struct view *v);
void view_read_authorization(struct reading *r, struct view *v);
void view_read_mesh_tls(struct reading *r, struct view *v);
void view_read_network(struct reading *r, struct view *v);
void view_read_route(struct reading *r, struct view *v);
void view_read_profile(struct reading *r, struct view *v);

/* Of a Service's or a route's annotations; NULL when it has none of them. */
const struct traffic *view_traffic(struct reading *r);

#endif
