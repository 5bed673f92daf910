/* SPDX-License-Identifier: Apache-2.0 */
#include "base/snap.h"

void snap_set(struct snap *s, struct ref *value)
{
	struct ref *old;

	pthread_mutex_lock(&s->lock);
	old = s->now;
	s->now = value;
	pthread_mutex_unlock(&s->lock);
	ref_put(old);
}

struct ref *snap_get(struct snap *s)
{
	struct ref *r;

	pthread_mutex_lock(&s->lock);
	r = s->now;
	if (r)
		ref_get(r);
	pthread_mutex_unlock(&s->lock);
	return r;
}
