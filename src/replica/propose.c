/* SPDX-License-Identifier: Apache-2.0 */
/* From the queue into the log, the read index or the leader's hands. */
#include "base/mem.h"
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
hand_on(struct replica *replica, uint32_t leader, uint64_t now_ns)
{
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->origin != 0) {
            request_finish(replica, request, -SKEIN_ENOTLEADER, NULL, 0);
            continue;
        }
        if (reads_is_local(request))
            continue;
        bool refused = request->refused_by == leader && now_ns < request->refused_until_ns;
        if (leader != 0 && !refused && !forward_request(replica, request, leader))
            leader = 0;
    }
}

void
propose_queue(struct replica *replica)
{
    if (!replica->raft || list_is_empty(&replica->queue))
        return;
    uint64_t now_ns = skein_now_ns();
    reads_take(replica, now_ns);
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
}
