/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what is scraped is what was counted, in every format, whatever the labels hold: strict
 * readers (metric_check.h) read it back to the same samples.
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
#include "base/prng.h"
#include "obs/metric_check.h"
#include "skein/metrics.h"

#define ROUNDS 300

struct pump {
    uint64_t strokes;
    int64_t depth;
    uint32_t valves;
    bool broken;
    struct skein_histogram *latency;
    struct skein_summary *pressure;
};

static int64_t
read_twice(const void *object)
{
    return 2 * (int64_t)((const struct pump *)object)->valves;
}

static const struct skein_metric rows[] = {
    {"pump_strokes_total", "Strokes \\ done,\nby \"hand\".", SKEIN_COUNTER,
     SKEIN_FIELD(struct pump, strokes)},
    {"pump_depth_bytes", "Depth.", SKEIN_GAUGE, SKEIN_FIELD(struct pump, depth), .decimals = 3},
    {"pump_valves", "Valves.", SKEIN_GAUGE, SKEIN_FIELD(struct pump, valves)},
    {"pump_broken", "Broken.", SKEIN_GAUGE, SKEIN_FIELD(struct pump, broken)},
    {"pump_twice", "Twice the valves.", SKEIN_GAUGE, .read = read_twice},
    {"pump_stroke_seconds", "Time of a stroke.", SKEIN_HISTOGRAM, SKEIN_FIELD(struct pump, latency),
     .decimals = 9},
    {"pump_pressure", "Pressure.", SKEIN_SUMMARY, SKEIN_FIELD(struct pump, pressure)},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct text {
    char *data;
    size_t count;
    size_t pieces;
    size_t fail_at; /* the piece that is refused; 0: none */
};

static int
put(void *owner, const char *piece, size_t bytes)
{
    struct text *text = owner;
    if (++text->pieces == text->fail_at)
        return -SKEIN_ECLOSED;
    text->data = realloc(text->data, text->count + bytes + 1);
    memcpy(text->data + text->count, piece, bytes);
    text->count += bytes;
    text->data[text->count] = '\0';
    return 0;
}

static struct skein_snapshot *
snapshot_of(struct skein_metrics *metrics)
{
    struct skein_snapshot *snapshot = skein_snapshot_open();
    uint64_t cursor = 0;
    while (skein_metrics_snapshot(metrics, snapshot, &cursor, 3))
        ;
    return snapshot;
}

static struct text
write_as(struct skein_metrics *metrics, enum skein_metric_format format, uint64_t wall_ns)
{
    struct text text = {0};
    struct skein_snapshot *snapshot = snapshot_of(metrics);
    assert_int_equal(skein_snapshot_write(snapshot, format, wall_ns, put, &text), 0);
    skein_snapshot_close(snapshot);
    return text;
}

/* ---- golden ---- */

static void
each_format_says_what_was_counted(void **state)
{
    static const char *const expected[] = {
        [SKEIN_FORMAT_PROMETHEUS] = "# HELP pump_depth_bytes Depth.\n"
                                    "# TYPE pump_depth_bytes gauge\n"
                                    "pump_depth_bytes{site=\"a\\\\b\\\"c\\nd\"} -1.5\n"
                                    "# HELP pump_strokes_total Strokes \\\\ done,\\nby \"hand\".\n"
                                    "# TYPE pump_strokes_total counter\n"
                                    "pump_strokes_total{site=\"a\\\\b\\\"c\\nd\"} 7\n",
        [SKEIN_FORMAT_OPENMETRICS] = "# HELP pump_depth_bytes Depth.\n"
                                     "# TYPE pump_depth_bytes gauge\n"
                                     "# UNIT pump_depth_bytes bytes\n"
                                     "pump_depth_bytes{site=\"a\\\\b\\\"c\\nd\"} -1.5\n"
                                     "# HELP pump_strokes Strokes \\\\ done,\\nby \\\"hand\\\".\n"
                                     "# TYPE pump_strokes counter\n"
                                     "pump_strokes_total{site=\"a\\\\b\\\"c\\nd\"} 7\n"
                                     "# EOF\n",
        [SKEIN_FORMAT_JSON] =
            "{\"metrics\":[\n"
            "{\"name\":\"pump_depth_bytes\",\"kind\":\"gauge\",\"help\":\"Depth.\",\"series\":["
            "{\"labels\":{\"site\":\"a\\\\b\\\"c\\u000ad\"},\"value\":-1.5}]},\n"
            "{\"name\":\"pump_strokes_total\",\"kind\":\"counter\",\"help\":\"Strokes \\\\ done,"
            "\\u000aby \\\"hand\\\".\",\"series\":["
            "{\"labels\":{\"site\":\"a\\\\b\\\"c\\u000ad\"},\"value\":7}]}\n]}\n",
        [SKEIN_FORMAT_CSV] =
            "name,kind,labels,field,value\r\n"
            "pump_depth_bytes,gauge,\"site=\"\"a\\\\b\\\"\"c\\nd\"\"\",value,-1.5\r\n"
            "pump_strokes_total,counter,\"site=\"\"a\\\\b\\\"\"c\\nd\"\"\",value,7\r\n",
        [SKEIN_FORMAT_INFLUX] = "pump_depth_bytes,site=a\\\\b\"c\\nd value=-1.5 42\n"
                                "pump_strokes_total,site=a\\\\b\"c\\nd value=7i 42\n",
    };
    struct pump pump = {.strokes = 7, .depth = -1500};
    struct skein_label label = {"site", "a\\b\"c\nd"};
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    skein_metrics_remove(metrics, metrics); /* its own */
    assert_int_equal(skein_metrics_add(metrics, &pump, rows, 2, &label, 1), 0);
    for (int i = 0; i < SKEIN_FORMAT_COUNT; i++) {
        struct text text = write_as(metrics, (enum skein_metric_format)i, 42);
        assert_string_equal(text.data, expected[i]);
        free(text.data);
        assert_int_equal(skein_format_find(skein_format_name((enum skein_metric_format)i)), i);
        assert_non_null(skein_format_content_type((enum skein_metric_format)i));
    }
    assert_int_equal(skein_format_find("yaml"), -1);
    skein_metrics_close(metrics);
}

static void
distributions_have_buckets_and_quantiles(void **state)
{
    struct pump pump = {0};
    struct skein_histogram_options nanoseconds = {.lowest = 1, .highest = 16, .digits = 2};
    struct skein_histogram_options bars = {.lowest = 1, .highest = 1000, .digits = 3};
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    skein_metrics_remove(metrics, metrics);
    assert_int_equal(skein_histogram_open(&pump.latency, &nanoseconds), 0);
    assert_int_equal(skein_summary_open(&pump.pressure, &bars, 1000), 0);
    assert_int_equal(skein_metrics_add(metrics, &pump, rows + 5, 2, NULL, 0), 0);
    skein_histogram_record(pump.latency, 3);
    skein_histogram_record(pump.latency, 9);
    skein_histogram_record(pump.latency, 99); /* above the range */
    struct text text = write_as(metrics, SKEIN_FORMAT_OPENMETRICS, 0);
    assert_string_equal(text.data, "# HELP pump_pressure Pressure.\n"
                                   "# TYPE pump_pressure summary\n"
                                   "pump_pressure{quantile=\"0.5\"} NaN\n"
                                   "pump_pressure{quantile=\"0.9\"} NaN\n"
                                   "pump_pressure{quantile=\"0.99\"} NaN\n"
                                   "pump_pressure{quantile=\"0.999\"} NaN\n"
                                   "pump_pressure_sum 0\n"
                                   "pump_pressure_count 0\n"
                                   "# HELP pump_stroke_seconds Time of a stroke.\n"
                                   "# TYPE pump_stroke_seconds histogram\n"
                                   "# UNIT pump_stroke_seconds seconds\n"
                                   "pump_stroke_seconds_bucket{le=\"0.000000002\"} 0\n"
                                   "pump_stroke_seconds_bucket{le=\"0.000000004\"} 1\n"
                                   "pump_stroke_seconds_bucket{le=\"0.000000008\"} 1\n"
                                   "pump_stroke_seconds_bucket{le=\"0.000000016\"} 2\n"
                                   "pump_stroke_seconds_bucket{le=\"+Inf\"} 3\n"
                                   "pump_stroke_seconds_sum 0.000000111\n"
                                   "pump_stroke_seconds_count 3\n"
                                   "# EOF\n");
    free(text.data);
    skein_summary_record(pump.pressure, 40, 10);
    text = write_as(metrics, SKEIN_FORMAT_INFLUX, 0);
    assert_string_equal(text.data,
                        "pump_pressure count=1i,sum=40i,min=40i,max=40i,p50=40i,p90=40i,p99=40i,"
                        "p999=40i\n"
                        "pump_stroke_seconds count=3i,sum=0.000000111,min=0.000000003,"
                        "max=0.000000099,p50=0.000000009,p90=0.000000099,p99=0.000000099,"
                        "p999=0.000000099\n");
    free(text.data);
    skein_metrics_close(metrics);
    skein_histogram_close(pump.latency);
    skein_summary_close(pump.pressure);
}

/* ---- round trips ---- */

/* Bytes of any kind, the awkward ones often; one time in four valid UTF-8 beyond ASCII. */
static void
draw_value(struct prng *random, char out[40])
{
    static const char awkward[] = "\\\"\n\r,= {}\t\x7f\xff\xc3\xa4'#";
    size_t count = (size_t)prng_range(random, 0, 30);
    for (size_t i = 0; i < count; i++)
        out[i] = prng_chance(random, 1, 2) ? awkward[prng_range(random, 0, sizeof(awkward) - 2)]
                                           : (char)prng_range(random, 1, 255);
    out[count] = '\0';
    if (prng_chance(random, 1, 4))
        snprintf(out, 40, "gr\xc3\xbc\xc3\x9f\xe2\x82\xac\xf0\x9f\xa6\xa2");
}

static void
compare_lists(const struct metric_check *a, const struct metric_check *b, uint64_t seed)
{
    if (a->count != b->count)
        fail_msg("seed %llu: %zu samples and %zu", (unsigned long long)seed, a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_string_equal(a->lines[i], b->lines[i]);
}

static void
check_format(struct skein_metrics *metrics, enum skein_metric_format format, bool timestamps,
             struct metric_check *check)
{
    struct text text = write_as(metrics, format, timestamps ? 1700000000000000000u : 0);
    switch (format) {
    case SKEIN_FORMAT_PROMETHEUS:
    case SKEIN_FORMAT_OPENMETRICS:
        metric_check_prometheus(check, text.data, text.count, format == SKEIN_FORMAT_OPENMETRICS);
        break;
    case SKEIN_FORMAT_JSON:
        metric_check_json(check, text.data, text.count);
        break;
    case SKEIN_FORMAT_CSV:
        metric_check_csv(check, text.data, text.count);
        break;
    case SKEIN_FORMAT_INFLUX:
        metric_check_influx(check, text.data, text.count, timestamps);
        break;
    }
    if (check->why[0])
        fail_msg("%s: %s\n%s", skein_format_name(format), check->why, text.data);
    free(text.data);
}

static void
draw_pump(struct prng *random, struct pump *pump)
{
    static const struct skein_histogram_options options = {
        .lowest = 1000, .highest = 60000000000, .digits = 1};
    *pump = (struct pump){.strokes = prng_next(random) >> prng_range(random, 0, 63),
                          .depth = (int64_t)(prng_next(random) >> prng_range(random, 1, 63)),
                          .valves = (uint32_t)prng_range(random, 0, UINT32_MAX),
                          .broken = prng_chance(random, 1, 2)};
    if (prng_chance(random, 1, 2))
        pump->depth = -pump->depth;
    if (prng_chance(random, 1, 4))
        return;
    assert_int_equal(skein_histogram_open(&pump->latency, &options), 0);
    assert_int_equal(skein_summary_open(&pump->pressure, &options, 100), 0);
    for (uint64_t i = prng_range(random, 0, 50); i > 0; i--) {
        uint64_t value = prng_next(random) >> prng_range(random, 0, 63);
        skein_histogram_record(pump->latency, value);
        skein_summary_record(pump->pressure, value, 1000 - i);
    }
}

static void
random_labels_and_values_come_back(void **state)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct prng random;
        struct pump pumps[4];
        struct metric_check meant = {0}, meant_full = {0};
        prng_init(&random, seed);
        struct skein_metrics *metrics = skein_metrics_open(NULL);
        size_t count = (size_t)prng_range(&random, 1, 4);
        for (size_t i = 0; i < count; i++) {
            char first[40], second[40];
            draw_pump(&random, &pumps[i]);
            draw_value(&random, first);
            draw_value(&random, second);
            struct skein_label labels[] = {{"zone", first}, {"a", second}};
            assert_int_equal(skein_metrics_add(metrics, &pumps[i], rows, ROW_COUNT, labels,
                                               (size_t)prng_range(&random, 0, 2)),
                             0);
        }
        check_format(metrics, SKEIN_FORMAT_CSV, false, &meant_full);
        for (int format = 0; format < SKEIN_FORMAT_INFLUX; format++) {
            struct metric_check check = {0};
            check_format(metrics, (enum skein_metric_format)format, false, &check);
            /* OpenMetrics' reader and the others agree on names: counters end in _total. */
            compare_lists(&meant_full, &check, seed);
            metric_check_deinit(&check);
        }
        check_format(metrics, SKEIN_FORMAT_INFLUX, seed % 2, &meant);
        assert_int_equal(meant.count, meant_full.count);
        metric_check_deinit(&meant);
        metric_check_deinit(&meant_full);
        skein_metrics_close(metrics);
        for (size_t i = 0; i < count; i++) {
            skein_histogram_close(pumps[i].latency);
            skein_summary_close(pumps[i].pressure);
        }
    }
}

/* The lists above compare formats with each other; this one with the values themselves. */
static void
values_come_back_as_they_were(void **state)
{
    static const uint64_t values[] = {0, 1, 999, 1000, UINT64_C(1) << 53, INT64_MAX, UINT64_MAX};
    static const struct skein_metric row = {"pump_strokes_total", "x", SKEIN_COUNTER,
                                            SKEIN_FIELD(struct pump, strokes)};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct pump pump = {.strokes = values[i]};
        struct skein_label label = {"v", "a\tb"};
        char line[128];
        struct skein_metrics *metrics = skein_metrics_open(NULL);
        skein_metrics_remove(metrics, metrics);
        assert_int_equal(skein_metrics_add(metrics, &pump, &row, 1, &label, 1), 0);
        snprintf(line, sizeof(line), "pump_strokes_total{v=a\tb;} %.17g", (double)values[i]);
        for (int format = 0; format < SKEIN_FORMAT_COUNT; format++) {
            struct metric_check check = {0};
            check_format(metrics, (enum skein_metric_format)format, false, &check);
            assert_int_equal(check.count, 1);
            assert_string_equal(check.lines[0], line);
            metric_check_deinit(&check);
        }
        skein_metrics_close(metrics);
    }
}

static void
a_writer_that_fails_ends_the_text(void **state)
{
    struct pump pump = {0};
    struct skein_metrics *metrics = skein_metrics_open(NULL);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "pump %d", i);
        struct skein_label label = {"name", name};
        assert_int_equal(skein_metrics_add(metrics, &pump, rows, 4, &label, 1), 0);
    }
    struct skein_snapshot *snapshot = snapshot_of(metrics);
    for (int format = 0; format < SKEIN_FORMAT_COUNT; format++) {
        struct text text = {.fail_at = 2};
        assert_int_equal(
            skein_snapshot_write(snapshot, (enum skein_metric_format)format, 0, put, &text),
            -SKEIN_ECLOSED);
        assert_int_equal(text.pieces, 2);
        free(text.data);
    }
    skein_snapshot_close(snapshot);
    skein_metrics_close(metrics);
}

static void
the_readers_refuse_what_is_wrong(void **state)
{
    static const char *const wrong[] = {
        "a 1",                                                /* no newline */
        "# HELP a x\n# TYPE a counter\na 1\n# HELP a x\n",    /* twice */
        "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n",           /* open quote */
        "# HELP a x\n# TYPE a gauge\na{b=\"\\x\"} 1\n",       /* escape */
        "# HELP a x\n# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n", /* a label twice */
        "# HELP a x\n# TYPE a gauge\na 1\na 1\n",             /* a sample twice */
        "# HELP a x\n# TYPE a gauge\na 01\n",                 /* number */
        "# HELP a x\n# TYPE a gauge\nb 1\n",                  /* stranger */
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"2.0\"} 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 3\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct metric_check check = {0};
        metric_check_prometheus(&check, wrong[i], strlen(wrong[i]), false);
        if (!check.why[0])
            fail_msg("accepted: %s", wrong[i]);
        metric_check_deinit(&check);
    }
    struct metric_check check = {0};
    metric_check_prometheus(&check, "", 0, true);
    assert_string_not_equal(check.why, "");
    metric_check_deinit(&check);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_says_what_was_counted),
        cmocka_unit_test(distributions_have_buckets_and_quantiles),
        cmocka_unit_test(random_labels_and_values_come_back),
        cmocka_unit_test(values_come_back_as_they_were),
        cmocka_unit_test(a_writer_that_fails_ends_the_text),
        cmocka_unit_test(the_readers_refuse_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
