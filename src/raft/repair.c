/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that was damaged and goes back to the part of its log before the damage
 * (docs/design/0007-repair.md). Until its log is as long again as it was, in Raft's order of logs,
 * it decides elections as if it still had all of it: it votes for no shorter log, and does not
 * stand. Whatever was committed with its acknowledgement is so kept: whoever is elected without its
 * vote was elected by a majority that meets the one which committed.
 *
 * Who finds out: a heartbeat's commit is never beyond what its sender, in this term, knows to be
 * durable here. A follower whose log ends before it has lost what it acknowledged, whether it was
 * told so at its start or not, and says so (row 28). A refused append proves nothing of the kind:
 * it may only have overtaken the one before it. Nor does the log's length say so when what was lost
 * had overwritten what is left: until the log is as long again as it was, nothing in it counts as
 * committed because of a heartbeat, and what is known to be common is what was known to be
 * committed. The leader may believe everybody who says so: a
 * lower match makes it count less and send once more, and nothing else. It costs at most one window
 * for each heartbeat answered so; a late repeat that names what was passed since costs the same.
 */
#include "raft/internal.h"

static bool
is_shorter(uint64_t term, uint64_t index, uint64_t than_term, uint64_t than_index)
{
    return term != than_term ? term < than_term : index < than_index;
}

bool
raft_repairing(const struct raft *raft)
{
    return is_shorter(raft_log_last_term(&raft->log), raft_log_last(&raft->log),
                      raft->options.promised_term, raft->options.promised_index);
}

bool
raft_repair_refuses(const struct raft *raft, uint64_t candidate_term, uint64_t candidate_index)
{
    return is_shorter(candidate_term, candidate_index, raft->options.promised_term,
                      raft->options.promised_index);
}

void
raft_repair_ask(struct raft *raft, uint64_t leader)
{
    uint64_t common = raft_repairing(raft) ? raft->log.commit : raft_log_last(&raft->log);
    raft_send(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                          .to = leader,
                                          .index = common,
                                          .log_term = raft_log_term(&raft->log, common),
                                          .reject = true,
                                          .reject_hint = common,
                                          .context = RAFT_CONTEXT_SHORTER});
}

void
raft_repair_on_asked(struct raft *raft, struct raft_progress *p, const struct raft_message *m)
{
    /* A late repeat finds the match below or at what it names. */
    if (p->match <= m->reject_hint || p->state == RAFT_SNAPSHOTTING)
        return;
    p->match = 0;
    raft_progress_become_probe(p);
    p->next = m->reject_hint + 1;
    raft_send_append(raft, p);
}
