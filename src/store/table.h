/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"

/*
 * The seam of ordered tables: keys to values, ordered by the keys' bytes, with snapshots in O(1).
 * One shard, one writer. Implementations: store/memtable (in memory, copy on write), store/lmdb
 * (larger than memory).
 *
 *   put, remove ---> the current version
 *   snapshot_take -> an immutable version that lives until it is released, however the current one
 *                    goes on
 *   persist -------> the current version, durable (tables on disk)
 *
 * **Codes.** Beside the ones named at each call, get, put, remove and cursor_next may give
 * -SKEIN_ENOMEM, and on a table on disk -SKEIN_ECORRUPT (a checksum does not match) or -errno: then
 * nothing is known about the key and nothing was changed.
 */

struct store_table;
struct store_snapshot;
struct store_cursor;

struct store_stats {
    uint64_t key_count;
    uint64_t data_bytes;   /* keys and values */
    uint64_t memory_bytes; /* what of them is in memory, with the structure around them, old
                              versions included */
    uint64_t snapshot_count;
};

struct store_disk_stats {
    uint64_t active_bytes; /* in memory, not yet being written */
    uint64_t frozen_bytes; /* in memory, being written */
    uint64_t file_bytes;
    uint64_t flush_total;
    uint64_t warm_total;      /* keys that were read ahead */
    uint64_t slow_read_total; /* reads that held the shard up */
};

/* What a table that keeps itself on disk can do in addition. Each suspends the fiber, unless it
 * says that it does not. */
struct store_disk_ops {
    /*
     * persist - make the version as it is at the call durable, and @note with it, in one step:
     * after a crash the table holds exactly the version and the note of the last persist that
     * returned 0, or of the one that was under way. The table may be used and changed meanwhile.
     * One at a time. A failure is for good: the table takes no further persist.
     */
    int (*persist)(struct store_table *table, struct bytes note); /* borrowed */
    /*
     * relieve - to be called now and then between changes: keeps what is in memory within twice its
     * limit. While a table is filled after a clear, moves a part of it to the disk, which counts
     * for nothing before a persist; while a persist is under way, takes the time that holds the
     * changes back. **Returns** 1: a persist is wanted soon; 0; a persist's code.
     */
    int (*relieve)(struct store_table *table);
    /* is_cold - reads have waited for the disk lately: it is worth warming. Does not suspend. */
    bool (*is_cold)(const struct store_table *table);
    /* warm - read these keys' values, so that a get which follows soon does not wait for the disk.
     * A help: nothing depends on it. */
    void (*warm)(struct store_table *table, const struct bytes *keys, size_t key_count);
    /* warm_from - the same for what a cursor gives next behind @key, about @count bytes. */
    void (*warm_from)(struct store_table *table, struct bytes key, uint64_t count);
    /* note - of the last persist, of an earlier process, too. **Ownership**: bytes_unref. Does not
     * suspend. 0; -SKEIN_ENOTFOUND: there was none, and the table was empty. */
    int (*note)(struct store_table *table, struct bytes *out_note);
    /* stats - does not suspend. */
    void (*stats)(struct store_table *table, struct store_disk_stats *out_stats);
};

struct store_ops {
    const char *name;
    const struct store_disk_ops *disk; /* NULL: in memory only */
    void (*close)(struct store_table *table);
    /* get - a reference to the value; @out_value untouched when absent. 0 or -SKEIN_ENOTFOUND. */
    int (*get)(struct store_table *table, const void *key, size_t key_bytes,
               struct bytes *out_value);
    /* put - insert or replace. Takes a reference of its own to @value; the key is copied. 0. */
    int (*put)(struct store_table *table, const void *key, size_t key_bytes, struct bytes value);
    /*
     * prefetch - these keys are looked up next: begin to bring what is on the way to them into the
     * processor's caches, for all of them at once. A key may be cut short: how it begins is what
     * counts. A help: nothing depends on it. NULL: there is nothing to gain.
     */
    void (*prefetch)(struct store_table *table, const struct bytes *keys, size_t key_count);
    /* remove - 0 or -SKEIN_ENOTFOUND. */
    int (*remove)(struct store_table *table, const void *key, size_t key_bytes);
    /* clear - remove every key. O(1) for the caller; memory is given back in steps. */
    void (*clear)(struct store_table *table);
    void (*stats)(struct store_table *table, struct store_stats *out_stats);
    struct store_snapshot *(*snapshot_take)(struct store_table *table);
    void (*snapshot_release)(struct store_snapshot *snapshot);
    uint64_t (*snapshot_key_count)(const struct store_snapshot *snapshot);
    /* cursor_open - at the first key >= @key of @snapshot, or (NULL) of the current version; a
     * cursor on the current version is valid only until the next put, remove or clear. */
    struct store_cursor *(*cursor_open)(struct store_table *table, struct store_snapshot *snapshot,
                                        const void *key, size_t key_bytes);
    /* cursor_next - 0 and borrowed views valid until the next call on the cursor, or
     * -SKEIN_ENOTFOUND at the end. After another code the cursor is of no use any more. */
    int (*cursor_next)(struct store_cursor *cursor, struct bytes *out_key, struct bytes *out_value);
    void (*cursor_close)(struct store_cursor *cursor);
};

/* Every implementation begins with this. */
struct store_table {
    const struct store_ops *ops;
};

/* Limits of the seam. */
/* A user's 64 KiB and room for what the machine puts before it. */
#define STORE_KEY_BYTES_MAX ((64u << 10) + 64)
#define STORE_VALUE_BYTES_MAX (512u << 20)

/* store_memtable_open - the in-memory copy-on-write ordered table. */
int store_memtable_open(struct store_table **out_table) SKEIN_MUST_CHECK;

#endif
