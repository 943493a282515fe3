/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include <stdio.h>

#include "sim/cluster.h"
#include "sim/settings.h"

/*
 * One seed, from the first boot to the verdict.
 *
 *   0 s          faults                30 s   a majority healed       60 s   all healed
 *   |--- safety ------------------------|--- liveness -----------------|--- convergence --> checks
 *
 * Checks in the end: every client got on while a majority was healed; all members come to the same
 * state; every key is read once more; the history is linearizable; memory was bounded; enough was
 * checked.
 */

struct sim_run_options {
    uint64_t seed;
    uint32_t node_count;      /* 0: by seed, 3 or 5 */
    uint64_t seconds;         /* with faults; 0: 30. The liveness phase is as long, 30 at least */
    uint32_t client_count;    /* 0: by seed */
    uint32_t faults_off;      /* a bit for each enum sim_fault that does not happen, and one behind
                                 them for trouble aimed at messages */
    uint32_t fault_steps_max; /* the nemesis rests after so many; 0: it does not */
    struct sim_settings settings; /* what is not as the seed draws it */
    FILE *trace;                  /* NULL: none */
    bool log;                     /* the nodes' log lines to standard error */
    uint32_t group_count;         /* of each node; 0: by seed, mostly 1 */
    bool quiesce;                 /* idle groups sleep, whatever the seed says */
    bool members;  /* three nodes of six begin, and an operator changes the members */
    bool shuffle;  /* ready fibers run in an order drawn from the seed */
    FILE *history; /* where the clients' history goes; NULL: nowhere */
    FILE *report;  /* where a history that does not fit is explained; NULL: nowhere */
};

struct sim_run_result {
    enum sim_verdict verdict;
    char reason[768];
    uint64_t checked_ops, failed_ops, unknown_ops;
    uint64_t once_ops, once_attempts; /* writes in sessions that were done, and how often sent */
    uint64_t reads[4];                /* answered ones, by enum replica_level */
    uint64_t simulated_ns, event_count, trace_hash;
    uint64_t member_changes;
    uint64_t write_gap_ns_max; /* the longest time without any write acknowledged */
    uint64_t crashes, exits, elections, joins, repairs, set_aside, checkpoints, snapshots,
        forged_dropped, lost_blocks;
    uint64_t memory_bytes_max;
    uint64_t upgrades; /* nodes that were replaced by newer ones */
    uint32_t group_count;
    uint64_t slept; /* groups that were seen asleep, at each look */
};

/* sim_run - @out_result is filled in either case. */
void sim_run(const struct sim_run_options *options, struct sim_run_result *out_result);

#endif
