/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_frame.h"

#include <string.h>

#include "base/wire.h"

uint64_t
wal_frame_bytes(const struct wal_write *write)
{
    uint64_t bytes = WAL_FRAME_HEAD_BYTES;
    for (size_t i = 0; i < write->entry_count; i++)
        bytes += WAL_ENTRY_HEAD_BYTES + write->entries[i].data.count;
    return bytes;
}

static void
head_encode(uint8_t *head, uint32_t flags, uint32_t group, uint64_t bytes, uint64_t entry_count)
{
    skein_assert(group < WAL_GROUPS_MAX);
    memset(head, 0, WAL_FRAME_HEAD_BYTES);
    wire_store(head, WAL_FRAME_MAGIC, 4);
    wire_store(head + 4, flags, 2);
    wire_store(head + 6, group, 2);
    wire_store(head + 8, bytes, 8);
    wire_store(head + 16, entry_count, 8);
}

void
wal_frame_head(uint8_t head[WAL_FRAME_HEAD_BYTES], const struct wal_write *write)
{
    uint32_t flags = (write->hard_state ? WAL_FRAME_HARD_STATE : 0) |
                     (write->snapshot ? WAL_FRAME_SNAPSHOT : 0) |
                     (write->forget ? WAL_FRAME_FORGET : 0);
    head_encode(head, flags, write->group, wal_frame_bytes(write), write->entry_count);
    if (write->hard_state) {
        wire_store(head + 24, write->hard_state->term, 8);
        wire_store(head + 32, write->hard_state->vote, 8);
        wire_store(head + 40, write->hard_state->commit, 8);
    }
    if (write->snapshot) {
        wire_store(head + 48, write->snapshot->index, 8);
        wire_store(head + 56, write->snapshot->term, 8);
    }
}

void
wal_frame_moved_head(uint8_t head[WAL_FRAME_HEAD_BYTES], const struct wal_write *write)
{
    skein_assert(!write->hard_state && !write->snapshot);
    head_encode(head, WAL_FRAME_MOVED, write->group, wal_frame_bytes(write), write->entry_count);
}

void
wal_frame_start_head(uint8_t head[WAL_FRAME_HEAD_BYTES], uint32_t group, uint64_t index,
                     uint64_t term)
{
    head_encode(head, WAL_FRAME_START, group, WAL_FRAME_HEAD_BYTES, 0);
    wire_store(head + 48, index, 8);
    wire_store(head + 56, term, 8);
}

void
wal_entry_head(uint8_t head[WAL_ENTRY_HEAD_BYTES], const struct raft_entry *entry)
{
    wire_store(head, entry->index, 8);
    wire_store(head + 8, entry->term, 8);
    wire_store(head + 16, entry->data.count, 4);
    wire_store(head + 20, (uint64_t)entry->type, 4);
}
