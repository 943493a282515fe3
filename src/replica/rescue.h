/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_RESCUE_H
#define REPLICA_RESCUE_H

#include "replica/genesis.h"
#include "replica/machine.h"

/*
 * A cluster that lost its quorum for ever goes on from one disk that is left
 * (docs/design/0023-a-lost-quorum.md). For the directory of a node that is stopped:
 *
 *   rescue_run, not confirmed    what the disk holds; nothing is changed
 *   rescue_run, confirmed        all that it holds, entries that were never committed included,
 *                                becomes the first state of a new cluster with one member: it
 *
 *   <data_dir>/recovery/            the new state is made here; its identity comes last
 *   <data_dir>/before-<new disk>/     where the old state goes, whole
 *
 *     make recovery/ --> identity in it --> old state away --> "moved" --> new state in place,
 *      cut off: again from the start     |    cut off here: rescue_run goes on where it was cut off
 *
 * As long as recovery/ is there, no node opens the directory.
 */

/* What a disk holds of one group. */
struct rescue_group {
    uint64_t term, vote_node;
    uint64_t last_index, last_term;
    uint64_t commit_index;     /* known to be committed; what is behind it may be, too */
    uint64_t checkpoint_index; /* 0: there is none */
    uint64_t promised_index;   /* above last_index: so much it had, and its log was damaged */
};

struct rescue_report {
    char cluster_name[GENESIS_NAME_BYTES_MAX + 1];
    uint32_t node;
    enum genesis_state state;
    uint8_t cluster[16];
    struct rescue_group *groups;
    uint32_t group_count;
    struct raft_config config; /* of group 0, behind its last entry */
    char damage[512];          /* of the log; "": it is whole */
    bool finished;             /* an earlier run was cut off, and this one finished it */
    uint8_t new_cluster[16];   /* confirmed or finished: the recovered one's */
    char former_dir[32];       /* where the old state is, in data_dir */
};
void rescue_report_deinit(struct rescue_report *report);

struct rescue_options {
    const char *data_dir;
    const struct replica_machine_ops *machine_ops;
    void *machine_config;
    bool confirmed;
    uint32_t steps_max; /* 0: all. For tests: stop after so many renames, with -SKEIN_ECANCELED */
};

/*
 * rescue_run - **Returns** 0; -SKEIN_EBUSY: a process uses the directory; -SKEIN_ENOTFOUND: there
 * is no identity in it, or it never was in a cluster; -SKEIN_ECORRUPT: the log does not continue
 * the checkpoint; -errno; @out_why: 512 bytes. **Ownership**: rescue_report_deinit, after a failure
 * too.
 * **Runs on** a fiber, suspends.
 */
int rescue_run(const struct rescue_options *options, struct rescue_report *out_report,
               char out_why[512]) SKEIN_MUST_CHECK;

/* rescue_check - a recovery of @data_dir was begun and not finished: -SKEIN_EIDENTITY, and how to
 * go on. 0 else. */
int rescue_check(const char *data_dir, char out_why[512]) SKEIN_MUST_CHECK;

#endif
