/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

#define PIECE_BYTES ((size_t)4 << 10)

static const struct {
    const char *name;
    const char *content_type;
} formats[SKEIN_FORMAT_COUNT] = {
    [SKEIN_FORMAT_PROMETHEUS] = {"prometheus", "text/plain; version=0.0.4; charset=utf-8"},
    [SKEIN_FORMAT_OPENMETRICS] = {"openmetrics",
                                  "application/openmetrics-text; version=1.0.0; charset=utf-8"},
    [SKEIN_FORMAT_JSON] = {"json", "application/json"},
    [SKEIN_FORMAT_CSV] = {"csv", "text/csv; charset=utf-8; header=present"},
    [SKEIN_FORMAT_INFLUX] = {"influx", "text/plain; charset=utf-8"},
};

const char *
skein_format_name(enum skein_metric_format format)
{
    skein_assert((size_t)format < SKEIN_FORMAT_COUNT);
    return formats[format].name;
}

const char *
skein_format_content_type(enum skein_metric_format format)
{
    skein_assert((size_t)format < SKEIN_FORMAT_COUNT);
    return formats[format].content_type;
}

int
skein_format_find(const char *name)
{
    for (int i = 0; i < SKEIN_FORMAT_COUNT; i++)
        if (strcmp(name, formats[i].name) == 0)
            return i;
    return -1;
}

void
metric_put_bytes(struct metric_text *text, const char *data, size_t count)
{
    if (count == 0)
        return;
    if (text->capacity - text->count < count) {
        size_t wanted = text->capacity ? text->capacity * 2 : 2 * PIECE_BYTES;
        while (wanted - text->count < count)
            wanted *= 2;
        text->data = mem_realloc(text->data, wanted);
        text->capacity = wanted;
    }
    memcpy(text->data + text->count, data, count);
    text->count += count;
}

void
metric_put(struct metric_text *text, const char *plain)
{
    metric_put_bytes(text, plain, strlen(plain));
}

void
metric_flush(struct metric_text *text, bool all)
{
    if (text->count == 0 || (!all && text->count < PIECE_BYTES))
        return;
    if (text->rc >= 0)
        text->rc = text->put(text->owner, text->data, text->count);
    text->count = 0;
}

void
metric_put_u64(struct metric_text *text, uint64_t value)
{
    metric_put_decimal(text, value, false, 0, false);
}

void
metric_put_decimal(struct metric_text *text, uint64_t value, bool negative, uint8_t decimals,
                   bool point)
{
    char digits[48];
    size_t at = sizeof(digits);
    uint32_t left = decimals;
    while (left > 0 && value % 10 == 0) {
        value /= 10;
        left--;
    }
    if (left == 0 && point)
        digits[--at] = '0';
    if (left > 0 || point) {
        for (; left > 0; left--, value /= 10)
            digits[--at] = (char)('0' + value % 10);
        digits[--at] = '.';
    }
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative)
        digits[--at] = '-';
    metric_put_bytes(text, digits + at, sizeof(digits) - at);
}

void
metric_put_value(struct metric_text *text, const struct skein_metric *row, uint64_t value)
{
    bool negative = row->kind == SKEIN_GAUGE && (int64_t)value < 0;
    metric_put_decimal(text, negative ? 0 - value : value, negative, row->decimals, false);
}

void
metric_put_escaped(struct metric_text *text, const char *from, const char *specials)
{
    for (; *from; from++) {
        if (*from == '\n')
            metric_put(text, "\\n");
        else if (strchr(specials, *from))
            metric_put_bytes(text, (const char[]){'\\', *from}, 2);
        else
            metric_put_bytes(text, from, 1);
    }
}

void
metric_put_labels(struct metric_text *text, const struct metric_labels *labels)
{
    const char *at = labels->data;
    struct skein_label label;
    while (metric_labels_next(labels, &at, &label)) {
        if (label.name != labels->data)
            metric_put(text, ",");
        metric_put(text, label.name);
        metric_put(text, "=\"");
        metric_put_escaped(text, label.value, "\\\"");
        metric_put(text, "\"");
    }
}

/* ---- Prometheus 0.0.4 and OpenMetrics 1.0 ---- */

static bool
ends_with(const char *name, size_t bytes, const char *end)
{
    size_t end_bytes = strlen(end);
    return bytes >= end_bytes && memcmp(name + bytes - end_bytes, end, end_bytes) == 0;
}

/* An OpenMetrics family is named without its counter's _total. */
static size_t
family_bytes(const struct skein_metric *row, bool openmetrics)
{
    size_t bytes = strlen(row->name);
    return openmetrics && row->kind == SKEIN_COUNTER ? bytes - strlen("_total") : bytes;
}

static void
put_head_line(struct metric_text *text, const char *keyword, const struct skein_metric *row,
              bool openmetrics)
{
    metric_put(text, "# ");
    metric_put(text, keyword);
    metric_put(text, " ");
    metric_put_bytes(text, row->name, family_bytes(row, openmetrics));
    metric_put(text, " ");
}

static void
put_head(struct metric_text *text, const struct skein_metric *row, bool openmetrics)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "summary"};
    static const char *const units[] = {"seconds", "bytes"};
    size_t bytes = family_bytes(row, openmetrics);
    put_head_line(text, "HELP", row, openmetrics);
    metric_put_escaped(text, row->help, openmetrics ? "\\\"" : "\\");
    metric_put(text, "\n");
    put_head_line(text, "TYPE", row, openmetrics);
    metric_put(text, kinds[row->kind]);
    metric_put(text, "\n");
    for (size_t i = 0; openmetrics && i < BASE_COUNT_OF(units); i++) {
        char end[16];
        snprintf(end, sizeof(end), "_%s", units[i]);
        if (!ends_with(row->name, bytes, end))
            continue;
        put_head_line(text, "UNIT", row, true);
        metric_put(text, units[i]);
        metric_put(text, "\n");
    }
}

/* name_suffix{labels} and a space; put_sample_open: with the beginning of one label more. */
static void
put_sample(struct metric_text *text, const struct skein_metric *row, const char *suffix,
           const struct metric_labels *labels)
{
    metric_put(text, row->name);
    metric_put(text, suffix);
    if (labels->count > 0) {
        metric_put(text, "{");
        metric_put_labels(text, labels);
        metric_put(text, "}");
    }
    metric_put(text, " ");
}

static void
put_sample_open(struct metric_text *text, const struct skein_metric *row, const char *suffix,
                const struct metric_labels *labels, const char *extra)
{
    metric_put(text, row->name);
    metric_put(text, suffix);
    metric_put(text, "{");
    metric_put_labels(text, labels);
    metric_put(text, labels->count ? "," : "");
    metric_put(text, extra);
    metric_put(text, "=\"");
}

static void
put_sum_and_count(struct metric_text *text, const struct skein_metric *row,
                  const struct metric_labels *labels, uint64_t sum, uint64_t count)
{
    put_sample(text, row, "_sum", labels);
    metric_put_decimal(text, sum, false, row->decimals, false);
    metric_put(text, "\n");
    put_sample(text, row, "_count", labels);
    metric_put_u64(text, count);
    metric_put(text, "\n");
}

/* One bucket for each power of two in the range: exact, and the same at every scrape. */
static void
put_histogram(struct metric_text *text, const struct skein_metric *row,
              const struct snapshot_series *series)
{
    const struct skein_histogram *histogram = series->histogram;
    uint64_t edge = 1;
    while (edge <= histogram_lowest(histogram))
        edge *= 2;
    for (; edge <= histogram_highest(histogram); edge *= 2) {
        put_sample_open(text, row, "_bucket", series->labels, "le");
        metric_put_decimal(text, edge, false, row->decimals, true);
        metric_put(text, "\"} ");
        metric_put_u64(text, skein_histogram_below(histogram, edge));
        metric_put(text, "\n");
    }
    uint64_t count = skein_histogram_count(histogram);
    put_sample_open(text, row, "_bucket", series->labels, "le");
    metric_put(text, "+Inf\"} ");
    metric_put_u64(text, count);
    metric_put(text, "\n");
    put_sum_and_count(text, row, series->labels, skein_histogram_sum(histogram), count);
}

static void
put_summary(struct metric_text *text, const struct skein_metric *row,
            const struct snapshot_series *series)
{
    for (size_t i = 0; i < METRIC_QUANTILES; i++) {
        put_sample_open(text, row, "", series->labels, "quantile");
        metric_put(text, metric_quantiles[i].text);
        metric_put(text, "\"} ");
        if (skein_histogram_count(series->histogram) == 0)
            metric_put(text, "NaN");
        else
            metric_put_decimal(
                text, skein_histogram_quantile(series->histogram, metric_quantiles[i].quantile),
                false, row->decimals, false);
        metric_put(text, "\n");
    }
    put_sum_and_count(text, row, series->labels, series->sum, series->count);
}

static void
put_series(struct metric_text *text, const struct skein_metric *row,
           const struct snapshot_series *series)
{
    switch (row->kind) {
    case SKEIN_COUNTER:
    case SKEIN_GAUGE:
        put_sample(text, row, "", series->labels);
        metric_put_value(text, row, series->value);
        metric_put(text, "\n");
        break;
    case SKEIN_HISTOGRAM:
        put_histogram(text, row, series);
        break;
    case SKEIN_SUMMARY:
        put_summary(text, row, series);
        break;
    }
}

void
metric_write_prometheus(struct metric_text *text, const struct skein_snapshot *snapshot,
                        bool openmetrics)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_family *family = &snapshot->families[i];
        put_head(text, &family->row, openmetrics);
        for (size_t k = 0; k < family->count && text->rc >= 0; k++) {
            put_series(text, &family->row, &family->series[k]);
            metric_flush(text, false);
        }
    }
    if (openmetrics)
        metric_put(text, "# EOF\n");
}

int
skein_snapshot_write(const struct skein_snapshot *snapshot, enum skein_metric_format format,
                     uint64_t wall_ns, int (*put)(void *owner, const char *text, size_t bytes),
                     void *owner)
{
    struct metric_text text = {.put = put, .owner = owner};
    switch (format) {
    case SKEIN_FORMAT_PROMETHEUS:
    case SKEIN_FORMAT_OPENMETRICS:
        metric_write_prometheus(&text, snapshot, format == SKEIN_FORMAT_OPENMETRICS);
        break;
    case SKEIN_FORMAT_JSON:
        metric_write_json(&text, snapshot);
        break;
    case SKEIN_FORMAT_CSV:
        metric_write_csv(&text, snapshot);
        break;
    case SKEIN_FORMAT_INFLUX:
        metric_write_influx(&text, snapshot, wall_ns);
        break;
    }
    metric_flush(&text, true);
    mem_free(text.data);
    return text.rc < 0 ? text.rc : 0;
}
