/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_IO_H
#define SKEIN_IO_H

#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How the fibers of a shard share a disk: by the shares of their scheduling groups (skein/group.h),
 * each group being a class of its own.
 *
 * A disk that is given more than it can do queues it, first come, first served: whoever asks for
 * much makes everybody wait. So what exceeds the disk's capacity waits here, before it is given to
 * the disk, and is let through by shares.
 *
 *     read, write, sync --> within capacity: straight to the backend
 *                      \--> else: the group's queue --token bucket, least virtual time--> backend
 *
 * The capacity is what `skein iotune` has measured: an operation costs 1/IOPS and its bytes
 * 1/bandwidth of a second of the disk; the bucket gets one second of it a second, and holds 2 ms.
 * A group that has been idle gets no credit for it. Without properties nothing is held back.
 */

struct skein_io_properties {
    uint64_t read_iops;             /* 4 KiB, at random */
    uint64_t write_iops;            /* likewise */
    uint64_t read_bytes_per_second; /* in sequence */
    uint64_t write_bytes_per_second;
};

/*
 * skein_io_limit - from now on the current shard gives the disk no more than that.
 * @properties: copied; NULL: no limit any more, and who waits goes on. When several shards use one
 * disk each gets its part of it.
 * **Returns** 0; -SKEIN_EINVALID: one of them is 0. **Runs on** a fiber; does not suspend.
 */
int skein_io_limit(const struct skein_io_properties *properties) SKEIN_MUST_CHECK;

/* The file that `skein iotune` writes: lines of `name = number`, # begins a comment. */
#define SKEIN_IO_TEXT_BYTES_MAX 4096
/* skein_io_properties_parse - @text: the whole file. **Returns** 0; -SKEIN_EFORMAT, with the line
 * and what is wrong in @out_why. */
int skein_io_properties_parse(const char *text, size_t bytes,
                              struct skein_io_properties *out_properties,
                              char out_why[256]) SKEIN_MUST_CHECK;
/* skein_io_properties_text - the inverse. Returns the length. */
size_t skein_io_properties_text(const struct skein_io_properties *properties,
                                char out[SKEIN_IO_TEXT_BYTES_MAX]);

#ifdef __cplusplus
}
#endif

#endif
