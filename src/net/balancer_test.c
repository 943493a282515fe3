/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: each kind of balancer spreads requests as it says, for drawn sets of targets; what is down,
 * tried or removed is not picked; the same calls give the same picks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/assert.h"
#include "net/balancer.h"

#define KIND_COUNT (SKEIN_BALANCER_RESPONSE_TIME + 1)
#define TARGETS 16

static struct skein_balancer *
open_kind(enum skein_balancer_kind kind, uint64_t seed)
{
    struct skein_balancer_options options = SKEIN_BALANCER_OPTIONS_INIT;
    struct skein_balancer *balancer;
    options.kind = kind;
    options.seed = seed;
    assert_int_equal(skein_balancer_open(&balancer, &options), 0);
    return balancer;
}

static struct skein_target_id
id_of(uint32_t value)
{
    return (struct skein_target_id){value};
}

static void
add(struct skein_balancer *balancer, uint32_t id, uint32_t weight)
{
    assert_int_equal(skein_balancer_add(balancer, id_of(id), weight), 0);
}

static uint32_t
pick_for(struct skein_balancer *balancer, uint64_t key, struct skein_pick *out_pick)
{
    struct skein_ask ask = {.key = key};
    assert_int_equal(skein_balancer_pick(balancer, &ask, out_pick, 0), 0);
    return out_pick->target.value;
}

/* A request that is over at once. */
static uint32_t
pass_through(struct skein_balancer *balancer, uint64_t key)
{
    struct skein_pick pick;
    uint32_t id = pick_for(balancer, key, &pick);
    skein_balancer_done(balancer, &pick, true, 1);
    return id;
}

static void
bad_input_is_refused(void **state)
{
    struct skein_balancer_options options = SKEIN_BALANCER_OPTIONS_INIT;
    struct skein_balancer *balancer = NULL;
    struct skein_target_status status;
    struct skein_pick pick = {.epoch = 77};
    options.target_count_max = 0;
    assert_int_equal(skein_balancer_open(&balancer, &options), -SKEIN_EINVALID);
    options.target_count_max = SKEIN_BALANCER_TARGETS_MAX + 1;
    assert_int_equal(skein_balancer_open(&balancer, &options), -SKEIN_EINVALID);
    options.target_count_max = 2;
    options.half_life_ns = 0;
    assert_int_equal(skein_balancer_open(&balancer, &options), -SKEIN_EINVALID);
    assert_null(balancer);
    options.half_life_ns = 1;
    assert_int_equal(skein_balancer_open(&balancer, &options), 0);
    assert_int_equal(skein_balancer_pick(balancer, NULL, &pick, 0), -SKEIN_ENOTFOUND);
    assert_int_equal(pick.epoch, 77);
    assert_int_equal(skein_balancer_add(balancer, id_of(1), 0), -SKEIN_EINVALID);
    assert_int_equal(skein_balancer_add(balancer, id_of(1), SKEIN_BALANCER_WEIGHT_MAX + 1),
                     -SKEIN_EINVALID);
    add(balancer, 1, 1);
    assert_int_equal(skein_balancer_add(balancer, id_of(1), 1), -SKEIN_EEXIST);
    add(balancer, 2, 1);
    assert_int_equal(skein_balancer_add(balancer, id_of(3), 1), -SKEIN_EAGAIN);
    assert_int_equal(skein_balancer_remove(balancer, id_of(3)), -SKEIN_ENOTFOUND);
    assert_int_equal(skein_balancer_set_up(balancer, id_of(3), true), -SKEIN_ENOTFOUND);
    assert_int_equal(skein_balancer_status(balancer, id_of(3), &status), -SKEIN_ENOTFOUND);
    skein_balancer_close(balancer);
    skein_balancer_close(NULL);
}

/* What the test believes of the balancer. */
struct model {
    struct skein_balancer *balancer;
    struct prng prng;
    bool there[TARGETS], up[TARGETS];
    uint32_t outstanding[TARGETS];
    struct skein_pick picks[200];
    uint32_t pick_count;
};

static void
change_targets(struct model *model, uint64_t what, uint32_t id)
{
    bool there = model->there[id];
    if (what == 0) {
        uint32_t weight = 1 + (uint32_t)prng_below(&model->prng, 9);
        int rc = skein_balancer_add(model->balancer, id_of(id), weight);
        assert_int_equal(rc, there ? -SKEIN_EEXIST : 0);
        model->up[id] = there ? model->up[id] : true;
        model->there[id] = true;
    } else if (what == 1) {
        int rc = skein_balancer_remove(model->balancer, id_of(id));
        assert_int_equal(rc, there ? 0 : -SKEIN_ENOTFOUND);
        model->there[id] = model->up[id] = false;
        model->outstanding[id] = 0;
    } else if (there) {
        model->up[id] = prng_chance(&model->prng, 2, 3);
        assert_int_equal(skein_balancer_set_up(model->balancer, id_of(id), model->up[id]), 0);
    }
}

static void
end_one(struct model *model, uint64_t now_ns)
{
    uint32_t which = (uint32_t)prng_below(&model->prng, model->pick_count);
    struct skein_pick pick = model->picks[which];
    struct skein_target_status before = {0}, after = {0};
    model->picks[which] = model->picks[--model->pick_count];
    (void)!skein_balancer_status(model->balancer, pick.target, &before);
    skein_balancer_done(model->balancer, &pick, prng_chance(&model->prng, 9, 10), now_ns);
    (void)!skein_balancer_status(model->balancer, pick.target, &after);
    model->outstanding[pick.target.value] -= before.outstanding_count - after.outstanding_count;
}

static void
begin_one(struct model *model, uint32_t id, uint64_t now_ns)
{
    struct skein_target_id tried[2] = {id_of((id + 1) % TARGETS), id_of(id)};
    struct skein_ask ask = {.key = prng_next(&model->prng), .avoid = tried, .avoid_count = 2};
    struct skein_pick *pick = &model->picks[model->pick_count];
    bool any = false;
    for (uint32_t i = 0; i < TARGETS; i++)
        any |= model->up[i] && i != tried[0].value && i != tried[1].value;
    int rc = skein_balancer_pick(model->balancer, &ask, pick, now_ns);
    assert_int_equal(rc, any ? 0 : -SKEIN_ENOTFOUND);
    if (rc < 0)
        return;
    uint32_t chosen = pick->target.value;
    assert_true(model->up[chosen] && chosen != tried[0].value && chosen != tried[1].value);
    model->outstanding[chosen]++;
    model->pick_count++;
}

/* For every kind: drawn targets go down, come back, are removed and added while requests are under
 * way; nothing is picked that may not be, and every request that began is accounted for. */
static void
only_what_may_is_picked(void **state)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct model model = {.balancer = open_kind(seed % KIND_COUNT, seed)};
        prng_init(&model.prng, seed);
        for (uint64_t step = 0; step < 2000; step++) {
            uint32_t id = (uint32_t)prng_below(&model.prng, TARGETS);
            uint64_t what = prng_below(&model.prng, 12);
            if (what < 3)
                change_targets(&model, what, id);
            else if (what < 7 && model.pick_count > 0)
                end_one(&model, step);
            else if (model.pick_count < BASE_COUNT_OF(model.picks))
                begin_one(&model, id, step);
            for (uint32_t i = 0; i < TARGETS; i++) {
                struct skein_target_status status;
                if (!model.there[i])
                    continue;
                assert_int_equal(skein_balancer_status(model.balancer, id_of(i), &status), 0);
                assert_int_equal(status.outstanding_count, model.outstanding[i]);
            }
        }
        skein_balancer_close(model.balancer);
    }
}

static void
same_calls_same_picks(void **state)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct skein_balancer *a = open_kind(kind, 5), *b = open_kind(kind, 5);
        for (uint32_t i = 0; i < 7; i++) {
            add(a, i, i + 1);
            add(b, i, i + 1);
        }
        for (uint64_t i = 0; i < 1000; i++) {
            struct skein_pick pick_a, pick_b;
            assert_int_equal(pick_for(a, i, &pick_a), pick_for(b, i, &pick_b));
            if (i % 3) {
                skein_balancer_done(a, &pick_a, true, i);
                skein_balancer_done(b, &pick_b, true, i);
            }
        }
        skein_balancer_close(a);
        skein_balancer_close(b);
    }
}

static void
round_robin_takes_turns(void **state)
{
    struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_ROUND_ROBIN, 0);
    for (uint32_t i = 0; i < 5; i++)
        add(balancer, i, 1 + 100 * i);
    for (uint32_t i = 0; i < 25; i++)
        assert_int_equal(pass_through(balancer, 0), i % 5);
    /* Next is 0. What goes in front of the cursor or behind it makes nobody miss a turn. */
    assert_int_equal(pass_through(balancer, 0), 0);
    assert_int_equal(pass_through(balancer, 0), 1);
    assert_int_equal(skein_balancer_remove(balancer, id_of(0)), 0);
    assert_int_equal(pass_through(balancer, 0), 2);
    assert_int_equal(skein_balancer_remove(balancer, id_of(4)), 0);
    assert_int_equal(pass_through(balancer, 0), 3);
    assert_int_equal(pass_through(balancer, 0), 1);
    skein_balancer_close(balancer);
}

/* In every window of the weights' sum each target has exactly its weight, and is spread in it. */
static void
weighted_is_exact_and_smooth(void **state)
{
    static const uint32_t expected[] = {0, 0, 1, 0, 2, 0, 0};
    struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_WEIGHTED, 0);
    add(balancer, 0, 5);
    add(balancer, 1, 1);
    add(balancer, 2, 1);
    for (uint32_t i = 0; i < 70; i++)
        assert_int_equal(pass_through(balancer, 0), expected[i % 7]);
    skein_balancer_close(balancer);
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct prng prng;
        uint32_t weights[8], counts[8] = {0}, sum = 0;
        prng_init(&prng, seed);
        balancer = open_kind(SKEIN_BALANCER_WEIGHTED, 0);
        for (uint32_t i = 0; i < 8; i++) {
            weights[i] = 1 + (uint32_t)prng_below(&prng, 50);
            sum += weights[i];
            add(balancer, i, weights[i]);
        }
        for (uint32_t i = 0; i < 3 * sum; i++)
            counts[pass_through(balancer, 0)]++;
        for (uint32_t i = 0; i < 8; i++)
            assert_int_equal(counts[i], 3 * weights[i]);
        skein_balancer_close(balancer);
    }
}

static void
least_connections_levels(void **state)
{
    struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_LEAST_CONNECTIONS, 0);
    struct skein_pick picks[40];
    uint32_t counts[3] = {0};
    add(balancer, 0, 1);
    add(balancer, 1, 2);
    add(balancer, 2, 1);
    for (int i = 0; i < 40; i++)
        counts[pick_for(balancer, 0, &picks[i])]++;
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[1], 20);
    assert_int_equal(counts[2], 10);
    for (int i = 0; i < 40; i++)
        if (picks[i].target.value == 2)
            skein_balancer_done(balancer, &picks[i], true, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pick_for(balancer, 0, &picks[0]), 2);
    skein_balancer_close(balancer);
    /* Equals take turns. */
    balancer = open_kind(SKEIN_BALANCER_LEAST_CONNECTIONS, 0);
    for (uint32_t i = 0; i < 4; i++)
        add(balancer, i, 1);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pass_through(balancer, 0), i % 4);
    skein_balancer_close(balancer);
}

#define KEYS 20000

/* Keys are spread by weight; when one target of n goes exactly its keys move, when it comes back
 * they move back. */
static void
hash_moves_only_what_it_must(void **state)
{
    static const uint32_t weight_sets[2][5] = {{1, 1, 1, 1, 1}, {1, 2, 3, 4, 10}};
    for (int set = 0; set < 2; set++) {
        const uint32_t *weights = weight_sets[set];
        uint32_t sum = 0, counts[5] = {0}, moved_count = 0;
        struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_IP_HASH, 99);
        uint8_t *before = malloc(KEYS);
        for (uint32_t i = 0; i < 5; i++) {
            add(balancer, i, weights[i]);
            sum += weights[i];
        }
        for (uint64_t key = 0; key < KEYS; key++)
            counts[before[key] = (uint8_t)pass_through(balancer, key)]++;
        for (uint32_t i = 0; i < 5; i++) {
            double share = (double)counts[i] / KEYS, due = (double)weights[i] / sum;
            assert_true(share > 0.93 * due - 0.003 && share < 1.07 * due + 0.003);
        }
        assert_int_equal(skein_balancer_set_up(balancer, id_of(2), false), 0);
        for (uint64_t key = 0; key < KEYS; key++) {
            uint32_t now = pass_through(balancer, key);
            assert_true(now != 2);
            assert_true(before[key] == 2 || now == before[key]);
        }
        assert_int_equal(skein_balancer_remove(balancer, id_of(2)), 0);
        add(balancer, 2, weights[2]);
        for (uint64_t key = 0; key < KEYS; key++)
            assert_int_equal(pass_through(balancer, key), before[key]);
        /* A new target takes its share from the others and moves nothing between them. */
        add(balancer, 5, weights[4]);
        for (uint64_t key = 0; key < KEYS; key++) {
            uint32_t now = pass_through(balancer, key);
            assert_true(now == 5 || now == before[key]);
            moved_count += now == 5;
        }
        double due = (double)weights[4] / (sum + weights[4]);
        assert_true((double)moved_count / KEYS > 0.93 * due);
        assert_true((double)moved_count / KEYS < 1.07 * due);
        free(before);
        skein_balancer_close(balancer);
    }
}

/* With n requests put on n targets and left there, one choice gives a maximum of about
 * log n / log log n; two choices give about log log n. */
static void
two_choices_are_even(void **state)
{
    uint32_t worst = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct skein_balancer_options options = SKEIN_BALANCER_OPTIONS_INIT;
        struct skein_balancer *balancer;
        struct skein_pick pick;
        uint32_t counts[1000] = {0};
        options.kind = SKEIN_BALANCER_RANDOM_TWO;
        options.seed = seed;
        options.target_count_max = 1000;
        assert_int_equal(skein_balancer_open(&balancer, &options), 0);
        for (uint32_t i = 0; i < 1000; i++)
            add(balancer, i, 1);
        for (int i = 0; i < 1000; i++) {
            uint32_t id = pick_for(balancer, 0, &pick);
            worst = ++counts[id] > worst ? counts[id] : worst;
        }
        skein_balancer_close(balancer);
    }
    assert_true(worst <= 4);
}

static void
random_two_is_uniform_when_idle(void **state)
{
    struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_RANDOM_TWO, 3);
    uint32_t counts[10] = {0};
    for (uint32_t i = 0; i < 10; i++)
        add(balancer, i, 1);
    for (int i = 0; i < 20000; i++)
        counts[pass_through(balancer, 0)]++;
    for (uint32_t i = 0; i < 10; i++)
        assert_true(counts[i] > 1800 && counts[i] < 2200);
    skein_balancer_close(balancer);
}

/* One target slows down: it loses nearly all traffic at once, and gets it back when the peak has
 * faded and it is quick again. */
static void
response_time_follows_peaks(void **state)
{
    struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_RESPONSE_TIME, 0);
    uint64_t now_ns = 1000000000, second_ns = 1000000000;
    uint32_t counts[3][3] = {0};
    struct prng prng;
    prng_init(&prng, 4);
    for (uint32_t i = 0; i < 3; i++)
        add(balancer, i, 1);
    for (int phase = 0; phase < 3; phase++) {
        for (int i = 0; i < 3000; i++) {
            struct skein_pick pick;
            assert_int_equal(skein_balancer_pick(balancer, NULL, &pick, now_ns), 0);
            uint32_t id = pick.target.value;
            counts[phase][id]++;
            uint64_t latency_ns = prng_range(&prng, 500000, 1500000);
            latency_ns += phase == 1 && id == 0 ? 100000000 : 0;
            skein_balancer_done(balancer, &pick, true, now_ns + latency_ns);
            now_ns += 1000000;
        }
        if (phase == 1)
            now_ns += 60 * second_ns;
    }
    assert_true(counts[0][0] > 800);
    assert_true(counts[1][0] < 20);
    assert_true(counts[2][0] > 600);
    skein_balancer_close(balancer);
}

/* A target that refuses quickly must not look like a quick one. */
static void
quick_failures_attract_nobody(void **state)
{
    struct skein_balancer *balancer = open_kind(SKEIN_BALANCER_RESPONSE_TIME, 0);
    uint32_t failed_count = 0;
    add(balancer, 0, 1);
    add(balancer, 1, 1);
    for (uint64_t i = 0; i < 1000; i++) {
        struct skein_pick pick;
        uint64_t now_ns = 1000000000 + i * 1000000;
        assert_int_equal(skein_balancer_pick(balancer, NULL, &pick, now_ns), 0);
        bool fails = pick.target.value == 0;
        failed_count += fails;
        skein_balancer_done(balancer, &pick, !fails, now_ns + (fails ? 1000 : 5000000));
    }
    assert_true(failed_count <= 2);
    skein_balancer_close(balancer);
}

static void
decay_halves(void **state)
{
    assert_int_equal(balancer_decay(1000, 0, 10), 1000);
    assert_int_equal(balancer_decay(1000, 5, 10), 750);
    assert_int_equal(balancer_decay(1000, 10, 10), 500);
    assert_int_equal(balancer_decay(1000, 20, 10), 250);
    assert_int_equal(balancer_decay(UINT64_MAX, UINT64_MAX, 1), 0);
    uint64_t last = UINT64_MAX;
    for (uint64_t at = 0; at < 1000; at++) {
        uint64_t value = balancer_decay(1ull << 40, at, 17);
        assert_true(value <= last);
        last = value;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(only_what_may_is_picked),
        cmocka_unit_test(same_calls_same_picks),
        cmocka_unit_test(round_robin_takes_turns),
        cmocka_unit_test(weighted_is_exact_and_smooth),
        cmocka_unit_test(least_connections_levels),
        cmocka_unit_test(hash_moves_only_what_it_must),
        cmocka_unit_test(two_choices_are_even),
        cmocka_unit_test(random_two_is_uniform_when_idle),
        cmocka_unit_test(response_time_follows_peaks),
        cmocka_unit_test(quick_failures_attract_nobody),
        cmocka_unit_test(decay_halves),
    };
    return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}
