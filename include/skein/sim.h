/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_SIM_H
#define SKEIN_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "skein/error.h"
#include "skein/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A program of yours in the simulator: the code that runs on the real runtime runs here, unchanged,
 * on machines whose time, files, network and entropy are made up from one seed.
 *
 *   machine 1 .. n: node_main, with a disk each; crash, pause, full disks, clocks that jump ...
 *   machine n + 1:  workload_main, without a disk; it never fails
 *   between them:   a network with delays, loss of datagrams, partitions
 *
 *   0 s              faults              calm: everything is mended       workload_main returns
 *   |--- faults until faults_ns -----------|---------------------------------|--> the result
 *
 * node_main is the first fiber of its machine; when it returns, or the machine crashes, it is
 * started again after a while and finds its disk as a crash has left it. workload_main drives the
 * nodes over sockets, notes what they answered (skein/linear.h) and judges it. Whoever finds
 * something that must not be calls skein_sim_fail. What must happen is a matter of time: the run
 * fails with SKEIN_SIM_LIVENESS when workload_main has not returned at time_ns_max.
 *
 * The same options twice give the same run, event for event (trace_hash). For that, the code may
 * ask nothing but the runtime for time, entropy, files and sockets, start no threads, and let no
 * order depend on addresses. Memory of skein_alloc is dropped at a crash; memory of malloc is not.
 * A failed assertion ends the process, as everywhere: run each seed in a process of its own to go
 * on behind it.
 */

#define SKEIN_SIM_NODES_MAX 15

/* Kinds of trouble, a bit each. */
enum skein_sim_fault {
    SKEIN_SIM_CRASH = 1 << 0,      /* the process ends: the machine goes on */
    SKEIN_SIM_POWER_LOSS = 1 << 1, /* and what was not synced is at stake */
    SKEIN_SIM_PAUSE = 1 << 2,      /* it stands still, and does not know */
    SKEIN_SIM_PARTITION = 1 << 3,  /* two sides that do not hear each other */
    SKEIN_SIM_ONE_WAY = 1 << 4,    /* one machine does not hear another one */
    SKEIN_SIM_ISOLATE = 1 << 5,    /* one machine is alone */
    SKEIN_SIM_DELAY = 1 << 6, /* messages are late, datagrams come twice, or in another order */
    SKEIN_SIM_LOSS = 1 << 7,  /* up to 30 % of datagrams are lost */
    SKEIN_SIM_DISK_ERROR = 1 << 8, /* writes and syncs fail with -EIO */
    SKEIN_SIM_DISK_FULL = 1 << 9,
    SKEIN_SIM_DISK_SLOW = 1 << 10,
    SKEIN_SIM_REFORMAT = 1 << 11,   /* a machine comes back with an empty disk */
    SKEIN_SIM_CLOCK = 1 << 12,      /* the wall clock jumps by up to 10 s */
    SKEIN_SIM_TORN = 1 << 13,       /* the power goes, and blocks of 4 KiB under way lack sectors */
    SKEIN_SIM_ROT = 1 << 14,        /* it goes, and one sector in a hundred of all files is noise */
    SKEIN_SIM_READ_ERROR = 1 << 15, /* reads of files fail with -EIO */
    SKEIN_SIM_MEMORY = 1 << 16,     /* the runtime's allocations fail: those that may, with
                                       -SKEIN_ENOMEM, as those of skein_budget_alloc */
    SKEIN_SIM_FAULTS_ALL = (1 << 17) - 1
};
#define SKEIN_SIM_FAULT_KINDS 17
#define SKEIN_SIM_WEIGHT_MAX 1000

/* What a program may lose none of its promises by, if it syncs what it promises. */
#define SKEIN_SIM_FAULTS_USUAL (((1 << 13) - 1) & ~SKEIN_SIM_REFORMAT & ~SKEIN_SIM_DISK_FULL)

/* Per mille, as long as faults are on; a fault that is drawn adds to them. */
struct skein_sim_rates {
    uint32_t loss, duplicate, late; /* of datagrams; late: messages of streams, too */
    uint32_t torn;                  /* of blocks under way when the power goes */
    uint32_t read_error, write_error, sync_error;
    uint32_t memory; /* of allocations that may fail */
};
enum skein_sim_verdict {
    SKEIN_SIM_PASSED = 0,
    SKEIN_SIM_SAFETY = 1,  /* skein_sim_fail was called */
    SKEIN_SIM_LIVENESS = 2 /* the time was up, or events went round in a circle */
};

struct skein_sim; /* one run */

struct skein_sim_options {
    uint64_t seed;
    uint32_t node_count; /* 1 to SKEIN_SIM_NODES_MAX */
    int (*node_main)(struct skein_sim *sim, uint32_t node, void *arg); /* @node: from 1 */
    int (*workload_main)(struct skein_sim *sim, void *arg);            /* 0: it passed */
    void *arg;
    uint32_t faults;                         /* of enum skein_sim_fault */
    uint32_t weights[SKEIN_SIM_FAULT_KINDS]; /* by bit, up to SKEIN_SIM_WEIGHT_MAX; 0: 10 */
    struct skein_sim_rates always;
    uint64_t faults_ns;        /* how long; 0: 30 s */
    uint64_t fault_gap_ns_max; /* between two of them; 0: 1 s */
    uint64_t latency_ns_max;   /* of a message without trouble; 0: 2 ms */
    uint64_t time_ns_max;      /* of the whole run; 0: faults_ns and 10 minutes */
    FILE *trace;               /* every event as a line; NULL: none */
};

#define SKEIN_SIM_OPTIONS_INIT                            \
    {                                                     \
        .node_count = 3, .faults = SKEIN_SIM_FAULTS_USUAL \
    }

struct skein_sim_result {
    enum skein_sim_verdict verdict;
    char why[256];
    uint64_t simulated_ns, event_count, trace_hash;
    uint64_t crashes, exits, faults;
};

/*
 * skein_sim_run - one run, from the first boot to the verdict. @out_result: filled when 0 is
 * returned.
 * **Runs on** a thread that is no shard; returns when the run is over.
 * **Returns** 0; -SKEIN_EINVALID: an option is out of its range, or a function is missing.
 */
int skein_sim_run(const struct skein_sim_options *options,
                  struct skein_sim_result *out_result) SKEIN_MUST_CHECK;

/*
 * skein_sim_set - change @options as a person says it: "crash=40,rot=off,loss=5%,fault-gap-ms=200".
 * The names of kinds are those of enum skein_sim_fault ("power-loss", "disk-error" ...), and take
 * off, on or a weight; those of rates ("loss", "write-error" ...) take a percentage; of times:
 * faults-ms, fault-gap-ms, latency-max-us, time-ms.
 * **Returns** 0; -SKEIN_EINVALID: @out_why says what is wrong, and nothing is changed.
 */
#define SKEIN_SIM_WHY_BYTES 256
int skein_sim_set(struct skein_sim_options *options, const char *list,
                  char out_why[SKEIN_SIM_WHY_BYTES]) SKEIN_MUST_CHECK;
/* skein_sim_plan - the same from a file, NAME = VALUE on each line, # begins a comment. **Returns**
 * also -EIO: it cannot be read. */
int skein_sim_plan(struct skein_sim_options *options, FILE *file,
                   char out_why[SKEIN_SIM_WHY_BYTES]) SKEIN_MUST_CHECK;

/* ---- for the code inside ---- */

/* skein_sim_addr - where node @node can be reached; also what a node may listen on. */
struct skein_addr skein_sim_addr(uint32_t node, uint16_t port);

/* skein_sim_fail - something happened that must not: the run ends, at the end of this turn. The
 * first reason counts. */
void skein_sim_fail(struct skein_sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* skein_sim_calm - everything is mended and nothing will break any more. */
bool skein_sim_calm(const struct skein_sim *sim);

#ifdef __cplusplus
}
#endif
#endif
