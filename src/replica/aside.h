/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_ASIDE_H
#define REPLICA_ASIDE_H

#include "replica/host.h"

/*
 * A data directory whose damage cannot be repaired in its place: what its disk has promised is not
 * known any more. The disk is given up and the node comes back as an emptied one does, by itself
 * (docs/design/0007-repair.md, "What cannot be repaired").
 *
 *   wal -> wal.damaged, checkpoint-... -> checkpoint-....damaged, ...; a new identity, unborn, that
 *   asks to be let in and founds no cluster, whoever else is new
 *
 * Once: while the *.damaged of one such time are there, the next damage is refused.
 */

/* aside_is_state - @name in a data directory is part of what a disk remembers. */
bool aside_is_state(const struct replica_machine_ops *ops, const char *name);
/*
 * aside_take - after open failed for damage. @why: the reason, 512 bytes; what stands in the way,
 * and what a person is to do, are added to it. Not with many groups: each group's leader takes the
 * disks out and in by itself, and while some have and others have not the simulator has seen a
 * group stand still.
 *
 * **Returns** 0: the directory is a new disk's; -SKEIN_EREFUSED: it stays as it is (no other
 * voters, many groups, not wanted, or done before); -errno. Suspends.
 */
int aside_take(struct host *host, char why[512]) SKEIN_MUST_CHECK;

#endif
