/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_raft/interaction.h"

#include <inttypes.h>

#include "base/mem.h"

static void
drop(struct storage *storage, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        bytes_unref(&storage->entries[i].data);
}

static uint64_t
last_index(const struct storage *storage)
{
    return storage->base_index + storage->count;
}

void
storage_append(struct storage *storage, const struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].index <= storage->base_index)
            continue;
        skein_assert(entries[i].index <= last_index(storage) + 1);
        size_t at = (size_t)(entries[i].index - storage->base_index - 1);
        drop(storage, at, storage->count);
        storage->count = at;
        mem_grow(&storage->entries, &storage->capacity, at, sizeof *storage->entries);
        storage->entries[at] = entries[i];
        storage->entries[at].data = bytes_ref(entries[i].data);
        storage->count++;
    }
}

void
storage_restore(struct storage *storage, uint64_t index, uint64_t term)
{
    drop(storage, 0, storage->count);
    storage->count = 0;
    storage->base_index = index;
    storage->base_term = term;
}

bool
storage_compact(struct storage *storage, uint64_t index)
{
    if (index <= storage->base_index || index > last_index(storage))
        return false;
    size_t gone = (size_t)(index - storage->base_index);
    storage->base_term = storage->entries[gone - 1].term;
    storage->base_index = index;
    drop(storage, 0, gone);
    storage->count -= gone;
    for (size_t i = 0; i < storage->count; i++)
        storage->entries[i] = storage->entries[i + gone];
    return true;
}

void
storage_describe(const struct storage *storage, struct text *out)
{
    if (storage->count == 0)
        text_printf(out, "log is empty: first index=%" PRIu64 ", last index=%" PRIu64,
                    storage->base_index + 1, storage->base_index);
    describe_entries(out, storage->entries, storage->count);
}

void
storage_deinit(struct storage *storage)
{
    drop(storage, 0, storage->count);
    mem_free(storage->entries);
    *storage = (struct storage){0};
}
