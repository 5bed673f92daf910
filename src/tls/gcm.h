/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_GCM_H
#define TLS_GCM_H

/*
 * AES-128-GCM by the fastest way this CPU has.  On x86 (gcm_ipsec.c) Intel IPsec-MB's
 * routines for VAES with AVX-512, for AVX2, for SSE with AES-NI; without AES-NI,
 * mbedTLS. Chosen at first use.  Elsewhere (gcm_nettle.c) nettle.  The Makefile takes
 * one of the two files.  A key belongs to one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_KEY   16
#define GCM_NONCE 12
#define GCM_TAG   16

#ifdef __x86_64__
#define GCM_STATE 1008 /* IPsec-MB 1.3: expanded keys and powers of the hash key */
#else
#define GCM_STATE sizeof(void *) /* of what is on the heap */
#endif

struct gcm {
	_Alignas(64) uint8_t state[GCM_STATE];
};

/* -1: out of memory (not where IPsec-MB does it). */
int gcm_init(struct gcm *g, const uint8_t key[GCM_KEY]);
void gcm_fini(struct gcm *g); /* wipes; a zeroed one is fine */

/* In place: `n` bytes at `p`, which is followed by the tag. */
void gcm_seal(struct gcm *g, const uint8_t nonce[GCM_NONCE], const void *aad,
	size_t aad_n, uint8_t *p, size_t n);
/* The same back; false when the tag is wrong, and then what is at `p` means nothing. */
bool gcm_open(struct gcm *g, const uint8_t nonce[GCM_NONCE], const void *aad,
	size_t aad_n, uint8_t *p, size_t n);

const char *gcm_engine(void);
/* For tests and benches: false when there is none of that name that runs here.  Keys
 * made before are not to be used after. */
bool gcm_use(const char *engine);
/* The i-th engine's name, or NULL. */
const char *gcm_engine_name(size_t i);

#endif
