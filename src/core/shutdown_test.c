/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: phases follow each other, resources of one phase end together, none outlasts its time by
 * more than the grace, and the report says of each what became of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock_world.h"
#include "skein/process.h"

#define MS UINT64_C(1000000)

struct fixture;

struct resource {
    struct fixture *f;
    char name;
    uint64_t takes_ns; /* how long it would take */
    bool shielded;     /* and does not listen */
    int result;
};

struct fixture {
    char order[64];
    int (*body)(struct fixture *f);
};

static int
stop(void *arg, uint64_t deadline_ns)
{
    struct resource *resource = arg;
    if (resource->shielded)
        skein_shield(true);
    int rc = skein_sleep(skein_deadline_in(resource->takes_ns));
    if (resource->shielded)
        skein_shield(false);
    strncat(resource->f->order, &resource->name, 1);
    return rc < 0 ? rc : resource->result;
}

static void
add(struct skein_shutdown *shutdown, struct resource *resource, enum skein_shutdown_phase phase)
{
    assert_int_equal(skein_shutdown_add(shutdown, phase, "r", 100 * MS, stop, resource), 0);
}

static struct skein_shutdown_entry
entry_of(const struct skein_shutdown *shutdown, size_t index)
{
    struct skein_shutdown_entry entry;
    assert_true(skein_shutdown_entry(shutdown, index, &entry));
    return entry;
}

static int
fixture_main(void *arg)
{
    struct fixture *f = arg;
    return f->body(f);
}

static void
run(int (*body)(struct fixture *f))
{
    struct fixture f = {.body = body};
    struct clock_world world;
    clock_world_open(&world);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, fixture_main, &f),
                     42);
    clock_world_close(&world);
}

static int
order(struct fixture *f)
{
    struct resource resources[] = {{f, 'e', 1 * MS},  {f, 'c', 20 * MS}, {f, 'b', 10 * MS},
                                   {f, 'a', 90 * MS}, {f, 'd', 5 * MS},  {f, 'f', 0}};
    struct skein_shutdown *shutdown = skein_shutdown_open();
    struct skein_shutdown_entry entry;
    /* Added in any order. */
    add(shutdown, &resources[5], SKEIN_SHUTDOWN_CLEAN_UP);
    add(shutdown, &resources[0], SKEIN_SHUTDOWN_SHARDS);
    add(shutdown, &resources[4], SKEIN_SHUTDOWN_TIMERS);
    add(shutdown, &resources[1], SKEIN_SHUTDOWN_DRAIN);
    add(shutdown, &resources[2], SKEIN_SHUTDOWN_DRAIN);
    add(shutdown, &resources[3], SKEIN_SHUTDOWN_ACCEPTING);
    assert_int_equal(entry_of(shutdown, 0).outcome, SKEIN_SHUTDOWN_PENDING);
    uint64_t begun_ns = skein_now_ns();
    assert_int_equal(skein_shutdown_run(shutdown), 0);
    assert_string_equal(f->order, "abcdef");
    /* Those of one phase at once. */
    assert_int_equal(skein_now_ns() - begun_ns, (90 + 20 + 5 + 1) * MS);
    for (size_t i = 0; skein_shutdown_entry(shutdown, i, &entry); i++)
        assert_int_equal(entry.outcome, SKEIN_SHUTDOWN_DONE);
    assert_int_equal(entry_of(shutdown, 3).took_ns, 20 * MS);
    skein_shutdown_close(shutdown);
    return 42;
}

static int
late_ones(struct fixture *f)
{
    struct resource slow = {f, 's', 5000 * MS}, fine = {f, 'f', 1 * MS};
    struct resource bad = {f, 'b', 0, .result = -SKEIN_ECORRUPT}, next = {f, 'n', 0};
    struct skein_shutdown *shutdown = skein_shutdown_open();
    add(shutdown, &slow, SKEIN_SHUTDOWN_DRAIN);
    add(shutdown, &fine, SKEIN_SHUTDOWN_DRAIN);
    add(shutdown, &bad, SKEIN_SHUTDOWN_TIMERS);
    add(shutdown, &next, SKEIN_SHUTDOWN_CLEAN_UP);
    uint64_t begun_ns = skein_now_ns();
    assert_int_equal(skein_shutdown_run(shutdown), -SKEIN_ETIMEDOUT);
    assert_int_equal(skein_now_ns() - begun_ns, 100 * MS);
    assert_string_equal(f->order, "fsbn");
    /* Its own deadline ended the sleep; whether it was cancelled as well is a matter of order. */
    enum skein_shutdown_outcome outcome = entry_of(shutdown, 0).outcome;
    assert_true(outcome == SKEIN_SHUTDOWN_FAILED || outcome == SKEIN_SHUTDOWN_CUT_SHORT);
    assert_int_equal(entry_of(shutdown, 1).outcome, SKEIN_SHUTDOWN_DONE);
    assert_int_equal(entry_of(shutdown, 2).outcome, SKEIN_SHUTDOWN_FAILED);
    assert_int_equal(entry_of(shutdown, 2).result, -SKEIN_ECORRUPT);
    skein_shutdown_close(shutdown);
    return 42;
}

/* One that hears nothing, and one that does so but comes back within the grace. */
static int
deaf_ones(struct fixture *f)
{
    struct resource deaf = {f, 'd', 3000 * MS, .shielded = true};
    struct resource slow = {f, 's', 600 * MS, .shielded = true}, next = {f, 'n', 0};
    struct skein_shutdown *shutdown = skein_shutdown_open();
    add(shutdown, &deaf, SKEIN_SHUTDOWN_SHARDS);
    add(shutdown, &slow, SKEIN_SHUTDOWN_SHARDS);
    add(shutdown, &next, SKEIN_SHUTDOWN_CLEAN_UP);
    uint64_t begun_ns = skein_now_ns();
    assert_int_equal(skein_shutdown_run(shutdown), -SKEIN_EBUSY);
    assert_int_equal(skein_now_ns() - begun_ns, 1100 * MS);
    assert_string_equal(f->order, "sn");
    assert_int_equal(entry_of(shutdown, 0).outcome, SKEIN_SHUTDOWN_STUCK);
    assert_int_equal(entry_of(shutdown, 1).outcome, SKEIN_SHUTDOWN_CUT_SHORT);
    /* A program would end here; the test waits, to leave nothing behind. */
    assert_int_equal(skein_sleep(skein_deadline_in(3000 * MS)), 0);
    assert_string_equal(f->order, "snd");
    assert_int_equal(entry_of(shutdown, 0).outcome, SKEIN_SHUTDOWN_CUT_SHORT);
    skein_shutdown_close(shutdown);
    return 42;
}

static int
too_many(struct fixture *f)
{
    struct resource resource = {f, 'x', 0};
    struct skein_shutdown *shutdown = skein_shutdown_open();
    struct skein_shutdown_entry entry;
    for (int i = 0; i < SKEIN_SHUTDOWN_RESOURCES_MAX; i++)
        add(shutdown, &resource, (enum skein_shutdown_phase)(i % SKEIN_SHUTDOWN_PHASES));
    assert_int_equal(skein_shutdown_add(shutdown, SKEIN_SHUTDOWN_DRAIN, "r", MS, stop, &resource),
                     -SKEIN_EAGAIN);
    assert_false(skein_shutdown_entry(shutdown, SKEIN_SHUTDOWN_RESOURCES_MAX, &entry));
    skein_shutdown_close(shutdown);
    /* Without any: nothing to do. */
    shutdown = skein_shutdown_open();
    assert_int_equal(skein_shutdown_run(shutdown), 0);
    skein_shutdown_close(shutdown);
    skein_shutdown_close(NULL);
    return 42;
}

static void
phases_follow_each_other(void **state)
{
    run(order);
}

static void
who_is_late_is_named(void **state)
{
    run(late_ones);
}

static void
who_does_not_listen_is_left(void **state)
{
    run(deaf_ones);
}

static void
resources_are_limited(void **state)
{
    run(too_many);
    for (int i = 0; i < SKEIN_SHUTDOWN_PHASES; i++)
        assert_non_null(skein_shutdown_phase_name((enum skein_shutdown_phase)i));
    assert_string_equal(skein_shutdown_outcome_name(SKEIN_SHUTDOWN_STUCK), "stuck");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_follow_each_other),
        cmocka_unit_test(who_is_late_is_named),
        cmocka_unit_test(who_does_not_listen_is_left),
        cmocka_unit_test(resources_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
