/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/breaker.h"

#include <string.h>

#include "base/assert.h"

#define BUCKETS SKEIN_BREAKER_BUCKET_COUNT

static uint64_t
tenth_of(const struct skein_breaker *breaker, uint64_t now_ns)
{
    uint64_t tenth_ns = breaker->options.window_ns / BUCKETS;
    return now_ns / (tenth_ns ? tenth_ns : 1);
}

static void
forget_calls(struct skein_breaker *breaker, uint64_t now_ns)
{
    memset(breaker->ok_counts, 0, sizeof(breaker->ok_counts));
    memset(breaker->failed_counts, 0, sizeof(breaker->failed_counts));
    breaker->tenth = tenth_of(breaker, now_ns);
}

int
skein_breaker_init(struct skein_breaker *breaker, const struct skein_breaker_options *options,
                   uint64_t now_ns)
{
    if (options->window_ns == 0 || options->call_count_min == 0 || options->failure_per_mille < 1 ||
        options->failure_per_mille > 1000 || options->open_ns == 0 ||
        options->open_ns_max < options->open_ns || options->probe_count == 0)
        return -SKEIN_EINVALID;
    *breaker = (struct skein_breaker){.options = *options, .next_open_ns = options->open_ns};
    forget_calls(breaker, now_ns);
    return 0;
}

static void
enter(struct skein_breaker *breaker, enum skein_breaker_state state, uint64_t now_ns)
{
    breaker->state = state;
    breaker->generation++;
    breaker->probing_count = 0;
    breaker->probe_ok_count = 0;
    forget_calls(breaker, now_ns);
}

static void
open_for_a_while(struct skein_breaker *breaker, uint64_t now_ns)
{
    uint64_t open_ns = breaker->next_open_ns;
    uint64_t max_ns = breaker->options.open_ns_max;
    breaker->opened_count++;
    enter(breaker, SKEIN_BREAKER_OPEN, now_ns);
    breaker->until_ns = now_ns > UINT64_MAX - open_ns ? UINT64_MAX : now_ns + open_ns;
    breaker->next_open_ns = open_ns > max_ns / 2 ? max_ns : open_ns * 2;
}

int
skein_breaker_allow(struct skein_breaker *breaker, struct skein_breaker_pass *out_pass,
                    uint64_t now_ns)
{
    if (breaker->state == SKEIN_BREAKER_OPEN && now_ns >= breaker->until_ns)
        enter(breaker, SKEIN_BREAKER_HALF_OPEN, now_ns);
    bool half_open = breaker->state == SKEIN_BREAKER_HALF_OPEN;
    bool probed = breaker->probing_count + breaker->probe_ok_count >= breaker->options.probe_count;
    if (breaker->state == SKEIN_BREAKER_OPEN || (half_open && probed)) {
        breaker->refused_count++;
        return -SKEIN_EBUSY;
    }
    breaker->allowed_count++;
    breaker->probing_count += half_open;
    *out_pass = (struct skein_breaker_pass){.generation = breaker->generation};
    return 0;
}

/* Empty the tenths that have left the window since the last report. */
static void
move_window(struct skein_breaker *breaker, uint64_t now_ns)
{
    uint64_t tenth = tenth_of(breaker, now_ns);
    if (tenth > breaker->tenth && tenth - breaker->tenth >= BUCKETS) {
        forget_calls(breaker, now_ns);
        return;
    }
    while (breaker->tenth < tenth) {
        breaker->tenth++;
        breaker->ok_counts[breaker->tenth % BUCKETS] = 0;
        breaker->failed_counts[breaker->tenth % BUCKETS] = 0;
    }
}

static bool
too_many_failed(const struct skein_breaker *breaker)
{
    uint64_t ok_count = 0, failed_count = 0;
    for (int i = 0; i < BUCKETS; i++) {
        ok_count += breaker->ok_counts[i];
        failed_count += breaker->failed_counts[i];
    }
    uint64_t count = ok_count + failed_count;
    return count >= breaker->options.call_count_min &&
           failed_count * 1000 >= count * breaker->options.failure_per_mille;
}

static void
report_closed(struct skein_breaker *breaker, enum skein_outcome outcome, uint64_t now_ns)
{
    move_window(breaker, now_ns);
    uint32_t *counts = outcome == SKEIN_OUTCOME_OK ? breaker->ok_counts : breaker->failed_counts;
    if (counts[breaker->tenth % BUCKETS] < UINT32_MAX)
        counts[breaker->tenth % BUCKETS]++;
    if (outcome == SKEIN_OUTCOME_FAILED && too_many_failed(breaker))
        open_for_a_while(breaker, now_ns);
}

static void
report_probe(struct skein_breaker *breaker, enum skein_outcome outcome, uint64_t now_ns)
{
    skein_assert(breaker->probing_count > 0);
    breaker->probing_count--;
    if (outcome == SKEIN_OUTCOME_FAILED)
        open_for_a_while(breaker, now_ns);
    else if (outcome == SKEIN_OUTCOME_OK &&
             ++breaker->probe_ok_count == breaker->options.probe_count) {
        enter(breaker, SKEIN_BREAKER_CLOSED, now_ns);
        breaker->next_open_ns = breaker->options.open_ns;
    }
}

void
skein_breaker_report(struct skein_breaker *breaker, const struct skein_breaker_pass *pass,
                     enum skein_outcome outcome, uint64_t now_ns)
{
    if (pass->generation != breaker->generation)
        return;
    if (breaker->state == SKEIN_BREAKER_HALF_OPEN)
        report_probe(breaker, outcome, now_ns);
    else if (outcome != SKEIN_OUTCOME_NONE)
        report_closed(breaker, outcome, now_ns);
}

enum skein_breaker_state
skein_breaker_now(const struct skein_breaker *breaker, uint64_t now_ns)
{
    if (breaker->state == SKEIN_BREAKER_OPEN && now_ns >= breaker->until_ns)
        return SKEIN_BREAKER_HALF_OPEN;
    return breaker->state;
}
