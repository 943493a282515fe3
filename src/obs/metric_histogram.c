/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

/*
 * Buckets, as HdrHistogram lays them out (http://hdrhistogram.org): values are looked at in units
 * of 2^unit_bits. Bucket 0 has 2^sub_bits steps of one unit; each further bucket covers the next
 * power of two with half as many steps, twice as wide as those before.
 *
 *     units     0 ........ 2^sub_bits ........ 2 * 2^sub_bits .................. 4 * 2^sub_bits
 *     steps     | 2^sub_bits of 1  | 2^(sub_bits-1) of 2 | 2^(sub_bits-1) of 4 |
 */

#define HISTOGRAM_MAGIC 0x686973746f67726dull

struct skein_histogram {
    uint64_t magic;
    struct skein_histogram_options options;
    uint64_t count, sum, min, max, saturated;
    uint32_t unit_bits;
    uint32_t sub_bits;
    uint32_t slot_count;
    uint64_t slots[];
};

static uint32_t
log2_floor(uint64_t value)
{
    skein_assert_slow(value > 0);
    return 63u - (uint32_t)__builtin_clzll(value);
}

/* Which slot a value, clamped to the range, lies in. */
static uint32_t
slot_of(const struct skein_histogram *h, uint64_t value)
{
    uint64_t units = value >> h->unit_bits;
    uint32_t half_bits = h->sub_bits - 1;
    uint32_t bucket = log2_floor(units | ((1ull << h->sub_bits) - 1)) - half_bits;
    return (bucket << half_bits) + (uint32_t)(units >> bucket);
}

/* The first value of a slot. */
static uint64_t
slot_low(const struct skein_histogram *h, uint32_t slot)
{
    uint32_t half_bits = h->sub_bits - 1;
    if (slot < 1u << h->sub_bits)
        return (uint64_t)slot << h->unit_bits;
    uint32_t bucket = (slot >> half_bits) - 1;
    uint64_t step = slot - (bucket << half_bits);
    return step << (bucket + h->unit_bits);
}

/* The last value of a slot. */
static uint64_t
slot_high(const struct skein_histogram *h, uint32_t slot)
{
    return slot_low(h, slot + 1) - 1;
}

int
skein_histogram_open(struct skein_histogram **out_histogram,
                     const struct skein_histogram_options *options)
{
    static const uint64_t steps_wanted[] = {0, 20, 200, 2000, 20000};
    if (options->digits < 1 || options->digits > 4 || options->lowest < 1 ||
        options->lowest > UINT64_MAX / 4 || options->highest < 2 * options->lowest ||
        options->highest > (uint64_t)1 << 62)
        return -SKEIN_EINVALID;
    struct skein_histogram shape = {
        .magic = HISTOGRAM_MAGIC,
        .options = *options,
        .unit_bits = log2_floor(options->lowest),
        .sub_bits = log2_floor(steps_wanted[options->digits] - 1) + 1,
    };
    if (shape.unit_bits + shape.sub_bits > 62)
        return -SKEIN_EINVALID;
    shape.slot_count = slot_of(&shape, options->highest) + 1;
    size_t bytes = sizeof(shape) + shape.slot_count * sizeof(uint64_t);
    struct skein_histogram *h = mem_try_alloc(bytes);
    if (!h)
        return -SKEIN_ENOMEM;
    *h = shape;
    skein_histogram_reset(h);
    *out_histogram = h;
    return 0;
}

void
skein_histogram_close(struct skein_histogram *h)
{
    skein_assert(!h || h->magic == HISTOGRAM_MAGIC);
    if (h)
        h->magic = 0;
    mem_free(h);
}

void
skein_histogram_reset(struct skein_histogram *h)
{
    skein_assert(h->magic == HISTOGRAM_MAGIC);
    h->count = h->sum = h->max = h->saturated = 0;
    h->min = UINT64_MAX;
    memset(h->slots, 0, h->slot_count * sizeof(uint64_t));
}

static uint64_t
add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
multiply_saturating(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* In what slot, and how often; neither sum nor extremes. */
static void
count_value(struct skein_histogram *h, uint64_t value, uint64_t count)
{
    uint32_t slot = h->slot_count - 1;
    if (value <= h->options.highest)
        slot = slot_of(h, value);
    else
        h->saturated = add_saturating(h->saturated, count);
    skein_assert_slow(slot < h->slot_count);
    h->slots[slot] = add_saturating(h->slots[slot], count);
    h->count = add_saturating(h->count, count);
}

void
skein_histogram_record_n(struct skein_histogram *h, uint64_t value, uint64_t count)
{
    skein_assert_slow(h->magic == HISTOGRAM_MAGIC);
    if (count == 0)
        return;
    count_value(h, value, count);
    h->sum = add_saturating(h->sum, multiply_saturating(value, count));
    if (value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
}

void
skein_histogram_record(struct skein_histogram *h, uint64_t value)
{
    skein_histogram_record_n(h, value, 1);
}

static bool
same_shape(const struct skein_histogram *a, const struct skein_histogram *b)
{
    return a->unit_bits == b->unit_bits && a->sub_bits == b->sub_bits &&
           a->slot_count == b->slot_count && a->options.highest == b->options.highest;
}

void
skein_histogram_merge(struct skein_histogram *to, const struct skein_histogram *from)
{
    skein_assert(to->magic == HISTOGRAM_MAGIC);
    skein_assert(from->magic == HISTOGRAM_MAGIC);
    if (from->count == 0)
        return;
    if (same_shape(to, from)) {
        for (uint32_t i = 0; i < from->slot_count; i++)
            to->slots[i] = add_saturating(to->slots[i], from->slots[i]);
        to->count = add_saturating(to->count, from->count);
        to->saturated = add_saturating(to->saturated, from->saturated);
    } else {
        for (uint32_t i = 0; i < from->slot_count; i++)
            if (from->slots[i])
                count_value(to, slot_low(from, i), from->slots[i]);
    }
    to->sum = add_saturating(to->sum, from->sum);
    if (from->min < to->min)
        to->min = from->min;
    if (from->max > to->max)
        to->max = from->max;
}

uint64_t
skein_histogram_quantile(const struct skein_histogram *h, double quantile)
{
    skein_assert(h->magic == HISTOGRAM_MAGIC);
    if (h->count == 0)
        return 0;
    if (!(quantile > 0))
        return h->min;
    double exact = quantile < 1 ? quantile * (double)h->count : (double)h->count;
    uint64_t wanted = (uint64_t)exact;
    if ((double)wanted < exact || wanted == 0)
        wanted++;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < h->slot_count; i++) {
        seen = add_saturating(seen, h->slots[i]);
        if (seen >= wanted) {
            uint64_t high = slot_high(h, i);
            return i + 1 == h->slot_count || high > h->max ? h->max : high;
        }
    }
    return h->max;
}

uint64_t
skein_histogram_below(const struct skein_histogram *h, uint64_t limit)
{
    uint64_t seen = 0;
    skein_assert(h->magic == HISTOGRAM_MAGIC);
    if (limit > h->options.highest)
        return h->count - h->saturated;
    for (uint32_t i = 0; i < h->slot_count && slot_high(h, i) < limit; i++)
        seen = add_saturating(seen, h->slots[i]);
    return seen;
}

uint64_t
skein_histogram_count(const struct skein_histogram *h)
{
    return h->count;
}

uint64_t
skein_histogram_sum(const struct skein_histogram *h)
{
    return h->sum;
}

uint64_t
skein_histogram_min(const struct skein_histogram *h)
{
    return h->count ? h->min : 0;
}

uint64_t
skein_histogram_max(const struct skein_histogram *h)
{
    return h->max;
}

uint64_t
skein_histogram_saturated(const struct skein_histogram *h)
{
    return h->saturated;
}

size_t
skein_histogram_bytes(const struct skein_histogram *h)
{
    return sizeof(*h) + h->slot_count * sizeof(uint64_t);
}

uint64_t
histogram_lowest(const struct skein_histogram *h)
{
    return h->options.lowest;
}

uint64_t
histogram_highest(const struct skein_histogram *h)
{
    return h->options.highest;
}

struct skein_histogram *
histogram_copy(const struct skein_histogram *h)
{
    size_t bytes = skein_histogram_bytes(h);
    struct skein_histogram *copy = mem_alloc(bytes);
    memcpy(copy, h, bytes);
    return copy;
}
