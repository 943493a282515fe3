/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mem.h"
#include "base/mutation.h"
#include "raft/internal.h"

#include <string.h>

/*
 * Reads (thesis section 6.4). Contexts ascend, so one heartbeat with the highest pending context
 * asks for all of them, and a peer's answer to a round confirms that round and every earlier one. A
 * late answer to an old round carries the old context and confirms nothing newer (row 4).
 */

uint64_t
raft_reads_context(const struct raft *raft)
{
    if (!raft->read_count)
        return 0;
    const struct raft_read *last = &raft->reads[raft->read_head + raft->read_count - 1];
    return last->index ? last->context : 0;
}

static bool
may_start(const struct raft *raft)
{
    return raft_committed_in_term(raft) || mutation_on(MUTATION_READ_BEFORE_COMMIT);
}

/* A read at index 0 stands for "not started", and commit is 0 only before the first commit. */
static uint64_t
read_index_now(const struct raft *raft)
{
    return raft->log.commit ? raft->log.commit : 1;
}

void
raft_reads_start(struct raft *raft)
{
    if (!raft->read_count || !may_start(raft))
        return;
    size_t end = raft->read_head + raft->read_count;
    for (size_t i = raft->read_head; i < end; i++)
        if (!raft->reads[i].index) {
            raft->reads[i].index = read_index_now(raft);
            raft->read_round_wanted = true;
        }
    raft_reads_settle(raft);
}

void
raft_reads_settle(struct raft *raft)
{
    uint64_t asked = raft_reads_context(raft);
    uint32_t count = raft->config.count;
    if (!asked || !count)
        return;
    uint64_t confirmed[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < count; i++)
        confirmed[i] = raft->peers[i].id == raft->id ? asked : raft->peers[i].read_context;
    uint64_t upto = raft_quorum_committed(&raft->config, confirmed);
    while (raft->read_count && raft->reads[raft->read_head].context <= upto) {
        const struct raft_read *read = &raft->reads[raft->read_head];
        mem_grow(&raft->read_states, &raft->read_state_capacity, raft->read_state_count,
                 sizeof(*raft->read_states));
        raft->read_states[raft->read_state_count++] =
            (struct raft_read_state){.context = read->context, .index = read->index};
        raft->read_head++;
        raft->read_count--;
    }
    if (!raft->read_count) {
        raft->read_head = 0;
        raft->read_round_wanted = false;
    }
}

void
raft_reads_drop(struct raft *raft)
{
    if (raft->read_count)
        raft->reads_dropped = true;
    raft->read_head = raft->read_count = 0;
    raft->read_round_wanted = false;
}

int
raft_read_index(struct raft *raft, uint64_t context)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    skein_assert(context != 0);
    skein_assert(context != RAFT_CONTEXT_TRANSFER);
    if (raft->role != RAFT_LEADER)
        return -SKEIN_ENOTLEADER;
    skein_assert(context > raft->read_context_last);
    if (raft->read_count >= raft->options.read_count_max)
        return -SKEIN_EAGAIN;
    if (raft->read_head + raft->read_count == raft->read_capacity &&
        raft->read_head > raft->read_capacity / 2) {
        memmove(raft->reads, raft->reads + raft->read_head,
                raft->read_count * sizeof(*raft->reads));
        raft->read_head = 0;
    }
    mem_grow(&raft->reads, &raft->read_capacity, raft->read_head + raft->read_count,
             sizeof(*raft->reads));
    raft->read_context_last = context;
    raft->reads[raft->read_head + raft->read_count++] = (struct raft_read){.context = context};
    raft_reads_start(raft);
    return 0;
}
