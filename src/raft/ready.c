/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "raft/internal.h"

#include <string.h>

/* One for each peer at most: the array stays with the core. */
#define MESSAGES_SHORT RAFT_MEMBERS_MAX

bool
raft_snapshot_pending(const struct raft *raft)
{
    return raft->restored.index || raft->durable_seq < raft->snapshot_seq;
}

static uint64_t
apply_end(const struct raft *raft)
{
    const struct raft_log *log = &raft->log;
    if (raft_snapshot_pending(raft) || log->applying_paused)
        return log->applying;
    if (raft->options.apply_with_write || log->commit < log->stable)
        return log->commit;
    return log->stable > log->applying ? log->stable : log->applying;
}

static bool
hard_state_changed(const struct raft *raft)
{
    const struct raft_hard_state *taken = &raft->hard_taken;
    return taken->term != raft->term || taken->vote != raft->vote ||
           taken->commit != raft->log.commit;
}

static bool
leader_changed(const struct raft *raft)
{
    return raft->seen_leader != raft->leader || raft->seen_term != raft->term ||
           raft->seen_role != raft->role;
}

static bool
has_more_than_messages(const struct raft *raft)
{
    return raft->after_append.count || raft->read_state_count || raft->reads_dropped ||
           raft->restored.index || raft->flush_wanted || raft->read_round_wanted ||
           raft_log_last(&raft->log) > raft->log.taken || raft->log.applying < apply_end(raft) ||
           hard_state_changed(raft) || leader_changed(raft);
}

bool
raft_has_ready(const struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    return raft->messages.count || has_more_than_messages(raft);
}

size_t
raft_take_messages(struct raft *raft, const struct raft_message **out_messages)
{
    size_t count = raft->messages.count;
    skein_assert(raft->magic == RAFT_MAGIC);
    if (count > MESSAGES_SHORT || has_more_than_messages(raft))
        return 0;
    for (size_t i = 0; i < count; i++)
        if (raft->messages.items[i].entries || raft->messages.items[i].snapshot)
            return 0;
    *out_messages = raft->messages.items;
    raft->messages.count = 0;
    return count;
}

static void
push(struct raft_messages *list, struct raft_message message)
{
    mem_grow(&list->items, &list->capacity, list->count, sizeof(*list->items));
    list->items[list->count++] = message;
}

/* Nothing is being written that they would have to wait for. */
static void
answer_at_once(struct raft *raft)
{
    for (size_t i = 0; i < raft->after_append.count; i++)
        push(&raft->messages, raft->after_append.items[i]);
    raft->after_append.count = 0;
}

static void
take_append(struct raft *raft, struct raft_ready *out)
{
    struct raft_hard_state *taken = &raft->hard_taken;
    uint64_t last = raft_log_last(&raft->log);
    bool promise = taken->term != raft->term || taken->vote != raft->vote;
    bool content = promise || last > raft->log.taken || raft->restored.index;
    bool etcd = raft->options.etcd_rules;
    if (!content && !etcd && raft->durable_seq == raft->write_seq)
        answer_at_once(raft);

    out->hard_state_changed = hard_state_changed(raft);
    out->must_sync = content || raft->after_append.count;
    out->has_append = out->must_sync || out->hard_state_changed;
    out->hard_state = (struct raft_hard_state){
        .term = raft->term, .vote = raft->vote, .commit = raft->log.commit};
    *taken = out->hard_state;
    bool unstable = raft->log.stable < last;
    if (!out->must_sync && !(etcd && unstable && out->has_append))
        return;

    out->snapshot = raft->restored;
    raft->restored = (struct raft_snapshot){0};
    out->entries =
        raft_log_copy(&raft->log, raft->log.taken + 1, last, UINT64_MAX, &out->entry_count);
    raft->log.taken = last;
    uint64_t last_term = raft_log_last_term(&raft->log);
    struct raft_snapshot *restored =
        out->snapshot.index ? raft_snapshot_copy(&out->snapshot) : NULL;
    push(&raft->after_append, (struct raft_message){.type = RAFT_STORAGE_APPENDED,
                                                    .from = raft->id,
                                                    .to = raft->id,
                                                    .term = raft->term,
                                                    .index = unstable ? last : 0,
                                                    .log_term = unstable ? last_term : 0,
                                                    .context = ++raft->write_seq,
                                                    .snapshot = restored});
    out->responses = raft->after_append.items;
    out->response_count = raft->after_append.count;
    raft->after_append = (struct raft_messages){0};
}

static void
take_apply(struct raft *raft, struct raft_ready *out)
{
    struct raft_log *log = &raft->log;
    uint64_t max = raft->options.apply_bytes_max;
    uint64_t end = apply_end(raft);
    uint64_t room = max > log->applying_bytes ? max - log->applying_bytes : 0;
    out->apply = raft_log_copy(log, log->applying + 1, end, room, &out->apply_count);
    for (size_t i = 0; i < out->apply_count; i++)
        log->applying_bytes += raft_entry_size(log->etcd_sizes, &out->apply[i]);
    log->applying += out->apply_count;
    if (out->apply_count)
        log->applying_paused = log->applying_bytes >= max || log->applying < end;
}

void
raft_take_ready(struct raft *raft, struct raft_ready *out)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    *out = (struct raft_ready){0};
    if (raft->read_round_wanted)
        raft_send_heartbeats(raft);
    raft_flush(raft);

    out->leader_changed = leader_changed(raft);
    raft->seen_leader = raft->leader;
    raft->seen_term = raft->term;
    raft->seen_role = raft->role;

    take_append(raft, out);
    take_apply(raft, out);
    out->messages = raft->messages.items;
    out->message_count = raft->messages.count;
    raft->messages = (struct raft_messages){0};
    out->read_states = raft->read_states;
    out->read_state_count = raft->read_state_count;
    raft->read_states = NULL;
    raft->read_state_count = raft->read_state_capacity = 0;
    out->reads_dropped = raft->reads_dropped;
    raft->reads_dropped = false;
}

static void
drop_messages(struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        raft_message_deinit(&messages[i]);
    mem_free(messages);
}

static void
drop_entries(struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes_unref(&entries[i].data);
    mem_free(entries);
}

void
raft_ready_deinit(struct raft_ready *ready)
{
    drop_messages(ready->messages, ready->message_count);
    drop_messages(ready->responses, ready->response_count);
    drop_entries(ready->entries, ready->entry_count);
    drop_entries(ready->apply, ready->apply_count);
    mem_free(ready->read_states);
    *ready = (struct raft_ready){0};
}

void
raft_applied(struct raft *raft, uint64_t index)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    struct raft_log *log = &raft->log;
    skein_assert(index <= log->applying);
    uint64_t charge = 0;
    uint64_t size = 0;
    for (uint64_t i = log->applied + 1; i <= index; i++) {
        const struct raft_entry *entry = raft_log_at(log, i);
        charge += raft_entry_charge(raft, entry);
        size += raft_entry_size(log->etcd_sizes, entry);
    }
    raft->uncommitted_bytes -= charge < raft->uncommitted_bytes ? charge : raft->uncommitted_bytes;
    log->applying_bytes -= size < log->applying_bytes ? size : log->applying_bytes;
    log->applying_paused = log->applying_bytes >= raft->options.apply_bytes_max;
    if (index > log->applied)
        log->applied = index;
    raft_config_maybe_leave(raft);
}

void
raft_compact(struct raft *raft, const struct raft_snapshot *snapshot, uint64_t keep_from)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    skein_assert(keep_from <= snapshot->index + 1);
    skein_assert(snapshot->index <= raft->log.applying);
    if (snapshot->index > raft->snapshot.index)
        raft->snapshot = *snapshot;
    if (keep_from > raft->log.applied + 1)
        keep_from = raft->log.applied + 1;
    raft_log_compact(&raft->log, keep_from);
    for (uint32_t i = 0; raft->role == RAFT_LEADER && i < raft->config.count; i++)
        if (raft->peers[i].needs_snapshot)
            raft_send_append(raft, &raft->peers[i]);
}
