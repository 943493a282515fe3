/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "core/await.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/error.h"

/* One transfer; the kernel's own limit is a little under 2 GiB. */
#define TRANSFER_BYTES_MAX ((size_t)1 << 30)

/* Elements of one transfer: the kernel's limit (UIO_MAXIOV). */
#define IOV_COUNT_MAX 1024

/* A cancelled fiber begins no file operation; one that was begun is waited for. */
static int64_t
file_op(struct backend_op *op)
{
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    return await_op_to_end(op);
}

int
skein_file_open(const char *path, uint32_t flags, uint32_t mode)
{
    skein_assert(path != NULL);
    skein_assert(flags & (SKEIN_FILE_RDONLY | SKEIN_FILE_RDWR));
    struct backend_op op = {.kind = BACKEND_OPEN, .path = path, .flags = flags, .mode = mode};
    return (int)file_op(&op);
}

int
skein_close(int handle)
{
    skein_assert(handle >= 0);
    struct backend_op op = {.kind = BACKEND_CLOSE, .handle = handle};
    return (int)await_op_to_end(&op);
}

int
skein_wait_readable(int handle, uint64_t deadline_ns)
{
    struct backend_op op = {.kind = BACKEND_POLL, .handle = handle, .flags = SKEIN_READABLE};
    return (int)await_op(&op, deadline_ns);
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
    }
    return first;
}

static size_t
min_bytes(size_t a, size_t b)
{
    return a < b ? a : b;
}

ssize_t
skein_file_pread(int handle, void *data, size_t count, uint64_t offset)
{
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    size_t done = 0;
    while (done < count) {
        struct iovec iov = {.iov_base = (char *)data + done,
                            .iov_len = min_bytes(count - done, TRANSFER_BYTES_MAX)};
        struct backend_op op = {.kind = BACKEND_READ,
                                .handle = handle,
                                .iov = &iov,
                                .iov_count = 1,
                                .offset = offset + done};
        int64_t rc = await_op_to_end(&op);
        /* A direct read past the odd end of a file is refused for its alignment: it is the end. */
        if (rc == -EINVAL && done > 0)
            break;
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        done += (size_t)rc;
    }
    skein_assert(done <= count);
    return (ssize_t)done;
}

int
skein_file_pwrite(int handle, const void *data, size_t count, uint64_t offset, uint32_t flags)
{
    skein_assert((flags & ~SKEIN_FILE_DSYNC) == 0);
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    size_t done = 0;
    while (done < count) {
        struct iovec iov = {.iov_base = (char *)(uintptr_t)data + done,
                            .iov_len = min_bytes(count - done, TRANSFER_BYTES_MAX)};
        struct backend_op op = {.kind = BACKEND_WRITE,
                                .handle = handle,
                                .flags = flags,
                                .iov = &iov,
                                .iov_count = 1,
                                .offset = offset + done};
        int64_t rc = await_op_to_end(&op);
        if (rc < 0)
            return (int)rc;
        if (rc == 0)
            return -EIO;
        done += (size_t)rc;
    }
    skein_assert(done == count);
    return 0;
}

/* One op for as many elements as the kernel takes. */
static int64_t
transfer_some(enum backend_op_kind kind, int handle, struct iovec *iov, int iov_count,
              uint64_t offset, uint32_t flags)
{
    struct backend_op op = {.kind = kind,
                            .handle = handle,
                            .flags = flags,
                            .iov = iov,
                            .iov_count = iov_count > IOV_COUNT_MAX ? IOV_COUNT_MAX : iov_count,
                            .offset = offset};
    return await_op_to_end(&op);
}

ssize_t
skein_file_preadv(int handle, struct iovec *iov, int iov_count, uint64_t offset)
{
    skein_assert(iov_count >= 0);
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    size_t done = 0;
    int first = advance(iov, iov_count, 0, 0);
    while (first < iov_count) {
        int64_t rc =
            transfer_some(BACKEND_READ, handle, iov + first, iov_count - first, offset + done, 0);
        if (rc == -EINVAL && done > 0)
            break;
        if (rc < 0)
            return (ssize_t)rc;
        if (rc == 0)
            break;
        done += (size_t)rc;
        first = advance(iov, iov_count, first, (size_t)rc);
    }
    return (ssize_t)done;
}

int
skein_file_pwritev(int handle, struct iovec *iov, int iov_count, uint64_t offset, uint32_t flags)
{
    skein_assert(iov_count >= 0);
    skein_assert((flags & ~SKEIN_FILE_DSYNC) == 0);
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    int first = advance(iov, iov_count, 0, 0);
    while (first < iov_count) {
        int64_t rc =
            transfer_some(BACKEND_WRITE, handle, iov + first, iov_count - first, offset, flags);
        if (rc < 0)
            return (int)rc;
        if (rc == 0)
            return -EIO;
        offset += (uint64_t)rc;
        first = advance(iov, iov_count, first, (size_t)rc);
    }
    return 0;
}

int
skein_file_sync(int handle, uint32_t flags)
{
    skein_assert((flags & ~SKEIN_FILE_DATA_ONLY) == 0);
    struct backend_op op = {.kind = BACKEND_SYNC, .handle = handle, .flags = flags};
    return (int)file_op(&op);
}

static int
allocate(int handle, uint64_t offset, uint64_t bytes, uint32_t flags)
{
    struct backend_op op = {.kind = BACKEND_ALLOCATE,
                            .handle = handle,
                            .flags = flags,
                            .offset = offset,
                            .bytes = bytes};
    return (int)file_op(&op);
}

int
skein_file_allocate(int handle, uint64_t offset, uint64_t bytes)
{
    return allocate(handle, offset, bytes, 0);
}

int
skein_file_reserve(int handle, uint64_t offset, uint64_t bytes)
{
    return allocate(handle, offset, bytes, SKEIN_FILE_RESERVE);
}

int
skein_file_punch(int handle, uint64_t offset, uint64_t bytes)
{
    return allocate(handle, offset, bytes, SKEIN_FILE_PUNCH);
}

int
skein_file_zero(int handle, uint64_t offset, uint64_t bytes)
{
    return allocate(handle, offset, bytes, SKEIN_FILE_ZERO);
}

int
skein_file_truncate(int handle, uint64_t bytes)
{
    struct backend_op op = {.kind = BACKEND_TRUNCATE, .handle = handle, .bytes = bytes};
    return (int)file_op(&op);
}

int
skein_file_stat(const char *path, struct skein_stat *out_stat)
{
    struct skein_stat stat = {0};
    struct backend_op op = {.kind = BACKEND_STAT, .path = path, .stat = &stat};
    int rc = (int)file_op(&op);
    if (rc >= 0)
        *out_stat = stat;
    return rc;
}

int
skein_file_size(int handle, uint64_t *out_bytes)
{
    struct skein_stat stat = {0};
    struct backend_op op = {.kind = BACKEND_STAT, .handle = handle, .stat = &stat};
    int rc = (int)file_op(&op);
    if (rc >= 0)
        *out_bytes = stat.size_bytes;
    return rc;
}

int
skein_file_alignment(int handle, struct skein_file_alignment *out_alignment)
{
    struct skein_file_alignment alignment = {0};
    struct backend_op op = {.kind = BACKEND_ALIGNMENT, .handle = handle, .alignment = &alignment};
    int rc = (int)file_op(&op);
    if (rc >= 0)
        *out_alignment = alignment;
    return rc;
}

/* The directory of @path: what stands before the last slash. **Ownership**: mem_free it. */
static char *
directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    size_t bytes = slash == path ? 1 : (size_t)(slash - path);
    char *directory = mem_alloc(bytes + 1);
    memcpy(directory, path, bytes);
    directory[bytes] = '\0';
    return directory;
}

int
skein_file_rename_durable(const char *from, const char *to)
{
    int rc = skein_file_rename(from, to);
    if (rc < 0)
        return rc;
    char *source = directory_of(from), *target = directory_of(to);
    rc = skein_file_sync_directory(target);
    if (rc == 0 && strcmp(source, target) != 0)
        rc = skein_file_sync_directory(source);
    mem_free(source);
    mem_free(target);
    return rc;
}

int
skein_file_rename(const char *from, const char *to)
{
    struct backend_op op = {.kind = BACKEND_RENAME, .path = from, .path2 = to};
    return (int)file_op(&op);
}

int
skein_file_unlink(const char *path, uint32_t flags)
{
    skein_assert((flags & ~SKEIN_FILE_DIRECTORY) == 0);
    struct backend_op op = {.kind = BACKEND_UNLINK, .path = path, .flags = flags};
    return (int)file_op(&op);
}

int
skein_file_mkdir(const char *path, uint32_t mode)
{
    struct backend_op op = {.kind = BACKEND_MKDIR, .path = path, .mode = mode};
    return (int)file_op(&op);
}

int
skein_file_list(const char *path, struct skein_names *out_names)
{
    struct skein_names names = {0};
    struct backend_op op = {.kind = BACKEND_LIST, .path = path, .names = &names};
    int rc = (int)file_op(&op);
    if (rc >= 0)
        *out_names = names;
    else
        skein_names_deinit(&names);
    return rc;
}

void
skein_names_deinit(struct skein_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->names[i]);
    mem_free(names->names);
    *names = (struct skein_names){0};
}

int
skein_file_lock(int handle)
{
    struct backend_op op = {.kind = BACKEND_LOCK, .handle = handle};
    return (int)file_op(&op);
}

int
skein_file_sync_directory(const char *path)
{
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECTORY, 0);
    if (handle < 0)
        return handle;
    int rc = skein_file_sync(handle, 0);
    int close_rc = skein_close(handle);
    return rc < 0 ? rc : close_rc;
}

int64_t
skein_work(int64_t (*work)(void *arg), void *arg)
{
    skein_assert(work != NULL);
    struct backend_op op = {.kind = BACKEND_WORK, .work = work, .work_arg = arg};
    return await_op_to_end(&op);
}
