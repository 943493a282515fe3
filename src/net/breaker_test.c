/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the breaker opens, probes and closes as its diagram says and never lets more probes through
 * than it may; timeouts follow latencies; retries stay within their budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/prng.h"
#include "skein/breaker.h"

#define MS 1000000ull

static const struct skein_breaker_options breaker_options = {
    .window_ns = 1000 * MS,
    .call_count_min = 10,
    .failure_per_mille = 500,
    .open_ns = 100 * MS,
    .open_ns_max = 350 * MS,
    .probe_count = 2,
};

static struct skein_breaker
breaker_new(uint64_t now_ns)
{
    struct skein_breaker breaker;
    assert_int_equal(skein_breaker_init(&breaker, &breaker_options, now_ns), 0);
    return breaker;
}

static void
call(struct skein_breaker *breaker, enum skein_outcome outcome, uint64_t now_ns)
{
    struct skein_breaker_pass pass;
    assert_int_equal(skein_breaker_allow(breaker, &pass, now_ns), 0);
    skein_breaker_report(breaker, &pass, outcome, now_ns);
}

static void
bad_options_are_refused(void **state)
{
    struct skein_breaker breaker;
    struct skein_adaptive adaptive;
    struct skein_retry_budget budget;
    struct skein_breaker_options b[6];
    for (size_t i = 0; i < BASE_COUNT_OF(b); i++)
        b[i] = breaker_options;
    b[0].window_ns = 0;
    b[1].call_count_min = 0;
    b[2].failure_per_mille = 1001;
    b[3].open_ns = 0;
    b[4].open_ns_max = b[4].open_ns - 1;
    b[5].probe_count = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(b); i++)
        assert_int_equal(skein_breaker_init(&breaker, &b[i], 0), -SKEIN_EINVALID);
    struct skein_adaptive_options a = SKEIN_ADAPTIVE_OPTIONS_INIT;
    assert_int_equal(skein_adaptive_init(&adaptive, &a), 0);
    a.quantile_per_mille = 1000;
    assert_int_equal(skein_adaptive_init(&adaptive, &a), -SKEIN_EINVALID);
    a = (struct skein_adaptive_options)SKEIN_ADAPTIVE_OPTIONS_INIT;
    a.timeout_ns_max = a.timeout_ns_min - 1;
    assert_int_equal(skein_adaptive_init(&adaptive, &a), -SKEIN_EINVALID);
    struct skein_retry_options r = SKEIN_RETRY_OPTIONS_INIT;
    assert_int_equal(skein_retry_init(&budget, &r), 0);
    r.attempt_count_max = 0;
    assert_int_equal(skein_retry_init(&budget, &r), -SKEIN_EINVALID);
}

static void
few_calls_never_open_it(void **state)
{
    struct skein_breaker breaker = breaker_new(0);
    for (int i = 0; i < 9; i++)
        call(&breaker, SKEIN_OUTCOME_FAILED, 5 * MS);
    assert_int_equal(skein_breaker_now(&breaker, 5 * MS), SKEIN_BREAKER_CLOSED);
    /* They leave the window: 9 new ones are again too few. */
    for (int i = 0; i < 9; i++)
        call(&breaker, SKEIN_OUTCOME_FAILED, 1100 * MS);
    assert_int_equal(skein_breaker_now(&breaker, 1100 * MS), SKEIN_BREAKER_CLOSED);
    call(&breaker, SKEIN_OUTCOME_FAILED, 1100 * MS);
    assert_int_equal(skein_breaker_now(&breaker, 1100 * MS), SKEIN_BREAKER_OPEN);
}

static void
fewer_failures_than_the_share_do_not_open_it(void **state)
{
    struct skein_breaker breaker = breaker_new(0);
    for (uint64_t i = 0; i < 10000; i++)
        call(&breaker, i % 5 > 2 ? SKEIN_OUTCOME_FAILED : SKEIN_OUTCOME_OK, i * MS);
    for (uint64_t i = 0; i < 10000; i++)
        call(&breaker, SKEIN_OUTCOME_NONE, (10000 + i) * MS);
    assert_int_equal(breaker.state, SKEIN_BREAKER_CLOSED);
}

static void
open_breaker(struct skein_breaker *breaker, uint64_t now_ns)
{
    while (breaker->state == SKEIN_BREAKER_CLOSED)
        call(breaker, SKEIN_OUTCOME_FAILED, now_ns);
}

static void
half_open_has_a_budget(void **state)
{
    struct skein_breaker breaker = breaker_new(0);
    struct skein_breaker_pass late, one, two, three;
    assert_int_equal(skein_breaker_allow(&breaker, &late, MS), 0);
    open_breaker(&breaker, MS);
    assert_int_equal(skein_breaker_allow(&breaker, &one, MS), -SKEIN_EBUSY);
    assert_int_equal(skein_breaker_allow(&breaker, &one, 100 * MS), -SKEIN_EBUSY);
    assert_int_equal(skein_breaker_now(&breaker, 101 * MS), SKEIN_BREAKER_HALF_OPEN);
    assert_int_equal(skein_breaker_allow(&breaker, &one, 101 * MS), 0);
    assert_int_equal(skein_breaker_allow(&breaker, &two, 101 * MS), 0);
    assert_int_equal(skein_breaker_allow(&breaker, &three, 101 * MS), -SKEIN_EBUSY);
    /* A call from before it opened says nothing about now. */
    skein_breaker_report(&breaker, &late, SKEIN_OUTCOME_FAILED, 102 * MS);
    assert_int_equal(breaker.state, SKEIN_BREAKER_HALF_OPEN);
    skein_breaker_report(&breaker, &one, SKEIN_OUTCOME_NONE, 102 * MS);
    assert_int_equal(skein_breaker_allow(&breaker, &three, 102 * MS), 0);
    skein_breaker_report(&breaker, &two, SKEIN_OUTCOME_OK, 102 * MS);
    assert_int_equal(breaker.state, SKEIN_BREAKER_HALF_OPEN);
    skein_breaker_report(&breaker, &three, SKEIN_OUTCOME_OK, 103 * MS);
    assert_int_equal(breaker.state, SKEIN_BREAKER_CLOSED);
}

static void
reopening_lasts_longer_up_to_a_limit(void **state)
{
    static const uint64_t open_ms[] = {100, 200, 350, 350};
    struct skein_breaker breaker = breaker_new(0);
    uint64_t now_ns = MS;
    open_breaker(&breaker, now_ns);
    for (size_t i = 0; i < BASE_COUNT_OF(open_ms); i++) {
        struct skein_breaker_pass pass;
        assert_int_equal(skein_breaker_allow(&breaker, &pass, now_ns + open_ms[i] * MS - 1),
                         -SKEIN_EBUSY);
        now_ns += open_ms[i] * MS;
        call(&breaker, SKEIN_OUTCOME_FAILED, now_ns);
        assert_int_equal(breaker.state, SKEIN_BREAKER_OPEN);
    }
    now_ns += 350 * MS;
    call(&breaker, SKEIN_OUTCOME_OK, now_ns);
    call(&breaker, SKEIN_OUTCOME_OK, now_ns);
    open_breaker(&breaker, now_ns);
    assert_int_equal(breaker.until_ns, now_ns + 100 * MS);
}

/* Drawn calls that overlap: never more probes under way than the budget, and nothing wedges. */
static void
probes_never_exceed_the_budget(void **state)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct skein_breaker breaker = breaker_new(0);
        struct skein_breaker_pass passes[64];
        struct prng prng;
        uint64_t now_ns = 0, closed_count = 0;
        uint32_t pass_count = 0;
        prng_init(&prng, seed);
        for (int step = 0; step < 5000; step++) {
            now_ns += prng_below(&prng, 5 * MS);
            if (pass_count < BASE_COUNT_OF(passes) && prng_chance(&prng, 1, 2))
                pass_count += skein_breaker_allow(&breaker, &passes[pass_count], now_ns) == 0;
            else if (pass_count > 0) {
                uint32_t which = (uint32_t)prng_below(&prng, pass_count);
                struct skein_breaker_pass pass = passes[which];
                passes[which] = passes[--pass_count];
                uint64_t bad = step / 1000 % 2 ? 9 : 1;
                bool failed = prng_chance(&prng, bad, 10);
                skein_breaker_report(&breaker, &pass,
                                     failed ? SKEIN_OUTCOME_FAILED : SKEIN_OUTCOME_OK, now_ns);
            }
            assert_true(breaker.probing_count + breaker.probe_ok_count <= 2);
            closed_count += breaker.state == SKEIN_BREAKER_CLOSED;
        }
        assert_true(closed_count > 500 && closed_count < 5000);
    }
}

static void
timeouts_follow_latencies(void **state)
{
    struct skein_adaptive adaptive;
    struct skein_adaptive_options options = {.quantile_per_mille = 990,
                                             .factor_percent = 200,
                                             .timeout_ns_min = MS,
                                             .timeout_ns_max = 1000 * MS,
                                             .sample_count = 1000};
    assert_int_equal(skein_adaptive_init(&adaptive, &options), 0);
    assert_int_equal(skein_adaptive_timeout_ns(&adaptive), 1000 * MS);
    for (int i = 0; i < 15; i++)
        skein_adaptive_observe(&adaptive, 10);
    assert_int_equal(skein_adaptive_timeout_ns(&adaptive), 1000 * MS);
    skein_adaptive_observe(&adaptive, 10);
    assert_int_equal(skein_adaptive_timeout_ns(&adaptive), MS);
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 5000; i++) /* 10 to 20 ms: the 99th is 19.9 */
        skein_adaptive_observe(&adaptive, prng_range(&prng, 10 * MS, 20 * MS));
    uint64_t timeout_ns = skein_adaptive_timeout_ns(&adaptive);
    assert_true(timeout_ns >= 2 * 198 * MS / 10 && timeout_ns <= 2 * 226 * MS / 10);
    /* The service now takes 150 ms: the timeout grows until answers come within it. */
    int count = 0;
    while (skein_adaptive_timeout_ns(&adaptive) < 150 * MS && count++ < 10000)
        skein_adaptive_observe(&adaptive, skein_adaptive_timeout_ns(&adaptive));
    assert_true(count < 100);
    for (int i = 0; i < 20000; i++)
        skein_adaptive_observe(&adaptive, 2 * MS);
    assert_true(skein_adaptive_timeout_ns(&adaptive) < 5 * MS);
    for (int i = 0; i < 3000; i++)
        skein_adaptive_observe(&adaptive, UINT64_MAX);
    assert_int_equal(skein_adaptive_timeout_ns(&adaptive), 1000 * MS);
}

static void
every_latency_is_below_its_timeout(void **state)
{
    for (uint64_t latency_ns = 1; latency_ns < UINT64_MAX / 3; latency_ns += latency_ns / 8 + 1) {
        struct skein_adaptive adaptive;
        struct skein_adaptive_options options = {990, 100, 1, UINT64_MAX, 32};
        assert_int_equal(skein_adaptive_init(&adaptive, &options), 0);
        for (int i = 0; i < 20; i++)
            skein_adaptive_observe(&adaptive, latency_ns);
        uint64_t timeout_ns = skein_adaptive_timeout_ns(&adaptive);
        assert_true(timeout_ns >= latency_ns);
        assert_true(timeout_ns == UINT64_MAX || timeout_ns <= latency_ns + latency_ns / 7);
    }
}

static void
retries_stay_within_the_budget(void **state)
{
    struct skein_retry_budget budget;
    struct skein_retry_options options = {.attempt_count_max = 3,
                                          .delay_ns = 10,
                                          .delay_ns_max = 35,
                                          .ratio_per_mille = 100,
                                          .saved_count_max = 5};
    uint64_t delay_ns = 0;
    uint32_t retry_count = 0;
    assert_int_equal(skein_retry_init(&budget, &options), 0);
    assert_int_equal(skein_retry_take(&budget, 2, 0, &delay_ns), -SKEIN_EBUSY);
    for (int i = 0; i < 1000; i++) { /* everything fails */
        skein_retry_call(&budget);
        for (uint32_t attempt = 0; skein_retry_take(&budget, attempt, 1, &delay_ns) == 0; attempt++)
            retry_count++;
    }
    /* 5 were saved, the first call found them full, and 999 paid a tenth each. */
    assert_int_equal(retry_count, 5 + 99);
    for (int i = 0; i < 1000; i++)
        skein_retry_call(&budget);
    assert_int_equal(budget.saved_milli, 5000);
}

static void
backoff_is_jittered_and_grows(void **state)
{
    struct skein_retry_budget budget;
    struct skein_retry_options options = {100, 10, 35, 1000, 1};
    static const uint64_t caps_ns[] = {10, 20, 35, 35};
    assert_int_equal(skein_retry_init(&budget, &options), 0);
    for (uint32_t attempt = 0; attempt < BASE_COUNT_OF(caps_ns); attempt++) {
        uint64_t delay_ns = 1, sum_ns = 0;
        struct prng prng;
        prng_init(&prng, attempt);
        for (int i = 0; i < 1000; i++) {
            skein_retry_call(&budget);
            assert_int_equal(skein_retry_take(&budget, attempt, prng_next(&prng), &delay_ns), 0);
            assert_true(delay_ns <= caps_ns[attempt]);
            sum_ns += delay_ns;
        }
        assert_true(sum_ns > 450 * caps_ns[attempt] && sum_ns < 550 * caps_ns[attempt]);
    }
    uint64_t delay_ns = 0;
    skein_retry_call(&budget);
    assert_int_equal(skein_retry_take(&budget, 98, UINT64_MAX, &delay_ns), 0);
    assert_int_equal(delay_ns, 35);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(few_calls_never_open_it),
        cmocka_unit_test(fewer_failures_than_the_share_do_not_open_it),
        cmocka_unit_test(half_open_has_a_budget),
        cmocka_unit_test(reopening_lasts_longer_up_to_a_limit),
        cmocka_unit_test(probes_never_exceed_the_budget),
        cmocka_unit_test(timeouts_follow_latencies),
        cmocka_unit_test(every_latency_is_below_its_timeout),
        cmocka_unit_test(retries_stay_within_the_budget),
        cmocka_unit_test(backoff_is_jittered_and_grows),
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
