/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_FORMER_H
#define REPLICA_FORMER_H

#include "replica/host.h"

/*
 * Two clusters where there was one: a disk whose cluster was recovered (replica/rescue.h), and
 * those that were left behind and come back all the same (docs/design/0023-a-lost-quorum.md).
 *
 *   recovered ----- "your cluster goes on as this one", every 200 ms ----> left behind: ends
 * itself, unless it has had a leader
 *
 * Their messages carry another cluster's id and are dropped as any stranger's; this is so that they
 * do not find each other and serve beside us.
 */

/* former_leave_behind - of a recovered disk: the nodes that it was started with are no members for
 * that, until they are added; they are told. Before anybody asks for the roster. */
void former_leave_behind(struct host *host);
/* former_tick - tell those who are there. */
void former_tick(struct host *host, uint64_t now_ns);
/* former_on_message - an ENVELOPE_RECOVERED. */
void former_on_message(struct host *host, uint32_t from, struct bytes message);

#endif
