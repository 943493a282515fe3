/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over the levels and the base: the smallest key of any, as the topmost has it. */
#include <string.h>

#include "base/mem.h"
#include "skein/error.h"
#include "store/lmdb_int.h"

/* A level's two tables and where their cursors are. */
struct source {
    struct store_table *table;
    struct store_cursor *cursor;
    struct bytes key, value;
    int rc; /* as lmdb_walk's */
};

enum { ACTIVE_PUTS, ACTIVE_REMOVED, FROZEN_PUTS, FROZEN_REMOVED, SOURCE_COUNT };

struct store_cursor {
    struct lmdb_table *table;
    struct lmdb_level *active, *frozen;
    struct lmdb_view *view;
    bool of_snapshot;
    uint64_t version;
    struct source sources[SOURCE_COUNT]; /* from the top down; table NULL: not looked at */
    struct lmdb_walk walk;
    int giver; /* whose entry was given last, and is still at it; -1: none */
    struct bytes given;
};

/* On the shard: a page that is not in memory is waited for. */
static void
base_next(struct store_cursor *cursor)
{
    uint64_t begun_ns = lmdb_read_begin();
    lmdb_walk_next(&cursor->walk);
    lmdb_read_end(cursor->table, begun_ns);
}

static void
source_next(struct source *source)
{
    source->rc = source->table->ops->cursor_next(source->cursor, &source->key, &source->value);
}

static void
source_open(struct source *source, struct store_table *table, struct store_snapshot *snapshot,
            struct bytes key)
{
    source->table = table;
    source->cursor = table->ops->cursor_open(table, snapshot, key.data, key.count);
    source_next(source);
}

struct store_cursor *
lmdb_cursor_open(struct store_table *base, struct store_snapshot *snapshot, const void *key,
                 size_t key_bytes)
{
    struct lmdb_table *table = lmdb_table_of(base);
    struct store_cursor *cursor = mem_zalloc(sizeof(*cursor));
    struct bytes from = bytes_borrow(key, key_bytes);
    struct source *sources = cursor->sources;
    skein_assert(!snapshot || snapshot->table == table);
    cursor->table = table;
    cursor->giver = -1;
    cursor->of_snapshot = snapshot != NULL;
    cursor->version = table->version;
    cursor->active = lmdb_level_ref(snapshot ? snapshot->active : table->active);
    cursor->frozen = lmdb_level_ref(snapshot ? snapshot->frozen : table->frozen);
    cursor->view = lmdb_view_ref(snapshot ? snapshot->view : table->view);
    bool hides = snapshot ? snapshot->hides : cursor->active->hides;
    uint64_t root = cursor->view->root;
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        sources[i].rc = -SKEIN_ENOTFOUND;
    source_open(&sources[ACTIVE_PUTS], cursor->active->puts, snapshot ? snapshot->puts : NULL,
                from);
    source_open(&sources[ACTIVE_REMOVED], cursor->active->removed,
                snapshot ? snapshot->removed : NULL, from);
    if (!hides && cursor->frozen) {
        source_open(&sources[FROZEN_PUTS], cursor->frozen->puts, NULL, from);
        source_open(&sources[FROZEN_REMOVED], cursor->frozen->removed, NULL, from);
        hides = cursor->frozen->hides;
    }
    lmdb_walk_open(&cursor->walk, cursor->view->txn, table->dbi, hides ? 0 : root, from);
    table->cursor_count++;
    return cursor;
}

static int
order(struct bytes a, struct bytes b)
{
    size_t common = a.count < b.count ? a.count : b.count;
    int rc = common ? memcmp(a.data, b.data, common) : 0;
    return rc ? rc : (a.count > b.count) - (a.count < b.count);
}

/* The source with the smallest key, the topmost of those that have it; SOURCE_COUNT: the base;
 * -1: none. */
static int
smallest(const struct store_cursor *cursor, struct bytes *out_key)
{
    int best = -1;
    for (int i = 0; i < SOURCE_COUNT; i++) {
        const struct source *source = &cursor->sources[i];
        if (source->rc == 0 && (best < 0 || order(source->key, *out_key) < 0)) {
            best = i;
            *out_key = source->key;
        }
    }
    if (cursor->walk.rc == 0 && (best < 0 || order(cursor->walk.at_key, *out_key) < 0)) {
        best = SOURCE_COUNT;
        *out_key = cursor->walk.at_key;
    }
    return best;
}

/* All that are at @key go on; @giver last, since the key is its. */
static void
pass(struct store_cursor *cursor, struct bytes key, int giver)
{
    for (int i = 0; i < SOURCE_COUNT; i++)
        if (i != giver && cursor->sources[i].rc == 0 && order(cursor->sources[i].key, key) == 0)
            source_next(&cursor->sources[i]);
    if (giver != SOURCE_COUNT && cursor->walk.rc == 0 && order(cursor->walk.at_key, key) == 0)
        base_next(cursor);
    if (giver == SOURCE_COUNT)
        base_next(cursor);
    else
        source_next(&cursor->sources[giver]);
}

/* An error of any source: what it would have given is not known. */
static int
failure(const struct store_cursor *cursor)
{
    for (int i = 0; i < SOURCE_COUNT; i++)
        if (cursor->sources[i].rc < 0 && cursor->sources[i].rc != -SKEIN_ENOTFOUND)
            return cursor->sources[i].rc;
    return cursor->walk.rc < 0 && cursor->walk.rc != -SKEIN_ENOTFOUND ? cursor->walk.rc : 0;
}

int
lmdb_cursor_next(struct store_cursor *cursor, struct bytes *out_key, struct bytes *out_value)
{
    struct bytes key = {0};
    skein_assert(cursor->of_snapshot || cursor->version == cursor->table->version);
    if (cursor->giver >= 0)
        pass(cursor, cursor->given, cursor->giver);
    for (;;) {
        int rc = failure(cursor);
        if (rc < 0)
            return rc;
        cursor->giver = smallest(cursor, &key);
        if (cursor->giver < 0)
            return -SKEIN_ENOTFOUND;
        cursor->given = key;
        if (cursor->giver != ACTIVE_REMOVED && cursor->giver != FROZEN_REMOVED)
            break;
        pass(cursor, key, cursor->giver);
    }
    *out_key = key;
    *out_value = cursor->giver == SOURCE_COUNT ? cursor->walk.at_value
                                               : cursor->sources[cursor->giver].value;
    return 0;
}

void
lmdb_cursor_close(struct store_cursor *cursor)
{
    if (!cursor)
        return;
    struct lmdb_table *table = cursor->table;
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        if (cursor->sources[i].table)
            cursor->sources[i].table->ops->cursor_close(cursor->sources[i].cursor);
    lmdb_walk_close(&cursor->walk);
    lmdb_level_unref(cursor->active);
    lmdb_level_unref(cursor->frozen);
    lmdb_view_unref(table, cursor->view);
    table->cursor_count--;
    mem_free(cursor);
}
