/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/internal.h"

static uint64_t
best_target(const struct raft *raft)
{
    const struct raft_progress *best = NULL;
    for (uint32_t i = 0; i < raft->config.count; i++) {
        const struct raft_progress *p = &raft->peers[i];
        if (p->id == raft->id || !(raft->config.roles[i] & RAFT_VOTER))
            continue;
        bool better = best && p->recent_active != best->recent_active
                          ? p->recent_active
                          : !best || p->match > best->match;
        if (better)
            best = p;
    }
    return best ? best->id : RAFT_NONE;
}

int
raft_transfer(struct raft *raft, uint64_t target)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    if (raft->role != RAFT_LEADER)
        return -SKEIN_ENOTLEADER;
    if (target == RAFT_NONE)
        target = best_target(raft);
    struct raft_progress *p = raft_peer(raft, target);
    if (!p || target == raft->id || !raft_config_is(&raft->config, target, RAFT_VOTER))
        return -SKEIN_EINVALID;
    if (raft->transferee == target)
        return 0;
    /* Given up when the next whole election timeout has passed (thesis section 3.10; row 38). */
    raft->election_elapsed = 0;
    raft->transferee = target;
    raft_transfer_maybe_finish(raft, p);
    if (p->match != raft_log_last(&raft->log))
        raft_mark(raft, p, RAFT_SEND_ALWAYS);
    return 0;
}

void
raft_transfer_maybe_finish(struct raft *raft, const struct raft_progress *p)
{
    if (p->id != raft->transferee || p->match != raft_log_last(&raft->log))
        return;
    raft_send(raft, (struct raft_message){.type = RAFT_TIMEOUT_NOW, .to = p->id});
}

int
raft_on_timeout_now(struct raft *raft, const struct raft_message *m)
{
    /* No pre-vote: the old leader's next heartbeat would knock the target back (row 34d). */
    if (raft->role == RAFT_FOLLOWER && m->from == raft->leader)
        raft_start_campaign(raft, true);
    return 0;
}
