/* SPDX-License-Identifier: Apache-2.0 */
/* Groups with nothing to do sleep: see raft_asleep. */
#include "raft/internal.h"

bool
raft_asleep(const struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    return raft->asleep;
}

void
raft_wake(struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    raft->idle_ticks = 0;
    if (!raft->asleep)
        return;
    raft->asleep = false;
    /* The leader beats at once, and then has a whole timeout to hear of its quorum. */
    raft->heartbeat_elapsed = raft->options.heartbeat_ticks;
    raft->election_elapsed = 0;
}

static bool
is_idle(const struct raft *raft)
{
    const struct raft_log *log = &raft->log;
    uint64_t last = raft_log_last(log);
    if (log->commit != last || log->applied != last || !raft_committed_in_term(raft))
        return false;
    if (raft->transferee || raft->read_count || raft_config_joint(&raft->config))
        return false;
    for (uint32_t i = 0; i < raft->config.count; i++) {
        const struct raft_progress *p = &raft->peers[i];
        if (p->match != last || (p->id != raft->id && p->sent_commit != last))
            return false;
    }
    return true;
}

bool
raft_quiesce_tick(struct raft *raft)
{
    if (!raft->options.quiesce_ticks)
        return false;
    raft->idle_ticks = is_idle(raft) ? raft->idle_ticks + 1 : 0;
    if (raft->idle_ticks < raft->options.quiesce_ticks)
        return false;
    for (uint32_t i = 0; i < raft->config.count; i++)
        if (raft->peers[i].id != raft->id)
            raft_send(raft, (struct raft_message){.type = RAFT_HEARTBEAT,
                                                  .to = raft->peers[i].id,
                                                  .index = raft_log_last(&raft->log),
                                                  .log_term = raft_log_last_term(&raft->log),
                                                  .commit = raft->log.commit,
                                                  .context = RAFT_CONTEXT_SLEEP});
    raft->asleep = true;
    return true;
}

/* Whoever sleeps gives no answer, which would only wake the leader. */
bool
raft_quiesce_on_heartbeat(struct raft *raft, const struct raft_message *m)
{
    if (m->context != RAFT_CONTEXT_SLEEP || !raft->options.quiesce_ticks)
        return false;
    uint64_t last = raft_log_last(&raft->log);
    if (m->index != last || m->log_term != raft_log_last_term(&raft->log) || m->commit != last)
        return false;
    raft_commit_to(raft, last);
    raft->asleep = true;
    return true;
}
