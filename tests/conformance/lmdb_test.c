/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the table on disk passes the suite of tables, while levels freeze, are written and go. */
#include "conformance/table_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skein/fiber.h"
#include "skein/runtime.h"
#include "skein/shard.h"
#include "store/lmdb_table.h"

/* One program, one thread: its own. */
static struct {
    char dir[256];
    unsigned table_count;
    struct skein_scope scope;
    bool writing;
    int rc;
} world;

static struct store_table *
open_lmdb(void)
{
    char path[300], why[512] = "";
    struct store_table *table = NULL;
    snprintf(path, sizeof(path), "%s/%u", world.dir, world.table_count++);
    /* So small that the map has to grow. */
    const struct store_lmdb_options options = {.dir = path, .map_bytes = 16 << 20};
    int rc = store_lmdb_open(&table, &options, why);
    if (rc < 0)
        fprintf(stderr, "%s\n", why);
    return rc < 0 ? NULL : table;
}

static void
write_one(void *arg)
{
    struct store_table *table = arg;
    int rc = table->ops->disk->persist(table, bytes_borrow("note", 4));
    if (rc < 0 && world.rc == 0)
        world.rc = rc;
    world.writing = false;
}

static void
settle(struct store_table *table)
{
    skein_scope_join(&world.scope);
    write_one(table);
}

static void
disturb(struct store_table *table, uint64_t random)
{
    if (random % 4 != 0) {
        skein_yield();
        return;
    }
    if (world.writing) {
        skein_scope_join(&world.scope);
        return;
    }
    world.writing = true;
    if (skein_spawn(&world.scope, "persist", write_one, table, SKEIN_STACK_LARGE) < 0)
        abort();
    skein_yield();
}

static int
run(void *arg)
{
    const struct table_suite_factory factory = {
        .name = "lmdb", .open = open_lmdb, .disturb = disturb, .settle = settle};
    skein_scope_init(&world.scope);
    int status = table_suite_run(&factory);
    skein_scope_join(&world.scope);
    if (world.rc < 0)
        fprintf(stderr, "persist: %d\n", world.rc);
    return status || world.rc < 0 ? 1 : 0;
}

int
main(void)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES], command[300];
    const char *top = getenv("TMPDIR");
    int result = 1;
    options.shard_count = 1;
    options.pin = false;
    snprintf(world.dir, sizeof(world.dir), "%s/skein-lmdb-XXXXXX", top ? top : "/tmp");
    if (!mkdtemp(world.dir))
        return 1;
    int rc = skein_runtime_run(&options, run, NULL, &result, why);
    if (rc < 0)
        fprintf(stderr, "%s\n", why);
    snprintf(command, sizeof(command), "rm -rf '%s'", world.dir);
    if (system(command) != 0)
        result = 1;
    return rc < 0 ? 1 : result;
}
