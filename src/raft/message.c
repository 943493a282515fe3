/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "raft/raft.h"

void
raft_message_deinit(struct raft_message *message)
{
    for (size_t i = 0; i < message->entry_count; i++)
        bytes_unref(&message->entries[i].data);
    mem_free(message->entries);
    message->entries = NULL;
    message->entry_count = 0;
    mem_free(message->snapshot);
    message->snapshot = NULL;
}

struct raft_snapshot *
raft_snapshot_copy(const struct raft_snapshot *snapshot)
{
    struct raft_snapshot *copy = mem_alloc(sizeof(*copy));
    *copy = *snapshot;
    return copy;
}
