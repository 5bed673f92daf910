/* SPDX-License-Identifier: Apache-2.0 */
/* Cluster DNS over UDP and TCP (RFC 7766); the answers are made in dnsanswer.c. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/nodeint.h"
#include "net/tcp.h"

#define UDP_AT_ONCE 64

struct cluster_dns {
	struct local_node *node;
	struct watch udp;
	struct listener *tcp;
	struct list conns;
};

struct dns_conn {
	struct list node;
	struct cluster_dns *dns;
	struct conn *conn;
	struct timer idle;
};

static void on_udp(struct watch *w, int what)
{
	struct cluster_dns *d = container_of(w, struct cluster_dns, udp);
	char bytes[2048];

	(void)what;
	for (int i = 0; i < UDP_AT_ONCE; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		struct buf out = BUF_INIT;
		ssize_t n = recvfrom(
			w->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);

		if (n < 0)
			return;
		if (cluster_dns_answer(d->node->store, d->node->cfg.domain,
			    slice_bytes(bytes, (size_t)n), 512, &out))
			(void)sendto(w->fd, out.p + out.at, buf_len(&out), 0,
				(struct sockaddr *)&from, len); /* or it asks again */
		buf_fini(&out);
	}
}

/* ---- TCP ---- */

static void forget(struct dns_conn *c)
{
	timer_clear(&c->idle);
	list_remove(&c->node);
	free(c);
}

static size_t on_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct dns_conn *c = arg;
	size_t used = 0;

	while (n - used >= 2) {
		size_t len = (size_t)p[used] << 8 | p[used + 1];
		struct buf out = BUF_INIT;
		uint8_t head[2];

		if (n - used - 2 < len)
			break;
		if (cluster_dns_answer(c->dns->node->store, c->dns->node->cfg.domain,
			    slice_bytes(p + used + 2, len), 65535, &out)) {
			head[0] = (uint8_t)(buf_len(&out) >> 8);
			head[1] = (uint8_t)buf_len(&out);
			conn_write(conn, head, 2);
			conn_write(conn, out.p + out.at, buf_len(&out));
		}
		buf_fini(&out);
		used += 2 + len;
	}
	timer_set(&c->idle, 10 * NS_PER_S);
	return used;
}

static void on_eof(struct conn *conn, void *arg)
{
	forget(arg);
	conn_finish(conn);
}

static void on_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	(void)e;
	forget(arg);
}

static void on_idle(struct timer *t)
{
	struct dns_conn *c = container_of(t, struct dns_conn, idle);
	struct conn *conn = c->conn;

	forget(c);
	conn_end(conn);
}

static const struct conn_user tcp_user = {
	.on_in = on_in, .on_eof = on_eof, .on_gone = on_gone};

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct cluster_dns *d = arg;
	struct dns_conn *c = calloc(1, sizeof(*c));

	(void)peer;
	must(c);
	c->dns = d;
	timer_init(&c->idle, d->node->loop, on_idle);
	list_push(&d->conns, &c->node);
	c->conn = tcp_adopt(d->node->loop, fd, NULL, NULL);
	if (!c->conn) {
		forget(c);
		return;
	}
	timer_set(&c->idle, 10 * NS_PER_S);
	conn_use(c->conn, &tcp_user, c);
}

/* ---- start and stop ---- */

static int open_udp(struct cluster_dns *d, const struct addr *at, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sock(at, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "cluster DNS");
	if (bind(fd, (struct sockaddr *)&ss, len)) {
		err_sys(e, "cluster DNS at %s", d->node->cfg.dns);
		close(fd);
		return -1;
	}
	watch_init(&d->udp, d->node->loop, fd, on_udp);
	return watch_set(&d->udp, WATCH_IN);
}

struct cluster_dns *cluster_dns_start(struct local_node *n, struct err *e)
{
	struct cluster_dns *d = calloc(1, sizeof(*d));
	struct listener_opts opts = {0};
	struct addr at = {.port = 53};

	must(d);
	d->node = n;
	d->udp.fd = -1;
	list_init(&d->conns);
	if (!ip_parse(slice_of(n->cfg.dns), &at.ip))
		err_set(e, ERR_SYNTAX, "\"%s\" is not an address", n->cfg.dns);
	else if (open_udp(d, &at, e) == 0)
		d->tcp = listener_new(n->loop, &at, &opts, on_accept, d, e);
	if (d->tcp)
		return d;
	cluster_dns_stop(d);
	return NULL;
}

void cluster_dns_stop(struct cluster_dns *d)
{
	struct dns_conn *c;

	if (!d)
		return;
	list_each(c, &d->conns, node)
	{
		struct conn *conn = c->conn;

		forget(c);
		conn_end(conn);
	}
	if (d->udp.fd >= 0) {
		watch_end(&d->udp);
		close(d->udp.fd);
	}
	if (d->tcp)
		listener_free(d->tcp);
	free(d);
}
