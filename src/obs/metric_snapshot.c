/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

struct skein_snapshot *
skein_snapshot_open(void)
{
    return mem_zalloc(sizeof(struct skein_snapshot));
}

void
skein_snapshot_close(struct skein_snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->count; i++) {
        struct snapshot_family *family = &snapshot->families[i];
        for (size_t k = 0; k < family->count; k++) {
            mem_free(family->series[k].labels);
            skein_histogram_close(family->series[k].histogram);
        }
        mem_free(family->series);
    }
    mem_free(snapshot->families);
    mem_free(snapshot);
}

/* Opens a gap at @at of a growing array. */
static void
insert(void *array, size_t *capacity, size_t *count, size_t at, size_t element_bytes)
{
    mem_grow(array, capacity, *count, element_bytes);
    char *elements = *(char **)array;
    memmove(elements + (at + 1) * element_bytes, elements + at * element_bytes,
            (*count - at) * element_bytes);
    memset(elements + at * element_bytes, 0, element_bytes);
    (*count)++;
}

static struct snapshot_family *
family_of(struct skein_snapshot *snapshot, const struct skein_metric *row)
{
    size_t low = 0, high = snapshot->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int compared = strcmp(snapshot->families[middle].row.name, row->name);
        if (compared == 0)
            return &snapshot->families[middle];
        if (compared < 0)
            low = middle + 1;
        else
            high = middle;
    }
    insert(&snapshot->families, &snapshot->capacity, &snapshot->count, low,
           sizeof(snapshot->families[0]));
    snapshot->families[low].row = *row;
    return &snapshot->families[low];
}

static struct snapshot_series *
series_of(struct snapshot_family *family, const struct metric_labels *labels, bool *out_new)
{
    size_t low = 0, high = family->count;
    *out_new = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int compared = metric_labels_compare(family->series[middle].labels, labels);
        if (compared == 0)
            return &family->series[middle];
        if (compared < 0)
            low = middle + 1;
        else
            high = middle;
    }
    insert(&family->series, &family->capacity, &family->count, low, sizeof(family->series[0]));
    family->series[low].labels = metric_labels_copy(labels);
    *out_new = true;
    return &family->series[low];
}

static uint64_t
load(const struct skein_metric *row, const void *object)
{
    const char *field = (const char *)object + row->field_offset;
    uint64_t wide = 0;
    uint32_t word = 0;
    if (row->read)
        return (uint64_t)row->read(object);
    if (row->field_bytes == sizeof(wide)) {
        memcpy(&wide, field, sizeof(wide));
        return wide;
    }
    if (row->field_bytes == 1)
        return *(const uint8_t *)field;
    memcpy(&word, field, sizeof(word));
    return word;
}

static const void *
load_pointer(const struct skein_metric *row, const void *object)
{
    const void *pointer;
    memcpy(&pointer, (const char *)object + row->field_offset, sizeof(pointer));
    return pointer;
}

static void
add_number(struct snapshot_series *series, const struct skein_metric *row, uint64_t value,
           bool is_new)
{
    if (is_new)
        series->value = value;
    else if (row->kind == SKEIN_COUNTER || row->merge == SKEIN_MERGE_SUM)
        series->value += value;
    else if ((int64_t)value > (int64_t)series->value)
        series->value = value;
}

static void
add_histogram(struct snapshot_series *series, const struct skein_histogram *histogram)
{
    if (series->histogram)
        skein_histogram_merge(series->histogram, histogram);
    else
        series->histogram = histogram_copy(histogram);
}

void
snapshot_add(struct skein_snapshot *snapshot, const struct skein_metric *row,
             const struct metric_labels *labels, const void *object)
{
    bool plain = row->kind == SKEIN_COUNTER || row->kind == SKEIN_GAUGE;
    const void *distribution = plain ? NULL : load_pointer(row, object);
    if (!plain && !distribution)
        return;
    struct snapshot_family *family = family_of(snapshot, row);
    /* Two registries may give one name to two things; the first one counts. */
    if (family->row.kind != row->kind || family->row.decimals != row->decimals)
        return;
    bool is_new;
    struct snapshot_series *series = series_of(family, labels, &is_new);
    switch (row->kind) {
    case SKEIN_COUNTER:
    case SKEIN_GAUGE:
        add_number(series, row, load(row, object), is_new);
        break;
    case SKEIN_HISTOGRAM:
        add_histogram(series, distribution);
        break;
    case SKEIN_SUMMARY:
        summary_window(distribution, &series->histogram);
        series->count += skein_summary_count(distribution);
        series->sum += skein_summary_sum(distribution);
        break;
    }
}

static void
merge_series(struct snapshot_family *to, const struct snapshot_series *from)
{
    bool is_new;
    struct snapshot_series *series = series_of(to, from->labels, &is_new);
    if (to->row.kind == SKEIN_COUNTER || to->row.kind == SKEIN_GAUGE)
        add_number(series, &to->row, from->value, is_new);
    else
        add_histogram(series, from->histogram);
    series->count += from->count;
    series->sum += from->sum;
}

void
skein_snapshot_merge(struct skein_snapshot *to, const struct skein_snapshot *from)
{
    skein_assert(to != from);
    for (size_t i = 0; i < from->count; i++) {
        const struct snapshot_family *family = &from->families[i];
        struct snapshot_family *mine = family_of(to, &family->row);
        if (mine->row.kind != family->row.kind || mine->row.decimals != family->row.decimals)
            continue;
        for (size_t k = 0; k < family->count; k++)
            merge_series(mine, &family->series[k]);
    }
}
