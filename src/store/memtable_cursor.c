/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "skein/error.h"
#include "store/memtable.h"

struct store_cursor {
    struct memtable *table;
    struct node *root; /* of a snapshot: referenced; NULL: the current version */
    uint64_t version;  /* of the current version when it was opened */
    size_t depth;      /* levels above the leaf */
    const struct node *nodes[NODE_DEPTH_MAX];
    uint16_t
        at[NODE_DEPTH_MAX]; /* of the leaf: the next entry to give; of branches: where we are */
};

static void
descend_first(struct store_cursor *cursor, const struct node *node)
{
    while (!node->is_leaf) {
        skein_assert(cursor->depth < NODE_DEPTH_MAX - 1);
        cursor->nodes[cursor->depth] = node;
        cursor->at[cursor->depth++] = 0;
        node = node->children[0];
    }
    cursor->nodes[cursor->depth] = node;
    cursor->at[cursor->depth] = 0;
}

struct store_cursor *
memtable_cursor_open(struct store_table *base, struct store_snapshot *snapshot, const void *key,
                     size_t key_bytes)
{
    struct memtable *table = BASE_CONTAINER_OF(base, struct memtable, base);
    struct store_cursor *cursor = mem_alloc(sizeof(*cursor));
    skein_assert(!snapshot || snapshot->table == table);
    *cursor = (struct store_cursor){.table = table, .version = table->version};
    if (snapshot) {
        cursor->root = snapshot->root;
        cursor->root->refs++;
    }
    table->cursor_count++;

    bool found;
    const struct node *node = snapshot ? snapshot->root : table->root;
    while (!node->is_leaf) {
        skein_assert(cursor->depth < NODE_DEPTH_MAX - 1);
        uint16_t at = node_child_index(node, key, key_bytes);
        cursor->nodes[cursor->depth] = node;
        cursor->at[cursor->depth++] = at;
        node = node->children[at];
    }
    cursor->nodes[cursor->depth] = node;
    cursor->at[cursor->depth] = node_search(node, 0, key, key_bytes, &found);
    return cursor;
}

/* Go on to the next leaf; false: that was the last. */
static bool
next_leaf(struct store_cursor *cursor)
{
    while (cursor->depth > 0) {
        cursor->depth--;
        const struct node *branch = cursor->nodes[cursor->depth];
        uint16_t at = (uint16_t)(cursor->at[cursor->depth] + 1);
        if (at >= branch->count)
            continue;
        cursor->at[cursor->depth++] = at;
        descend_first(cursor, branch->children[at]);
        return true;
    }
    return false;
}

int
memtable_cursor_next(struct store_cursor *cursor, struct bytes *out_key, struct bytes *out_value)
{
    skein_assert(cursor->root || cursor->version == cursor->table->version);
    const struct node *leaf = cursor->nodes[cursor->depth];
    while (!leaf->is_leaf || cursor->at[cursor->depth] >= leaf->count) {
        if (!next_leaf(cursor))
            return -SKEIN_ENOTFOUND;
        leaf = cursor->nodes[cursor->depth];
    }
    const struct record *record = leaf->records[cursor->at[cursor->depth]++];
    struct bytes value = record_value(record);
    *out_key = bytes_borrow(record_key(record), record->key_bytes);
    *out_value = bytes_borrow(value.data, value.count);
    return 0;
}

void
memtable_cursor_close(struct store_cursor *cursor)
{
    if (!cursor)
        return;
    cursor->table->cursor_count--;
    if (cursor->root)
        memtable_node_drop(cursor->table, cursor->root);
    mem_free(cursor);
}
