/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A shard's timers: a binary heap ordered by (deadline, order of arming), so that timers of the
 * same instant fire in the order in which they were armed, on every run. A timer is embedded in
 * what waits; a zeroed one is disarmed; disarming twice does nothing.
 */

struct core_timer {
    uint64_t deadline_ns;
    uint64_t sequence;
    size_t position; /* in the heap, from 1; 0: disarmed */
    void (*fire)(struct core_timer *timer);
};

struct timer_heap {
    struct core_timer **timers; /* [1 .. count] */
    size_t count;
    size_t capacity;
    uint64_t sequence_next;
};

void timer_heap_init(struct timer_heap *heap);
void timer_heap_deinit(struct timer_heap *heap);
/* timer_arm - @timer is disarmed; fire(@timer) will be called once, by timer_fire_due. */
void timer_arm(struct timer_heap *heap, struct core_timer *timer, uint64_t deadline_ns,
               void (*fire)(struct core_timer *timer));
void timer_disarm(struct timer_heap *heap, struct core_timer *timer);
/* timer_deadline_ns - when it will fire, UINT64_MAX when it is not armed. */
static inline uint64_t
timer_deadline_ns(const struct core_timer *timer)
{
    return timer->position ? timer->deadline_ns : UINT64_MAX;
}
/* timer_next_ns - the earliest deadline, UINT64_MAX when nothing is armed. */
uint64_t timer_next_ns(const struct timer_heap *heap);
/* timer_fire_due - fire what is due at @now_ns, in order. fire may disarm timers, and arm none. */
void timer_fire_due(struct timer_heap *heap, uint64_t now_ns);

#endif
