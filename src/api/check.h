/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_CHECK_H
#define API_CHECK_H

/*
 * What protobuf-c does not look at: how deeply messages are nested (it recurses) and
 * zero bytes in strings (it hands out C strings).  Private to api/.
 */
#include "api/api.h"

int api_check(const ProtobufCMessageDescriptor *type, struct slice bytes, int depth,
	struct err *e);

#endif
