/* SPDX-License-Identifier: Apache-2.0 */
/* Repeated keys, found by sorting: many keys must not cost their square. */
#include <stdlib.h>

#include "wire/json_node.h"

struct keyed {
	cJSON *node;
	size_t at;
};

static int by_key_then_place(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int order = strcmp(x->node->string, y->node->string);

	if (order)
		return order;
	return x->at < y->at ? -1 : x->at > y->at;
}

static struct keyed *sorted(const cJSON *obj, size_t n)
{
	struct keyed *all = calloc(n, sizeof *all);
	size_t i = 0;

	must(all);
	for (cJSON *it = obj->child; it; it = it->next, i++)
		all[i] = (struct keyed){it, i};
	qsort(all, n, sizeof *all, by_key_then_place);
	return all;
}

static bool same_key(const struct keyed *a, const struct keyed *b)
{
	return strcmp(a->node->string, b->node->string) == 0;
}

const char *node_repeated_key(const cJSON *obj)
{
	size_t n = json_count(json_of(obj));
	const char *key = NULL;
	struct keyed *all;

	if (n < 2)
		return NULL;
	all = sorted(obj, n);
	for (size_t i = 0; i + 1 < n && !key; i++)
		if (same_key(&all[i], &all[i + 1]))
			key = all[i].node->string;
	free(all);
	return key;
}

void node_drop_repeated(cJSON *obj, enum node_keep keep)
{
	size_t n = json_count(json_of(obj)), kept = 0;
	struct keyed *all;

	if (n < 2)
		return;
	all = sorted(obj, n);
	for (size_t i = 1; i < n; i++) {
		size_t drop = keep == KEEP_LAST ? i - 1 : i;

		if (!same_key(&all[kept], &all[i])) {
			kept = i;
			continue;
		}
		cJSON_Delete(cJSON_DetachItemViaPointer(obj, all[drop].node));
		if (keep == KEEP_LAST)
			kept = i;
	}
	free(all);
}
