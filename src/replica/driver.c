/* SPDX-License-Identifier: Apache-2.0 */
/* The one fiber that owns the raft cores and the machines. */
#include "skein/shard.h"
#include "replica/repair.h"
#include "skein/error.h"

void
driver_signal(struct host *host)
{
    if (host->signalled)
        return;
    host->signalled = true;
    skein_wake_all(&host->driver_wake);
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
tick_replica(struct replica *replica, uint64_t now_ns)
{
    if (replica->raft) {
        /* A follower whose machine is being loaded could not serve: it leaves the next election to
         * others until then. */
        if (!replica->load || raft_role(replica->raft) != RAFT_FOLLOWER)
            raft_tick(replica->raft);
        read_round_on_tick(replica);
        note_wanted_checkpoint(replica);
        forward_give_up(replica, now_ns);
        members_turn(replica, now_ns);
    }
    request_expire(replica, now_ns);
}

static void
tick(struct host *host, uint64_t now_ns)
{
    if (now_ns < host->next_tick_ns)
        return;
    /* After a stall one tick, not all that were missed: a paused process does not depose anybody.
     */
    host->next_tick_ns += host->options.tick_ns;
    if (host->next_tick_ns <= now_ns)
        host->next_tick_ns = now_ns + host->options.tick_ns;
    for (uint32_t i = 0; i < host->group_count; i++)
        tick_replica(host->groups[i], now_ns);
    members_tick(host, now_ns);
}

static void
report_lost_to(struct replica *replica, uint32_t node)
{
    forward_lost(replica, node);
    for (uint32_t v = 0; replica->raft && v < replica->config.count; v++)
        if (replica_raft_node(replica->config.ids[v]) == node)
            raft_report_unreachable(replica->raft, replica->config.ids[v]);
}

static void
report_lost(struct host *host)
{
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct peer *peer = &host->peers[i];
        if (!peer->lost)
            continue;
        peer->lost = false;
        for (uint32_t g = 0; g < host->group_count; g++)
            report_lost_to(host->groups[g], peer->node);
    }
}

static void
turn(struct replica *replica)
{
    if (!replica->raft)
        return;
    load_complete(replica);
    propose_queue(replica);
    ready_take_all(replica);
    replica->beat_for_all = false;
    repair_turn(replica);
}

static void
round_of_driver(struct host *host)
{
    uint64_t now_ns = skein_now_ns();
    tick(host, now_ns);
    membership_turn(host, now_ns);
    inbox_process(host);
    for (uint32_t i = 0; i < host->group_count; i++)
        if (host->groups[i]->raft)
            ready_complete(host->groups[i]);
    report_lost(host);
    for (uint32_t i = 0; i < host->group_count; i++)
        turn(host->groups[i]);
    forward_flush(host);
    forward_flush_replies(host);
}

static uint64_t
next_deadline_ns(const struct host *host)
{
    uint64_t tick_ns = host->next_tick_ns, gossip_ns = host->next_gossip_ns;
    return gossip_ns < tick_ns ? gossip_ns : tick_ns;
}

static void
park_failed(struct host *host)
{
    for (uint32_t i = 0; i < host->group_count; i++)
        request_finish_all(host->groups[i], -SKEIN_ELATCHED);
    /* Ending a request signals, too: whoever signals from here on has to find it unset. */
    host->signalled = false;
    (void)!skein_wait(&host->driver_wake, SKEIN_NEVER);
}

void
driver_run(void *arg)
{
    struct host *host = arg;
    skein_shield(true);
    while (!host->ending) {
        if (host->failure < 0) {
            park_failed(host);
            continue;
        }
        if (!host->signalled)
            (void)!skein_wait(&host->driver_wake, next_deadline_ns(host));
        host->signalled = false;
        if (!host->ending)
            round_of_driver(host);
    }
    skein_shield(false);
}
