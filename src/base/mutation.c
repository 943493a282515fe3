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
