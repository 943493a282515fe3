/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "skein/breaker.h"

/* Fewer calls than these say nothing about the next one. */
#define KNOWN_COUNT_MIN 16

int
skein_adaptive_init(struct skein_adaptive *adaptive, const struct skein_adaptive_options *options)
{
    if (options->quantile_per_mille < 1 || options->quantile_per_mille > 999 ||
        options->factor_percent < 100 || options->factor_percent > 10000 ||
        options->timeout_ns_min == 0 || options->timeout_ns_max < options->timeout_ns_min ||
        options->sample_count < 2 * KNOWN_COUNT_MIN || options->sample_count > 1000000)
        return -SKEIN_EINVALID;
    *adaptive = (struct skein_adaptive){.options = *options};
    return 0;
}

/* 0 to 7 as they are; then eight buckets an octave. */
static unsigned
bucket_of(uint64_t ns)
{
    if (ns < 8)
        return (unsigned)ns;
    unsigned octave = 63u - (unsigned)__builtin_clzll(ns); /* 3 to 63 */
    return (octave - 2) * 8 + (unsigned)(ns >> (octave - 3) & 7);
}

/* The largest latency in the bucket. */
static uint64_t
bucket_end_ns(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned octave = bucket / 8 + 2;
    return (((8ull + bucket % 8) << (octave - 3)) | ((1ull << (octave - 3)) - 1));
}

_Static_assert(SKEIN_ADAPTIVE_BUCKET_COUNT == (63 - 2 + 1) * 8, "every latency has a bucket");

void
skein_adaptive_observe(struct skein_adaptive *adaptive, uint64_t latency_ns)
{
    adaptive->counts[bucket_of(latency_ns)]++;
    if (++adaptive->count < adaptive->options.sample_count)
        return;
    adaptive->count = 0;
    for (unsigned i = 0; i < SKEIN_ADAPTIVE_BUCKET_COUNT; i++) {
        adaptive->counts[i] /= 2;
        adaptive->count += adaptive->counts[i];
    }
}

uint64_t
skein_adaptive_timeout_ns(const struct skein_adaptive *adaptive)
{
    const struct skein_adaptive_options *options = &adaptive->options;
    if (adaptive->count < KNOWN_COUNT_MIN)
        return options->timeout_ns_max;
    uint64_t wanted = (uint64_t)adaptive->count * options->quantile_per_mille;
    uint64_t below = 0;
    unsigned bucket = 0;
    for (; bucket < SKEIN_ADAPTIVE_BUCKET_COUNT - 1; bucket++) {
        below += adaptive->counts[bucket];
        if (below * 1000 >= wanted)
            break;
    }
    uint64_t timeout_ns = bucket_end_ns(bucket);
    if (timeout_ns > UINT64_MAX / options->factor_percent)
        return options->timeout_ns_max;
    timeout_ns = timeout_ns * options->factor_percent / 100;
    if (timeout_ns < options->timeout_ns_min)
        return options->timeout_ns_min;
    return timeout_ns < options->timeout_ns_max ? timeout_ns : options->timeout_ns_max;
}

int
skein_retry_init(struct skein_retry_budget *budget, const struct skein_retry_options *options)
{
    if (options->attempt_count_max == 0 || options->delay_ns == 0 ||
        options->delay_ns_max < options->delay_ns || options->ratio_per_mille > 1000 ||
        options->saved_count_max == 0)
        return -SKEIN_EINVALID;
    *budget = (struct skein_retry_budget){.options = *options,
                                          .saved_milli = options->saved_count_max * 1000ull};
    return 0;
}

void
skein_retry_call(struct skein_retry_budget *budget)
{
    uint64_t max_milli = budget->options.saved_count_max * 1000ull;
    budget->saved_milli += budget->options.ratio_per_mille;
    if (budget->saved_milli > max_milli)
        budget->saved_milli = max_milli;
}

int
skein_retry_take(struct skein_retry_budget *budget, uint32_t attempt_index, uint64_t random,
                 uint64_t *out_delay_ns)
{
    const struct skein_retry_options *options = &budget->options;
    if (attempt_index + 1ull >= options->attempt_count_max || budget->saved_milli < 1000)
        return -SKEIN_EBUSY;
    budget->saved_milli -= 1000;
    uint64_t cap_ns = options->delay_ns_max;
    if (attempt_index < 63 && options->delay_ns <= cap_ns >> attempt_index)
        cap_ns = options->delay_ns << attempt_index;
    /* The high half of a 128-bit product: uniform in [0, cap_ns]. */
    *out_delay_ns = (uint64_t)(((unsigned __int128)random * (cap_ns + 1ull)) >> 64);
    return 0;
}
