/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include "replica/link.h"
#include "sim/world.h"

/*
 * replica/link.h between simulated hosts: whole messages that are delayed, lost, repeated,
 * overtaken, cut off by partitions (sim/net.h), and now and then forged:
 *
 *   node 1 -- message that claims to be from 1 --> node 3
 *                         |
 *                         +-- the same bytes again, but the link says: from node 2
 *
 * Node 3 has to drop what comes in that way, and to count it (replica_status, forged_dropped).
 */

struct sim_links {
    struct sim_world *world;
    uint32_t loss_per_mille, repeat_per_mille, delay_per_mille, forge_per_mille;
    uint64_t delay_ns_max;    /* of those that are delayed much, and of repeated ones */
    uint64_t queue_bytes_max; /* on the way to one peer */
    uint64_t sent, lost, repeated, forged;
    uint64_t under_way_bytes[SIM_HOST_MAX + 1][SIM_HOST_MAX + 1];
    uint32_t node_count;
    struct skein_list mails;
    /* Called after a message was taken to be sent (for faults that aim); may be NULL. */
    void (*on_sent)(void *owner, uint32_t from, uint32_t to, struct bytes message);
    /* Called before a forged message is delivered; may be NULL. */
    void (*on_forged)(void *owner, uint32_t to, struct bytes message);
    void *owner;
};

void sim_links_init(struct sim_links *links, struct sim_world *world, uint32_t node_count);
void sim_links_deinit(struct sim_links *links);

/* sim_link_open - the link of @host, in its arena; stop frees it. */
struct replica_link *sim_link_open(struct sim_links *links, struct sim_host *host);

#endif
