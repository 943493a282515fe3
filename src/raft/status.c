/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/internal.h"

const char *
raft_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "follower";
    case RAFT_PRE_CANDIDATE:
        return "pre-candidate";
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_LEADER:
        return "leader";
    }
    return "?";
}

static void
peer_status(const struct raft *raft, struct raft_status *out)
{
    for (uint32_t i = 0; i < raft->config.count; i++) {
        const struct raft_progress *p = &raft->peers[i];
        out->peers[out->peer_count++] = (struct raft_peer_status){
            .id = p->id,
            .match = p->match,
            .next = p->next,
            .state = p->state,
            .recent_active = p->recent_active,
            .learner = p->learner,
            .witness = p->witness,
            .paused = raft_progress_is_paused(p),
            .pending_snapshot = p->pending_snapshot,
            .inflight_count = p->inflights.count,
            .inflight_full = raft_inflights_full(&p->inflights, &raft->options),
        };
    }
}

void
raft_status(const struct raft *raft, struct raft_status *out)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    *out = (struct raft_status){
        .id = raft->id,
        .leader = raft->leader,
        .role = raft->role,
        .transferee = raft->transferee,
        .hard_state = {raft->term, raft->vote, raft->log.commit},
        .applied = raft->log.applied,
        .first_index = raft->log.base_index + 1,
        .last_index = raft_log_last(&raft->log),
        .last_term = raft_log_last_term(&raft->log),
        .log_bytes = raft->log.bytes,
        .dropped = raft->dropped,
        .config = raft->config,
    };
    out->wants_checkpoint = raft_wants_checkpoint(raft);
    if (raft->role == RAFT_LEADER)
        peer_status(raft, out);
}

bool
raft_wants_checkpoint(const struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    if (raft->role != RAFT_LEADER || raft->snapshot.index)
        return false;
    for (uint32_t i = 0; i < raft->config.count; i++)
        if (raft->peers[i].id != raft->id && raft->peers[i].needs_snapshot)
            return true;
    return false;
}

struct raft_figures
raft_figures(const struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    return (struct raft_figures){.commit = raft->log.commit,
                                 .last_index = raft_log_last(&raft->log),
                                 .log_bytes = raft->log.bytes,
                                 .dropped = raft->dropped};
}

uint64_t
raft_leader(const struct raft *raft)
{
    return raft->leader;
}

enum raft_role
raft_role(const struct raft *raft)
{
    return raft->role;
}

uint64_t
raft_term(const struct raft *raft)
{
    return raft->term;
}

uint64_t
raft_entry_term(const struct raft *raft, uint64_t index)
{
    return raft_log_term(&raft->log, index);
}
