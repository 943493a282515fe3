/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_LINK_TCP_H
#define REPLICA_LINK_TCP_H

#include "replica/link.h"
#include "replica/link_frame.h"

/*
 * The link over plain TCP.
 *
 *   node 1                                   node 2
 *   dialler of 2 <--- connection ----> accepted      carries, both ways
 *   accepted     <--- connection ----> dialler of 1  stands by
 *
 * Each node listens on its peer address and dials every other. The dialler says who it is
 * (link_frame.h), the other side answers with a verdict, then frames follow, both ways. While both
 * connections of a pair are up, both sides send by the one that the lower node dialled: so an
 * answer takes TCP's acknowledgement of what it answers along, instead of a packet for each. A
 * newer connection of a node takes the place of its older one. Who dials is believed: plain TCP is
 * for loopback and for networks where nobody else can connect. Two nodes of different builds use
 * the newest version of the protocol that both speak, or refuse each other and say why.
 *
 * Limits: queue_bytes_max a peer; 64 connections that are accepted at a time; a hello in 5 s; a
 * frame of REPLICA_MESSAGE_BYTES_MAX. A peer that takes nothing for 10 s is disconnected.
 */
struct link_tcp_options {
    const char *cluster_name;
    uint32_t node;
    const struct replica_peer *peers; /* this node's included: where to listen */
    uint32_t peer_count;
    uint64_t queue_bytes_max; /* 64 MiB */
    /* Of the protocol (link_frame.h); {0, 0}: all that this build speaks. */
    struct link_versions versions;
};

/* link_tcp_open - everything is copied; nothing happens before start (which gives -EADDRINUSE).
 * **Ownership**: stop frees it. **Returns** 0; -SKEIN_EINVALID: @node is not among the peers, a
 * count, or versions that this build does not speak. */
int link_tcp_open(struct replica_link **out_link,
                  const struct link_tcp_options *options) SKEIN_MUST_CHECK;

#endif
