/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SWEEP_H
#define SIM_SWEEP_H

#include "sim/run.h"

/*
 * Many seeds, each in a child process, so that an assertion or a sanitizer's abort is a result like
 * the others and carries its seed.
 *
 *   parent -- fork --> child: sim_run(seed) -- one struct through a pipe --> parent: on_result
 */

struct sim_sweep_options {
    struct sim_run_options run; /* seed is overwritten */
    uint64_t first_seed, seed_count;
    uint32_t job_count;
    bool stop_at_failure;
    /* Called for each seed as it ends, not in order. */
    void (*on_result)(void *owner, uint64_t seed, const struct sim_run_result *result);
    void *owner;
};

struct sim_sweep_result {
    uint64_t passed, failed;
    enum sim_verdict verdict; /* of the failed seed with the lowest number */
    uint64_t failed_seed;
    uint64_t checked_ops, simulated_ns, wall_ns;
    uint64_t cpu_ns; /* of all children, user and system */
};

/* sim_sweep - **Returns** 0, or -errno when no child could be started. */
int sim_sweep(const struct sim_sweep_options *options,
              struct sim_sweep_result *out_result) SKEIN_MUST_CHECK;

#endif
