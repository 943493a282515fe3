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
    MUTATION_VOTE_BEFORE_SYNC,    /* a vote is answered before term and vote are durable */
    MUTATION_COMMIT_OLD_TERM,     /* an older term's entry is committed by counting (Fig. 8) */
    MUTATION_NO_TRUNCATE,         /* a conflicting suffix is not truncated */
    MUTATION_READ_BEFORE_COMMIT,  /* ReadIndex answered before a commit in the leader's term */
    MUTATION_BELIEVE_SENDER,      /* a message's claimed sender is believed over the link's peer */
    MUTATION_CORRUPT_IS_TORN,     /* a damaged middle of the log is treated as a torn tail */
    MUTATION_SNAPSHOT_KEEPS_LOG,  /* a snapshot is installed without resetting the log behind it */
    MUTATION_SYNC_FAILURE_HIDDEN, /* a failed sync is reported as success */
    MUTATION_SKIP_SYNC,           /* log writes are acknowledged without being synced */
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
