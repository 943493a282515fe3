/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a checkpoint that comes from a peer is installed byte for byte or refused; what came before
 * an interruption is gone on with when, and only when, it is the same file: after a restart, with a
 * torn or damaged end, in pieces of any size.
 */
#include "disk/disk_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "disk/checkpoint_block.h"
#include "skein/error.h"
#include "skein/file.h"

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

/* A file as the leader has it. */
struct source {
    uint8_t *data;
    size_t bytes;
    struct checkpoint_identity identity;
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

static struct source
source_make(const struct checkpoint_info *what, size_t content_bytes, uint8_t salt)
{
    struct source source = {0};
    struct checkpoint_writer *writer;
    char path[512];
    uint8_t chunk[1000];
    assert_int_equal(checkpoint_create(&writer, dir, what), 0);
    for (size_t at = 0; at < content_bytes;) {
        size_t count = content_bytes - at < sizeof(chunk) ? content_bytes - at : sizeof(chunk);
        for (size_t i = 0; i < count; i++)
            chunk[i] = (uint8_t)((at + i) * 2654435761u >> 16) ^ salt;
        assert_int_equal(checkpoint_write(writer, chunk, count), 0);
        at += count;
    }
    assert_int_equal(checkpoint_commit(writer), 0);
    checkpoint_path(dir, what->snapshot.index, path, sizeof(path));
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    assert_true(handle >= 0);
    assert_int_equal(checkpoint_identify(handle, &source.identity), 0);
    skein_close(handle);
    source.data = disk_test_read(path, &source.bytes);
    assert_int_equal(source.identity.file_bytes, source.bytes);
    assert_int_equal(source.identity.index, what->snapshot.index);
    assert_int_equal(skein_file_unlink(path, 0), 0);
    return source;
}

static struct checkpoint_receiver *
begin(const struct source *source, uint64_t expected_offset)
{
    struct checkpoint_receiver *receiver;
    assert_int_equal(checkpoint_receive_begin(&receiver, dir, &source->identity), 0);
    assert_int_equal(checkpoint_receive_offset(receiver), expected_offset);
    return receiver;
}

static void
give(struct checkpoint_receiver *receiver, const struct source *source, size_t until)
{
    uint64_t at = checkpoint_receive_offset(receiver);
    assert_int_equal(checkpoint_receive(receiver, at, source->data + at, until - at), 0);
}

static void
install(struct checkpoint_receiver *receiver, const struct source *source)
{
    char path[512], why[512];
    size_t bytes;
    assert_int_equal(checkpoint_receive_commit(receiver, cluster, &info.snapshot, why), 0);
    checkpoint_path(dir, info.snapshot.index, path, sizeof(path));
    uint8_t *file = disk_test_read(path, &bytes);
    assert_int_equal(bytes, source->bytes);
    assert_memory_equal(file, source->data, bytes);
    mem_free(file);
    assert_int_equal(skein_file_unlink(path, 0), 0);
}

static size_t
names_count(void)
{
    struct skein_names names;
    assert_int_equal(skein_file_list(dir, &names), 0);
    size_t count = names.count;
    skein_names_deinit(&names);
    return count;
}

static int
refused_main(void *arg)
{
    char why[512];
    (void)arg;
    struct raft_snapshot other = info.snapshot;
    other.config.ids[2] = 4;
    struct source source = source_make(&info, 100000, 0);
    struct checkpoint_receiver *receiver = begin(&source, 0);
    assert_int_equal(checkpoint_receive(receiver, 5, source.data, 10), -SKEIN_EINVALID);
    assert_int_equal(checkpoint_receive(receiver, 0, source.data, source.bytes + 1),
                     -SKEIN_EINVALID);
    give(receiver, &source, source.bytes - 1);
    assert_int_equal(checkpoint_receive_commit(receiver, cluster, &info.snapshot, why),
                     -SKEIN_ECORRUPT);
    assert_int_equal(names_count(), 0);

    receiver = begin(&source, 0);
    give(receiver, &source, source.bytes);
    assert_int_equal(checkpoint_receive(receiver, source.bytes, source.data, 1), -SKEIN_EINVALID);
    assert_int_equal(checkpoint_receive_commit(receiver, cluster, &other, why), -SKEIN_ECORRUPT);
    assert_non_null(strstr(why, "not the one that was announced"));
    assert_int_equal(names_count(), 0);

    /* a flipped bit is seen as soon as its block is there */
    static const size_t places[] = {100, 4096, 4100, 50000, 70000, 100000};
    for (size_t i = 0; i < BASE_COUNT_OF(places); i++) {
        source.data[places[i]] ^= 1;
        receiver = begin(&source, 0);
        assert_int_equal(checkpoint_receive(receiver, 0, source.data, source.bytes),
                         -SKEIN_ECORRUPT);
        assert_int_equal(checkpoint_receive(receiver, 0, source.data, 10), -SKEIN_ECORRUPT);
        checkpoint_receive_discard(receiver);
        source.data[places[i]] ^= 1;
    }
    source.identity.chain ^= 1;
    receiver = begin(&source, 0);
    assert_int_equal(checkpoint_receive(receiver, 0, source.data, source.bytes), -SKEIN_ECORRUPT);
    checkpoint_receive_discard(receiver);
    assert_int_equal(names_count(), 0);
    mem_free(source.data);
    return 0;
}

static void
test_refused(void **state)
{
    (void)state;
    disk_test_run(refused_main, NULL);
}

static int
pieces_main(void *arg)
{
    static const size_t sizes[] = {0, 1, 4080, 65520, 65521, 262080, 600000};
    struct prng prng;
    (void)arg;
    prng_init(&prng, 3);
    for (size_t i = 0; i < BASE_COUNT_OF(sizes); i++) {
        struct source source = source_make(&info, sizes[i], 0);
        struct checkpoint_receiver *receiver = begin(&source, 0);
        while (checkpoint_receive_offset(receiver) < source.bytes) {
            uint64_t at = checkpoint_receive_offset(receiver);
            at -= prng_below(&prng, at + 1 < 9000 ? at + 1 : 9000); /* some of it is there */
            size_t left = source.bytes - (size_t)at;
            size_t count = 1 + (size_t)prng_below(&prng, left < 70000 ? left : 70000);
            assert_int_equal(checkpoint_receive(receiver, at, source.data + at, count), 0);
        }
        install(receiver, &source);
        assert_int_equal(names_count(), 0);
        mem_free(source.data);
    }
    return 0;
}

static void
test_pieces(void **state)
{
    (void)state;
    disk_test_run(pieces_main, NULL);
}

static int
resumed_main(void *arg)
{
    /* where it breaks off, and the whole blocks before that */
    static const size_t cuts[][2] = {{0, 0},           {4095, 0},       {4096, 4096},
                                     {69631, 4096},    {69632, 69632},  {300000, 266240},
                                     {704512, 704512}, {708608, 708608}};
    (void)arg;
    struct source source = source_make(&info, 700000, 0);
    assert_int_equal(source.bytes, 708608);
    for (size_t i = 0; i < BASE_COUNT_OF(cuts); i++) {
        struct checkpoint_receiver *receiver = begin(&source, 0);
        give(receiver, &source, cuts[i][0]);
        checkpoint_receive_close(receiver);
        char found[512];
        uint64_t index;
        /* a start leaves it alone */
        assert_int_equal(checkpoint_find(dir, found, sizeof(found), &index), -SKEIN_ENOTFOUND);
        receiver = begin(&source, cuts[i][1]);
        give(receiver, &source, source.bytes);
        install(receiver, &source);
        assert_int_equal(names_count(), 0);
    }
    mem_free(source.data);
    return 0;
}

static void
test_resumed(void **state)
{
    (void)state;
    disk_test_run(resumed_main, NULL);
}

/* What the power left of the part: a torn end, a block that never came to the disk, rot. */
static int
damaged_main(void *arg)
{
    char path[CHECKPOINT_PATH_BYTES];
    (void)arg;
    struct source source = source_make(&info, 700000, 0);
    assert_int_equal(checkpoint_part_path(dir, &source.identity, path), 0);
    static const struct {
        size_t at, wanted;
    } rot[] = {{10, 0}, {5000, 4096}, {69632 + 9, 69632}, {400000, 397312}, {704512 + 20, 704512}};
    for (size_t i = 0; i < BASE_COUNT_OF(rot); i++) {
        struct checkpoint_receiver *receiver = begin(&source, 0);
        give(receiver, &source, source.bytes);
        checkpoint_receive_close(receiver);
        disk_test_flip(path, rot[i].at, 4);
        receiver = begin(&source, rot[i].wanted);
        give(receiver, &source, source.bytes);
        install(receiver, &source);
    }
    struct checkpoint_receiver *receiver = begin(&source, 0);
    give(receiver, &source, source.bytes);
    checkpoint_receive_close(receiver);
    disk_test_truncate(path, 300001);
    receiver = begin(&source, 266240);
    assert_int_equal(disk_test_size(path), 266240);
    checkpoint_receive_close(receiver);
    disk_test_truncate(path, 2000000); /* zeros behind it */
    receiver = begin(&source, 266240);
    give(receiver, &source, source.bytes);
    install(receiver, &source);
    mem_free(source.data);
    return 0;
}

static void
test_damaged(void **state)
{
    (void)state;
    disk_test_run(damaged_main, NULL);
}

/* The same index and the same header, and yet another file; and another index. */
static int
other_main(void *arg)
{
    char path[CHECKPOINT_PATH_BYTES], found[512];
    uint64_t index;
    (void)arg;
    struct checkpoint_info later = info;
    later.snapshot.index = 43;
    struct source one = source_make(&info, 700000, 0), two = source_make(&info, 700000, 1),
                  three = source_make(&later, 700000, 0);
    assert_int_equal(one.identity.header_crc, two.identity.header_crc);
    assert_false(checkpoint_identity_equal(&one.identity, &two.identity));
    struct checkpoint_receiver *receiver = begin(&one, 0);
    give(receiver, &one, 300000);
    checkpoint_receive_close(receiver);
    receiver = begin(&two, 0);
    assert_int_equal(names_count(), 1); /* the other part is gone */
    give(receiver, &two, 300000);
    checkpoint_receive_close(receiver);

    /* A part whose name lies: every block fits, the whole does not. */
    assert_int_equal(checkpoint_part_path(dir, &two.identity, path), 0);
    disk_test_write(path, one.data, 266240);
    receiver = begin(&two, 266240);
    assert_int_equal(checkpoint_receive(receiver, 266240, two.data + 266240, two.bytes - 266240),
                     -SKEIN_ECORRUPT);
    checkpoint_receive_discard(receiver);
    disk_test_write(path, one.data, one.bytes);
    receiver = begin(&two, 0);
    checkpoint_receive_discard(receiver);

    /* older than a whole file: a start removes it */
    receiver = begin(&one, 0);
    give(receiver, &one, 300000);
    checkpoint_receive_close(receiver);
    checkpoint_path(dir, 42, path, sizeof(path));
    disk_test_write(path, one.data, one.bytes);
    assert_int_equal(checkpoint_find(dir, found, sizeof(found), &index), 0);
    assert_int_equal(names_count(), 1);
    /* newer: it stays, also when files are removed behind it */
    receiver = begin(&three, 0);
    give(receiver, &three, 300000);
    checkpoint_receive_close(receiver);
    assert_int_equal(checkpoint_find(dir, found, sizeof(found), &index), 0);
    assert_int_equal(index, 42);
    assert_int_equal(checkpoint_prune(dir, 1, true), 0);
    receiver = begin(&three, 266240);
    checkpoint_receive_discard(receiver);
    mem_free(one.data);
    mem_free(two.data);
    mem_free(three.data);
    return 0;
}

static void
test_other(void **state)
{
    (void)state;
    disk_test_run(other_main, NULL);
}

static int
failing_main(void *arg)
{
    (void)arg;
    struct source source = source_make(&info, 6000000, 0);
    static const enum backend_op_kind kinds[] = {BACKEND_WRITE, BACKEND_SYNC};
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        struct checkpoint_receiver *receiver = begin(&source, 0);
        *disk_test_fault() =
            (struct disk_test_fault){.kind = kinds[i], .countdown = 1, .code = -ENOSPC};
        assert_int_equal(checkpoint_receive(receiver, 0, source.data, source.bytes), -ENOSPC);
        checkpoint_receive_discard(receiver);
        assert_int_equal(names_count(), 0);
    }
    struct checkpoint_receiver *receiver;
    *disk_test_fault() =
        (struct disk_test_fault){.kind = BACKEND_READ, .countdown = 1, .code = -EIO};
    assert_int_equal(checkpoint_receive_begin(&receiver, dir, &source.identity), -EIO);
    *disk_test_fault() = (struct disk_test_fault){0};
    assert_int_equal(checkpoint_receive_begin(&receiver, "/nowhere/at/all", &source.identity),
                     -ENOENT);
    mem_free(source.data);
    return 0;
}

static void
test_failing_disk(void **state)
{
    (void)state;
    disk_test_run(failing_main, NULL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_refused), TEST(test_pieces), TEST(test_resumed),
        TEST(test_damaged), TEST(test_other),  TEST(test_failing_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
