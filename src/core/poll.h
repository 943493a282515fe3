/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POLL_H
#define CORE_POLL_H

#include "core/backend.h"

/*
 * The poll backend: needs nothing but poll(2), and costs a walk over all descriptors that are
 * waited for on every turn. For a handful of connections, and to find out whether something lies in
 * epoll or above it. See core/io_ready.h.
 */

/* poll_open - as epoll_open. */
int poll_open(struct backend **out_backend, unsigned helper_count) SKEIN_MUST_CHECK;

#endif
