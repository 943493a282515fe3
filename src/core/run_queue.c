/* SPDX-License-Identifier: Apache-2.0 */
#include "core/run_queue.h"

#include "core/internal.h"

void
sched_init(struct skein_shard *shard)
{
    list_init(&shard->ready);
}

void
sched_push(struct skein_shard *shard, struct skein_fiber *fiber)
{
    skein_assert_slow(fiber->state == FIBER_READY);
    list_push_back(&shard->ready, &fiber->link);
}

bool
sched_is_idle(const struct skein_shard *shard)
{
    return list_is_empty(&shard->ready);
}

void
sched_run_round(struct skein_shard *shard)
{
    struct skein_list *last = shard->ready.prev;
    struct skein_list *link;
    uint64_t count = 0;
    do {
        link = list_pop_front(&shard->ready);
        if (!link)
            break;
        fiber_run(LIST_ENTRY(link, struct skein_fiber, link));
        count++;
    } while (link != last);
    shard->stats.switches += count;
}
