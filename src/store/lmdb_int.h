/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LMDB_INT_H
#define STORE_LMDB_INT_H

#include <lmdb.h>

#include "base/list.h"
#include "skein/fiber.h"
#include "store/lmdb_table.h"

/*
 * The inside of store/lmdb, shared by its files.
 *
 * **Spaces.** Everything in LMDB's one tree has a key that begins with the number of a space, eight
 * bytes, big-endian. A table is one space, its root; clearing it is taking another number.
 *
 *     space 0, 'T'                       the table's record
 *     space 0, 'N'                       the note of the last persist
 *     space 1, space number              a space nobody needs: its entries are removed in pieces
 *     space n, up to 480 bytes           an entry: CRC | value
 *     space n, 480 bytes, one zero byte  a link: CRC | number of the space of all longer keys that
 *                                        begin with these 480 bytes
 *
 * So a key of any length is found in (length / 480) steps, and the order of LMDB's keys, walked
 * with the links, is the order of the keys themselves: a link stands right behind the key that is
 * its 480 bytes, and before everything that is larger.
 */

#define SPACE_RECORD 0u
#define SPACE_GARBAGE 1u
#define SPACE_FIRST 16u
#define SPACE_BYTES 8u
#define SEGMENT_BYTES 480u
#define LINK_BYTES (SEGMENT_BYTES + 1)
#define SPACE_DEPTH_MAX (STORE_KEY_BYTES_MAX / SEGMENT_BYTES + 2)
#define ENTRY_CRC_BYTES 4u
#define NOTE_BYTES_MAX (256u << 20)

_Static_assert(SPACE_BYTES + LINK_BYTES <= 511, "what LMDB takes as a key");

/* ---- lmdb_space.c: entries of spaces, on any thread ---- */
struct space_key {
    size_t count;
    uint8_t bytes[SPACE_BYTES + LINK_BYTES];
};
/* lmdb_code - what LMDB returned as our code. -SKEIN_ETOOBIG: the map is full. */
int lmdb_code(int rc);
/* lmdb_key_of - a key of @space, in @to. */
MDB_val lmdb_key_of(struct space_key *to, uint64_t space, const void *segment, size_t segment_bytes,
                    bool is_link);
bool lmdb_key_is_of(MDB_val key, uint64_t space);
bool lmdb_key_is_link(MDB_val key);
/* lmdb_entry_check - @key: the whole one, not the space's. -SKEIN_ECORRUPT. */
int lmdb_entry_check(struct bytes key, MDB_val stored, struct bytes *out_value) SKEIN_MUST_CHECK;
/* lmdb_link_check - @key: the link's, with its space. */
int lmdb_link_check(MDB_val key, MDB_val stored, uint64_t *out_space) SKEIN_MUST_CHECK;
int lmdb_entry_write(MDB_cursor *cursor, MDB_val at, struct bytes key,
                     struct bytes value) SKEIN_MUST_CHECK;
/* lmdb_get - a view into the map, checked. 0, -SKEIN_ENOTFOUND, -SKEIN_ECORRUPT, -errno. */
int lmdb_get(MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct bytes key,
             struct bytes *out_value) SKEIN_MUST_CHECK;
/* lmdb_put, lmdb_remove - in a write transaction. @next_space: the next number that is free.
 * lmdb_remove: -SKEIN_ENOTFOUND is possible. */
int lmdb_put(MDB_cursor *cursor, uint64_t root, struct bytes key, struct bytes value,
             uint64_t *next_space) SKEIN_MUST_CHECK;
int lmdb_remove(MDB_cursor *cursor, uint64_t root, struct bytes key) SKEIN_MUST_CHECK;
/* lmdb_discard - the space is not needed any more. */
int lmdb_discard(MDB_cursor *cursor, uint64_t space) SKEIN_MUST_CHECK;
/* lmdb_sweep - remove at most @count_max entries of discarded spaces. */
int lmdb_sweep(MDB_cursor *cursor, uint64_t count_max) SKEIN_MUST_CHECK;

/* ---- lmdb_walk.c: a root's entries in order ---- */
struct lmdb_walk {
    MDB_cursor *cursor;
    uint64_t spaces[SPACE_DEPTH_MAX];
    size_t depth;
    uint8_t *key; /* depth * SEGMENT_BYTES bytes of the way, then the entry's own */
    struct bytes at_key, at_value;
    int rc; /* 0: at_* are the entry; -SKEIN_ENOTFOUND: the end; else it failed */
};
/* lmdb_walk_open - at the first entry >= @key. @root: 0: there is nothing. */
void lmdb_walk_open(struct lmdb_walk *walk, MDB_txn *txn, MDB_dbi dbi, uint64_t root,
                    struct bytes key);
void lmdb_walk_next(struct lmdb_walk *walk);
void lmdb_walk_close(struct lmdb_walk *walk);

/* ---- the table ---- */

/* A read transaction of the base. */
struct lmdb_view {
    uint32_t refs;
    MDB_txn *txn;
    uint64_t root; /* 0: empty */
};

/* What was put and what was removed: no key is in both. */
struct lmdb_level {
    uint32_t refs;
    bool hides; /* everything below it was cleared */
    struct store_table *puts;
    struct store_table *removed;
    struct skein_list link; /* lmdb_table.levels */
};

/* The record in space 0. */
struct lmdb_record {
    uint64_t root;    /* 0: nothing was ever persisted, or the table was empty */
    uint64_t loading; /* a space that is being filled after a clear; 0: none */
    uint64_t next_space;
    uint64_t key_count;
    uint64_t data_bytes;
};

struct lmdb_table {
    struct store_table base;
    char *dir;
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t map_bytes;
    uint64_t memory_bytes_max;

    struct lmdb_level *active;
    struct lmdb_level *frozen; /* NULL: nothing is being written */
    struct lmdb_view *view;
    struct skein_list levels; /* those that snapshots hold, too */
    uint64_t view_count;
    uint64_t key_count, data_bytes; /* of the current version */
    uint64_t persisted_root;        /* the record's; another than the view's: a load is under way */

    bool writing;
    struct skein_waitq written;
    int failure;
    uint64_t snapshot_count, cursor_count;
    uint64_t version; /* a cursor on the current version notices that it has become invalid */
    uint64_t slow_until_ns;
    uint32_t warming_count; /* helpers that read: they have transactions of their own */
    struct skein_waitq warmed;
    bool growing; /* the map waits for them */
    struct store_disk_stats counts;
};

struct store_snapshot {
    struct lmdb_table *table;
    struct lmdb_view *view;
    struct lmdb_level *active, *frozen;
    bool hides;                            /* active did, then */
    struct store_snapshot *puts, *removed; /* of active */
    uint64_t key_count;
};

static inline struct lmdb_table *
lmdb_table_of(struct store_table *base)
{
    return BASE_CONTAINER_OF(base, struct lmdb_table, base);
}

/* ---- lmdb_base.c: environment, views, record ---- */
int lmdb_env_open(struct lmdb_table *table, char out_why[512]) SKEIN_MUST_CHECK;
/* lmdb_record_read - a table without one: zeros and next_space. */
int lmdb_record_read(MDB_txn *txn, MDB_dbi dbi, struct lmdb_record *out_record) SKEIN_MUST_CHECK;
int lmdb_record_write(MDB_cursor *cursor, const struct lmdb_record *record) SKEIN_MUST_CHECK;
int lmdb_note_write(MDB_cursor *cursor, struct bytes note) SKEIN_MUST_CHECK;
int lmdb_note_read(struct lmdb_table *table, struct bytes *out_note) SKEIN_MUST_CHECK;
/* lmdb_view_open - of what is committed now, reading @root. */
int lmdb_view_open(struct lmdb_table *table, uint64_t root,
                   struct lmdb_view **out_view) SKEIN_MUST_CHECK;
struct lmdb_view *lmdb_view_ref(struct lmdb_view *view);
void lmdb_view_unref(struct lmdb_table *table, struct lmdb_view *view);
/* lmdb_map_grow - -ENOSPC: a snapshot is held, or there is no more address space. Suspends until no
 * helper reads. */
int lmdb_map_grow(struct lmdb_table *table) SKEIN_MUST_CHECK;

/* ---- lmdb_level.c ---- */
struct lmdb_level *lmdb_level_new(struct lmdb_table *table);
struct lmdb_level *lmdb_level_ref(struct lmdb_level *level);
void lmdb_level_unref(struct lmdb_level *level);
uint64_t lmdb_level_memory_bytes(const struct lmdb_level *level);
/* lmdb_level_is_empty - nothing was changed in it. */
bool lmdb_level_is_empty(const struct lmdb_level *level);

/* ---- lmdb_flush.c ---- */
int lmdb_persist(struct store_table *base, struct bytes note);
int lmdb_relieve(struct store_table *base);

/* ---- lmdb_warm.c ---- */
/* How long a slow read makes reading ahead worth its while. */
#define LMDB_SLOW_FOR_NS UINT64_C(1000000000)
bool lmdb_is_cold(const struct store_table *base);
void lmdb_warm(struct store_table *base, const struct bytes *keys, size_t key_count);
void lmdb_warm_from(struct store_table *base, struct bytes key, uint64_t count);
/* lmdb_read_begin, _end - around a read of the base on the shard. */
uint64_t lmdb_read_begin(void);
void lmdb_read_end(struct lmdb_table *table, uint64_t begun_ns);

/* ---- lmdb_cursor.c ---- */
struct store_cursor *lmdb_cursor_open(struct store_table *base, struct store_snapshot *snapshot,
                                      const void *key, size_t key_bytes);
int lmdb_cursor_next(struct store_cursor *cursor, struct bytes *out_key, struct bytes *out_value);
void lmdb_cursor_close(struct store_cursor *cursor);

#endif
