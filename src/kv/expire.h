/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_EXPIRE_H
#define KV_EXPIRE_H

#include "skein/fiber.h"
#include "kv/batch.h"
#include "replica/replica.h"

/*
 * The expirer: machines see no clock, so somebody has to move log time on when nobody writes.
 *
 * One fiber on each node. For each group that the node leads and whose earliest expiry its wall
 * clock has passed, an empty batch is submitted: it carries the new log time and makes every member
 * remove what has expired, a bounded number each time. At most one a group is under way; between
 * two there are at least EXPIRE_GAP_NS.
 *
 * There is no way to be woken when a key with an expiry appears (it comes through the log, from any
 * node), so the fiber looks every EXPIRE_CHECK_NS: one flag on a follower, one cursor step on the
 * leader. A key is therefore absent at most about EXPIRE_CHECK_NS after its time, and nothing is
 * written for keys that do not expire.
 */

#define EXPIRE_CHECK_NS UINT64_C(100000000)
#define EXPIRE_GAP_NS UINT64_C(10000000)

struct kv_expirer {
    struct replica *replica;
    uint32_t group_count;    /* 1: @replica's alone; else the groups 0 to that of its process */
    struct kv_limits limits; /* of the empty batch */
    uint64_t command_timeout_ns;
};

/* kv_expirer_start - the fiber in @scope, ended by cancelling it. @expirer outlives it. */
int kv_expirer_start(struct kv_expirer *expirer, struct skein_scope *scope) SKEIN_MUST_CHECK;

#endif
