/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CHAOS_H
#define CORE_CHAOS_H

#include "base/prng.h"
#include "core/internal.h"

/*
 * Schedules that are allowed and rare (struct skein_chaos), for tests. Off, which it is in every
 * program that does not ask for it, a branch on one pointer is all there is of it:
 *
 *   chaos_point       at the beginning of a call that may suspend but need not: now it may yield
 *   chaos_suspends    a fiber is about to park: it is counted, and may be the one that cancels main
 *   chaos_pushed      a fiber became ready: it changes places with others
 */

struct chaos_state {
    struct skein_chaos *options;
    struct prng random;
    struct skein_timer_node timer; /* cancels main in the next turn */
};

/* chaos_open - NULL options: none. */
void chaos_open(struct skein_shard *shard, struct skein_chaos *options);
void chaos_close(struct skein_shard *shard);

void chaos_maybe_yield(struct skein_shard *shard);
void chaos_count(struct skein_fiber *fiber);
void chaos_move(struct skein_shard *shard, struct skein_list *ready, struct skein_list *link);

static inline void
chaos_point(void)
{
    if (__builtin_expect(shard_current->chaos != NULL, 0))
        chaos_maybe_yield(shard_current);
}

static inline void
chaos_suspends(struct skein_fiber *fiber)
{
    if (__builtin_expect(fiber->shard->chaos != NULL, 0))
        chaos_count(fiber);
}

static inline void
chaos_pushed(struct skein_shard *shard, struct skein_list *ready, struct skein_list *link)
{
    if (__builtin_expect(shard->chaos != NULL, 0))
        chaos_move(shard, ready, link);
}

#endif
