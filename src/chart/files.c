/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/files.h"

#include "base/obj.h"

/* The build lists them: FILE(number, "path") for each. */
#define FILE(i, path)                                                                  \
	extern const char chart_file_##i[], chart_end_##i[];                           \
	__asm__(".pushsection .rodata\n"                                               \
		".globl chart_file_" #i ", chart_end_" #i "\n"                         \
		"chart_file_" #i ":\n"                                                 \
		".incbin \"deploy/charts/" path "\"\n"                                 \
		"chart_end_" #i ":\n"                                                  \
		".byte 0\n"                                                            \
		".popsection\n");
#include "charts.inc"
#undef FILE

static const struct {
	const char *path, *text, *end;
} files[] = {
#define FILE(i, path) {path, chart_file_##i, chart_end_##i},
#include "charts.inc"
#undef FILE
};
const size_t chart_files_count = countof(files);

struct chart_file chart_files_at(size_t i)
{
	return (struct chart_file){
		files[i].path, {files[i].text, (size_t)(files[i].end - files[i].text)}};
}

struct slice chart_files_text(const char *path)
{
	for (size_t i = 0; i < countof(files); i++)
		if (strcmp(files[i].path, path) == 0)
			return chart_files_at(i).text;
	return SLICE_NONE;
}
