/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/wish.h"

#include <stdio.h>
#include <string.h>

#include "replica/members.h"
#include "skein/error.h"

#define WISH_NS (500 * UINT64_C(1000000))

static void
tell_all(struct replica *replica)
{
    struct host *host = replica->host;
    const struct replica_change_status *status = &replica->change.status;
    struct envelope_wish wish = {.term = replica->change.term,
                                 .id = status->id,
                                 .state = (uint8_t)status->state,
                                 .failure = status->failure};
    memcpy(wish.cluster, host->identity.map.cluster, sizeof wish.cluster);
    snprintf(wish.note, sizeof wish.note, "%.200s", status->note);
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct wire_writer out = {0};
        if (host->peers[i].gone)
            continue;
        envelope_put_wish(&out, &wish);
        (void)!inbox_send_writer(host, host->peers[i].node, &out);
        wire_writer_deinit(&out);
    }
}

void
wish_tick(struct host *host, uint64_t now_ns)
{
    struct replica *replica = host->groups[0]; /* hosts of many groups are given no changes */
    enum replica_change_state state = replica->change.status.state;
    bool again = state == REPLICA_CHANGE_RUNNING && now_ns >= replica->next_wish_ns;
    bool another = replica->change.status.id != replica->told_id;
    if (state == REPLICA_CHANGE_NONE || (!again && !another && state == replica->told_state))
        return;
    replica->next_wish_ns = now_ns + WISH_NS;
    replica->told_id = replica->change.status.id;
    replica->told_state = state;
    tell_all(replica);
}

void
wish_on_message(struct host *host, uint32_t from, struct bytes message)
{
    struct envelope_wish wish;
    struct replica *replica = host->groups[0];
    if (envelope_get_wish(message, &wish) < 0 || wish.state > REPLICA_CHANGE_FAILED) {
        host->counters.undecodable_dropped++;
        return;
    }
    if (memcmp(wish.cluster, host->identity.map.cluster, sizeof wish.cluster) != 0 ||
        wish.term < replica->heard_wish.term)
        return;
    replica->heard_wish = wish;
    replica->heard_wish_from = from;
}

void
replica_change_status(const struct replica *replica, struct replica_change_status *out_status)
{
    const struct envelope_wish *heard = &replica->heard_wish;
    uint32_t leader = replica->raft ? replica_raft_node(raft_leader(replica->raft)) : 0;
    if (heard->id == 0 || heard->term <= replica->change.term) {
        *out_status = replica->change.status;
        return;
    }
    *out_status = (struct replica_change_status){
        .id = heard->id, .state = heard->state, .failure = heard->failure};
    snprintf(out_status->note, sizeof out_status->note, "%s", heard->note);
    if (heard->state != REPLICA_CHANGE_RUNNING || leader == 0 ||
        raft_term(replica->raft) <= heard->term)
        return;
    out_status->state = REPLICA_CHANGE_FAILED;
    out_status->failure = -SKEIN_ENOTLEADER;
    snprintf(out_status->note, sizeof out_status->note,
             "node %u, which carried it out, lost leadership: give it to node %u again for what is "
             "left to do (when last heard: %.100s)",
             replica->heard_wish_from, leader, heard->note);
}
