/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look-up misses the caches at the leaf and at the record, one miss after the other. For many
 * keys the misses of one step do not depend on each other: each step is made for all keys before
 * the next, so that they overlap.
 */
#include "store/memtable.h"

/* So many keys keep the memory busy and stay in the first cache. */
#define TOGETHER_MAX 16u
#define LINE_BYTES 64u
/* Of a record: its head, the key, and a small value or its beginning. */
#define RECORD_LINES_MAX 5u

static void
prefetch_lines(const void *at, size_t bytes)
{
    const char *line = at;
    for (size_t i = 0; i < bytes; i += LINE_BYTES)
        __builtin_prefetch(line + i);
}

/* What a search of the node reads. */
static void
prefetch_node(const struct node *node)
{
    prefetch_lines(node, offsetof(struct node, records));
}

static void
prefetch_some(const struct node *root, const struct bytes *keys, size_t count)
{
    const struct node *nodes[TOGETHER_MAX];
    uint16_t at[TOGETHER_MAX];
    bool equal;
    skein_assert(count > 0);
    for (size_t i = 0; i < count; i++)
        nodes[i] = root;
    /* All leaves are equally deep. */
    while (!nodes[0]->is_leaf) {
        for (size_t i = 0; i < count; i++) {
            nodes[i] = nodes[i]->children[node_child_index(nodes[i], keys[i].data, keys[i].count)];
            prefetch_node(nodes[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        at[i] = node_search_heads(nodes[i], 0, keys[i].data, keys[i].count, &equal);
        __builtin_prefetch(&nodes[i]->records[at[i] < NODE_MAX ? at[i] : 0]);
    }
    for (size_t i = 0; i < count; i++)
        if (at[i] < nodes[i]->count)
            prefetch_lines(record_buf(nodes[i]->records[at[i]]), RECORD_LINES_MAX * LINE_BYTES);
}

void
memtable_prefetch(struct store_table *base, const struct bytes *keys, size_t key_count)
{
    const struct memtable *table = BASE_CONTAINER_OF(base, struct memtable, base);
    /* One alone has nothing to overlap with. */
    for (size_t i = 0; i + 1 < key_count; i += TOGETHER_MAX) {
        size_t left = key_count - i;
        prefetch_some(table->root, keys + i, left < TOGETHER_MAX ? left : TOGETHER_MAX);
    }
}
