/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no sequence of changes leads to a configuration that is not valid, or to two successive
 * ones that can decide apart from each other (rows 2, 6; Raft section 6). */
#include "raft/confchange.h"
#include "raft/quorum.h"
#include "raft/test_util.h"

#include "base/prng.h"

#define V RAFT_CHANGE_ADD_VOTER
#define L RAFT_CHANGE_ADD_LEARNER
#define R RAFT_CHANGE_REMOVE

static struct raft_config
plain(uint32_t count)
{
    uint64_t ids[RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < count; i++)
        ids[i] = i + 1;
    return raft_config_of(ids, count);
}

static enum raft_refusal
simple(const struct raft_config *config, const struct raft_change *changes, uint32_t count)
{
    struct raft_next next = {.config = {.count = 77}};
    enum raft_refusal refusal = raft_next_simple(config, changes, count, &next);
    assert_true(!refusal || next.config.count == 77); /* untouched when refused */
    return refusal;
}

static void
test_invalid_configs(void **state)
{
    struct raft_config c = plain(3);
    assert_true(raft_config_valid(&c));
    c.ids[1] = 1;
    assert_false(raft_config_valid(&c)); /* twice */
    c = plain(3);
    c.ids[0] = RAFT_NONE;
    assert_false(raft_config_valid(&c));
    c = plain(3);
    c.count = RAFT_MEMBERS_MAX + 1;
    assert_false(raft_config_valid(&c));
    c = plain(3);
    c.auto_leave = true; /* of what? */
    assert_false(raft_config_valid(&c));
    const uint8_t impossible[] = {0,
                                  RAFT_VOTER | RAFT_LEARNER,
                                  RAFT_OUTGOING | RAFT_LEARNER,
                                  RAFT_LEARNER_NEXT,
                                  RAFT_VOTER | RAFT_LEARNER_NEXT,
                                  RAFT_VOTER | RAFT_OUTGOING | RAFT_LEARNER_NEXT,
                                  16};
    for (size_t i = 0; i < sizeof(impossible); i++) {
        c = plain(3);
        c.roles[1] = impossible[i];
        assert_false(raft_config_valid(&c));
    }
    c = plain(1);
    c.roles[0] = RAFT_LEARNER; /* nobody votes */
    assert_false(raft_config_valid(&c));
}

static void
test_refusals(void **state)
{
    struct raft_config one = plain(1);
    struct raft_config three = plain(3);
    struct raft_config none = {0};
    struct raft_next joint;
    struct raft_next next;
    assert_int_equal(simple(&one, (struct raft_change[]){{R, 1}}, 1), RAFT_REFUSAL_NO_VOTERS_LEFT);
    assert_int_equal(simple(&one, (struct raft_change[]){{L, 1}}, 1), RAFT_REFUSAL_NO_VOTERS_LEFT);
    assert_int_equal(simple(&none, (struct raft_change[]){{L, 1}}, 1), RAFT_REFUSAL_NO_VOTERS_LEFT);
    assert_int_equal(simple(&three, (struct raft_change[]){{R, 1}, {V, 5}}, 2),
                     RAFT_REFUSAL_MORE_THAN_ONE);
    assert_int_equal(simple(&three, (struct raft_change[]){{R, 1}, {R, 2}}, 2),
                     RAFT_REFUSAL_MORE_THAN_ONE);
    assert_int_equal(raft_next_leave_joint(&three, &next), RAFT_REFUSAL_NOT_JOINT);
    assert_int_equal(raft_next_enter_joint(&none, true, NULL, 0, &next),
                     RAFT_REFUSAL_NO_VOTERS_TO_JOIN);
    assert_int_equal(raft_next_enter_joint(&three, true, NULL, 0, &joint), RAFT_REFUSAL_NONE);
    assert_int_equal(simple(&joint.config, NULL, 0), RAFT_REFUSAL_SIMPLE_WHILE_JOINT);
    assert_int_equal(raft_next_enter_joint(&joint.config, true, NULL, 0, &next),
                     RAFT_REFUSAL_ALREADY_JOINT);
    for (int i = RAFT_REFUSAL_NONE; i <= RAFT_REFUSAL_TOO_MANY; i++)
        assert_string_not_equal(raft_refusal_text((enum raft_refusal)i), "unknown");
}

static void
test_limits(void **state)
{
    struct raft_config full = plain(RAFT_VOTERS_MAX);
    struct raft_next next;
    assert_int_equal(simple(&full, (struct raft_change[]){{V, 99}}, 1), RAFT_REFUSAL_TOO_MANY);
    for (uint64_t id = 100; full.count < RAFT_MEMBERS_MAX; id++) {
        const struct raft_change learner = {L, id};
        assert_int_equal(raft_next_simple(&full, &learner, 1, &next), RAFT_REFUSAL_NONE);
        full = next.config;
    }
    assert_int_equal(simple(&full, (struct raft_change[]){{L, 99}}, 1), RAFT_REFUSAL_TOO_MANY);
    /* Room is made before it is used. */
    assert_int_equal(simple(&full, (struct raft_change[]){{R, 100}, {L, 99}}, 2),
                     RAFT_REFUSAL_NONE);
}

static void
test_whole_set_at_once(void **state)
{
    struct raft_config three = plain(3);
    struct raft_conf_change change = {
        .changes = {{R, 1}, {R, 2}, {L, 3}, {V, 4}, {V, 5}, {V, 6}, {L, 7}}, .change_count = 7};
    struct raft_next next;
    assert_int_equal(raft_next(&three, &change, &next), RAFT_REFUSAL_NONE);
    const struct raft_config joint = next.config;
    assert_true(joint.auto_leave);
    assert_int_equal(raft_config_count(&joint, RAFT_OUTGOING), 3);
    assert_int_equal(raft_config_count(&joint, RAFT_VOTER), 3);
    assert_true(raft_config_is(&joint, 3, RAFT_LEARNER_NEXT));
    for (uint32_t i = 0; i < joint.count; i++)
        assert_int_equal(next.fresh[i], joint.ids[i] > 3);
    assert_int_equal(raft_next(&joint, &(struct raft_conf_change){0}, &next), RAFT_REFUSAL_NONE);
    assert_int_equal(next.config.count, 5);
    assert_true(raft_config_is(&next.config, 3, RAFT_LEARNER));
    assert_true(raft_config_is(&next.config, 4, RAFT_VOTER));
    assert_false(next.config.auto_leave);
    for (uint32_t i = 0; i < next.config.count; i++)
        assert_false(next.fresh[i]);
}

static void
test_left_and_came_back(void **state)
{
    struct raft_config three = plain(3);
    struct raft_next next;
    const struct raft_change back[] = {{R, 2}, {V, 2}};
    assert_int_equal(raft_next_simple(&three, back, 2, &next), RAFT_REFUSAL_NONE);
    assert_true(raft_config_equal(&three, &next.config));
    assert_true(next.fresh[1]); /* another disk may be behind the same id */
    assert_false(next.fresh[0]);
    const struct raft_change demoted[] = {{L, 2}, {V, 2}};
    assert_int_equal(raft_next_simple(&three, demoted, 2, &next), RAFT_REFUSAL_NONE);
    assert_false(next.fresh[1]);
}

/* How a version 2 change with @count changes is carried out. */
static void
test_transitions(void **state)
{
    struct raft_config three = plain(3);
    for (int t = 0; t < RAFT_TRANSITION_END; t++)
        for (uint32_t count = 0; count <= 2; count++) {
            struct raft_conf_change change = {.transition = (enum raft_transition)t,
                                              .changes = {{V, 4}, {L, 5}},
                                              .change_count = count};
            struct raft_next next;
            enum raft_refusal refusal = raft_next(&three, &change, &next);
            bool leave = t == RAFT_TRANSITION_AUTO && count == 0;
            assert_int_equal(refusal, leave ? RAFT_REFUSAL_NOT_JOINT : RAFT_REFUSAL_NONE);
            if (leave)
                continue;
            assert_int_equal(raft_config_joint(&next.config),
                             t != RAFT_TRANSITION_AUTO || count > 1);
            assert_int_equal(next.config.auto_leave, raft_config_joint(&next.config) &&
                                                         t != RAFT_TRANSITION_JOINT_EXPLICIT);
        }
}

#define NODES 7u

static bool
decides(const struct raft_config *config, unsigned nodes)
{
    enum raft_ballot ballots[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < config->count; i++)
        ballots[i] = nodes >> (config->ids[i] - 1) & 1 ? RAFT_BALLOT_GRANTED : RAFT_BALLOT_REFUSED;
    return raft_quorum_vote(config, ballots) == RAFT_VOTE_WON;
}

/* Can some nodes decide under @a while the others decide under @b? */
static void
assert_quorums_meet(const struct raft_config *a, const struct raft_config *b)
{
    const unsigned all = (1u << NODES) - 1;
    for (unsigned some = 0; some <= all; some++)
        assert_false(decides(a, some) && decides(b, all & ~some));
}

static void
draw(struct prng *prng, bool joint, struct raft_conf_change *out)
{
    *out = (struct raft_conf_change){0};
    if (joint && prng_range(prng, 0, 1)) /* else it would be stuck there most of the time */
        return;
    *out = (struct raft_conf_change){.v1 = prng_range(prng, 0, 3) == 0, .change_count = 1};
    if (!out->v1) {
        out->transition = (enum raft_transition)prng_range(prng, 0, RAFT_TRANSITION_END - 1);
        out->change_count = (uint32_t)prng_range(prng, 0, 5);
    }
    for (uint32_t i = 0; i < out->change_count; i++) {
        out->changes[i].type = (enum raft_change_type)prng_range(prng, 0, RAFT_CHANGE_TYPE_END - 1);
        out->changes[i].node = prng_range(prng, 0, NODES);
    }
}

static void
test_quorums_of_successive_configs_meet(void **state)
{
    struct prng prng;
    prng_init(&prng, 7);
    unsigned taken = 0;
    unsigned joint = 0;
    unsigned refused = 0;
    for (unsigned sequence = 0; sequence < 300; sequence++) {
        struct raft_config config = plain((uint32_t)prng_range(&prng, 1, NODES));
        for (unsigned turn = 0; turn < 40; turn++) {
            struct raft_conf_change change;
            struct raft_next next;
            draw(&prng, raft_config_joint(&config), &change);
            if (raft_next(&config, &change, &next)) {
                refused++;
                continue;
            }
            assert_true(raft_config_valid(&next.config));
            assert_quorums_meet(&config, &next.config);
            taken++;
            joint += raft_config_joint(&next.config);
            config = next.config;
        }
    }
    assert_true(taken > 3000); /* it did try something */
    assert_true(joint > 1000);
    assert_true(refused > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invalid_configs),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_whole_set_at_once),
        cmocka_unit_test(test_left_and_came_back),
        cmocka_unit_test(test_transitions),
        cmocka_unit_test(test_quorums_of_successive_configs_meet),
    };
    return cmocka_run_group_tests_name("raft confchange", tests, NULL, NULL);
}
