/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBS_METRIC_CHECK_H
#define OBS_METRIC_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Strict readers of the text formats, for tests: written from the formats' specifications, not from
 * the writers. Each collects the samples of counters and gauges as lines of one shape, whatever the
 * format was, so that formats can be compared with each other and with what was meant:
 *
 *     name{a=<value>;b=<value>;} 17 significant digits
 *
 * (values as they were before any escaping, names in order). The first fault ends the reading and
 * stands in `why`.
 */
struct metric_check {
    char **lines;
    size_t count, capacity;
    size_t sample_count; /* of every kind */
    char why[256];       /* "" when nothing is wrong */
};

void metric_check_deinit(struct metric_check *check);
void metric_check_fail(struct metric_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One sample as it is read. */
struct metric_sample {
    char name[256];
    struct {
        char name[256], value[600];
    } labels[16];
    size_t label_count;
    double value;
};
/* metric_check_keep - append @sample's line, without the labels whose value is "" when @drop_empty.
 */
void metric_check_keep(struct metric_check *check, const struct metric_sample *sample,
                       bool drop_empty);
/* metric_check_number - a whole decimal number as every format has it; false: it is none. */
bool metric_check_number(const char *text, size_t bytes, double *out_value);

void metric_check_prometheus(struct metric_check *check, const char *text, size_t bytes,
                             bool openmetrics);
void metric_check_json(struct metric_check *check, const char *text, size_t bytes);
void metric_check_csv(struct metric_check *check, const char *text, size_t bytes);
void metric_check_influx(struct metric_check *check, const char *text, size_t bytes,
                         bool timestamps);

#endif
