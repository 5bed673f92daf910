/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

/*
 * Intrusive doubly linked list: membership without allocation.  The head is a node of
 * its own; an initialised node that is in no list points at itself, so that
 * list_remove() is always safe and may be repeated.
 */
#include <stdbool.h>

#include "base/obj.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
	node->next = at;
	node->prev = at->prev;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_push(struct list *head, struct list *node) /* at the back */
{
	list_insert_before(head, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
	list_insert_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first member, or NULL. */
#define list_first(head, type, member)                                                 \
	(list_is_empty(head) ? NULL : container_of((head)->next, type, member))

/* `it` is a type *; the current member may be removed (and freed) in the body. */
#define list_each(it, head, member)                                                    \
	for (struct list * next_, *at_ = (head)->next;                                 \
		at_ != (head) && ((it) = container_of(at_, __typeof__(*(it)), member), \
				 next_ = at_->next, 1);                                \
		at_ = next_)

#endif
