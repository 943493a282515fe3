/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_SYNC_H
#define SKEIN_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/list.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Waiting for each other: plain objects between the fibers of one shard.
 *
 *     mutex, rwlock, cond     a thing that one, or many readers, may have; a change of it
 *     semaphore               a number of units
 *     gate                    who is inside; closing it waits until all have left
 *     barrier, waitgroup      all are here; all are done
 *     once                    done by the first, waited for by the others
 *     abort                   one signal to many: fibers are cancelled, functions called
 *
 * What holds for all of them
 *  - First come, first served: what is released is *handed* to the one that has waited longest, who
 *    therefore has it when it wakes up. Nobody overtakes, also not a fiber that asks at the moment
 *    of the release.
 *  - A wake-up is never lost: a waiter that was handed something and is cancelled, or whose
 * deadline passes, before it runs again returns 0 and has it. One that gives up while it waits
 * leaves the queue, and those behind it are looked at anew.
 *  - A call that need not wait returns at once, also in a cancelled fiber (under struct skein_chaos
 *    it may let others run first).
 *  - There is one thread, so between two calls that park nothing changes.
 *
 * Initialised with _init; nothing to free. Not to be moved while somebody waits.
 * Errors of calls with a deadline: -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED, and what stands beside them.
 */

/* ---- mutex ---- */

struct skein_mutex {
    struct skein_waitq q;
    struct skein_fiber *owner;
};

void skein_mutex_init(struct skein_mutex *mutex);
/* skein_mutex_lock - not recursive: the owner must not ask again. */
int skein_mutex_lock(struct skein_mutex *mutex, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_mutex_try_lock - false: somebody has it. */
bool skein_mutex_try_lock(struct skein_mutex *mutex) SKEIN_MUST_CHECK;
/* skein_mutex_unlock - by the owner. Hands it on. */
void skein_mutex_unlock(struct skein_mutex *mutex);

/* ---- rwlock ---- */

/* Readers together, or one writer. A writer that waits stops readers that come after it. */
struct skein_rwlock {
    struct skein_list waiters;
    uint64_t reader_count;
    struct skein_fiber *writer;
};

void skein_rwlock_init(struct skein_rwlock *lock);
int skein_rwlock_read_lock(struct skein_rwlock *lock, uint64_t deadline_ns) SKEIN_MUST_CHECK;
void skein_rwlock_read_unlock(struct skein_rwlock *lock);
int skein_rwlock_write_lock(struct skein_rwlock *lock, uint64_t deadline_ns) SKEIN_MUST_CHECK;
void skein_rwlock_write_unlock(struct skein_rwlock *lock);
/* skein_rwlock_downgrade - the writer becomes a reader without letting a writer in between. */
void skein_rwlock_downgrade(struct skein_rwlock *lock);

/* ---- condition ---- */

struct skein_cond {
    struct skein_waitq q;
};

void skein_cond_init(struct skein_cond *cond);
/*
 * skein_cond_wait - unlock @mutex, wait for a signal, lock it again. The caller has the mutex when
 * it returns, whatever it returns: for the mutex it waits without deadline and without being
 * cancelled.
 *
 *     while (!ready)
 *         if ((rc = skein_cond_wait(&cond, &mutex, deadline_ns)) < 0) break;
 */
int skein_cond_wait(struct skein_cond *cond, struct skein_mutex *mutex,
                    uint64_t deadline_ns) SKEIN_MUST_CHECK;
void skein_cond_signal(struct skein_cond *cond);
void skein_cond_broadcast(struct skein_cond *cond);

/* ---- semaphore ---- */

/* Units, say bytes of a budget. One who asks for many is not overtaken by one who asks for few. */
struct skein_semaphore {
    struct skein_list waiters;
    uint64_t units;
    bool closed;
};

void skein_semaphore_init(struct skein_semaphore *semaphore, uint64_t units);
/* skein_semaphore_acquire - @units >= 0; more than will ever be there wait for ever.
 * **Returns** also -SKEIN_ECLOSED. */
int skein_semaphore_acquire(struct skein_semaphore *semaphore, uint64_t units,
                            uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_semaphore_try_acquire - false: closed, not enough, or others wait already. */
bool skein_semaphore_try_acquire(struct skein_semaphore *semaphore,
                                 uint64_t units) SKEIN_MUST_CHECK;
/* skein_semaphore_release - also more than were acquired; any code on the shard may call it. */
void skein_semaphore_release(struct skein_semaphore *semaphore, uint64_t units);
/* skein_semaphore_close - who waits and who comes gets -SKEIN_ECLOSED. */
void skein_semaphore_close(struct skein_semaphore *semaphore);

/* ---- gate ---- */

/* Counts the operations under way on something that will be shut down. */
struct skein_gate {
    struct skein_waitq closers;
    uint64_t inside_count;
    bool closed;
};

void skein_gate_init(struct skein_gate *gate);
/* skein_gate_enter - **Returns** 0; -SKEIN_ECLOSED. */
int skein_gate_enter(struct skein_gate *gate) SKEIN_MUST_CHECK;
void skein_gate_leave(struct skein_gate *gate);
/* skein_gate_close - nobody enters from now on; wait until all have left. Any number of fibers may
 * wait, and wait again: closed it stays, whatever this returns. */
int skein_gate_close(struct skein_gate *gate, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- barrier ---- */

struct skein_barrier {
    struct skein_waitq q;
    uint64_t party_count;
    uint64_t waiting_count;
};

/* skein_barrier_init - @party_count fibers, at least 1, let each other through, again and again. */
void skein_barrier_init(struct skein_barrier *barrier, uint64_t party_count);
/* skein_barrier_wait - **Returns** 1 in the fiber that came last, 0 in the others. One that gives
 * up is not counted any more: the others go on waiting for somebody in its place. */
int skein_barrier_wait(struct skein_barrier *barrier, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- wait-group ---- */

struct skein_waitgroup {
    struct skein_waitq q;
    uint64_t count;
};

void skein_waitgroup_init(struct skein_waitgroup *group);
void skein_waitgroup_add(struct skein_waitgroup *group, uint64_t count);
/* skein_waitgroup_done - one of those added; any code on the shard may call it. */
void skein_waitgroup_done(struct skein_waitgroup *group);
/* skein_waitgroup_wait - until the count has been 0. */
int skein_waitgroup_wait(struct skein_waitgroup *group, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- once ---- */

struct skein_once {
    struct skein_waitq q;
    bool done;
    bool running;
};

void skein_once_init(struct skein_once *once);
/*
 * skein_once_run - call @fn(@arg) unless that has succeeded before. Of several callers one runs it
 * and the others wait. When it fails, it fails for the one that ran it; the next one tries.
 * **Returns** 0: it has succeeded, now or before; what @fn returned below 0.
 */
int skein_once_run(struct skein_once *once, int (*fn)(void *arg), void *arg,
                   uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- abort source ---- */

struct skein_abort {
    struct skein_list subscriptions;
    struct skein_waitq q;
    bool requested;
};

/* A subscription: a function to be called, or a fiber to be cancelled. The subscriber's, often on
 * its stack. */
struct skein_abort_subscription {
    struct skein_list link;
    struct skein_fiber *fiber;
    void (*fn)(void *arg);
    void *arg;
};

void skein_abort_init(struct skein_abort *abort_source);
/* skein_abort_request - once: every subscription, in their order, is taken off and carried out.
 * What is called must not park. */
void skein_abort_request(struct skein_abort *abort_source);
/* skein_abort_subscribe - @fn(@arg) when it is requested; **Returns** false: it was already, and
 * @fn is not called. */
bool skein_abort_subscribe(struct skein_abort *abort_source,
                           struct skein_abort_subscription *subscription, void (*fn)(void *arg),
                           void *arg) SKEIN_MUST_CHECK;
/* skein_abort_attach - the running fiber is cancelled when it is requested; at once if it was. */
void skein_abort_attach(struct skein_abort *abort_source,
                        struct skein_abort_subscription *subscription);
/* skein_abort_unsubscribe - of either kind; before the subscription's memory or its fiber ends. */
void skein_abort_unsubscribe(struct skein_abort_subscription *subscription);
/* skein_abort_wait - until it is requested. */
int skein_abort_wait(struct skein_abort *abort_source, uint64_t deadline_ns) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
