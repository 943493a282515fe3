/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "raft/internal.h"

#include <string.h>

static uint64_t
apply_end(const struct raft *raft)
{
    const struct raft_log *log = &raft->log;
    return log->commit < log->stable ? log->commit : log->stable;
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

bool
raft_has_ready(const struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    return raft->messages.count || raft->after_append.count || raft->read_state_count ||
           raft->reads_dropped || raft->restored.index || raft->flush_wanted ||
           raft->read_round_wanted || raft_log_last(&raft->log) > raft->log.taken ||
           raft->log.applying < apply_end(raft) || hard_state_changed(raft) || leader_changed(raft);
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
    if (!content && raft->durable_seq == raft->write_seq)
        answer_at_once(raft);

    out->hard_state_changed = hard_state_changed(raft);
    out->must_sync = content || raft->after_append.count;
    out->has_append = out->must_sync || out->hard_state_changed;
    out->hard_state = (struct raft_hard_state){
        .term = raft->term, .vote = raft->vote, .commit = raft->log.commit};
    *taken = out->hard_state;
    if (!out->must_sync)
        return;

    out->snapshot = raft->restored;
    raft->restored = (struct raft_snapshot){0};
    out->entries =
        raft_log_copy(&raft->log, raft->log.taken + 1, last, UINT64_MAX, &out->entry_count);
    raft->log.taken = last;
    push(&raft->after_append, (struct raft_message){.type = RAFT_STORAGE_APPENDED,
                                                    .from = raft->id,
                                                    .to = raft->id,
                                                    .term = raft->term ? raft->term : 1,
                                                    .index = last,
                                                    .log_term = raft_log_last_term(&raft->log),
                                                    .context = ++raft->write_seq,
                                                    .snapshot = out->snapshot});
    out->responses = raft->after_append.items;
    out->response_count = raft->after_append.count;
    raft->after_append = (struct raft_messages){0};
}

static void
take_apply(struct raft *raft, uint64_t bytes_max, struct raft_ready *out)
{
    out->apply = raft_log_copy(&raft->log, raft->log.applying + 1, apply_end(raft), bytes_max,
                               &out->apply_count);
    raft->log.applying += out->apply_count;
}

void
raft_take_ready(struct raft *raft, uint64_t apply_bytes_max, struct raft_ready *out)
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
    take_apply(raft, apply_bytes_max, out);
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
    skein_assert(index <= raft->log.applying);
    if (index > raft->log.applied)
        raft->log.applied = index;
    raft_config_maybe_leave(raft);
}

void
raft_compact(struct raft *raft, const struct raft_snapshot *snapshot, uint64_t keep_from)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    skein_assert(keep_from <= snapshot->index + 1);
    skein_assert(snapshot->index <= raft->log.applying);
    if (snapshot->index <= raft->snapshot.index)
        return;
    raft->snapshot = *snapshot;
    if (keep_from > raft->log.applied + 1)
        keep_from = raft->log.applied + 1;
    raft_log_compact(&raft->log, keep_from);
    for (uint32_t i = 0; raft->role == RAFT_LEADER && i < raft->config.count; i++)
        if (raft->peers[i].needs_snapshot)
            raft_mark(raft, &raft->peers[i], RAFT_SEND_ALWAYS);
}
