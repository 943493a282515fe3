/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from and to the link. */
#include "base/mem.h"
#include "base/mutation.h"
#include "obs/log.h"
#include "raft/codec.h"
#include "replica/card.h"
#include "replica/former.h"
#include "replica/state.h"
#include "replica/wish.h"
#include "skein/error.h"

#include <string.h>

void
inbox_on_message(void *owner, uint32_t from, struct bytes message)
{
    struct host *host = owner;
    if (message.count == 0 || host->failure < 0 || host->ending)
        return;
    if (message.data[0] == ENVELOPE_BEAT) {
        beat_heard(host, from); /* which is all: the driver sleeps on */
        return;
    }
    if (host->inbox_bytes + message.count > REPLICA_INBOX_BYTES_MAX) {
        host->counters.inbox_dropped++;
        return;
    }
    mem_grow(&host->inbox, &host->inbox_capacity, host->inbox_count, sizeof *host->inbox);
    host->inbox[host->inbox_count++] =
        (struct inbox_message){.from = from, .data = bytes_ref(message)};
    host->inbox_bytes += message.count + sizeof *host->inbox;
    driver_signal(host);
}

void
inbox_on_lost(void *owner, uint32_t node)
{
    struct host *host = owner;
    struct peer *peer = host_peer(host, node);
    if (!peer)
        return;
    peer->lost = true;
    for (uint32_t g = 0; g < host->group_count; g++)
        read_round_on_lost(host->groups[g], (uint32_t)(peer - host->peers));
    driver_signal(host);
}

int
inbox_send_writer(struct host *host, uint32_t node, struct wire_writer *out)
{
    struct bytes message = bytes_copy(out->data, out->count);
    struct peer *peer = host_peer(host, node);
    if (peer)
        peer->sent_ns = skein_now_ns();
    out->count = 0;
    if (out->capacity > ENVELOPE_FORWARD_BYTES_MAX * 2)
        wire_writer_deinit(out);
    int rc = host->link->ops->send(host->link, node, message);
    bytes_unref(&message);
    return rc;
}

void
inbox_flush(struct host *host)
{
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct peer *peer = &host->peers[i];
        if (peer->rafts.count == 0)
            continue;
        if (inbox_send_writer(host, peer->node, &peer->rafts) < 0)
            peer->lost |= peer->rafts_append;
        peer->rafts_append = false;
    }
}

void
inbox_send_raft(struct replica *replica, const struct raft_message *message)
{
    struct host *host = replica->host;
    struct peer *peer = host_peer(host, replica_raft_node(message->to));
    if (!peer)
        return;
    if (peer->rafts.count > ENVELOPE_RAFT_BYTES_MAX)
        inbox_flush(host);
    if (peer->rafts.count == 0)
        envelope_begin_raft(&peer->rafts, host->identity.map.cluster);
    envelope_add_raft(&peer->rafts, replica->group, message);
    peer->rafts_append |= message->type == RAFT_APPEND;
}

void
inbox_send(struct replica *replica, const struct raft_message *message)
{
    if (message->type == RAFT_SNAPSHOT)
        snapshot_send_begin(replica, message);
    else
        inbox_send_raft(replica, message);
}

/* The sender is who the link says, whatever the message claims. */
static bool
is_genuine(struct host *host, uint32_t from, const struct raft_message *message)
{
    if (message->to != host->raft_id) {
        if (replica_raft_node(message->to) == host->options.node && !host->other_disk_logged)
            obs_log(OBS_WARN, "replica", "messages for another disk of this node",
                    "node=%u from=%u why=\"a new disk has taken its place, or is being replaced\"",
                    host->options.node, from);
        host->other_disk_logged = true;
        return false;
    }
    if (replica_raft_node(message->from) != from && !mutation_on(MUTATION_BELIEVE_SENDER)) {
        host->counters.forged_dropped++;
        return false;
    }
    return message->type != RAFT_STORAGE_APPENDED;
}

/* A snapshot's file has to be here; and who loads one does not take over. */
static bool
may_step(const struct replica *replica, const struct raft_message *message)
{
    if (message->type == RAFT_SNAPSHOT)
        return snapshot_receive_may_step(replica, message->snapshot);
    return message->type != RAFT_TIMEOUT_NOW || !replica->load;
}

/* A group that has nothing to do answers a beat, or hears the answer, and that is all. */
static bool
was_only_beat(struct replica *replica, enum raft_message_type type)
{
    return (type == RAFT_HEARTBEAT || type == RAFT_HEARTBEAT_RESPONSE) && replica->awake &&
           !replica->ready && list_is_empty(&replica->queue) && ready_send(replica);
}

static void
step_raft(struct replica *replica, uint32_t from, struct bytes body)
{
    struct host *host = replica->host;
    struct raft_message message = {0};
    int rc = raft_decode_message(body, &message);
    if (rc < 0) {
        host->counters.undecodable_dropped++;
        return;
    }
    enum raft_message_type type = message.type;
    bool genuine = is_genuine(host, from, &message);
    if (genuine && message.type == RAFT_HEARTBEAT_RESPONSE)
        read_round_on_answer(replica, from);
    if (genuine && may_step(replica, &message))
        rc = raft_step(replica->raft, &message);
    if (!was_only_beat(replica, type))
        replica_signal(replica);
    if (rc < 0)
        obs_log(OBS_DEBUG, "replica", "message dropped", "node=%u from=%u type=%d",
                host->options.node, from, (int)type);
    raft_message_deinit(&message);
}

static void
take_raft(struct host *host, uint32_t from, struct bytes data)
{
    struct envelope_rafts items;
    struct bytes body;
    uint32_t group;
    int rc = envelope_open_raft(&items, data);
    if (rc == 0 && memcmp(items.cluster, host->identity.map.cluster, 16) != 0)
        return;
    while (rc == 0 && (rc = envelope_next_raft(&items, &group, &body)) == 0) {
        struct replica *replica = host_group(host, group);
        if (replica && replica->raft)
            step_raft(replica, from, body);
        else if (!replica)
            host->counters.undecodable_dropped++;
    }
    if (rc != -SKEIN_ENOTFOUND)
        host->counters.undecodable_dropped++;
}

static void
dispatch(struct host *host, uint32_t from, struct bytes data)
{
    switch (data.data[0]) {
    case ENVELOPE_RAFT:
        take_raft(host, from, data);
        return;
    case ENVELOPE_FORWARD:
        forward_on_request(host, from, data);
        return;
    case ENVELOPE_FORWARD_REPLY:
        forward_on_reply(host, from, data);
        return;
    case ENVELOPE_SNAP_CHUNK:
        snapshot_receive_on_chunk(host, from, data);
        return;
    case ENVELOPE_SNAP_ACK:
        snapshot_send_on_ack(host, from, data);
        return;
    case ENVELOPE_GENESIS:
        membership_on_message(host, from, data);
        return;
    case ENVELOPE_RECOVERED:
        former_on_message(host, from, data);
        return;
    case ENVELOPE_CARD:
        card_on_message(host, from, data);
        return;
    case ENVELOPE_WISH:
        wish_on_message(host, from, data);
        return;
    }
    host->counters.undecodable_dropped++;
}

void
inbox_process(struct host *host)
{
    /* membership_on_message may suspend: what comes meanwhile goes into the other array. */
    struct inbox_message *messages = host->inbox;
    size_t count = host->inbox_count, capacity = host->inbox_capacity;
    host->inbox = host->inbox_spare;
    host->inbox_capacity = host->inbox_spare_capacity;
    host->inbox_count = 0;
    host->inbox_bytes = 0;
    uint64_t now_ns = count ? skein_now_ns() : 0;
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = host_peer(host, messages[i].from);
        if (peer)
            peer->heard_ns = now_ns;
        if (host->failure == 0)
            dispatch(host, messages[i].from, messages[i].data);
        bytes_unref(&messages[i].data);
    }
    host->inbox_spare = messages;
    host->inbox_spare_capacity = capacity;
}
