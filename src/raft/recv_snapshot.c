/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/mutation.h"
#include "raft/internal.h"

static void
answer(struct raft *raft, const struct raft_message *m, uint64_t matched)
{
    raft_send(raft,
              (struct raft_message){.type = RAFT_APPEND_RESPONSE, .to = m->from, .index = matched});
}

static void
restore(struct raft *raft, const struct raft_snapshot *snapshot)
{
    size_t kept_count = 0;
    struct raft_entry *kept = NULL;
    if (mutation_on(MUTATION_SNAPSHOT_KEEPS_LOG))
        kept = raft_log_copy(&raft->log, snapshot->index + 1, raft_log_last(&raft->log), UINT64_MAX,
                             &kept_count);
    raft_log_reset(&raft->log, snapshot->index, snapshot->term);
    for (size_t i = 0; i < kept_count; i++)
        raft_log_push(&raft->log, kept[i]);
    mem_free(kept);
    raft->restored = *snapshot;
    raft->snapshot = *snapshot;
    raft->snapshot_seq = raft->write_seq + 1;
    struct raft_next next = {.config = snapshot->config};
    for (uint32_t i = 0; i < next.config.count; i++)
        next.fresh[i] = true;
    raft_config_set(raft, &next, snapshot->index);
}

/* Section 7. */
int
raft_on_snapshot(struct raft *raft, const struct raft_message *m)
{
    const struct raft_snapshot *snapshot = m->snapshot;
    if (snapshot->index <= raft->log.commit && !mutation_on(MUTATION_STALE_SNAPSHOT)) {
        answer(raft, m, raft->log.commit);
        return 0;
    }
    /* Not for us: whoever is in no part of it would not know who it is any more. */
    if (raft->options.etcd_rules && raft_config_find(&snapshot->config, raft->id) < 0) {
        answer(raft, m, raft->log.commit);
        return 0;
    }
    /* We hold that entry: then all before it, too, and nothing behind it may be thrown away. */
    if (raft_log_matches(&raft->log, snapshot->index, snapshot->term)) {
        raft_commit_to(raft, snapshot->index);
        answer(raft, m, raft->log.commit);
        return 0;
    }
    restore(raft, snapshot);
    answer(raft, m, raft_log_last(&raft->log));
    return 0;
}

void
raft_report_snapshot(struct raft *raft, uint64_t peer, bool ok)
{
    struct raft_progress *p = raft->role == RAFT_LEADER ? raft_peer(raft, peer) : NULL;
    if (!p || p->state != RAFT_SNAPSHOTTING)
        return;
    if (!ok)
        p->pending_snapshot = 0;
    raft_progress_become_probe(p);
    /* Installed or lost, it needs a moment: go on at its next answer (row 39). */
    p->paused = true;
}
