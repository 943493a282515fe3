/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_REPAIR_H
#define REPLICA_REPAIR_H

#include "disk/wal.h"
#include "replica/state.h"

/*
 * A log that is being repaired by its peers (docs/design/0007-repair.md).
 *
 *   damage found -> `repair` written -> log opened at what lies before the damage
 *        -> the core follows: it keeps term and vote, does not campaign, votes for no log shorter
 *           than the one it had, and takes the missing entries (or a snapshot) from the leader
 *        -> its own log is as long again, durably -> `repair` removed, damaged segments, too
 *
 * The file `repair` of the data directory (a smallfile) is the promise of the disk that was
 * damaged:
 *
 *   u64 term | u64 vote | u64 commit | u64 start index | u64 last index | u64 last term
 */

/* repair_load - the promise of an earlier start, if there is one. **Returns** 0, also when there
 * is none; as smallfile_read otherwise. */
int repair_load(struct replica *replica, char out_why[512]) SKEIN_MUST_CHECK;
/* repair_on_damage - wal_options.on_damage; @owner: the host. Refuses where there are no peers.
 */
int repair_on_damage(void *owner, const struct wal_damage *damage);
/* repair_merge - what was promised is in @hard_state, at least. Returns whether it changed. */
bool repair_merge(const struct replica *replica, struct raft_hard_state *hard_state);
/* repair_turn - when the log is whole again, durably: forget the repair. Suspends when it is. */
void repair_turn(struct replica *replica);

#endif
