/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RUN_QUEUE_H
#define CORE_RUN_QUEUE_H

#include "core/chaos.h"
#include "core/group.h"
#include "core/internal.h"

/*
 * Which ready fiber runs next. Whoever makes a fiber ready hands it to sched_push and looks at no
 * queue itself; the shard's loop runs one round after the other.
 */

/* sched_init - nothing is ready; one group. sched_deinit - every group goes. */
void sched_init(struct skein_shard *shard);
void sched_deinit(struct skein_shard *shard);

/* sched_push - @fiber, whose link is loose, runs after those of its group that are ready now. */
static inline void
sched_push(struct skein_shard *shard, struct skein_fiber *fiber)
{
    struct skein_group *group = fiber->group;
    skein_assert_slow(fiber->state == FIBER_READY);
    skein_assert_slow(group->shard == shard);
    list_push_back(&group->ready, &fiber->link);
    chaos_pushed(shard, &group->ready, &fiber->link);
    if (!group->single && !list_is_linked(&group->active_link))
        group_activate(group);
}

/* sched_is_idle - nothing is ready. */
static inline bool
sched_is_idle(const struct skein_shard *shard)
{
    return list_is_empty(shard->sched.single ? &shard->sched.single->ready
                                             : &shard->sched.level.active);
}

/*
 * sched_run_round - run what is ready; then the shard looks at completions and timers.
 * With one group each fiber that is ready now runs once; those made ready meanwhile wait for the
 * next round. With several, slices of groups follow each other until a quota is used up or, where
 * time does not pass, as many fibers have run as were ready.
 */
void sched_run_round(struct skein_shard *shard);

#endif
