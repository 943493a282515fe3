/* SPDX-License-Identifier: Apache-2.0 */
/* The one fiber that owns the raft cores and the machines. */
#include "skein/shard.h"
#include "replica/card.h"
#include "replica/former.h"
#include "replica/repair.h"
#include "replica/wish.h"
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
    if (replica->checkpoint_wanted || replica->checkpoint_busy ||
        !raft_wants_checkpoint(replica->raft))
        return;
    replica->checkpoint_wanted = true;
    checkpoint_signal(replica);
}

/* Nobody waits here, and its core needs no ticks. */
static bool
may_sleep(const struct replica *replica)
{
    return (!replica->raft || raft_asleep(replica->raft)) && !replica->ready &&
           list_is_empty(&replica->queue) && list_is_empty(&replica->reads) &&
           list_is_empty(&replica->forwarded) && list_is_empty(&replica->remotes) &&
           replica->change.status.state != REPLICA_CHANGE_RUNNING && !replica->load;
}

static void
tick_replica(struct replica *replica, uint64_t now_ns)
{
    if (replica->raft) {
        if (replica->host->options.lease_drift_ppm)
            raft_clock(replica->raft, skein_boot_ns());
        /* A follower whose machine is being loaded could not serve: it leaves the next election to
         * others until then. */
        if (!replica->load || raft_role(replica->raft) != RAFT_FOLLOWER)
            raft_tick(replica->raft);
        reads_tick(replica, now_ns);
        read_round_on_tick(replica);
        note_wanted_checkpoint(replica);
        forward_give_up(replica, now_ns);
        members_turn(replica, now_ns);
        card_yield(replica, now_ns);
        if (load_wanted(replica))
            snapshot_receive_signal(replica);
    }
    request_expire(replica, now_ns);
    bool more = replica->raft && !replica->ready && !ready_send(replica);
    if (more || !list_is_empty(&replica->queue)) {
        replica_signal(replica);
    } else if (may_sleep(replica)) {
        list_remove(&replica->awake_link);
        replica->awake = false;
    }
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
    list_for_each_safe (link, &host->awake)
        tick_replica(LIST_ENTRY(link, struct replica, awake_link), now_ns);
    members_tick(host, now_ns);
    beat_tick(host, now_ns);
    former_tick(host, now_ns);
    card_tick(host, now_ns);
    wish_tick(host, now_ns);
}

static void
report_lost_to(struct replica *replica, uint32_t node)
{
    forward_lost(replica, node);
    for (uint32_t v = 0; replica->raft && v < replica->config.count; v++)
        if (replica_raft_node(replica->config.ids[v]) == node)
            raft_report_unreachable(replica->raft, replica->config.ids[v]);
    /* It may have been woken by that. */
    if (replica->raft && (raft_has_ready(replica->raft) || !raft_asleep(replica->raft)))
        replica_signal(replica);
}

static void
report_lost(struct host *host)
{
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct peer *peer = &host->peers[i];
        if (!peer->lost)
            continue;
        forward_forget_token(host, peer);
        peer->lost = false;
        for (uint32_t g = 0; g < host->group_count; g++)
            report_lost_to(host->groups[g], peer->node);
    }
}

static void
turn(struct replica *replica)
{
    replica->ready = false;
    if (!replica->raft)
        return;
    ready_complete(replica);
    load_complete(replica);
    propose_queue(replica);
    ready_take(replica);
    replica->beat_for_all = false;
    repair_turn(replica);
}

/* One turn for each group that has work now; what they leave or get meanwhile is for the next
 * round.
 */
static void
take_turns(struct host *host)
{
    struct skein_list end = {0};
    list_push_back(&host->ready, &end);
    while (host->failure == 0 && host->ready.next != &end)
        turn(LIST_ENTRY(list_pop_front(&host->ready), struct replica, ready_link));
    list_remove(&end);
}

static void
round_of_driver(struct host *host)
{
    uint64_t now_ns = skein_now_ns();
    tick(host, now_ns);
    membership_turn(host, now_ns);
    inbox_process(host);
    report_lost(host);
    take_turns(host);
    inbox_flush(host);
    forward_flush(host);
    forward_flush_replies(host);
}

/* While all groups sleep the ticks are only for the beats; whoever wakes a group wakes the driver,
 * and the tick that is overdue then comes at once. */
static uint64_t
next_deadline_ns(const struct host *host)
{
    uint64_t tick_ns = host->next_tick_ns, gossip_ns = host->next_gossip_ns;
    if (list_is_empty(&host->awake) && host->options.quiesce_ticks)
        tick_ns += beat_period_ns(host) - host->options.tick_ns;
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
        if (!list_is_empty(&host->ready))
            skein_yield();
        else if (!host->signalled)
            (void)!skein_wait(&host->driver_wake, next_deadline_ns(host));
        host->signalled = false;
        if (!host->ending)
            round_of_driver(host);
    }
    skein_shield(false);
}
