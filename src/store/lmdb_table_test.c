/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what the suite of tables cannot see of the one on disk: what is there after a crash, what
 * damage and a full disk do, and that loads, clears and long keys leave nothing behind. */
#include "store/lmdb_table.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/runtime.h"

#define MIB ((uint64_t)1 << 20)

/* One program, one thread: its own. */
static char top[256];
static unsigned dir_count;

static void
new_dir(char out_path[300])
{
    snprintf(out_path, 300, "%s/%u", top, dir_count++);
}

static struct store_table *
open_with(const char *dir, uint64_t map_bytes)
{
    char why[512] = "";
    struct store_table *table = NULL;
    const struct store_lmdb_options options = {
        .dir = dir, .map_bytes = map_bytes, .memory_bytes_max = MIB};
    int rc = store_lmdb_open(&table, &options, why);
    if (rc < 0)
        print_message("%s\n", why);
    assert_int_equal(rc, 0);
    return table;
}

static int
persist(struct store_table *table, const char *note)
{
    return table->ops->disk->persist(table, bytes_borrow(note, strlen(note)));
}

static int
put(struct store_table *table, const char *key, const char *value)
{
    return table->ops->put(table, key, strlen(key), bytes_borrow(value, strlen(value)));
}

static void
expect(struct store_table *table, const char *key, const char *value)
{
    struct bytes got = {0};
    int rc = table->ops->get(table, key, strlen(key), &got);
    assert_int_equal(rc, value ? 0 : -SKEIN_ENOTFOUND);
    if (!value)
        return;
    assert_int_equal(got.count, strlen(value));
    assert_memory_equal(got.data, value, got.count);
    bytes_unref(&got);
}

static void
expect_note(struct store_table *table, const char *note)
{
    struct bytes got = {0};
    int rc = table->ops->disk->note(table, &got);
    assert_int_equal(rc, note ? 0 : -SKEIN_ENOTFOUND);
    if (!note)
        return;
    assert_int_equal(got.count, strlen(note));
    assert_memory_equal(got.data, note, got.count);
    bytes_unref(&got);
}

static uint64_t
key_count(struct store_table *table)
{
    struct store_stats stats;
    table->ops->stats(table, &stats);
    return stats.key_count;
}

/* How many entries a cursor over everything gives, in order; or its code. */
static int64_t
walk(struct store_table *table)
{
    struct store_cursor *cursor = table->ops->cursor_open(table, NULL, NULL, 0);
    struct bytes key, value;
    uint8_t *last = mem_alloc(STORE_KEY_BYTES_MAX);
    size_t last_bytes = 0;
    int64_t count = 0;
    int rc;
    while ((rc = table->ops->cursor_next(cursor, &key, &value)) == 0) {
        size_t common = key.count < last_bytes ? key.count : last_bytes;
        int order = common ? memcmp(last, key.data, common) : 0;
        assert_true(count == 0 || order < 0 || (order == 0 && last_bytes < key.count));
        memcpy(last, key.data, key.count);
        last_bytes = key.count;
        count++;
    }
    table->ops->cursor_close(cursor);
    mem_free(last);
    return rc == -SKEIN_ENOTFOUND ? count : rc;
}

static void
fill(struct store_table *table, uint32_t from, uint32_t to)
{
    uint8_t value[100];
    char key[32];
    memset(value, 'v', sizeof(value));
    for (uint32_t i = from; i < to; i++) {
        int bytes = snprintf(key, sizeof(key), "key:%u", i * 2654435761u);
        struct bytes view = bytes_borrow(value, sizeof(value));
        assert_int_equal(table->ops->put(table, key, (size_t)bytes, view), 0);
    }
}

static void
test_only_what_was_persisted_is_there(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    expect_note(table, NULL);
    assert_int_equal(put(table, "a", "1"), 0);
    table->ops->close(table);

    table = open_with(dir, 0);
    expect(table, "a", NULL);
    assert_int_equal(put(table, "a", "1"), 0);
    assert_int_equal(put(table, "b", "1"), 0);
    assert_int_equal(persist(table, "first"), 0);
    assert_int_equal(put(table, "a", "2"), 0);
    assert_int_equal(table->ops->remove(table, "b", 1), 0);
    table->ops->close(table);

    table = open_with(dir, 0);
    expect_note(table, "first");
    expect(table, "a", "1");
    expect(table, "b", "1");
    assert_int_equal(table->ops->remove(table, "b", 1), 0);
    assert_int_equal(persist(table, "second"), 0);
    assert_int_equal(persist(table, ""), 0);
    table->ops->close(table);

    table = open_with(dir, 0);
    expect_note(table, "");
    expect(table, "a", "1");
    expect(table, "b", NULL);
    assert_int_equal(key_count(table), 1);
    table->ops->close(table);
}

static void
test_clear_and_load(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    struct store_stats stats;
    fill(table, 0, 1000);
    assert_int_equal(persist(table, "old"), 0);
    for (int round = 0; round < 2; round++) {
        table->ops->clear(table);
        for (uint32_t i = 0; i < 60000; i += 100) {
            fill(table, i, i + 100);
            assert_true(table->ops->disk->relieve(table) >= 0);
            table->ops->stats(table, &stats);
            assert_true(stats.memory_bytes < 2 * MIB);
        }
        assert_int_equal(key_count(table), 60000);
        assert_int_equal(walk(table), 60000);
        if (round == 1)
            break;
        /* It dies before the load is persisted: the old state. */
        table->ops->close(table);
        table = open_with(dir, 0);
        expect_note(table, "old");
        assert_int_equal(walk(table), 1000);
    }
    assert_int_equal(persist(table, "new"), 0);
    table->ops->close(table);
    table = open_with(dir, 0);
    expect_note(table, "new");
    assert_int_equal(key_count(table), 60000);
    assert_int_equal(walk(table), 60000);
    table->ops->close(table);
}

/* Clearing again and again takes the room of what was cleared. */
static void
test_cleared_room_is_used_again(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    struct store_disk_stats first, last;
    char key[1200];
    memset(key, 'k', sizeof(key));
    for (int round = 0; round < 12; round++) {
        fill(table, 0, 20000);
        for (uint32_t i = 0; i < 100; i++) {
            memcpy(key + 1100, &i, 4);
            assert_int_equal(table->ops->put(table, key, sizeof(key), bytes_borrow("v", 1)), 0);
        }
        assert_int_equal(persist(table, "full"), 0);
        table->ops->disk->stats(table, round < 4 ? &first : &last);
        table->ops->clear(table);
        assert_int_equal(persist(table, "empty"), 0);
        assert_int_equal(walk(table), 0);
    }
    assert_true(last.file_bytes <= first.file_bytes * 5 / 4);
    table->ops->close(table);
}

/* Keys that differ behind 511 bytes, and are the beginnings of one another, in random order. */
static void
test_long_keys(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    uint8_t *key = mem_alloc(STORE_KEY_BYTES_MAX);
    struct prng prng;
    struct bytes value;
    size_t steps[] = {479, 480, 481, 511, 512, 960, 961, 1440, 5000, STORE_KEY_BYTES_MAX};
    memset(key, 'k', STORE_KEY_BYTES_MAX);
    prng_init(&prng, 1);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 3000; i++) {
            size_t count = steps[prng_below(&prng, BASE_COUNT_OF(steps))];
            key[count - 1] = (uint8_t)prng_below(&prng, 200);
            assert_int_equal(table->ops->put(table, key, count, bytes_borrow("v", 1)), 0);
            key[count - 1] = 'k';
        }
        assert_int_equal(persist(table, "n"), 0);
        assert_int_equal(walk(table), key_count(table));
    }
    table->ops->close(table);
    table = open_with(dir, 0);
    assert_int_equal(walk(table), key_count(table));
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++)
        for (uint32_t last = 0; last < 200; last++) {
            key[steps[i] - 1] = (uint8_t)last;
            int rc = table->ops->get(table, key, steps[i], &value);
            assert_true(rc == 0 || rc == -SKEIN_ENOTFOUND);
            bytes_unref(&value);
            assert_int_equal(table->ops->remove(table, key, steps[i]), rc);
            key[steps[i] - 1] = 'k';
        }
    assert_int_equal(persist(table, "none"), 0);
    assert_int_equal(key_count(table), 0);
    assert_int_equal(walk(table), 0);
    table->ops->close(table);
    mem_free(key);
}

static void
test_map_grows(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 16 * MIB);
    struct store_disk_stats stats;
    fill(table, 0, 120000);
    assert_int_equal(persist(table, "n"), 0);
    table->ops->disk->stats(table, &stats);
    assert_true(stats.file_bytes > 16 * MIB);
    assert_int_equal(walk(table), 120000);

    /* It cannot while a snapshot is held: that is said, and holds. What was acknowledged stays. */
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    fill(table, 120000, 400000);
    assert_int_equal(persist(table, "m"), -ENOSPC);
    assert_int_equal(key_count(table), 400000);
    assert_int_equal(walk(table), 400000);
    table->ops->snapshot_release(snapshot);
    assert_int_equal(persist(table, "m"), -ENOSPC);
    table->ops->close(table);
    table = open_with(dir, 0);
    expect_note(table, "n");
    assert_int_equal(walk(table), 120000);
    table->ops->close(table);
}

/* A write that fails: as on a full disk. */
static void
test_failed_write_is_for_good(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    struct rlimit before, small;
    fill(table, 0, 1000);
    assert_int_equal(persist(table, "n"), 0);
    fill(table, 1000, 40000);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int rc = persist(table, "m");
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(rc == -EFBIG || rc == -EIO); /* LMDB says of a short write: EIO */
    assert_int_equal(persist(table, "m"), rc);
    assert_int_equal(walk(table), 40000);
    table->ops->close(table);
    table = open_with(dir, 0);
    expect_note(table, "n");
    assert_int_equal(walk(table), 1000);
    table->ops->close(table);
}

static void
change_file(const char *dir, const char *find, bool cut)
{
    char path[400];
    struct stat stat_now;
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &stat_now), 0);
    if (cut) {
        assert_int_equal(ftruncate(fileno(file), stat_now.st_size / 2), 0);
        fclose(file);
        return;
    }
    uint8_t *data = mem_alloc((size_t)stat_now.st_size);
    assert_int_equal(fread(data, 1, (size_t)stat_now.st_size, file), stat_now.st_size);
    uint8_t *at = memmem(data, (size_t)stat_now.st_size, find, strlen(find));
    assert_non_null(at);
    while (at) {
        fseek(file, at - data, SEEK_SET);
        fputc(*at ^ 4, file);
        at = memmem(at + 1, (size_t)(data + stat_now.st_size - at - 1), find, strlen(find));
    }
    fclose(file);
    mem_free(data);
}

static void
test_damage(void **state)
{
    static const char *const finds[] = {"the-value", "the-key"};
    for (size_t i = 0; i < BASE_COUNT_OF(finds); i++) {
        char dir[300];
        new_dir(dir);
        struct store_table *table = open_with(dir, 0);
        struct bytes value;
        assert_int_equal(put(table, "the-key", "the-value"), 0);
        assert_int_equal(put(table, "other", "one"), 0);
        assert_int_equal(persist(table, "n"), 0);
        table->ops->close(table);
        change_file(dir, finds[i], false);
        table = open_with(dir, 0);
        int rc = table->ops->get(table, "the-key", 7, &value);
        /* A key that is damaged is not found; whoever walks over everything notices. */
        assert_int_equal(rc, i == 0 ? -SKEIN_ECORRUPT : -SKEIN_ENOTFOUND);
        assert_int_equal(walk(table), -SKEIN_ECORRUPT);
        expect(table, "other", "one");
        table->ops->close(table);
    }
}

static void
test_bad_files_are_refused(void **state)
{
    char dir[300], path[400], why[512] = "";
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    fill(table, 0, 10000);
    assert_int_equal(persist(table, "n"), 0);
    table->ops->close(table);
    change_file(dir, "", true);
    const struct store_lmdb_options options = {.dir = dir};
    assert_int_equal(store_lmdb_open(&table, &options, why), -SKEIN_ECORRUPT);
    assert_non_null(strstr(why, dir));

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 10000; i++)
        fputs("no table", file);
    fclose(file);
    why[0] = '\0';
    assert_int_equal(store_lmdb_open(&table, &options, why), -SKEIN_ECORRUPT);
    assert_non_null(strstr(why, dir));

    const struct store_lmdb_options nowhere = {.dir = "/proc/none"};
    assert_true(store_lmdb_open(&table, &nowhere, why) < 0);
    assert_non_null(strstr(why, "/proc/none"));
}

static void
test_no_memory(void **state)
{
    char dir[300];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    struct bytes value;
    fill(table, 0, 10);
    assert_int_equal(put(table, "a", "1"), 0);
    assert_int_equal(persist(table, "n"), 0);
    mem_fail_at(1);
    assert_int_equal(table->ops->get(table, "a", 1, &value), -SKEIN_ENOMEM);
    mem_fail_at(1);
    assert_int_equal(put(table, "a", "2"), -SKEIN_ENOMEM);
    mem_fail_at(1);
    assert_int_equal(table->ops->remove(table, "a", 1), -SKEIN_ENOMEM);
    mem_fail_at(0);
    expect(table, "a", "1");
    assert_int_equal(key_count(table), 11);
    table->ops->close(table);
}

/* Reading ahead changes nothing, and goes to the disk only for what is not in memory anyway. */
static void
test_warming(void **state)
{
    char dir[300], far[2000];
    new_dir(dir);
    struct store_table *table = open_with(dir, 0);
    struct store_disk_stats stats;
    memset(far, 'f', sizeof(far));
    const struct bytes keys[] = {bytes_borrow("a", 1), bytes_borrow("none", 4),
                                 bytes_borrow(far, sizeof(far)), bytes_borrow("above", 5)};
    table->ops->disk->warm(table, keys, BASE_COUNT_OF(keys));
    table->ops->disk->warm_from(table, keys[0], MIB);
    assert_int_equal(put(table, "a", "1"), 0);
    assert_int_equal(table->ops->put(table, far, sizeof(far), bytes_borrow("2", 1)), 0);
    fill(table, 0, 20000);
    assert_int_equal(persist(table, "n"), 0);
    assert_int_equal(put(table, "above", "3"), 0);
    table->ops->disk->warm(table, keys, BASE_COUNT_OF(keys));
    table->ops->disk->warm_from(table, keys[0], MIB);
    table->ops->disk->stats(table, &stats);
    assert_int_equal(stats.warm_total, 3);
    assert_int_equal(walk(table), 20003);
    table->ops->close(table);
}

struct warmer {
    struct store_table *table;
    bool over;
    uint64_t times;
};

static void
warm_on(void *arg)
{
    struct warmer *warmer = arg;
    size_t count = 20000; /* some milliseconds of it */
    struct bytes *keys = mem_alloc(count * sizeof(keys[0]));
    for (size_t i = 0; i < count; i++)
        keys[i] = bytes_borrow("nothing that is there", 21);
    while (!warmer->over) {
        warmer->table->ops->disk->warm(warmer->table, keys, count);
        warmer->times++;
        skein_yield();
    }
    mem_free(keys);
}

/* The map moves when nobody reads in it, a helper neither. */
static void
test_map_grows_while_it_is_read(void **state)
{
    char dir[300];
    struct skein_scope scope;
    struct store_disk_stats stats;
    new_dir(dir);
    struct store_table *table = open_with(dir, 16 * MIB);
    struct warmer warmer = {.table = table};
    fill(table, 0, 1000);
    assert_int_equal(persist(table, "n"), 0);
    fill(table, 1000, 120000);
    skein_scope_init(&scope);
    assert_int_equal(skein_spawn(&scope, "warmer", warm_on, &warmer, SKEIN_STACK_SMALL), 0);
    assert_int_equal(persist(table, "m"), 0);
    warmer.over = true;
    skein_scope_join(&scope);
    table->ops->disk->stats(table, &stats);
    assert_true(stats.file_bytes > 16 * MIB);
    assert_true(warmer.times > 1);
    assert_int_equal(walk(table), 120000);
    table->ops->close(table);
}

static int
run(void *arg)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_failed_write_is_for_good),
        cmocka_unit_test(test_map_grows),
        cmocka_unit_test(test_map_grows_while_it_is_read),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_only_what_was_persisted_is_there),
        cmocka_unit_test(test_warming),
        cmocka_unit_test(test_clear_and_load),
        cmocka_unit_test(test_cleared_room_is_used_again),
        cmocka_unit_test(test_long_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES], command[300];
    const char *parent = getenv("TMPDIR");
    int result = 1;
    options.shard_count = 1;
    options.pin = false;
    snprintf(top, sizeof(top), "%s/skein-lmdb-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(top))
        return 1;
    int rc = skein_runtime_run(&options, run, NULL, &result, why);
    if (rc < 0)
        fprintf(stderr, "%s\n", why);
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    if (system(command) != 0)
        result = 1;
    return rc < 0 ? 1 : result;
}
