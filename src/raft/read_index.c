/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mem.h"
#include "base/mutation.h"
#include "raft/internal.h"

#include <string.h>

/*
 * Reads (thesis section 6.4). The leader numbers them in the order in which they come; the numbers,
 * not the callers' contexts, travel in heartbeats. One heartbeat with the highest number asks for
 * all reads that wait, and a peer's answer to it confirms that one and every earlier one: it was
 * sent after all of them had begun. A late answer to an earlier round carries the earlier number
 * and confirms nothing newer, even if a caller uses its context again (row 4).
 */

uint64_t
raft_reads_seq(const struct raft *raft)
{
    if (!raft->read_count)
        return 0;
    const struct raft_read *last = &raft->reads[raft->read_head + raft->read_count - 1];
    return last->index ? last->seq : 0;
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

static void
give_state(struct raft *raft, uint64_t context, uint64_t index)
{
    mem_grow(&raft->read_states, &raft->read_state_capacity, raft->read_state_count,
             sizeof(*raft->read_states));
    raft->read_states[raft->read_state_count++] =
        (struct raft_read_state){.context = context, .index = index};
}

/* The asker waits until it has applied the index, so it has to know now that it is committed. */
static uint64_t
commit_for(struct raft *raft, const struct raft_read *read)
{
    struct raft_progress *p = raft_peer(raft, read->from);
    if (!p || raft->options.eager_sends)
        return 0;
    if (p->match >= read->index)
        return p->match < raft->log.commit ? p->match : raft->log.commit;
    raft_send_append(raft, p); /* behind what it has not acknowledged yet */
    return 0;
}

static void
answer(struct raft *raft, const struct raft_read *read)
{
    if (read->from == raft->id) {
        give_state(raft, read->context, read->index);
        return;
    }
    raft_send(raft, (struct raft_message){.type = RAFT_READ_INDEX_RESPONSE,
                                          .to = read->from,
                                          .index = read->index,
                                          .commit = commit_for(raft, read),
                                          .context = read->context});
}

/* The first ones, up to @seq. */
static void
answer_to(struct raft *raft, uint64_t seq)
{
    while (raft->read_count && raft->reads[raft->read_head].seq <= seq) {
        answer(raft, &raft->reads[raft->read_head]);
        raft->read_head++;
        raft->read_count--;
    }
    if (!raft->read_count) {
        raft->read_head = 0;
        raft->read_round_wanted = false;
    }
}

bool
raft_votes_alone(const struct raft *raft)
{
    return raft_config_is(&raft->config, raft->id, RAFT_VOTER) &&
           raft_config_count(&raft->config, RAFT_VOTER | RAFT_OUTGOING) == 1;
}

void
raft_reads_start(struct raft *raft)
{
    if (!raft->read_count || !may_start(raft))
        return;
    size_t end = raft->read_head + raft->read_count;
    for (size_t i = raft->read_head; i < end; i++) {
        if (raft->reads[i].index)
            continue;
        raft->reads[i].index = read_index_now(raft);
        raft->read_round_wanted = true;
    }
    bool unasked = raft->options.lease_reads || raft_votes_alone(raft) ||
                   mutation_on(MUTATION_READ_WITHOUT_ROUND) ||
                   (mutation_on(MUTATION_LEASE_AFTER_HANDOVER) && raft->transferee != RAFT_NONE);
    if (unasked)
        answer_to(raft, raft_reads_seq(raft));
    else if (raft->options.eager_sends && raft->read_round_wanted)
        raft_send_heartbeats(raft);
    raft_reads_settle(raft);
}

void
raft_reads_settle(struct raft *raft)
{
    uint64_t asked = raft_reads_seq(raft);
    uint32_t count = raft->config.count;
    if (!asked || !count)
        return;
    uint64_t confirmed[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < count; i++)
        confirmed[i] = raft->peers[i].id == raft->id ? asked : raft->peers[i].read_seq;
    answer_to(raft, raft_quorum_committed(&raft->config, confirmed));
}

void
raft_reads_drop(struct raft *raft)
{
    if (raft->read_count || raft->reads_forwarded)
        raft->reads_dropped = true;
    raft->reads_forwarded = false;
    raft->read_head = raft->read_count = 0;
    raft->read_round_wanted = false;
}

static int
lead_read(struct raft *raft, uint64_t context, uint64_t from)
{
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
    raft->reads[raft->read_head + raft->read_count++] =
        (struct raft_read){.seq = ++raft->read_seq_last, .context = context, .from = from};
    raft_reads_start(raft);
    return 0;
}

int
raft_read_index(struct raft *raft, uint64_t context)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    raft_wake(raft);
    if (raft->role == RAFT_LEADER)
        return lead_read(raft, context, raft->id);
    if (raft->role != RAFT_FOLLOWER || raft->leader == RAFT_NONE)
        return -SKEIN_ENOTLEADER;
    raft->reads_forwarded = true;
    raft_send(raft, (struct raft_message){
                        .type = RAFT_READ_INDEX, .to = raft->leader, .context = context});
    return 0;
}

/* Whoever does not lead lets it fall: the asker learns of a new leader as soon as we do. */
int
raft_on_read_index(struct raft *raft, const struct raft_message *m)
{
    if (raft->role != RAFT_LEADER)
        return 0;
    return lead_read(raft, m->context, m->from) ? -SKEIN_EPROTO : 0;
}

int
raft_on_read_index_response(struct raft *raft, const struct raft_message *m)
{
    if (raft->role != RAFT_FOLLOWER || m->from != raft->leader || !m->index)
        return -SKEIN_EPROTO;
    give_state(raft, m->context, m->index);
    return raft_follow_commit(raft, m);
}
