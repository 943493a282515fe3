/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_WISH_H
#define REPLICA_WISH_H

#include "replica/state.h"

/*
 * A change of members lives in the memory of the leader that it was given to (docs/design/0008).
 * The others hear how it stands, so that nobody who asks them is left in doubt when that leader is
 * gone: it is reported as failed, with -SKEIN_ENOTLEADER, to be begun again. Of two changes the one
 * of the later term counts, whichever is heard last. Nothing is decided by it.
 */

/* wish_tick - tell the others of this node's change while it runs, and once when it ended. */
void wish_tick(struct host *host, uint64_t now_ns);
/* wish_on_message - an ENVELOPE_WISH. */
void wish_on_message(struct host *host, uint32_t from, struct bytes message);

#endif
