/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

/*
 * The whole proxy: configuration from the environment, a control thread (this one),
 * workers, until SIGTERM, SIGINT or /shutdown; then a drain within the grace period.
 *
 * Returns the process' status: 0 after a shutdown, 64 for a bad configuration, 1 when
 * it cannot start.
 */
int proxy_run(void);

#endif
