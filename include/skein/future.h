/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_FUTURE_H
#define SKEIN_FUTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"
#include "skein/fiber.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Promises and futures: a result that comes later, for fan-out and for code that is not a fiber.
 * Straight-line code in fibers wants none of this.
 *
 *     promise --complete(rc, value)--> future --> fibers in skein_future_wait
 *     fiber (skein_future_spawn) ------^    \---> map, then, recover, timeout, when_all, when_any:
 *                                                 each a future itself
 *
 *          pending --complete--> (rc, value), for good        the first completion counts
 *             \------cancel----> (-SKEIN_ECANCELED, NULL)
 *
 * A result is a code, 0 or negative, and with 0 a pointer of the producer's choice. The value
 * belongs to the future: its @drop is called when the last reference goes, or at once when the
 * result came too late. A derived future keeps its sources alive as long as it lives, so a value
 * that passed through unchanged stays valid.
 *
 * References are counted; each function that returns a future gives one to its caller, and what it
 * is given stays the caller's. A pending future lives on without references: what was hung on to it
 * still happens. All of it belongs to one shard, and functions called by it (maps, hooks, drops)
 * must not park; they run at once, in the order in which they were hung on, whoever completes.
 * Chains of any length are worked off without recursion.
 */

struct skein_future;

/* ---- the producer's side ---- */

struct skein_promise {
    struct skein_future *future; /* NULL: completed, closed or never opened */
};

/* skein_promise_open - @drop: NULL when values need none. Costs an allocation; cannot fail. */
void skein_promise_open(struct skein_promise *promise, void (*drop)(void *value));
/* skein_promise_future - the other side of an open promise: a new reference. */
struct skein_future *skein_promise_future(const struct skein_promise *promise);
/* skein_promise_complete - @rc <= 0; with @rc < 0 @value is NULL. **Ownership**: the value moves.
 * The promise is closed by it. Nothing but a drop of the value when the future was cancelled. */
void skein_promise_complete(struct skein_promise *promise, int rc, void *value);
/* skein_promise_on_cancel - @fn(@arg) when a consumer cancels the future, before its waiters know.
 * Replaces the one before. */
void skein_promise_on_cancel(struct skein_promise *promise, void (*fn)(void *arg), void *arg);
/* skein_promise_close - a promise that was not kept completes with -SKEIN_ECLOSED. Idempotent. */
void skein_promise_close(struct skein_promise *promise);

/*
 * skein_future_spawn - a fiber whose result is a future. @fn returns the code and sets the value it
 * is given (NULL until then). Cancelling the future cancels the fiber.
 * **Returns** 0 with @out_future; as skein_spawn.
 */
int skein_future_spawn(struct skein_future **out_future, struct skein_scope *scope,
                       const char *name, int (*fn)(void *arg, void **out_value), void *arg,
                       enum skein_stack_class stack, void (*drop)(void *value)) SKEIN_MUST_CHECK;

/* ---- between shards (skein/call.h) ---- */

/*
 * skein_future_call - the result of @fn(@arg), run in a fiber of shard @shard, as a future here; a
 * fiber of @scope waits for it. Cancelling the future cancels the call. What @arg points to stays
 * valid until the scope was joined. **Ownership**: the value moves here; @drop is called here.
 * **Returns** 0 with @out_future; as skein_spawn. The future's code is also skein_call's.
 */
int skein_future_call(struct skein_future **out_future, struct skein_scope *scope, unsigned shard,
                      int (*fn)(void *arg, void **out_value), void *arg,
                      void (*drop)(void *value)) SKEIN_MUST_CHECK;

/* A promise that another shard keeps. */
struct skein_remote_promise;

/* skein_promise_share - a promise of this shard, in a form that may be handed to any shard of the
 * runtime. **Ownership**: @promise moves into it and is closed. */
struct skein_remote_promise *skein_promise_share(struct skein_promise *promise);
/* skein_remote_promise_complete - as skein_promise_complete, once, from any shard; it happens at
 * home a little later. **Ownership**: frees @remote; the value moves, and is dropped at home. Does
 * not suspend, needs no room, cannot fail. */
void skein_remote_promise_complete(struct skein_remote_promise *remote, int rc, void *value);

/* ---- the consumer's side ---- */

struct skein_future *skein_future_ref(struct skein_future *future);
/* skein_future_unref - NULL does nothing. */
void skein_future_unref(struct skein_future *future);
bool skein_future_is_complete(const struct skein_future *future);
/* skein_future_result - of a complete one: its code; @out_value (may be NULL) gets the value, which
 * stays the future's. */
int skein_future_result(const struct skein_future *future, void **out_value);
/* skein_future_wait - park until it is complete, then as skein_future_result.
 * **Returns** its code; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED also when the wait ended so: ask
 * skein_future_is_complete where that makes a difference. */
int skein_future_wait(struct skein_future *future, uint64_t deadline_ns,
                      void **out_value) SKEIN_MUST_CHECK;
/* skein_future_cancel - a pending future completes with -SKEIN_ECANCELED, and so do the sources of
 * a derived one, whose producers are told. */
void skein_future_cancel(struct skein_future *future);

/* ---- derived futures ---- */

/* skein_future_map - with a value of @future: what @fn makes of it, its code and its value. A code
 * below 0 passes @fn by. */
struct skein_future *skein_future_map(struct skein_future *future,
                                      int (*fn)(void *arg, void *value, void **out_value),
                                      void *arg, void (*drop)(void *value));
/* skein_future_then - with a value of @future: the result of the future that @fn returns
 * (**Ownership**: its reference moves; NULL: done, no value). A code below 0 passes @fn by. */
struct skein_future *skein_future_then(struct skein_future *future,
                                       struct skein_future *(*fn)(void *arg, void *value),
                                       void *arg);
/* skein_future_recover - with a code below 0: what @fn makes of it; a value passes @fn by. */
struct skein_future *skein_future_recover(struct skein_future *future,
                                          int (*fn)(void *arg, int rc, void **out_value), void *arg,
                                          void (*drop)(void *value));
/* skein_future_timeout - @future's result, or -SKEIN_ETIMEDOUT at the deadline; then @future is
 * cancelled. */
struct skein_future *skein_future_timeout(struct skein_future *future, uint64_t deadline_ns);
/* skein_future_when_all - complete when all are: 0, or the code of the first in the array that
 * failed. The values are in the futures. Of no futures: complete at once. */
struct skein_future *skein_future_when_all(struct skein_future *const *futures, size_t count);
/* skein_future_when_any - complete when one is, whatever its code: code 0 and as value the
 * struct skein_future that it was. The others go on; cancel them when they are not wanted. Of
 * no futures: -SKEIN_EINVALID. */
struct skein_future *skein_future_when_any(struct skein_future *const *futures, size_t count);

#ifdef __cplusplus
}
#endif

#endif
