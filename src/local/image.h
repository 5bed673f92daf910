/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_IMAGE_H
#define LOCAL_IMAGE_H

/*
 * Image names as programs of this machine.
 *
 * A YAML file:
 *
 *	mesh/proxy: {command: ["@self"]}
 *	demo/web: {command: [bin/web], args: [--port, "80"], env: {LANG: C}}
 *
 * or a folder, where the image "x/web:1" is the executable "web".  A name is looked up
 * whole, then without its tag or digest, then by its last part.  "@self" is this
 * binary, and commands named mesh-x in its containers are `@self x`; relative programs
 * with a '/' are looked for beside the file.
 */
#include "wire/json.h"

struct images;

/* `path` NULL: none are known.  `self`: what "@self" is. */
struct images *images_load(const char *path, const char *self, struct err *e);
void images_free(struct images *im);

/* {command: [...], args: [...], env: {...}}, borrowed; NULL when unknown. */
const struct json *images_find(struct images *im, const char *name);

#endif
