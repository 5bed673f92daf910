/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_PAGE_H
#define APP_PAGE_H

/* page.html, as it was when this program was built. */
#include "base/slice.h"

struct slice page_text(void);

#endif
