/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes watched for all groups together. A group that sleeps has no timer, so nobody in it notices
 * that its leader's node died; the host does, and wakes the group, whose members then elect.
 */
#include "replica/state.h"
#include "skein/shard.h"

/* Three of them get lost before anybody believes that the node is gone. */
#define BEATS_PER_TIMEOUT 3

uint64_t
beat_period_ns(const struct host *host)
{
    uint32_t ticks = host->options.election_ticks / BEATS_PER_TIMEOUT;
    return (ticks ? ticks : 1) * host->options.tick_ns;
}

static void
say_here(struct host *host, struct peer *peer, uint64_t now_ns)
{
    struct wire_writer out = {0};
    /* Nobody's clock or tick is so exact that half a tick were to count. */
    if (now_ns - peer->sent_ns < beat_period_ns(host) - host->options.tick_ns / 2)
        return;
    wire_put_u8(&out, ENVELOPE_BEAT);
    inbox_send_writer(host, peer->node, &out);
    wire_writer_deinit(&out);
}

static void
wake_led_by(struct host *host, uint32_t node)
{
    for (uint32_t i = 0; i < host->group_count; i++) {
        struct replica *replica = host->groups[i];
        if (!replica->raft || replica->awake ||
            replica_raft_node(raft_leader(replica->raft)) != node)
            continue;
        raft_wake(replica->raft);
        replica_signal(replica);
    }
}

void
beat_tick(struct host *host, uint64_t now_ns)
{
    uint64_t timeout_ns = host->options.election_ticks * host->options.tick_ns;
    if (host->options.quiesce_ticks == 0 || host->genesis.state == GENESIS_UNBORN)
        return;
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct peer *peer = &host->peers[i];
        if (peer->gone)
            continue;
        say_here(host, peer, now_ns);
        /* While it is silent a group may still be told to sleep by what it said before. */
        peer->silent = now_ns - peer->heard_ns > timeout_ns;
        if (peer->silent)
            wake_led_by(host, peer->node);
    }
}

void
beat_heard(struct host *host, uint32_t node)
{
    struct peer *peer = host_peer(host, node);
    if (peer)
        peer->heard_ns = skein_now_ns();
}
