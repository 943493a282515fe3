/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RUN_QUEUE_H
#define CORE_RUN_QUEUE_H

#include <stdbool.h>

struct skein_fiber;
struct skein_shard;

/*
 * Which ready fiber runs next. Whoever makes a fiber ready hands it to sched_push and looks at no
 * queue itself; the shard's loop runs one round after the other.
 */

/* sched_init - nothing is ready. */
void sched_init(struct skein_shard *shard);
/* sched_push - @fiber, whose link is loose, runs after those that are ready now. */
void sched_push(struct skein_shard *shard, struct skein_fiber *fiber);
/* sched_is_idle - nothing is ready. */
bool sched_is_idle(const struct skein_shard *shard);
/* sched_run_round - each fiber that is ready now runs once; those made ready meanwhile wait for the
 * next round. */
void sched_run_round(struct skein_shard *shard);

#endif
