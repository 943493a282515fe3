/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: groups share the processor by their shares, at both levels, whoever sleeps gets no credit
 * for it, and who wakes up runs soon; with one group the order is first come, first served.
 *
 * In these tests "computing" moves the clock, so that every figure is exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock_world.h"
#include "skein/group.h"
#include "skein/metrics.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)

struct fixture {
    struct clock_world world;
    struct skein_scope scope;
    uint64_t end_ns;
    uint64_t run_ns; /* what one run of a hog takes */
    char order[64];
    uint64_t worst_ns; /* of a sleeper: how late it ran */
    void (*body)(struct fixture *f);
    struct skein_shard_options options;
};

static int
fixture_main(void *arg)
{
    struct fixture *f = arg;
    skein_scope_init(&f->scope);
    f->body(f);
    skein_scope_join(&f->scope);
    return 42;
}

static void
run_with(void (*body)(struct fixture *f), struct skein_shard_options options)
{
    struct fixture f = {.body = body, .run_ns = 50 * US, .options = options};
    clock_world_open(&f.world);
    assert_int_equal(clock_world_run(&f.world, options, fixture_main, &f), 42);
    clock_world_close(&f.world);
}

static void
run(void (*body)(struct fixture *f))
{
    run_with(body, (struct skein_shard_options){0});
}

static struct skein_group *
group_of(const char *name, uint32_t shares, struct skein_group *parent)
{
    struct skein_group *group = NULL;
    struct skein_group_options options = {name, shares, parent};
    assert_int_equal(skein_group_open(&group, &options), 0);
    assert_ptr_equal(skein_group_find(name), group);
    return group;
}

static void
hog(void *arg)
{
    struct fixture *f = arg;
    while (skein_now_ns() < f->end_ns) {
        f->world.now_ns += f->run_ns;
        skein_yield();
    }
}

static void
spawn_hogs(struct fixture *f, struct skein_group *group, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(skein_spawn_in(group, &f->scope, "hog", hog, f, SKEIN_STACK_SMALL), 0);
}

static uint64_t
run_ns(const struct skein_group *group)
{
    struct skein_group_stats stats;
    skein_group_stats(group, &stats);
    return stats.run_ns;
}

static void
assert_ratio(uint64_t a, uint64_t b, double wanted)
{
    double ratio = (double)a / (double)b;
    if (ratio < wanted * 0.99 || ratio > wanted * 1.01)
        fail_msg("%f instead of %f", ratio, wanted);
}

/* ---- the options ---- */

static void
refuse(struct fixture *f)
{
    struct skein_group *parent = group_of("parent", 1, NULL), *busy = group_of("busy", 1, NULL);
    struct skein_group *child = group_of("child", 1, parent), *group = NULL;
    struct skein_group_options bad[] = {
        {NULL, 1, NULL},
        {"", 1, NULL},
        {"a name of more than thirty-one bytes", 1, NULL},
        {"a", 0, NULL},
        {"a", SKEIN_GROUP_SHARES_MAX + 1, NULL},
        {"a", 1, child},
        {"a", 1, busy},
    };
    f->end_ns = 0;
    spawn_hogs(f, busy, 1);
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++)
        assert_int_equal(skein_group_open(&group, &bad[i]), -SKEIN_EINVALID);
    assert_int_equal(skein_group_open(&group, &(struct skein_group_options){"child", 1, NULL}),
                     -SKEIN_EEXIST);
    assert_null(group);
    skein_group_close(child);
    assert_null(skein_group_find("child"));
    skein_group_close(parent);
    assert_string_equal(skein_group_name(skein_group_self()), "normal");
}

static void
reach_the_limit(struct fixture *f)
{
    struct skein_group *group = NULL;
    struct skein_group_options options = {"three", 1, NULL};
    group_of("two", 1, NULL);
    assert_non_null(skein_group_preset(SKEIN_PRIORITY_LOW));
    assert_int_equal(skein_group_open(&group, &options), -SKEIN_EAGAIN);
    assert_null(skein_group_preset(SKEIN_PRIORITY_CRITICAL));
    assert_non_null(skein_group_preset(SKEIN_PRIORITY_NORMAL));
    skein_group_close(skein_group_find("two"));
    assert_int_equal(skein_group_open(&group, &options), 0);
}

static void
wrong_options_are_refused(void **state)
{
    run(refuse);
}

static void
groups_are_limited(void **state)
{
    run_with(reach_the_limit, (struct skein_shard_options){.group_count_max = 3});
}

/* ---- shares ---- */

static void
share(struct fixture *f)
{
    struct skein_group *a = group_of("a", 100, NULL), *b = group_of("b", 300, NULL);
    f->end_ns = skein_now_ns() + 20 * SECOND;
    /* How many fibers there are and how they run does not count. */
    spawn_hogs(f, a, 7);
    spawn_hogs(f, b, 1);
    skein_scope_join(&f->scope);
    assert_ratio(run_ns(b), run_ns(a), 3);
    struct skein_group_stats stats;
    skein_group_stats(a, &stats);
    assert_int_equal(stats.fibers, 0);
    /* What it did not run it starved: the two make up the whole time. */
    assert_ratio(stats.run_ns + stats.starve_ns + stats.wait_ns, 20 * SECOND, 1);
    assert_true(stats.starve_ns > 14 * SECOND);
}

static void
nest(struct fixture *f)
{
    struct skein_group *parent = group_of("parent", 1000, NULL);
    struct skein_group *a = group_of("a", 300, parent), *b = group_of("b", 100, parent);
    struct skein_group *other = group_of("other", 2000, NULL);
    f->end_ns = skein_now_ns() + 20 * SECOND;
    spawn_hogs(f, a, 2);
    spawn_hogs(f, b, 2);
    spawn_hogs(f, other, 2);
    skein_scope_join(&f->scope);
    assert_ratio(run_ns(a), run_ns(b), 3);
    assert_ratio(run_ns(other), run_ns(a) + run_ns(b), 2);
    /* Alone below its parent a group has all of the parent's part. */
    uint64_t b_before = run_ns(b), other_before = run_ns(other);
    f->end_ns = skein_now_ns() + 20 * SECOND;
    spawn_hogs(f, b, 2);
    spawn_hogs(f, other, 2);
    skein_scope_join(&f->scope);
    assert_ratio(run_ns(other) - other_before, run_ns(b) - b_before, 2);
}

static void
change_shares(struct fixture *f)
{
    struct skein_group *a = group_of("a", 100, NULL), *b = group_of("b", 100, NULL);
    skein_group_set_shares(b, 500);
    f->end_ns = skein_now_ns() + 10 * SECOND;
    spawn_hogs(f, a, 1);
    spawn_hogs(f, b, 1);
    skein_scope_join(&f->scope);
    assert_ratio(run_ns(b), run_ns(a), 5);
}

/* b slept for long; from then on it gets its half, and nothing of what it did not want. */
static void
wake_after_a_pause(struct fixture *f)
{
    struct skein_group *a = group_of("a", 100, NULL), *b = group_of("b", 100, NULL);
    f->end_ns = skein_now_ns() + 10 * SECOND;
    spawn_hogs(f, a, 2);
    skein_scope_join(&f->scope);
    uint64_t a_before = run_ns(a);
    f->end_ns = skein_now_ns() + 4 * SECOND;
    spawn_hogs(f, a, 2);
    spawn_hogs(f, b, 2);
    skein_scope_join(&f->scope);
    assert_ratio(run_ns(b), run_ns(a) - a_before, 1);
}

static void
time_goes_by_shares(void **state)
{
    run(share);
}

static void
parents_share_and_divide(void **state)
{
    run(nest);
}

static void
shares_can_change(void **state)
{
    run(change_shares);
}

static void
a_pause_gives_no_credit(void **state)
{
    run(wake_after_a_pause);
}

/* ---- who wakes up ---- */

static void
sleeper(void *arg)
{
    struct fixture *f = arg;
    while (skein_now_ns() < f->end_ns) {
        uint64_t due_ns = skein_deadline_in(3 * MS + 7 * US);
        if (skein_sleep(due_ns) < 0)
            return;
        uint64_t late_ns = skein_now_ns() - due_ns;
        if (late_ns > f->worst_ns)
            f->worst_ns = late_ns;
        f->world.now_ns += 10 * US;
    }
}

static void
be_critical(struct fixture *f)
{
    struct skein_group *critical = skein_group_preset(SKEIN_PRIORITY_CRITICAL);
    f->end_ns = skein_now_ns() + 5 * SECOND;
    spawn_hogs(f, skein_group_preset(SKEIN_PRIORITY_LOW), 4);
    spawn_hogs(f, skein_group_self(), 3);
    assert_int_equal(skein_spawn_in(critical, &f->scope, "sleeper", sleeper, f, SKEIN_STACK_SMALL),
                     0);
    skein_scope_join(&f->scope);
    /* Behind what ran when it was due: one round, which is at most the seven hogs. */
    assert_in_range(f->worst_ns, 1, 7 * f->run_ns);
    struct skein_group_stats stats;
    skein_group_stats(critical, &stats);
    assert_true(stats.wait_ns < stats.slices * f->run_ns);
}

static void
the_critical_run_first(void **state)
{
    run(be_critical);
}

/* ---- fibers and their groups ---- */

static void
note_group(void *arg)
{
    struct fixture *f = arg;
    strncat(f->order, skein_group_name(skein_group_self()), 10);
    strcat(f->order, " ");
}

static void
spawn_more(void *arg)
{
    struct fixture *f = arg;
    note_group(f);
    assert_int_equal(skein_spawn(&f->scope, "child", note_group, f, SKEIN_STACK_SMALL), 0);
    struct skein_group *own = skein_group_switch(skein_group_find("b"));
    assert_string_equal(skein_group_name(own), "a");
    assert_int_equal(skein_spawn(&f->scope, "child", note_group, f, SKEIN_STACK_SMALL), 0);
    skein_yield();
    note_group(f);
}

static void
carry(struct fixture *f)
{
    struct skein_group *a = group_of("a", 100, NULL), *b = group_of("b", 100, NULL);
    struct skein_group_stats stats;
    assert_int_equal(skein_spawn_in(a, &f->scope, "first", spawn_more, f, SKEIN_STACK_SMALL), 0);
    skein_group_stats(a, &stats);
    assert_int_equal(stats.fibers, 1);
    skein_scope_join(&f->scope);
    assert_string_equal(f->order, "a b a b ");
    skein_group_stats(b, &stats);
    assert_int_equal(stats.fibers, 0);
    assert_true(stats.switches >= 2);
    skein_group_close(a);
    skein_group_close(b);
}

static void
a_group_is_carried_by_spawn(void **state)
{
    run(carry);
}

struct numbered {
    struct fixture *f;
    char name;
};

static void
note_name(void *arg)
{
    struct numbered *numbered = arg;
    for (int i = 0; i < 2; i++) {
        strncat(numbered->f->order, &numbered->name, 1);
        skein_yield();
    }
}

static void
go_in_order(struct fixture *f)
{
    struct numbered fibers[] = {{f, 'a'}, {f, 'b'}, {f, 'c'}};
    for (size_t i = 0; i < BASE_COUNT_OF(fibers); i++)
        assert_int_equal(skein_spawn(&f->scope, "one", note_name, &fibers[i], SKEIN_STACK_SMALL),
                         0);
    skein_scope_join(&f->scope);
    assert_string_equal(f->order, "abcabc");
    assert_false(skein_should_yield()); /* time is virtual */
    /* Several groups, everything in one of them: the same. */
    f->order[0] = '\0';
    assert_non_null(skein_group_preset(SKEIN_PRIORITY_IDLE));
    for (size_t i = 0; i < BASE_COUNT_OF(fibers); i++)
        assert_int_equal(skein_spawn(&f->scope, "one", note_name, &fibers[i], SKEIN_STACK_SMALL),
                         0);
    skein_scope_join(&f->scope);
    assert_string_equal(f->order, "abcabc");
}

static void
within_a_group_first_come_first_served(void **state)
{
    run(go_in_order);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(groups_are_limited),
        cmocka_unit_test(time_goes_by_shares),
        cmocka_unit_test(parents_share_and_divide),
        cmocka_unit_test(shares_can_change),
        cmocka_unit_test(a_pause_gives_no_credit),
        cmocka_unit_test(the_critical_run_first),
        cmocka_unit_test(a_group_is_carried_by_spawn),
        cmocka_unit_test(within_a_group_first_come_first_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
