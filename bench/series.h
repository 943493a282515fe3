/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What the programs of bench/ share: a figure measured several times, and the clock. */

#define SERIES_REPEATS 7

struct series {
    double values[SERIES_REPEATS];
    int count;
};

static inline int
series_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void
series_add(struct series *series, double value)
{
    series->values[series->count++] = value;
}

/* series_sort - so that the first and the last value are the least and the most. */
static inline void
series_sort(struct series *series)
{
    qsort(series->values, (size_t)series->count, sizeof(double), series_compare);
}

static inline double
series_median(struct series *series)
{
    series_sort(series);
    return series->values[series->count / 2];
}

/* series_print_json - "NAME": median, "NAME_min": least, "NAME_max": most. */
static inline void
series_print_json(const char *name, struct series *series)
{
    double median = series_median(series);
    printf("\"%s\": %.2f, \"%s_min\": %.2f, \"%s_max\": %.2f", name, median, name,
           series->values[0], name, series->values[series->count - 1]);
}

static inline double
clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

#endif
