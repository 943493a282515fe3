/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a checkpoint comes back byte for byte or is refused with the place named: every flipped
 * bit, every cut, another cluster, another version. A small file likewise.
 */
#include "disk/disk_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/prng.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/checkpoint_block.h"
#include "disk/explain.h"
#include "disk/smallfile.h"
#include "skein/error.h"

static char dir[256];
static const uint8_t cluster[16] = "a test cluster 1";
static const struct checkpoint_info info = {
    .cluster = "a test cluster 1",
    .snapshot = {.index = 42,
                 .term = 3,
                 .config = {.ids = {1, 2, 3},
                            .roles = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER},
                            .count = 3}},
    .time_ms = 1234567,
};

static int
setup(void **state)
{
    (void)state;
    disk_test_dir(dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    disk_test_remove(dir);
    return 0;
}

static uint8_t
content_byte(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 16);
}

static void
checkpoint_make(size_t bytes)
{
    struct checkpoint_writer *writer;
    uint8_t chunk[1000];
    assert_int_equal(checkpoint_create(&writer, dir, &info), 0);
    for (size_t at = 0; at < bytes;) {
        size_t count = bytes - at < sizeof(chunk) ? bytes - at : sizeof(chunk);
        for (size_t i = 0; i < count; i++)
            chunk[i] = content_byte(at + i);
        assert_int_equal(checkpoint_write(writer, chunk, count), 0);
        at += count;
    }
    assert_int_equal(checkpoint_commit(writer), 0);
}

/* 0 and everything right, or the code with which it was refused. */
static int
checkpoint_try(const char *path, size_t bytes, char why[512])
{
    struct checkpoint_reader *reader;
    struct checkpoint_info found;
    int rc = checkpoint_open(&reader, path, cluster, &found, why);
    if (rc < 0)
        return rc;
    assert_int_equal(found.snapshot.index, 42);
    assert_int_equal(found.snapshot.term, 3);
    assert_int_equal(found.snapshot.config.count, 3);
    assert_int_equal(found.time_ms, 1234567);
    uint8_t chunk[777];
    for (size_t at = 0; at < bytes && rc == 0;) {
        size_t count = bytes - at < sizeof(chunk) ? bytes - at : sizeof(chunk);
        rc = checkpoint_read(reader, chunk, count);
        for (size_t i = 0; i < count && rc == 0; i++)
            assert_int_equal(chunk[i], content_byte(at + i));
        at += count;
    }
    if (rc == 0)
        rc = checkpoint_finish(reader);
    snprintf(why, 512, "%s", checkpoint_reader_why(reader));
    checkpoint_close(reader);
    return rc;
}

/* The header of a configuration that is more than voters, and of one that is not. */
static void
test_header(void **state)
{
    (void)state;
    uint8_t unit[CHECKPOINT_UNIT_BYTES];
    struct checkpoint_info joint = info;
    struct checkpoint_info found;
    uint32_t seed;
    uint32_t version;
    checkpoint_header_encode(unit, &info);
    assert_int_equal(checkpoint_header_decode(unit, &found, &seed, &version), 0);
    assert_int_equal(version, CHECKPOINT_FORMAT_VERSION_PLAIN);
    joint.snapshot.config.roles[0] = RAFT_OUTGOING | RAFT_LEARNER_NEXT;
    joint.snapshot.config.auto_leave = true;
    memcpy(joint.note, "noted", joint.note_bytes = 5);
    checkpoint_header_encode(unit, &joint);
    assert_int_equal(checkpoint_header_decode(unit, &found, &seed, &version), 0);
    assert_int_equal(version, CHECKPOINT_FORMAT_VERSION);
    assert_true(raft_config_equal(&found.snapshot.config, &joint.snapshot.config));
    assert_int_equal(found.note_bytes, 5);
    assert_memory_equal(found.note, "noted", 5);
    const unsigned places[] = {56, 63, 320}; /* too many; a note too long; a role that is none */
    for (unsigned i = 0; i < 3; i++) {
        unsigned at = places[i];
        uint8_t was = unit[at];
        unit[at] = 0xff;
        wire_store(unit, crc32c(0, unit + 4, sizeof(unit) - 4), 4);
        assert_int_equal(checkpoint_header_decode(unit, &found, &seed, &version), -SKEIN_ECORRUPT);
        unit[at] = was;
    }
}

static int
refused_main(void *arg)
{
    char path[512];
    char why[512];
    size_t bytes;
    struct checkpoint_reader *reader;
    struct checkpoint_info found;
    (void)arg;
    checkpoint_make(5000);
    checkpoint_path(dir, 42, path, sizeof(path));
    assert_int_equal(
        checkpoint_open(&reader, path, (const uint8_t *)"another cluster!", &found, why),
        -SKEIN_EIDENTITY);
    assert_non_null(strstr(why, "belongs to another cluster"));
    uint8_t *file = disk_test_read(path, &bytes);
    disk_test_truncate(path, bytes - 4096);
    assert_int_equal(checkpoint_try(path, 5000, why), -SKEIN_ECORRUPT);
    disk_test_truncate(path, 100);
    assert_int_equal(checkpoint_try(path, 5000, why), -SKEIN_ECORRUPT);
    disk_test_truncate(path, 0);
    assert_int_equal(checkpoint_try(path, 5000, why), -SKEIN_ECORRUPT);
    uint8_t *longer = mem_zalloc(bytes + 1);
    memcpy(longer, file, bytes);
    disk_test_write(path, longer, bytes + 1);
    assert_int_equal(checkpoint_try(path, 5000, why), -SKEIN_ECORRUPT);
    assert_non_null(strstr(why, "behind the footer"));
    file[12] = 9;
    uint32_t crc = crc32c(0, file + 4, 4092);
    wire_store(file, crc, 4);
    disk_test_write(path, file, bytes);
    assert_int_equal(checkpoint_try(path, 5000, why), -SKEIN_EFORMAT);
    assert_non_null(strstr(why, "format version 9"));
    mem_free(file);
    mem_free(longer);
    assert_int_equal(checkpoint_try("/nowhere/at/all", 1, why), -ENOENT);
    return 0;
}

static void
test_refused(void **state)
{
    (void)state;
    disk_test_run(refused_main, NULL);
}

static int
flips_main(void *arg)
{
    char path[512];
    char why[512];
    size_t bytes;
    struct prng prng;
    (void)arg;
    prng_init(&prng, 7);
    checkpoint_make(200000);
    checkpoint_path(dir, 42, path, sizeof(path));
    uint8_t *file = disk_test_read(path, &bytes);
    for (int i = 0; i < 1000; i++) {
        uint64_t at = prng_below(&prng, bytes);
        uint8_t mask = (uint8_t)(1u << prng_below(&prng, 8));
        disk_test_flip(path, at, mask);
        assert_int_equal(checkpoint_try(path, 200000, why), -SKEIN_ECORRUPT);
        assert_non_null(strstr(why, path));
        assert_non_null(strstr(why, "damaged at byte "));
        disk_test_flip(path, at, mask);
    }
    assert_int_equal(checkpoint_try(path, 200000, why), 0);
    mem_free(file);
    return 0;
}

static void
test_flips(void **state)
{
    (void)state;
    disk_test_run(flips_main, NULL);
}

static int
sizes_main(void *arg)
{
    static const size_t sizes[] = {0,     1,      4080,   4081,   65519,  65520,
                                   65521, 262079, 262080, 262081, 327600, 3000000};
    char path[512];
    char why[512];
    (void)arg;
    checkpoint_path(dir, 42, path, sizeof(path));
    for (size_t i = 0; i < BASE_COUNT_OF(sizes); i++) {
        checkpoint_make(sizes[i]);
        assert_int_equal(checkpoint_try(path, sizes[i], why), 0);
        if (sizes[i] > 0)
            assert_int_equal(checkpoint_try(path, sizes[i] - 1, why), -SKEIN_ECORRUPT);
        assert_true(checkpoint_try(path, sizes[i] + 1, why) < 0);
    }
    return 0;
}

static void
test_sizes(void **state)
{
    (void)state;
    disk_test_run(sizes_main, NULL);
}

static int
directory_main(void *arg)
{
    char path[512];
    char found[512];
    uint64_t index = 0;
    struct checkpoint_writer *writer;
    (void)arg;
    assert_int_equal(checkpoint_find(dir, found, sizeof(found), &index), -SKEIN_ENOTFOUND);
    struct checkpoint_info later = info;
    later.snapshot.index = 43;
    checkpoint_make(10);
    assert_int_equal(checkpoint_create(&writer, dir, &later), 0);
    assert_int_equal(checkpoint_commit(writer), 0);
    later.snapshot.index = 44;
    assert_int_equal(checkpoint_create(&writer, dir, &later), 0);
    checkpoint_abort(writer);
    snprintf(path, sizeof(path), "%s/checkpoint-00000000000000000045.skc.tmp", dir);
    disk_test_write(path, "x", 1);
    snprintf(path, sizeof(path), "%s/checkpoint-99999999999999999999.skc", dir);
    disk_test_write(path, "x", 1); /* no index is as large: another file */
    assert_int_equal(checkpoint_find(dir, found, sizeof(found), &index), 0);
    assert_int_equal(index, 43);
    checkpoint_path(dir, 43, path, sizeof(path));
    assert_string_equal(found, path);
    assert_int_equal(checkpoint_prune(dir, 1, true), 0);
    struct skein_stat stat;
    checkpoint_path(dir, 42, path, sizeof(path));
    assert_int_equal(skein_file_stat(path, &stat), -ENOENT);
    checkpoint_path(dir, 43, path, sizeof(path));
    assert_int_equal(skein_file_stat(path, &stat), 0);
    return 0;
}

static void
test_directory(void **state)
{
    (void)state;
    disk_test_run(directory_main, NULL);
}

static int
kept_main(void *arg)
{
    char path[512];
    struct skein_stat stat;
    struct checkpoint_writer *writer;
    struct checkpoint_info one = info;
    (void)arg;
    for (uint64_t index = 1; index <= 12; index++) {
        one.snapshot.index = index;
        assert_int_equal(checkpoint_create(&writer, dir, &one), 0);
        assert_int_equal(checkpoint_commit(writer), 0);
    }
    static const uint32_t keeps[] = {12, 11, 3, 1, 0};
    for (size_t i = 0; i < BASE_COUNT_OF(keeps); i++) {
        uint64_t oldest = keeps[i] ? 13 - keeps[i] : 12;
        assert_int_equal(checkpoint_prune(dir, keeps[i], i % 2 == 0), 0);
        for (uint64_t index = 1; index <= 12; index++) {
            checkpoint_path(dir, index, path, sizeof(path));
            assert_int_equal(skein_file_stat(path, &stat), index < oldest ? -ENOENT : 0);
        }
    }
    return 0;
}

static void
test_kept(void **state)
{
    (void)state;
    disk_test_run(kept_main, NULL);
}

static int
failing_main(void *arg)
{
    struct checkpoint_writer *writer;
    char chunk[1000] = {0};
    uint64_t index;
    char found[512];
    static const enum backend_op_kind kinds[] = {BACKEND_WRITE, BACKEND_SYNC, BACKEND_RENAME};
    (void)arg;
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        assert_int_equal(checkpoint_create(&writer, dir, &info), 0);
        *disk_test_fault() =
            (struct disk_test_fault){.kind = kinds[i], .countdown = 1, .code = -ENOSPC};
        for (int j = 0; j < 1000; j++) {
            int rc = checkpoint_write(writer, chunk, sizeof(chunk));
            assert_true(rc == 0 || rc == -ENOSPC);
        }
        assert_int_equal(checkpoint_commit(writer), -ENOSPC);
        assert_int_equal(checkpoint_find(dir, found, sizeof(found), &index), -SKEIN_ENOTFOUND);
    }
    return 0;
}

static void
test_failing_disk(void **state)
{
    (void)state;
    disk_test_run(failing_main, NULL);
}

static int
smallfile_main(void *arg)
{
    char path[512];
    char why[512];
    struct bytes data = {0};
    (void)arg;
    snprintf(path, sizeof(path), "%s/thing", dir);
    assert_int_equal(smallfile_read(dir, "thing", "A THING!", 1, 100, &data, why), -ENOENT);
    assert_int_equal(smallfile_write(dir, "thing", "A THING!", 1, "hello", 5), 0);
    assert_int_equal(smallfile_read(dir, "thing", "A THING!", 1, 100, &data, why), 0);
    assert_int_equal(data.count, 5);
    assert_memory_equal(data.data, "hello", 5);
    bytes_unref(&data);
    assert_int_equal(smallfile_read(dir, "thing", "A THING!", 2, 100, &data, why), -SKEIN_EFORMAT);
    assert_int_equal(smallfile_read(dir, "thing", "SOMETHIN", 1, 100, &data, why), -SKEIN_ECORRUPT);
    assert_int_equal(smallfile_read(dir, "thing", "A THING!", 1, 4, &data, why), -SKEIN_ECORRUPT);
    for (uint64_t bit = 0; bit < 25 * 8; bit++) {
        disk_test_flip(path, bit / 8, (uint8_t)(1u << bit % 8));
        assert_int_equal(smallfile_read(dir, "thing", "A THING!", 1, 100, &data, why),
                         -SKEIN_ECORRUPT);
        assert_non_null(strstr(why, path));
        disk_test_flip(path, bit / 8, (uint8_t)(1u << bit % 8));
    }
    *disk_test_fault() =
        (struct disk_test_fault){.kind = BACKEND_SYNC, .countdown = 1, .code = -EIO};
    assert_int_equal(smallfile_write(dir, "thing", "A THING!", 1, "other", 5), -EIO);
    assert_int_equal(smallfile_read(dir, "thing", "A THING!", 1, 100, &data, why), 0);
    assert_memory_equal(data.data, "hello", 5);
    bytes_unref(&data);
    assert_int_equal(smallfile_write("/proc/nowhere", "x", "A THING!", 1, "x", 1), -ENOENT);
    return 0;
}

static void
test_smallfile(void **state)
{
    (void)state;
    disk_test_run(smallfile_main, NULL);
}

static void
test_explain(void **state)
{
    char why[512];
    static const int codes[] = {-ENOSPC, -EROFS,       -EACCES, -ENOTDIR,
                                -EBUSY,  -SKEIN_EBUSY, -EIO,    -12345};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(codes); i++) {
        assert_int_equal(disk_explain(codes[i], "cannot open", "/some/path", why), codes[i]);
        assert_non_null(strstr(why, "cannot open /some/path: "));
        assert_null(strchr(why, '\n'));
    }
    disk_explain(-EROFS, "cannot open", "/some/path", why);
    assert_non_null(strstr(why, "remount it writable"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        TEST(test_refused),
        TEST(test_flips),
        TEST(test_sizes),
        TEST(test_directory),
        TEST(test_kept),
        TEST(test_failing_disk),
        TEST(test_smallfile),
        TEST(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
