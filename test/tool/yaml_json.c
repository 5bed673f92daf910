/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of YAML on the standard input, as one list of JSON. */
#include <stdio.h>

#include "base/file.h"
#include "wire/yaml.h"

int main(void)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct err e = {0};
	struct json *docs = NULL;
	int status = 1;

	if (file_read("/dev/stdin", YAML_MAX, &in, &e) == 0)
		docs = yaml_parse_all(buf_slice(&in), &e);
	if (docs && json_write(docs, 0, &out) == 0)
		status = fwrite(out.p + out.at, 1, buf_len(&out), stdout) !=
			 buf_len(&out);
	else
		fprintf(stderr, "yaml_json: %s\n", e.msg);
	json_free(docs);
	buf_fini(&in);
	buf_fini(&out);
	return status;
}
