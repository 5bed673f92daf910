/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_SIGNERPROC_H
#define CTL_SIGNERPROC_H

/* What goes over the socket between signer.c and the process of signerproc.c. */
#include "ctl/signer.h"

struct sign_request {
	uint64_t not_before, not_after;
	char name[SIGNER_NAME_MAX + 1];
	uint32_t csr_len;
	uint8_t csr[SIGNER_CSR_MAX];
};

struct sign_reply {
	uint32_t code; /* enum errc */
	char msg[240];
	uint64_t not_after;
	uint32_t der_len;
	uint8_t der[SIGNER_CSR_MAX];
};

struct signer_hello {
	uint32_t code;
	char msg[240];
	char name[256];
	uint64_t not_before, not_after;
	uint32_t nchain, len[SIGNER_CHAIN_MAX];
	uint8_t der[SIGNER_CHAIN_MAX * 4096];
};

/* The child's whole life; `fd` is a SOCK_SEQPACKET socket. */
_Noreturn void signer_process(int fd, const struct signer_files *files);

#endif
