/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mutation.h"
#include "raft/internal.h"

bool
raft_committed_in_term(const struct raft *raft)
{
    return raft_log_term(&raft->log, raft->log.commit) == raft->term;
}

void
raft_commit_to(struct raft *raft, uint64_t index)
{
    struct raft_log *log = &raft->log;
    if (index <= log->commit)
        return;
    skein_assert(index <= raft_log_last(log));
    log->commit = index;
}

bool
raft_maybe_commit(struct raft *raft)
{
    skein_assert(raft->role == RAFT_LEADER);
    uint64_t matched[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < raft->config.count; i++)
        matched[i] = raft->peers[i].match;
    uint64_t index = raft_quorum_committed(&raft->config, matched);
    for (uint32_t i = 0; i < raft->config.count && mutation_on(MUTATION_COMMIT_WITHOUT_QUORUM); i++)
        index = matched[i] > index ? matched[i] : index;
    if (!raft->config.count || index <= raft->log.commit)
        return false;
    /* Section 5.4.2: only entries of the own term commit by counting (Figure 8; row 1). */
    if (raft_log_term(&raft->log, index) != raft->term && !mutation_on(MUTATION_COMMIT_OLD_TERM))
        return false;
    raft_commit_to(raft, index);
    return true;
}
