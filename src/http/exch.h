/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_EXCH_H
#define HTTP_EXCH_H

/*
 * Seam 2.  An exchange is one request and its response.  A stack is what is done with
 *the requests for one target: filters over one service; built once, shared by its
 *exchanges.
 *
 *	source (server codec, or a caller of ours)
 *	   request   filter 0 -> filter 1 -> … -> service     (client codec, or a
 *handler of ours) response  filter 0 <- filter 1 <- … <-
 *
 * Heads go through the filters; a filter may wait (FLOW_HOLD), answer (FLOW_TURN) or
 *refuse (FLOW_ABORT).  Body bytes and trailers go straight between source and service;
 *filters that want to see them pass have on_data and on_end.
 *
 * Back-pressure is credit, in bytes of body, for each direction: who produces may hand
 *over no more than it has been given.  At first the credit is nought; the service
 *grants it for the request, the source for the response, and both grant again as bytes
 *leave.  `credit` tells of a grant, but not of one made within the very call that hands
 *data over: look at x->req_credit or x->rsp_credit when that call returns.
 *
 * End.  The exchange is over when the response ended (what is left of the request then
 *is nobody's: a service that has not seen its end is told by cancel), or when it
 *failed. A tunnel (101, or 2xx to CONNECT) is over when both directions ended; so the
 *end of a request that asks for one (req.upgrade, CONNECT) may come only after the
 *response's head: a service answers it without waiting.  on_done runs once for every
 *filter entered, last first, then the source's `over`, which frees it: after any call
 *into an exchange (exch_*) it may be gone.
 *
 * Everything happens on the worker that owns the source's connection.
 */
#include "base/err.h"
#include "http/head.h"

#define HTTP_PROTOCOL_ERROR 1
#define HTTP_REFUSED_STREAM                                                            \
	7 /* exch.reset_code: not processed at all (RFC 9113 §7)                      \
	   */

enum flow {
	FLOW_NEXT,  /* go on */
	FLOW_HOLD,  /* wait; the filter will call exch_resume() */
	FLOW_TURN,  /* the response head is in x->rsp (no body but with exch_answer()):
		       up */
	FLOW_ABORT, /* x->err says why: handled as exch_fail() */
	FLOW_AGAIN, /* on_error only, when exch_may_begin_again(): begin the service
		       once more */
};

enum dir { DIR_REQUEST, DIR_RESPONSE };

struct exch;

struct filter {
	const char *name;
	size_t state_size; /* zeroed, per exchange, from its arena */

	/* All may be NULL.  `shared` is the filter's own part of the stack. */
	enum flow (*on_request)(struct exch *x, void *shared, void *state);
	enum flow (*on_response)(struct exch *x, void *shared, void *state);
	/*
	 * The exchange failed before a response head went up: a filter may put a
	 * response into x->rsp and return FLOW_TURN (the rescue filter does:
	 * x->err.code is cleared, and on_response goes on with the filter above);
	 * FLOW_NEXT passes the failure on; FLOW_HOLD waits for exch_resume().
	 */
	enum flow (*on_error)(struct exch *x, void *shared, void *state);
	/*
	 * It failed after the head: trailers that end the response all the same, for a
	 * protocol that has its status there; NULL: the source resets or cuts it.
	 */
	const struct fields *(*on_cut)(struct exch *x, void *shared, void *state);
	void (*on_data)(
		struct exch *x, void *shared, void *state, enum dir d, size_t n);
	void (*on_end)(struct exch *x, void *shared, void *state, enum dir d,
		const struct fields *trailers);
	void (*on_done)(struct exch *x, void *shared, void *state);
};

/*
 * Below: who carries the request out.  Calls come from exch.c, in this order.
 * x->rsp_credit and x->req_credit always hold what is left; `credit` tells that the
 * former grew (by n).  x->req_ended at begin() means that the request has no body.
 * A service grants request credit whether or not it expects a body.
 */
struct service {
	void (*begin)(struct exch *x, void *shared); /* x->req is final */
	void (*data)(struct exch *x, void *shared, const uint8_t *p, size_t n);
	void (*end)(struct exch *x, void *shared,
		const struct fields *trailers); /* may be NULL */
	void (*credit)(
		struct exch *x, void *shared, size_t n); /* for the response body */
	/* The exchange ends early (x->err, the source left, or the service ended the
	 * response before the request): forget it, reset upstream. */
	void (*cancel)(struct exch *x, void *shared);
};

/* Above: who made the exchange.  It grants response credit from head() on, not before.
 */
struct source {
	void (*info)(
		struct exch *x, const struct rsp_head *head); /* 1xx; may be NULL */
	void (*head)(struct exch *x);                         /* x->rsp is final */
	void (*data)(struct exch *x, const uint8_t *p, size_t n);
	void (*end)(struct exch *x, const struct fields *trailers); /* may be NULL */
	void (*credit)(struct exch *x, size_t n); /* for the request body */
	/* Ended: x->err.code is ERR_NONE in order; else reset (or answer, when no head
	 * went). */
	void (*over)(struct exch *x);
};

#define STACK_MAX 24

struct layer {
	const struct filter *ops;
	void *shared;
};

struct stack {
	size_t count;
	struct layer layer[STACK_MAX];
	const struct service *service;
	void *service_shared;
};

#define EXCH_KEEP  4096
#define EXCH_PARTS 3 /* stacks an exchange may go through */

enum exch_at { EXCH_NEW, EXCH_DOWN, EXCH_SERVICE, EXCH_UP, EXCH_BODY, EXCH_OVER };

struct exch {
	struct req_head req;
	struct rsp_head rsp;
	struct err err; /* set when it ends without a (whole) response */
	int reset_code; /* HTTP/2 error code with err, e.g. from the peer's RST_STREAM;
			   else -1 */
	bool cancelled; /* by its source: exch_cancel() */
	bool touched; /* a byte of the request may have reached a peer: no silent second
			 try */
	bool unheard; /* the connection that it was sent on last was lost before a byte
			 of the answer came */
	bool raced; /* … but into a kept connection that the peer was closing, and it
		       may be repeated (RFC 9110 §9.2.2) */
	bool keeps; /* set by a filter: the first EXCH_KEEP bytes of body are kept, so
		       that the service may be begun again */

	struct arena *arena; /* borrowed from the source; ends after `over` */
	struct loop *loop;
	const struct stack
		*stack; /* borrowed; the source holds it (exch_begin's caller) */
	const struct source *source;
	void *source_arg;
	void *service_arg; /* the service's own, per exchange */
	void *conn_ctx; /* what the server's user said of this connection (see server.h)
			 */
	void *user;     /* the stack owner's own, per exchange */
	uint64_t req_bytes, rsp_bytes; /* of body, handed over so far */
	struct exch_kept *kept, **kept_end;
	size_t kept_bytes;

	/* kept by exch.c */
	enum exch_at at;
	size_t i;       /* the layer to run next */
	size_t entered; /* layers whose on_request has run */
	bool req_ended, rsp_ended, serving, head_sent;
	bool end_passed; /* the service was told that the request ended */
	bool in_req_data, in_rsp_data;
	bool failing; /* on_error callbacks are being run */
	bool tunnel;  /* 101, or 2xx to CONNECT: ends when both directions ended */
	bool *gone;   /* set when it ends during a call out of exch.c */
	const struct fields *req_trailers, *rsp_trailers;
	size_t end_told;               /* layers that know that the request ended */
	unsigned tries;                /* times the service was begun */
	size_t req_credit, rsp_credit; /* granted and not yet used */
	size_t nparts;                 /* stacks gone through, see exch_switch() */
	struct {
		const struct stack *stack;
		size_t base; /* index of its first layer */
	} part[EXCH_PARTS];
	void *state[STACK_MAX];
};

/* Pushes a layer below those already there.  `f` and `shared` are borrowed. */
void stack_push(struct stack *s, const struct filter *f, void *shared);

/* ---- for the source ---- */
/* `x` zeroed, with req, arena, loop, source set. */
void exch_begin(struct exch *x, const struct stack *stack);
void exch_req_data(struct exch *x, const uint8_t *p, size_t n); /* n <= x->req_credit */
void exch_req_end(struct exch *x, const struct fields *trailers);
void exch_rsp_credit(struct exch *x, size_t n);
void exch_cancel(
	struct exch *x, const struct err *why); /* the client left; `over` follows */

/* ---- for the service ---- */
void exch_info(struct exch *x, const struct rsp_head *head);    /* 1xx */
void exch_response(struct exch *x);                             /* head is in x->rsp */
void exch_rsp_data(struct exch *x, const uint8_t *p, size_t n); /* n <= x->rsp_credit */
void exch_rsp_end(struct exch *x, const struct fields *trailers);
void exch_req_credit(struct exch *x, size_t n);
/* Hands the service the body bytes that an earlier one had.  After it has sent the
 * head, before it grants credit. */
void exch_replay(struct exch *x);
/* Untouched or raced, and its body is kept. */
bool exch_may_begin_again(const struct exch *x);
void exch_fail(
	struct exch *x, const struct err *e); /* copies `e`; no more calls after */
bool exch_is_tunnel(const struct exch *x);    /* what x->rsp makes of it */

/* ---- for filters ---- */
void exch_resume(
	struct exch *x, enum flow f); /* `f`: what the held callback would have said */
/* From a filter that is not being called (a timeout): cancels the service, then as
 * exch_fail().  Copies `e`. */
void exch_abort(struct exch *x, const struct err *e);
/* Switches the rest of the way down to another stack (layers entered so far stay). Only
 * from on_request of the last layer of x->stack, before FLOW_NEXT.  The new one is
 * borrowed. */
void exch_switch(struct exch *x, const struct stack *to);
/* Fills x->rsp with a bodiless answer; fields may follow. */
void exch_answer(struct exch *x, int status);

#endif
