/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a histogram knows every value to the digits it was asked for, within the memory it was
 * given, and merging is the same as recording in one; a summary forgets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/prng.h"
#include "skein/metrics.h"

static struct skein_histogram *
histogram_of(uint64_t lowest, uint64_t highest, uint8_t digits)
{
    struct skein_histogram *h;
    struct skein_histogram_options options = {lowest, highest, digits};
    assert_int_equal(skein_histogram_open(&h, &options), 0);
    return h;
}

static void
bad_options_are_refused(void **state)
{
    static const struct skein_histogram_options bad[] = {
        {0, 100, 2},        {100, 199, 2},
        {1, 100, 0},        {1, 100, 5},
        {1, 0, 1},          {UINT64_MAX, UINT64_MAX, 1},
        {1, UINT64_MAX, 3}, {(uint64_t)1 << 60, (uint64_t)1 << 62, 4},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct skein_histogram *h = NULL;
        assert_int_equal(skein_histogram_open(&h, &bad[i]), -SKEIN_EINVALID);
        assert_null(h);
    }
    skein_histogram_close(NULL);
}

static void
every_value_is_known_to_its_digits(void **state)
{
    static const double error[] = {0, 0.1, 0.01, 0.001, 0.0001};
    struct prng random;
    prng_init(&random, 7);
    for (uint8_t digits = 1; digits <= 4; digits++) {
        for (int i = 0; i < 4000; i++) {
            uint64_t lowest = prng_chance(&random, 1, 2) ? 1 : 1000;
            struct skein_histogram *h = histogram_of(lowest, 3600000000000, digits);
            uint64_t value = prng_next(&random) >> prng_range(&random, 23, 63);
            if (value > 3600000000000)
                value = 3600000000000;
            skein_histogram_record(h, value);
            /* One more above, so that the answer is the step's end and not the maximum. */
            skein_histogram_record(h, 3600000000000);
            uint64_t got = skein_histogram_quantile(h, 0.5);
            assert_true(got >= value);
            assert_true((double)(got - value) <= (double)value * error[digits] + (double)lowest);
            assert_int_equal(skein_histogram_min(h), value);
            assert_int_equal(skein_histogram_max(h), 3600000000000);
            skein_histogram_close(h);
            if (digits == 4 && i > 200)
                break; /* big ones */
        }
    }
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void
quantiles_are_those_of_the_sorted_values(void **state)
{
    static const double quantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    struct skein_histogram *h = histogram_of(1, 1000000, 3);
    static uint64_t values[10001];
    const size_t count = sizeof(values) / sizeof(values[0]);
    struct prng random;
    prng_init(&random, 11);
    for (size_t i = 0; i < count; i++) {
        values[i] = prng_range(&random, 0, 1000000) >> prng_range(&random, 0, 12);
        skein_histogram_record(h, values[i]);
    }
    qsort(values, count, sizeof(values[0]), compare);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double place = quantiles[i] * (double)count;
        size_t at = (size_t)place;
        at = (double)at < place ? at + 1 : at;
        uint64_t exact = values[at ? at - 1 : 0];
        uint64_t got = skein_histogram_quantile(h, quantiles[i]);
        assert_true(got >= exact && (double)got <= (double)exact * 1.001 + 1);
    }
    for (uint64_t limit = 1; limit <= 1 << 19; limit *= 2) {
        uint64_t below = 0;
        while (below < count && values[below] < limit)
            below++;
        assert_int_equal(skein_histogram_below(h, limit), below);
    }
    assert_int_equal(skein_histogram_below(h, 2000000), count);
    skein_histogram_close(h);
}

static void
nothing_is_there_when_empty(void **state)
{
    struct skein_histogram *h = histogram_of(1, 100, 1);
    assert_int_equal(skein_histogram_quantile(h, 0.5), 0);
    assert_int_equal(skein_histogram_min(h), 0);
    assert_int_equal(skein_histogram_max(h), 0);
    assert_int_equal(skein_histogram_below(h, 64), 0);
    skein_histogram_record_n(h, 5, 0);
    assert_int_equal(skein_histogram_count(h), 0);
    skein_histogram_close(h);
}

static void
what_is_above_the_range_is_counted_and_told(void **state)
{
    struct skein_histogram *h = histogram_of(1, 1000, 2);
    skein_histogram_record(h, 1000);
    skein_histogram_record_n(h, UINT64_MAX, 3);
    assert_int_equal(skein_histogram_count(h), 4);
    assert_int_equal(skein_histogram_saturated(h), 3);
    assert_int_equal(skein_histogram_max(h), UINT64_MAX);
    assert_int_equal(skein_histogram_sum(h), UINT64_MAX);
    assert_int_equal(skein_histogram_below(h, 2048), 1);
    assert_int_equal(skein_histogram_below(h, 512), 0);
    assert_int_equal(skein_histogram_quantile(h, 1), UINT64_MAX);
    skein_histogram_reset(h);
    assert_int_equal(skein_histogram_count(h), 0);
    assert_int_equal(skein_histogram_saturated(h), 0);
    skein_histogram_close(h);
}

static void
memory_is_what_the_header_says(void **state)
{
    struct skein_histogram *two = histogram_of(1000, 60000000000, 2);
    struct skein_histogram *three = histogram_of(1000, 60000000000, 3);
    assert_in_range(skein_histogram_bytes(two), 16 << 10, 22 << 10);
    assert_in_range(skein_histogram_bytes(three), 128 << 10, 168 << 10);
    for (uint64_t bit = 0; bit < 64; bit++)
        skein_histogram_record(two, (uint64_t)1 << bit);
    assert_int_equal(skein_histogram_count(two), 64);
    skein_histogram_close(two);
    skein_histogram_close(three);
}

static void
merging_is_recording_in_one(void **state)
{
    struct skein_histogram *all = histogram_of(10, 100000, 2);
    struct skein_histogram *parts[2] = {histogram_of(10, 100000, 2), histogram_of(10, 100000, 2)};
    struct skein_histogram *other = histogram_of(1, 1000, 3);
    struct prng random;
    prng_init(&random, 3);
    for (int i = 0; i < 5000; i++) {
        uint64_t value = prng_range(&random, 0, 150000);
        skein_histogram_record(all, value);
        skein_histogram_record(parts[i % 2], value);
    }
    skein_histogram_merge(parts[0], parts[1]);
    for (double quantile = 0; quantile <= 1; quantile += 0.01)
        assert_int_equal(skein_histogram_quantile(parts[0], quantile),
                         skein_histogram_quantile(all, quantile));
    assert_int_equal(skein_histogram_sum(parts[0]), skein_histogram_sum(all));
    assert_int_equal(skein_histogram_saturated(parts[0]), skein_histogram_saturated(all));
    /* Other options: nothing is lost, only where it was is known less well. */
    skein_histogram_merge(other, all);
    assert_int_equal(skein_histogram_count(other), 5000);
    assert_int_equal(skein_histogram_sum(other), skein_histogram_sum(all));
    assert_true(skein_histogram_saturated(other) > 4000);
    skein_histogram_merge(other, parts[1]);
    assert_int_equal(skein_histogram_count(other), 7500);
    skein_histogram_close(all);
    skein_histogram_close(parts[0]);
    skein_histogram_close(parts[1]);
    skein_histogram_close(other);
}

static void
a_summary_forgets_after_two_windows(void **state)
{
    struct skein_summary *summary;
    struct skein_histogram_options options = {1, 1000, 3};
    assert_int_equal(skein_summary_open(&summary, &options, 0), -SKEIN_EINVALID);
    assert_int_equal(skein_summary_open(&summary, &options, 100), 0);
    skein_summary_record(summary, 500, 1000);
    skein_summary_record(summary, 1, 1099);
    assert_int_equal(skein_summary_quantile(summary, 1), 500);
    skein_summary_record(summary, 2, 1100);
    assert_int_equal(skein_summary_quantile(summary, 1), 500); /* the window before */
    skein_summary_record(summary, 3, 1200);
    assert_int_equal(skein_summary_quantile(summary, 1), 3);
    skein_summary_record(summary, 4, 1500); /* two windows and more without a value */
    assert_int_equal(skein_summary_quantile(summary, 0), 4);
    assert_int_equal(skein_summary_count(summary), 5);
    assert_int_equal(skein_summary_sum(summary), 510);
    skein_summary_close(summary);
    skein_summary_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(every_value_is_known_to_its_digits),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(nothing_is_there_when_empty),
        cmocka_unit_test(what_is_above_the_range_is_counted_and_told),
        cmocka_unit_test(memory_is_what_the_header_says),
        cmocka_unit_test(merging_is_recording_in_one),
        cmocka_unit_test(a_summary_forgets_after_two_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
