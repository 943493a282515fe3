/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/codec.h"
#include "raft/confchange.h"
#include "raft/internal.h"

struct raft_progress *
raft_peer(struct raft *raft, uint64_t id)
{
    int at = raft_config_find(&raft->config, id);
    return at < 0 ? NULL : &raft->peers[at];
}

bool
raft_unapplied_config(const struct raft *raft)
{
    const struct raft_log *log = &raft->log;
    uint64_t from = log->applied > log->base_index ? log->applied + 1 : log->base_index + 1;
    /* etcd waits until raft_applied says so, too. */
    uint64_t done = raft->options.etcd_rules ? log->applied : raft->config_index;
    for (uint64_t i = from; i <= log->commit; i++)
        if (raft_entry_is_config(raft_log_at(log, i)->type) && i > done)
            return true;
    return false;
}

static void
set_kind(struct raft_progress *p, uint8_t roles)
{
    p->learner = roles & RAFT_LEARNER;
    p->witness = roles & RAFT_WITNESS;
}

/* Peers and ballots stand beside the members: move what stays, start what is new. */
static void
rearrange(struct raft *raft, const struct raft_next *next)
{
    struct raft_progress old_peers[RAFT_MEMBERS_MAX];
    enum raft_ballot old_ballots[RAFT_MEMBERS_MAX];
    struct raft_config old = raft->config;
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        old_peers[i] = raft->peers[i];
        old_ballots[i] = raft->ballots[i];
        raft->peers[i] = (struct raft_progress){0};
        raft->ballots[i] = RAFT_BALLOT_NONE;
    }
    raft->config = next->config;
    for (uint32_t i = 0; i < next->config.count; i++) {
        int from = next->fresh[i] ? -1 : raft_config_find(&old, next->config.ids[i]);
        if (from >= 0) {
            raft->peers[i] = old_peers[from];
            raft->ballots[i] = old_ballots[from];
            old_peers[from] = (struct raft_progress){0};
            continue;
        }
        raft->peers[i].id = next->config.ids[i];
        /* Probed at the end of the log; taken for alive until it had the time to answer. */
        raft->peers[i].next = raft_log_last(&raft->log) ? raft_log_last(&raft->log) : 1;
        raft->peers[i].recent_active = true;
    }
    for (uint32_t i = 0; i < next->config.count; i++)
        set_kind(&raft->peers[i], next->config.roles[i]);
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++)
        raft_progress_deinit(&old_peers[i]);
}

void
raft_config_set(struct raft *raft, const struct raft_next *next, uint64_t index)
{
    skein_assert(raft_config_valid(&next->config));
    rearrange(raft, next);
    raft->was_witness |= raft_config_is(&raft->config, raft->id, RAFT_WITNESS);
    raft->config_index = index;
}

/* A smaller quorum may have more; the new ones need not wait for a heartbeat. */
static void
lead_on(struct raft *raft)
{
    if (raft_maybe_commit(raft)) {
        raft_reads_start(raft);
        raft_send_appends(raft);
    } else {
        for (uint32_t i = 0; i < raft->config.count; i++)
            if (raft->peers[i].id != raft->id)
                raft_send_one(raft, &raft->peers[i]);
    }
    raft_reads_settle(raft);
    if (raft->transferee &&
        !raft_config_is(&raft->config, raft->transferee, RAFT_VOTER | RAFT_OUTGOING))
        raft->transferee = RAFT_NONE;
}

static void
take_effect(struct raft *raft)
{
    bool votes = raft_config_is(&raft->config, raft->id, RAFT_VOTER | RAFT_OUTGOING);
    if (raft->role != RAFT_LEADER) {
        if (!votes && !raft->options.etcd_rules && raft->role != RAFT_FOLLOWER)
            raft_become_follower(raft, raft->term, raft->leader);
        return;
    }
    if (votes) {
        lead_on(raft);
        return;
    }
    if (raft->options.step_down_on_removal)
        raft_become_follower(raft, raft->term, RAFT_NONE);
}

int
raft_apply_config(struct raft *raft, const struct raft_entry *entry)
{
    skein_assert(raft_entry_is_config(entry->type));
    if (entry->index <= raft->config_index)
        return 0;
    skein_assert(entry->index <= raft->log.applying);
    struct raft_conf_change change;
    struct raft_next next;
    raft->config_index = entry->index;
    if (raft_decode_conf_change(entry->type, entry->data, &change) ||
        raft_next(&raft->config, &change, &next))
        return -SKEIN_EPROTO;

    if (raft->role == RAFT_LEADER)
        raft_flush(raft); /* whoever goes still learns of the commit */
    raft_config_set(raft, &next, entry->index);
    take_effect(raft);
    return 0;
}

/* A joint configuration with auto_leave ends as soon as nothing else about members is pending
 * (Raft section 6: the leader proposes the new one alone). Refused (a transfer under way), it is
 * tried again at the next applied entry. */
void
raft_config_maybe_leave(struct raft *raft)
{
    uint64_t index;
    uint64_t term;
    if (!raft->config.auto_leave || raft->role != RAFT_LEADER ||
        raft->log.applied < raft->pending_config_index)
        return;
    const struct raft_conf_change leave = {0};
    (void)!raft_propose_config(raft, &leave, &index, &term);
}
