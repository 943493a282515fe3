/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"

static void
fire(struct skein_timer_node *node)
{
    struct skein_timer *timer = BASE_CONTAINER_OF(node, struct skein_timer, node);
    if (timer->period_ns > 0) {
        uint64_t now_ns = skein_coarse_now_ns();
        uint64_t late_ns = now_ns > node->deadline_ns ? now_ns - node->deadline_ns : 0;
        uint64_t missed_count = late_ns / timer->period_ns;
        uint64_t next_ns;
        timer->missed_count += missed_count;
        /* Beyond the end of time it rests. */
        if (!__builtin_mul_overflow(missed_count + 1, timer->period_ns, &next_ns) &&
            !__builtin_add_overflow(next_ns, node->deadline_ns, &next_ns))
            timer_arm(&shard_current->timers, node, next_ns, fire);
    }
    timer->fn(timer->arg);
}

void
skein_timer_init(struct skein_timer *timer, void (*fn)(void *arg), void *arg)
{
    skein_assert(fn != NULL);
    *timer = (struct skein_timer){.fn = fn, .arg = arg};
}

static void
arm(struct skein_timer *timer, uint64_t deadline_ns, uint64_t period_ns)
{
    skein_assert(shard_current != NULL);
    skein_assert(timer->fn != NULL);
    timer_disarm(&shard_current->timers, &timer->node);
    timer->period_ns = period_ns;
    if (deadline_ns != SKEIN_NEVER)
        timer_arm(&shard_current->timers, &timer->node, deadline_ns, fire);
}

void
skein_timer_arm(struct skein_timer *timer, uint64_t deadline_ns)
{
    arm(timer, deadline_ns, 0);
}

void
skein_timer_arm_periodic(struct skein_timer *timer, uint64_t first_ns, uint64_t period_ns)
{
    skein_assert(period_ns > 0);
    timer->missed_count = 0;
    arm(timer, first_ns, period_ns);
}

void
skein_timer_cancel(struct skein_timer *timer)
{
    skein_assert(shard_current != NULL);
    timer_disarm(&shard_current->timers, &timer->node);
}

bool
skein_timer_is_armed(const struct skein_timer *timer)
{
    return list_is_linked(&timer->node.link);
}

uint64_t
skein_timer_deadline_ns(const struct skein_timer *timer)
{
    return timer_deadline_ns(&timer->node);
}

uint64_t
skein_coarse_now_ns(void)
{
    struct skein_shard *shard = shard_current;
    skein_assert(shard != NULL);
    if (shard->coarse_now_ns == 0)
        shard->coarse_now_ns = shard->backend->ops->now_ns(shard->backend);
    return shard->coarse_now_ns;
}
