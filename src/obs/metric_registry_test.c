/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a registry refuses what would make an unreadable or unbounded scrape, forgets what is
 * removed, and a snapshot taken in pieces, of one shard or several, adds up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "obs/metric.h"

struct thing {
    uint64_t done;
    int64_t level;
    struct skein_histogram *histogram;
};

static const struct skein_metric done = {"t_done_total", "x", SKEIN_COUNTER,
                                         SKEIN_FIELD(struct thing, done)};
static const struct skein_metric level = {"t_level", "x", SKEIN_GAUGE,
                                          SKEIN_FIELD(struct thing, level)};
static const struct skein_metric highest = {
    "t_highest", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level), .merge = SKEIN_MERGE_MAX};

static void
malformed_rows_and_labels_are_refused(void **state)
{
    static const struct skein_metric bad[] = {
        {"", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"1a", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a b", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a\n", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a_total", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a", "x", SKEIN_COUNTER, SKEIN_FIELD(struct thing, done)},
        {"_total", "x", SKEIN_COUNTER, SKEIN_FIELD(struct thing, done)},
        {"a_sum", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a_bucket", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a", NULL, SKEIN_GAUGE, SKEIN_FIELD(struct thing, level)},
        {"a", "x", SKEIN_GAUGE, SKEIN_FIELD(struct thing, level), .decimals = 19},
        {"a", "x", SKEIN_GAUGE, 0, 3},
        {"a", "x", SKEIN_HISTOGRAM, 0, 4},
    };
    static const struct skein_label bad_labels[] = {{"", "x"},    {"a:b", "x"}, {"le", "x"},
                                                    {"__a", "x"}, {"9", "x"},   {"quantile", "x"},
                                                    {"a", NULL}};
    struct thing thing = {0};
    struct skein_label twice[] = {{"a", "1"}, {"a", "2"}};
    struct skein_label many[SKEIN_LABELS_MAX + 1];
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    uint32_t own = skein_metrics_series(metrics);
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++)
        assert_int_equal(skein_metrics_add(metrics, &thing, &bad[i], 1, NULL, 0), -SKEIN_EINVALID);
    for (size_t i = 0; i < BASE_COUNT_OF(bad_labels); i++)
        assert_int_equal(skein_metrics_add(metrics, &thing, &level, 1, &bad_labels[i], 1),
                         -SKEIN_EINVALID);
    assert_int_equal(skein_metrics_add(metrics, &thing, &level, 1, twice, 2), -SKEIN_EINVALID);
    for (size_t i = 0; i < BASE_COUNT_OF(many); i++)
        many[i] = (struct skein_label){"abcdefghij" + i, "x"};
    assert_int_equal(skein_metrics_add(metrics, &thing, &level, 1, many, BASE_COUNT_OF(many)),
                     -SKEIN_EINVALID);
    assert_int_equal(skein_metrics_add(metrics, &thing, &level, 1, many, SKEIN_LABELS_MAX), 0);
    assert_int_equal(skein_metrics_series(metrics), own + 1);
    skein_metrics_close(metrics);
}

static void
a_name_is_one_thing(void **state)
{
    struct thing thing = {0};
    struct skein_metric other = level;
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    assert_int_equal(skein_metrics_add(metrics, &thing, &level, 1, NULL, 0), 0);
    other.decimals = 3;
    assert_int_equal(skein_metrics_add(metrics, &thing, &other, 1, NULL, 0), -SKEIN_EINVALID);
    other = level;
    other.merge = SKEIN_MERGE_MAX;
    assert_int_equal(skein_metrics_add(metrics, &thing, &other, 1, NULL, 0), -SKEIN_EINVALID);
    /* Without its _total a counter would be called like it. */
    struct skein_metric counter = done;
    counter.name = "t_level_total";
    assert_int_equal(skein_metrics_add(metrics, &thing, &counter, 1, NULL, 0), -SKEIN_EINVALID);
    struct skein_metric both[] = {level, counter};
    both[0].name = "t_new";
    both[1].name = "t_new_total";
    assert_int_equal(skein_metrics_add(metrics, &thing, both, 2, NULL, 0), -SKEIN_EINVALID);
    assert_int_equal(skein_metrics_add(metrics, &thing, &done, 1, NULL, 0), 0);
    struct skein_metric gauge = level;
    gauge.name = "t_done";
    assert_int_equal(skein_metrics_add(metrics, &thing, &gauge, 1, NULL, 0), -SKEIN_EINVALID);
    /* Nobody has the name any more: it is free. */
    skein_metrics_remove(metrics, &thing);
    assert_int_equal(skein_metrics_add(metrics, &thing, &other, 1, NULL, 0), 0);
    skein_metrics_close(metrics);
}

static void
series_are_limited(void **state)
{
    struct skein_metrics_options options = {.series_max = 6, .family_series_max = 3};
    struct thing things[5];
    struct skein_metrics *metrics = skein_metrics_open(&options); /* has two of its own */
    struct skein_metric rows[] = {level, done};
    for (int i = 0; i < 3; i++)
        assert_int_equal(skein_metrics_add(metrics, &things[i], &level, 1, NULL, 0), 0);
    assert_int_equal(skein_metrics_add(metrics, &things[3], &level, 1, NULL, 0), -SKEIN_EAGAIN);
    /* All or nothing. */
    assert_int_equal(skein_metrics_add(metrics, &things[4], rows, 2, NULL, 0), -SKEIN_EAGAIN);
    assert_int_equal(skein_metrics_add(metrics, &things[4], &done, 1, NULL, 0), 0);
    assert_int_equal(skein_metrics_add(metrics, &things[4], &done, 1, NULL, 0), -SKEIN_EAGAIN);
    skein_metrics_remove(metrics, &things[1]);
    assert_int_equal(skein_metrics_add(metrics, &things[3], &level, 1, NULL, 0), 0);
    skein_metrics_close(metrics);
}

static const struct snapshot_series *
find(const struct skein_snapshot *snapshot, const char *name, size_t index)
{
    for (size_t i = 0; i < snapshot->count; i++)
        if (strcmp(snapshot->families[i].row.name, name) == 0)
            return index < snapshot->families[i].count ? &snapshot->families[i].series[index]
                                                       : NULL;
    return NULL;
}

static void
shards_add_up(void **state)
{
    struct skein_histogram_options options = {1, 1000, 2};
    static const struct skein_metric histogram = {"t_seconds", "x", SKEIN_HISTOGRAM,
                                                  SKEIN_FIELD(struct thing, histogram)};
    struct thing things[3] = {{.done = 1, .level = -5}, {.done = 10, .level = -2}, {.done = 100}};
    struct skein_metrics *shards[2] = {skein_metrics_open(NULL), skein_metrics_open(NULL)};
    struct skein_snapshot *snapshot = skein_snapshot_open();
    struct skein_metric rows[] = {done, level, highest, histogram};
    struct skein_label label = {"kind", "b"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(skein_histogram_open(&things[i].histogram, &options), 0);
        skein_histogram_record(things[i].histogram, 10u * (unsigned)i);
        assert_int_equal(skein_metrics_add(shards[i % 2], &things[i], rows, 4, &label, i == 2), 0);
    }
    for (int i = 0; i < 2; i++) {
        uint64_t cursor = 0;
        while (skein_metrics_snapshot(shards[i], snapshot, &cursor, 1))
            ;
    }
    assert_int_equal(find(snapshot, "t_done_total", 0)->value, 11);
    assert_int_equal(find(snapshot, "t_done_total", 1)->value, 100);
    assert_null(find(snapshot, "t_done_total", 2));
    assert_int_equal((int64_t)find(snapshot, "t_level", 0)->value, -7);
    assert_int_equal((int64_t)find(snapshot, "t_highest", 0)->value, -2);
    assert_int_equal(skein_histogram_count(find(snapshot, "t_seconds", 0)->histogram), 2);
    assert_int_equal(skein_histogram_sum(find(snapshot, "t_seconds", 0)->histogram), 10);
    skein_snapshot_close(snapshot);
    for (int i = 0; i < 3; i++)
        skein_histogram_close(things[i].histogram);
    skein_metrics_close(shards[0]);
    skein_metrics_close(shards[1]);
}

static void
a_snapshot_in_pieces_survives_removals(void **state)
{
    struct thing things[40];
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    struct skein_snapshot *snapshot = skein_snapshot_open();
    uint64_t cursor = 0;
    for (int i = 0; i < 40; i++) {
        char name[8];
        struct skein_label label = {"n", name};
        snprintf(name, sizeof(name), "%02d", i);
        things[i].done = 1;
        assert_int_equal(skein_metrics_add(metrics, &things[i], &done, 1, &label, 1), 0);
    }
    int removed = 0;
    while (skein_metrics_snapshot(metrics, snapshot, &cursor, 2)) {
        skein_metrics_remove(metrics, &things[removed++]);
        skein_metrics_remove(metrics, &things[39 - removed / 3]);
    }
    /* Each at most once; those that nobody removed are all there. */
    int seen = 0;
    for (size_t i = 0; find(snapshot, "t_done_total", i); i++) {
        assert_int_equal(find(snapshot, "t_done_total", i)->value, 1);
        seen++;
    }
    assert_in_range(seen, 25, 39);
    skein_snapshot_close(snapshot);
    skein_metrics_close(metrics);
}

static void
label_values_are_cut_and_made_utf8(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"", ""},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"a\xff", "a\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct metric_labels *packed;
        struct skein_label label = {"a", cases[i].from}, got;
        assert_int_equal(metric_labels_pack(&packed, &label, 1), 0);
        const char *at = packed->data;
        assert_true(metric_labels_next(packed, &at, &got));
        assert_string_equal(got.value, cases[i].to);
        assert_false(metric_labels_next(packed, &at, &got));
        mem_free(packed);
    }
    char value[1000];
    for (size_t count = 120; count < 140; count++) {
        struct metric_labels *packed;
        struct skein_label label = {"a", value}, got;
        memset(value, 'x', count);
        memcpy(value + count, "\xe2\x82\xac", 4);
        assert_int_equal(metric_labels_pack(&packed, &label, 1), 0);
        const char *at = packed->data;
        assert_true(metric_labels_next(packed, &at, &got));
        size_t whole = count + 3 <= SKEIN_LABEL_BYTES_MAX ? count + 3 : count;
        assert_int_equal(strlen(got.value),
                         whole < SKEIN_LABEL_BYTES_MAX ? whole : SKEIN_LABEL_BYTES_MAX);
        mem_free(packed);
    }
}

static void
a_set_counts_strangers_together(void **state)
{
    static const struct skein_metric row = {"t_by_total", "x", SKEIN_COUNTER};
    struct skein_counter_set *set;
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    uint32_t own = skein_metrics_series(metrics);
    assert_int_equal(skein_counter_set_open(&set, metrics, &row, "le", 3), -SKEIN_EINVALID);
    assert_int_equal(skein_counter_set_open(&set, metrics, &level, "by", 3), -SKEIN_EINVALID);
    assert_int_equal(skein_counter_set_open(&set, metrics, &row, "by", 3), 0);
    uint64_t *first = skein_counter_set_at(set, "a");
    for (int i = 0; i < 1000; i++) {
        char value[16];
        snprintf(value, sizeof(value), "v%d", i);
        ++*skein_counter_set_at(set, value);
        ++*skein_counter_set_at(set, "a");
    }
    assert_ptr_equal(skein_counter_set_at(set, "a"), first);
    assert_int_equal(*first, 1000);
    assert_int_equal(*skein_counter_set_at(set, "v0"), 1);
    assert_int_equal(*skein_counter_set_at(set, "v1"), 1);
    assert_int_equal(*skein_counter_set_at(set, "other"), 998);
    assert_ptr_equal(skein_counter_set_at(set, "v77"), skein_counter_set_at(set, "other"));
    assert_int_equal(skein_metrics_series(metrics), own + 4);
    skein_counter_set_close(set);
    assert_int_equal(skein_metrics_series(metrics), own);
    skein_metrics_close(metrics);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_rows_and_labels_are_refused),
        cmocka_unit_test(a_name_is_one_thing),
        cmocka_unit_test(series_are_limited),
        cmocka_unit_test(shards_add_up),
        cmocka_unit_test(a_snapshot_in_pieces_survives_removals),
        cmocka_unit_test(label_values_are_cut_and_made_utf8),
        cmocka_unit_test(a_set_counts_strangers_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
