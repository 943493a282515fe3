/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_NODE_H
#define STORE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The parts of the in-memory table: records and nodes of a copy-on-write B+tree.
 *
 *            branch  heads |  -  | h1 | h2 |          child i holds the keys in [separator i,
 * separator i + 1) recs  |  -  | s1 | s2 |          separator 0 is not kept: it is below every key
 *                    child |  *  |  * |  * |
 *                             |
 *              leaf  heads | h0 | h1 | ...            head: the 8 bytes behind the node's prefix,
 * big-endian, recs  | r0 | r1 | ...            zero-padded: most comparisons touch nothing else
 *
 * A *record* is one bytes_buf: its own header, the key, and the value when it is small; a large
 * value is a reference beside the key. Nodes that share a record (a clone and its original) count
 * in node_refs; all of them together hold one reference of the buffer. A reader that holds a value
 * of its own holds another.
 *
 * A *node* with refs 1, reached only through nodes with refs 1, belongs to the current version
 * alone and is changed in place; any other is cloned first.
 *
 * All keys of a node share its prefix (at most NODE_PREFIX_MAX bytes; longer common parts only make
 * more heads equal, and those compare in full).
 */

#define NODE_MAX 64
#define NODE_MIN 16
#define NODE_PREFIX_MAX 48
/* Every branch but the root has at least NODE_MIN children, so 2^48 keys fit. */
#define NODE_DEPTH_MAX 14
/* Values up to this are kept in the record. */
#define RECORD_INLINE_MAX 512

struct record {
    uint32_t node_refs;
    uint32_t key_bytes;
    uint32_t value_bytes; /* inline ones; RECORD_EXTERNAL: a struct bytes stands before the key */
    uint32_t reserved;
    uint8_t data[]; /* [struct bytes] key [value] */
};
#define RECORD_EXTERNAL UINT32_MAX

struct node {
    uint32_t refs;
    uint16_t count;
    bool is_leaf;
    uint8_t prefix_bytes;
    uint8_t prefix[NODE_PREFIX_MAX];
    struct node *next_free; /* on the table's pending list, refs 0 */
    uint64_t heads[NODE_MAX];
    struct record *records[NODE_MAX];
    struct node *children[]; /* branches: NODE_MAX */
};

static inline struct bytes *
record_external(const struct record *record)
{
    return record->value_bytes == RECORD_EXTERNAL ? (struct bytes *)(void *)record->data : NULL;
}

static inline const uint8_t *
record_key(const struct record *record)
{
    size_t skip = record->value_bytes == RECORD_EXTERNAL ? sizeof(struct bytes) : 0;
    return record->data + skip;
}

static inline struct bytes_buf *
record_buf(const struct record *record)
{
    return BASE_CONTAINER_OF(record, struct bytes_buf, data);
}

/* record_new - a record with node_refs 1. The value is copied, or referenced when it is large and
 * its buffer is not much larger than itself. NULL: no memory. */
struct record *record_new(const void *key, size_t key_bytes, struct bytes value) SKEIN_MUST_CHECK;
/* record_overwrite - put @value in place of the record's; false: it does not fit or somebody else
 * reads it. */
bool record_overwrite(struct record *record, struct bytes value);
/* record_value - a borrowed view of the value. Its buf is set: bytes_ref keeps the value alive. */
struct bytes record_value(const struct record *record);
/* record_memory_bytes - what the record occupies, a referenced value included. */
size_t record_memory_bytes(const struct record *record);
/* record_free - drop the nodes' common reference; node_refs is 0. */
void record_free(struct record *record);

struct node *node_new(bool is_leaf);
size_t node_memory_bytes(const struct node *node);
/* node_clone - a copy with refs 1; the records' and the children's counts go up. The original's
 * stay. */
struct node *node_clone(const struct node *node);
/* node_search - the first position >= @first whose key is not below @key; @out_found: it is equal.
 */
uint16_t node_search(const struct node *node, uint16_t first, const uint8_t *key, size_t key_bytes,
                     bool *out_found);
/* node_search_heads - the same by the node's own memory only: what has the key's head may be below
 * it. @out_equal: the position's head is the key's. */
uint16_t node_search_heads(const struct node *node, uint16_t first, const uint8_t *key,
                           size_t key_bytes, bool *out_equal);
/* node_child_index - the child of a branch in which @key lies. */
uint16_t node_child_index(const struct node *node, const uint8_t *key, size_t key_bytes);
/* node_insert - @record (and @child, for branches) at @at; the node is not full. Takes both over.
 */
void node_insert(struct node *node, uint16_t at, struct record *record, struct node *child);
/* node_erase - close the gap at @at. The caller has taken the record and the child. */
void node_erase(struct node *node, uint16_t at);
/* node_fill - set the node's content to @count entries (@children: NULL for leaves). */
void node_fill(struct node *node, struct record *const *records, struct node *const *children,
               uint16_t count);
/* node_separator - the shortest key above @left's and not above @right's. Never NULL. */
struct record *node_separator(const struct record *left, const struct record *right);

#endif
