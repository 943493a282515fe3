/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/internal.h"

/* CheckQuorum (thesis section 6.2): a leader that nobody answers must not go on leading. */
static bool
quorum_is_active(struct raft *raft)
{
    enum raft_ballot active[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < raft->config.count; i++) {
        struct raft_progress *p = &raft->peers[i];
        bool answers = p->id == raft->id || p->recent_active;
        active[i] = answers ? RAFT_BALLOT_GRANTED : RAFT_BALLOT_REFUSED;
        p->recent_active = p->id == raft->id;
    }
    return raft_quorum_vote(&raft->config, active) == RAFT_VOTE_WON;
}

static void
tick_leader(struct raft *raft)
{
    raft->heartbeat_elapsed++;
    if (raft_quiesce_tick(raft))
        return;
    if (++raft->election_elapsed >= raft->options.election_ticks) {
        raft->election_elapsed = 0;
        if (raft->options.check_quorum && !quorum_is_active(raft)) {
            raft_become_follower(raft, raft->term, RAFT_NONE);
            return;
        }
        raft->transferee = RAFT_NONE;
    }
    if (raft->heartbeat_elapsed >= raft->options.heartbeat_ticks) {
        raft->heartbeat_elapsed = 0;
        raft_send_heartbeats(raft);
    }
}

void
raft_set_election_timeout(struct raft *raft, uint32_t ticks)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    skein_assert(ticks > 0);
    raft->election_timeout = ticks;
}

void
raft_tick(struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    if (raft->asleep)
        return;
    if (raft->promise_ticks)
        raft->promise_ticks--;
    if (raft->role == RAFT_LEADER) {
        tick_leader(raft);
        return;
    }
    if (raft->election_elapsed < UINT32_MAX)
        raft->election_elapsed++;
    if (raft->election_elapsed >= raft->election_timeout && raft_promotable(raft)) {
        raft->election_elapsed = 0;
        raft_start_campaign(raft, false);
    }
}
