/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/obj.h"
#include "ctl/signerproc.h"

#define CALLS_MAX 1024

struct sign_call {
	struct list node;
	struct signer *signer;
	struct sign_request request;
	sign_done *done; /* NULL: nobody waits for it any more */
	void *arg;
};

enum signer_at {
	SIGNER_LOADING,
	SIGNER_READY,
	SIGNER_DEAD, /* refused its files, or the process ended */
};

struct signer {
	struct loop *loop;
	const struct signer_user *user;
	void *arg;
	enum signer_at at;
	pid_t pid;
	int fd;
	struct watch watch;
	struct list queued, sent; /* struct sign_call, oldest first */
	size_t ncalls;
	bool retired;
};

void issuer_fini(struct issuer *i)
{
	for (size_t k = 0; k < i->nchain; k++)
		buf_fini(&i->chain[k]);
	*i = (struct issuer){0};
}

/* ---- its end ---- */

static void call_drop(struct sign_call *c)
{
	list_remove(&c->node);
	c->signer->ncalls--;
	free(c);
}

static void drop_all(struct list *calls)
{
	struct sign_call *c;

	list_each(c, calls, node)
	{
		call_drop(c);
	}
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	drop_all(&s->queued);
	drop_all(&s->sent);
	watch_end(&s->watch);
	close(s->fd);
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	free(s);
}

void signer_retire(struct signer *s)
{
	s->retired = true;
	if (s->ncalls == 0)
		signer_free(s);
}

static void fail_all(struct list *calls, const struct err *e)
{
	while (!list_is_empty(calls)) {
		struct sign_call *c = list_first(calls, struct sign_call, node);
		sign_done *done = c->done;
		void *arg = c->arg;

		call_drop(c);
		if (done)
			done(arg, SLICE_NONE, 0, e);
	}
}

static void died(struct signer *s)
{
	struct err e = {0};

	err_set(&e, ERR_CLOSED, "the signer ended");
	s->at = SIGNER_DEAD;
	watch_set(&s->watch, 0);
	fail_all(&s->sent, &e);
	fail_all(&s->queued, &e);
	if (s->retired)
		signer_free(s);
	else
		s->user->on_died(s->arg, s);
}

/* ---- what it says ---- */

static void take_chain(const struct signer_hello *h, struct issuer *out)
{
	size_t at = 0;

	memcpy(out->name, h->name, sizeof out->name);
	out->name[sizeof out->name - 1] = '\0';
	out->not_before = h->not_before;
	out->not_after = h->not_after;
	for (size_t i = 0; i < h->nchain && i < SIGNER_CHAIN_MAX; i++) {
		if (h->len[i] > sizeof h->der - at)
			return;
		buf_add(&out->chain[i], h->der + at, h->len[i]);
		at += h->len[i];
		out->nchain = i + 1;
	}
}

static void read_hello(struct signer *s)
{
	static struct signer_hello h; /* too large for a stack; one loop a process */
	struct issuer issuer = {0};
	struct err e = {0};

	if (recv(s->fd, &h, sizeof h, 0) != (ssize_t)sizeof h) {
		err_set(&e, ERR_CLOSED, "the signer did not start");
	} else if (h.code) {
		h.msg[sizeof h.msg - 1] = '\0';
		err_set(&e, (enum errc)h.code, "%s", h.msg);
	} else {
		take_chain(&h, &issuer);
	}
	s->at = e.code ? SIGNER_DEAD : SIGNER_READY;
	if (e.code)
		watch_set(&s->watch, 0);
	s->user->on_loaded(s->arg, s, &issuer, &e);
	issuer_fini(&issuer);
}

static void read_reply(struct signer *s)
{
	struct sign_call *c = list_first(&s->sent, struct sign_call, node);
	struct sign_reply r;
	struct err e = {0};
	sign_done *done;
	void *arg;

	if (recv(s->fd, &r, sizeof r, 0) != (ssize_t)sizeof r || !c ||
		r.der_len > sizeof r.der) {
		died(s);
		return;
	}
	done = c->done;
	arg = c->arg;
	call_drop(c);
	r.msg[sizeof r.msg - 1] = '\0';
	if (r.code)
		err_set(&e, (enum errc)r.code, "%s", r.msg);
	if (done)
		done(arg, slice_bytes(r.der, r.der_len), r.not_after, &e);
	if (s->retired && s->ncalls == 0)
		signer_free(s);
}

/* ---- what it is told ---- */

static void send_queued(struct signer *s)
{
	while (!list_is_empty(&s->queued)) {
		struct sign_call *c = list_first(&s->queued, struct sign_call, node);

		if (send(s->fd, &c->request, sizeof c->request,
			    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break; /* full; a broken socket also becomes readable */
		list_remove(&c->node);
		list_push(&s->sent, &c->node);
	}
	watch_set(&s->watch, WATCH_IN | (list_is_empty(&s->queued) ? 0 : WATCH_OUT));
}

static void on_fd(struct watch *w, int what)
{
	struct signer *s = container_of(w, struct signer, watch);

	if (what & WATCH_OUT)
		send_queued(s);
	if (!(what & WATCH_IN))
		return;
	if (s->at == SIGNER_LOADING)
		read_hello(s);
	else
		read_reply(s);
}

struct signer *signer_new(struct loop *l, const struct signer_files *files,
	const struct signer_user *user, void *arg, struct err *e)
{
	struct signer *s = calloc(1, sizeof *s);
	int pair[2];

	must(s);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(s);
		err_sys(e, "socketpair");
		return NULL;
	}
	s->pid = fork();
	if (s->pid == 0)
		signer_process(pair[1], files);
	close(pair[1]);
	s->loop = l;
	s->user = user;
	s->arg = arg;
	s->fd = pair[0];
	list_init(&s->queued);
	list_init(&s->sent);
	if (s->pid < 0) {
		err_sys(e, "fork");
		close(s->fd);
		free(s);
		return NULL;
	}
	watch_init(&s->watch, l, s->fd, on_fd);
	watch_set(&s->watch, WATCH_IN);
	return s;
}

struct sign_call *signer_sign(struct signer *s, const struct sign_order *order,
	sign_done *done, void *arg, struct err *e)
{
	size_t n = strlen(order->name);
	struct sign_call *c;

	if (s->at != SIGNER_READY || s->retired || s->ncalls == CALLS_MAX) {
		err_set(e, ERR_BUSY, "the signer takes no more");
		return NULL;
	}
	if (n > SIGNER_NAME_MAX || order->csr.n > SIGNER_CSR_MAX) {
		err_set(e, ERR_LIMIT, "the request is too large");
		return NULL;
	}
	c = calloc(1, sizeof *c);
	must(c);
	c->signer = s;
	c->done = done;
	c->arg = arg;
	c->request.not_before = order->not_before;
	c->request.not_after = order->not_after;
	memcpy(c->request.name, order->name, n);
	memcpy(c->request.csr, order->csr.p, order->csr.n);
	c->request.csr_len = (uint32_t)order->csr.n;
	list_push(&s->queued, &c->node);
	s->ncalls++;
	send_queued(s);
	return c;
}

/* What was sent is answered, and must be counted: only nobody hears it. */
void sign_cancel(struct sign_call *c)
{
	c->done = NULL;
}
