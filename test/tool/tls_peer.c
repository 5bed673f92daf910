/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a TLS connection over a unix socket, blocking, for tests against other
 * implementations:
 *
 *   tls_peer certs DIR NAME             root.pem, chain.pem, key.pem, other.pem
 *   tls_peer client SOCKET DIR NAME     standard input up, what comes to standard
 * output tls_peer sink SOCKET DIR            accepts once, what comes to standard
 * output tls_peer echo SOCKET DIR            accepts once, sends back what comes
 *
 * Each says on standard error "peer ID alpn sni", or why not.  Exit 0: closed properly.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/obj.h"
#include "testca.h"
#include "tls/session.h"

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", what, e ? e->msg : strerror(errno));
	exit(1);
}

/* ---- files ---- */

static void file_write(const char *dir, const char *name, struct slice s)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fwrite(s.p, 1, s.n, f) != s.n || fclose(f) != 0)
		die(path, NULL);
}

static struct buf file_read(const char *dir, const char *name)
{
	struct buf b = BUF_INIT;
	char path[512];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		return b;
	while ((n = fread(buf_room(&b, 4096), 1, 4096, f)) > 0)
		buf_added(&b, n);
	fclose(f);
	return b;
}

static int make_certs(const char *dir, const char *name)
{
	struct testleaf leaf = {.dns = name, .ip = "127.0.0.1"};
	struct buf chain = BUF_INIT, pem = BUF_INIT;
	struct testca ca, other;
	struct key *key;

	testca_init(&ca);
	testca_init(&other);
	testca_leaf(&ca, &leaf, &chain, &key);
	key_write_pem(key, &pem, NULL);
	file_write(dir, "root.pem", buf_slice(&ca.root_pem));
	file_write(dir, "other.pem", buf_slice(&other.root_pem));
	file_write(dir, "chain.pem", buf_slice(&chain));
	file_write(dir, "key.pem", buf_slice(&pem));
	return 0;
}

static struct creds *load(const char *dir)
{
	struct buf root = file_read(dir, "root.pem"),
		   chain = file_read(dir, "chain.pem");
	struct buf pem = file_read(dir, "key.pem");
	struct creds_spec spec = {
		.anchors_pem = buf_slice(&root), .chain_pem = buf_slice(&chain)};
	struct err e = {0};
	struct creds *c;

	if (buf_len(&pem) && !(spec.key = key_read(buf_slice(&pem), &e)))
		die("key", &e);
	c = creds_new(&spec, &e);
	if (!c)
		die("credentials", &e);
	return c;
}

/* ---- the socket ---- */

static int dial(const char *path, bool is_server)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), peer;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	if (!is_server) {
		if (connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
			die("connect", NULL);
		return fd;
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 1) != 0)
		die("listen", NULL);
	peer = accept(fd, NULL, NULL);
	if (peer < 0)
		die("accept", NULL);
	return peer;
}

static void put(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0)
			die("write", NULL);
		p = (const char *)p + done;
		n -= (size_t)done;
	}
}

static void put_buf(int fd, struct buf *b)
{
	put(fd, b->p ? b->p + b->at : "", buf_len(b));
	buf_take(b, buf_len(b));
}

/* False at the end. */
static bool more(int fd, struct buf *in)
{
	ssize_t n = read(fd, buf_room(in, 20000), 20000);

	if (n > 0)
		buf_added(in, (size_t)n);
	return n > 0;
}

/* ---- TLS ---- */

static void shake(struct tls *t, int fd, struct buf *in)
{
	struct buf out = BUF_INIT;
	struct err e = {0};
	size_t used;
	int ret;

	while ((ret = tls_handshake(t, (uint8_t *)buf_slice(in).p, buf_len(in), &used,
			&out, &e)) == 0) {
		buf_take(in, used);
		put_buf(fd, &out);
		if (!more(fd, in))
			die("handshake", &(struct err){.msg = "closed"});
	}
	buf_take(in, used);
	put_buf(fd, &out);
	if (ret < 0)
		die("handshake", &e);
	fprintf(stderr, "peer [%s] [%s] [%s]\n", tls_peer_id(t), tls_alpn(t),
		tls_sni(t));
}

static void send_data(struct tls *t, int fd, const void *p, size_t n)
{
	uint8_t *out = malloc(tls_sealed_size(n));

	put(fd, out, tls_seal(t, out, p, n));
	free(out);
}

/* Opens what there is; true at the peer's close_notify. */
static bool take(struct tls *t, int fd, struct buf *in, bool echo)
{
	struct buf reply = BUF_INIT;
	struct tls_piece piece;
	struct err e = {0};

	for (;;) {
		if (tls_open(t, (uint8_t *)in->p + in->at, buf_len(in), &piece, &e) !=
			0) {
			(void)tls_reply(t, &reply);
			put_buf(fd, &reply);
			die("open", &e);
		}
		if (piece.must_send) {
			fprintf(stderr, "key update answered\n");
			(void)tls_reply(t, &reply);
			put_buf(fd, &reply);
		}
		if (piece.kind == TLS_EOF)
			return true;
		if (piece.kind == TLS_PART)
			return false;
		if (piece.kind == TLS_DATA && echo)
			send_data(t, fd, piece.p, piece.n);
		else if (piece.kind == TLS_DATA)
			put(STDOUT_FILENO, piece.p, piece.n);
		buf_take(in, piece.used);
	}
}

static void say_bye(struct tls *t, int fd)
{
	uint8_t rec[TLS_RECORD_EXTRA + 2];

	put(fd, rec, tls_seal_close(t, rec));
	shutdown(fd, SHUT_WR);
}

/* Standard input goes up until it ends; a client then says close_notify and reads on.
 */
static void talk(struct tls *t, int fd, struct buf *in, bool has_input, bool echo)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
		{.fd = has_input ? STDIN_FILENO : -1, .events = POLLIN}};
	char chunk[40000];

	if (buf_len(in) && take(t, fd, in, echo))
		goto bye;
	while (poll(p, 2, -1) > 0) {
		if (p[1].revents) {
			ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);

			if (n > 0)
				send_data(t, fd, chunk, (size_t)n);
			if (n <= 0) {
				say_bye(t, fd);
				p[1].fd = -1;
			}
		}
		if (p[0].revents && !more(fd, in))
			die("read",
				&(struct err){.msg = "closed without close_notify"});
		if (p[0].revents && take(t, fd, in, echo))
			break;
	}
bye:
	if (!has_input || p[1].fd >= 0)
		say_bye(t, fd);
}

int main(int argc, char **argv)
{
	bool is_client = argc == 5 && strcmp(argv[1], "client") == 0;
	struct tls_config cfg = {.ask_client_cert = true};
	struct buf in = BUF_INIT;
	struct err e = {0};
	struct tls *t;
	int fd;

	if (argc == 4 && strcmp(argv[1], "certs") == 0)
		return make_certs(argv[2], argv[3]);
	if (argc < 4)
		return 2;
	cfg.creds = load(argv[3]);
	if (is_client)
		cfg.sni = cfg.expect = argv[4];
	fd = dial(argv[2], !is_client);
	t = is_client ? tls_client(&cfg, &e) : tls_server(&cfg, &e);
	if (!t)
		die("session", &e);
	shake(t, fd, &in);
	talk(t, fd, &in, is_client, strcmp(argv[1], "echo") == 0);
	return 0;
}
