/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/sigmemo.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 512 /* 16 KB */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t slots[SLOTS][SHA256_SIZE]; /* all zero: free; no digest is */

static uint8_t *slot_of(const uint8_t digest[SHA256_SIZE])
{
	return slots[(digest[0] | digest[1] << 8) % SLOTS];
}

bool sigmemo_has(const uint8_t digest[SHA256_SIZE])
{
	bool has;

	pthread_mutex_lock(&lock);
	has = memcmp(slot_of(digest), digest, SHA256_SIZE) == 0;
	pthread_mutex_unlock(&lock);
	return has;
}

void sigmemo_add(const uint8_t digest[SHA256_SIZE])
{
	pthread_mutex_lock(&lock);
	memcpy(slot_of(digest), digest, SHA256_SIZE);
	pthread_mutex_unlock(&lock);
}
