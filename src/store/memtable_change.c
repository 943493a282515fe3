/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "skein/error.h"
#include "store/memtable.h"

/* The way from the root to a leaf, every node of it owned by the current version alone. */
struct way {
    struct node *nodes[NODE_DEPTH_MAX];
    uint16_t at[NODE_DEPTH_MAX]; /* which child of nodes[i] is nodes[i + 1] */
    size_t depth;
};

static struct memtable *
memtable_of(struct store_table *base)
{
    return BASE_CONTAINER_OF(base, struct memtable, base);
}

/* The node behind @slot, cloned when an older version shares it. */
static struct node *
own(struct memtable *table, struct node **slot)
{
    struct node *node = *slot;
    if (node->refs == 1)
        return node;
    struct node *clone = node_clone(node);
    table->memory_bytes += node_memory_bytes(clone);
    node->refs--;
    *slot = clone;
    return clone;
}

static struct node *
new_node(struct memtable *table, bool is_leaf)
{
    struct node *node = node_new(is_leaf);
    table->memory_bytes += node_memory_bytes(node);
    return node;
}

static void
free_empty(struct memtable *table, struct node *node)
{
    skein_assert(node->refs == 1);
    table->memory_bytes -= node_memory_bytes(node);
    mem_free(node);
}

static struct record *
new_separator(struct memtable *table, const struct record *left, const struct record *right)
{
    struct record *separator = node_separator(left, right);
    table->memory_bytes += record_memory_bytes(separator);
    return separator;
}

/* Split the full child @at of @parent (both owned, the parent not full) before position @cut. */
static void
split_child(struct memtable *table, struct node *parent, uint16_t at, uint16_t cut)
{
    struct node *left = parent->children[at];
    struct node *right = new_node(table, left->is_leaf);
    uint16_t moved = (uint16_t)(left->count - cut);
    struct record *separator;
    struct record *records[NODE_MAX];
    struct node *children[NODE_MAX];
    skein_assert(cut > 0 && moved > 0);
    memcpy(records, left->records, left->count * sizeof(records[0]));
    if (left->is_leaf) {
        separator = new_separator(table, records[cut - 1], records[cut]);
        node_fill(right, records + cut, NULL, moved);
        node_fill(left, records, NULL, cut);
    } else {
        memcpy(children, left->children, left->count * sizeof(children[0]));
        separator = records[cut];
        records[cut] = NULL;
        node_fill(right, records + cut, children + cut, moved);
        node_fill(left, records, children, cut);
    }
    node_insert(parent, (uint16_t)(at + 1), separator, right);
}

static void
grow_root(struct memtable *table)
{
    struct node *root = new_node(table, false);
    struct record *none = NULL;
    node_fill(root, &none, &table->root, 1);
    table->root = root;
}

static bool
is_key_there(const struct memtable *table, const uint8_t *key, size_t key_bytes)
{
    bool found;
    const struct node *node = table->root;
    while (!node->is_leaf)
        node = node->children[node_child_index(node, key, key_bytes)];
    node_search(node, 0, key, key_bytes, &found);
    return found;
}

/* Descend to the leaf of @key, owning it; branches that are full are split on the way when
 * @make_room. */
static void
descend(struct memtable *table, struct way *way, const uint8_t *key, size_t key_bytes,
        bool make_room)
{
    struct node *node = own(table, &table->root);
    way->depth = 0;
    if (make_room && !node->is_leaf && node->count == NODE_MAX) {
        grow_root(table);
        node = table->root;
        split_child(table, node, 0, NODE_MAX / 2);
    }
    while (!node->is_leaf) {
        uint16_t at = node_child_index(node, key, key_bytes);
        struct node *child = own(table, &node->children[at]);
        if (make_room && !child->is_leaf && child->count == NODE_MAX) {
            /* Keys that come in order fill the left part: it will not be visited again. */
            bool last = node_child_index(child, key, key_bytes) == NODE_MAX - 1;
            split_child(table, node, at, last ? NODE_MAX - NODE_MIN : NODE_MAX / 2);
            at = node_child_index(node, key, key_bytes);
            child = node->children[at];
        }
        skein_assert(way->depth < NODE_DEPTH_MAX - 1);
        way->nodes[way->depth] = node;
        way->at[way->depth++] = at;
        node = child;
    }
    way->nodes[way->depth] = node;
}

static void
insert_new(struct memtable *table, struct way *way, uint16_t at, struct record *record)
{
    struct node *leaf = way->nodes[way->depth];
    if (leaf->count < NODE_MAX) {
        node_insert(leaf, at, record, NULL);
        return;
    }
    if (way->depth == 0) {
        grow_root(table);
        way->nodes[0] = table->root;
        way->at[0] = 0;
        way->depth = 1;
    }
    struct node *parent = way->nodes[way->depth - 1];
    uint16_t child = way->at[way->depth - 1];
    if (at == NODE_MAX) {
        struct node *right = new_node(table, true);
        struct record *separator = new_separator(table, leaf->records[at - 1], record);
        node_fill(right, &record, NULL, 1);
        node_insert(parent, (uint16_t)(child + 1), separator, right);
        return;
    }
    split_child(table, parent, child, NODE_MAX / 2);
    /* Between the halves' keys the separator decides, not the position. */
    const uint8_t *key = record_key(record);
    bool found;
    leaf = parent->children[node_child_index(parent, key, record->key_bytes)];
    node_insert(leaf, node_search(leaf, 0, key, record->key_bytes, &found), record, NULL);
}

static void
replace(struct memtable *table, struct node *leaf, uint16_t at, struct record *record)
{
    memtable_record_drop(table, leaf->records[at]);
    leaf->records[at] = record;
}

int
memtable_put(struct store_table *base, const void *key, size_t key_bytes, struct bytes value)
{
    struct memtable *table = memtable_of(base);
    struct way way;
    bool found;
    skein_assert(key_bytes <= STORE_KEY_BYTES_MAX);
    skein_assert(value.count <= STORE_VALUE_BYTES_MAX);
    memtable_reclaim(table, 1);
    descend(table, &way, key, key_bytes, true);
    table->version++;
    struct node *leaf = way.nodes[way.depth];
    uint16_t at = node_search(leaf, 0, key, key_bytes, &found);
    size_t old_bytes = found ? record_value(leaf->records[at]).count : 0;
    if (!found || !record_overwrite(leaf->records[at], value)) {
        struct record *record = record_new(key, key_bytes, value);
        if (!record)
            return -SKEIN_ENOMEM;
        table->memory_bytes += record_memory_bytes(record);
        if (found)
            replace(table, leaf, at, record);
        else
            insert_new(table, &way, at, record);
    }
    table->data_bytes += value.count - old_bytes;
    if (!found) {
        table->data_bytes += key_bytes;
        table->key_count++;
    }
    return 0;
}

/* Join the children @at and @at + 1 of @parent, or share their entries evenly. */
static void
rebalance_pair(struct memtable *table, struct node *parent, uint16_t at)
{
    struct node *left = own(table, &parent->children[at]);
    struct node *right = own(table, &parent->children[at + 1]);
    struct record *records[2 * NODE_MAX];
    struct node *children[2 * NODE_MAX];
    uint16_t total = (uint16_t)(left->count + right->count);
    bool is_leaf = left->is_leaf;
    struct record *separator = parent->records[at + 1];

    memcpy(records, left->records, left->count * sizeof(records[0]));
    memcpy(records + left->count, right->records, right->count * sizeof(records[0]));
    if (!is_leaf) {
        records[left->count] = separator;
        memcpy(children, left->children, left->count * sizeof(children[0]));
        memcpy(children + left->count, right->children, right->count * sizeof(children[0]));
    } else {
        memtable_record_drop(table, separator);
    }
    node_erase(parent, (uint16_t)(at + 1));
    if (total <= NODE_MAX) {
        node_fill(left, records, is_leaf ? NULL : children, total);
        free_empty(table, right);
        return;
    }
    uint16_t cut = (uint16_t)(total / 2);
    if (is_leaf) {
        separator = new_separator(table, records[cut - 1], records[cut]);
    } else {
        separator = records[cut];
        records[cut] = NULL;
    }
    node_fill(left, records, is_leaf ? NULL : children, cut);
    node_fill(right, records + cut, is_leaf ? NULL : children + cut, (uint16_t)(total - cut));
    node_insert(parent, (uint16_t)(at + 1), separator, right);
}

static void
rebalance(struct memtable *table, struct way *way)
{
    for (size_t level = way->depth; level > 0; level--) {
        if (way->nodes[level]->count >= NODE_MIN)
            return;
        struct node *parent = way->nodes[level - 1];
        uint16_t at = way->at[level - 1];
        skein_assert(parent->count >= 2);
        rebalance_pair(table, parent, at > 0 ? (uint16_t)(at - 1) : at);
    }
    struct node *root = table->root;
    if (!root->is_leaf && root->count == 1) {
        table->root = root->children[0];
        free_empty(table, root);
    }
}

int
memtable_remove(struct store_table *base, const void *key, size_t key_bytes)
{
    struct memtable *table = memtable_of(base);
    struct way way;
    bool found;
    memtable_reclaim(table, 1);
    /* A key that is not there must not cost clones. */
    if (!is_key_there(table, key, key_bytes))
        return -SKEIN_ENOTFOUND;
    descend(table, &way, key, key_bytes, false);
    table->version++;
    struct node *leaf = way.nodes[way.depth];
    uint16_t at = node_search(leaf, 0, key, key_bytes, &found);
    skein_assert(found);
    struct record *record = leaf->records[at];
    table->data_bytes -= record->key_bytes + record_value(record).count;
    table->key_count--;
    node_erase(leaf, at);
    memtable_record_drop(table, record);
    rebalance(table, &way);
    return 0;
}
