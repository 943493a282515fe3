/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/internal.h"

static void
on_rejected(struct raft *raft, struct raft_progress *p, const struct raft_message *m)
{
    if (m->context == RAFT_CONTEXT_NEEDS_SNAPSHOT) {
        /* With a match it is a late one: this disk held something since. One that lost it all says
         * RAFT_CONTEXT_SHORTER first. */
        if (p->state == RAFT_SNAPSHOTTING || p->match)
            return;
        raft_progress_become_probe(p);
        p->needs_snapshot = true;
        raft_send_append(raft, p);
        return;
    }
    if (m->context == RAFT_CONTEXT_SHORTER) {
        raft_repair_on_asked(raft, p, m);
        return;
    }
    /* Skip what the follower cannot hold of a term (section 5.3, at the end), from our side. */
    uint64_t hint = m->reject_hint;
    uint64_t unused;
    if (m->log_term > 0)
        hint = raft_log_hint(&raft->log, hint, m->log_term, &unused);
    if (raft_progress_rejected(p, m->index, hint))
        raft_send_append(raft, p);
}

static void
on_accepted(struct raft *raft, struct raft_progress *p, const struct raft_message *m)
{
    p->needs_snapshot = false;
    if (!raft_progress_update(p, m->index) && !(p->match == m->index && p->state == RAFT_PROBE))
        return;
    switch (p->state) {
    case RAFT_PROBE:
        raft_progress_become_replicate(p);
        break;
    case RAFT_SNAPSHOTTING:
        /* Whatever brought it here, our log reaches it again. */
        if (p->match >= raft->log.base_index) {
            raft_progress_become_probe(p);
            raft_progress_become_replicate(p);
        }
        break;
    case RAFT_REPLICATE:
        raft_inflights_free_to(&p->inflights, m->index);
        break;
    }
    if (raft_maybe_commit(raft)) {
        raft_reads_start(raft);
        raft_send_appends(raft);
    } else if (raft->options.eager_sends && p->id != raft->id &&
               raft_progress_can_bump_commit(p, raft->log.commit)) {
        raft_send_append(raft, p);
    }
    raft_send_rest(raft, p);
    raft_transfer_maybe_finish(raft, p);
}

int
raft_on_append_response(struct raft *raft, const struct raft_message *m)
{
    if (raft->role != RAFT_LEADER)
        return 0;
    struct raft_progress *p = raft_peer(raft, m->from);
    if (!p)
        return 0; /* not, or no longer, a member */
    if (!m->reject && m->index > raft_log_last(&raft->log))
        return -SKEIN_EPROTO;
    p->recent_active = true;
    if (m->reject)
        on_rejected(raft, p, m);
    else
        on_accepted(raft, p, m);
    return 0;
}

void
raft_report_unreachable(struct raft *raft, uint64_t peer)
{
    struct raft_progress *p = raft->role == RAFT_LEADER ? raft_peer(raft, peer) : NULL;
    if (raft->leader == peer)
        raft_wake(raft); /* it could not wake us any more */
    if (p && p->id != raft->id && p->state == RAFT_REPLICATE)
        raft_progress_become_probe(p);
}
