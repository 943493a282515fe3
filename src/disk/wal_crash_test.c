/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: at whatever point the machine stops, and whichever unsynced sectors are left, the log opens
 * and holds the state after the first m writes for some m not less than the number of those that
 * were acknowledged: nothing that was acknowledged is missing, no write is there in part, nothing
 * comes twice. And damage, a bit or a sector, is refused with its place if it hit what was
 * acknowledged, and does not matter if it hit what was there before; it never makes the log shorter
 * in silence, at a torn end neither.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "disk/wal.h"
#include "disk/wal_block.h"
#include "disk/wal_disk_model.h"
#include "disk/wal_test_log.h"
#include "skein/error.h"

#define OPS_MAX 512
#define INDEX_MAX 4096
/* Group 0 is busy; the others write little, and pin segments until they are moved. */
#define GROUPS 3

/* One write as it was submitted. */
struct op {
    uint32_t group;
    struct raft_hard_state hard_state;
    uint64_t snapshot; /* 0: none */
    uint64_t index;
    uint64_t count;
    uint64_t term;
    uint32_t bytes;
};

/* The log's state after some writes. */
struct state {
    struct raft_hard_state hard_state;
    uint64_t start;
    uint64_t last;
    uint64_t terms[INDEX_MAX];
    uint32_t bytes[INDEX_MAX];
};

struct recovered {
    struct wal_group_recovery groups[GROUPS];
};

struct world {
    struct prng prng;
    struct disk_model disk;
    char dir[256];
    struct op ops[OPS_MAX];
    uint64_t op_count;
    size_t acked_at[OPS_MAX];   /* recorded events when the op was acknowledged; 0: not */
    uint64_t compacted[GROUPS]; /* the highest index given to wal_compact */
    uint64_t moved_bytes;
    uint64_t recycled_count;
    bool thorough;             /* write on until both are more than 0 */
    struct state base[GROUPS]; /* before ops[0] */
    struct state scratch[GROUPS];
    struct wal *wal;
    struct skein_waitq q;
    uint64_t pending;
};

struct flight {
    struct wal_write write;
    struct world *world;
    uint64_t number;
    struct raft_snapshot snapshot;
    struct raft_entry *entries;
};

static void
state_apply(struct state *state, const struct op *op)
{
    state->hard_state = op->hard_state;
    if (op->snapshot) {
        state->start = op->snapshot;
        state->last = op->snapshot;
    }
    for (uint64_t i = 0; i < op->count; i++) {
        state->terms[op->index + i] = op->term;
        state->bytes[op->index + i] = op->bytes;
        state->last = op->index + i;
    }
}

static bool
state_matches(const struct state *state, const struct wal_group_recovery *recovery,
              uint64_t compacted)
{
    if (memcmp(&state->hard_state, &recovery->hard_state, sizeof(state->hard_state)) != 0)
        return false;
    if (recovery->start_index < state->start ||
        (recovery->start_index > state->start && recovery->start_index > compacted))
        return false;
    uint64_t last = recovery->start_index;
    if (recovery->entry_count)
        last = recovery->entries[recovery->entry_count - 1].index;
    if (last != state->last && !(recovery->entry_count == 0 && last > state->last))
        return false;
    for (size_t i = 0; i < recovery->entry_count; i++) {
        const struct raft_entry *entry = &recovery->entries[i];
        if (entry->index <= recovery->start_index)
            continue;
        if (state->terms[entry->index] != entry->term ||
            state->bytes[entry->index] != entry->data.count)
            return false;
        uint8_t *data = mem_alloc(entry->data.count);
        test_log_data(data, entry->index, entry->term, entry->data.count);
        bool same = memcmp(data, entry->data.data, entry->data.count) == 0;
        mem_free(data);
        if (!same)
            return false;
    }
    return true;
}

static void
on_durable(struct wal_write *write, int status)
{
    struct flight *flight = write->owner;
    struct world *world = flight->world;
    assert_int_equal(status, 0);
    world->acked_at[flight->number] = disk_test_record()->count;
    world->pending--;
    for (size_t i = 0; i < write->entry_count; i++)
        bytes_unref(&flight->entries[i].data);
    mem_free(flight->entries);
    mem_free(flight);
    skein_wake_all(&world->q);
}

static void
op_submit(struct world *world, const struct op *op)
{
    struct flight *flight = mem_zalloc(sizeof(*flight));
    assert_true(world->op_count < OPS_MAX);
    flight->world = world;
    flight->number = world->op_count;
    world->acked_at[world->op_count] = 0;
    world->ops[world->op_count] = *op;
    flight->entries = mem_zalloc(op->count * sizeof(*flight->entries));
    for (uint64_t i = 0; i < op->count; i++) {
        struct bytes_buf *buf = bytes_new(op->bytes);
        test_log_data(buf->data, op->index + i, op->term, op->bytes);
        flight->entries[i] = (struct raft_entry){
            .term = op->term, .index = op->index + i, .data = bytes_of(buf, op->bytes)};
    }
    flight->snapshot = (struct raft_snapshot){.index = op->snapshot, .term = op->term};
    flight->write = (struct wal_write){.group = op->group,
                                       .hard_state = &world->ops[world->op_count].hard_state,
                                       .snapshot = op->snapshot ? &flight->snapshot : NULL,
                                       .entries = flight->entries,
                                       .entry_count = op->count,
                                       .sync = !prng_chance(&world->prng, 1, 8),
                                       .on_durable = on_durable,
                                       .owner = flight};
    world->op_count++;
    world->pending++;
    assert_int_equal(wal_submit(world->wal, &flight->write), 0);
}

/* Something a replica might do next, given what it did last. */
static void
op_draw(struct world *world, struct state *states)
{
    struct prng *prng = &world->prng;
    uint32_t group = prng_chance(prng, 1, 6) ? (uint32_t)prng_range(prng, 1, GROUPS - 1) : 0;
    struct state *now = &states[group];
    uint64_t *compacted = &world->compacted[group];
    struct op op = {.group = group, .hard_state = now->hard_state, .index = now->last + 1};
    uint64_t start = now->start > *compacted ? now->start : *compacted;
    uint64_t what = prng_below(prng, 24);
    if (what == 0 && now->last > start) {
        op.index = prng_range(prng, start + 1, now->last);
        op.hard_state.term++;
    } else if (what == 1) {
        op.snapshot = now->last + prng_range(prng, 1, 20);
        op.index = op.snapshot + 1;
    } else if (what < 8 && group == 0 && now->last > start) {
        *compacted = prng_range(prng, start + 1, now->last);
        wal_compact(world->wal, group, *compacted, 1);
    }
    op.hard_state.commit = op.index;
    op.hard_state.vote = prng_next(prng);
    op.term = op.hard_state.term;
    op.count = prng_below(prng, 4);
    op.bytes =
        (uint32_t)(prng_chance(prng, 1, 12) ? prng_below(prng, 150000) : prng_below(prng, 4000));
    if (group > 0)
        op.bytes = (uint32_t)prng_below(prng, 200);
    op_submit(world, &op);
    state_apply(now, &op);
}

static int
world_open(struct world *world, struct skein_scope *scope, struct recovered *recovery,
           char why[512])
{
    struct wal_options options = {.dir = world->dir,
                                  .identity = {.cluster = "c", .node = 1},
                                  .segment_bytes = 1 << 16,
                                  .queue_bytes_max = 1 << 30};
    skein_scope_init(scope);
    skein_waitq_init(&world->q);
    struct wal_recovery all = {0};
    int rc = wal_open(&world->wal, &options, scope, &all, why);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < GROUPS; i++)
        recovery->groups[i] = wal_recovery_take(&all, i);
    wal_recovery_deinit(&all);
    return 0;
}

static void
world_close(struct world *world, struct skein_scope *scope)
{
    wal_close(world->wal);
    skein_scope_join(scope);
    wal_free(world->wal);
}

static bool
states_match(const struct world *world, const struct recovered *recovery)
{
    for (uint32_t i = 0; i < GROUPS; i++)
        if (!state_matches(&world->scratch[i], &recovery->groups[i], world->compacted[i]))
            return false;
    return true;
}

/* The m for which the recovery is the state after m writes; the model goes on from there. */
static void
recovery_judge(struct world *world, const struct recovered *recovery, uint64_t acked)
{
    memcpy(world->scratch, world->base, sizeof world->base);
    for (uint64_t m = 0; m <= world->op_count; m++) {
        if (m > 0)
            state_apply(&world->scratch[world->ops[m - 1].group], &world->ops[m - 1]);
        if (m < acked || !states_match(world, recovery))
            continue;
        memcpy(world->base, world->scratch, sizeof world->base);
        for (uint32_t i = 0; i < GROUPS; i++) {
            struct state *base = &world->base[i];
            if (base->start < recovery->groups[i].start_index)
                base->start = recovery->groups[i].start_index;
            if (base->last < base->start)
                base->last = base->start;
            world->compacted[i] = base->start;
        }
        world->op_count = 0;
        return;
    }
    fail_msg("the recovered log is no state after %u to %u writes", (unsigned)acked,
             (unsigned)world->op_count);
}

static void
recovered_deinit(struct recovered *recovery)
{
    for (uint32_t i = 0; i < GROUPS; i++)
        wal_group_recovery_deinit(&recovery->groups[i]);
}

/* Entries were moved, and segments used again: when the keeper gets to it is the disk's affair. */
static bool
seen_all(const struct world *world)
{
    struct wal_stats stats;
    wal_stats(world->wal, &stats);
    return stats.moved_bytes > 0 && stats.recycled_count > 0;
}

/* Open what is on the disk, check it, write on, and stop at a drawn point. */
static void
round_run(struct world *world, uint64_t acked, uint64_t ops)
{
    struct skein_scope scope;
    struct recovered recovery = {0};
    char why[512];
    disk_model_store(&world->disk, world->dir);
    disk_test_record_clear();
    disk_test_record()->on = true;
    int rc = world_open(world, &scope, &recovery, why);
    if (rc < 0)
        fail_msg("not opened: %s", why);
    recovery_judge(world, &recovery, acked);
    recovered_deinit(&recovery);
    struct state *now = mem_alloc(sizeof world->base);
    memcpy(now, world->base, sizeof world->base);
    for (uint64_t i = 0; i < ops || (world->thorough && i < 300 && !seen_all(world)); i++) {
        op_draw(world, now);
        while (world->pending > 3 || (world->pending > 0 && prng_chance(&world->prng, 1, 2)))
            if (skein_wait(&world->q, skein_deadline_in(2000000)) < 0)
                break;
    }
    mem_free(now);
    struct wal_stats stats;
    wal_stats(world->wal, &stats);
    world->moved_bytes += stats.moved_bytes;
    world->recycled_count += stats.recycled_count;
    world_close(world, &scope);
    disk_test_record()->on = false;
}

/* The disk after @point recorded events and part of the next one; returns the writes acknowledged
 * by then. */
static uint64_t
crash_at(struct world *world, struct disk_model *disk, size_t point)
{
    const struct disk_test_record *record = disk_test_record();
    for (size_t i = 0; i < point; i++)
        disk_model_apply(disk, &record->events[i], true);
    if (point < record->count)
        disk_model_apply(disk, &record->events[point], false);
    disk_model_crash(disk, &world->prng);
    uint64_t acked = 0;
    while (acked < world->op_count && world->acked_at[acked] != 0 &&
           world->acked_at[acked] <= point)
        acked++;
    return acked;
}

static void
world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    prng_init(&world->prng, seed);
    disk_model_init(&world->disk);
    disk_test_dir_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", world->dir);
}

static void
world_deinit(struct world *world)
{
    disk_test_record_clear();
    disk_model_deinit(&world->disk);
    disk_test_remove(world->dir);
}

/* A life of crashes: each round starts from what the crash before it left. */
static int
chain_main(void *arg)
{
    struct world *world = mem_alloc(sizeof(*world));
    world_init(world, *(uint64_t *)arg);
    uint64_t acked = 0;
    for (int round = 0; round < 12; round++) {
        round_run(world, acked, prng_below(&world->prng, 30));
        size_t count = disk_test_record()->count;
        size_t point = prng_chance(&world->prng, 1, 3)
                           ? prng_below(&world->prng, count + 1)
                           : count - prng_below(&world->prng, count / 3 + 1);
        acked = crash_at(world, &world->disk, point);
    }
    world_deinit(world);
    mem_free(world);
    return 0;
}

static void
test_chains(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 80; seed++) {
        print_message("chain seed %u\n", (unsigned)seed);
        disk_test_run(chain_main, &seed);
    }
}

static void
disk_copy(const struct disk_model *from, struct disk_model *to)
{
    *to = *from;
    for (int i = 0; i < to->file_count; i++) {
        to->files[i].now = mem_alloc(1 << 16);
        to->files[i].durable = mem_alloc(1 << 16);
        memcpy(to->files[i].now, from->files[i].now, 1 << 16);
        memcpy(to->files[i].durable, from->files[i].durable, 1 << 16);
    }
}

/* Every crash point of one run, each with two drawn outcomes. */
static int
every_point_main(void *arg)
{
    struct world *world = mem_alloc(sizeof(*world));
    struct world *fork = mem_alloc(sizeof(*fork));
    struct skein_scope scope;
    struct recovered recovery = {0};
    char why[512];
    world_init(world, *(uint64_t *)arg);
    world->thorough = true;
    round_run(world, 0, 60);
    size_t count = disk_test_record()->count;
    print_message("seed %u: %u crash points, %u bytes moved, %u segments used again\n",
                  (unsigned)*(uint64_t *)arg, (unsigned)count, (unsigned)world->moved_bytes,
                  (unsigned)world->recycled_count);
    assert_int_not_equal(world->recycled_count, 0);
    assert_int_not_equal(world->moved_bytes, 0);
    for (size_t point = 0; point <= 2 * count; point++) {
        *fork = *world;
        disk_copy(&world->disk, &fork->disk);
        prng_init(&fork->prng, point);
        uint64_t acked = crash_at(fork, &fork->disk, point / 2);
        disk_model_store(&fork->disk, fork->dir);
        int rc = world_open(fork, &scope, &recovery, why);
        if (rc < 0)
            fail_msg("point %u: not opened: %s", (unsigned)point, why);
        recovery_judge(fork, &recovery, acked);
        recovered_deinit(&recovery);
        world_close(fork, &scope);
        disk_model_deinit(&fork->disk);
    }
    world_deinit(world);
    mem_free(world);
    mem_free(fork);
    return 0;
}

static void
test_every_point(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        disk_test_run(every_point_main, &seed);
}

static bool
is_segment(const char *name)
{
    return strcmp(strchr(name, '.'), ".wal") == 0;
}

/* A segment, as likely as not the last; what is none (yet, or any more) does not matter. */
static int
segment_draw(struct world *world)
{
    const struct model_names *names = &world->disk.now;
    int last = -1, drawn = -1;
    for (int i = 0; i < names->count; i++)
        if (is_segment(names->names[i]) &&
            (last < 0 || strcmp(names->names[i], names->names[last]) > 0))
            last = i;
    while (drawn < 0 || !is_segment(names->names[drawn]))
        drawn = (int)prng_below(&world->prng, (uint64_t)names->count);
    return prng_chance(&world->prng, 1, 2) ? last : drawn;
}

/* One bit, or all of a sector. */
static void
damage(struct world *world, int name, uint64_t at)
{
    struct prng *prng = &world->prng;
    struct model_file *file = &world->disk.files[world->disk.now.files[name]];
    if (prng_chance(prng, 1, 4))
        prng_fill(prng, file->now + at / WAL_SECTOR_BYTES * WAL_SECTOR_BYTES, WAL_SECTOR_BYTES);
    else
        file->now[at] ^= (uint8_t)(1u << prng_below(prng, 8));
}

/* Whether the block at @at is one that the log needs: a header, or written in this generation. */
static bool
is_live(const struct model_file *file, uint64_t at)
{
    struct wal_header header;
    uint32_t version, block = (uint32_t)(at / WAL_BLOCK_BYTES);
    assert_int_equal(wal_header_decode(file->now, &header, &version), 0);
    return block == 0 || wal_block_judge(file->now + (size_t)block * WAL_BLOCK_BYTES,
                                         (struct wal_position){header.segment, block},
                                         header.generation, header.sectored)
                                 .verdict == WAL_VERDICT_GOOD;
}

/* A byte near the end of what was written. */
static uint64_t
near_end(struct world *world, const struct model_file *file)
{
    uint64_t end = WAL_BLOCK_BYTES;
    while (end < file->now_bytes && is_live(file, end))
        end += WAL_BLOCK_BYTES;
    uint64_t from = end > 3 * WAL_BLOCK_BYTES ? end - 2 * WAL_BLOCK_BYTES : WAL_BLOCK_BYTES;
    uint64_t at = from + prng_below(&world->prng, 5 * WAL_BLOCK_BYTES);
    return at < file->now_bytes ? at : file->now_bytes - 1;
}

/* Opens what is on @fork's disk. Returns whether it was refused, with its place in the file
 * @name. */
static bool
opened_or_refused(struct world *fork, uint64_t acked, const char *name)
{
    struct skein_scope scope;
    struct recovered recovery = {0};
    char why[512];
    disk_model_store(&fork->disk, fork->dir);
    int rc = world_open(fork, &scope, &recovery, why);
    if (rc < 0) {
        assert_int_equal(rc, -SKEIN_ECORRUPT);
        assert_non_null(strstr(why, ".wal is damaged at byte "));
        assert_true(!name || strstr(why, name));
        return true;
    }
    recovery_judge(fork, &recovery, acked);
    recovered_deinit(&recovery);
    world_close(fork, &scope);
    return false;
}

/* Damage to a log whose every write was acknowledged: refused where it hit what was written, and
 * harmless where it hit what an earlier use of the file left there. */
static int
flips_main(void *arg)
{
    struct world *world = mem_alloc(sizeof(*world));
    struct world *fork = mem_alloc(sizeof(*fork));
    uint64_t live_count = 0;
    world_init(world, *(uint64_t *)arg);
    world->thorough = true;
    round_run(world, 0, 40);
    uint64_t acked = crash_at(world, &world->disk, disk_test_record()->count);
    assert_int_equal(acked, world->op_count);
    for (int i = 0; i < 500; i++) {
        *fork = *world;
        disk_copy(&world->disk, &fork->disk);
        prng_init(&fork->prng, (uint64_t)i);
        int name = segment_draw(fork);
        const struct model_names *names = &world->disk.now;
        const struct model_file *file = &world->disk.files[names->files[name]];
        uint64_t at = prng_below(&fork->prng, file->now_bytes);
        damage(fork, name, at);
        bool live = is_live(file, at);
        live_count += live;
        bool refused = opened_or_refused(fork, acked, live ? names->names[name] : NULL);
        assert_int_equal(refused, live);
        disk_model_deinit(&fork->disk);
    }
    assert_in_range(live_count, 100, 490);
    world_deinit(world);
    mem_free(world);
    mem_free(fork);
    return 0;
}

/* Damage to what a crash left: refused, or nothing that was acknowledged is missing. */
static int
torn_flips_main(void *arg)
{
    struct world *world = mem_alloc(sizeof(*world));
    struct world *fork = mem_alloc(sizeof(*fork));
    unsigned refused = 0;
    world_init(world, *(uint64_t *)arg);
    round_run(world, 0, 40);
    size_t count = disk_test_record()->count;
    for (unsigned i = 0; i < 600; i++) {
        *fork = *world;
        disk_copy(&world->disk, &fork->disk);
        prng_init(&fork->prng, i);
        uint64_t acked = crash_at(fork, &fork->disk, count - 1 - i % (count / 2));
        int name = segment_draw(fork);
        damage(fork, name, near_end(fork, &fork->disk.files[fork->disk.now.files[name]]));
        refused += opened_or_refused(fork, acked, NULL);
        disk_model_deinit(&fork->disk);
    }
    print_message("seed %u: %u of 600 refused\n", (unsigned)*(uint64_t *)arg, refused);
    assert_in_range(refused, 100, 580);
    world_deinit(world);
    mem_free(world);
    mem_free(fork);
    return 0;
}

static void
test_flips(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        disk_test_run(flips_main, &seed);
}

static void
test_torn_flips(void **state)
{
    (void)state;
    for (uint64_t seed = 3; seed <= 5; seed++)
        disk_test_run(torn_flips_main, &seed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_point),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_torn_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
