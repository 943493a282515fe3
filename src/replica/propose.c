/* SPDX-License-Identifier: Apache-2.0 */
/* From the queue into the log, the read index or the leader's hands. */
#include "base/mem.h"
#include "base/mutation.h"
#include "skein/shard.h"
#include "replica/entry.h"
#include "replica/state.h"
#include "skein/error.h"

/* Entries that one turn proposes (each of at most ENTRY_BYTES_MAX, or of one command). */
#define TURN_ENTRIES 16u

static uint64_t
stamp(struct replica *replica)
{
    uint64_t wall_ms = skein_wall_ns() / 1000000;
    if (wall_ms > replica->stamp_time_ms)
        replica->stamp_time_ms = wall_ms;
    return replica->stamp_time_ms;
}

/* The writes at the front that share an entry. They stay in the queue. */
static uint32_t
measure(const struct replica *replica, size_t *out_bytes)
{
    uint32_t count = 0;
    size_t bytes = ENTRY_HEADER_BYTES;
    list_for_each (link, &replica->queue) {
        const struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_WRITE)
            continue;
        size_t more = request->command.count + ENTRY_COMMAND_HEADER_BYTES;
        if (count > 0 && bytes + more > ENTRY_BYTES_MAX)
            break;
        bytes += more;
        count++;
    }
    *out_bytes = bytes;
    return count;
}

static struct bytes
build(struct replica *replica, uint32_t count, size_t bytes)
{
    struct entry_writer writer;
    entry_begin(&writer, bytes, stamp(replica), count);
    list_for_each (link, &replica->queue) {
        const struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_WRITE)
            continue;
        if (count-- == 0)
            break;
        entry_add(&writer, request->command, request->in_session);
    }
    return entry_end(&writer);
}

static void
move_to_proposal(struct replica *replica, struct proposal *proposal, uint32_t count)
{
    uint32_t ordinal = 0;
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_WRITE)
            continue;
        if (ordinal == count)
            break;
        list_remove(&request->link);
        request->state = REQUEST_PROPOSED;
        request->ordinal = ordinal++;
        list_push_back(&proposal->requests, &request->link);
    }
}

/* One entry. 0: all is proposed; 1: more may follow. */
static int
propose_entry(struct replica *replica)
{
    size_t bytes;
    uint32_t count = measure(replica, &bytes);
    if (count == 0)
        return 0;
    struct bytes data = build(replica, count, bytes);
    struct proposal *proposal = mem_zalloc(sizeof *proposal);
    int rc = raft_propose(replica->raft, data, &proposal->index, &proposal->term);
    bytes_unref(&data);
    if (rc < 0) {
        mem_free(proposal);
        return rc;
    }
    list_init(&proposal->requests);
    move_to_proposal(replica, proposal, count);
    list_push_back(&replica->proposals, &proposal->link);
    return 1;
}

static void
begin_reads(struct replica *replica, uint64_t now_ns)
{
    struct read_batch *last = list_is_empty(&replica->reads)
                                  ? NULL
                                  : LIST_ENTRY(replica->reads.prev, struct read_batch, link);
    /* One round of heartbeats at a time: what comes meanwhile shares the next one. */
    if (last && last->index == 0 && now_ns - last->begun_ns < replica->host->options.tick_ns)
        return;
    struct read_batch *batch = NULL;
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_READ)
            continue;
        if (!batch) {
            batch = mem_zalloc(sizeof *batch);
            list_init(&batch->requests);
            batch->context = ++replica->next_context;
            batch->begun_ns = now_ns;
        }
        list_remove(&request->link);
        request->state = REQUEST_READING;
        list_push_back(&batch->requests, &request->link);
    }
    if (!batch)
        return;
    list_push_back(&replica->reads, &batch->link);
    if (raft_read_index(replica->raft, batch->context) == 0)
        return;
    while (!list_is_empty(&batch->requests))
        request_requeue(replica, LIST_ENTRY(batch->requests.next, struct request, link));
    list_remove(&batch->link);
    mem_free(batch);
}

static void
hand_on(struct replica *replica, uint32_t leader, uint64_t now_ns)
{
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->origin != 0) {
            request_finish(replica, request, -SKEIN_ENOTLEADER, NULL, 0);
            continue;
        }
        bool refused = request->refused_by == leader && now_ns < request->refused_until_ns;
        if (leader != 0 && !refused && !forward_request(replica, request, leader))
            leader = 0;
    }
}

/* A known bug (base/mutation.h): what is applied here may be old. */
static void
read_own_state(struct replica *replica)
{
    struct read_batch *batch = NULL;
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_READ)
            continue;
        if (!batch) {
            batch = mem_zalloc(sizeof *batch);
            list_init(&batch->requests);
            batch->index = replica->applied_index ? replica->applied_index : 1;
        }
        list_remove(&request->link);
        request->state = REQUEST_READING;
        list_push_back(&batch->requests, &request->link);
    }
    if (!batch)
        return;
    list_push_back(&replica->reads, &batch->link);
    apply_reads(replica);
}

void
propose_queue(struct replica *replica)
{
    if (!replica->raft || list_is_empty(&replica->queue))
        return;
    uint64_t now_ns = skein_now_ns();
    if (mutation_on(MUTATION_READ_OWN_STATE))
        read_own_state(replica);
    if (!replica_is_leader(replica)) {
        uint64_t leader = raft_leader(replica->raft);
        hand_on(replica, leader == replica->host->raft_id ? 0 : replica_raft_node(leader), now_ns);
        return;
    }
    /* Group commit: while the log is busy with two writes, the next one gathers. */
    int rc = 1;
    for (uint32_t i = 0;
         i < TURN_ENTRIES && rc == 1 && replica->entry_writes_ahead < REPLICA_WRITES_AHEAD; i++)
        rc = propose_entry(replica);
    if (rc == 1 && replica->entry_writes_ahead < REPLICA_WRITES_AHEAD)
        replica_signal(replica);
    begin_reads(replica, now_ns);
}

void
propose_drop_reads(struct replica *replica)
{
    list_for_each_safe (link, &replica->reads) {
        struct read_batch *batch = LIST_ENTRY(link, struct read_batch, link);
        if (batch->index != 0)
            continue;
        while (!list_is_empty(&batch->requests))
            request_requeue(replica, LIST_ENTRY(batch->requests.next, struct request, link));
        list_remove(&batch->link);
        mem_free(batch);
    }
}
