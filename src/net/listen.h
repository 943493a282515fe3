/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "base/assert.h"
#include "core/backend.h"

/*
 * net_listen - skein_socket_listen for a server that may just have been killed and started again:
 * the kernel gives a killed process's ring, and the listening socket in it, back a moment after the
 * process is gone. So a port in use is tried again for NET_LISTEN_PATIENCE_NS before it is an
 * error.
 * **Returns** a handle; -EADDRINUSE; -SKEIN_ECANCELED; else as skein_socket_listen. **Runs on** a
 * fiber, suspends.
 */
int net_listen(const struct skein_addr *addr, int backlog) SKEIN_MUST_CHECK;

#define NET_LISTEN_PATIENCE_NS UINT64_C(1000000000)

#endif
