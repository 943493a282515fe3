/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: many groups in one log: each gets back its own term, vote, start and entries and nothing of
 * another's, however their writes shared batches and segments; one durable write serves all that
 * wait; a group that is forgotten leaves nothing; there are no more groups than can be carried; and
 * a log of the version before is read as group 0.
 */
#include "disk/disk_test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "base/wire.h"
#include "disk/wal_frame.h"
#include "disk/wal_test_log.h"
#include "skein/error.h"

#define GROUPS_MAX 1100u

static char dir[256];

/* What one group was told, and its write under way. */
struct member {
    struct wal_write write;
    struct raft_hard_state hard_state;
    struct raft_snapshot snapshot;
    struct raft_entry entry;
    uint64_t start;
    uint64_t last;
    uint64_t terms[1024];
};

struct world {
    struct wal *wal;
    struct skein_scope scope;
    struct skein_waitq q;
    uint64_t pending;
    uint32_t count;
    uint64_t segment_bytes;
    struct member members[GROUPS_MAX];
};

static void
on_durable(struct wal_write *write, int status)
{
    struct world *world = write->owner;
    assert_int_equal(status, 0);
    world->pending--;
    bytes_unref(&world->members[write->group].entry.data);
    skein_wake_all(&world->q);
}

static void
wait_all(struct world *world)
{
    while (world->pending > 0)
        assert_int_equal(skein_wait(&world->q, SKEIN_NEVER), 0);
}

static void
check_group(const struct world *world, const struct wal_group_recovery *group)
{
    const struct member *member = &world->members[group->group];
    assert_int_equal(group->hard_state.term, member->hard_state.term);
    assert_int_equal(group->hard_state.vote, member->hard_state.vote);
    assert_int_equal(group->start_index, member->start);
    uint64_t last = group->start_index;
    if (group->entry_count > 0) {
        assert_in_range(group->entries[0].index, 1, member->start + 1);
        last = group->entries[group->entry_count - 1].index;
    }
    assert_int_equal(last, member->last);
    for (size_t i = 0; i < group->entry_count; i++) {
        const struct raft_entry *entry = &group->entries[i];
        uint8_t *expected = mem_alloc(entry->data.count);
        assert_int_equal(entry->term, member->terms[entry->index]);
        test_log_data(expected, entry->index + group->group, entry->term, entry->data.count);
        assert_memory_equal(entry->data.data, expected, entry->data.count);
        mem_free(expected);
    }
}

static void
world_open(struct world *world)
{
    struct wal_recovery recovery;
    char why[512] = "";
    struct wal_options options = {.dir = dir,
                                  .identity = {.cluster = "groups", .node = 1},
                                  .segment_bytes = world->segment_bytes,
                                  .queue_bytes_max = 1 << 28};
    skein_scope_init(&world->scope);
    skein_waitq_init(&world->q);
    int rc = wal_open(&world->wal, &options, &world->scope, &recovery, why);
    if (rc < 0)
        fail_msg("not opened: %s", why);
    uint32_t known = 0;
    for (uint32_t i = 0; i < world->count; i++)
        known += world->members[i].hard_state.term > 0;
    assert_int_equal(recovery.group_count, known);
    for (size_t i = 0; i < recovery.group_count; i++)
        check_group(world, &recovery.groups[i]);
    wal_recovery_deinit(&recovery);
}

static void
world_close(struct world *world)
{
    wait_all(world);
    wal_close(world->wal);
    skein_scope_join(&world->scope);
    wal_free(world->wal);
}

static struct world *
world_new(uint32_t count, uint64_t segment_bytes)
{
    struct world *world = mem_zalloc(sizeof(*world));
    world->count = count;
    world->segment_bytes = segment_bytes;
    return world;
}

static void
submit(struct world *world, uint32_t group)
{
    struct member *member = &world->members[group];
    world->pending++;
    member->write.group = group;
    member->write.sync = true;
    member->write.owner = world;
    member->write.on_durable = on_durable;
    assert_int_equal(wal_submit(world->wal, &member->write), 0);
}

/* One entry of @bytes at @index, in a later term when it overwrites. */
static void
append(struct world *world, uint32_t group, uint64_t index, uint64_t bytes)
{
    struct member *member = &world->members[group];
    if (index <= member->last || member->hard_state.term == 0)
        member->hard_state.term++;
    member->hard_state.vote = group + 5;
    struct bytes_buf *buf = bytes_new(bytes);
    test_log_data(buf->data, index + group, member->hard_state.term, bytes);
    member->entry = (struct raft_entry){
        .term = member->hard_state.term, .index = index, .data = bytes_of(buf, bytes)};
    member->write = (struct wal_write){
        .hard_state = &member->hard_state, .entries = &member->entry, .entry_count = 1};
    member->terms[index] = member->hard_state.term;
    member->last = index;
    submit(world, group);
}

static void
forget(struct world *world, uint32_t group)
{
    struct member *member = &world->members[group];
    member->write = (struct wal_write){.forget = true};
    submit(world, group);
    member->hard_state = (struct raft_hard_state){0};
    member->start = member->last = 0;
}

static void
random_step(struct world *world, struct prng *prng, uint32_t group)
{
    struct member *member = &world->members[group];
    uint64_t what = prng_below(prng, 16);
    if (what == 0 && member->last > member->start) {
        member->start = prng_range(prng, member->start + 1, member->last);
        wal_compact(world->wal, group, member->start, member->terms[member->start]);
    } else if (what == 1 && member->hard_state.term > 0) {
        forget(world, group);
    } else if (what == 2 && member->last < 200) {
        member->hard_state.term++;
        member->last = member->start = member->last + prng_range(prng, 1, 9);
        member->terms[member->last] = member->hard_state.term;
        member->snapshot =
            (struct raft_snapshot){.index = member->last, .term = member->hard_state.term};
        member->write =
            (struct wal_write){.hard_state = &member->hard_state, .snapshot = &member->snapshot};
        submit(world, group);
    } else if (what == 3 && member->last > member->start) {
        append(world, group, prng_range(prng, member->start + 1, member->last),
               prng_below(prng, 256));
    } else if (member->last < 250) {
        append(world, group, member->last + 1, prng_below(prng, 256));
    }
}

static int
random_main(void *arg)
{
    struct prng prng;
    struct world *world = world_new(40, 1 << 16);
    prng_init(&prng, *(uint64_t *)arg);
    world_open(world);
    for (int round = 0; round < 250; round++) {
        uint32_t width = (uint32_t)prng_range(&prng, 1, world->count);
        for (uint32_t i = 0; i < width; i++)
            random_step(world, &prng, i);
        wait_all(world);
        if (prng_chance(&prng, 1, 16)) {
            world_close(world);
            world_open(world);
        }
    }
    world_close(world);
    world_open(world);
    world_close(world);
    mem_free(world);
    return 0;
}

static void
test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        print_message("seed %u\n", (unsigned)seed);
        disk_test_dir(dir);
        disk_test_run(random_main, &seed);
        disk_test_remove(dir);
    }
}

/* A thousand groups that write at once share a few durable writes, and a carry of many blocks. */
static int
thousand_main(void *arg)
{
    struct world *world = world_new(1000, 1 << 20);
    struct wal_stats before, stats;
    (void)arg;
    world_open(world);
    wal_stats(world->wal, &before);
    for (uint32_t i = 0; i < world->count; i++)
        append(world, i, 1, 100);
    wait_all(world);
    wal_stats(world->wal, &stats);
    assert_in_range(stats.writes - before.writes, 1, 4);
    assert_int_equal(stats.group_count, 1000);
    for (int round = 0; round < 3; round++) {
        world_close(world);
        world_open(world);
        append(world, 77, world->members[77].last + 1, 100);
    }
    world_close(world);
    mem_free(world);
    return 0;
}

/* The keeper reads what it removes, and a writer that never pauses may be faster: it gets time. */
static struct wal_stats
caught_up(const struct world *world)
{
    struct wal_stats stats;
    wal_stats(world->wal, &stats);
    for (unsigned looks = 0; stats.segment_count > 7 && looks < 100000; looks++) {
        skein_yield();
        wal_stats(world->wal, &stats);
    }
    return stats;
}

/* One group of a thousand is busy: the others do not keep its old segments. */
static int
idle_main(void *arg)
{
    struct world *world = world_new(1000, 2 << 20);
    struct wal_stats stats;
    uint64_t segments_max = 0;
    (void)arg;
    world_open(world);
    for (uint32_t i = 1; i < world->count; i++)
        append(world, i, 1, 60);
    wait_all(world);
    for (uint64_t index = 1; index <= 600; index++) {
        append(world, 0, index, 100000);
        if (index % 30 == 0) /* now and then one of the others writes something */
            append(world, (uint32_t)index, 2, 60);
        wait_all(world);
        stats = caught_up(world);
        if (segments_max < stats.segment_count)
            segments_max = stats.segment_count;
        if (index % 20 == 0) {
            world->members[0].start = index - 10;
            wal_compact(world->wal, 0, index - 10, world->members[0].terms[index - 10]);
        }
        if (index % 200 == 0) {
            world_close(world);
            world_open(world);
        }
    }
    assert_in_range(segments_max, 4, 9);
    /* Some 150 KB of the idle ones, once in every four segments or so. */
    assert_in_range(stats.moved_bytes, 100000, 3000000);
    world_close(world);
    world_open(world);
    world_close(world);
    mem_free(world);
    return 0;
}

/* No more groups than can be carried. */
static int
limit_main(void *arg)
{
    struct world *world = world_new(GROUPS_MAX, 1 << 17);
    (void)arg;
    uint64_t limit = wal_groups_max(1 << 17);
    assert_in_range(limit, 1000, GROUPS_MAX - 1);
    assert_int_equal(wal_groups_max(8 << 20), WAL_GROUPS_MAX);
    world_open(world);
    for (uint32_t i = 0; i < limit; i++)
        append(world, i, 1, 10);
    wait_all(world);
    struct wal_write more = {.group = (uint32_t)limit, .sync = true};
    assert_int_equal(wal_submit(world->wal, &more), -SKEIN_ETOOBIG);
    forget(world, 3);
    wait_all(world);
    append(world, (uint32_t)limit, 1, 10);
    wait_all(world);
    for (uint64_t i = 2; i < 200; i++) { /* over several segments */
        append(world, 1, i, 200);
        wait_all(world);
    }
    world_close(world);
    world_open(world);
    world_close(world);
    mem_free(world);
    return 0;
}

/* So many groups that a carry is more than one batch. */
#define MANY 20000u

struct many {
    struct skein_waitq q;
    uint64_t pending;
    struct wal_write writes[MANY];
    struct raft_hard_state states[MANY];
};

static void
on_many_durable(struct wal_write *write, int status)
{
    struct many *many = write->owner;
    assert_int_equal(status, 0);
    many->pending--;
    skein_wake_all(&many->q);
}

static int
many_main(void *arg)
{
    struct many *many = mem_zalloc(sizeof(*many));
    struct wal_options options = {.dir = dir,
                                  .identity = {.cluster = "groups", .node = 1},
                                  .segment_bytes = 4 << 20,
                                  .queue_bytes_max = 1 << 28};
    (void)arg;
    for (uint64_t round = 1; round <= 3; round++) {
        struct wal *wal;
        struct skein_scope scope;
        struct wal_recovery recovery;
        char why[512] = "";
        skein_scope_init(&scope);
        skein_waitq_init(&many->q);
        if (wal_open(&wal, &options, &scope, &recovery, why) < 0)
            fail_msg("not opened: %s", why);
        assert_int_equal(recovery.group_count, round == 1 ? 0 : MANY);
        for (uint32_t i = 0; round > 1 && i < MANY; i++)
            assert_int_equal(recovery.groups[i].hard_state.term, i + round - 1);
        wal_recovery_deinit(&recovery);
        for (uint32_t i = 0; i < MANY; i++) {
            many->states[i].term = i + round;
            many->writes[i] = (struct wal_write){.group = i,
                                                 .hard_state = &many->states[i],
                                                 .sync = true,
                                                 .owner = many,
                                                 .on_durable = on_many_durable};
            assert_int_equal(wal_submit(wal, &many->writes[i]), 0);
            many->pending++;
        }
        while (many->pending > 0)
            assert_int_equal(skein_wait(&many->q, SKEIN_NEVER), 0);
        wal_close(wal);
        skein_scope_join(&scope);
        wal_free(wal);
    }
    mem_free(many);
    return 0;
}

/* ---- a log of version 2 ---- */

static void
old_block(uint8_t *raw, uint32_t number, enum wal_block_kind kind, size_t payload)
{
    struct wal_block block = {.kind = kind,
                              .payload_bytes = (uint16_t)payload,
                              .generation = 9,
                              .at = {1, number},
                              .batch = 1,
                              .number = (uint16_t)(number - 1),
                              .count = 2,
                              .layout = WAL_LAYOUT_MARK};
    block.mark.state.hard_state.term = 4;
    block.mark.last_index = 1;
    block.mark.last_term = 4;
    wal_block_seal(raw, &block);
}

static int
old_main(void *arg)
{
    struct world *world = world_new(1, 1 << 16);
    uint8_t *file = mem_zalloc(1 << 16);
    uint8_t *payload = file + 2 * WAL_BLOCK_BYTES + WAL_BLOCK_HEAD_BYTES;
    struct wal_header header = {.identity = {.cluster = "groups", .node = 1},
                                .segment = 1,
                                .generation = 9,
                                .segment_bytes = 1 << 16};
    struct member *member = &world->members[0];
    char path[512];
    (void)arg;
    wal_header_encode(file, &header);
    test_block_patch(file, 12, 2);
    old_block(file + WAL_BLOCK_BYTES, 1, WAL_BLOCK_CARRY, WAL_CARRY_OLD_BYTES);
    member->hard_state = (struct raft_hard_state){.term = 4, .vote = 5};
    struct raft_entry entry = {.index = 1, .term = 4, .data.count = 100};
    struct wal_write write = {
        .hard_state = &member->hard_state, .entries = &entry, .entry_count = 1};
    wal_frame_head(payload, &write);
    wal_entry_head(payload + WAL_FRAME_HEAD_BYTES, &entry);
    test_log_data(payload + WAL_FRAME_HEAD_BYTES + WAL_ENTRY_HEAD_BYTES, 1, 4, 100);
    old_block(file + 2 * WAL_BLOCK_BYTES, 2, WAL_BLOCK_DATA, wal_frame_bytes(&write));
    snprintf(path, sizeof path, "%s/00000001.wal", dir);
    disk_test_write(path, file, 1 << 16);
    mem_free(file);
    member->last = 1;
    member->terms[1] = 4;
    world_open(world);
    append(world, 0, 2, 50);
    world_close(world);
    world_open(world); /* both versions, one log */
    wal_compact(world->wal, 0, 2, 4);
    member->start = 2;
    append(world, 0, 3, 50);
    world_close(world);
    world_open(world);
    world_close(world);
    mem_free(world);
    return 0;
}

#define CASE(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        disk_test_dir(dir);               \
        disk_test_run(name##_main, NULL); \
        disk_test_remove(dir);            \
    }
CASE(idle)
CASE(limit)
CASE(many)
CASE(old)
CASE(thousand)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle), cmocka_unit_test(test_limit),  cmocka_unit_test(test_many),
        cmocka_unit_test(test_old),  cmocka_unit_test(test_random), cmocka_unit_test(test_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
