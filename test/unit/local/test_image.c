/* SPDX-License-Identifier: Apache-2.0 */
#include "local/image.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

static const char map[] = "demo/up: {command: [../bin/x, a]}\n"
			  "demo/here: {command: [./x]}\n"
			  "demo/path: {command: [sh]}\n"
			  "demo/whole: {command: [/opt/../x]}\n"
			  "demo/self: {command: [\"@self\"]}\n";

static void program_is(struct images *im, const char *image, const char *want)
{
	const struct json *command = json_get(images_find(im, image), "command");

	OK(json_text(json_at(command, 0)));
	EQ_STR(json_text(json_at(command, 0)), want);
}

TEST(relative_programs_are_found_beside_the_file_and_named_without_dots)
{
	char dir[] = "/tmp/test_image.XXXXXX", real[PATH_MAX], path[PATH_MAX + 32];
	struct images *im;
	struct err e = {0};
	FILE *f;

	OK(mkdtemp(dir) && realpath(dir, real));
	snprintf(path, sizeof path, "%s/bin", real);
	OK(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/conf", real);
	OK(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/conf/images.yaml", real);
	f = fopen(path, "w");
	OK(f && fputs(map, f) >= 0 && fclose(f) == 0);
	im = images_load(path, "/usr/bin/mesh", &e);
	OK(im);
	unlink(path);
	snprintf(path, sizeof path, "%s/bin/x", real);
	program_is(im, "demo/up", path);
	program_is(im, "demo/up:1@sha256:0", path);
	snprintf(path, sizeof path, "%s/conf/x", real);
	program_is(im, "demo/here", path);
	program_is(im, "demo/path", "sh");
	program_is(im, "demo/whole", "/opt/../x");
	program_is(im, "demo/self:2", "/usr/bin/mesh");
	OK(!images_find(im, "demo/other"));
	images_free(im);
	snprintf(path, sizeof path, "%s/bin", real);
	rmdir(path);
	snprintf(path, sizeof path, "%s/conf", real);
	rmdir(path);
	rmdir(real);
}
