/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "store/lmdb_int.h"

struct lmdb_level *
lmdb_level_new(struct lmdb_table *table)
{
    struct lmdb_level *level = mem_zalloc(sizeof(*level));
    level->refs = 1;
    int rc = store_memtable_open(&level->puts);
    if (rc == 0)
        rc = store_memtable_open(&level->removed);
    skein_assert(rc == 0);
    list_push_back(&table->levels, &level->link);
    return level;
}

struct lmdb_level *
lmdb_level_ref(struct lmdb_level *level)
{
    if (level)
        level->refs++;
    return level;
}

void
lmdb_level_unref(struct lmdb_level *level)
{
    if (!level)
        return;
    skein_assert(level->refs > 0);
    if (--level->refs > 0)
        return;
    level->puts->ops->close(level->puts);
    level->removed->ops->close(level->removed);
    list_remove(&level->link);
    mem_free(level);
}

uint64_t
lmdb_level_memory_bytes(const struct lmdb_level *level)
{
    struct store_stats puts, removed;
    level->puts->ops->stats(level->puts, &puts);
    level->removed->ops->stats(level->removed, &removed);
    return puts.memory_bytes + removed.memory_bytes;
}

bool
lmdb_level_is_empty(const struct lmdb_level *level)
{
    struct store_stats puts, removed;
    level->puts->ops->stats(level->puts, &puts);
    level->removed->ops->stats(level->removed, &removed);
    return !level->hides && puts.key_count == 0 && removed.key_count == 0;
}
