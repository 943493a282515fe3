/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_FILE_H
#define SKEIN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Files for fibers: straight-line calls over the backend's ops. Each parks the calling
 * fiber until its op is complete. At the deadline, or when the fiber is cancelled, the op is
 * cancelled and the call waits for its final completion, so a buffer is never written after the
 * call has returned; a result that came first is returned in spite of both.
 *
 * All: **Runs on** any shard, in a fiber, suspends. **Returns** 0, a count or a handle (>= 0), else
 * -errno, -SKEIN_ETIMEDOUT or -SKEIN_ECANCELED. File calls take no deadline: a disk operation that
 * was begun is waited for, also by a cancelled fiber (the caller cannot know how much was done).
 *
 * Errors that every kind of file knows: -EBADF: @handle is closed, was never one, or is not open
 * for this; -EINVAL: a direct transfer that is not aligned; -ENOSPC, -EDQUOT: no space, nothing or
 * a part was written; -EIO: the device failed (a failed sync never becomes a success: see the log's
 * latch); -EFBIG: beyond the largest file; -EISDIR, -ENOTDIR, -ENOENT, -EACCES, -EROFS: as open(2).
 * A file that another process truncates is short, which is no error.
 *
 * A fiber that is cancelled already begins none, with exceptions that clean-up needs without a
 * shield: skein_close, skein_socket_shutdown and skein_work are always carried out.
 */

/* Flags of open. A file opened with SKEIN_FILE_DIRECT wants buffers, offsets and counts aligned to
 * 4096; where the file system refuses that the backend opens the file without and says nothing. */
#define SKEIN_FILE_RDONLY 1u
#define SKEIN_FILE_RDWR 2u
#define SKEIN_FILE_CREATE 4u    /* create when absent */
#define SKEIN_FILE_EXCLUSIVE 8u /* with CREATE: -EEXIST when present */
#define SKEIN_FILE_TRUNC 16u
#define SKEIN_FILE_DIRECT 32u
#define SKEIN_FILE_DIRECTORY 64u /* open: a directory, for BACKEND_SYNC; unlink: rmdir */
/* Flag of write: durable (data and the size needed to read it) when complete. */
#define SKEIN_FILE_DSYNC 128u
/* Flag of sync: fdatasync. */
#define SKEIN_FILE_DATA_ONLY 256u
/* Flags of BACKEND_ALLOCATE; calls below. */
#define SKEIN_FILE_RESERVE 512u
#define SKEIN_FILE_PUNCH 1024u
#define SKEIN_FILE_ZERO 2048u

/* What direct transfers of a file have to be multiples of. */
struct skein_file_alignment {
    uint32_t memory_bytes; /* the buffer's address */
    uint32_t offset_bytes; /* the offset and the count */
};

struct skein_stat {
    uint64_t size_bytes;
    bool is_directory;
};

/* The names in a directory, without . and .., in byte order; mem_alloc'd; skein_names_deinit frees.
 */
struct skein_names {
    char **names;
    size_t count;
};

/* ---- files. flags: SKEIN_FILE_RDONLY ... SKEIN_FILE_DIRECTORY of core/backend.h ---- */
int skein_file_open(const char *path, uint32_t flags, uint32_t mode) SKEIN_MUST_CHECK;
int skein_close(int handle);
/* skein_wait_readable - until there is something to read from any descriptor of the process: a
 * socket, a pipe, a signalfd, a terminal. Ends also at the peer's end and at an error, which the
 * read then tells. */
int skein_wait_readable(int handle, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_file_pread - up to @count bytes at @offset; fewer only at the end of the file. */
ssize_t skein_file_pread(int handle, void *data, size_t count, uint64_t offset) SKEIN_MUST_CHECK;
/* skein_file_pwrite - all of @count bytes, or an error. @flags: 0 or SKEIN_FILE_DSYNC. */
int skein_file_pwrite(int handle, const void *data, size_t count, uint64_t offset,
                      uint32_t flags) SKEIN_MUST_CHECK;
/* skein_file_preadv, skein_file_pwritev - the same with memory in pieces. @iov is changed. */
ssize_t skein_file_preadv(int handle, struct iovec *iov, int iov_count,
                          uint64_t offset) SKEIN_MUST_CHECK;
int skein_file_pwritev(int handle, struct iovec *iov, int iov_count, uint64_t offset,
                       uint32_t flags) SKEIN_MUST_CHECK;
/* skein_file_sync - @flags: 0 (fsync) or SKEIN_FILE_DATA_ONLY. Directories: open with
 * SKEIN_FILE_DIRECTORY. */
int skein_file_sync(int handle, uint32_t flags) SKEIN_MUST_CHECK;
/* skein_file_allocate - space for the range; a shorter file grows, the new part reads as zeros. */
int skein_file_allocate(int handle, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
/* skein_file_reserve - space for the range; the file's size stays. */
int skein_file_reserve(int handle, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
/* skein_file_punch - the range reads as zeros and takes no space; the size stays. */
int skein_file_punch(int handle, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
/* skein_file_zero - the range reads as zeros and keeps its space; a shorter file grows. */
int skein_file_zero(int handle, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
int skein_file_truncate(int handle, uint64_t bytes) SKEIN_MUST_CHECK;
int skein_file_stat(const char *path, struct skein_stat *out_stat) SKEIN_MUST_CHECK;
/* skein_file_size - of an open file, also of one that has no name any more. */
int skein_file_size(int handle, uint64_t *out_bytes) SKEIN_MUST_CHECK;
/* skein_file_alignment - asked of the kernel (statx); where it does not say: 4096 and 4096. */
int skein_file_alignment(int handle, struct skein_file_alignment *out_alignment) SKEIN_MUST_CHECK;
int skein_file_rename(const char *from, const char *to) SKEIN_MUST_CHECK;
/* skein_file_rename_durable - rename, then sync the directories: the name holds over a crash. A
 * failure after the rename (of a sync) leaves the new name in place, perhaps not for good. */
int skein_file_rename_durable(const char *from, const char *to) SKEIN_MUST_CHECK;
int skein_file_unlink(const char *path, uint32_t flags) SKEIN_MUST_CHECK;
/* skein_file_mkdir - @mode as mkdir(2). -EEXIST when there. */
int skein_file_mkdir(const char *path, uint32_t mode) SKEIN_MUST_CHECK;
/* skein_file_list - **Ownership**: free @out_names with skein_names_deinit. */
int skein_file_list(const char *path, struct skein_names *out_names) SKEIN_MUST_CHECK;
void skein_names_deinit(struct skein_names *names);
/* skein_file_lock - exclusive advisory lock until close. -EWOULDBLOCK: another process has it. */
int skein_file_lock(int handle) SKEIN_MUST_CHECK;
/* skein_file_sync_directory - open, fsync and close the directory @path. */
int skein_file_sync_directory(const char *path) SKEIN_MUST_CHECK;

/*
 * skein_file_send - @bytes of the file @handle from @offset to the stream socket @socket, without a
 * copy through this process where the kernel can. **Returns** 0; -ENODATA: the file ended before
 * @bytes (what there was has been sent); after every error the stream is broken: close it.
 */
int skein_file_send(int socket, int handle, uint64_t offset, uint64_t bytes,
                    uint64_t deadline_ns) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
