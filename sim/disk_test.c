/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the simulated disk loses exactly what POSIX lets it lose: unsynced blocks each on its own,
 * unsynced names, what a failed sync covered; and never anything that was synced.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sim/disk.h"

#define SEED_COUNT 200
#define FILE_BLOCKS 8

static struct sim_inode *
must_open(struct sim_disk *disk, const char *path, uint32_t flags)
{
    struct sim_inode *inode = NULL;
    assert_int_equal(sim_disk_lookup(disk, path, flags, &inode), 0);
    return inode;
}

static void
put(struct sim_disk *disk, struct sim_inode *inode, uint64_t block, char fill, bool dsync)
{
    uint8_t data[SIM_BLOCK_BYTES];
    memset(data, fill, sizeof(data));
    struct iovec iov = {data, sizeof(data)};
    assert_int_equal(sim_disk_write(disk, inode, &iov, 1, block * SIM_BLOCK_BYTES,
                                    dsync ? SKEIN_FILE_DSYNC : 0, 1000),
                     SIM_BLOCK_BYTES);
}

/* The first byte of a block; -1: behind the end. */
static int
get(struct sim_disk *disk, struct sim_inode *inode, uint64_t block)
{
    uint8_t byte;
    struct iovec iov = {&byte, 1};
    int64_t n = sim_disk_read(disk, inode, &iov, 1, block * SIM_BLOCK_BYTES);
    return n == 1 ? byte : -1;
}

static void
sync_path(struct sim_disk *disk, const char *path)
{
    struct sim_inode *inode = must_open(disk, path, SKEIN_FILE_DIRECTORY);
    sim_disk_sync(disk, inode, sim_disk_stamp(disk));
    sim_disk_release(disk, inode, false);
}

static void
bad_paths_are_refused(void **state)
{
    struct sim_world world;
    sim_world_open(&world, 1, NULL);
    struct sim_disk *disk = sim_disk_open(&world);
    struct sim_inode *inode = NULL;
    struct skein_stat stat;
    assert_int_equal(sim_disk_lookup(disk, "/a", SKEIN_FILE_RDWR, &inode), -ENOENT);
    assert_int_equal(sim_disk_lookup(disk, "/a/b", SKEIN_FILE_CREATE, &inode), -ENOENT);
    assert_int_equal(sim_disk_stat(disk, "/a", &stat), -ENOENT);
    assert_int_equal(sim_disk_unlink(disk, "/a", false), -ENOENT);
    assert_int_equal(sim_disk_rename(disk, "/a", "/b"), -ENOENT);
    assert_int_equal(sim_disk_mkdir(disk, "/d"), 0);
    assert_int_equal(sim_disk_mkdir(disk, "/d"), -EEXIST);
    assert_int_equal(sim_disk_unlink(disk, "/d", false), -EISDIR);
    inode = must_open(disk, "/d/f", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE);
    sim_disk_release(disk, inode, false);
    assert_int_equal(sim_disk_unlink(disk, "/d", true), -ENOTEMPTY);
    assert_int_equal(sim_disk_lookup(disk, "/d/f/g", SKEIN_FILE_RDWR, &inode), -ENOTDIR);
    assert_int_equal(
        sim_disk_lookup(disk, "/d/f", SKEIN_FILE_CREATE | SKEIN_FILE_EXCLUSIVE, &inode), -EEXIST);
    sim_disk_close(disk);
    sim_world_close(&world);
}

static void
unsynced_blocks_are_old_or_new_each_on_its_own(void **state)
{
    unsigned mixed_count = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct sim_world world;
        sim_world_open(&world, seed, NULL);
        struct sim_disk *disk = sim_disk_open(&world);
        struct sim_inode *file = must_open(disk, "/f", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE);
        sync_path(disk, "/");
        for (uint64_t i = 0; i < FILE_BLOCKS; i++)
            put(disk, file, i, 'o', i % 2);
        sim_disk_sync(disk, file, sim_disk_stamp(disk));
        for (uint64_t i = 0; i < FILE_BLOCKS; i++)
            put(disk, file, i, 'n', i == 0);
        sim_disk_process_died(disk, true);
        unsigned old_count = 0;
        for (uint64_t i = 0; i < FILE_BLOCKS; i++) {
            int seen = get(disk, file, i);
            assert_true(seen == 'n' || (i > 0 && seen == 'o'));
            old_count += seen == 'o';
        }
        mixed_count += old_count > 0 && old_count < FILE_BLOCKS - 1;
        sim_disk_release(disk, file, false);
        sim_disk_close(disk);
        sim_world_close(&world);
    }
    assert_true(mixed_count > SEED_COUNT / 10);
}

static void
a_sync_covers_what_was_written_before_it(void **state)
{
    unsigned lost_count = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct sim_world world;
        sim_world_open(&world, seed, NULL);
        struct sim_disk *disk = sim_disk_open(&world);
        struct sim_inode *file = must_open(disk, "/f", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE);
        sync_path(disk, "/");
        put(disk, file, 0, 'a', false);
        uint64_t stamp = sim_disk_stamp(disk);
        put(disk, file, 1, 'b', false);
        sim_disk_sync(disk, file, stamp);
        sim_disk_process_died(disk, true);
        assert_int_equal(get(disk, file, 0), seed ? 'a' : 0);
        lost_count += get(disk, file, 1) != 'b';
        sim_disk_release(disk, file, false);
        sim_disk_close(disk);
        sim_world_close(&world);
    }
    assert_true(lost_count > SEED_COUNT / 10);
}

static void
a_failed_sync_is_not_mended_by_the_next(void **state)
{
    unsigned lost_count = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct sim_world world;
        sim_world_open(&world, seed, NULL);
        struct sim_disk *disk = sim_disk_open(&world);
        struct sim_inode *file = must_open(disk, "/f", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE);
        sync_path(disk, "/");
        put(disk, file, 0, 'o', true);
        put(disk, file, 0, 'n', false);
        uint8_t direct[SIM_BLOCK_BYTES];
        memset(direct, 'd', sizeof(direct));
        struct iovec iov = {direct, sizeof(direct)};
        assert_int_equal(
            sim_disk_write(disk, file, &iov, 1, SIM_BLOCK_BYTES, SKEIN_FILE_DIRECT, 1000),
            SIM_BLOCK_BYTES);
        sim_disk_sync_failed(disk, file, sim_disk_stamp(disk));
        sim_disk_sync(disk, file, sim_disk_stamp(disk));
        sim_disk_process_died(disk, true);
        lost_count += get(disk, file, 0) == 'o';
        assert_int_equal(get(disk, file, 1), 'd');
        sim_disk_release(disk, file, false);
        sim_disk_close(disk);
        sim_world_close(&world);
    }
    assert_int_equal(lost_count, SEED_COUNT);
}

static void
names_last_from_the_directorys_sync_on(void **state)
{
    unsigned undone_count = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct sim_world world;
        struct skein_stat stat;
        sim_world_open(&world, seed, NULL);
        struct sim_disk *disk = sim_disk_open(&world);
        sim_disk_release(disk, must_open(disk, "/old", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE), false);
        sim_disk_release(disk, must_open(disk, "/keep", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE),
                         false);
        sync_path(disk, "/");
        assert_int_equal(sim_disk_rename(disk, "/old", "/new"), 0);
        sim_disk_process_died(disk, true);
        /* A rename is done or not done: one of the names, never both, never none. */
        int old_rc = sim_disk_stat(disk, "/old", &stat),
            new_rc = sim_disk_stat(disk, "/new", &stat);
        assert_true((old_rc == 0) != (new_rc == 0));
        assert_int_equal(sim_disk_stat(disk, "/keep", &stat), 0);
        undone_count += old_rc == 0;
        sim_disk_close(disk);
        sim_world_close(&world);
    }
    assert_true(undone_count > SEED_COUNT / 10 && undone_count < SEED_COUNT);
}

static void
a_full_disk_says_so_and_takes_overwrites(void **state)
{
    struct sim_world world;
    sim_world_open(&world, 1, NULL);
    struct sim_disk *disk = sim_disk_open(&world);
    struct sim_inode *file = must_open(disk, "/f", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE);
    put(disk, file, 0, 'a', true);
    sim_disk_faults(disk)->capacity_bytes = SIM_BLOCK_BYTES;
    uint8_t byte = 1;
    struct iovec iov = {&byte, 1};
    assert_int_equal(sim_disk_write(disk, file, &iov, 1, SIM_BLOCK_BYTES, 0, 1000), -ENOSPC);
    assert_int_equal(sim_disk_resize(disk, file, 3 * SIM_BLOCK_BYTES, false), -ENOSPC);
    put(disk, file, 0, 'b', true);
    assert_int_equal(get(disk, file, 0), 'b');
    sim_disk_release(disk, file, false);
    sim_disk_close(disk);
    sim_world_close(&world);
}

static void
a_flipped_bit_is_in_a_durable_block_of_a_log(void **state)
{
    struct sim_world world;
    char where[256];
    sim_world_open(&world, 1, NULL);
    struct sim_disk *disk = sim_disk_open(&world);
    assert_false(sim_disk_flip_bit(disk, where, sizeof(where)));
    struct sim_inode *file = must_open(disk, "/00000001.wal", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE);
    put(disk, file, 3, 'a', false);
    assert_false(sim_disk_flip_bit(disk, where, sizeof(where)));
    put(disk, file, 5, 'a', true);
    assert_true(sim_disk_flip_bit(disk, where, sizeof(where)));
    assert_non_null(strstr(where, "00000001.wal block 5"));
    sim_disk_release(disk, file, false);
    sim_disk_close(disk);
    sim_world_close(&world);
}

/* One block of a log holds what belongs into another one, and nothing else has changed. */
static void
a_write_goes_astray(void **state)
{
    unsigned astray = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_world world;
        char where[256];
        sim_world_open(&world, seed, NULL);
        struct sim_disk *disk = sim_disk_open(&world);
        assert_false(sim_disk_misdirect(disk, where, sizeof(where)));
        struct sim_inode *inode = must_open(disk, "/1.wal", SKEIN_FILE_CREATE | SKEIN_FILE_RDWR);
        for (uint64_t i = 0; i < FILE_BLOCKS; i++)
            put(disk, inode, i, (char)('a' + i), true);
        bool done = sim_disk_misdirect(disk, where, sizeof(where));
        unsigned changed = 0;
        for (uint64_t i = 0; i < FILE_BLOCKS; i++) {
            int is = get(disk, inode, i);
            assert_in_range(is, 'a', 'a' + FILE_BLOCKS - 1);
            changed += is != (int)('a' + i);
        }
        assert_int_equal(changed, done);
        astray += done;
        sim_disk_release(disk, inode, false);
        sim_disk_close(disk);
        sim_world_close(&world);
    }
    assert_in_range(astray, 30, 50);
}

/* Of a block that was being written some sectors are new and some old; what was synced is whole. */
static void
a_block_is_torn_by_sectors(void **state)
{
    uint64_t torn = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct sim_world world;
        uint8_t data[2 * SIM_BLOCK_BYTES];
        sim_world_open(&world, seed, NULL);
        struct sim_disk *disk = sim_disk_open(&world);
        struct sim_inode *inode = must_open(disk, "/1.wal", SKEIN_FILE_CREATE | SKEIN_FILE_RDWR);
        sync_path(disk, "/");
        put(disk, inode, 0, 'o', true);
        put(disk, inode, 1, 's', true);
        put(disk, inode, 0, 'n', false);
        sim_disk_faults(disk)->torn_per_mille = 1000;
        sim_disk_process_died(disk, true);
        struct iovec iov = {data, sizeof(data)};
        assert_int_equal(sim_disk_read(disk, inode, &iov, 1, 0), sizeof(data));
        unsigned new_count = 0;
        for (size_t i = 0; i < SIM_BLOCK_BYTES; i++) {
            assert_true(data[i] == 'n' || data[i] == 'o');
            assert_int_equal(data[i], data[i - i % SIM_SECTOR_BYTES]);
            new_count += data[i] == 'n';
            assert_int_equal(data[SIM_BLOCK_BYTES + i], 's');
        }
        bool mixed = new_count > 0 && new_count < SIM_BLOCK_BYTES;
        assert_int_equal(sim_disk_stats(disk)->torn_blocks, mixed);
        torn += mixed;
        sim_disk_release(disk, inode, false);
        sim_disk_close(disk);
        sim_world_close(&world);
    }
    assert_in_range(torn, SEED_COUNT / 5, SEED_COUNT * 9 / 10);
}

/* One sector in a hundred, of segments only. */
static void
sectors_rot(void **state)
{
    struct sim_world world;
    char where[256];
    unsigned changed = 0;
    sim_world_open(&world, 3, NULL);
    struct sim_disk *disk = sim_disk_open(&world);
    assert_false(sim_disk_rot(disk, where, sizeof(where)));
    struct sim_inode *log = must_open(disk, "/1.wal", SKEIN_FILE_CREATE | SKEIN_FILE_RDWR);
    struct sim_inode *other = must_open(disk, "/1.skc", SKEIN_FILE_CREATE | SKEIN_FILE_RDWR);
    for (uint64_t i = 0; i < 1000; i++) {
        put(disk, log, i, 'a', true);
        put(disk, other, i, 'a', true);
    }
    assert_true(sim_disk_rot(disk, where, sizeof(where)));
    for (uint64_t at = 0; at < 1000 * SIM_BLOCK_BYTES; at += SIM_SECTOR_BYTES) {
        uint8_t data[SIM_SECTOR_BYTES], as_was[SIM_SECTOR_BYTES];
        struct iovec iov = {data, sizeof(data)};
        memset(as_was, 'a', sizeof(as_was));
        assert_int_equal(sim_disk_read(disk, log, &iov, 1, at), sizeof(data));
        changed += memcmp(data, as_was, sizeof(data)) != 0;
        assert_int_equal(sim_disk_read(disk, other, &iov, 1, at), sizeof(data));
        assert_memory_equal(data, as_was, sizeof(data));
    }
    assert_in_range(changed, 50, 110);
    sim_disk_release(disk, log, false);
    sim_disk_release(disk, other, false);
    sim_disk_close(disk);
    sim_world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(unsynced_blocks_are_old_or_new_each_on_its_own),
        cmocka_unit_test(a_sync_covers_what_was_written_before_it),
        cmocka_unit_test(a_failed_sync_is_not_mended_by_the_next),
        cmocka_unit_test(names_last_from_the_directorys_sync_on),
        cmocka_unit_test(a_full_disk_says_so_and_takes_overwrites),
        cmocka_unit_test(a_flipped_bit_is_in_a_durable_block_of_a_log),
        cmocka_unit_test(a_write_goes_astray),
        cmocka_unit_test(a_block_is_torn_by_sectors),
        cmocka_unit_test(sectors_rot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
