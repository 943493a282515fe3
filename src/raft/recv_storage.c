/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/internal.h"

/* A log write is durable. Whether its entries count: raft.h, the ABA guard (row 33). */
int
raft_on_storage_appended(struct raft *raft, const struct raft_message *m)
{
    if (m->context > raft->write_seq)
        return -SKEIN_EPROTO;
    if (m->context > raft->durable_seq)
        raft->durable_seq = m->context;
    if (m->term < raft->term || m->index <= raft->log.stable)
        return 0;
    if (m->index > raft->log.taken || raft_log_term(&raft->log, m->index) != m->log_term)
        return 0;
    raft->log.stable = m->index;
    if (raft->role != RAFT_LEADER || raft->options.eager_sends)
        return 0;
    struct raft_progress *own = raft_peer(raft, raft->id);
    if (own && raft_progress_update(own, m->index) && raft_maybe_commit(raft)) {
        raft_reads_start(raft);
        raft_send_appends(raft);
    }
    return 0;
}
