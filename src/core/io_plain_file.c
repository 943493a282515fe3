/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/io_plain.h"
#include "skein/error.h"

/* A directory with more names is not ours to read. */
#define LIST_NAME_COUNT_MAX ((size_t)1 << 20)

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
append_name(struct skein_names *names, size_t *capacity, const char *name)
{
    if (names->count >= LIST_NAME_COUNT_MAX)
        return -SKEIN_ETOOBIG;
    if (names->count == *capacity) {
        size_t wanted = *capacity ? 2 * *capacity : 16;
        char **grown = mem_try_realloc(names->names, wanted * sizeof(char *));
        if (!grown)
            return -ENOMEM;
        names->names = grown;
        *capacity = wanted;
    }
    size_t bytes = strlen(name) + 1;
    char *copy = mem_try_alloc(bytes);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, bytes);
    names->names[names->count++] = copy;
    return 0;
}

static int
read_names(DIR *dir, struct skein_names *names)
{
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int rc = append_name(names, &capacity, entry->d_name);
        if (rc < 0)
            return rc;
    }
}

static int
list_directory(const char *path, struct skein_names *names)
{
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    int rc = read_names(dir, names);
    closedir(dir);
    if (rc < 0) {
        for (size_t i = 0; i < names->count; i++)
            mem_free(names->names[i]);
        mem_free(names->names);
        *names = (struct skein_names){0};
    } else if (names->count > 1) {
        qsort(names->names, names->count, sizeof(char *), compare_names);
    }
    return rc;
}

static int
read_stat(const struct backend_op *op, struct skein_stat *out)
{
    struct stat st;
    if ((op->path ? stat(op->path, &st) : fstat(op->handle, &st)) < 0)
        return -errno;
    out->size_bytes = (uint64_t)st.st_size;
    out->is_directory = S_ISDIR(st.st_mode);
    return 0;
}

static int
open_file(const struct backend_op *op)
{
    int flags = plain_open_flags(op->flags);
    int fd = open(op->path, flags, op->mode);
    if (fd < 0 && errno == EINVAL && (flags & O_DIRECT)) /* the file system has none */
        fd = open(op->path, flags & ~O_DIRECT, op->mode);
    return fd < 0 ? -errno : fd;
}

/* What cannot be positioned (a pipe) is read and written in order. */
static int64_t
transfer(const struct backend_op *op)
{
    int flags = op->flags & SKEIN_FILE_DSYNC ? RWF_DSYNC : 0;
    off_t offset = (off_t)op->offset;
    bool writes = op->kind == BACKEND_WRITE;
    ssize_t n = writes ? pwritev2(op->handle, op->iov, op->iov_count, offset, flags)
                       : preadv2(op->handle, op->iov, op->iov_count, offset, 0);
    if (n < 0 && errno == ESPIPE)
        n = writes ? writev(op->handle, op->iov, op->iov_count)
                   : readv(op->handle, op->iov, op->iov_count);
    return n < 0 ? -errno : n;
}

static int
zero_or_errno(int rc)
{
    return rc < 0 ? -errno : 0;
}

int
plain_allocate_mode(uint32_t flags)
{
    if (flags & SKEIN_FILE_PUNCH)
        return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (flags & SKEIN_FILE_ZERO)
        return FALLOC_FL_ZERO_RANGE;
    return flags & SKEIN_FILE_RESERVE ? FALLOC_FL_KEEP_SIZE : 0;
}

static int64_t
run_once(struct backend_op *op)
{
    switch (op->kind) {
    case BACKEND_OPEN:
        return open_file(op);
    case BACKEND_CLOSE:
        return zero_or_errno(close(op->handle));
    case BACKEND_READ:
    case BACKEND_WRITE:
        return transfer(op);
    case BACKEND_SYNC:
        return zero_or_errno(op->flags & SKEIN_FILE_DATA_ONLY ? fdatasync(op->handle)
                                                              : fsync(op->handle));
    case BACKEND_ALLOCATE:
        return zero_or_errno(fallocate(op->handle, plain_allocate_mode(op->flags),
                                       (off_t)op->offset, (off_t)op->bytes));
    case BACKEND_TRUNCATE:
        return zero_or_errno(ftruncate(op->handle, (off_t)op->bytes));
    case BACKEND_STAT:
        return read_stat(op, op->stat);
    case BACKEND_RENAME:
        return zero_or_errno(rename(op->path, op->path2));
    case BACKEND_UNLINK:
        return zero_or_errno(op->flags & SKEIN_FILE_DIRECTORY ? rmdir(op->path) : unlink(op->path));
    case BACKEND_MKDIR:
        return zero_or_errno(mkdir(op->path, op->mode));
    case BACKEND_LIST:
        return list_directory(op->path, op->names);
    case BACKEND_ALIGNMENT:
        return plain_file_alignment(op->handle, op->alignment);
    case BACKEND_SEND_FILE:
        return plain_send_file(op);
    case BACKEND_MAP:
        return plain_map(op);
    case BACKEND_WATCH_ADD:
        return plain_watch_add(op);
    case BACKEND_WORK:
        return op->work(op->work_arg);
    case BACKEND_LOCK:
    case BACKEND_LISTEN:
    case BACKEND_LOCAL:
    case BACKEND_ACCEPT:
    case BACKEND_CONNECT:
    case BACKEND_RECV:
    case BACKEND_SEND:
    case BACKEND_SHUTDOWN:
    case BACKEND_POLL:
    case BACKEND_SET_OPTIONS:
    case BACKEND_GET_OPTION:
    case BACKEND_PEER:
    case BACKEND_CREDENTIALS:
    case BACKEND_DATAGRAM:
    case BACKEND_JOIN:
    case BACKEND_LEAVE:
    case BACKEND_SEND_MESSAGES:
    case BACKEND_RECV_MESSAGES:
    case BACKEND_WATCH_OPEN:
    case BACKEND_WATCH_REMOVE:
    case BACKEND_WATCH_READ:
        skein_unreachable();
    }
    skein_unreachable();
}

int64_t
plain_run(struct backend_op *op)
{
    int64_t result;
    bool again;
    do {
        result = run_once(op);
        /* A descriptor is gone also when its close was interrupted; what work answers is its own.
         */
        again = result == -EINTR && op->kind != BACKEND_WORK && op->kind != BACKEND_CLOSE;
    } while (again);
    return result == -EINTR && op->kind == BACKEND_CLOSE ? 0 : result;
}
