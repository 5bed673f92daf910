/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sniff.h"

#include <stdlib.h>

#include "base/clock.h"
#include "wire/hello.h"

#define LAST_CHANCE NS_PER_S

enum sniff_at {
	SNIFF_SILENT, /* no byte yet */
	SNIFF_QUIET,  /* no byte for a moment: on_quiet was called */
	SNIFF_DOOMED, /* and the server is out of reach */
	SNIFF_PARTIAL /* bytes, but not enough */
};

struct sniff {
	unsigned magic;
	enum sniff_at at;
	struct conn *conn;
	struct sniff_spec spec;
	const struct sniff_user *user;
	void *arg;
	struct timer timer;
};

#define SNIFF_MAGIC 0x5a1f0001u

static void sniff_free(struct sniff *s)
{
	timer_clear(&s->timer);
	s->magic = 0;
	free(s);
}

static size_t decide(struct sniff *s, enum detect verdict, const char *sni, bool late)
{
	const struct sniff_user *user = s->user;
	void *arg = s->arg;

	sniff_free(s);
	user->on_verdict(arg, verdict, sni, late);
	return 0;
}

static size_t tls_in(struct sniff *s, const uint8_t *p, size_t n)
{
	struct hello h;

	switch (hello_parse(p, n, &h)) {
	case HELLO_MORE:
		return 0;
	case HELLO_DONE:
		return decide(s, DETECT_TLS, h.sni, false);
	case HELLO_NOT:
		break;
	}
	return decide(s, DETECT_OPAQUE, "", false);
}

static size_t sniff_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct sniff *s = obj_cast(struct sniff, arg, SNIFF_MAGIC);
	enum detect d = detect_bytes(p, n);

	(void)c;
	if (d == DETECT_TLS && s->spec.want_sni)
		return tls_in(s, p, n);
	if (d != DETECT_MORE)
		return decide(s, d, "", false);
	if (n > 0 && s->at != SNIFF_PARTIAL) {
		s->at = SNIFF_PARTIAL;
		timer_set(&s->timer, s->spec.limit);
	}
	return 0;
}

/* A client that ends before it has made itself clear gets its bytes carried as they
 * are. */
static void sniff_eof(struct conn *c, void *arg)
{
	(void)c;
	decide(obj_cast(struct sniff, arg, SNIFF_MAGIC), DETECT_OPAQUE, "", false);
}

static void sniff_gone(struct conn *c, void *arg, const struct err *e)
{
	struct sniff *s = obj_cast(struct sniff, arg, SNIFF_MAGIC);
	const struct sniff_user *user = s->user;
	void *above = s->arg;

	(void)c;
	sniff_free(s);
	user->on_gone(above, e);
}

static const struct conn_user sniff_conn = {
	.on_in = sniff_in, .on_eof = sniff_eof, .on_gone = sniff_gone};

static void sniff_timer(struct timer *t)
{
	struct sniff *s = container_of(t, struct sniff, timer);

	switch (s->at) {
	case SNIFF_SILENT:
		s->at = SNIFF_QUIET;
		s->user->on_quiet(s->arg);
		return;
	case SNIFF_PARTIAL:
		decide(s, DETECT_OPAQUE, "", true);
		return;
	case SNIFF_DOOMED:
		s->user->on_doom(s->arg);
		return;
	case SNIFF_QUIET:
		return;
	}
}

struct sniff *sniff_new(struct conn *c, const struct sniff_spec *spec,
	const struct sniff_user *user, void *arg, struct err *e)
{
	struct sniff *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory to look at a connection");
		return NULL;
	}
	s->magic = SNIFF_MAGIC;
	s->conn = c;
	s->spec = *spec;
	s->user = user;
	s->arg = arg;
	timer_init(&s->timer, c->loop, sniff_timer);
	if (spec->quiet)
		timer_set(&s->timer, spec->quiet);
	conn_use(c, &sniff_conn, s);
	return s;
}

void sniff_end(struct sniff *s)
{
	sniff_free(s);
}

bool sniff_is_quiet(const struct sniff *s)
{
	return s->at == SNIFF_QUIET || s->at == SNIFF_DOOMED ||
	       (s->at == SNIFF_SILENT && !s->spec.quiet);
}

void sniff_doom(struct sniff *s)
{
	if (s->at != SNIFF_QUIET)
		return;
	s->at = SNIFF_DOOMED;
	timer_set(&s->timer, LAST_CHANCE);
}
