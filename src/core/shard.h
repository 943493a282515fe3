/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SHARD_H
#define CORE_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * A shard: one thread's scheduler of fibers, with its timers and its backend.
 *
 *        +--------- turn ----------+
 *        v                         |
 *   ready fibers, in FIFO order -> due timers -> nothing ready: backend wait until next timer
 *
 * In the real world core_shard_run drives this. The simulator drives many shards on one thread: it
 * delivers an event to a node's backend and calls core_shard_turn, which runs until nothing is
 * ready and says when it wants to run again. Node code sees no difference.
 *
 * The current shard is the thread's; calls in core/fiber.h, core/wait.h and core/io.h act on it.
 */

struct backend;
struct core_shard;
struct core_stack_pool;

struct core_shard_options {
    struct backend *backend;        /* borrowed; outlives the shard */
    struct core_stack_pool *stacks; /* borrowed; may serve several shards of one thread */
    uint32_t fiber_count_max;       /* 0: 65536 */
};

/* core_shard_open - a shard for this thread; becomes nobody's current yet. */
int core_shard_open(struct core_shard **out_shard,
                    const struct core_shard_options *options) SKEIN_MUST_CHECK;

/*
 * core_shard_start - spawn @main_fn as the shard's first fiber; the shard is finished when it has
 * returned and every fiber with it (fibers live in scopes, so none is left).
 */
void core_shard_start(struct core_shard *shard, int (*main_fn)(void *arg), void *arg);

/* core_shard_run - start, then turn and wait until finished. Returns what @main_fn returned. */
int core_shard_run(struct core_shard *shard, int (*main_fn)(void *arg), void *arg);

/*
 * core_shard_turn - make the shard current, run until no fiber is ready, and make the previous
 * shard current again.
 * Returns the monotonic time of the next timer, UINT64_MAX when there is none.
 */
uint64_t core_shard_turn(struct core_shard *shard);

/* core_shard_finished - main_fn has returned; @out_result is then what it returned. */
bool core_shard_finished(const struct core_shard *shard, int *out_result);

/* core_shard_close - a finished shard. */
void core_shard_close(struct core_shard *shard);

/*
 * core_shard_abandon - a crash: nothing is unwound, no fiber runs again; stacks go back to the
 * pool. What the fibers had allocated is the arena's to drop; the shard's own memory is in it too.
 */
void core_shard_abandon(struct core_shard *shard);

/* The current shard's; NULL when none runs on this thread. */
struct core_shard *core_shard_current(void);
struct backend *core_shard_backend(void);

/* core_now_ns - monotonic time, read from the backend. */
uint64_t core_now_ns(void);
/* core_wall_ns - nanoseconds since 1970. */
uint64_t core_wall_ns(void);
/* core_entropy - @count random bytes of the backend. */
void core_entropy(void *data, size_t count);
/* core_random - one random number of the backend. */
uint64_t core_random(void);

/* A deadline that never passes. */
#define CORE_NEVER UINT64_MAX
/* core_deadline_in - now + @delay_ns, saturating. */
uint64_t core_deadline_in(uint64_t delay_ns);

/* ---- stacks: pooled, guarded below. One pool a thread (in the simulator: one for all nodes). ----
 */

enum core_stack_class {
    CORE_STACK_SMALL, /* 64 KiB: node code */
    CORE_STACK_LARGE, /* 256 KiB: foreign libraries */
    CORE_STACK_CLASS_COUNT
};

struct core_stack_pool *core_stack_pool_open(void);
void core_stack_pool_close(struct core_stack_pool *pool);

#endif
