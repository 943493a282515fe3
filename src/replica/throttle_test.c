/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: over any stretch of time no more passes than the rate and one burst, and no less when it is
 * wanted; rates at both ends, pieces larger than the bucket, clocks that stand still.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/prng.h"
#include "replica/throttle.h"

#define SECOND_NS UINT64_C(1000000000)

static void
test_none(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 0, 5);
    for (int i = 0; i < 100; i++)
        assert_int_equal(throttle_take(&throttle, 1u << 30, 5), 0);
    throttle_init(&throttle, THROTTLE_RATE_MAX, 5);
    assert_int_equal(throttle_take(&throttle, 1u << 30, 5), 0);
}

static void
test_rates(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1000, 1 << 20, 100u << 20, THROTTLE_RATE_MAX - 1};
    struct prng prng;
    prng_init(&prng, 1);
    for (size_t r = 0; r < BASE_COUNT_OF(rates); r++) {
        struct throttle throttle;
        uint64_t begun_ns = 77 * SECOND_NS, now_ns = begun_ns, passed = 0;
        uint64_t burst =
            rates[r] / 10 > THROTTLE_BURST_BYTES_MIN ? rates[r] / 10 : THROTTLE_BURST_BYTES_MIN;
        throttle_init(&throttle, rates[r], now_ns);
        for (int i = 0; i < 5000; i++) {
            uint64_t piece = 1 + prng_below(&prng, 256u << 10);
            now_ns += throttle_take(&throttle, piece, now_ns);
            passed += piece;
            /* it goes at now_ns: what went by then */
            double most = (double)(now_ns - begun_ns) / 1e9 * (double)rates[r] + (double)burst;
            assert_true((double)passed <= most + 1);
        }
        /* who wanted more than the rate all the time got the rate */
        double wanted_s = passed > burst ? (double)(passed - burst) / (double)rates[r] : 0;
        double took_s = (double)(now_ns - begun_ns) / 1e9;
        assert_true(took_s >= wanted_s * 0.999 && took_s <= wanted_s * 1.001 + 5000 * 1e-6);
    }
}

static void
test_pauses(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 1u << 20, 0);
    assert_int_equal(throttle_take(&throttle, THROTTLE_BURST_BYTES_MIN, 0), 0);
    uint64_t wait_ns = throttle_take(&throttle, 1u << 20, 0);
    assert_true(wait_ns >= SECOND_NS && wait_ns < SECOND_NS + 2000);
    /* a clock that stands still, or comes from elsewhere, gives nothing */
    assert_true(throttle_take(&throttle, 1u << 20, 0) >= 2 * SECOND_NS);
    /* a long pause: one burst and no more */
    assert_int_equal(throttle_take(&throttle, THROTTLE_BURST_BYTES_MIN, 1000 * SECOND_NS), 0);
    wait_ns = throttle_take(&throttle, 1024, 1000 * SECOND_NS);
    assert_true(wait_ns >= SECOND_NS / 1024 && wait_ns < SECOND_NS / 1024 + 2000);
    /* asked every few nanoseconds it fills all the same */
    throttle_init(&throttle, 1000, 0);
    throttle_take(&throttle, THROTTLE_BURST_BYTES_MIN + 1, 0);
    for (uint64_t at_ns = 0; at_ns < SECOND_NS / 100; at_ns += 700)
        throttle_take(&throttle, 0, at_ns);
    assert_true(throttle.tokens >= 8 && throttle.tokens <= 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
