/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"

#include "base/mem.h"

/* How far a fiber may overtake others in the run queue. */
#define MOVE_COUNT_MAX 8

void
chaos_open(struct skein_shard *shard, struct skein_chaos *options)
{
    if (!options)
        return;
    shard->chaos = mem_zalloc(sizeof(*shard->chaos));
    shard->chaos->options = options;
    prng_init(&shard->chaos->random, options->seed);
}

void
chaos_close(struct skein_shard *shard)
{
    if (!shard->chaos)
        return;
    timer_disarm(&shard->timers, &shard->chaos->timer);
    mem_free(shard->chaos);
    shard->chaos = NULL;
}

void
chaos_maybe_yield(struct skein_shard *shard)
{
    struct chaos_state *chaos = shard->chaos;
    if (chaos->options->seed == 0 || shard->future_working || !shard->running)
        return;
    if (prng_chance(&chaos->random, 1, 4))
        skein_yield();
}

void
chaos_move(struct skein_shard *shard, struct skein_list *ready, struct skein_list *link)
{
    struct chaos_state *chaos = shard->chaos;
    if (chaos->options->seed == 0)
        return;
    struct skein_list *after = link->prev;
    uint64_t count = 0;
    while (count < MOVE_COUNT_MAX && after != ready) {
        after = after->prev;
        count++;
    }
    after = link->prev;
    for (uint64_t i = prng_below(&chaos->random, count + 1); i > 0; i--)
        after = after->prev;
    list_remove(link);
    list_insert_between(link, after, after->next);
}

static void
cancel_main(struct skein_timer_node *timer)
{
    struct chaos_state *chaos = BASE_CONTAINER_OF(timer, struct chaos_state, timer);
    skein_assert(shard_current->chaos == chaos);
    skein_scope_cancel(&shard_current->main_scope);
}

void
chaos_count(struct skein_fiber *fiber)
{
    struct chaos_state *chaos = fiber->shard->chaos;
    if (++chaos->options->suspension_count != chaos->options->cancel_at)
        return;
    /* The one that parks is not parked yet; when it is main itself the next turn cancels it. */
    if (fiber->scope == &fiber->shard->main_scope)
        timer_arm(&fiber->shard->timers, &chaos->timer, 0, cancel_main);
    else
        skein_scope_cancel(&fiber->shard->main_scope);
}
