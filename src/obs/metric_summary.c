/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

/* Two windows that take turns: values go into the newer one; quantiles are of both, so a value
 * counts for one to two windows. */
struct skein_summary {
    struct skein_histogram *newer, *older;
    uint64_t window_ns;
    uint64_t begun_ns; /* of the newer one */
    uint64_t count, sum;
};

const struct metric_quantile metric_quantiles[METRIC_QUANTILES] = {
    {0.5, "0.5", "p50"},
    {0.9, "0.9", "p90"},
    {0.99, "0.99", "p99"},
    {0.999, "0.999", "p999"},
};

int
skein_summary_open(struct skein_summary **out_summary,
                   const struct skein_histogram_options *options, uint64_t window_ns)
{
    struct skein_histogram *newer, *older;
    if (window_ns == 0)
        return -SKEIN_EINVALID;
    int rc = skein_histogram_open(&newer, options);
    if (rc < 0)
        return rc;
    rc = skein_histogram_open(&older, options);
    if (rc < 0) {
        skein_histogram_close(newer);
        return rc;
    }
    struct skein_summary *summary = mem_zalloc(sizeof(*summary));
    *summary = (struct skein_summary){.newer = newer, .older = older, .window_ns = window_ns};
    *out_summary = summary;
    return 0;
}

void
skein_summary_close(struct skein_summary *summary)
{
    if (!summary)
        return;
    skein_histogram_close(summary->newer);
    skein_histogram_close(summary->older);
    mem_free(summary);
}

static void
turn(struct skein_summary *summary, uint64_t now_ns)
{
    uint64_t age_ns = now_ns - summary->begun_ns;
    struct skein_histogram *oldest = summary->older;
    if (now_ns < summary->begun_ns || age_ns < summary->window_ns)
        return;
    skein_histogram_reset(oldest);
    if (age_ns >= 2 * summary->window_ns)
        skein_histogram_reset(summary->newer);
    summary->older = summary->newer;
    summary->newer = oldest;
    summary->begun_ns = now_ns;
}

void
skein_summary_record(struct skein_summary *summary, uint64_t value, uint64_t now_ns)
{
    turn(summary, now_ns);
    skein_histogram_record(summary->newer, value);
    summary->count++;
    summary->sum = value > UINT64_MAX - summary->sum ? UINT64_MAX : summary->sum + value;
}

void
summary_window(const struct skein_summary *summary, struct skein_histogram **histogram)
{
    if (*histogram)
        skein_histogram_merge(*histogram, summary->older);
    else
        *histogram = histogram_copy(summary->older);
    skein_histogram_merge(*histogram, summary->newer);
}

uint64_t
skein_summary_quantile(const struct skein_summary *summary, double quantile)
{
    struct skein_histogram *both = NULL;
    summary_window(summary, &both);
    uint64_t value = skein_histogram_quantile(both, quantile);
    skein_histogram_close(both);
    return value;
}

uint64_t
skein_summary_count(const struct skein_summary *summary)
{
    return summary->count;
}

uint64_t
skein_summary_sum(const struct skein_summary *summary)
{
    return summary->sum;
}
