/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io_ready_try.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/io_plain.h"
#include "core/socket_call.h"

bool
ready_waits(enum backend_op_kind kind)
{
    return kind == BACKEND_RECV || kind == BACKEND_ACCEPT || kind == BACKEND_POLL ||
           kind == BACKEND_SEND || kind == BACKEND_CONNECT;
}

bool
ready_reads(const struct backend_op *op)
{
    if (op->kind == BACKEND_POLL)
        return op->flags != SKEIN_WRITABLE;
    return op->kind == BACKEND_RECV || op->kind == BACKEND_ACCEPT;
}

static int
begin_connect(struct backend_op *op)
{
    struct ready_op *mine = ready_op_of(op);
    union plain_sockaddr sa;
    socklen_t bytes;
    int fd = socket_connecting(op, SOCK_NONBLOCK, &sa, &bytes);
    if (fd < 0)
        return fd;
    if (connect(fd, &sa.any, bytes) < 0 && errno != EINPROGRESS && errno != EINTR) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    mine->fd = fd;
    return fd;
}

/* An accept must not wait in the kernel, also when the connection went away after its event. */
static int
begin_accept(const struct backend_op *op)
{
    int flags = fcntl(op->handle, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(op->handle, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    return op->handle;
}

int
ready_begin(struct backend_op *op)
{
    if (op->kind == BACKEND_CONNECT)
        return begin_connect(op);
    if (op->kind == BACKEND_ACCEPT)
        return begin_accept(op);
    return fcntl(op->handle, F_GETFD) < 0 ? -errno : op->handle;
}

static int64_t
try_connect(struct backend_op *op)
{
    struct ready_op *mine = ready_op_of(op);
    union plain_sockaddr sa;
    socklen_t bytes = sizeof(sa);
    int error = 0;
    socklen_t error_bytes = sizeof(error);
    int fd = mine->fd;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) < 0)
        error = errno;
    if (error == 0 && getpeername(fd, &sa.any, &bytes) < 0) {
        if (errno == ENOTCONN)
            return -EAGAIN;
        error = errno;
    }
    if (error != 0)
        return -error;
    mine->fd = -1;
    return fd;
}

static size_t
room_of(const struct backend_op *op)
{
    size_t room = 0;
    for (int v = 0; v < op->iov_count; v++)
        room += op->iov[v].iov_len;
    return room;
}

static int64_t
try_recv(struct ready_slot *slot, struct backend_op *op)
{
    if (slot->dry)
        return -EAGAIN;
    int64_t result = plain_recv_now(op);
    bool emptied = result > 0 && (size_t)result < room_of(op);
    slot->dry = result == -EAGAIN || (emptied && !slot->ended);
    return result;
}

int64_t
ready_try(struct ready_slot *slot, struct backend_op *op)
{
    if (op->kind == BACKEND_RECV)
        return try_recv(slot, op);
    if (op->kind == BACKEND_SEND)
        return plain_send_now(op);
    if (op->kind == BACKEND_ACCEPT)
        return plain_accept_now(op);
    if (op->kind == BACKEND_POLL)
        return plain_poll_now(op->handle, op->flags);
    skein_assert(op->kind == BACKEND_CONNECT);
    return try_connect(op);
}
