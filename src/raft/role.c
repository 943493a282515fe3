/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/internal.h"

/* What every change of role or term leaves behind. */
static void
reset(struct raft *raft, uint64_t term)
{
    if (raft->term != term) {
        skein_assert(term > raft->term);
        raft->term = term;
        raft->vote = RAFT_NONE;
    }
    raft->leader = RAFT_NONE;
    raft->election_elapsed = 0;
    raft->heartbeat_elapsed = 0;
    uint32_t ticks = raft->options.election_ticks;
    raft->election_timeout = (uint32_t)prng_range(&raft->prng, ticks, 2 * ticks - 1) +
                             2 * ticks * raft->options.election_rank;
    raft->transferee = RAFT_NONE;
    raft->pending_config_index = 0;
    raft->uncommitted_bytes = 0;
    raft->flush_wanted = false;
    raft->lease_void = false;
    raft->asleep = false;
    raft->idle_ticks = 0;
    raft_reads_drop(raft);
    for (uint32_t i = 0; i < raft->config.count; i++) {
        struct raft_progress *p = &raft->peers[i];
        raft->ballots[i] = RAFT_BALLOT_NONE;
        raft_progress_deinit(p);
        p->id = raft->config.ids[i];
        p->learner = raft->config.roles[i] & RAFT_LEARNER;
        p->witness = raft->config.roles[i] & RAFT_WITNESS;
        p->next = raft_log_last(&raft->log) + 1;
        if (p->id == raft->id)
            p->match = raft_log_last(&raft->log);
    }
}

void
raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader)
{
    reset(raft, term);
    raft->role = RAFT_FOLLOWER;
    raft->leader = leader;
}

/* Neither term nor vote change: a pre-vote promises nothing (thesis section 9.6; row 34c). */
void
raft_become_pre_candidate(struct raft *raft)
{
    skein_assert(raft->role != RAFT_LEADER);
    for (uint32_t i = 0; i < raft->config.count; i++)
        raft->ballots[i] = RAFT_BALLOT_NONE;
    raft->leader = RAFT_NONE;
    raft->role = RAFT_PRE_CANDIDATE;
    raft_reads_drop(raft);
}

void
raft_become_candidate(struct raft *raft)
{
    skein_assert(raft->role != RAFT_LEADER);
    reset(raft, raft->term + 1);
    raft->role = RAFT_CANDIDATE;
    raft->vote = raft->id;
}

void
raft_become_leader(struct raft *raft)
{
    skein_assert(raft->role == RAFT_CANDIDATE);
    reset(raft, raft->term);
    raft->role = RAFT_LEADER;
    raft->leader = raft->id;
    raft->read_seq_last = 0;
    /* Its match is all it holds, durable or not: nothing commits before an entry of this term does,
     * and that is durable after all before it. */
    struct raft_progress *own = raft_peer(raft, raft->id);
    if (own) {
        raft_progress_become_replicate(own);
        own->recent_active = true;
    }
    /* Which of the entries behind commit are changes is not looked up: wait for all (row 37). */
    raft->pending_config_index = raft_log_last(&raft->log);
    if (!raft->options.etcd_rules)
        for (uint64_t i = raft->log.applied + 1; i <= raft_log_last(&raft->log); i++)
            raft->uncommitted_bytes += raft_entry_charge(raft, raft_log_at(&raft->log, i));
    /* The no-op without which nothing older could ever commit (section 8; row 11). */
    raft_append_own(raft, &(struct raft_entry){.type = RAFT_ENTRY_NORMAL}, 1);
    raft_send_appends(raft);
}
