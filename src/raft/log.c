/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "raft/internal.h"

#include <string.h>

uint64_t
raft_log_last(const struct raft_log *log)
{
    return log->base_index + log->count;
}

const struct raft_entry *
raft_log_at(const struct raft_log *log, uint64_t index)
{
    skein_assert(index > log->base_index);
    skein_assert(index <= raft_log_last(log));
    return &log->entries[log->head + (size_t)(index - log->base_index - 1)];
}

uint64_t
raft_log_term(const struct raft_log *log, uint64_t index)
{
    if (index == log->base_index)
        return log->base_term;
    if (index < log->base_index || index > raft_log_last(log))
        return 0;
    return raft_log_at(log, index)->term;
}

uint64_t
raft_log_last_term(const struct raft_log *log)
{
    return raft_log_term(log, raft_log_last(log));
}

bool
raft_log_matches(const struct raft_log *log, uint64_t index, uint64_t term)
{
    if (index < log->base_index || index > raft_log_last(log))
        return false;
    return raft_log_term(log, index) == term;
}

void
raft_log_push(struct raft_log *log, struct raft_entry entry)
{
    skein_assert(entry.index == raft_log_last(log) + 1);
    if (log->head + log->count == log->capacity && log->head > log->capacity / 2) {
        memmove(log->entries, log->entries + log->head, log->count * sizeof(*log->entries));
        log->head = 0;
    }
    mem_grow(&log->entries, &log->capacity, log->head + log->count, sizeof(*log->entries));
    log->entries[log->head + log->count++] = entry;
    log->bytes += entry.data.count;
    log->witnessed += entry.type == RAFT_ENTRY_WITNESSED;
}

static void
drop_slots(struct raft_log *log, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        log->bytes -= log->entries[i].data.count;
        log->witnessed -= log->entries[i].type == RAFT_ENTRY_WITNESSED;
        bytes_unref(&log->entries[i].data);
    }
}

void
raft_log_truncate(struct raft_log *log, uint64_t from)
{
    skein_assert(from > log->base_index);
    skein_assert(from > log->commit);
    if (from > raft_log_last(log))
        return;
    size_t keep = (size_t)(from - log->base_index - 1);
    drop_slots(log, log->head + keep, log->count - keep);
    log->count = keep;
    if (log->taken >= from)
        log->taken = from - 1;
    if (log->stable >= from)
        log->stable = from - 1;
}

void
raft_log_compact(struct raft_log *log, uint64_t keep_from)
{
    if (keep_from <= log->base_index + 1)
        return;
    skein_assert(keep_from - 1 <= log->applied);
    uint64_t term = raft_log_term(log, keep_from - 1);
    size_t gone = (size_t)(keep_from - 1 - log->base_index);
    drop_slots(log, log->head, gone);
    log->head += gone;
    log->count -= gone;
    log->base_index = keep_from - 1;
    log->base_term = term;
}

void
raft_log_reset(struct raft_log *log, uint64_t index, uint64_t term)
{
    drop_slots(log, log->head, log->count);
    log->head = log->count = 0;
    log->base_index = index;
    log->base_term = term;
    log->stable = log->taken = log->commit = log->applying = log->applied = index;
    log->applying_bytes = 0;
    log->applying_paused = false;
}

uint64_t
raft_log_hint(const struct raft_log *log, uint64_t index, uint64_t term, uint64_t *out_term)
{
    *out_term = 0;
    if (index > raft_log_last(log) || index < log->base_index)
        return index;
    /* Terms never fall along a log: find the last one that is not above. */
    uint64_t low = log->base_index;
    uint64_t high = index;
    if (raft_log_term(log, low) > term)
        return low ? low - 1 : 0;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (raft_log_term(log, middle) <= term)
            low = middle;
        else
            high = middle - 1;
    }
    *out_term = raft_log_term(log, low);
    return low;
}

static uint64_t
varint_bytes(uint64_t value)
{
    uint64_t bytes = 1;
    for (; value >= 0x80; value >>= 7)
        bytes++;
    return bytes;
}

uint64_t
raft_entry_size(bool etcd_sizes, const struct raft_entry *entry)
{
    if (!etcd_sizes)
        return entry->data.count + RAFT_ENTRY_OVERHEAD_BYTES;
    uint64_t data = entry->data.count;
    return 1 + varint_bytes(entry->type) + 1 + varint_bytes(entry->term) + 1 +
           varint_bytes(entry->index) + (data ? 1 + varint_bytes(data) + data : 0);
}

struct raft_entry *
raft_log_copy(const struct raft_log *log, uint64_t from, uint64_t to, uint64_t bytes_max,
              size_t *out_count)
{
    *out_count = 0;
    if (from > to)
        return NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    for (uint64_t i = from; i <= to; i++) {
        bytes += raft_entry_size(log->etcd_sizes, raft_log_at(log, i));
        if (count && bytes > bytes_max)
            break;
        count++;
    }
    struct raft_entry *copy = mem_alloc(count * sizeof(*copy));
    memcpy(copy, raft_log_at(log, from), count * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        bytes_ref(copy[i].data);
    *out_count = count;
    return copy;
}

void
raft_log_deinit(struct raft_log *log)
{
    drop_slots(log, log->head, log->count);
    mem_free(log->entries);
    *log = (struct raft_log){0};
}
