/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

__asm__(".pushsection .rodata\n"
	".global page_begin, page_end\n"
	"page_begin: .incbin \"deploy/local/app/page.html\"\n"
	"page_end: .byte 0\n"
	".popsection\n");

extern const char page_begin[], page_end[];

struct slice page_text(void)
{
	return slice_bytes(page_begin, (size_t)(page_end - page_begin));
}
