/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_EVENTMEM_H
#define EV_EVENTMEM_H

/*
 * Where libevent's memory comes from.  It keeps a few bytes for each descriptor number
 * that it has ever seen, and asks for them when a connection comes.  Lying among what
 * belongs to connections they would hold a page each when those are gone: a crowd of
 * thousands would leave megabytes behind.  So what is small has pages of its own, which
 * are not given back but used again; all else is malloc()'s.
 */
void eventmem_use(void); /* before anything else of libevent; may be repeated */

#endif
