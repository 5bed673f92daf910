/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port-forward without SPDY (v4.channel.k8s.io), as client libraries ask for it: one
 * connection to each port of the query, from the beginning.  The n-th has channel 2n
 * for its bytes and 2n + 1 for what went wrong; each channel begins with the port, low
 * byte first.  The session ends with the last connection; nothing tells of one
 * direction's end.
 */
#include "local/podioint.h"
#include "local/podtunnel.h"

#define PORTS_MAX   countof(((struct podio_target *)0)->ports)
#define TUNNEL_HIGH ((size_t)1 << 20)

struct port {
	struct ports *of;
	size_t i;
	bool over;
	struct tunnel tunnel;
};

struct ports {
	struct wsconn ws;
	struct loop *loop;
	size_t n, left;
	struct port v[PORTS_MAX];
	struct later over;
};

static void send_on(struct port *p, bool error, struct slice bytes)
{
	wsconn_send_on(&p->of->ws, (enum ws_channel)(2 * p->i + error), bytes);
}

static void let_on(struct ports *s)
{
	bool high = false;

	for (size_t i = 0; i < s->n; i++)
		high = high || tunnel_backlog(&s->v[i].tunnel) > TUNNEL_HIGH;
	wsconn_pause(&s->ws, high);
}

/* ---- what the pod says ---- */

static struct port *port_of(struct tunnel *t)
{
	return container_of(t, struct port, tunnel);
}

static void port_end(struct port *p, const char *why)
{
	struct ports *s = p->of;

	if (why)
		send_on(p, true, slice_of(why));
	tunnel_end(&p->tunnel);
	p->over = true;
	if (--s->left) {
		let_on(s);
		return;
	}
	wsconn_finish(&s->ws);
	loop_later(s->loop, &s->over);
}

static void on_pod_in(struct tunnel *t, struct slice bytes)
{
	send_on(port_of(t), false, bytes);
	if (wsconn_backlog(&port_of(t)->of->ws) > CONN_HIGH)
		tunnel_pause(t, true);
}

static void on_pod_eof(struct tunnel *t)
{
	port_end(port_of(t), NULL);
}

static void on_pod_room(struct tunnel *t)
{
	let_on(port_of(t)->of);
}

static void on_pod_over(struct tunnel *t, const char *why)
{
	port_end(port_of(t), why);
}

static const struct tunnel_user pod_user = {.on_in = on_pod_in,
	.on_eof = on_pod_eof,
	.on_room = on_pod_room,
	.on_over = on_pod_over};

/* ---- what the client says ---- */

static void on_message(void *arg, struct slice m)
{
	struct ports *s = arg;
	uint8_t channel = m.n ? (uint8_t)m.p[0] : 1;

	if (channel % 2 || channel / 2 >= s->n || s->v[channel / 2].over)
		return;
	tunnel_write(&s->v[channel / 2].tunnel, slice_bytes(m.p + 1, m.n - 1));
	let_on(s);
}

static void on_room(void *arg)
{
	struct ports *s = arg;

	for (size_t i = 0; i < s->n; i++)
		tunnel_pause(&s->v[i].tunnel, false);
}

static void on_left(void *arg)
{
	struct ports *s = arg;

	for (size_t i = 0; i < s->n; i++)
		tunnel_end(&s->v[i].tunnel);
	loop_later(s->loop, &s->over);
}

static const struct wsconn_user client_user = {
	.on_message = on_message, .on_room = on_room, .on_gone = on_left};

/* ---- a session ---- */

static void on_over(struct later *d)
{
	struct ports *s = container_of(d, struct ports, over);

	wsconn_fini(&s->ws);
	free(s);
}

static void begin(struct ports *s, const struct pod *pod, const struct podio_target *t)
{
	for (size_t i = 0; i < s->n; i++) {
		const char port[2] = {
			(char)(t->ports[i] & 255), (char)(t->ports[i] >> 8)};

		s->v[i].of = s;
		s->v[i].i = i;
		send_on(&s->v[i], false, slice_bytes(port, 2));
		send_on(&s->v[i], true, slice_bytes(port, 2));
		tunnel_begin(
			&s->v[i].tunnel, s->loop, pod->ns.net, t->ports[i], &pod_user);
	}
}

bool podio_ports(struct call *call, const struct pod *pod, const struct podio_target *t)
{
	static const char *const protocols[] = {"v4.channel.k8s.io", NULL};
	struct ports *s = t->nports ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return false;
	s->loop = pod->node->loop;
	s->n = s->left = t->nports;
	later_init(&s->over, on_over);
	if (wsconn_accept(&s->ws, call, protocols, PODIO_MESSAGE_MAX, &client_user, s) <
		0) {
		free(s);
		return false;
	}
	begin(s, pod, t);
	return true;
}
