/* SPDX-License-Identifier: Apache-2.0 */
/* The one fiber that owns the raft core and the machine. */
#include "skein/shard.h"
#include "replica/repair.h"
#include "skein/error.h"

void
driver_signal(struct replica *replica)
{
    if (replica->signalled)
        return;
    replica->signalled = true;
    skein_wake_all(&replica->driver_wake);
}

/* A peer that cannot be served from the log waits for a snapshot, and there is none yet. */
static void
note_wanted_checkpoint(struct replica *replica)
{
    struct raft_status status;
    if (!replica_is_leader(replica) || replica->checkpoint_wanted || replica->checkpoint_busy)
        return;
    raft_status(replica->raft, &status);
    if (!status.wants_checkpoint)
        return;
    replica->checkpoint_wanted = true;
    skein_wake_all(&replica->checkpoint_wake);
}

static void
tick(struct replica *replica, uint64_t now_ns)
{
    if (now_ns < replica->next_tick_ns)
        return;
    /* After a stall one tick, not all that were missed: a paused process does not depose anybody.
     */
    replica->next_tick_ns += replica->options.tick_ns;
    if (replica->next_tick_ns <= now_ns)
        replica->next_tick_ns = now_ns + replica->options.tick_ns;
    if (replica->raft) {
        raft_tick(replica->raft);
        read_round_on_tick(replica);
        note_wanted_checkpoint(replica);
        forward_give_up(replica, now_ns);
    }
    members_tick(replica, now_ns);
    request_expire(replica, now_ns);
}

static void
report_lost(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (!peer->lost)
            continue;
        peer->lost = false;
        forward_lost(replica, peer->node);
        for (uint32_t v = 0; replica->raft && v < replica->config.count; v++)
            if (replica_raft_node(replica->config.ids[v]) == peer->node)
                raft_report_unreachable(replica->raft, replica->config.ids[v]);
    }
}

static void
round_of_driver(struct replica *replica)
{
    uint64_t now_ns = skein_now_ns();
    tick(replica, now_ns);
    membership_turn(replica, now_ns);
    inbox_process(replica);
    if (!replica->raft)
        return;
    ready_complete(replica);
    report_lost(replica);
    propose_queue(replica);
    ready_take_all(replica);
    replica->beat_for_all = false;
    repair_turn(replica);
    forward_flush(replica);
    forward_flush_replies(replica);
}

static uint64_t
next_deadline_ns(const struct replica *replica)
{
    uint64_t tick_ns = replica->next_tick_ns, gossip_ns = replica->next_gossip_ns;
    return gossip_ns < tick_ns ? gossip_ns : tick_ns;
}

void
driver_run(void *arg)
{
    struct replica *replica = arg;
    skein_shield(true);
    while (!replica->ending) {
        if (replica->phase == REPLICA_FAILED) {
            request_finish_all(replica, -SKEIN_ELATCHED);
            /* Ending a request signals, too: whoever signals from here on has to find it unset. */
            replica->signalled = false;
            (void)!skein_wait(&replica->driver_wake, SKEIN_NEVER);
            continue;
        }
        if (!replica->signalled)
            (void)!skein_wait(&replica->driver_wake, next_deadline_ns(replica));
        replica->signalled = false;
        if (!replica->ending)
            round_of_driver(replica);
    }
    skein_shield(false);
}
