/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

/*
 * What a client takes (RFC 9110 §12.5): the weight, 0 to 1000, that a list such as
 * "text/html, application/json;q=0.5" gives `what` by its most particular member that
 * fits; wildcards count.  0 when it is not taken.  A list that is not there takes
 * everything: ask before.
 */
#include "http/head.h"

unsigned accept_weight(struct slice list, struct slice what);

#endif
