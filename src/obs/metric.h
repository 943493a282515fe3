/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBS_METRIC_H
#define OBS_METRIC_H

#include "skein/metrics.h"

/*
 * What the files of the metrics share.
 *
 *   metric_registry.c   rows and objects of a shard       metric_histogram.c   log-linear counts
 *   metric_labels.c     labels, checked and packed        metric_summary.c     two windows of them
 *   metric_snapshot.c   values, merged                    metric_set.c         counters by a label
 *   metric_text.c       Prometheus, OpenMetrics           metric_data.c        JSON, CSV, Influx
 */

/* Labels of one series: sorted by name, as name\0value\0name\0value\0. One allocation. */
struct metric_labels {
    uint32_t count;
    uint32_t bytes;
    char data[];
};

/* metric_labels_pack - **Returns** 0, -SKEIN_EINVALID. **Ownership**: mem_free. */
int metric_labels_pack(struct metric_labels **out_packed, const struct skein_label *labels,
                       size_t count) SKEIN_MUST_CHECK;
struct metric_labels *metric_labels_copy(const struct metric_labels *labels);
/* metric_labels_compare - as memcmp, total. */
int metric_labels_compare(const struct metric_labels *a, const struct metric_labels *b);
/* metric_labels_next - walk: @at begins as data; false behind the last. */
bool metric_labels_next(const struct metric_labels *labels, const char **at,
                        struct skein_label *out_label);
/* metric_name_ok - [a-zA-Z_:][a-zA-Z0-9_:]*, at most 128 bytes. */
bool metric_name_ok(const char *name);
bool metric_label_name_ok(const char *name);

struct snapshot_series {
    struct metric_labels *labels;
    uint64_t value;                    /* counter; a gauge's as int64_t */
    struct skein_histogram *histogram; /* histogram; a summary's window */
    uint64_t count, sum;               /* of a summary, all time */
};

struct snapshot_family {
    struct skein_metric row;        /* one of those that have this name */
    struct snapshot_series *series; /* ordered by labels */
    size_t count, capacity;
};

struct skein_snapshot {
    struct snapshot_family *families; /* ordered by name */
    size_t count, capacity;
};

/* The quantiles that a summary prints, and how; JSON, CSV and Influx give them for histograms too.
 */
struct metric_quantile {
    double quantile;
    const char *text;  /* "0.99" */
    const char *field; /* "p99" */
};
#define METRIC_QUANTILES 4
extern const struct metric_quantile metric_quantiles[METRIC_QUANTILES];

/* What the options were: the powers of two that a histogram is printed with lie between them. */
uint64_t histogram_lowest(const struct skein_histogram *histogram);
uint64_t histogram_highest(const struct skein_histogram *histogram);
/* histogram_copy - an own copy of the same options and values. */
struct skein_histogram *histogram_copy(const struct skein_histogram *histogram);
/* summary_window - add the values of the current windows to *@histogram, which is made when NULL.
 */
void summary_window(const struct skein_summary *summary, struct skein_histogram **histogram);

/* snapshot_add - merge one value in. */
void snapshot_add(struct skein_snapshot *snapshot, const struct skein_metric *row,
                  const struct metric_labels *labels, const void *object);

/* Text under construction: handed to `put` whenever it is long enough. */
struct metric_text {
    char *data;
    size_t count, capacity;
    int (*put)(void *owner, const char *text, size_t bytes);
    void *owner;
    int rc; /* the first failure; nothing is put behind it */
};

void metric_put(struct metric_text *text, const char *plain);
void metric_put_bytes(struct metric_text *text, const char *data, size_t count);
void metric_put_u64(struct metric_text *text, uint64_t value);
/* metric_put_decimal - @value with the point @decimals places from its end, without zeros at the
 * end. @point: also a whole number gets one (1.0). */
void metric_put_decimal(struct metric_text *text, uint64_t value, bool negative, uint8_t decimals,
                        bool point);
/* metric_put_value - a counter's or gauge's. */
void metric_put_value(struct metric_text *text, const struct skein_metric *row, uint64_t value);
/* metric_put_escaped - each byte of @from in @specials gets a backslash; \n becomes \n in letters.
 */
void metric_put_escaped(struct metric_text *text, const char *from, const char *specials);
/* metric_put_labels - a="b",c="d" with Prometheus' escapes. */
void metric_put_labels(struct metric_text *text, const struct metric_labels *labels);
/* metric_flush - hand over what is there when there is much; with @all, whatever there is. */
void metric_flush(struct metric_text *text, bool all);

void metric_write_prometheus(struct metric_text *text, const struct skein_snapshot *snapshot,
                             bool openmetrics);
void metric_write_json(struct metric_text *text, const struct skein_snapshot *snapshot);
void metric_write_csv(struct metric_text *text, const struct skein_snapshot *snapshot);
void metric_write_influx(struct metric_text *text, const struct skein_snapshot *snapshot,
                         uint64_t wall_ns);

#endif
