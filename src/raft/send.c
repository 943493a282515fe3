/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/mutation.h"
#include "raft/internal.h"

static void
put(struct raft_messages *list, struct raft_message message)
{
    mem_grow(&list->items, &list->capacity, list->count, sizeof(*list->items));
    list->items[list->count++] = message;
}

/* Messages that promise something about this node's disk. */
static bool
waits_for_append(const struct raft *raft, const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_VOTE_RESPONSE:
        return !mutation_on(MUTATION_VOTE_BEFORE_SYNC) || m->to == raft->id;
    case RAFT_APPEND_RESPONSE:
        return !mutation_on(MUTATION_ACK_BEFORE_SYNC) || m->to == raft->id;
    case RAFT_PRE_VOTE_RESPONSE:
        return true;
    /* A candidate that forgot its term would ask once more in the same term, with what is left of
     * its log, and the vote that was granted to the longer one would count for it. */
    case RAFT_VOTE:
        return !raft->options.etcd_rules;
    case RAFT_APPEND:
    case RAFT_PRE_VOTE:
    case RAFT_SNAPSHOT:
    case RAFT_HEARTBEAT:
    case RAFT_HEARTBEAT_RESPONSE:
    case RAFT_TIMEOUT_NOW:
    case RAFT_STORAGE_APPENDED:
    case RAFT_PROPOSE:
    case RAFT_READ_INDEX:
    case RAFT_READ_INDEX_RESPONSE:
    case RAFT_TRANSFER_LEADER:
    case RAFT_MESSAGE_TYPE_END:
        break;
    }
    return false;
}

void
raft_send(struct raft *raft, struct raft_message message)
{
    skein_assert(message.to != RAFT_NONE);
    message.from = raft->id;
    bool termless = message.type == RAFT_PROPOSE || message.type == RAFT_READ_INDEX;
    if (!message.term && !termless)
        message.term = raft->term;
    put(waits_for_append(raft, &message) ? &raft->after_append : &raft->messages, message);
}

void
raft_send_heartbeats(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->config.count; i++) {
        struct raft_progress *p = &raft->peers[i];
        if (p->id == raft->id)
            continue;
        bool unbounded = mutation_on(MUTATION_COMMIT_BEYOND_APPEND) || raft->log.commit < p->match;
        p->sent_commit = unbounded ? raft->log.commit : p->match;
        raft_send(raft, (struct raft_message){.type = RAFT_HEARTBEAT,
                                              .to = p->id,
                                              .index = raft->options.lease_ns ? raft->now_ns : 0,
                                              .commit = p->sent_commit,
                                              .context = raft_reads_seq(raft)});
    }
    raft->read_round_wanted = false;
}

static bool
send_snapshot(struct raft *raft, struct raft_progress *p)
{
    if (!p->recent_active || !raft->snapshot.index)
        return false;
    skein_assert(raft->snapshot.index >= raft->log.base_index);
    raft_progress_become_snapshot(p, raft->snapshot.index);
    raft_send(raft, (struct raft_message){.type = RAFT_SNAPSHOT,
                                          .to = p->id,
                                          .snapshot = raft_snapshot_copy(&raft->snapshot)});
    return true;
}

/* A witness is told that there is an entry; what configurations say it has to know. */
static void
strip(struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (raft_entry_is_config(entries[i].type))
            continue;
        bytes_unref(&entries[i].data);
        entries[i].type = RAFT_ENTRY_WITNESSED;
    }
}

/* One append, or a snapshot. Returns whether anything was sent. */
static bool
send_append(struct raft *raft, struct raft_progress *p, bool even_empty)
{
    if (raft_progress_is_paused(p))
        return false;
    uint64_t previous = p->next - 1;
    if (previous < raft->log.base_index || p->needs_snapshot)
        return send_snapshot(raft, p);

    size_t count = 0;
    struct raft_entry *entries = NULL;
    if (p->state == RAFT_PROBE || !raft_inflights_full(&p->inflights, &raft->options))
        entries = raft_log_copy(&raft->log, p->next, raft_log_last(&raft->log),
                                raft->options.append_bytes_max, &count);
    if (!count && !even_empty)
        return false;
    if (p->witness)
        strip(entries, count);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += raft_entry_charge(raft, &entries[i]);
    raft_send(raft, (struct raft_message){.type = RAFT_APPEND,
                                          .to = p->id,
                                          .index = previous,
                                          .log_term = raft_log_term(&raft->log, previous),
                                          .commit = raft->log.commit,
                                          .entries = entries,
                                          .entry_count = count});
    raft_progress_sent(p, count, bytes, &raft->options);
    p->sent_commit = raft->log.commit;
    return true;
}

static void
mark(struct raft *raft, struct raft_progress *p, enum raft_send send)
{
    if (p->send < send)
        p->send = send;
    raft->flush_wanted = true;
}

void
raft_send_append(struct raft *raft, struct raft_progress *p)
{
    if (p->id == raft->id)
        return;
    if (raft->options.eager_sends)
        send_append(raft, p, true);
    else
        mark(raft, p, RAFT_SEND_ALWAYS);
}

void
raft_send_appends(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->config.count; i++) {
        struct raft_progress *p = &raft->peers[i];
        if (p->id == raft->id)
            continue;
        if (raft->options.eager_sends)
            send_append(raft, p, true);
        else
            mark(raft, p, RAFT_SEND_ENTRIES);
    }
}

void
raft_send_one(struct raft *raft, struct raft_progress *p)
{
    if (p->id == raft->id)
        return;
    if (raft->options.eager_sends)
        send_append(raft, p, false);
    else
        mark(raft, p, RAFT_SEND_ENTRIES);
}

void
raft_send_rest(struct raft *raft, struct raft_progress *p)
{
    if (p->id == raft->id)
        return;
    if (!raft->options.eager_sends)
        mark(raft, p, RAFT_SEND_ENTRIES);
    else
        while (send_append(raft, p, false))
            ;
}

/*
 * A commit index alone is not worth a message: it goes with the next entries, or the next
 * heartbeat. But whether a configuration is in force decides what its members may do, and one that
 * it removes gets no heartbeats.
 */
static bool
tells_commit_now(const struct raft *raft, const struct raft_progress *p)
{
    return p->state == RAFT_REPLICATE && raft_progress_can_bump_commit(p, raft->log.commit) &&
           p->sent_commit < raft->pending_config_index &&
           raft->pending_config_index <= raft->log.commit;
}

void
raft_flush(struct raft *raft)
{
    if (!raft->flush_wanted)
        return;
    raft->flush_wanted = false;
    if (raft->role != RAFT_LEADER)
        return;
    for (uint32_t i = 0; i < raft->config.count; i++) {
        struct raft_progress *p = &raft->peers[i];
        enum raft_send send = p->send;
        p->send = RAFT_SEND_NOTHING;
        if (p->id == raft->id || send == RAFT_SEND_NOTHING)
            continue;
        if (!send_append(raft, p, send == RAFT_SEND_ALWAYS || tells_commit_now(raft, p)))
            continue;
        while (send_append(raft, p, false))
            ;
    }
}
