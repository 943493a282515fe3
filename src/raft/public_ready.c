/* SPDX-License-Identifier: Apache-2.0 */
/* skein/raft.h: Readies, with everything a Ready points to in one place. */
#include "raft/public.h"

#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "raft/codec.h"

/* What a Ready points to. */
struct inside {
    struct raft_ready ready;
    struct wire_writer bytes;
    struct skein_raft_send *sends;
    struct skein_raft_entry *entries;
    struct skein_raft_entry *apply;
    struct skein_raft_read_state *reads;
};

static struct skein_raft_entry *
views_of(const struct raft_entry *entries, size_t count)
{
    struct skein_raft_entry *views = count ? mem_alloc(count * sizeof *views) : NULL;
    for (size_t i = 0; i < count; i++)
        views[i] = (struct skein_raft_entry){.term = entries[i].term,
                                             .index = entries[i].index,
                                             .type = (uint8_t)entries[i].type,
                                             .data = entries[i].data.data,
                                             .bytes = entries[i].data.count};
    return views;
}

bool
skein_raft_has_ready(const struct skein_raft *raft)
{
    return raft->held_count || raft_has_ready(raft->core);
}

static void
encode(struct inside *inside, struct skein_raft_send *send, const struct raft_message *message)
{
    size_t before = inside->bytes.count;
    raft_encode_message(&inside->bytes, message);
    *send = (struct skein_raft_send){
        .to = message->to,
        .bytes = inside->bytes.count - before,
        .snapshot_index = message->type == RAFT_SNAPSHOT ? message->snapshot->index : 0};
}

static size_t
encode_all(struct skein_raft *raft, struct inside *inside)
{
    size_t count = raft->held_count + inside->ready.message_count, at = 0;
    inside->sends = count ? mem_alloc(count * sizeof *inside->sends) : NULL;
    for (size_t i = 0; i < raft->held_count; i++)
        encode(inside, &inside->sends[at++], &raft->held[i]);
    for (size_t i = 0; i < inside->ready.message_count; i++)
        encode(inside, &inside->sends[at++], &inside->ready.messages[i]);
    public_drop_messages(raft->held, raft->held_count);
    raft->held = NULL;
    raft->held_count = raft->held_capacity = 0;
    const uint8_t *data = inside->bytes.data;
    for (size_t i = 0; i < count; i++) {
        inside->sends[i].data = data;
        data += inside->sends[i].bytes;
    }
    return count;
}

/* The responses stay behind, until the write is durable. */
static uint64_t
begin_write(struct skein_raft *raft, struct raft_ready *ready)
{
    if (!ready->must_sync)
        return 0;
    mem_grow(&raft->pending, &raft->pending_capacity, raft->pending_count, sizeof *raft->pending);
    raft->pending[raft->pending_count++] = (struct pending){
        .write = ++raft->write_last, .responses = ready->responses, .count = ready->response_count};
    ready->responses = NULL;
    ready->response_count = 0;
    return raft->write_last;
}

void
skein_raft_take(struct skein_raft *raft, struct skein_raft_ready *out_ready)
{
    skein_assert(raft->magic == PUBLIC_MAGIC);
    struct inside *inside = mem_zalloc(sizeof *inside);
    struct raft_ready *ready = &inside->ready;
    raft_take_ready(raft->core, ready);
    *out_ready = (struct skein_raft_ready){
        .leader_changed = ready->leader_changed,
        .send_count = encode_all(raft, inside),
        .write = begin_write(raft, ready),
        .hard_state_changed = ready->hard_state_changed,
        .hard_state = public_hard_state_of(&ready->hard_state),
        .snapshot = {ready->snapshot.index, ready->snapshot.term,
                     public_members_of(&ready->snapshot.config)},
        .entry_count = ready->entry_count,
        .apply_count = ready->apply_count,
        .read_count = ready->read_state_count,
        .reads_dropped = ready->reads_dropped,
        .inside = inside,
    };
    inside->entries = views_of(ready->entries, ready->entry_count);
    inside->apply = views_of(ready->apply, ready->apply_count);
    if (ready->read_state_count)
        inside->reads = mem_alloc(ready->read_state_count * sizeof *inside->reads);
    for (size_t i = 0; i < ready->read_state_count; i++)
        inside->reads[i] = (struct skein_raft_read_state){ready->read_states[i].context,
                                                          ready->read_states[i].index};
    out_ready->sends = inside->sends;
    out_ready->entries = inside->entries;
    out_ready->apply = inside->apply;
    out_ready->reads = inside->reads;
}

void
skein_raft_release(struct skein_raft_ready *ready)
{
    struct inside *inside = ready->inside;
    if (!inside)
        return;
    raft_ready_deinit(&inside->ready);
    wire_writer_deinit(&inside->bytes);
    mem_free(inside->sends);
    mem_free(inside->entries);
    mem_free(inside->apply);
    mem_free(inside->reads);
    mem_free(inside);
    *ready = (struct skein_raft_ready){0};
}

static void
end_write(struct skein_raft *raft, struct pending *done)
{
    for (size_t i = 0; i < done->count; i++) {
        struct raft_message *response = &done->responses[i];
        if (response->to == raft->id) {
            (void)raft_step(raft->core, response);
            continue;
        }
        mem_grow(&raft->held, &raft->held_capacity, raft->held_count, sizeof *raft->held);
        raft->held[raft->held_count++] = *response;
        *response = (struct raft_message){0};
    }
    public_drop_messages(done->responses, done->count);
}

void
skein_raft_written(struct skein_raft *raft, uint64_t write)
{
    skein_assert(raft->magic == PUBLIC_MAGIC);
    if (write > raft->write_last)
        return;
    size_t count = 0;
    while (count < raft->pending_count && raft->pending[count].write <= write)
        end_write(raft, &raft->pending[count++]);
    raft->pending_count -= count;
    if (count)
        memmove(raft->pending, raft->pending + count, raft->pending_count * sizeof *raft->pending);
}
