/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a call to another shard runs there in the group of the caller's group's name, and in the
 * first group where that name is unknown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/check.h"
#include "skein/group.h"
#include "skein/runtime.h"

struct fixture {
    struct check check;
    char names[4][SKEIN_GROUP_NAME_BYTES_MAX + 1];
};

static int64_t
say_group(void *arg)
{
    strcpy(arg, skein_group_name(skein_group_self()));
    return (int64_t)skein_shard_index();
}

static int64_t
open_groups(void *arg)
{
    struct skein_group *group;
    /* In another order on each shard, so that their numbers differ. */
    static const char *const names[][2] = {{"scans", "repairs"}, {"repairs", "scans"}};
    for (int i = 0; i < 2; i++) {
        struct skein_group_options options = {names[skein_shard_index() % 2][i], 50, NULL};
        int rc = skein_group_open(&group, &options);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void
call_from_group(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_call(1, say_group, f->names[0], SKEIN_NEVER) == 1);
    CHECK(&f->check, skein_call(0, say_group, f->names[1], SKEIN_NEVER) == 0);
}

static void
call_from_stranger(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_call(1, say_group, f->names[2], SKEIN_NEVER) == 1);
}

static int
groups_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    struct skein_group *stranger;
    struct skein_group_options options = {"only here", 50, NULL};
    skein_scope_init(&scope);
    CHECK(&f->check, skein_call_all(open_groups, NULL, NULL, SKEIN_NEVER) == 0);
    CHECK(&f->check, skein_group_open(&stranger, &options) == 0);
    CHECK(&f->check, skein_spawn_in(skein_group_find("scans"), &scope, "caller", call_from_group, f,
                                    SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check, skein_spawn_in(stranger, &scope, "caller", call_from_stranger, f,
                                    SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    CHECK(&f->check, skein_call(1, say_group, f->names[3], SKEIN_NEVER) == 1);
    return 7;
}

static void
calls_carry_the_group(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    struct fixture f = {.check = {0}};
    char why[SKEIN_WHY_BYTES];
    int result = 0;
    options.shard_count = 2;
    options.pin = false;
    assert_int_equal(skein_runtime_run(&options, groups_main, &f, &result, why), 0);
    assert_int_equal(result, 7);
    assert_int_equal(f.check.failed_count, 0);
    assert_string_equal(f.names[0], "scans");
    assert_string_equal(f.names[1], "scans");
    assert_string_equal(f.names[2], "normal");
    assert_string_equal(f.names[3], "normal");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_carry_the_group)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
