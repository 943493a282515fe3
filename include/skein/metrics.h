/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_METRICS_H
#define SKEIN_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Metrics: counters, gauges, histograms and summaries of one shard, and their text.
 *
 * A value lives where it is counted: a plain integer in the object that it describes, which the hot
 * path increments and nothing else knows of. A registry holds pointers to such objects and rows
 * that say which of their fields is called what. There is one registry a shard (skein_shard_metrics
 * in skein/shard.h), so there are no atomics and no locks.
 *
 *     struct pump { uint64_t strokes; uint32_t valves_open; struct skein_histogram *latency; };
 *     static const struct skein_metric rows[] = {
 *         {"pump_strokes_total", "Strokes done.", SKEIN_COUNTER, SKEIN_FIELD(struct pump,
 * strokes)},
 *         {"pump_valves", "Valves open.", SKEIN_GAUGE, SKEIN_FIELD(struct pump, valves_open)},
 *         {"pump_stroke_seconds", "Length of a stroke.", SKEIN_HISTOGRAM,
 *          SKEIN_FIELD(struct pump, latency), .decimals = 9},
 *     };
 *     rc = skein_metrics_add(metrics, pump, rows, 3, NULL, 0);
 *     ...
 *     skein_metrics_remove(metrics, pump);
 *
 * A scrape is in two parts, so that it never holds a shard up:
 *
 *     registry of shard 0 --skein_metrics_snapshot--+
 *     registry of shard 1 --skein_metrics_snapshot--+--> snapshot --skein_snapshot_write--> text
 *                        (each on its own shard, a few series at a time)    (may suspend)
 *
 * Series of the same name and labels, of one shard or of several, are added up.
 *
 * Names are Prometheus': [a-zA-Z_:][a-zA-Z0-9_:]*, in base units (seconds, bytes) that end the
 * name, `_total` behind a counter's. Integers are stored in the unit that is at hand, and printed
 * as the base unit: `decimals` shifts the point, exactly (9: nanoseconds print as seconds).
 */

enum skein_metric_kind { SKEIN_COUNTER, SKEIN_GAUGE, SKEIN_HISTOGRAM, SKEIN_SUMMARY };

/* How gauges of the same name and labels become one. */
enum skein_metric_merge { SKEIN_MERGE_SUM, SKEIN_MERGE_MAX };

/* One row: what a field of an object is called. A row is borrowed while it is registered, its texts
 * for ever: they are literals. */
struct skein_metric {
    const char *name;
    const char *help;
    enum skein_metric_kind kind;
    /* The field: an integer of 1, 4 or 8 bytes (unsigned; a gauge of 8 bytes is signed), or a
     * pointer to a struct skein_histogram or skein_summary, which may be NULL: nothing is there. */
    uint32_t field_offset;
    uint32_t field_bytes;
    uint8_t decimals; /* 0 to 18 */
    enum skein_metric_merge merge;
    /* For counters and gauges, instead of a field: asked at each scrape; cheap, does not suspend.
     */
    int64_t (*read)(const void *object);
};

/* A field of a struct skein_metric row: offset and size, by position. */
#define SKEIN_FIELD(type, member) (uint32_t) offsetof(type, member), sizeof(((type *)0)->member)

/* ---- the registry ---- */

struct skein_metrics;

/* Labels of one series. Names: [a-zA-Z_][a-zA-Z0-9_]*, not "le", "quantile", nor beginning with two
 * underscores. Values may hold anything: what is not UTF-8 is replaced, and they are cut at
 * SKEIN_LABEL_BYTES_MAX. */
struct skein_label {
    const char *name;
    const char *value;
};
#define SKEIN_LABELS_MAX 8
#define SKEIN_LABEL_BYTES_MAX 128

struct skein_metrics_options {
    uint32_t series_max;        /* of the registry; 0: 10000 */
    uint32_t family_series_max; /* of one name; 0: 1000 */
};

/* skein_metrics_open - @options: NULL for the defaults. */
struct skein_metrics *skein_metrics_open(const struct skein_metrics_options *options);
/* skein_metrics_close - @metrics may be NULL. What is still registered is forgotten. */
void skein_metrics_close(struct skein_metrics *metrics);

/*
 * skein_metrics_add - one series a row, all with the same labels.
 * @object: borrowed until skein_metrics_remove. @labels: copied.
 * **Returns** 0; -SKEIN_EINVALID: a name is malformed, or stands for something else already (kind,
 * decimals; a counter's also without its _total); -SKEIN_EAGAIN: a limit of series; then none of
 * the rows is added, and the refusal is counted in skein_metrics_refused_total.
 */
int skein_metrics_add(struct skein_metrics *metrics, const void *object,
                      const struct skein_metric *rows, size_t row_count,
                      const struct skein_label *labels, size_t label_count) SKEIN_MUST_CHECK;

/* skein_metrics_remove - every series of @object; none is no error. */
void skein_metrics_remove(struct skein_metrics *metrics, const void *object);

/* skein_metrics_series - how many there are. */
uint32_t skein_metrics_series(const struct skein_metrics *metrics);

/*
 * Counters by a label whose values are not known beforehand. The first @values_max values get a
 * series each, all others share one whose label is "other".
 */
struct skein_counter_set;
/* **Returns** as skein_metrics_add; @row: a SKEIN_COUNTER (its field is not looked at). */
int skein_counter_set_open(struct skein_counter_set **out_set, struct skein_metrics *metrics,
                           const struct skein_metric *row, const char *label_name,
                           uint32_t values_max) SKEIN_MUST_CHECK;
/* skein_counter_set_at - the counter of @value, to be incremented; stays where it is until close.
 * O(1); allocates when a value is new. */
uint64_t *skein_counter_set_at(struct skein_counter_set *set, const char *value);
void skein_counter_set_close(struct skein_counter_set *set);

/* ---- histograms ---- */

/*
 * A log-linear histogram of integers: each power of two from @lowest to @highest is divided into
 * equal steps, so that a value is known to @digits significant decimal digits (as HdrHistogram
 * does). Memory is fixed at open: 2 digits from 1 us to 60 s take 21 KiB, 3 digits 168 KiB.
 */
struct skein_histogram;

struct skein_histogram_options {
    uint64_t lowest;  /* at least 1: smaller values are told apart no finer than this */
    uint64_t highest; /* at least 2 * lowest: larger values count as this, and in `saturated` */
    uint8_t digits;   /* 1 to 4 */
};

/* **Returns** 0; -SKEIN_EINVALID: the options; -SKEIN_ENOMEM. */
int skein_histogram_open(struct skein_histogram **out_histogram,
                         const struct skein_histogram_options *options) SKEIN_MUST_CHECK;
void skein_histogram_close(struct skein_histogram *histogram);
/* skein_histogram_record - O(1), a few nanoseconds. */
void skein_histogram_record(struct skein_histogram *histogram, uint64_t value);
void skein_histogram_record_n(struct skein_histogram *histogram, uint64_t value, uint64_t count);
/* skein_histogram_reset - forget every value. */
void skein_histogram_reset(struct skein_histogram *histogram);
/* skein_histogram_merge - add what @from holds to @to; with other options it loses precision, never
 * values. */
void skein_histogram_merge(struct skein_histogram *to, const struct skein_histogram *from);
/* skein_histogram_quantile - the largest value that is equal, within the precision, to the one at
 * @quantile (0 to 1); 0 when empty. */
uint64_t skein_histogram_quantile(const struct skein_histogram *histogram, double quantile);
/* skein_histogram_below - how many values are < @limit: exactly when it is a power of two, else
 * those of the steps that end below it. A value above `highest` is below nothing. */
uint64_t skein_histogram_below(const struct skein_histogram *histogram, uint64_t limit);
uint64_t skein_histogram_count(const struct skein_histogram *histogram);
uint64_t skein_histogram_sum(const struct skein_histogram *histogram); /* saturates */
uint64_t skein_histogram_min(const struct skein_histogram *histogram); /* 0 when empty */
uint64_t skein_histogram_max(const struct skein_histogram *histogram); /* as recorded */
uint64_t skein_histogram_saturated(const struct skein_histogram *histogram);
size_t skein_histogram_bytes(const struct skein_histogram *histogram);

/*
 * A summary: quantiles of the last one to two windows, and the count and sum of all time. Printed
 * with the quantiles 0.5, 0.9, 0.99 and 0.999.
 */
struct skein_summary;
/* @window_ns: how long a value counts, at least. **Returns** as skein_histogram_open. */
int skein_summary_open(struct skein_summary **out_summary,
                       const struct skein_histogram_options *options,
                       uint64_t window_ns) SKEIN_MUST_CHECK;
void skein_summary_close(struct skein_summary *summary);
/* skein_summary_record - @now_ns: monotonic, never less than before. */
void skein_summary_record(struct skein_summary *summary, uint64_t value, uint64_t now_ns);
uint64_t skein_summary_quantile(const struct skein_summary *summary, double quantile);
uint64_t skein_summary_count(const struct skein_summary *summary);
uint64_t skein_summary_sum(const struct skein_summary *summary);

/* ---- scraping ---- */

struct skein_snapshot;

struct skein_snapshot *skein_snapshot_open(void);
void skein_snapshot_close(struct skein_snapshot *snapshot);

/*
 * skein_metrics_snapshot - add the values of up to @series_max series to @snapshot.
 * @cursor: 0 at first, then as it was left. Series that are added or removed between two calls are
 * in it or not; none is in it twice.
 * **Runs on** the registry's shard; does not suspend; O(series_max) and a histogram's size each.
 * **Returns** true: call again; false: that was all.
 */
bool skein_metrics_snapshot(struct skein_metrics *metrics, struct skein_snapshot *snapshot,
                            uint64_t *cursor, uint32_t series_max) SKEIN_MUST_CHECK;

/* skein_snapshot_merge - add what @from holds, of another shard, to @to. */
void skein_snapshot_merge(struct skein_snapshot *to, const struct skein_snapshot *from);

/*
 * skein_metrics_gather - add the values of every shard of the runtime to @snapshot; of this one,
 * where there is only one. Each shard takes its own, a few series at a time.
 * **Runs on** a fiber, suspends. **Returns** 0; what skein_call says: -SKEIN_ETIMEDOUT ...; then
 * @snapshot is as it was.
 */
int skein_metrics_gather(struct skein_snapshot *snapshot, uint64_t deadline_ns) SKEIN_MUST_CHECK;

enum skein_metric_format {
    SKEIN_FORMAT_PROMETHEUS, /* text format 0.0.4 */
    SKEIN_FORMAT_OPENMETRICS,
    SKEIN_FORMAT_JSON,
    SKEIN_FORMAT_CSV,   /* name,kind,labels,field,value; RFC 4180 */
    SKEIN_FORMAT_INFLUX /* line protocol */
};
#define SKEIN_FORMAT_COUNT 5
/* skein_format_name - "prometheus" and so on. skein_format_find - -1: no such format. */
const char *skein_format_name(enum skein_metric_format format);
int skein_format_find(const char *name);
/* skein_format_content_type - for HTTP. */
const char *skein_format_content_type(enum skein_metric_format format);

/*
 * skein_snapshot_write - the snapshot as text, in pieces of a few KiB.
 * @put: takes a piece; may suspend; a negative result ends the writing.
 * @wall_ns: printed where the format has room for it (Influx); 0: not.
 * **Returns** 0, or what @put returned.
 */
int skein_snapshot_write(const struct skein_snapshot *snapshot, enum skein_metric_format format,
                         uint64_t wall_ns, int (*put)(void *owner, const char *text, size_t bytes),
                         void *owner) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
