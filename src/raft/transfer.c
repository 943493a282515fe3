/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mutation.h"
#include "raft/internal.h"

static uint64_t
best_target(const struct raft *raft)
{
    const struct raft_progress *best = NULL;
    for (uint32_t i = 0; i < raft->config.count; i++) {
        const struct raft_progress *p = &raft->peers[i];
        if (p->id == raft->id || p->witness || !(raft->config.roles[i] & RAFT_VOTER))
            continue;
        bool better = best && p->recent_active != best->recent_active
                          ? p->recent_active
                          : !best || p->match > best->match;
        if (better)
            best = p;
    }
    return best ? best->id : RAFT_NONE;
}

static int
lead_transfer(struct raft *raft, uint64_t target)
{
    struct raft_progress *p = raft_peer(raft, target);
    if (!p || p->witness || !raft_config_is(&raft->config, target, RAFT_VOTER | RAFT_OUTGOING))
        return -SKEIN_EINVALID; /* neither a learner (row 25) nor a witness can lead */
    if (raft->transferee == target)
        return 0;
    raft->transferee = RAFT_NONE;
    if (target == raft->id)
        return -SKEIN_EINVALID;
    /* Given up when the next whole election timeout has passed (thesis section 3.10; row 38). */
    raft->election_elapsed = 0;
    raft->transferee = target;
    if (p->match == raft_log_last(&raft->log))
        raft_transfer_maybe_finish(raft, p);
    else
        raft_send_append(raft, p);
    return 0;
}

int
raft_transfer(struct raft *raft, uint64_t target)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    raft_wake(raft);
    if (raft->role == RAFT_LEADER)
        return lead_transfer(raft, target == RAFT_NONE ? best_target(raft) : target);
    if (raft->role != RAFT_FOLLOWER || raft->leader == RAFT_NONE)
        return -SKEIN_ENOTLEADER;
    raft_send(raft, (struct raft_message){
                        .type = RAFT_TRANSFER_LEADER, .to = raft->leader, .context = target});
    return 0;
}

int
raft_on_transfer_leader(struct raft *raft, const struct raft_message *m)
{
    return raft_transfer(raft, m->context) == -SKEIN_EINVALID ? -SKEIN_EPROTO : 0;
}

void
raft_transfer_maybe_finish(struct raft *raft, const struct raft_progress *p)
{
    if (p->id != raft->transferee || p->match != raft_log_last(&raft->log))
        return;
    /* Those who vote for it break their promise; what is under way cannot be called back. */
    raft->lease_void = !mutation_on(MUTATION_LEASE_AFTER_HANDOVER);
    raft_send(raft, (struct raft_message){.type = RAFT_TIMEOUT_NOW, .to = p->id});
}

int
raft_on_timeout_now(struct raft *raft, const struct raft_message *m)
{
    /* No pre-vote: the old leader's next heartbeat would knock the target back (row 34d). */
    bool from_leader = raft->leader == RAFT_NONE || m->from == raft->leader;
    if (raft->role == RAFT_FOLLOWER && from_leader)
        raft_start_campaign(raft, true);
    return 0;
}
