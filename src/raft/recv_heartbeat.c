/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mutation.h"
#include "raft/internal.h"

int
raft_follow_commit(struct raft *raft, const struct raft_message *m)
{
    uint64_t last = raft_log_last(&raft->log);
    if (m->commit <= raft->log.commit)
        return 0;
    if (m->commit <= last && !raft_repairing(raft)) {
        raft_commit_to(raft, m->commit);
        return 0;
    }
    if (mutation_on(MUTATION_COMMIT_BEYOND_APPEND) && !raft_repairing(raft)) {
        raft_commit_to(raft, last);
        return 0;
    }
    /* The leader believes in more than we hold: our disk lost it (row 28). */
    if (raft->options.etcd_rules)
        return -SKEIN_EPROTO;
    raft_repair_ask(raft, m->from);
    return 0;
}

int
raft_on_heartbeat(struct raft *raft, const struct raft_message *m)
{
    if (raft_quiesce_on_heartbeat(raft, m))
        return 0;
    bool sleep = m->context == RAFT_CONTEXT_SLEEP;
    /* The leader's clock goes back only with the promise that it stands for (lease.c). */
    bool promised = raft->options.lease_ns && !sleep;
    raft_send(raft, (struct raft_message){.type = RAFT_HEARTBEAT_RESPONSE,
                                          .to = m->from,
                                          .index = promised ? m->index : 0,
                                          .context = sleep ? 0 : m->context});
    return raft_follow_commit(raft, m);
}

int
raft_on_heartbeat_response(struct raft *raft, const struct raft_message *m)
{
    if (raft->role != RAFT_LEADER)
        return 0;
    struct raft_progress *p = raft_peer(raft, m->from);
    if (!p)
        return 0;
    if (m->context > raft->read_seq_last)
        return -SKEIN_EPROTO;
    p->recent_active = true;
    p->paused = false;
    raft_lease_on_answer(raft, p, m->index);
    /* With a full window this is an empty append: if everything in it was lost, the answer says so.
     */
    if (p->match < raft_log_last(&raft->log) || p->state == RAFT_PROBE)
        raft_send_append(raft, p);
    if (m->context > p->read_seq) {
        p->read_seq = m->context;
        raft_reads_settle(raft);
    }
    return 0;
}
