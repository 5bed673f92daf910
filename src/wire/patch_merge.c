/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/patch.h"

/* Puts `patch` (an object) into `into` (another). */
static void merge(struct json *into, const struct json *patch)
{
	json_each(it, patch)
	{
		const char *key = json_key(it);

		if (json_kind(it) == JSON_NULL) {
			json_remove(into, key);
		} else if (json_kind(it) == JSON_OBJECT) {
			merge(json_need_object(into, key), it);
		} else {
			json_set(into, key, json_copy(it));
		}
	}
}

int patch_merge(struct json **doc, const struct json *patch, struct err *e)
{
	struct json *out;

	if (!patch)
		return err_set(e, ERR_SYNTAX, "no patch");
	if (json_kind(patch) != JSON_OBJECT) {
		out = json_copy(patch);
	} else {
		out = json_kind(*doc) == JSON_OBJECT ? json_copy(*doc) : json_object();
		merge(out, patch);
	}
	json_free(*doc);
	*doc = out;
	return 0;
}
