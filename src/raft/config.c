/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/codec.h"
#include "raft/internal.h"

bool
raft_config_valid(const struct raft_config *config)
{
    if (config->voter_count > RAFT_VOTERS_MAX)
        return false;
    uint64_t before = RAFT_NONE;
    for (uint32_t i = 0; i < config->voter_count; i++) {
        if (config->voters[i] <= before)
            return false;
        before = config->voters[i];
    }
    return true;
}

int
raft_config_find(const struct raft_config *config, uint64_t id)
{
    for (uint32_t i = 0; i < config->voter_count; i++)
        if (config->voters[i] == id)
            return (int)i;
    return -1;
}

int
raft_config_change_check(const struct raft_config *config, const struct raft_config_change *change)
{
    bool is_voter = raft_config_find(config, change->node) >= 0;
    if (change->node == RAFT_NONE)
        return -SKEIN_EINVALID;
    if (change->remove)
        return is_voter && config->voter_count > 1 ? 0 : -SKEIN_EINVALID;
    return !is_voter && config->voter_count < RAFT_VOTERS_MAX ? 0 : -SKEIN_EINVALID;
}

void
raft_config_change_do(struct raft_config *config, const struct raft_config_change *change)
{
    uint32_t at = 0;
    while (at < config->voter_count && config->voters[at] < change->node)
        at++;
    if (change->remove) {
        for (; at + 1 < config->voter_count; at++)
            config->voters[at] = config->voters[at + 1];
        config->voters[--config->voter_count] = RAFT_NONE;
        return;
    }
    for (uint32_t i = config->voter_count++; i > at; i--)
        config->voters[i] = config->voters[i - 1];
    config->voters[at] = change->node;
}

struct raft_progress *
raft_peer(struct raft *raft, uint64_t id)
{
    int at = raft_config_find(&raft->config, id);
    return at < 0 ? NULL : &raft->peers[at];
}

uint32_t
raft_quorum(const struct raft *raft)
{
    return raft->config.voter_count / 2 + 1;
}

bool
raft_unapplied_config(const struct raft *raft)
{
    const struct raft_log *log = &raft->log;
    uint64_t from = log->applied > log->base_index ? log->applied + 1 : log->base_index + 1;
    for (uint64_t i = from; i <= log->commit; i++)
        if (raft_log_at(log, i)->type == RAFT_ENTRY_CONFIG && i > raft->config_index)
            return true;
    return false;
}

/* Peers and ballots stand beside the voters: move what stays, start what is new. */
static void
rearrange(struct raft *raft, const struct raft_config *config)
{
    struct raft_progress old_peers[RAFT_VOTERS_MAX];
    enum raft_ballot old_ballots[RAFT_VOTERS_MAX];
    struct raft_config old = raft->config;
    for (uint32_t i = 0; i < RAFT_VOTERS_MAX; i++) {
        old_peers[i] = raft->peers[i];
        old_ballots[i] = raft->ballots[i];
        raft->peers[i] = (struct raft_progress){0};
        raft->ballots[i] = RAFT_BALLOT_NONE;
    }
    raft->config = *config;
    for (uint32_t i = 0; i < config->voter_count; i++) {
        int from = raft_config_find(&old, config->voters[i]);
        if (from >= 0) {
            raft->peers[i] = old_peers[from];
            raft->ballots[i] = old_ballots[from];
            old_peers[from] = (struct raft_progress){0};
            continue;
        }
        raft->peers[i].id = config->voters[i];
        raft->peers[i].next = raft_log_last(&raft->log) + 1;
        raft->peers[i].recent_active = true;
    }
    for (uint32_t i = 0; i < RAFT_VOTERS_MAX; i++)
        raft_progress_deinit(&old_peers[i]);
}

void
raft_config_set(struct raft *raft, const struct raft_config *config, uint64_t index)
{
    skein_assert(raft_config_valid(config));
    rearrange(raft, config);
    raft->config_index = index;
}

int
raft_apply_config(struct raft *raft, const struct raft_entry *entry)
{
    skein_assert(entry->type == RAFT_ENTRY_CONFIG);
    if (entry->index <= raft->config_index)
        return 0;
    skein_assert(entry->index <= raft->log.applying);
    struct raft_config_change change;
    raft->config_index = entry->index;
    if (raft_decode_config_change(entry->data, &change) ||
        raft_config_change_check(&raft->config, &change))
        return -SKEIN_EPROTO;

    if (raft->role == RAFT_LEADER)
        raft_flush(raft); /* whoever goes still learns of the commit */
    struct raft_config config = raft->config;
    raft_config_change_do(&config, &change);
    raft_config_set(raft, &config, entry->index);
    if (raft_config_find(&config, raft->id) < 0) {
        if (raft->role != RAFT_FOLLOWER)
            raft_become_follower(raft, raft->term,
                                 raft->role == RAFT_LEADER ? RAFT_NONE : raft->leader);
        return 0;
    }
    if (raft->role != RAFT_LEADER)
        return 0;
    if (raft->transferee && raft_config_find(&config, raft->transferee) < 0)
        raft->transferee = RAFT_NONE;
    raft_maybe_commit(raft);
    raft_reads_settle(raft);
    raft_mark_all(raft, RAFT_SEND_ENTRIES);
    struct raft_progress *added = change.remove ? NULL : raft_peer(raft, change.node);
    if (added)
        raft_mark(raft, added, RAFT_SEND_ALWAYS);
    return 0;
}
