/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "obs/metric.h"

static const char *const kinds[] = {"counter", "gauge", "histogram", "summary"};

/* A histogram's and a summary's figures, as JSON, CSV and Influx name them. */
struct figures {
    uint64_t count, sum, min, max;
    uint64_t quantiles[METRIC_QUANTILES];
    bool empty; /* min, max and quantiles are of nothing */
};

static struct figures
figures_of(const struct skein_metric *row, const struct snapshot_series *series)
{
    const struct skein_histogram *histogram = series->histogram;
    bool summary = row->kind == SKEIN_SUMMARY;
    struct figures figures = {
        .count = summary ? series->count : skein_histogram_count(histogram),
        .sum = summary ? series->sum : skein_histogram_sum(histogram),
        .min = skein_histogram_min(histogram),
        .max = skein_histogram_max(histogram),
        .empty = skein_histogram_count(histogram) == 0,
    };
    for (size_t i = 0; i < METRIC_QUANTILES; i++)
        figures.quantiles[i] = skein_histogram_quantile(histogram, metric_quantiles[i].quantile);
    return figures;
}

static bool
is_plain(const struct skein_metric *row)
{
    return row->kind == SKEIN_COUNTER || row->kind == SKEIN_GAUGE;
}

/* ---- JSON (RFC 8259) ---- */

static void
put_json_string(struct metric_text *text, const char *from)
{
    static const char hex[] = "0123456789abcdef";
    metric_put(text, "\"");
    for (; *from; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == '"' || byte == '\\') {
            metric_put_bytes(text, (const char[]){'\\', *from}, 2);
        } else if (byte < 0x20) {
            metric_put(text, "\\u00");
            metric_put_bytes(text, (const char[]){hex[byte >> 4], hex[byte & 15]}, 2);
        } else {
            metric_put_bytes(text, from, 1);
        }
    }
    metric_put(text, "\"");
}

static void
put_json_member(struct metric_text *text, const char *name, uint64_t value, uint8_t decimals)
{
    metric_put(text, ",\"");
    metric_put(text, name);
    metric_put(text, "\":");
    metric_put_decimal(text, value, false, decimals, false);
}

static void
put_json_figures(struct metric_text *text, const struct skein_metric *row,
                 const struct snapshot_series *series)
{
    struct figures figures = figures_of(row, series);
    put_json_member(text, "count", figures.count, 0);
    put_json_member(text, "sum", figures.sum, row->decimals);
    if (figures.empty)
        return;
    put_json_member(text, "min", figures.min, row->decimals);
    put_json_member(text, "max", figures.max, row->decimals);
    for (size_t i = 0; i < METRIC_QUANTILES; i++)
        put_json_member(text, metric_quantiles[i].field, figures.quantiles[i], row->decimals);
}

static void
put_json_series(struct metric_text *text, const struct skein_metric *row,
                const struct snapshot_series *series)
{
    const char *at = series->labels->data;
    struct skein_label label;
    metric_put(text, "{\"labels\":{");
    while (metric_labels_next(series->labels, &at, &label)) {
        metric_put(text, label.name == series->labels->data ? "" : ",");
        put_json_string(text, label.name);
        metric_put(text, ":");
        put_json_string(text, label.value);
    }
    metric_put(text, "}");
    if (is_plain(row)) {
        metric_put(text, ",\"value\":");
        metric_put_value(text, row, series->value);
    } else {
        put_json_figures(text, row, series);
    }
    metric_put(text, "}");
}

void
metric_write_json(struct metric_text *text, const struct skein_snapshot *snapshot)
{
    metric_put(text, "{\"metrics\":[");
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_family *family = &snapshot->families[i];
        metric_put(text, i ? ",\n{\"name\":" : "\n{\"name\":");
        put_json_string(text, family->row.name);
        metric_put(text, ",\"kind\":");
        put_json_string(text, kinds[family->row.kind]);
        metric_put(text, ",\"help\":");
        put_json_string(text, family->row.help);
        metric_put(text, ",\"series\":[");
        for (size_t k = 0; k < family->count && text->rc >= 0; k++) {
            metric_put(text, k ? "," : "");
            put_json_series(text, &family->row, &family->series[k]);
            metric_flush(text, false);
        }
        metric_put(text, "]}");
    }
    metric_put(text, "\n]}\n");
}

/* ---- CSV (RFC 4180): name,kind,labels,field,value ---- */

/* Labels as Prometheus writes them, in a quoted field: its own quotes are doubled. */
static void
put_csv_labels(struct metric_text *text, const struct metric_labels *labels)
{
    const char *at = labels->data;
    struct skein_label label;
    metric_put(text, labels->count ? "\"" : "");
    while (metric_labels_next(labels, &at, &label)) {
        metric_put(text, label.name == labels->data ? "" : ",");
        metric_put(text, label.name);
        metric_put(text, "=\"\"");
        for (const char *byte = label.value; *byte; byte++) {
            if (*byte == '\n')
                metric_put(text, "\\n");
            else if (*byte == '\\')
                metric_put(text, "\\\\");
            else if (*byte == '"')
                metric_put(text, "\\\"\"");
            else
                metric_put_bytes(text, byte, 1);
        }
        metric_put(text, "\"\"");
    }
    metric_put(text, labels->count ? "\"" : "");
}

static void
put_csv_row(struct metric_text *text, const struct skein_metric *row,
            const struct snapshot_series *series, const char *field)
{
    metric_put(text, row->name);
    metric_put(text, ",");
    metric_put(text, kinds[row->kind]);
    metric_put(text, ",");
    put_csv_labels(text, series->labels);
    metric_put(text, ",");
    metric_put(text, field);
    metric_put(text, ",");
}

static void
put_csv_figure(struct metric_text *text, const struct skein_metric *row,
               const struct snapshot_series *series, const char *field, uint64_t value,
               uint8_t decimals)
{
    put_csv_row(text, row, series, field);
    metric_put_decimal(text, value, false, decimals, false);
    metric_put(text, "\r\n");
}

static void
put_csv_series(struct metric_text *text, const struct skein_metric *row,
               const struct snapshot_series *series)
{
    if (is_plain(row)) {
        put_csv_row(text, row, series, "value");
        metric_put_value(text, row, series->value);
        metric_put(text, "\r\n");
        return;
    }
    struct figures figures = figures_of(row, series);
    put_csv_figure(text, row, series, "count", figures.count, 0);
    put_csv_figure(text, row, series, "sum", figures.sum, row->decimals);
    if (figures.empty)
        return;
    put_csv_figure(text, row, series, "min", figures.min, row->decimals);
    put_csv_figure(text, row, series, "max", figures.max, row->decimals);
    for (size_t i = 0; i < METRIC_QUANTILES; i++)
        put_csv_figure(text, row, series, metric_quantiles[i].field, figures.quantiles[i],
                       row->decimals);
}

void
metric_write_csv(struct metric_text *text, const struct skein_snapshot *snapshot)
{
    metric_put(text, "name,kind,labels,field,value\r\n");
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_family *family = &snapshot->families[i];
        for (size_t k = 0; k < family->count && text->rc >= 0; k++) {
            put_csv_series(text, &family->row, &family->series[k]);
            metric_flush(text, false);
        }
    }
}

/* ---- Influx line protocol ---- */

/* An integer field ends in i and is signed; what does not fit is a float, as fractions are. */
static void
put_influx_number(struct metric_text *text, uint64_t value, bool negative, uint8_t decimals)
{
    bool integer = decimals == 0 && (negative || value <= INT64_MAX);
    metric_put_decimal(text, value, negative, decimals, !integer);
    metric_put(text, integer ? "i" : "");
}

static void
put_influx_field(struct metric_text *text, const char *name, uint64_t value, uint8_t decimals)
{
    metric_put(text, ",");
    metric_put(text, name);
    metric_put(text, "=");
    put_influx_number(text, value, false, decimals);
}

static void
put_influx_series(struct metric_text *text, const struct skein_metric *row,
                  const struct snapshot_series *series)
{
    const char *at = series->labels->data;
    struct skein_label label;
    metric_put(text, row->name);
    while (metric_labels_next(series->labels, &at, &label)) {
        if (!*label.value) /* a tag has a value */
            continue;
        metric_put(text, ",");
        metric_put(text, label.name);
        metric_put(text, "=");
        metric_put_escaped(text, label.value, "\\,= ");
    }
    if (is_plain(row)) {
        bool negative = row->kind == SKEIN_GAUGE && (int64_t)series->value < 0;
        metric_put(text, " value=");
        put_influx_number(text, negative ? 0 - series->value : series->value, negative,
                          row->decimals);
        return;
    }
    struct figures figures = figures_of(row, series);
    metric_put(text, " count=");
    put_influx_number(text, figures.count, false, 0);
    put_influx_field(text, "sum", figures.sum, row->decimals);
    if (figures.empty)
        return;
    put_influx_field(text, "min", figures.min, row->decimals);
    put_influx_field(text, "max", figures.max, row->decimals);
    for (size_t i = 0; i < METRIC_QUANTILES; i++)
        put_influx_field(text, metric_quantiles[i].field, figures.quantiles[i], row->decimals);
}

void
metric_write_influx(struct metric_text *text, const struct skein_snapshot *snapshot,
                    uint64_t wall_ns)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_family *family = &snapshot->families[i];
        for (size_t k = 0; k < family->count && text->rc >= 0; k++) {
            put_influx_series(text, &family->row, &family->series[k]);
            if (wall_ns) {
                metric_put(text, " ");
                metric_put_u64(text, wall_ns);
            }
            metric_put(text, "\n");
            metric_flush(text, false);
        }
    }
}
