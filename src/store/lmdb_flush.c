/* SPDX-License-Identifier: Apache-2.0 */
/* A frozen level on its way into the base: one write transaction, on one helper thread. */
#include <errno.h>
#include <sys/statvfs.h>

#include "skein/error.h"
#include "skein/shard.h"
#include "store/lmdb_int.h"

/* Entries of discarded spaces that one transaction removes. */
#define SWEEP_MAX 200000u
/* With less room than this a failed write was a full disk. */
#define ROOM_BYTES_MIN ((uint64_t)1 << 20)
/* How long each relieve takes when there is too much in memory and more is being written. */
#define HOLD_BACK_NS UINT64_C(5000000)

/* What the helper thread gets. It reads the frozen level's trees, which nobody changes, through
 * cursors that the shard opened: it touches no count of theirs. */
struct flush {
    MDB_env *env;
    MDB_dbi dbi;
    const struct lmdb_level *level; /* NULL: only a note */
    struct store_cursor *puts, *removed;
    uint64_t root; /* what the base reads; behind it: what it reads from now on */
    bool persist;  /* with the note; else: the root counts for nothing yet */
    struct bytes note;
    uint64_t key_count, data_bytes;
};

static int
write_entries(struct flush *flush, MDB_cursor *cursor, uint64_t *next_space)
{
    const struct lmdb_level *level = flush->level;
    struct bytes key, value;
    int rc = 0;
    while (rc == 0 && level->puts->ops->cursor_next(flush->puts, &key, &value) == 0)
        rc = lmdb_put(cursor, flush->root, key, value, next_space);
    while (rc == 0 && level->removed->ops->cursor_next(flush->removed, &key, &value) == 0) {
        rc = lmdb_remove(cursor, flush->root, key);
        if (rc == -SKEIN_ENOTFOUND)
            rc = -SKEIN_ECORRUPT; /* it was there when it was removed */
    }
    return rc;
}

/* The space that this level goes to: another one when what is below it was cleared. */
static int
choose_root(struct flush *flush, MDB_cursor *cursor, struct lmdb_record *record)
{
    int rc = 0;
    if (record->loading != 0 && record->loading != flush->root) {
        rc = lmdb_discard(cursor, record->loading); /* of a load that came to nothing */
        record->loading = 0;
    }
    if (rc < 0 || !flush->level || (!flush->level->hides && flush->root != 0))
        return rc;
    if (flush->root != 0 && flush->root != record->root) {
        rc = lmdb_discard(cursor, flush->root);
        record->loading = 0;
    }
    flush->root = record->next_space++;
    return rc;
}

static int
write_record(struct flush *flush, MDB_cursor *cursor, struct lmdb_record *record)
{
    int rc = 0;
    if (flush->persist) {
        rc = lmdb_note_write(cursor, flush->note);
        if (rc == 0 && record->root != 0 && record->root != flush->root)
            rc = lmdb_discard(cursor, record->root);
        record->root = flush->root;
        record->loading = 0;
        record->key_count = flush->key_count;
        record->data_bytes = flush->data_bytes;
    } else {
        record->loading = flush->root;
    }
    if (rc == 0)
        rc = lmdb_sweep(cursor, SWEEP_MAX);
    return rc < 0 ? rc : lmdb_record_write(cursor, record);
}

static int
write_all(struct flush *flush, MDB_txn *txn, MDB_cursor *cursor)
{
    struct lmdb_record record;
    int rc = lmdb_record_read(txn, flush->dbi, &record);
    if (rc == 0)
        rc = choose_root(flush, cursor, &record);
    if (rc == 0 && flush->level)
        rc = write_entries(flush, cursor, &record.next_space);
    return rc < 0 ? rc : write_record(flush, cursor, &record);
}

/* A write that was cut short, LMDB calls an I/O error; most often the disk was full. */
static int
explain_short_write(const struct flush *flush, int rc)
{
    struct statvfs disk;
    const char *dir;
    if (rc != -EIO || mdb_env_get_path(flush->env, &dir) != 0 || statvfs(dir, &disk) != 0)
        return rc;
    return (uint64_t)disk.f_bavail * disk.f_frsize < ROOM_BYTES_MIN ? -ENOSPC : rc;
}

static int64_t
flush_work(void *arg)
{
    struct flush *flush = arg;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int rc = lmdb_code(mdb_txn_begin(flush->env, NULL, 0, &txn));
    if (rc < 0)
        return rc;
    rc = lmdb_code(mdb_cursor_open(txn, flush->dbi, &cursor));
    if (rc == 0) {
        rc = write_all(flush, txn, cursor);
        mdb_cursor_close(cursor);
    }
    if (rc == 0)
        rc = lmdb_code(mdb_txn_commit(txn));
    else
        mdb_txn_abort(txn);
    return explain_short_write(flush, rc);
}

static int
run(struct lmdb_table *table, struct flush *flush)
{
    struct lmdb_level *level = table->frozen;
    uint64_t root = flush->root;
    int rc;
    do {
        flush->root = root;
        if (level) {
            flush->puts = level->puts->ops->cursor_open(level->puts, NULL, NULL, 0);
            flush->removed = level->removed->ops->cursor_open(level->removed, NULL, NULL, 0);
        }
        rc = (int)skein_work(flush_work, flush);
        if (level) {
            level->puts->ops->cursor_close(flush->puts);
            level->removed->ops->cursor_close(flush->removed);
        }
    } while (rc == -SKEIN_ETOOBIG && (rc = lmdb_map_grow(table)) == 0);
    return rc;
}

/* What was frozen is in the base: read from there from now on. */
static int
swap(struct lmdb_table *table, const struct flush *flush)
{
    struct lmdb_view *view;
    int rc = lmdb_view_open(table, flush->root, &view);
    if (rc < 0)
        return rc;
    lmdb_view_unref(table, table->view);
    table->view = view;
    lmdb_level_unref(table->frozen);
    table->frozen = NULL;
    table->counts.flush_total++;
    return 0;
}

static int
write_active(struct lmdb_table *table, const struct bytes *note)
{
    while (table->writing)
        (void)!skein_wait(&table->written, SKEIN_NEVER);
    if (table->failure)
        return table->failure;
    skein_assert(!table->frozen);
    struct flush flush = {.env = table->env,
                          .dbi = table->dbi,
                          .root = table->view->root,
                          .persist = note != NULL,
                          .note = note ? *note : (struct bytes){0},
                          .key_count = table->key_count,
                          .data_bytes = table->data_bytes};
    if (!lmdb_level_is_empty(table->active)) {
        table->frozen = table->active;
        table->active = lmdb_level_new(table);
        flush.level = table->frozen;
        table->version++;
    }
    table->writing = true;
    int rc = run(table, &flush);
    if (rc == 0)
        rc = swap(table, &flush);
    if (rc == 0 && note)
        table->persisted_root = flush.root;
    if (rc < 0)
        table->failure = rc;
    table->writing = false;
    skein_wake_all(&table->written);
    return rc;
}

int
lmdb_persist(struct store_table *base, struct bytes note)
{
    skein_assert(note.count <= NOTE_BYTES_MAX);
    skein_shield(true);
    int rc = write_active(lmdb_table_of(base), &note);
    skein_shield(false);
    return rc;
}

/* Changes come faster than they are written: hold them back a little, at last altogether. */
static int
hold_back(struct lmdb_table *table, uint64_t memory_bytes)
{
    if (memory_bytes <= table->memory_bytes_max)
        return 0;
    if (memory_bytes < 2 * table->memory_bytes_max)
        (void)!skein_sleep(skein_deadline_in(HOLD_BACK_NS));
    while (table->writing && memory_bytes >= 2 * table->memory_bytes_max)
        (void)!skein_wait(&table->written, SKEIN_NEVER);
    return table->failure;
}

int
lmdb_relieve(struct store_table *base)
{
    struct lmdb_table *table = lmdb_table_of(base);
    uint64_t memory_bytes = lmdb_level_memory_bytes(table->active);
    bool is_load = table->active->hides || table->view->root != table->persisted_root;
    int rc = 0;
    skein_shield(true);
    if (table->writing)
        rc = hold_back(table, memory_bytes);
    else if (is_load && memory_bytes > table->memory_bytes_max)
        rc = write_active(table, NULL);
    skein_shield(false);
    if (rc < 0)
        return rc;
    return !table->writing && lmdb_level_memory_bytes(table->active) > table->memory_bytes_max;
}
