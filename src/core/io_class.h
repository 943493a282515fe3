/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_CLASS_H
#define CORE_IO_CLASS_H

#include "core/backend.h"
#include "skein/io.h"
#include "skein/timer.h"

struct skein_group;
struct skein_shard;

/* What the bucket holds: so much may be given to the disk at once after a pause. */
#define IO_BURST_NS 2000000

/* The token bucket of a shard, in nanoseconds of the disk's time. */
struct io_limiter {
    struct skein_io_properties properties;
    int64_t tokens_ns; /* below 0: given in advance */
    uint64_t filled_ns;
    uint64_t floor;            /* virtual time of the class that went last */
    struct skein_list waiting; /* groups with a queue */
    struct skein_timer timer;
};

/* A group's part. */
struct io_class {
    struct skein_list queue; /* struct io_waiter */
    struct skein_list link;  /* in io_limiter.waiting */
    uint64_t vtime;
    uint64_t ops, bytes, wait_ns, waited; /* waited: ops that did */
};

void io_class_init(struct io_class *io);
/* io_admit - park the running fiber until @op may be given to the disk. Only where there is a
 * limiter; what is no reading, writing or syncing goes through. */
void io_admit(struct skein_shard *shard, const struct backend_op *op);
void io_limiter_close(struct skein_shard *shard);

#endif
