/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MEMTABLE_H
#define STORE_MEMTABLE_H

#include "store/node.h"
#include "store/table.h"

/*
 * The in-memory table: a copy-on-write B+tree (store/node.h) and the versions of it.
 *
 *     current root --+--> nodes with refs 1: changed in place
 *                    |
 *     snapshot ------+--> shared nodes (refs > 1): cloned on the way of a change
 *
 * A snapshot is a reference of the root: O(1). What nobody refers to any more goes on the *pending*
 * list, linked through next_free, and every later operation works off one node of it (at most
 * NODE_MAX records), so neither clear nor the release of a snapshot stalls the shard.
 *
 * Invariants: every node but the root has at least one entry, every branch but the root NODE_MIN
 * children; a pending node has refs 0; memory_bytes is the sum over all nodes and records, pending
 * ones included.
 */

struct memtable {
    struct store_table base;
    struct node *root;
    struct node *pending;
    uint64_t key_count;
    uint64_t data_bytes;
    uint64_t memory_bytes;
    uint64_t snapshot_count;
    uint64_t cursor_count;
    uint64_t version; /* of the current tree: a cursor on it notices that it has become invalid */
};

struct store_snapshot {
    struct memtable *table;
    struct node *root;
    uint64_t key_count;
};

/* memtable_node_drop - one reference less; the last one makes the node pending. */
void memtable_node_drop(struct memtable *table, struct node *node);
void memtable_record_drop(struct memtable *table, struct record *record);
/* memtable_reclaim - free at most @node_count_max pending nodes. */
void memtable_reclaim(struct memtable *table, size_t node_count_max);

/* The tree's two changes (store/memtable_change.c). */
int memtable_put(struct store_table *base, const void *key, size_t key_bytes, struct bytes value);
int memtable_remove(struct store_table *base, const void *key, size_t key_bytes);

/* store/memtable_prefetch.c */
void memtable_prefetch(struct store_table *base, const struct bytes *keys, size_t key_count);

/* store/memtable_cursor.c */
struct store_cursor *memtable_cursor_open(struct store_table *base, struct store_snapshot *snapshot,
                                          const void *key, size_t key_bytes);
int memtable_cursor_next(struct store_cursor *cursor, struct bytes *out_key,
                         struct bytes *out_value);
void memtable_cursor_close(struct store_cursor *cursor);

#endif
