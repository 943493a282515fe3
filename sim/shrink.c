/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/shrink.h"

#include "sim/cluster.h"
#include "sim/faults.h"
#include "sim/sweep.h"
#include "skein/error.h"

struct shrink {
    struct sim_shrink_result *best;
    void (*on_smaller)(void *owner, const struct sim_run_options *options,
                       const struct sim_run_result *result);
    void *owner;
    struct sim_run_result trial; /* the latest */
    int error;
};

static void
on_result(void *owner, uint64_t seed, const struct sim_run_result *result)
{
    struct shrink *shrink = owner;
    shrink->trial = *result;
}

static bool
run_trial(struct shrink *shrink, const struct sim_run_options *options)
{
    struct sim_sweep_options sweep = {.run = *options,
                                      .first_seed = options->seed,
                                      .seed_count = 1,
                                      .job_count = 1,
                                      .on_result = on_result,
                                      .owner = shrink};
    struct sim_sweep_result sum;
    shrink->best->runs++;
    shrink->error = sim_sweep(&sweep, &sum);
    return shrink->error == 0;
}

/* Whether @options fail alike; then they are the best. */
static bool
is_smaller(struct shrink *shrink, const struct sim_run_options *options)
{
    struct sim_shrink_result *best = shrink->best;
    if (best->runs >= SIM_SHRINK_RUNS_MAX || !run_trial(shrink, options) ||
        shrink->trial.verdict != best->result.verdict)
        return false;
    best->options = *options;
    best->result = shrink->trial;
    if (shrink->on_smaller)
        shrink->on_smaller(shrink->owner, options, &shrink->trial);
    return true;
}

static bool
without_faults(struct shrink *shrink)
{
    bool any = false;
    for (uint32_t fault = 0; fault <= SIM_FAULT_COUNT; fault++) {
        struct sim_run_options trial = shrink->best->options;
        if (trial.faults_off >> fault & 1)
            continue;
        trial.faults_off |= 1u << fault;
        any = is_smaller(shrink, &trial) || any;
    }
    return any;
}

/* The smallest value from @low on, by halves: what fails with more mostly fails with less. */
static bool
by_halves(struct shrink *shrink, uint64_t low, uint64_t high,
          void (*set)(struct sim_run_options *options, uint64_t value))
{
    bool any = false;
    while (low < high) {
        struct sim_run_options trial = shrink->best->options;
        uint64_t middle = low + (high - low) / 2;
        set(&trial, middle);
        if (is_smaller(shrink, &trial)) {
            any = true;
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return any;
}

static void
set_seconds(struct sim_run_options *options, uint64_t value)
{
    options->seconds = value;
}

static void
set_clients(struct sim_run_options *options, uint64_t value)
{
    options->client_count = (uint32_t)value;
}

static void
set_steps(struct sim_run_options *options, uint64_t value)
{
    options->fault_steps_max = (uint32_t)value;
}

static bool
shorter(struct shrink *shrink)
{
    const struct sim_shrink_result *best = shrink->best;
    uint64_t seconds = best->options.seconds ? best->options.seconds : 30;
    uint64_t seen = best->result.simulated_ns / SIM_SECOND + 1;
    return by_halves(shrink, 1, seen < seconds ? seen + 1 : seconds, set_seconds);
}

int
sim_shrink(const struct sim_run_options *options,
           void (*on_smaller)(void *owner, const struct sim_run_options *options,
                              const struct sim_run_result *result),
           void *owner, struct sim_shrink_result *out_result)
{
    *out_result = (struct sim_shrink_result){.options = *options};
    struct shrink shrink = {.best = out_result, .on_smaller = on_smaller, .owner = owner};
    out_result->options.trace = out_result->options.history = out_result->options.report = NULL;
    if (!run_trial(&shrink, &out_result->options))
        return shrink.error;
    out_result->result = shrink.trial;
    if (shrink.trial.verdict == SIM_PASSED)
        return -SKEIN_ENOTFOUND;
    bool any = true;
    while (any && shrink.error == 0 && out_result->runs < SIM_SHRINK_RUNS_MAX) {
        any = shorter(&shrink);
        any = without_faults(&shrink) || any;
        uint32_t steps = out_result->options.fault_steps_max;
        bool some = out_result->options.faults_off != (2u << SIM_FAULT_COUNT) - 1;
        any = (some && by_halves(&shrink, 1, steps ? steps : 256, set_steps)) || any;
        uint32_t clients = out_result->options.client_count;
        any = by_halves(&shrink, 1, clients ? clients : SIM_CLIENTS_MAX, set_clients) || any;
    }
    return shrink.error;
}
