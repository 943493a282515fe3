/* SPDX-License-Identifier: Apache-2.0 */
#include "store/memtable.h"

#include "base/mem.h"
#include "skein/error.h"

static struct memtable *
memtable_of(struct store_table *base)
{
    return BASE_CONTAINER_OF(base, struct memtable, base);
}

void
memtable_record_drop(struct memtable *table, struct record *record)
{
    if (!record)
        return;
    skein_assert(record->node_refs > 0);
    if (--record->node_refs > 0)
        return;
    table->memory_bytes -= record_memory_bytes(record);
    record_free(record);
}

void
memtable_node_drop(struct memtable *table, struct node *node)
{
    skein_assert(node->refs > 0);
    if (--node->refs > 0)
        return;
    node->next_free = table->pending;
    table->pending = node;
}

void
memtable_reclaim(struct memtable *table, size_t node_count_max)
{
    for (size_t i = 0; i < node_count_max && table->pending; i++) {
        struct node *node = table->pending;
        table->pending = node->next_free;
        for (uint16_t k = 0; k < node->count; k++) {
            memtable_record_drop(table, node->records[k]);
            if (!node->is_leaf)
                memtable_node_drop(table, node->children[k]);
        }
        table->memory_bytes -= node_memory_bytes(node);
        mem_free(node);
    }
}

static void
set_empty_root(struct memtable *table)
{
    table->root = node_new(true);
    table->memory_bytes += node_memory_bytes(table->root);
    table->key_count = 0;
    table->data_bytes = 0;
    table->version++;
}

static void
memtable_close(struct store_table *base)
{
    struct memtable *table = memtable_of(base);
    skein_assert(table->snapshot_count == 0);
    skein_assert(table->cursor_count == 0);
    memtable_node_drop(table, table->root);
    memtable_reclaim(table, SIZE_MAX);
    skein_assert(table->memory_bytes == 0);
    mem_free(table);
}

static int
memtable_get(struct store_table *base, const void *key, size_t key_bytes, struct bytes *out_value)
{
    struct memtable *table = memtable_of(base);
    memtable_reclaim(table, 1);
    const struct node *node = table->root;
    while (!node->is_leaf)
        node = node->children[node_child_index(node, key, key_bytes)];
    bool found;
    uint16_t at = node_search(node, 0, key, key_bytes, &found);
    if (!found)
        return -SKEIN_ENOTFOUND;
    *out_value = bytes_ref(record_value(node->records[at]));
    return 0;
}

static void
memtable_clear(struct store_table *base)
{
    struct memtable *table = memtable_of(base);
    memtable_node_drop(table, table->root);
    set_empty_root(table);
    memtable_reclaim(table, 1);
}

static void
memtable_stats(struct store_table *base, struct store_stats *out_stats)
{
    const struct memtable *table = memtable_of(base);
    *out_stats = (struct store_stats){.key_count = table->key_count,
                                      .data_bytes = table->data_bytes,
                                      .memory_bytes = table->memory_bytes,
                                      .snapshot_count = table->snapshot_count};
}

static struct store_snapshot *
memtable_snapshot_take(struct store_table *base)
{
    struct memtable *table = memtable_of(base);
    struct store_snapshot *snapshot = mem_alloc(sizeof(*snapshot));
    table->root->refs++;
    *snapshot =
        (struct store_snapshot){.table = table, .root = table->root, .key_count = table->key_count};
    table->snapshot_count++;
    memtable_reclaim(table, 1);
    return snapshot;
}

static void
memtable_snapshot_release(struct store_snapshot *snapshot)
{
    struct memtable *table = snapshot->table;
    skein_assert(table->snapshot_count > 0);
    table->snapshot_count--;
    memtable_node_drop(table, snapshot->root);
    memtable_reclaim(table, 1);
    mem_free(snapshot);
}

static uint64_t
memtable_snapshot_key_count(const struct store_snapshot *snapshot)
{
    return snapshot->key_count;
}

static const struct store_ops memtable_ops = {
    .name = "memtable",
    .close = memtable_close,
    .get = memtable_get,
    .put = memtable_put,
    .prefetch = memtable_prefetch,
    .remove = memtable_remove,
    .clear = memtable_clear,
    .stats = memtable_stats,
    .snapshot_take = memtable_snapshot_take,
    .snapshot_release = memtable_snapshot_release,
    .snapshot_key_count = memtable_snapshot_key_count,
    .cursor_open = memtable_cursor_open,
    .cursor_next = memtable_cursor_next,
    .cursor_close = memtable_cursor_close,
};

int
store_memtable_open(struct store_table **out_table)
{
    struct memtable *table = mem_zalloc(sizeof(*table));
    table->base.ops = &memtable_ops;
    set_empty_root(table);
    *out_table = &table->base;
    return 0;
}
