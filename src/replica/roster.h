/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_ROSTER_H
#define REPLICA_ROSTER_H

#include "base/wire.h"
#include "replica/link.h"

/*
 * The nodes of a cluster and where each is reached: replicated state, beside the configuration
 * (docs/design/0008-members-at-run-time.md).
 *
 * Until the members are changed for the first time the roster is empty, and the list that each node
 * was started with counts. A change of members carries the whole roster as it is after it, in the
 * context of its log entry; checkpoints carry the roster, too. So every member that has applied
 * the same entries has the same one.
 */
struct roster {
    struct replica_peer peers[REPLICA_NODES_MAX]; /* by number, ascending */
    uint32_t count;
};

/* The bytes of the largest one. */
#define ROSTER_BYTES_MAX (2u + 22u * REPLICA_NODES_MAX)

/* roster_put - @peer is in it, with that address. False: no room. */
bool roster_put(struct roster *roster, const struct replica_peer *peer);
void roster_drop(struct roster *roster, uint32_t node);
/* roster_find - or NULL. */
const struct replica_peer *roster_find(const struct roster *roster, uint32_t node);
bool roster_equal(const struct roster *a, const struct roster *b);

/* u8 version 1 | u8 count | count x (u32 node, 16 bytes address, u16 port) */
void roster_encode(struct wire_writer *out, const struct roster *roster);
/* roster_decode - any bytes, all of them. **Returns** 0; -SKEIN_EPROTO: no roster (nodes not
 * ascending, none at all, 0 or above 65535). */
int roster_decode(struct bytes data, struct roster *out_roster) SKEIN_MUST_CHECK;

#endif
