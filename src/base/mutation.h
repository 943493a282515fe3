/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MUTATION_H
#define BASE_MUTATION_H

#include <stdbool.h>

/*
 * Known bugs that a test build can put back in, one at a time, to prove that the simulator finds
 * them (the mutation gate). The place of the bug asks mutation_on(...); in every build without
 * -Dmutations=true the answer is the constant false and the branch is gone.
 */

enum mutation {
    MUTATION_NONE,
    MUTATION_VOTE_BEFORE_SYNC,     /* a vote is answered before term and vote are durable */
    MUTATION_COMMIT_OLD_TERM,      /* an older term's entry is committed by counting (Fig. 8) */
    MUTATION_NO_TRUNCATE,          /* a conflicting suffix is not truncated */
    MUTATION_READ_BEFORE_COMMIT,   /* ReadIndex answered before a commit in the leader's term */
    MUTATION_BELIEVE_SENDER,       /* a message's claimed sender is believed over the link's peer */
    MUTATION_CORRUPT_IS_TORN,      /* a damaged middle of the log is treated as a torn tail */
    MUTATION_SNAPSHOT_KEEPS_LOG,   /* a snapshot is installed without resetting the log behind it */
    MUTATION_SYNC_FAILURE_HIDDEN,  /* a failed sync is reported as success */
    MUTATION_SKIP_SYNC,            /* log writes are acknowledged without being synced */
    MUTATION_LEASE_AFTER_HANDOVER, /* reads are answered unasked while leadership is handed over */
    MUTATION_INDEX_WITHOUT_DATA,   /* a checkpoint's index and its data are not of one moment */
    MUTATION_PRE_VOTE_IS_CONTACT,  /* granting a pre-vote counts as having heard from a leader */
    MUTATION_CUT_BEHIND_APPEND, /* what lies behind an append is cut off although it fits (row 21)
                                 */
    MUTATION_VOTE_FOR_SHORTER,  /* a vote is granted whatever the candidate's log is */
    MUTATION_VOTE_TWICE,        /* a vote is granted to whoever asks, in one term */
    MUTATION_VOTE_FORGOTTEN,    /* the vote is forgotten at a restart */
    MUTATION_COMMIT_BEYOND_APPEND,  /* commit goes beyond what the leader's append covered */
    MUTATION_COMMIT_WITHOUT_QUORUM, /* an entry is committed when one of them all has it (row 20) */
    MUTATION_ACK_BEFORE_SYNC,       /* an append is acknowledged before it is durable */
    MUTATION_COUNT_OWN_UNSYNCED,    /* a leader counts its own log before it is durable (row 29) */
    MUTATION_STALE_SNAPSHOT,        /* a snapshot older than what is committed is installed */
    MUTATION_READ_WITHOUT_ROUND,    /* a leader answers reads without asking whether it still leads
                                       (row 19) */
    MUTATION_READ_OWN_STATE,        /* a follower answers reads out of its own state */
    MUTATION_DEDUPE_FORGOTTEN,      /* a repeated hand-over of a write is carried out again */
    MUTATION_FORWARD_RESENT,        /* a write of unknown outcome is handed on once more */
    MUTATION_CARRY_FORGOTTEN,       /* term and vote are not carried into a new segment */
    MUTATION_CHECKPOINT_UNSYNCED,   /* a checkpoint gets its name before it is durable */
    MUTATION_LOCAL_CLOCK, /* keys expire by each node's own clock instead of the log's time */
    MUTATION_SESSIONS_FORGOTTEN, /* checkpoints hold no sessions */
    MUTATION_JOINT_SKIPPED,      /* many members change at once, without a joint configuration */
    MUTATION_LEASE_TOO_LONG,     /* a lease is kept four times as long as the voters promised */
    MUTATION_STALE_UNBOUNDED,    /* stale reads are answered however old the state is */
    MUTATION_COUNT
};

/* mutation_name - "vote-before-sync" ...; NULL outside the range. */
const char *mutation_name(enum mutation which);
/* mutation_find - the mutation of a name, or MUTATION_COUNT. */
enum mutation mutation_find(const char *name);

#ifdef SKEIN_MUTATIONS
/* mutation_select - choose the one bug of this process; MUTATION_NONE for none. */
void mutation_select(enum mutation which);
bool mutation_on(enum mutation which);
#else
static inline bool
mutation_on(enum mutation which)
{
    (void)which;
    return false;
}
#endif

#endif
