/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>

/*
 * listener_choose - which shard serves a connection that shard @self has accepted, given how many
 * each of @count shards serves: @self, or the emptiest (of several the first) when @self has more
 * than that by more than 1 + a sixteenth of it. Pure.
 */
unsigned listener_choose(const uint64_t *loads, unsigned count, unsigned self);

#endif
