/* SPDX-License-Identifier: Apache-2.0 */
/* Which table the machine works on, and its callbacks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/explain.h"
#include "kv/machine_internal.h"
#include "skein/error.h"
#include "skein/file.h"
#include "store/lmdb_table.h"

static const char *const store_names[] = {[KV_STORE_MEMORY] = "memory", [KV_STORE_LMDB] = "lmdb"};

int
kv_store_parse(const char *text, enum kv_store *out_store)
{
    for (size_t i = 0; i < BASE_COUNT_OF(store_names); i++)
        if (strcmp(text, store_names[i]) == 0) {
            *out_store = (enum kv_store)i;
            return 0;
        }
    return -SKEIN_EINVALID;
}

const char *
kv_store_name(enum kv_store store)
{
    return store_names[store];
}

static bool
is_there(const char *data_dir, const char *name)
{
    char path[4200];
    struct skein_stat stat;
    snprintf(path, sizeof(path), "%.4000s/%s", data_dir, name);
    return skein_file_stat(path, &stat) == 0;
}

/* A directory is of the store that it was begun with: one on disk has its table there. */
static int
check_store(const struct kv_machine_config *config)
{
    bool on_disk = is_there(config->data_dir, KV_TABLE_DIR);
    enum kv_store begun = on_disk ? KV_STORE_LMDB : KV_STORE_MEMORY;
    if (begun == config->store || (!on_disk && !is_there(config->data_dir, "wal")))
        return 0;
    snprintf(
        config->out_why, 512,
        "%.300s: was begun with --store %s, and this is --store %s; start it with --store %s, or "
        "give an empty directory (the node then gets its state from the others)",
        config->data_dir, kv_store_name(begun), kv_store_name(config->store), kv_store_name(begun));
    return -SKEIN_EIDENTITY;
}

static int
open_on_disk(struct machine *machine, const struct kv_machine_config *config)
{
    char dir[4200];
    struct store_table *table;
    snprintf(dir, sizeof(dir), "%.4000s/" KV_TABLE_DIR, config->data_dir);
    const struct store_lmdb_options options = {.dir = dir,
                                               .memory_bytes_max = config->memory_bytes_max};
    int rc = store_lmdb_open(&table, &options, config->out_why);
    if (rc < 0)
        return rc;
    kv_keyspace_init(&machine->keys, table);
    rc = kv_machine_restore(machine);
    if (rc == -SKEIN_ENOTFOUND)
        return 0;
    if (rc < 0) {
        disk_explain(rc, "cannot read the note of the table in", dir, config->out_why);
        kv_keyspace_deinit(&machine->keys);
    }
    return rc;
}

static int
machine_open(void **out_machine, void *opaque)
{
    const struct kv_machine_config *config = opaque;
    struct machine *machine = mem_zalloc(sizeof(*machine));
    struct store_table *table;
    machine->magic = MACHINE_MAGIC;
    int rc = config ? check_store(config) : 0;
    if (rc == 0 && config && config->store == KV_STORE_LMDB) {
        rc = open_on_disk(machine, config);
    } else if (rc == 0) {
        rc = store_memtable_open(&table);
        if (rc == 0)
            kv_keyspace_init(&machine->keys, table);
    }
    if (rc < 0) {
        mem_free(machine);
        return rc;
    }
    *out_machine = machine;
    return 0;
}

static int
machine_failure(void *opaque, char out_why[512])
{
    int rc = kv_machine_of(opaque)->keys.failure;
    return rc ? disk_explain(rc,
                             "nothing more is served, a committed command could not be applied to",
                             "the table", out_why)
              : 0;
}

const struct replica_machine_ops kv_machine_ops = {
    .name = "kv",
    .open = machine_open,
    .apply = kv_machine_apply,
    .query = kv_machine_query,
    .snapshot_save = kv_machine_snapshot_save,
    .snapshot_load = kv_machine_snapshot_load,
    .close = kv_machine_close,
    .failure = machine_failure,
    .prepare = kv_machine_prepare,
};

const struct replica_machine_ops kv_machine_disk_ops = {
    .name = "kv on disk",
    .open = machine_open,
    .apply = kv_machine_apply,
    .query = kv_machine_query,
    .snapshot_save = kv_machine_snapshot_save,
    .snapshot_load = kv_machine_snapshot_load,
    .close = kv_machine_close,
    .failure = machine_failure,
    .prepare = kv_machine_disk_prepare,
    .persist = kv_machine_persist,
    .note = kv_machine_note,
    .directory = KV_TABLE_DIR,
};
