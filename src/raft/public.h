/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_PUBLIC_H
#define RAFT_PUBLIC_H

#include "skein/raft.h"

#include "raft/raft.h"

/* The inside of skein/raft.h: the core with plain data at its edges. public.c: what happens to it
 * and is asked of it; public_ready.c: what it wants done. */

#define PUBLIC_MAGIC 0x70726166u

/* What waits for a write. */
struct pending {
    uint64_t write;
    struct raft_message *responses;
    size_t count;
};

struct skein_raft {
    uint32_t magic;
    struct raft *core;
    uint64_t id;
    uint64_t write_last;
    struct pending *pending; /* the oldest first */
    size_t pending_count, pending_capacity;
    struct raft_message *held; /* may leave now */
    size_t held_count, held_capacity;
};

struct skein_raft_members public_members_of(const struct raft_config *config);
struct skein_raft_hard_state public_hard_state_of(const struct raft_hard_state *hard_state);
/* public_drop_messages - and the array. */
void public_drop_messages(struct raft_message *messages, size_t count);

#endif
