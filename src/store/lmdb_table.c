/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_table.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/error.h"
#include "store/lmdb_int.h"

#define MEMORY_BYTES_DEFAULT ((uint64_t)64 << 20)

/* What @level says about @key: 1: nothing, look below; 0: @out_value; -SKEIN_ENOTFOUND: gone. */
static int
level_get(const struct lmdb_level *level, struct bytes key, struct bytes *out_value)
{
    struct bytes mark;
    int rc = level->puts->ops->get(level->puts, key.data, key.count, out_value);
    if (rc != -SKEIN_ENOTFOUND)
        return rc;
    if (level->hides)
        return -SKEIN_ENOTFOUND;
    rc = level->removed->ops->get(level->removed, key.data, key.count, &mark);
    if (rc == -SKEIN_ENOTFOUND)
        return 1;
    bytes_unref(&mark);
    return -SKEIN_ENOTFOUND;
}

/* A view into the map, valid until the table's view goes. */
static int
base_get(struct lmdb_table *table, struct bytes key, struct bytes *out_value)
{
    struct lmdb_view *view = table->view;
    if (view->root == 0)
        return -SKEIN_ENOTFOUND;
    uint64_t begun_ns = lmdb_read_begin();
    int rc = lmdb_get(view->txn, table->dbi, view->root, key, out_value);
    lmdb_read_end(table, begun_ns);
    return rc;
}

/* As level_get, below the active level; a value of the base is a view into the map. */
static int
below_get(struct lmdb_table *table, struct bytes key, struct bytes *out_value)
{
    int rc = table->active->hides ? -SKEIN_ENOTFOUND : 1;
    if (rc == 1 && table->frozen)
        rc = level_get(table->frozen, key, out_value);
    return rc == 1 ? base_get(table, key, out_value) : rc;
}

static int
find(struct lmdb_table *table, struct bytes key, struct bytes *out_value)
{
    int rc = level_get(table->active, key, out_value);
    return rc == 1 ? below_get(table, key, out_value) : rc;
}

static int
lmdb_table_get(struct store_table *base, const void *key, size_t key_bytes, struct bytes *out_value)
{
    struct bytes found;
    int rc = find(lmdb_table_of(base), bytes_borrow(key, key_bytes), &found);
    if (rc < 0)
        return rc;
    if (!found.buf) {
        struct bytes_buf *copy = bytes_try_new(found.count);
        if (!copy)
            return -SKEIN_ENOMEM;
        if (found.count)
            memcpy(copy->data, found.data, found.count);
        found = bytes_of(copy, found.count);
    }
    *out_value = found;
    return 0;
}

static int
lmdb_table_put(struct store_table *base, const void *key, size_t key_bytes, struct bytes value)
{
    struct lmdb_table *table = lmdb_table_of(base);
    struct lmdb_level *active = table->active;
    struct bytes old = {0};
    int found = find(table, bytes_borrow(key, key_bytes), &old);
    size_t old_bytes = found == 0 ? old.count : 0;
    bytes_unref(&old);
    if (found < 0 && found != -SKEIN_ENOTFOUND)
        return found;
    int rc = active->puts->ops->put(active->puts, key, key_bytes, value);
    if (rc < 0)
        return rc;
    rc = active->removed->ops->remove(active->removed, key, key_bytes);
    skein_assert(rc == 0 || rc == -SKEIN_ENOTFOUND);
    table->version++;
    table->data_bytes += value.count - old_bytes;
    if (found < 0) {
        table->data_bytes += key_bytes;
        table->key_count++;
    }
    return 0;
}

static int
lmdb_table_remove(struct store_table *base, const void *key, size_t key_bytes)
{
    struct lmdb_table *table = lmdb_table_of(base);
    struct lmdb_level *active = table->active;
    struct bytes view = bytes_borrow(key, key_bytes), top = {0}, below = {0};
    int here = level_get(active, view, &top);
    int beneath = here == -SKEIN_ENOTFOUND ? here : below_get(table, view, &below);
    size_t value_bytes = here == 0 ? top.count : below.count;
    bytes_unref(&top);
    bytes_unref(&below);
    if (here < 0)
        return here;
    if (beneath < 0 && (here == 1 || beneath != -SKEIN_ENOTFOUND))
        return beneath;
    if (beneath == 0) {
        int rc = active->removed->ops->put(active->removed, key, key_bytes, (struct bytes){0});
        if (rc < 0)
            return rc;
    }
    if (here == 0) {
        int rc = active->puts->ops->remove(active->puts, key, key_bytes);
        skein_assert(rc == 0);
    }
    table->version++;
    table->key_count--;
    table->data_bytes -= key_bytes + value_bytes;
    return 0;
}

static void
lmdb_table_clear(struct store_table *base)
{
    struct lmdb_table *table = lmdb_table_of(base);
    struct lmdb_level *active = table->active;
    active->puts->ops->clear(active->puts);
    active->removed->ops->clear(active->removed);
    active->hides = true;
    table->version++;
    table->key_count = 0;
    table->data_bytes = 0;
}

static void
lmdb_table_stats(struct store_table *base, struct store_stats *out_stats)
{
    const struct lmdb_table *table = lmdb_table_of(base);
    *out_stats = (struct store_stats){.key_count = table->key_count,
                                      .data_bytes = table->data_bytes,
                                      .snapshot_count = table->snapshot_count};
    list_for_each (link, &table->levels)
        out_stats->memory_bytes +=
            lmdb_level_memory_bytes(LIST_ENTRY(link, struct lmdb_level, link));
}

static struct store_snapshot *
lmdb_table_snapshot_take(struct store_table *base)
{
    struct lmdb_table *table = lmdb_table_of(base);
    struct store_snapshot *snapshot = mem_alloc(sizeof(*snapshot));
    struct lmdb_level *active = lmdb_level_ref(table->active);
    *snapshot = (struct store_snapshot){
        .table = table,
        .view = lmdb_view_ref(table->view),
        .active = active,
        .frozen = lmdb_level_ref(table->frozen),
        .hides = active->hides,
        .puts = active->puts->ops->snapshot_take(active->puts),
        .removed = active->removed->ops->snapshot_take(active->removed),
        .key_count = table->key_count,
    };
    table->snapshot_count++;
    return snapshot;
}

static void
lmdb_table_snapshot_release(struct store_snapshot *snapshot)
{
    struct lmdb_table *table = snapshot->table;
    skein_assert(table->snapshot_count > 0);
    table->snapshot_count--;
    snapshot->active->puts->ops->snapshot_release(snapshot->puts);
    snapshot->active->removed->ops->snapshot_release(snapshot->removed);
    lmdb_level_unref(snapshot->active);
    lmdb_level_unref(snapshot->frozen);
    lmdb_view_unref(table, snapshot->view);
    mem_free(snapshot);
}

static uint64_t
lmdb_table_snapshot_key_count(const struct store_snapshot *snapshot)
{
    return snapshot->key_count;
}

static void
lmdb_table_close(struct store_table *base)
{
    struct lmdb_table *table = lmdb_table_of(base);
    skein_assert(table->snapshot_count == 0);
    skein_assert(table->cursor_count == 0);
    skein_assert(!table->writing);
    lmdb_level_unref(table->active);
    lmdb_level_unref(table->frozen);
    if (table->view)
        lmdb_view_unref(table, table->view);
    if (table->env)
        mdb_env_close(table->env);
    mem_free(table->dir);
    mem_free(table);
}

static int
lmdb_note(struct store_table *base, struct bytes *out_note)
{
    return lmdb_note_read(lmdb_table_of(base), out_note);
}

static void
lmdb_disk_stats(struct store_table *base, struct store_disk_stats *out_stats)
{
    struct lmdb_table *table = lmdb_table_of(base);
    MDB_envinfo info;
    MDB_stat stat_now;
    *out_stats = table->counts;
    out_stats->active_bytes = lmdb_level_memory_bytes(table->active);
    out_stats->frozen_bytes = table->frozen ? lmdb_level_memory_bytes(table->frozen) : 0;
    if (mdb_env_info(table->env, &info) == 0 && mdb_env_stat(table->env, &stat_now) == 0)
        out_stats->file_bytes = ((uint64_t)info.me_last_pgno + 1) * stat_now.ms_psize;
}

static const struct store_disk_ops lmdb_disk_ops = {
    .persist = lmdb_persist,
    .relieve = lmdb_relieve,
    .is_cold = lmdb_is_cold,
    .warm = lmdb_warm,
    .warm_from = lmdb_warm_from,
    .note = lmdb_note,
    .stats = lmdb_disk_stats,
};

static const struct store_ops lmdb_ops = {
    .name = "lmdb",
    .disk = &lmdb_disk_ops,
    .close = lmdb_table_close,
    .get = lmdb_table_get,
    .put = lmdb_table_put,
    .remove = lmdb_table_remove,
    .clear = lmdb_table_clear,
    .stats = lmdb_table_stats,
    .snapshot_take = lmdb_table_snapshot_take,
    .snapshot_release = lmdb_table_snapshot_release,
    .snapshot_key_count = lmdb_table_snapshot_key_count,
    .cursor_open = lmdb_cursor_open,
    .cursor_next = lmdb_cursor_next,
    .cursor_close = lmdb_cursor_close,
};

int
store_lmdb_open(struct store_table **out_table, const struct store_lmdb_options *options,
                char out_why[512])
{
    struct lmdb_table *table = mem_zalloc(sizeof(*table));
    table->base.ops = &lmdb_ops;
    table->dir = mem_strdup(options->dir);
    table->map_bytes = options->map_bytes;
    table->memory_bytes_max =
        options->memory_bytes_max ? options->memory_bytes_max : MEMORY_BYTES_DEFAULT;
    list_init(&table->levels);
    skein_waitq_init(&table->written);
    skein_waitq_init(&table->warmed);
    table->active = lmdb_level_new(table);
    int rc = lmdb_env_open(table, out_why);
    if (rc < 0) {
        lmdb_table_close(&table->base);
        return rc;
    }
    *out_table = &table->base;
    return 0;
}
