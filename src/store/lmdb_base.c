/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: opened, read from, grown. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/wire.h"
#include "disk/explain.h"
#include "skein/error.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "store/lmdb_int.h"

#define RECORD_VERSION 1u
#define READERS_MAX 1024u
#define MAP_BYTES_MIN ((uint64_t)16 << 20)
/* Address space, not memory: nothing of it is touched before there is data. */
#define MAP_BYTES_DEFAULT ((uint64_t)1 << 40)
/* A file that is opened may grow to this many times its size before the map has to. */
#define MAP_ROOM 4u

static const struct bytes record_name = {.data = (const uint8_t *)"T", .count = 1};
static const struct bytes note_name = {.data = (const uint8_t *)"N", .count = 1};

int
lmdb_record_read(MDB_txn *txn, MDB_dbi dbi, struct lmdb_record *out_record)
{
    struct bytes stored;
    *out_record = (struct lmdb_record){.next_space = SPACE_FIRST};
    int rc = lmdb_get(txn, dbi, SPACE_RECORD, record_name, &stored);
    if (rc < 0)
        return rc == -SKEIN_ENOTFOUND ? 0 : rc;
    struct wire_reader in = wire_reader_of(stored.data, stored.count);
    uint32_t version = wire_get_u32(&in);
    struct lmdb_record record = {.root = wire_get_u64(&in),
                                 .loading = wire_get_u64(&in),
                                 .next_space = wire_get_u64(&in),
                                 .key_count = wire_get_u64(&in),
                                 .data_bytes = wire_get_u64(&in)};
    if (version != RECORD_VERSION)
        return -SKEIN_EFORMAT;
    if (!wire_done(&in) || record.next_space < SPACE_FIRST || record.root >= record.next_space ||
        record.loading >= record.next_space)
        return -SKEIN_ECORRUPT;
    *out_record = record;
    return 0;
}

int
lmdb_record_write(MDB_cursor *cursor, const struct lmdb_record *record)
{
    struct wire_writer out = {0};
    struct space_key buffer;
    wire_put_u32(&out, RECORD_VERSION);
    wire_put_u64(&out, record->root);
    wire_put_u64(&out, record->loading);
    wire_put_u64(&out, record->next_space);
    wire_put_u64(&out, record->key_count);
    wire_put_u64(&out, record->data_bytes);
    MDB_val at = lmdb_key_of(&buffer, SPACE_RECORD, record_name.data, record_name.count, false);
    int rc = lmdb_entry_write(cursor, at, record_name, bytes_borrow(out.data, out.count));
    wire_writer_deinit(&out);
    return rc;
}

int
lmdb_note_write(MDB_cursor *cursor, struct bytes note)
{
    struct space_key buffer;
    MDB_val at = lmdb_key_of(&buffer, SPACE_RECORD, note_name.data, note_name.count, false);
    return lmdb_entry_write(cursor, at, note_name, note);
}

int
lmdb_note_read(struct lmdb_table *table, struct bytes *out_note)
{
    struct bytes stored;
    int rc = lmdb_get(table->view->txn, table->dbi, SPACE_RECORD, note_name, &stored);
    if (rc < 0)
        return rc;
    struct bytes_buf *copy = bytes_try_new(stored.count);
    if (!copy)
        return -SKEIN_ENOMEM;
    if (stored.count)
        memcpy(copy->data, stored.data, stored.count);
    *out_note = bytes_of(copy, stored.count);
    return 0;
}

/* ---- opening, on a helper thread ---- */

struct opening {
    struct lmdb_table *table;
    struct lmdb_record record;
    const char *what; /* that failed */
};

static uint64_t
file_bytes(const char *dir)
{
    char path[4200];
    struct stat stat_now;
    snprintf(path, sizeof(path), "%.4000s/data.mdb", dir);
    return stat(path, &stat_now) == 0 ? (uint64_t)stat_now.st_size : 0;
}

/* A file that was cut would end the process at the first read behind its end. */
static int
check_length(struct lmdb_table *table)
{
    MDB_envinfo info;
    MDB_stat stat_now;
    int rc = mdb_env_info(table->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(table->env, &stat_now);
    if (rc)
        return lmdb_code(rc);
    uint64_t needed = ((uint64_t)info.me_last_pgno + 1) * stat_now.ms_psize;
    return file_bytes(table->dir) < needed ? -SKEIN_ECORRUPT : 0;
}

static int
open_env(struct lmdb_table *table, uint64_t map_bytes)
{
    int rc = mdb_env_create(&table->env);
    if (rc)
        return rc;
    rc = mdb_env_set_mapsize(table->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(table->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(table->env, table->dir, MDB_NOTLS | MDB_NORDAHEAD, 0644);
    if (rc == 0)
        return 0;
    mdb_env_close(table->env);
    table->env = NULL;
    return rc;
}

/* As much address space as there may be. */
static int
map(struct lmdb_table *table)
{
    uint64_t least = file_bytes(table->dir) * MAP_ROOM;
    if (table->map_bytes < least)
        table->map_bytes = least;
    for (;;) {
        int rc = open_env(table, table->map_bytes);
        if (rc != ENOMEM || table->map_bytes / 2 < MAP_BYTES_MIN || table->map_bytes / 2 < least)
            return lmdb_code(rc);
        table->map_bytes /= 2;
    }
}

static int
read_record(struct opening *opening)
{
    struct lmdb_table *table = opening->table;
    MDB_txn *txn;
    int rc = mdb_txn_begin(table->env, NULL, 0, &txn);
    if (rc)
        return lmdb_code(rc);
    rc = lmdb_code(mdb_dbi_open(txn, NULL, 0, &table->dbi));
    if (rc == 0)
        rc = lmdb_record_read(txn, table->dbi, &opening->record);
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return lmdb_code(mdb_txn_commit(txn));
}

static int64_t
open_work(void *arg)
{
    struct opening *opening = arg;
    int dead;
    opening->what = "cannot open the table";
    int rc = map(opening->table);
    if (rc < 0)
        return rc;
    opening->what = "shorter than it says itself";
    rc = check_length(opening->table);
    if (rc < 0)
        return rc;
    opening->what = "cannot read the table's record";
    rc = lmdb_code(mdb_reader_check(opening->table->env, &dead));
    return rc < 0 ? rc : read_record(opening);
}

static int
make_dir(const char *dir, char out_why[512])
{
    char parent[4200];
    int rc = skein_file_mkdir(dir, 0755);
    if (rc == -EEXIST)
        return 0;
    snprintf(parent, sizeof(parent), "%.4000s/..", dir);
    if (rc == 0)
        rc = skein_file_sync_directory(parent);
    return rc < 0 ? disk_explain(rc, "cannot create the table's directory", dir, out_why) : 0;
}

int
lmdb_env_open(struct lmdb_table *table, char out_why[512])
{
    if (table->map_bytes == 0)
        table->map_bytes = MAP_BYTES_DEFAULT;
    int rc = make_dir(table->dir, out_why);
    if (rc < 0)
        return rc;
    struct opening *opening = mem_zalloc(sizeof(*opening));
    opening->table = table;
    rc = (int)skein_work(open_work, opening);
    if (rc < 0) {
        disk_explain(rc, opening->what, table->dir, out_why);
    } else {
        rc = skein_file_sync_directory(table->dir);
        if (rc < 0)
            disk_explain(rc, "cannot sync the table's directory", table->dir, out_why);
    }
    if (rc == 0) {
        const struct lmdb_record *record = &opening->record;
        table->persisted_root = record->root;
        table->key_count = record->key_count;
        table->data_bytes = record->data_bytes;
        /* Nothing was read yet: take it as not in memory. */
        table->slow_until_ns = skein_deadline_in(LMDB_SLOW_FOR_NS);
        rc = lmdb_view_open(table, record->root, &table->view);
        if (rc < 0)
            disk_explain(rc, "cannot read from", table->dir, out_why);
    }
    mem_free(opening);
    return rc;
}

/* ---- views ---- */

int
lmdb_view_open(struct lmdb_table *table, uint64_t root, struct lmdb_view **out_view)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(table->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_code(rc);
    struct lmdb_view *view = mem_alloc(sizeof(*view));
    *view = (struct lmdb_view){.refs = 1, .txn = txn, .root = root};
    table->view_count++;
    *out_view = view;
    return 0;
}

struct lmdb_view *
lmdb_view_ref(struct lmdb_view *view)
{
    view->refs++;
    return view;
}

void
lmdb_view_unref(struct lmdb_table *table, struct lmdb_view *view)
{
    skein_assert(view->refs > 0);
    if (--view->refs > 0)
        return;
    mdb_txn_abort(view->txn);
    table->view_count--;
    mem_free(view);
}

int
lmdb_map_grow(struct lmdb_table *table)
{
    table->growing = true;
    while (table->warming_count > 0)
        (void)!skein_wait(&table->warmed, SKEIN_NEVER);
    table->growing = false;
    struct lmdb_view *view = table->view;
    if (table->view_count > 1 || view->refs > 1 || table->map_bytes > UINT64_MAX / 2)
        return -ENOSPC;
    /* No transaction may see the map move. */
    mdb_txn_abort(view->txn);
    view->txn = NULL;
    int rc = mdb_env_set_mapsize(table->env, table->map_bytes * 2);
    if (rc == 0)
        table->map_bytes *= 2;
    int again = mdb_txn_begin(table->env, NULL, MDB_RDONLY, &view->txn);
    skein_assert(again == 0); /* the slot and the memory of the one before */
    return rc ? -ENOSPC : 0;
}
