/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/await.h"
#include "skein/fiber.h"
#include "skein/socket.h"
#include "skein/error.h"

/* Elements of one send: the kernel's limit (UIO_MAXIOV). */
#define IOV_COUNT_MAX 1024

int
skein_socket_listen(const struct skein_addr *addr, int backlog)
{
    skein_assert(backlog > 0);
    struct backend_op op = {.kind = BACKEND_LISTEN, .addr = *addr, .backlog = backlog};
    return (int)await_op(&op, SKEIN_NEVER);
}

int
skein_socket_local_addr(int handle, struct skein_addr *out_addr)
{
    struct backend_op op = {.kind = BACKEND_LOCAL, .handle = handle};
    int rc = (int)await_op(&op, SKEIN_NEVER);
    if (rc >= 0)
        *out_addr = op.addr;
    return rc;
}

int
skein_socket_accept(int handle, struct skein_addr *out_peer, uint64_t deadline_ns)
{
    struct backend_op op = {.kind = BACKEND_ACCEPT, .handle = handle};
    int rc = (int)await_op(&op, deadline_ns);
    if (rc >= 0 && out_peer)
        *out_peer = op.addr;
    return rc;
}

int
skein_socket_connect(const struct skein_addr *addr, uint64_t deadline_ns)
{
    struct backend_op op = {.kind = BACKEND_CONNECT, .addr = *addr};
    return (int)await_op(&op, deadline_ns);
}

ssize_t
skein_socket_recv(int handle, void *data, size_t count, uint64_t deadline_ns)
{
    skein_assert(count > 0);
    struct iovec iov = {.iov_base = data, .iov_len = count};
    struct backend_op op;
    backend_op_init(&op, BACKEND_RECV, handle);
    op.iov = &iov;
    op.iov_count = 1;
    return (ssize_t)await_op(&op, deadline_ns);
}

int
skein_socket_send(int handle, const void *data, size_t count, uint64_t deadline_ns)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = count};
    return skein_socket_sendv(handle, &iov, 1, deadline_ns);
}

/* Take @bytes off the front of the vector; the rest begins at the returned element. */
static int
advance(struct iovec *iov, int iov_count, int first, size_t bytes)
{
    while (first < iov_count && bytes >= iov[first].iov_len) {
        bytes -= iov[first].iov_len;
        first++;
    }
    if (first < iov_count) {
        iov[first].iov_base = (char *)iov[first].iov_base + bytes;
        iov[first].iov_len -= bytes;
    } else {
        skein_assert(bytes == 0);
    }
    return first;
}

int
skein_socket_sendv(int handle, struct iovec *iov, int iov_count, uint64_t deadline_ns)
{
    skein_assert(iov_count >= 0);
    int first = advance(iov, iov_count, 0, 0);
    while (first < iov_count) {
        struct backend_op op;
        backend_op_init(&op, BACKEND_SEND, handle);
        op.iov = iov + first;
        op.iov_count = iov_count - first;
        if (op.iov_count > IOV_COUNT_MAX)
            op.iov_count = IOV_COUNT_MAX;
        int64_t rc = await_op(&op, deadline_ns);
        if (rc < 0)
            return (int)rc;
        if (rc == 0)
            return -EIO;
        first = advance(iov, iov_count, first, (size_t)rc);
    }
    return 0;
}

int
skein_socket_shutdown(int handle)
{
    struct backend_op op = {.kind = BACKEND_SHUTDOWN, .handle = handle};
    return (int)await_op_to_end(&op);
}
