/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: one first membership and no second one: nobody is counted who spoke to a former disk, a
 * disk that lost its memory joins instead of voting, and messages that make no sense change
 * nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/prng.h"
#include "replica/genesis.h"
#include "skein/error.h"

static const uint32_t nodes[] = {1, 2, 3};
static const uint8_t cluster_id[16] = {7, 7, 7};

static struct genesis
make(uint32_t node, uint64_t incarnation)
{
    struct genesis genesis;
    genesis_init(&genesis, "test", node, incarnation, nodes, 3);
    return genesis;
}

static struct genesis_outcome
say(const struct genesis *from, struct genesis *to, bool join)
{
    struct genesis_message message;
    struct genesis_outcome outcome;
    genesis_compose(from, to->node, join, &message);
    genesis_step(to, from->node, &message, 99 + from->node, &outcome);
    return outcome;
}

/* Everybody tells everybody, twice: then each knows that it was heard. */
static void
meet(struct genesis *all[3])
{
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                if (i != j)
                    say(all[i], all[j], false);
}

static struct genesis_map
decide(struct genesis *decider)
{
    struct genesis_map map;
    assert_true(genesis_may_decide(decider));
    genesis_draw_map(decider, cluster_id, &map);
    genesis_born(decider, GENESIS_MEMBER, &map);
    return map;
}

static void
test_forms_once(void **state)
{
    (void)state;
    struct genesis a = make(1, 11), b = make(2, 22), c = make(3, 33);
    struct genesis *all[3] = {&a, &b, &c};
    char text[64];
    assert_false(genesis_may_decide(&a));
    genesis_waiting_for(&a, text, sizeof text);
    assert_string_equal(text, "2,3");
    meet(all);
    assert_false(genesis_may_decide(&b));
    assert_false(genesis_may_decide(&c));
    struct genesis_map map = decide(&a);
    assert_int_equal(map.count, 3);
    struct genesis_outcome outcome = say(&a, &b, false);
    assert_true(outcome.adopt);
    assert_false(outcome.join);
    genesis_born(&b, GENESIS_MEMBER, &outcome.map);
    /* The map may come from any member. */
    say(&c, &b, false);
    outcome = say(&b, &c, false);
    assert_true(outcome.adopt);
    assert_memory_equal(outcome.map.cluster, cluster_id, 16);
}

static void
test_unheard_does_not_count(void **state)
{
    (void)state;
    struct genesis a = make(1, 11), b = make(2, 22), c = make(3, 33);
    struct genesis_outcome outcome = say(&b, &a, false);
    assert_true(outcome.reply);
    say(&c, &a, false);
    assert_false(genesis_may_decide(&a));
    say(&a, &b, false);
    say(&b, &a, false);
    assert_false(genesis_may_decide(&a));
    say(&a, &c, false);
    say(&c, &a, false);
    assert_true(genesis_may_decide(&a));
}

/* Whoever was started to join founds nothing, and nobody founds anything with it. */
static void
test_joiners_found_nothing(void **state)
{
    (void)state;
    struct genesis a = make(1, 11), b = make(2, 22), c = make(3, 33);
    struct genesis *all[3] = {&a, &b, &c};
    a.join_only = true;
    meet(all);
    assert_false(genesis_may_decide(&a));
    a.join_only = false;
    b.join_only = true;
    meet(all);
    assert_false(genesis_may_decide(&a));
    b.join_only = false;
    meet(all);
    struct genesis_map map = decide(&a);
    /* Told of a membership without its disk it joins, with another list of nodes, too. */
    struct genesis d;
    genesis_init(&d, "test", 4, 44, (const uint32_t[]){1, 2, 3, 4}, 4);
    d.join_only = true;
    genesis_set_nodes(&a, (const uint32_t[]){1, 2, 3, 4}, 4);
    say(&d, &a, false);
    say(&a, &d, false);
    struct genesis_outcome outcome = say(&a, &d, false);
    assert_true(outcome.join);
    assert_memory_equal(outcome.map.ids, map.ids, sizeof map.ids);
}

static void
test_wiped_decider_joins(void **state)
{
    (void)state;
    struct genesis a = make(1, 11), b = make(2, 22), c = make(3, 33);
    struct genesis *all[3] = {&a, &b, &c};
    struct genesis_message late_b, late_c;
    struct genesis_outcome outcome;
    meet(all);
    genesis_compose(&b, 1, false, &late_b);
    genesis_compose(&c, 1, false, &late_c);
    struct genesis_map map = decide(&a);
    genesis_born(&b, GENESIS_MEMBER, &map);

    /* Node 1 loses its disk. What was said to the old one arrives late: it may not found a second
     * cluster. */
    struct genesis again = make(1, 111);
    genesis_step(&again, 2, &late_b, 5, &outcome);
    genesis_step(&again, 3, &late_c, 5, &outcome);
    assert_false(genesis_may_decide(&again));
    say(&again, &b, false);
    outcome = say(&b, &again, false);
    assert_true(outcome.join);
    assert_false(outcome.adopt);
    assert_false(genesis_map_has(&outcome.map, genesis_raft_id(1, 111)));
}

static void
test_applicant_is_challenged(void **state)
{
    (void)state;
    struct genesis a = make(1, 11), b = make(2, 22), c = make(3, 33);
    struct genesis *all[3] = {&a, &b, &c};
    meet(all);
    struct genesis_map map = decide(&a);
    struct genesis fresh = make(3, 333);
    say(&fresh, &a, false);
    struct genesis_outcome outcome = say(&a, &fresh, false);
    assert_true(outcome.join);
    genesis_born(&fresh, GENESIS_JOINING, &map);
    struct genesis stale = fresh;
    stale.peers[0].echo = 12345;
    assert_int_equal(say(&stale, &a, true).applicant, 0);
    assert_true(say(&stale, &a, true).reply);
    say(&a, &fresh, false);
    outcome = say(&fresh, &a, true);
    assert_true(outcome.applicant == genesis_raft_id(3, 333));

    /* An application of a disk before it does not stand against the present one for long. */
    struct genesis older = make(3, 32);
    genesis_born(&older, GENESIS_JOINING, &map);
    older.peers[0].incarnation = 11;
    older.peers[0].echo = fresh.peers[0].echo;
    struct genesis_message message;
    genesis_compose(&older, 1, true, &message);
    genesis_step(&a, 3, &message, 4242, &outcome);
    assert_int_equal(outcome.applicant, 0);
}

static void
test_other_clusters_are_refused(void **state)
{
    (void)state;
    static const uint32_t other_nodes[] = {1, 2, 4};
    struct genesis a = make(1, 11), b;
    genesis_init(&b, "test", 2, 22, other_nodes, 3);
    assert_true(say(&b, &a, false).refused);
    assert_false(say(&b, &a, false).refused);
    genesis_init(&b, "prod", 2, 22, nodes, 3);
    say(&b, &a, false);
    assert_int_equal(a.peers[1].incarnation, 0);
    struct genesis_message message;
    struct genesis_outcome outcome;
    genesis_compose(&a, 1, false, &message);
    genesis_step(&a, 1, &message, 1, &outcome);
    genesis_step(&a, 77, &message, 1, &outcome);
    assert_false(outcome.reply || outcome.adopt || outcome.join);
}

static void
test_codec(void **state)
{
    (void)state;
    struct genesis a = make(1, 11), b = make(2, 22), c = make(3, 33);
    struct genesis *all[3] = {&a, &b, &c};
    meet(all);
    decide(&a);
    struct genesis_message message, got;
    struct wire_writer out = {0};
    genesis_compose(&a, 2, false, &message);
    genesis_encode(&out, &message);
    for (size_t count = 0; count < out.count; count++) {
        struct wire_reader in = wire_reader_of(out.data, count);
        assert_int_equal(genesis_decode(&in, &got), -SKEIN_EPROTO);
    }
    struct wire_reader in = wire_reader_of(out.data, out.count);
    assert_int_equal(genesis_decode(&in, &got), 0);
    assert_memory_equal(&got.map, &message.map, sizeof got.map);
    assert_string_equal(got.name, "test");
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        size_t at = prng_below(&prng, out.count);
        uint8_t old = out.data[at];
        out.data[at] = (uint8_t)prng_next(&prng);
        in = wire_reader_of(out.data, out.count);
        int rc = genesis_decode(&in, &got);
        assert_true(rc == 0 || rc == -SKEIN_EPROTO);
        out.data[at] = old;
    }
    wire_writer_deinit(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec),
        cmocka_unit_test(test_other_clusters_are_refused),
        cmocka_unit_test(test_unheard_does_not_count),
        cmocka_unit_test(test_forms_once),
        cmocka_unit_test(test_joiners_found_nothing),
        cmocka_unit_test(test_wiped_decider_joins),
        cmocka_unit_test(test_applicant_is_challenged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
