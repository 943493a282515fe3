/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/io_plain.h"
#include "skein/file_watch.h"

/* Where the kernel does not say: every disk in use. */
#define ALIGNMENT_BYTES_DEFAULT 4096u

/* One piece of a file on its way to a socket, and how long a helper thread waits for a socket that
 * takes nothing: the caller waits for room by itself. */
#define SEND_FILE_BYTES_MAX ((size_t)512 << 10)
#define SEND_FILE_WAIT_US 10000

int
plain_file_alignment(int fd, struct skein_file_alignment *out)
{
    struct statx st = {0};
    *out = (struct skein_file_alignment){ALIGNMENT_BYTES_DEFAULT, ALIGNMENT_BYTES_DEFAULT};
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0)
        return errno == ENOSYS ? 0 : -errno;
    if ((st.stx_mask & STATX_DIOALIGN) && st.stx_dio_mem_align && st.stx_dio_offset_align)
        *out = (struct skein_file_alignment){st.stx_dio_mem_align, st.stx_dio_offset_align};
    return 0;
}

int64_t
plain_send_file(const struct backend_op *op)
{
    struct timeval before, wait = {.tv_usec = SEND_FILE_WAIT_US};
    socklen_t before_bytes = sizeof(before);
    off_t offset = (off_t)op->offset;
    size_t bytes = op->bytes < SEND_FILE_BYTES_MAX ? (size_t)op->bytes : SEND_FILE_BYTES_MAX;
    /* In its own descriptor's mode the call would wait for the peer as long as that likes. */
    if (getsockopt(op->handle, SOL_SOCKET, SO_SNDTIMEO, &before, &before_bytes) < 0 ||
        setsockopt(op->handle, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
        return -errno;
    ssize_t n = sendfile(op->handle, op->source, &offset, bytes);
    int rc = n < 0 ? -errno : 0;
    if (setsockopt(op->handle, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof(before)) < 0)
        return -errno;
    if (rc == -EINVAL) /* this file system cannot */
        rc = -EOPNOTSUPP;
    return rc < 0 ? rc : n;
}

int
plain_map(struct backend_op *op)
{
    int protection = PROT_READ | (op->flags & SKEIN_FILE_RDWR ? PROT_WRITE : 0);
    void *at = mmap(NULL, (size_t)op->bytes, protection, MAP_SHARED, op->handle, (off_t)op->offset);
    if (at == MAP_FAILED)
        return errno == ENODEV ? -EOPNOTSUPP : -errno;
    op->iov->iov_base = at;
    return 0;
}

int
plain_watch_add(const struct backend_op *op)
{
    static const struct {
        uint32_t ours, kernels;
    } kinds[] = {
        {SKEIN_WATCH_CREATED, IN_CREATE | IN_MOVED_TO},
        {SKEIN_WATCH_REMOVED, IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF},
        {SKEIN_WATCH_WRITTEN, IN_MODIFY},
        {SKEIN_WATCH_CLOSED, IN_CLOSE_WRITE},
        {SKEIN_WATCH_ATTRIBUTES, IN_ATTRIB},
    };
    uint32_t mask = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        mask |= op->flags & kinds[i].ours ? kinds[i].kernels : 0;
    int number = inotify_add_watch(op->handle, op->path, mask);
    return number < 0 ? -errno : number;
}

bool
plain_watch_now(struct backend_op *op)
{
    int64_t result;
    if (op->kind == BACKEND_WATCH_OPEN)
        result = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    else if (op->kind == BACKEND_WATCH_REMOVE)
        result = inotify_rm_watch(op->handle, (int)op->offset);
    else if (op->kind == BACKEND_WATCH_READ)
        result = read(op->handle, op->iov->iov_base, op->iov->iov_len);
    else
        return false;
    op->result = result < 0 ? -errno : result;
    return true;
}
