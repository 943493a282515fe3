/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "raft/internal.h"

static void
change_state(struct raft_progress *p, enum raft_progress_state state)
{
    p->state = state;
    p->paused = false;
    p->pending_snapshot = 0;
    p->inflights.start = p->inflights.count = 0;
    p->inflights.bytes = 0;
}

void
raft_progress_become_probe(struct raft_progress *p)
{
    uint64_t pending = p->state == RAFT_SNAPSHOTTING ? p->pending_snapshot : 0;
    change_state(p, RAFT_PROBE);
    p->next = (pending > p->match ? pending : p->match) + 1;
    if (p->sent_commit >= p->next)
        p->sent_commit = p->next - 1;
}

void
raft_progress_become_replicate(struct raft_progress *p)
{
    change_state(p, RAFT_REPLICATE);
    p->next = p->match + 1;
}

void
raft_progress_become_snapshot(struct raft_progress *p, uint64_t index)
{
    change_state(p, RAFT_SNAPSHOTTING);
    p->needs_snapshot = false;
    p->pending_snapshot = index;
    p->next = index + 1;
    p->sent_commit = index;
}

bool
raft_progress_update(struct raft_progress *p, uint64_t index)
{
    if (index <= p->match)
        return false;
    p->match = index;
    p->paused = false;
    if (p->next <= index)
        p->next = index + 1;
    return true;
}

bool
raft_progress_rejected(struct raft_progress *p, uint64_t rejected, uint64_t hint)
{
    if (p->state == RAFT_REPLICATE) {
        if (rejected <= p->match)
            return false;
        raft_progress_become_probe(p);
        return true;
    }
    if (p->next - 1 != rejected)
        return false;
    p->next = rejected < hint + 1 ? rejected : hint + 1;
    if (p->next <= p->match)
        p->next = p->match + 1;
    if (p->sent_commit >= p->next)
        p->sent_commit = p->next - 1;
    p->paused = false;
    return true;
}

static void
inflights_add(struct raft_inflights *f, uint64_t index, uint64_t bytes)
{
    if (f->count == f->capacity) {
        uint32_t capacity = f->capacity ? f->capacity * 2 : 8;
        struct raft_inflight *slots = mem_alloc(capacity * sizeof(*slots));
        for (uint32_t i = 0; i < f->count; i++)
            slots[i] = f->slots[(f->start + i) % f->capacity];
        mem_free(f->slots);
        f->slots = slots;
        f->capacity = capacity;
        f->start = 0;
    }
    f->slots[(f->start + f->count++) % f->capacity] = (struct raft_inflight){index, bytes};
    f->bytes += bytes;
}

bool
raft_inflights_full(const struct raft_inflights *f, const struct raft_options *options)
{
    return f->count >= options->inflight_count_max || f->bytes >= options->inflight_bytes_max;
}

void
raft_inflights_free_to(struct raft_inflights *f, uint64_t index)
{
    while (f->count && f->slots[f->start].index <= index) {
        f->bytes -= f->slots[f->start].bytes;
        f->start = (f->start + 1) % f->capacity;
        f->count--;
    }
}

void
raft_progress_sent(struct raft_progress *p, size_t count, uint64_t bytes,
                   const struct raft_options *options)
{
    skein_assert(p->state != RAFT_SNAPSHOTTING);
    if (p->state == RAFT_PROBE) {
        p->paused = p->paused || count > 0;
        return;
    }
    if (count > 0) {
        p->next += count;
        inflights_add(&p->inflights, p->next - 1, bytes);
    }
    /* With a full window this was a probe; the next one waits for a sign of life. */
    p->paused = raft_inflights_full(&p->inflights, options);
}

bool
raft_progress_can_bump_commit(const struct raft_progress *p, uint64_t commit)
{
    return commit > p->sent_commit && p->sent_commit < p->next - 1;
}

bool
raft_progress_is_paused(const struct raft_progress *p)
{
    return p->state == RAFT_SNAPSHOTTING || p->paused;
}

void
raft_progress_deinit(struct raft_progress *p)
{
    mem_free(p->inflights.slots);
    *p = (struct raft_progress){0};
}
