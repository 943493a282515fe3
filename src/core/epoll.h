/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_EPOLL_H
#define CORE_EPOLL_H

#include "core/backend.h"

/*
 * The epoll backend, for where io_uring is refused: sockets are watched edge-triggered from their
 * first wait to their close; files go to helper threads. See core/io_ready.h.
 */

/*
 * epoll_open - for the calling thread. @helper_count: helper threads, 1 to 64, started when needed.
 * **Returns** 0; -EMFILE, -ENOMEM: limits of this process; close with its ops' close.
 */
int epoll_open(struct backend **out_backend, unsigned helper_count) SKEIN_MUST_CHECK;

#endif
