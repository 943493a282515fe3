/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

#define METRICS_MAGIC 0x6d657472696373ull
#define SERIES_MAX_DEFAULT 10000
#define FAMILY_SERIES_MAX_DEFAULT 1000
#define ROWS_MAX 64
#define NAME_BYTES_MAX 128

struct series {
    uint64_t sequence; /* ascending in the array: a cursor stays valid over removals */
    const struct skein_metric *row;
    const void *object;
    struct metric_labels *labels;
};

struct family {
    struct skein_metric row; /* as the first of its series has it */
    uint32_t series_count;
};

struct skein_metrics {
    uint64_t magic;
    struct skein_metrics_options options;
    struct series *series;
    size_t count, capacity;
    struct family *families; /* ordered by name */
    size_t family_count, family_capacity;
    uint64_t sequence_next;
    uint64_t refused;
};

static const struct skein_metric own_rows[] = {
    {"skein_metrics_series", "Series registered.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_metrics, count)},
    {"skein_metrics_refused_total", "Registrations refused by a limit of series or a bad name.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_metrics, refused)},
};

struct skein_metrics *
skein_metrics_open(const struct skein_metrics_options *options)
{
    struct skein_metrics *metrics = mem_zalloc(sizeof(*metrics));
    metrics->magic = METRICS_MAGIC;
    if (options)
        metrics->options = *options;
    if (!metrics->options.series_max)
        metrics->options.series_max = SERIES_MAX_DEFAULT;
    if (!metrics->options.family_series_max)
        metrics->options.family_series_max = FAMILY_SERIES_MAX_DEFAULT;
    int rc = skein_metrics_add(metrics, metrics, own_rows, BASE_COUNT_OF(own_rows), NULL, 0);
    skein_assert(rc == 0 || metrics->options.series_max < BASE_COUNT_OF(own_rows));
    return metrics;
}

void
skein_metrics_close(struct skein_metrics *metrics)
{
    if (!metrics)
        return;
    skein_assert(metrics->magic == METRICS_MAGIC);
    for (size_t i = 0; i < metrics->count; i++)
        mem_free(metrics->series[i].labels);
    mem_free(metrics->series);
    mem_free(metrics->families);
    metrics->magic = 0;
    mem_free(metrics);
}

/* Where a family of that name is, or would be. */
static size_t
family_place(const struct skein_metrics *metrics, const char *name)
{
    size_t low = 0, high = metrics->family_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(metrics->families[middle].row.name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct family *
family_find(const struct skein_metrics *metrics, const char *name)
{
    size_t at = family_place(metrics, name);
    bool found = at < metrics->family_count && strcmp(metrics->families[at].row.name, name) == 0;
    return found ? &metrics->families[at] : NULL;
}

static void
family_join(struct skein_metrics *metrics, const struct skein_metric *row)
{
    size_t at = family_place(metrics, row->name);
    if (!family_find(metrics, row->name)) {
        mem_grow(&metrics->families, &metrics->family_capacity, metrics->family_count,
                 sizeof(metrics->families[0]));
        memmove(metrics->families + at + 1, metrics->families + at,
                (metrics->family_count - at) * sizeof(metrics->families[0]));
        metrics->families[at] = (struct family){.row = *row};
        metrics->family_count++;
    }
    metrics->families[at].series_count++;
}

static void
family_leave(struct skein_metrics *metrics, const struct skein_metric *row)
{
    struct family *family = family_find(metrics, row->name);
    skein_assert(family != NULL);
    if (--family->series_count > 0)
        return;
    size_t at = (size_t)(family - metrics->families);
    memmove(family, family + 1, (metrics->family_count - at - 1) * sizeof(*family));
    metrics->family_count--;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

static bool
field_ok(const struct skein_metric *row)
{
    bool plain = row->kind == SKEIN_COUNTER || row->kind == SKEIN_GAUGE;
    if (!plain)
        return !row->read && row->field_bytes == sizeof(void *);
    return row->read || row->field_bytes == 1 || row->field_bytes == 4 || row->field_bytes == 8;
}

/* What samples of other kinds are called must not be a name of its own. */
static bool
row_ok(const struct skein_metric *row)
{
    static const char *const reserved[] = {"_bucket", "_count", "_sum", "_created", "_info"};
    if (!row->name || !row->help || !metric_name_ok(row->name) || row->decimals > 18)
        return false;
    for (size_t i = 0; i < BASE_COUNT_OF(reserved); i++)
        if (ends_with(row->name, reserved[i]))
            return false;
    bool counter = row->kind == SKEIN_COUNTER;
    return ends_with(row->name, "_total") == counter && strcmp(row->name, "_total") != 0 &&
           field_ok(row);
}

/* OpenMetrics calls a counter's family by its name without _total: nothing else may have that,
 * neither a family nor one of the @before rows that are added with it. */
static bool
clashes(const struct skein_metrics *metrics, const struct skein_metric *row,
        const struct skein_metric *before, size_t before_count)
{
    char other[NAME_BYTES_MAX + 8];
    size_t bytes = strlen(row->name), suffix_bytes = strlen("_total");
    if (row->kind == SKEIN_COUNTER)
        snprintf(other, sizeof(other), "%.*s", (int)(bytes - suffix_bytes), row->name);
    else
        snprintf(other, sizeof(other), "%s_total", row->name);
    for (size_t i = 0; i < before_count; i++)
        if (strcmp(before[i].name, other) == 0)
            return true;
    return family_find(metrics, other) != NULL;
}

static int
check(const struct skein_metrics *metrics, const struct skein_metric *rows, size_t row_count)
{
    if (metrics->count + row_count > metrics->options.series_max)
        return -SKEIN_EAGAIN;
    for (size_t i = 0; i < row_count; i++) {
        if (!row_ok(&rows[i]) || clashes(metrics, &rows[i], rows, i))
            return -SKEIN_EINVALID;
        const struct family *family = family_find(metrics, rows[i].name);
        if (!family)
            continue;
        if (family->row.kind != rows[i].kind || family->row.decimals != rows[i].decimals ||
            family->row.merge != rows[i].merge)
            return -SKEIN_EINVALID;
        if (family->series_count >= metrics->options.family_series_max)
            return -SKEIN_EAGAIN;
    }
    return 0;
}

int
skein_metrics_add(struct skein_metrics *metrics, const void *object,
                  const struct skein_metric *rows, size_t row_count,
                  const struct skein_label *labels, size_t label_count)
{
    struct metric_labels *packed = NULL;
    skein_assert(metrics->magic == METRICS_MAGIC);
    skein_assert(row_count <= ROWS_MAX);
    int rc = check(metrics, rows, row_count);
    if (rc == 0)
        rc = metric_labels_pack(&packed, labels, label_count);
    if (rc < 0) {
        metrics->refused++;
        return rc;
    }
    for (size_t i = 0; i < row_count; i++) {
        mem_grow(&metrics->series, &metrics->capacity, metrics->count, sizeof(metrics->series[0]));
        metrics->series[metrics->count++] = (struct series){
            .sequence = ++metrics->sequence_next,
            .row = &rows[i],
            .object = object,
            .labels = metric_labels_copy(packed),
        };
        family_join(metrics, &rows[i]);
    }
    mem_free(packed);
    return 0;
}

void
skein_metrics_remove(struct skein_metrics *metrics, const void *object)
{
    size_t kept = 0;
    skein_assert(metrics->magic == METRICS_MAGIC);
    for (size_t i = 0; i < metrics->count; i++) {
        struct series *series = &metrics->series[i];
        if (series->object != object) {
            metrics->series[kept++] = *series;
            continue;
        }
        family_leave(metrics, series->row);
        mem_free(series->labels);
    }
    metrics->count = kept;
}

uint32_t
skein_metrics_series(const struct skein_metrics *metrics)
{
    return (uint32_t)metrics->count;
}

/* The first series behind @sequence. */
static size_t
series_behind(const struct skein_metrics *metrics, uint64_t sequence)
{
    size_t low = 0, high = metrics->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (metrics->series[middle].sequence <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
skein_metrics_snapshot(struct skein_metrics *metrics, struct skein_snapshot *snapshot,
                       uint64_t *cursor, uint32_t series_max)
{
    skein_assert(metrics->magic == METRICS_MAGIC);
    skein_assert(series_max > 0);
    size_t at = series_behind(metrics, *cursor);
    for (uint32_t i = 0; i < series_max && at < metrics->count; i++, at++) {
        const struct series *series = &metrics->series[at];
        snapshot_add(snapshot, series->row, series->labels, series->object);
        *cursor = series->sequence;
    }
    return at < metrics->count;
}
