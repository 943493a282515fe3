/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/internal.h"

/*
 * A log write is durable. Its entries count only while no later write has replaced any that were
 * handed out before: the same (index, term) may have been overwritten and written once more in
 * between, and then the disk holds something else than what this answer speaks of (the ABA race,
 * row 33). The replacing write brings an answer of its own.
 */
int
raft_on_storage_appended(struct raft *raft, const struct raft_message *m)
{
    if (m->context > raft->write_seq)
        return -SKEIN_EPROTO;
    if (m->context > raft->durable_seq)
        raft->durable_seq = m->context;
    if (m->context < raft->rewrite_seq || m->index <= raft->log.stable)
        return 0;
    if (m->index > raft->log.taken || raft_log_term(&raft->log, m->index) != m->log_term)
        return 0;
    raft->log.stable = m->index;
    struct raft_progress *own = raft->role == RAFT_LEADER ? raft_peer(raft, raft->id) : NULL;
    if (own && raft_progress_update(own, m->index))
        raft_maybe_commit(raft);
    return 0;
}
