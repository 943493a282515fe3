/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The watch on a shard's thread: a timer whose signal (SIGURG) interrupts that thread alone, for
 * two things that a cooperative scheduler cannot see by itself:
 *
 *   the quota   a fiber has run long enough: the word is set that skein_should_yield reads
 *   a stall     a turn takes far too long: where it is stands in the report (core/stall.h)
 *
 *      armed --fires--> the shard sleeps: nothing, until it wakes up
 *        ^  |           a quota is running: armed for its end, at which the word becomes YIELD
 *        +--+           stalls are looked for: armed for half of what a stall is
 *
 * The timer is one-shot and left alone when a slice ends: it finds out by itself, when it fires,
 * that there is nothing to do. So it costs a system call at most twice a quota, only while somebody
 * asks, and a shard that falls asleep after much work is woken by it once. One that sleeps for long
 * each time disarms it before it does: an idle shard is woken by nothing that is not for it.
 *
 * The word and the state below are written by the shard and by the signal on its own thread:
 * relaxed atomics are enough, their partner is the same processor.
 */

struct skein_shard;
struct watch;

enum watch_word {
    WATCH_ASK,  /* nobody has asked in this slice: who asks first begins the quota */
    WATCH_RUN,  /* go on */
    WATCH_YIELD /* the quota is used up */
};

/* watch_open - for the calling thread. Where there is no timer to be had, time is virtual, valgrind
 * runs the program (each turn would be a stall, and it has no room for a signal's frame on a
 * stack), or somebody else uses the signal, nobody is told to yield and no stall is seen.
 * @stall_ns: 0: do not look for stalls. Returns NULL when there is no watch. */
struct watch *watch_open(struct skein_shard *shard, uint64_t stall_ns);
/* watch_close - from the same thread; @watch may be NULL. */
void watch_close(struct watch *watch);
/* watch_ask - the slice's quota begins now, or ends at the @until_ns it was given. */
void watch_ask(struct skein_shard *shard);
/* watch_arm - look for stalls from now on. */
void watch_arm(struct skein_shard *shard);
/* watch_rest - the shard is about to wait; it slept for @slept_ns the last time. */
void watch_rest(struct skein_shard *shard, uint64_t slept_ns);
/* watch_take_stall - a turn is over: report what was seen in it. */
void watch_take_stall(struct skein_shard *shard);

/* What the shard keeps. */
struct shard_watch {
    struct watch *watch;
    _Atomic uint32_t word;
    _Atomic bool stalled;      /* there is something to take */
    _Atomic bool armed;        /* the timer is */
    _Atomic bool sleeping;     /* the shard waits: there is nothing to look at */
    _Atomic uint64_t until_ns; /* the slice's end; 0: a quota from when somebody asks */
    uint64_t slept_ns;         /* the last time */
};

/* watch_set_sleeping - the shard is about to wait, or goes on. */
static inline void
watch_set_sleeping(struct shard_watch *watch, bool sleeping)
{
    atomic_store_explicit(&watch->sleeping, sleeping, memory_order_relaxed);
}

/* watch_is_off - fibers are about to run, and nobody would see them stall. */
static inline bool
watch_is_off(const struct shard_watch *watch)
{
    return watch->watch && !atomic_load_explicit(&watch->armed, memory_order_relaxed);
}

/* watch_slice - a slice or turn begins. */
static inline void
watch_slice(struct shard_watch *watch, uint64_t until_ns)
{
    atomic_store_explicit(&watch->until_ns, until_ns, memory_order_relaxed);
    atomic_store_explicit(&watch->word, WATCH_ASK, memory_order_relaxed);
}

#endif
