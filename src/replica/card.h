/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_CARD_H
#define REPLICA_CARD_H

#include "replica/host.h"

/*
 * What a node tells the others about itself once a second, so that each can say where the leader's
 * clients connect, and a leader knows who should rather lead (docs/design/0024-leaders.md). Nothing
 * of it is believed for more than that: a wrong card costs a detour.
 */

/* card_tick - tell the others when it is time. */
void card_tick(struct host *host, uint64_t now_ns);
/* card_on_message - an ENVELOPE_CARD. */
void card_on_message(struct host *host, uint32_t from, struct bytes message);
/* card_client - where the clients of @node connect; port 0: it has not said. */
struct skein_addr card_client(struct host *host, uint32_t node);
/* card_yield - a leader hands over to a voter of a lower rank that has what it has, and answers. It
 * looks for one once an election timeout, and tries at most once in ten. */
void card_yield(struct replica *replica, uint64_t now_ns);

#endif
