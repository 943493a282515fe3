/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_FILE_MAP_H
#define SKEIN_FILE_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A file in memory, shared with whoever else has it mapped.
 *
 *   skein_map_open -> skein_map_load (a range) -> the bytes at skein_map_data -> skein_map_flush
 *
 * Touching a page that is not in memory stops the thread until the disk has it, and with it every
 * fiber of the shard: skein_map_load has a helper thread touch them first. A load is no pin: under
 * pressure the kernel may drop a page again. Touching a page behind the end of the file kills the
 * process (SIGBUS); skein_map_read and skein_map_write never do, and never stop the shard.
 *
 * Where a file cannot be mapped (the simulator, some file systems) the map is a copy, read at open
 * and written back by flush: the same to one process, not shared with others.
 *
 * The handle is borrowed and stays open until the map is closed.
 *
 * Unless said otherwise: **Runs on** a fiber; suspends. A begun call is waited for.
 */

struct skein_map;

enum skein_map_advice {
    SKEIN_MAP_NORMAL,
    SKEIN_MAP_SEQUENTIAL, /* read ahead much, drop behind */
    SKEIN_MAP_RANDOM,     /* do not read ahead */
    SKEIN_MAP_WILL_NEED,  /* begin to read the range */
    SKEIN_MAP_DONT_NEED   /* the range's memory may go; what was written is kept in the file */
};

/*
 * skein_map_open - @offset: a multiple of 4096; @bytes: > 0; @flags: SKEIN_FILE_RDONLY or
 * SKEIN_FILE_RDWR, as the handle was opened.
 * **Ownership**: close with skein_map_close.
 * **Returns** 0; -EACCES, -EINVAL, -EBADF; -ENOMEM: no address space, or no memory for a copy;
 * -SKEIN_ETOOBIG: a copy of more than 1 GiB would be needed.
 */
int skein_map_open(struct skein_map **out_map, int handle, uint64_t offset, uint64_t bytes,
                   uint32_t flags) SKEIN_MUST_CHECK;
/* skein_map_close - what was written and not flushed reaches the file some time (a copy: not). */
void skein_map_close(struct skein_map *map);
/* skein_map_data - the first byte. Does not suspend. */
void *skein_map_data(const struct skein_map *map);
/* skein_map_load - bring a range into memory. **Returns** 0; -ENODATA: the file ends before the
 * range does; -SKEIN_EINVALID: outside the map (so all below); -EIO: the disk failed. */
int skein_map_load(struct skein_map *map, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
/* skein_map_read - copy out; fewer bytes than @count where the file ends before. */
ssize_t skein_map_read(struct skein_map *map, uint64_t offset, void *data,
                       size_t count) SKEIN_MUST_CHECK;
/* skein_map_write - copy in; a shorter file grows. -EBADF: the map is read-only. */
int skein_map_write(struct skein_map *map, uint64_t offset, const void *data,
                    size_t count) SKEIN_MUST_CHECK;
/* skein_map_flush - the range is durable when this returns 0. */
int skein_map_flush(struct skein_map *map, uint64_t offset, uint64_t bytes) SKEIN_MUST_CHECK;
int skein_map_advise(struct skein_map *map, uint64_t offset, uint64_t bytes,
                     enum skein_map_advice advice) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
