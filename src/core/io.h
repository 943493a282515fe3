/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_H
#define CORE_IO_H

#include <stdint.h>
#include <sys/types.h>

#include "core/backend.h"
#include "core/fiber.h"

/*
 * Files and sockets for fibers: straight-line calls over the backend's ops. Each parks the calling
 * fiber until its op is complete. At the deadline, or when the fiber is cancelled, the op is
 * cancelled and the call waits for its final completion, so a buffer is never written after the
 * call has returned; a result that came first is returned in spite of both.
 *
 * All: **Runs on** any shard, in a fiber, suspends. **Returns** 0, a count or a handle (>= 0), else
 * -errno, -SKEIN_ETIMEDOUT or -SKEIN_ECANCELED. File calls take no deadline: a disk operation that
 * was begun is waited for, also by a cancelled fiber (the caller cannot know how much was done).
 * A fiber that is cancelled already begins none, with exceptions that clean-up needs without a
 * shield: core_close, core_shutdown and core_work are always carried out.
 */

/* ---- files. flags: BACKEND_RDONLY ... BACKEND_DIRECTORY of core/backend.h ---- */
int core_open(const char *path, uint32_t flags, uint32_t mode) SKEIN_MUST_CHECK;
int core_close(int handle);
/* core_pread - up to @count bytes at @offset; fewer only at the end of the file. */
ssize_t core_pread(int handle, void *data, size_t count, uint64_t offset) SKEIN_MUST_CHECK;
/* core_pwrite - all of @count bytes, or an error. @flags: 0 or BACKEND_DSYNC. */
int core_pwrite(int handle, const void *data, size_t count, uint64_t offset,
                uint32_t flags) SKEIN_MUST_CHECK;
/* core_sync - @flags: 0 (fsync) or BACKEND_DATA_ONLY. Directories: open with BACKEND_DIRECTORY. */
int core_sync(int handle, uint32_t flags) SKEIN_MUST_CHECK;
int core_allocate(int handle, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
int core_truncate(int handle, uint64_t bytes) SKEIN_MUST_CHECK;
int core_stat(const char *path, struct backend_stat *out_stat) SKEIN_MUST_CHECK;
int core_rename(const char *from, const char *to) SKEIN_MUST_CHECK;
int core_unlink(const char *path, uint32_t flags) SKEIN_MUST_CHECK;
/* core_mkdir - @mode as mkdir(2). -EEXIST when there. */
int core_mkdir(const char *path, uint32_t mode) SKEIN_MUST_CHECK;
/* core_list - **Ownership**: free @out_names with core_names_deinit. */
int core_list(const char *path, struct backend_names *out_names) SKEIN_MUST_CHECK;
void core_names_deinit(struct backend_names *names);
/* core_lock - exclusive advisory lock until close. -EWOULDBLOCK: another process has it. */
int core_lock(int handle) SKEIN_MUST_CHECK;
/* core_sync_directory - open, fsync and close the directory @path. */
int core_sync_directory(const char *path) SKEIN_MUST_CHECK;

/* ---- sockets ---- */
int core_listen(const struct backend_addr *addr, int backlog) SKEIN_MUST_CHECK;
int core_local_addr(int handle, struct backend_addr *out_addr) SKEIN_MUST_CHECK;
int core_accept(int handle, struct backend_addr *out_peer, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* core_connect - a connected TCP socket (TCP_NODELAY set). */
int core_connect(const struct backend_addr *addr, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* core_recv - 1 to @count bytes; 0: the peer sent its end. */
ssize_t core_recv(int handle, void *data, size_t count, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* core_send - all of the bytes, or an error (after which the stream is broken: close it). */
int core_send(int handle, const void *data, size_t count, uint64_t deadline_ns) SKEIN_MUST_CHECK;
int core_sendv(int handle, struct iovec *iov, int iov_count, uint64_t deadline_ns) SKEIN_MUST_CHECK;
int core_shutdown(int handle) SKEIN_MUST_CHECK;

/* ---- helper threads ---- */
/* core_work - run @work(@arg) on a helper thread and park until it returned; its value comes back.
 * @work must not touch the shard. In the simulator it runs at a drawn instant, on this thread. */
int64_t core_work(int64_t (*work)(void *arg), void *arg);

#endif
