/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include <stdlib.h>

static void fixed_endpoint_free(struct ref *r)
{
	struct fixed_endpoint *f = container_of(r, struct fixed_endpoint, ref);

	free((char *)f->info.identity);
	free((char *)f->info.server_name);
	free((char *)f->info.authority);
	for (size_t i = 0; i < f->info.labels.n; i++) {
		free((char *)f->info.labels.v[i].key);
		free((char *)f->info.labels.v[i].value);
	}
	free((void *)f->info.labels.v);
	free(f);
}

static char *copy(const char *text)
{
	return text ? slice_dup(slice_of(text)) : NULL;
}

struct fixed_endpoint *fixed_endpoint_new(const struct endpoint_info *info)
{
	struct fixed_endpoint *f = calloc(1, sizeof *f);
	struct label *v = calloc(info->labels.n + 1, sizeof *v);

	if (!f || !v) {
		free(f);
		free(v);
		return NULL;
	}
	ref_init(&f->ref, fixed_endpoint_free);
	f->info = *info;
	f->info.identity = copy(info->identity);
	f->info.server_name = copy(info->server_name);
	f->info.authority = copy(info->authority);
	for (size_t i = 0; i < info->labels.n; i++)
		v[i] = (struct label){
			copy(info->labels.v[i].key), copy(info->labels.v[i].value)};
	f->info.labels.v = v;
	return f;
}
