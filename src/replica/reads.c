/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads by their level (replica.h; docs/design/0018-sessions-and-reads.md).
 *
 *   LINEARIZABLE  at the leader, by a round of heartbeats --------------+
 *   LEASE         at the leader, by its lease; without one by a round --+--> a batch with an index,
 *   FOLLOWER      here, by a round of the leader's ---------------------+    answered when applied
 *   STALE         here, at once while the last round is recent enough, else by a round
 *
 * A round that a node began at t and that was confirmed with an index shows, as soon as that index
 * is applied, that the node's state holds everything that was committed before t.
 */
#include "base/mem.h"
#include "base/mutation.h"
#include "skein/shard.h"
#include "replica/state.h"
#include "skein/error.h"

static struct read_batch *
batch_new(struct replica *replica)
{
    struct read_batch *batch = mem_zalloc(sizeof *batch);
    list_init(&batch->requests);
    list_push_back(&replica->reads, &batch->link);
    return batch;
}

static void
batch_drop(struct replica *replica, struct read_batch *batch)
{
    while (!list_is_empty(&batch->requests))
        request_requeue(replica, LIST_ENTRY(batch->requests.next, struct request, link));
    list_remove(&batch->link);
    mem_free(batch);
}

/* Nobody to ask now: the next tick looks again. */
static void
put_back(struct replica *replica, struct read_batch *batch)
{
    struct skein_list *link;
    while ((link = list_pop_front(&batch->requests))) {
        LIST_ENTRY(link, struct request, link)->state = REQUEST_QUEUED;
        list_push_back(&replica->queue, link);
    }
    list_remove(&batch->link);
    mem_free(batch);
}

static void
join(struct read_batch *batch, struct request *request)
{
    list_remove(&request->link);
    request->state = REQUEST_READING;
    list_push_back(&batch->requests, &request->link);
}

bool
reads_is_local(const struct request *request)
{
    return request->kind == REPLICA_READ && request->level >= REPLICA_FOLLOWER;
}

/* One round for all reads that wait; a leader's for those of other nodes, too. */
static void
begin_round(struct replica *replica, uint64_t now_ns)
{
    struct read_batch *last = list_is_empty(&replica->reads)
                                  ? NULL
                                  : LIST_ENTRY(replica->reads.prev, struct read_batch, link);
    bool leads = replica_is_leader(replica);
    /* One round of heartbeats at a time: what comes meanwhile shares the next one. */
    if (last && last->index == 0 && now_ns - last->begun_ns < replica->host->options.tick_ns)
        return;
    struct read_batch *batch = replica->proof_wanted ? batch_new(replica) : NULL;
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_READ || (!leads && !reads_is_local(request)))
            continue;
        if (!batch)
            batch = batch_new(replica);
        join(batch, request);
    }
    if (!batch)
        return;
    batch->context = ++replica->next_context;
    batch->begun_ns = now_ns;
    batch->begun_boot_ns = skein_boot_ns();
    replica->proof_wanted = false;
    if (raft_read_index(replica->raft, batch->context) < 0)
        put_back(replica, batch);
}

/* The clock is read here, behind the request: a pause before this makes the lease run out. */
static void
read_by_lease(struct replica *replica)
{
    struct read_batch *batch = NULL;
    uint64_t index = 0;
    bool any = false;
    list_for_each (link, &replica->queue)
        any |= LIST_ENTRY(link, struct request, link)->level == REPLICA_LEASE;
    if (!any || raft_read_lease(replica->raft, skein_boot_ns(), &index) < 0)
        return;
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_READ || request->level != REPLICA_LEASE)
            continue;
        if (!batch)
            batch = batch_new(replica);
        join(batch, request);
        replica->counters.lease_reads++;
    }
    batch->index = index;
    apply_reads(replica);
}

static void
read_stale(struct replica *replica)
{
    struct read_batch *batch = NULL;
    uint64_t now_ns = 0;
    list_for_each_safe (link, &replica->queue) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->kind != REPLICA_READ || request->level != REPLICA_STALE)
            continue;
        if (now_ns == 0)
            now_ns = skein_boot_ns();
        uint64_t age_ns = replica->fresh_ns ? now_ns - replica->fresh_ns : UINT64_MAX;
        if (mutation_on(MUTATION_STALE_UNBOUNDED))
            age_ns = 0;
        if (age_ns > request->stale_ns)
            continue;
        /* The next ones find a newer proof. */
        replica->proof_wanted |= age_ns > request->stale_ns / 2;
        if (!batch)
            batch = batch_new(replica);
        join(batch, request);
        replica->counters.stale_reads++;
    }
    if (!batch)
        return;
    batch->index = replica->applied_index ? replica->applied_index : 1;
    apply_reads(replica);
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
        if (!batch)
            batch = batch_new(replica);
        join(batch, request);
    }
    if (!batch)
        return;
    batch->index = replica->applied_index ? replica->applied_index : 1;
    apply_reads(replica);
}

void
reads_take(struct replica *replica, uint64_t now_ns)
{
    if (mutation_on(MUTATION_READ_OWN_STATE))
        read_own_state(replica);
    read_stale(replica);
    if (replica_is_leader(replica))
        read_by_lease(replica);
    begin_round(replica, now_ns);
}

void
reads_drop(struct replica *replica)
{
    list_for_each_safe (link, &replica->reads) {
        struct read_batch *batch = LIST_ENTRY(link, struct read_batch, link);
        if (batch->index == 0)
            batch_drop(replica, batch);
    }
}

/* A leader asks again with each heartbeat; what a follower asked may be lost for good. */
void
reads_tick(struct replica *replica, uint64_t now_ns)
{
    const struct replica_options *options = &replica->host->options;
    uint64_t patience_ns = options->tick_ns * options->election_ticks / 2;
    if (replica_is_leader(replica))
        return;
    list_for_each_safe (link, &replica->reads) {
        struct read_batch *batch = LIST_ENTRY(link, struct read_batch, link);
        if (batch->index == 0 && now_ns - batch->begun_ns >= patience_ns)
            batch_drop(replica, batch);
    }
}
