/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "ev/loopint.h"

/* One's share of a turn where no more than FEW are ready. */
#define SHARE (NS_PER_MS / 4)
#define FEW   8

/* ---- later ---- */

void later_init(struct later *d, void (*fn)(struct later *d))
{
	list_init(&d->node);
	d->fn = fn;
}

void loop_later(struct loop *l, struct later *d)
{
	if (list_is_empty(&d->node))
		list_push(&l->later, &d->node);
}

void later_clear(struct later *d)
{
	list_remove(&d->node);
}

/* What is put off while this runs is run too, but not without end: events come first.
 */
#define LATER_ROUNDS 10000

void later_run(struct loop *l)
{
	struct later *d;

	for (int i = 0; i < LATER_ROUNDS; i++) {
		d = list_first(&l->later, struct later, node);
		if (!d)
			return;
		list_remove(&d->node);
		d->fn(d);
	}
}

void loop_backlog(struct loop *l, struct later *d)
{
	if (!list_is_empty(&d->node))
		return;
	list_push(&l->backlog, &d->node);
	l->waiting++;
}

bool loop_is_backlogged(const struct later *d)
{
	return !list_is_empty(&d->node);
}

void loop_backlog_clear(struct loop *l, struct later *d)
{
	if (!loop_is_backlogged(d))
		return;
	list_remove(&d->node);
	l->waiting--;
}

uint64_t loop_share(const struct loop *l)
{
	unsigned crowd = l->crowd + l->waiting;
	uint64_t share = crowd <= FEW ? SHARE : SHARE * FEW / crowd;

	return share < LOOP_SHARE_LEAST ? LOOP_SHARE_LEAST : share;
}

void backlog_run(struct loop *l)
{
	uint64_t end;
	struct later *d;

	if (list_is_empty(&l->backlog))
		return;
	end = loop_look(l) + 2 * loop_share(l);
	do {
		d = list_first(&l->backlog, struct later, node);
		loop_backlog_clear(l, d);
		d->fn(d);
	} while (!list_is_empty(&l->backlog) && loop_look(l) < end);
	later_run(l);
}

void loop_spare(struct loop *l, struct later *d)
{
	if (!list_is_empty(&d->node))
		return;
	if (list_is_empty(&l->spare))
		l->spare_due = l->now + LOOP_SPARE_EVERY;
	list_push(&l->spare, &d->node);
}

void spare_run(struct loop *l, bool is_idle)
{
	struct later *d = list_first(&l->spare, struct later, node);

	if (!d || (!is_idle && l->now < l->spare_due))
		return;
	list_remove(&d->node);
	d->fn(d);
	l->now = clock_mono(); /* much later */
	l->spare_due = l->now + LOOP_SPARE_EVERY;
}
