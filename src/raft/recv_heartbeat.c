/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mutation.h"
#include "raft/internal.h"

int
raft_on_heartbeat(struct raft *raft, const struct raft_message *m)
{
    if (raft_quiesce_on_heartbeat(raft, m))
        return 0;
    bool sleep = m->context == RAFT_CONTEXT_SLEEP;
    raft_send(raft, (struct raft_message){.type = RAFT_HEARTBEAT_RESPONSE,
                                          .to = m->from,
                                          .index = sleep ? 0 : m->index,
                                          .context = sleep ? 0 : m->context});
    /* The leader believes in more than we hold: our disk was lost. The answer lets it find out;
     * what we do not hold we cannot commit (row 28). */
    if (m->commit > raft_log_last(&raft->log) && raft_repairing(raft)) {
        raft_repair_ask(raft, m->from);
        return 0;
    }
    uint64_t commit = m->commit;
    if (mutation_on(MUTATION_COMMIT_BEYOND_APPEND) && commit > raft_log_last(&raft->log))
        commit = raft_log_last(&raft->log);
    if (commit > raft_log_last(&raft->log))
        return -SKEIN_EPROTO;
    raft_commit_to(raft, commit);
    return 0;
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
