/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_TIMER_H
#define SKEIN_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/error.h"
#include "skein/list.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Timers of a shard: a function is called at an instant, once or again and again. In fibers
 * skein_sleep and the deadlines of calls are simpler; these are for what has no fiber, by the
 * million: a record of the caller's, armed and cancelled in O(1), no allocation.
 *
 *     skein_timer_init(&conn->idle, on_idle, conn);
 *     skein_timer_arm(&conn->idle, skein_deadline_in(30 * SECOND));
 *     ...
 *     skein_timer_arm(&conn->idle, ...);    again: the deadline moves
 *     skein_timer_cancel(&conn->idle);      idempotent; before the record's memory goes
 *
 * The function runs between two fibers: it must not park; it may wake fibers, spawn, and arm and
 * cancel timers, its own too. Never before the deadline; deadlines are nanoseconds of skein_now_ns.
 * Timers that are due together are called in the order of their deadlines, those of the same
 * instant in the order in which they were armed; on every run the same. One that is armed for the
 * past is called in the shard's next turn.
 */

/* What the shard keeps of a timer. */
struct skein_timer_node {
    struct skein_list link;
    uint64_t deadline_ns;
    uint64_t sequence;
    void (*fire)(struct skein_timer_node *node);
};

struct skein_timer {
    struct skein_timer_node node;
    void (*fn)(void *arg);
    void *arg;
    uint64_t period_ns; /* 0: once */
    uint64_t missed_count;
};

/* skein_timer_init - @fn(@arg) will be called. */
void skein_timer_init(struct skein_timer *timer, void (*fn)(void *arg), void *arg);
/* skein_timer_arm - once, at @deadline_ns. Replaces what was armed. */
void skein_timer_arm(struct skein_timer *timer, uint64_t deadline_ns);
/*
 * skein_timer_arm_periodic - at @first_ns, and then each @period_ns after it (at least 1): the n-th
 * call is due at first + n * period however late the ones before were. When several are due at once
 * @fn is called once, and timer->missed_count counts the others.
 */
void skein_timer_arm_periodic(struct skein_timer *timer, uint64_t first_ns, uint64_t period_ns);
/* skein_timer_cancel - it will not be called. */
void skein_timer_cancel(struct skein_timer *timer);
bool skein_timer_is_armed(const struct skein_timer *timer);
/* skein_timer_deadline_ns - when it will be called; SKEIN_NEVER: it is not armed. */
uint64_t skein_timer_deadline_ns(const struct skein_timer *timer);

/*
 * skein_coarse_now_ns - monotonic time as it was when this turn of the shard first asked: costs no
 * clock. Late by as long as the turn has been running (its fibers, up to 500 us when they behave).
 */
uint64_t skein_coarse_now_ns(void);

#ifdef __cplusplus
}
#endif

#endif
