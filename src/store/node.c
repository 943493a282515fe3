/* SPDX-License-Identifier: Apache-2.0 */
#include "store/node.h"

#include <string.h>

#include "base/mem.h"

static size_t
node_bytes(bool is_leaf)
{
    return sizeof(struct node) + (is_leaf ? 0 : NODE_MAX * sizeof(struct node *));
}

struct node *
node_new(bool is_leaf)
{
    struct node *node = mem_alloc(node_bytes(is_leaf));
    node->refs = 1;
    node->count = 0;
    node->is_leaf = is_leaf;
    node->prefix_bytes = 0;
    node->next_free = NULL;
    return node;
}

size_t
node_memory_bytes(const struct node *node)
{
    return node_bytes(node->is_leaf);
}

struct node *
node_clone(const struct node *node)
{
    struct node *clone = node_new(node->is_leaf);
    clone->count = node->count;
    clone->prefix_bytes = node->prefix_bytes;
    memcpy(clone->prefix, node->prefix, node->prefix_bytes);
    memcpy(clone->heads, node->heads, node->count * sizeof(node->heads[0]));
    memcpy(clone->records, node->records, node->count * sizeof(node->records[0]));
    for (uint16_t i = 0; i < node->count; i++) {
        if (node->records[i])
            node->records[i]->node_refs++;
    }
    if (!node->is_leaf) {
        memcpy(clone->children, node->children, node->count * sizeof(node->children[0]));
        for (uint16_t i = 0; i < node->count; i++)
            node->children[i]->refs++;
    }
    return clone;
}

static uint64_t
head_of(const uint8_t *key, size_t key_bytes, size_t prefix_bytes)
{
    uint64_t head = 0;
    size_t left = key_bytes > prefix_bytes ? key_bytes - prefix_bytes : 0;
    if (left >= 8) {
        memcpy(&head, key + prefix_bytes, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        head = __builtin_bswap64(head);
#endif
        return head;
    }
    for (size_t i = 0; i < left; i++)
        head |= (uint64_t)key[prefix_bytes + i] << (56 - 8 * i);
    return head;
}

static int
compare(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes)
{
    size_t common = a_bytes < b_bytes ? a_bytes : b_bytes;
    int order = common ? memcmp(a, b, common) : 0;
    if (order)
        return order;
    return a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static size_t
common_prefix(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes)
{
    size_t limit = a_bytes < b_bytes ? a_bytes : b_bytes;
    size_t i = 0;
    while (i < limit && a[i] == b[i])
        i++;
    return i;
}

/* The part of [low, high) whose heads equal the key's is compared in full. */
static uint16_t
search_equal_heads(const struct node *node, uint16_t low, const uint8_t *key, size_t key_bytes,
                   bool *out_found)
{
    uint64_t head = node->heads[low];
    uint16_t high = low;
    while (high < node->count && node->heads[high] == head)
        high++;
    while (low < high) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        const struct record *record = node->records[middle];
        int order = compare(record_key(record), record->key_bytes, key, key_bytes);
        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0)
            low = (uint16_t)(middle + 1);
        else
            high = middle;
    }
    return low;
}

uint16_t
node_search_heads(const struct node *node, uint16_t first, const uint8_t *key, size_t key_bytes,
                  bool *out_equal)
{
    *out_equal = false;
    if (node->count <= first)
        return first;
    size_t prefix = node->prefix_bytes;
    size_t common = key_bytes < prefix ? key_bytes : prefix;
    int order = common ? memcmp(key, node->prefix, common) : 0;
    if (order == 0 && key_bytes < prefix)
        order = -1;
    if (order)
        return order < 0 ? first : node->count;

    uint64_t head = head_of(key, key_bytes, prefix);
    const uint64_t *base = node->heads + first;
    size_t left = (size_t)(node->count - first);
    while (left > 1) {
        size_t half = left / 2;
        base += base[half - 1] < head ? half : 0;
        left -= half;
    }
    uint16_t at = (uint16_t)(base - node->heads + (*base < head));
    *out_equal = at < node->count && node->heads[at] == head;
    return at;
}

uint16_t
node_search(const struct node *node, uint16_t first, const uint8_t *key, size_t key_bytes,
            bool *out_found)
{
    bool equal;
    uint16_t at = node_search_heads(node, first, key, key_bytes, &equal);
    *out_found = false;
    return equal ? search_equal_heads(node, at, key, key_bytes, out_found) : at;
}

uint16_t
node_child_index(const struct node *node, const uint8_t *key, size_t key_bytes)
{
    bool found;
    uint16_t at = node_search(node, 1, key, key_bytes, &found);
    return found ? at : (uint16_t)(at - 1);
}

static void
set_heads(struct node *node)
{
    for (uint16_t i = 0; i < node->count; i++) {
        const struct record *record = node->records[i];
        node->heads[i] =
            record ? head_of(record_key(record), record->key_bytes, node->prefix_bytes) : 0;
    }
}

/* Make the prefix no longer than what @record shares with it. */
static void
shrink_prefix(struct node *node, const struct record *record)
{
    size_t common =
        common_prefix(node->prefix, node->prefix_bytes, record_key(record), record->key_bytes);
    if (common == node->prefix_bytes)
        return;
    node->prefix_bytes = (uint8_t)common;
    set_heads(node);
}

void
node_insert(struct node *node, uint16_t at, struct record *record, struct node *child)
{
    skein_assert(node->count < NODE_MAX);
    skein_assert(at <= node->count);
    shrink_prefix(node, record);
    size_t behind = (size_t)(node->count - at);
    memmove(node->heads + at + 1, node->heads + at, behind * sizeof(node->heads[0]));
    memmove(node->records + at + 1, node->records + at, behind * sizeof(node->records[0]));
    node->heads[at] = head_of(record_key(record), record->key_bytes, node->prefix_bytes);
    node->records[at] = record;
    if (!node->is_leaf) {
        memmove(node->children + at + 1, node->children + at, behind * sizeof(node->children[0]));
        node->children[at] = child;
    }
    node->count++;
}

void
node_erase(struct node *node, uint16_t at)
{
    skein_assert(at < node->count);
    size_t behind = (size_t)(node->count - at - 1);
    memmove(node->heads + at, node->heads + at + 1, behind * sizeof(node->heads[0]));
    memmove(node->records + at, node->records + at + 1, behind * sizeof(node->records[0]));
    if (!node->is_leaf)
        memmove(node->children + at, node->children + at + 1, behind * sizeof(node->children[0]));
    node->count--;
}

void
node_fill(struct node *node, struct record *const *records, struct node *const *children,
          uint16_t count)
{
    skein_assert(count <= NODE_MAX);
    memcpy(node->records, records, count * sizeof(records[0]));
    if (children)
        memcpy(node->children, children, count * sizeof(children[0]));
    node->count = count;
    node->prefix_bytes = 0;
    uint16_t first = node->is_leaf ? 0 : 1;
    if (count >= first + 2) {
        const struct record *low = records[first];
        const struct record *high = records[count - 1];
        size_t common =
            common_prefix(record_key(low), low->key_bytes, record_key(high), high->key_bytes);
        common = common < NODE_PREFIX_MAX ? common : NODE_PREFIX_MAX;
        memcpy(node->prefix, record_key(low), common);
        node->prefix_bytes = (uint8_t)common;
    }
    set_heads(node);
}

struct record *
node_separator(const struct record *left, const struct record *right)
{
    size_t common =
        common_prefix(record_key(left), left->key_bytes, record_key(right), right->key_bytes);
    skein_assert(common < right->key_bytes);
    struct record *separator = record_new(record_key(right), common + 1, (struct bytes){0});
    if (!separator)
        mem_exhausted("out of memory");
    return separator;
}
