/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "skein/timer.h"

/*
 * A shard's timers: a hierarchical wheel (Varghese and Lauck, scheme 7), with the exact order of a
 * sorted list.
 *
 *   tick = deadline / 1024 ns, in digits of 6 bits      level 0: 64 slots of one tick
 *   wheel->tick: everything before it has fired         level 1: 64 slots of 64 ticks
 *                                                       ...      9 levels are all of 64 bits
 *
 * A timer is in the level of the highest digit in which its tick differs from the wheel's, in the
 * slot of that digit. So whatever is in a lower level is due earlier, and the first slot in use of
 * the lowest level in use has the earliest of all. When time reaches a slot its timers move to
 * lower levels; what is due is taken out and sorted by (deadline, order of arming) before it fires.
 *
 * Arming and disarming are O(1); each timer moves down at most 8 times in its life. A slot's order
 * means nothing. A zeroed node is disarmed; disarming twice does nothing.
 */

#define TIMER_TICK_SHIFT 10
#define TIMER_DIGIT_BITS 6
#define TIMER_SLOT_COUNT 64
#define TIMER_LEVEL_COUNT 9

struct timer_wheel {
    uint64_t tick;
    uint64_t next_ns;                 /* none is due earlier */
    bool next_is_known;               /* and it is what timer_next_ns says */
    uint16_t levels_used;             /* bit l: a slot of level l is in use */
    uint64_t used[TIMER_LEVEL_COUNT]; /* bit s: slot s is */
    uint64_t sequence_next;
    size_t count;
    struct skein_list slots[TIMER_LEVEL_COUNT][TIMER_SLOT_COUNT];
};

/* timer_wheel_init - nothing is armed; time is @now_ns. */
void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);
/* timer_arm - @timer is disarmed; fire(@timer) will be called once, by timer_fire_due. */
void timer_arm(struct timer_wheel *wheel, struct skein_timer_node *timer, uint64_t deadline_ns,
               void (*fire)(struct skein_timer_node *timer));
void timer_disarm(struct timer_wheel *wheel, struct skein_timer_node *timer);
/* timer_deadline_ns - when it will fire, UINT64_MAX when it is not armed. */
static inline uint64_t
timer_deadline_ns(const struct skein_timer_node *timer)
{
    return list_is_linked(&timer->link) ? timer->deadline_ns : UINT64_MAX;
}
/*
 * timer_next_ns - the earliest deadline, UINT64_MAX when nothing is armed. When many timers share
 * the earliest slot and time is not near it, the slot's beginning instead: earlier, never later.
 */
uint64_t timer_next_ns(struct timer_wheel *wheel);
/*
 * timer_fire_due - fire what is due at @now_ns, in order. fire may arm and disarm timers; what it
 * arms fires in the next call at the earliest, also when it is due.
 */
void timer_fire_due(struct timer_wheel *wheel, uint64_t now_ns);

#endif
