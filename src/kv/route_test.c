/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: slots are Redis Cluster's, to the bit and with its rule of tags; groups share the slots
 * evenly; a command is routed by exactly its keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kv/route.h"

static struct kv_arg
arg(const char *text)
{
    return (struct kv_arg){(const uint8_t *)text, strlen(text)};
}

/* The specification's own value, and answers of CLUSTER KEYSLOT of Redis 7.0.15. */
static void
test_slots(void **state)
{
    (void)state;
    assert_int_equal(kv_slot(arg("123456789")), 0x31c3);
    assert_int_equal(kv_slot(arg("foo")), 12182);
    assert_int_equal(kv_slot(arg("bar")), 5061);
    assert_int_equal(kv_slot(arg("hello")), 866);
    assert_int_equal(kv_slot(arg("")), 0);
    assert_int_equal(kv_slot((struct kv_arg){NULL, 0}), 0);
}

static void
test_tags(void **state)
{
    (void)state;
    assert_int_equal(kv_slot(arg("{foo}.following")), kv_slot(arg("foo")));
    assert_int_equal(kv_slot(arg("a{foo}b{bar}")), kv_slot(arg("foo")));
    assert_int_equal(kv_slot(arg("x{{foo}}zap")), kv_slot(arg("{foo")));
    /* No tag: nothing in it, not closed, not opened. */
    assert_int_not_equal(kv_slot(arg("foo{}{bar}")), kv_slot(arg("bar")));
    assert_int_not_equal(kv_slot(arg("foo{bar")), kv_slot(arg("bar")));
    assert_int_not_equal(kv_slot(arg("foo}bar")), kv_slot(arg("bar")));
    assert_int_equal(kv_slot(arg("foo{")), kv_slot((struct kv_arg){(const uint8_t *)"foo{x", 4}));
}

static void
test_even(void **state)
{
    (void)state;
    for (uint32_t groups = 1; groups <= KV_GROUPS_MAX; groups++) {
        uint32_t counts[KV_GROUPS_MAX] = {0}, last = 0;
        for (uint32_t slot = 0; slot < KV_SLOT_COUNT; slot++) {
            uint32_t group = kv_slot_group(slot, groups);
            assert_true(group >= last && group < groups);
            last = group;
            counts[group]++;
        }
        for (uint32_t i = 0; i < groups; i++)
            assert_in_range(counts[i], KV_SLOT_COUNT / groups, KV_SLOT_COUNT / groups + 1);
    }
}

static kv_groups
route(uint32_t groups, uint32_t argc, const char *const *words)
{
    struct kv_arg argv[8];
    for (uint32_t i = 0; i < argc; i++)
        argv[i] = arg(words[i]);
    const struct kv_command *command = kv_command_find(argv[0]);
    assert_non_null(command);
    return kv_route(command, argv, argc, groups);
}

#define ROUTE(groups, ...)                                                     \
    route(groups, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), \
          (const char *const[]){__VA_ARGS__})

static void
test_commands(void **state)
{
    (void)state;
    /* With 4 groups foo (12182) is in group 2, bar (5061) in 1, hello (866) in 0. */
    assert_int_equal(ROUTE(4, "get", "foo"), 1 << 2);
    assert_int_equal(ROUTE(4, "set", "bar", "foo", "px", "1"), 1 << 1);
    assert_int_equal(ROUTE(4, "mget", "foo", "bar", "hello"), 7);
    assert_int_equal(ROUTE(4, "mset", "foo", "bar", "{foo}2", "hello"), 1 << 2);
    assert_int_equal(ROUTE(4, "mset", "foo", "1", "bar", "2"), 6);
    /* A pair that is not whole still names its key. */
    assert_int_equal(ROUTE(4, "mset", "foo", "1", "bar"), 6);
    assert_int_equal(ROUTE(4, "dbsize"), 15);
    assert_int_equal(ROUTE(1, "mget", "foo", "bar"), 1);
    assert_int_equal(ROUTE(1, "dbsize"), 1);
    assert_int_equal(kv_route_all(KV_GROUPS_MAX), UINT32_MAX);
    assert_int_equal(kv_route_one(1 << 2), 2);
    assert_int_equal(kv_route_one(UINT32_C(1) << 31), 31);
    assert_int_equal(kv_route_one(6), -1);
    assert_int_equal(kv_route_one(0), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_even),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
