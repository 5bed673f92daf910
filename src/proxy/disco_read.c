/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disco_int.h"

#include <stdio.h>

#include "proxy/decode.h"

struct outbound_key watch_outbound_key(const struct disco_watch *w)
{
	return (struct outbound_key){w->dst, w->dst.ip.family ? NULL : w->name};
}

/* One part of what is known of a target; "" is a message too. */
struct slice stream_part(const struct stream_call *c)
{
	if (c->at != PART_KNOWN)
		return SLICE_NONE;
	return buf_len(&c->last) ? buf_slice(&c->last) : SLICE("");
}

int watch_publish_outbound(struct disco_watch *w, struct err *e)
{
	struct outbound_key key = watch_outbound_key(w);
	struct outbound_policy *p;

	if (w->main.at == PART_UNKNOWN || w->profile.at == PART_UNKNOWN)
		return 0;
	p = decode_outbound(stream_part(&w->main), stream_part(&w->profile), &key, e);
	if (!p)
		return -1;
	watch_publish(w, &p->ref);
	return 0;
}

/* Nothing better is known: refused with the reason is better than waiting for ever. */
static void publish_invalid(struct disco_watch *w, const struct err *e)
{
	struct outbound_key key = watch_outbound_key(w);
	struct outbound_policy *p;
	char reason[300];

	if (w->value)
		return;
	snprintf(reason, sizeof reason, "invalid client policy: %s", e->msg);
	p = outbound_invalid(&key, reason);
	watch_publish(w, p ? &p->ref : NULL);
}

static int read_outbound(struct stream_call *c, struct slice message, struct err *e)
{
	struct disco_watch *w = c->watch;
	struct outbound_key key = watch_outbound_key(w);
	struct slice m = message.n ? message : SLICE("");
	struct buf last = BUF_INIT;
	struct outbound_policy *p;

	p = c == &w->main ? decode_outbound(m, SLICE_NONE, &key, e)
			  : decode_outbound(SLICE_NONE, m, &key, e);
	if (!p) {
		publish_invalid(w, e);
		return -1;
	}
	ref_put(&p->ref);
	if (buf_adds(&last, message) < 0)
		return err_set(e, ERR_LIMIT, "no memory for a policy");
	buf_fini(&c->last);
	c->last = last;
	c->at = PART_KNOWN;
	return watch_publish_outbound(w, e);
}

static int read_endpoints(
	struct disco_watch *w, bool reset, struct slice message, struct err *e)
{
	struct endpoints *before =
		w->value ? container_of(w->value, struct endpoints, ref) : NULL;
	struct endpoints *now = decode_endpoints(before, reset, message, e);

	if (!now)
		return -1;
	watch_publish(w, &now->ref);
	return 0;
}

static int read_inbound(struct disco_watch *w, struct slice message, struct err *e)
{
	struct inbound_policy *p = decode_inbound(message);

	if (!p)
		return err_set(e, ERR_LIMIT, "no memory for a policy");
	w->disco->invalid[WATCH_INBOUND] += p->invalid;
	watch_publish(w, &p->ref);
	return 0;
}

int stream_read(struct stream_call *c, struct slice message, struct err *e)
{
	struct disco_watch *w = c->watch;
	bool first = c->fresh;

	c->fresh = false;
	switch (w->key.kind) {
	case WATCH_INBOUND:
		return read_inbound(w, message, e);
	case WATCH_ENDPOINTS:
		return read_endpoints(w, first, message, e);
	case WATCH_OUTBOUND:
		break;
	}
	return read_outbound(c, message, e);
}
