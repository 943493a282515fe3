/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mutation.h"

#include <stddef.h>
#include <string.h>

static const char *const names[MUTATION_COUNT] = {
    [MUTATION_NONE] = "none",
    [MUTATION_VOTE_BEFORE_SYNC] = "vote-before-sync",
    [MUTATION_COMMIT_OLD_TERM] = "commit-old-term",
    [MUTATION_NO_TRUNCATE] = "no-truncate",
    [MUTATION_READ_BEFORE_COMMIT] = "read-before-commit",
    [MUTATION_BELIEVE_SENDER] = "believe-sender",
    [MUTATION_CORRUPT_IS_TORN] = "corrupt-is-torn",
    [MUTATION_SNAPSHOT_KEEPS_LOG] = "snapshot-keeps-log",
    [MUTATION_SYNC_FAILURE_HIDDEN] = "sync-failure-hidden",
    [MUTATION_SKIP_SYNC] = "skip-sync",
    [MUTATION_LEASE_AFTER_HANDOVER] = "lease-after-handover",
    [MUTATION_INDEX_WITHOUT_DATA] = "index-without-data",
    [MUTATION_PRE_VOTE_IS_CONTACT] = "pre-vote-is-contact",
    [MUTATION_CUT_BEHIND_APPEND] = "cut-behind-append",
    [MUTATION_VOTE_FOR_SHORTER] = "vote-for-shorter",
    [MUTATION_VOTE_TWICE] = "vote-twice",
    [MUTATION_VOTE_FORGOTTEN] = "vote-forgotten",
    [MUTATION_COMMIT_BEYOND_APPEND] = "commit-beyond-append",
    [MUTATION_COMMIT_WITHOUT_QUORUM] = "commit-without-quorum",
    [MUTATION_ACK_BEFORE_SYNC] = "ack-before-sync",
    [MUTATION_COUNT_OWN_UNSYNCED] = "count-own-unsynced",
    [MUTATION_STALE_SNAPSHOT] = "stale-snapshot",
    [MUTATION_READ_WITHOUT_ROUND] = "read-without-round",
    [MUTATION_READ_OWN_STATE] = "read-own-state",
    [MUTATION_DEDUPE_FORGOTTEN] = "dedupe-forgotten",
    [MUTATION_FORWARD_RESENT] = "forward-resent",
    [MUTATION_CARRY_FORGOTTEN] = "carry-forgotten",
    [MUTATION_CHECKPOINT_UNSYNCED] = "checkpoint-unsynced",
    [MUTATION_LOCAL_CLOCK] = "local-clock",
    [MUTATION_SESSIONS_FORGOTTEN] = "sessions-forgotten",
    [MUTATION_LEASE_TOO_LONG] = "lease-too-long",
    [MUTATION_STALE_UNBOUNDED] = "stale-unbounded",
    [MUTATION_JOINT_SKIPPED] = "joint-skipped",
};

const char *
mutation_name(enum mutation which)
{
    return which < MUTATION_COUNT ? names[which] : NULL;
}

enum mutation
mutation_find(const char *name)
{
    for (enum mutation m = MUTATION_NONE; m < MUTATION_COUNT; m++)
        if (strcmp(names[m], name) == 0)
            return m;
    return MUTATION_COUNT;
}

#ifdef SKEIN_MUTATIONS
static enum mutation selected;

void
mutation_select(enum mutation which)
{
    selected = which;
}

bool
mutation_on(enum mutation which)
{
    return which == selected;
}
#endif
