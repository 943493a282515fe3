/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/io_plain.h"
#include "core/socket_call.h"
#include "core/uring_internal.h"
#include "skein/error.h"

static int
open_flags(struct backend_op *op)
{
    int flags = plain_open_flags(op->flags);
    return uring_op_of(op)->without_direct ? flags & ~O_DIRECT : flags;
}

static void
prepare_message(struct io_uring_sqe *sqe, struct backend_op *op)
{
    struct uring_op *mine = uring_op_of(op);
    mine->message = (struct msghdr){.msg_iov = op->iov, .msg_iovlen = (size_t)op->iov_count};
    if (op->kind == BACKEND_SEND)
        io_uring_prep_sendmsg(sqe, op->handle, &mine->message, MSG_NOSIGNAL);
    else
        io_uring_prep_recvmsg(sqe, op->handle, &mine->message, 0);
}

static void
prepare_transfer(struct io_uring_sqe *sqe, struct backend_op *op)
{
    int fd = op->handle;
    bool one = op->iov_count == 1;
    void *data = one ? op->iov->iov_base : NULL;
    unsigned count = one ? (unsigned)op->iov->iov_len : 0;
    unsigned iov_count = (unsigned)op->iov_count;
    if (op->kind == BACKEND_SEND && one)
        io_uring_prep_send(sqe, fd, data, count, MSG_NOSIGNAL);
    else if (op->kind == BACKEND_RECV && one)
        io_uring_prep_recv(sqe, fd, data, count, 0);
    else if (op->kind == BACKEND_SEND || op->kind == BACKEND_RECV)
        prepare_message(sqe, op);
    else if (op->kind == BACKEND_READ && one)
        io_uring_prep_read(sqe, fd, data, count, op->offset);
    else if (op->kind == BACKEND_READ)
        io_uring_prep_readv(sqe, fd, op->iov, iov_count, op->offset);
    else if (one)
        io_uring_prep_write(sqe, fd, data, count, op->offset);
    else
        io_uring_prep_writev(sqe, fd, op->iov, iov_count, op->offset);
    if (op->kind == BACKEND_WRITE && (op->flags & SKEIN_FILE_DSYNC))
        sqe->rw_flags = RWF_DSYNC;
}

static int
prepare_connect(struct io_uring_sqe *sqe, struct backend_op *op)
{
    struct uring_op *mine = uring_op_of(op);
    if (mine->fd < 0)
        mine->fd = socket_connecting(op, 0, &mine->peer, &mine->peer_bytes);
    if (mine->fd < 0)
        return mine->fd;
    io_uring_prep_connect(sqe, mine->fd, &mine->peer.any, mine->peer_bytes);
    return 0;
}

/* What goes by a path. */
static void
prepare_named(struct io_uring_sqe *sqe, struct backend_op *op)
{
    if (op->kind == BACKEND_OPEN)
        io_uring_prep_openat(sqe, AT_FDCWD, op->path, open_flags(op), op->mode);
    else if (op->kind == BACKEND_RENAME)
        io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->path2, 0);
    else if (op->kind == BACKEND_UNLINK)
        io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path,
                               op->flags & SKEIN_FILE_DIRECTORY ? AT_REMOVEDIR : 0);
    else
        io_uring_prep_mkdirat(sqe, AT_FDCWD, op->path, op->mode);
}

static int
prepare(struct io_uring_sqe *sqe, struct backend_op *op)
{
    struct uring_op *mine = uring_op_of(op);
    int rc = 0;
    switch (op->kind) {
    case BACKEND_OPEN:
    case BACKEND_RENAME:
    case BACKEND_UNLINK:
    case BACKEND_MKDIR:
        prepare_named(sqe, op);
        break;
    case BACKEND_CLOSE:
        io_uring_prep_close(sqe, op->handle);
        break;
    case BACKEND_READ:
    case BACKEND_WRITE:
    case BACKEND_RECV:
    case BACKEND_SEND:
        prepare_transfer(sqe, op);
        break;
    case BACKEND_SYNC:
        io_uring_prep_fsync(sqe, op->handle,
                            op->flags & SKEIN_FILE_DATA_ONLY ? IORING_FSYNC_DATASYNC : 0);
        break;
    case BACKEND_ALLOCATE:
        io_uring_prep_fallocate(sqe, op->handle, plain_allocate_mode(op->flags), (off_t)op->offset,
                                (off_t)op->bytes);
        break;
    case BACKEND_ACCEPT:
        mine->peer_bytes = sizeof(mine->peer);
        io_uring_prep_accept(sqe, op->handle, &mine->peer.any, &mine->peer_bytes, SOCK_CLOEXEC);
        break;
    case BACKEND_CONNECT:
        rc = prepare_connect(sqe, op);
        break;
    case BACKEND_POLL:
        io_uring_prep_poll_add(sqe, op->handle, (unsigned)plain_poll_events(op->flags));
        break;
    case BACKEND_TRUNCATE:
    case BACKEND_STAT:
    case BACKEND_LIST:
    case BACKEND_LOCK:
    case BACKEND_LISTEN:
    case BACKEND_LOCAL:
    case BACKEND_SET_OPTIONS:
    case BACKEND_GET_OPTION:
    case BACKEND_PEER:
    case BACKEND_CREDENTIALS:
    case BACKEND_DATAGRAM:
    case BACKEND_JOIN:
    case BACKEND_LEAVE:
    case BACKEND_SEND_MESSAGES:
    case BACKEND_RECV_MESSAGES:
    case BACKEND_SHUTDOWN:
    case BACKEND_ALIGNMENT:
    case BACKEND_SEND_FILE:
    case BACKEND_MAP:
    case BACKEND_WATCH_OPEN:
    case BACKEND_WATCH_ADD:
    case BACKEND_WATCH_REMOVE:
    case BACKEND_WATCH_READ:
    case BACKEND_WORK:
        skein_unreachable();
    }
    return rc;
}

int
uring_prepare(struct io_uring_sqe *sqe, struct backend_op *op)
{
    int rc = prepare(sqe, op);
    if (rc < 0) /* the entry is taken; it has to do something */
        io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, rc < 0 ? TAG_IGNORED : uring_tag(op, TAG_OP));
    return rc;
}

static int
finish_connect(struct backend_op *op, int result)
{
    struct uring_op *mine = uring_op_of(op);
    int fd = mine->fd;
    mine->fd = -1;
    if (result == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return result;
}

bool
uring_finish(struct backend_op *op, int result)
{
    struct uring_op *mine = uring_op_of(op);
    if (result == -EINTR && !mine->cancel_asked)
        return false;
    if (op->kind == BACKEND_OPEN && result == -EINVAL && (op->flags & SKEIN_FILE_DIRECT) &&
        !mine->without_direct) {
        mine->without_direct = true;
        return false;
    }
    if (op->kind == BACKEND_CONNECT)
        result = finish_connect(op, result);
    if (op->kind == BACKEND_ACCEPT && result >= 0)
        socket_address_read(&mine->peer, mine->peer_bytes, &op->addr, op->unix_addr);
    if (op->kind == BACKEND_POLL && result > 0)
        result = 0;
    bool cancelled = result == -ECANCELED || (result == -EINTR && mine->cancel_asked);
    op->result = cancelled ? -SKEIN_ECANCELED : result;
    return true;
}
