/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_SOCKET_H
#define SKEIN_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sockets for fibers: straight-line calls that park the calling fiber until the operation is
 * complete. At the deadline, or when the fiber is cancelled, the operation is cancelled and the
 * call waits for its final completion, so a buffer is never written after the call has returned; a
 * result that came first is returned in spite of both. skein_close closes (skein/file.h).
 *
 * All: **Runs on** any shard, in a fiber, suspends. **Returns** 0, a count or a handle (>= 0), else
 * -errno, -SKEIN_ETIMEDOUT or -SKEIN_ECANCELED.
 */

/* An address: IPv4 and IPv6 as 16 bytes (v4-mapped), port in host order. scope: the number of the
 * interface that a link-local IPv6 address is on; else 0. */
struct skein_addr {
    uint8_t ip[16];
    uint16_t port;
    uint32_t scope;
};

/* ---- sockets ---- */
int skein_socket_listen(const struct skein_addr *addr, int backlog) SKEIN_MUST_CHECK;
int skein_socket_local_addr(int handle, struct skein_addr *out_addr) SKEIN_MUST_CHECK;
int skein_socket_accept(int handle, struct skein_addr *out_peer,
                        uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_socket_connect - a connected TCP socket (TCP_NODELAY set). */
int skein_socket_connect(const struct skein_addr *addr, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_socket_recv - 1 to @count bytes; 0: the peer sent its end. */
ssize_t skein_socket_recv(int handle, void *data, size_t count,
                          uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_socket_send - all of the bytes, or an error (after which the stream is broken: close it).
 */
int skein_socket_send(int handle, const void *data, size_t count,
                      uint64_t deadline_ns) SKEIN_MUST_CHECK;
int skein_socket_sendv(int handle, struct iovec *iov, int iov_count,
                       uint64_t deadline_ns) SKEIN_MUST_CHECK;
int skein_socket_shutdown(int handle) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
