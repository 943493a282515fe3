/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/run.h"

/*
 * A failing seed made smaller: fewer kinds of faults, fewer steps of them, fewer clients, a shorter
 * run. Each trial is a run of its own in a child process; what stays fails with the same verdict.
 *
 * Another choice of faults is another run of the seed: what is found is a smaller failure, and not
 * always the same one.
 */

#define SIM_SHRINK_RUNS_MAX 200

struct sim_shrink_result {
    struct sim_run_options options; /* the smallest that fails */
    struct sim_run_result result;   /* how it fails */
    uint32_t runs;
};

/*
 * sim_shrink - @options: of a run that fails.
 * @on_smaller: called for each smaller one that was found; NULL: nobody listens.
 * **Returns** 0; -SKEIN_ENOTFOUND: the run does not fail; -errno: no process could be started.
 */
int sim_shrink(const struct sim_run_options *options,
               void (*on_smaller)(void *owner, const struct sim_run_options *options,
                                  const struct sim_run_result *result),
               void *owner, struct sim_shrink_result *out_result) SKEIN_MUST_CHECK;

#endif
