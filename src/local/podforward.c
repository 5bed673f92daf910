/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port-forward as kubectl asks for it since 1.30: SPDY/3.1 whose bytes travel in the
 * binary messages of a WebSocket (SPDY/3.1+portforward.k8s.io).
 *
 * For each connection the client opens two streams with the same `requestid`: one of
 * `streamtype` error, on which we tell what went wrong, and one of data.  The streams
 * of a session share one connection without flow control: a pod that does not read
 * holds the others up once TUNNEL_HIGH of its bytes wait.
 */
#include "local/podioint.h"
#include "local/podtunnel.h"
#include "local/spdy.h"

#define TUNNELS_MAX 256 /* of a session */
#define TUNNEL_HIGH ((size_t)1 << 20)
#define PART_MAX    ((size_t)32768) /* of DATA that we send */

struct forward {
	struct local_node *node;
	char key[600], name[256], uid[64]; /* of the pod */
	struct wsconn ws;
	struct spdy *spdy;
	struct list tunnels;
	size_t ntunnels;
	uint32_t last; /* the newest stream */
	bool leaving;  /* the client opens no more */
	struct later over;
};

struct pair {
	struct list node;
	struct forward *of;
	char request[32];
	uint16_t port;
	uint32_t error, data; /* streams; 0: not there */
	bool began, pod_over;
	struct tunnel tunnel;
};

/* ---- out ---- */

static void send_frame(struct forward *f, struct buf *frame)
{
	if (buf_len(frame))
		wsconn_send(&f->ws, buf_slice(frame));
	buf_fini(frame);
}

static void send_data(struct forward *f, uint32_t stream, bool fin, struct slice bytes)
{
	do {
		struct slice part = {bytes.p, bytes.n < PART_MAX ? bytes.n : PART_MAX};
		struct buf frame = BUF_INIT;

		bytes = slice_bytes(bytes.p + part.n, bytes.n - part.n);
		(void)spdy_write_data(stream, fin && !bytes.n, part, &frame);
		send_frame(f, &frame);
	} while (bytes.n);
}

static void send_reset(struct forward *f, uint32_t stream, enum spdy_status why)
{
	struct buf frame = BUF_INIT;

	(void)spdy_write_reset(stream, why, &frame);
	send_frame(f, &frame);
}

/* ---- ends ---- */

static void session_end(struct forward *f)
{
	wsconn_finish(&f->ws);
	loop_later(f->node->loop, &f->over);
}

static void pair_free(struct pair *p)
{
	struct forward *f = p->of;

	if (p->began)
		tunnel_end(&p->tunnel);
	list_remove(&p->node);
	free(p);
	if (--f->ntunnels == 0 && f->leaving)
		session_end(f);
}

/* Ends what we still say on its streams: the error's text first. */
static void pair_end(struct pair *p, const char *why)
{
	if (p->error)
		send_data(p->of, p->error, true, slice_of(why));
	if (p->data && !p->pod_over)
		send_data(p->of, p->data, true, SLICE(""));
	pair_free(p);
}

/* ---- what the pod says ---- */

static struct pair *pair_of(struct tunnel *t)
{
	return container_of(t, struct pair, tunnel);
}

static void on_pod_in(struct tunnel *t, struct slice bytes)
{
	struct pair *p = pair_of(t);

	send_data(p->of, p->data, false, bytes);
	if (wsconn_backlog(&p->of->ws) > CONN_HIGH)
		tunnel_pause(t, true);
}

static void on_pod_eof(struct tunnel *t)
{
	struct pair *p = pair_of(t);

	p->pod_over = true;
	send_data(p->of, p->data, true, SLICE(""));
}

static bool is_held_up(const struct forward *f)
{
	const struct pair *p;

	list_each(p, &f->tunnels, node)
	{
		if (p->began && tunnel_backlog(&p->tunnel) > TUNNEL_HIGH)
			return true;
	}
	return false;
}

static void let_on(struct forward *f)
{
	wsconn_pause(&f->ws, is_held_up(f));
}

static void on_pod_room(struct tunnel *t)
{
	let_on(pair_of(t)->of);
}

static void on_pod_over(struct tunnel *t, const char *why)
{
	struct pair *p = pair_of(t);
	struct forward *f = p->of;
	struct buf text = BUF_INIT;

	if (why)
		buf_printf(&text, "error forwarding port %u to pod %s, uid %s: %s",
			t->port, f->name, f->uid, why);
	buf_char(&text, '\0');
	pair_end(p, text.p);
	buf_fini(&text);
	let_on(f);
}

static const struct tunnel_user pod_user = {.on_in = on_pod_in,
	.on_eof = on_pod_eof,
	.on_room = on_pod_room,
	.on_over = on_pod_over};

/* ---- what the client says ---- */

static struct pair *pair_with(struct forward *f, uint32_t stream)
{
	struct pair *p;

	list_each(p, &f->tunnels, node)
	{
		if (stream && (p->data == stream || p->error == stream))
			return p;
	}
	return NULL;
}

/* The one of this request, or a new one: its error stream comes first. */
static struct pair *pair_for(struct forward *f, struct slice request, bool may_make)
{
	struct pair *p;

	list_each(p, &f->tunnels, node)
	{
		if (slice_is(request, p->request))
			return p;
	}
	if (!may_make || f->ntunnels == TUNNELS_MAX || request.n >= sizeof(p->request))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->of = f;
	snprintf(p->request, sizeof(p->request), "%.*s", SLICE_FMT(request));
	list_push(&f->tunnels, &p->node);
	f->ntunnels++;
	return p;
}

static void begin_data(struct pair *p)
{
	struct forward *f = p->of;
	const struct pod *pod =
		map_get(&f->node->pods, slice_of(f->key), struct pod, by_name);

	p->began = true;
	if (pod && strcmp(pod->uid, f->uid) != 0)
		pod = NULL; /* another of this name */
	tunnel_begin(
		&p->tunnel, f->node->loop, pod ? pod->ns.net : -1, p->port, &pod_user);
}

/* What a new stream is, or why it is none. */
static enum spdy_status new_stream(struct forward *f, const struct spdy_frame *frame)
{
	struct slice type = spdy_header(frame, "streamtype");
	struct slice request = spdy_header(frame, "requestid");
	bool is_data = slice_is(type, "data");
	struct pair *p;
	uint64_t port;

	if (!(frame->stream & 1) || frame->stream <= f->last)
		return SPDY_PROTOCOL_ERROR;
	f->last = frame->stream;
	if (!slice_u64(spdy_header(frame, "port"), 65535, &port) || !port ||
		!request.n || (!is_data && !slice_is(type, "error")))
		return SPDY_PROTOCOL_ERROR;
	p = pair_for(f, request, !is_data);
	if (!p)
		return SPDY_REFUSED_STREAM;
	if (is_data ? p->data : p->error)
		return SPDY_STREAM_IN_USE;
	if (is_data)
		p->data = frame->stream;
	else
		p->error = frame->stream;
	p->port = (uint16_t)port;
	return 0;
}

static void on_stream(struct forward *f, const struct spdy_frame *frame)
{
	enum spdy_status bad = new_stream(f, frame);
	struct buf reply = BUF_INIT;
	struct pair *p;

	if (bad) {
		send_reset(f, frame->stream, bad);
		return;
	}
	(void)spdy_write_reply(f->spdy, frame->stream, &reply);
	send_frame(f, &reply);
	p = pair_with(f, frame->stream);
	if (p->data == frame->stream)
		begin_data(p);
	if (p->began && frame->fin)
		tunnel_shutdown(&p->tunnel);
}

static void on_data(struct forward *f, const struct spdy_frame *frame)
{
	struct pair *p = pair_with(f, frame->stream);

	if (!p || p->data != frame->stream)
		return; /* of one that has ended */
	tunnel_write(&p->tunnel, frame->bytes);
	if (frame->fin)
		tunnel_shutdown(&p->tunnel);
	if (tunnel_backlog(&p->tunnel) > TUNNEL_HIGH)
		wsconn_pause(&f->ws, true);
}

static void on_reset(struct forward *f, uint32_t stream)
{
	struct pair *p = pair_with(f, stream);

	if (!p)
		return;
	if (p->error == stream)
		p->error = 0;
	else
		p->pod_over = true; /* nothing more may be said on it */
	if (p->pod_over || !p->began)
		pair_end(p, "");
	let_on(f);
}

static void on_frame(struct forward *f, const struct spdy_frame *frame)
{
	struct buf out = BUF_INIT;

	switch (frame->kind) {
	case SPDY_DATA:
		on_data(f, frame);
		break;
	case SPDY_SYN_STREAM:
		on_stream(f, frame);
		break;
	case SPDY_RST_STREAM:
		on_reset(f, frame->stream);
		break;
	case SPDY_PING:
		(void)spdy_write_ping(frame->stream, &out);
		send_frame(f, &out);
		break;
	case SPDY_GOAWAY:
		f->leaving = true;
		if (!f->ntunnels)
			session_end(f);
		break;
	case SPDY_SYN_REPLY: /* we open none */
	case SPDY_SETTINGS:
	case SPDY_HEADERS:
	case SPDY_WINDOW_UPDATE:
		break;
	}
}

static void on_message(void *arg, struct slice in)
{
	struct forward *f = arg;
	struct spdy_frame frame;
	size_t used;
	int rc = 0;

	while (f->ws.conn && (rc = spdy_read(f->spdy, in, &used, &frame, NULL)) == 1) {
		in = slice_bytes(in.p + used, in.n - used);
		on_frame(f, &frame);
	}
	if (rc < 0)
		session_end(f);
}

static void on_room(void *arg)
{
	struct forward *f = arg;
	struct pair *p;

	list_each(p, &f->tunnels, node)
	{
		if (p->began)
			tunnel_pause(&p->tunnel, false);
	}
}

static void on_left(void *arg)
{
	struct forward *f = arg;

	loop_later(f->node->loop, &f->over);
}

static const struct wsconn_user client_user = {
	.on_message = on_message, .on_room = on_room, .on_gone = on_left};

/* ---- a session ---- */

static void forward_free(struct forward *f)
{
	struct pair *p;

	f->leaving = false;
	list_each(p, &f->tunnels, node)
	{
		pair_free(p);
	}
	later_clear(&f->over);
	wsconn_fini(&f->ws);
	spdy_free(f->spdy);
	free(f);
}

static void on_over(struct later *d)
{
	forward_free(container_of(d, struct forward, over));
}

static struct forward *forward_new(const struct pod *p)
{
	struct forward *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->node = p->node;
	f->spdy = spdy_new();
	if (!f->spdy) {
		free(f);
		return NULL;
	}
	snprintf(f->key, sizeof(f->key), "%s", p->key);
	snprintf(f->name, sizeof(f->name), "%s", p->obj->name);
	snprintf(f->uid, sizeof(f->uid), "%s", p->uid);
	list_init(&f->tunnels);
	later_init(&f->over, on_over);
	return f;
}

void podio_forward(void *arg, struct call *call, const struct podio_target *t)
{
	static const char *const protocols[] = {"SPDY/3.1+portforward.k8s.io", NULL};
	struct local_node *n = arg;
	const struct pod *p = podio_pod(n, t);
	struct forward *f;

	if (!p || p->at != POD_UP) {
		call_text(call, 400, "pod \"%s\" is not running\n", t->name);
		return;
	}
	f = forward_new(p);
	if (f && wsconn_accept(&f->ws, call, protocols, PODIO_MESSAGE_MAX, &client_user,
			 f) >= 0)
		return;
	if (f)
		forward_free(f);
	if (!podio_ports(call, p, t))
		call_text(call, 400, "port-forward needs a WebSocket with %s\n",
			protocols[0]);
}
