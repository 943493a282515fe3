/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_SHARD_H
#define SKEIN_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A shard: one thread's scheduler of fibers, with its timers and its backend.
 *
 *        +--------- turn ----------+
 *        v                         |
 *   ready fibers, in FIFO order -> due timers -> nothing ready: backend wait until next timer
 *
 * In the real world skein_shard_run drives this. The simulator drives many shards on one thread: it
 * delivers an event to a node's backend and calls skein_shard_turn, which runs until nothing is
 * ready and says when it wants to run again. Node code sees no difference.
 *
 * The current shard is the thread's; calls in skein/fiber.h, skein/fiber.h and skein/io.h act on
 * it.
 */

struct backend;
struct skein_metrics;
struct skein_shard;
struct skein_stack_pool;

/*
 * For tests of programs: schedules that are allowed and rare. With a seed ready fibers run in an
 * order drawn from it, and calls that may suspend, but need not, sometimes do; so what relies on an
 * order that nobody promised fails, and fails again with the same seed. Put into the options of
 * simulated shards it leaves them deterministic.
 */
struct skein_chaos {
    uint64_t seed;             /* 0: the usual order */
    uint64_t cancel_at;        /* main is cancelled at the n-th suspension of any fiber; 0: never */
    uint64_t suspension_count; /* how often a fiber suspended itself so far */
};

struct skein_shard_options {
    struct backend *backend;         /* borrowed; outlives the shard */
    struct skein_stack_pool *stacks; /* borrowed; may serve several shards of one thread */
    uint32_t fiber_count_max;        /* 0: 65536; millions are fine, see skein_spawn */
    uint32_t group_count_max;        /* scheduling groups; 0: 256 */
    uint64_t stall_ns;               /* a turn that takes longer is reported in the log; 0: 25 ms;
                                        SKEIN_NEVER: none is */
    struct skein_chaos *chaos;       /* for tests; borrowed; NULL: none */
};

/* skein_shard_open - a shard for this thread; becomes nobody's current yet. */
int skein_shard_open(struct skein_shard **out_shard,
                     const struct skein_shard_options *options) SKEIN_MUST_CHECK;

/*
 * skein_shard_start - spawn @main_fn as the shard's first fiber. When it has returned, the fibers
 * in skein_shard_scope are cancelled and joined; then the shard is finished.
 */
void skein_shard_start(struct skein_shard *shard, int (*main_fn)(void *arg), void *arg);

/* skein_shard_run - start, then turn and wait until finished. Returns what @main_fn returned. */
int skein_shard_run(struct skein_shard *shard, int (*main_fn)(void *arg), void *arg);

/*
 * skein_shard_turn - make the shard current, run until no fiber is ready, and make the previous
 * shard current again.
 * Returns the monotonic time of the next timer, UINT64_MAX when there is none.
 */
uint64_t skein_shard_turn(struct skein_shard *shard);

/* skein_shard_finished - main_fn has returned; @out_result is then what it returned. */
bool skein_shard_finished(const struct skein_shard *shard, int *out_result);

/* skein_shard_close - a finished shard. */
void skein_shard_close(struct skein_shard *shard);

/*
 * skein_shard_abandon - a crash: nothing is unwound, no fiber runs again; stacks go back to the
 * pool. What the fibers had allocated is the arena's to drop; the shard's own memory is in it too.
 */
void skein_shard_abandon(struct skein_shard *shard);

/* The current shard's; NULL when none runs on this thread. */
struct skein_shard *skein_shard_current(void);
struct backend *skein_shard_backend(void);

/* skein_now_ns - monotonic time, read from the backend. */
uint64_t skein_now_ns(void);
/* skein_boot_ns - monotonic time that goes on while the machine is suspended, from another origin.
 */
uint64_t skein_boot_ns(void);
/* skein_wall_ns - nanoseconds since 1970. */
uint64_t skein_wall_ns(void);
/* skein_entropy - @count random bytes of the backend. */
void skein_entropy(void *data, size_t count);
/* skein_random - one random number of the backend. */
uint64_t skein_random(void);

/* skein_shard_metrics - the current shard's registry (skein/metrics.h). */
struct skein_metrics *skein_shard_metrics(void);

/* A deadline that never passes. */
#define SKEIN_NEVER UINT64_MAX
/* skein_deadline_in - now + @delay_ns, saturating. */
uint64_t skein_deadline_in(uint64_t delay_ns);

/* ---- stacks: pooled, guarded below. One pool a thread (in the simulator: one for all nodes). ----
 */

/* Of a stack only what is touched costs memory: the first page, and the deepest use so far. */
enum skein_stack_class {
    SKEIN_STACK_SMALL, /* 64 KiB: node code */
    SKEIN_STACK_LARGE, /* 256 KiB: foreign libraries */
    SKEIN_STACK_TINY,  /* 16 KiB: fibers by the million, when address space matters */
    SKEIN_STACK_CLASS_COUNT
};

/* How the page below a stack is made to fault. */
enum skein_stack_guard {
    SKEIN_STACK_GUARD_AUTO, /* MADV_GUARD_INSTALL (Linux 6.13), else as SPLIT */
    SKEIN_STACK_GUARD_SPLIT /* mprotect: two mappings a stack, so a pool has at most 30,000 */
};

struct skein_stack_pool_options {
    enum skein_stack_guard guard;
    uint32_t free_count_max; /* stacks of a class that are kept with their pages; 0: 1024 */
    bool measure;            /* note how deep each fiber went, and who went deepest: a system
                              * call and a scan at the end of each fiber */
};

#define SKEIN_STACK_NAME_BYTES 32

struct skein_stack_stats {
    size_t used_count;                            /* by live fibers */
    size_t free_count;                            /* kept */
    size_t mapped_count;                          /* these, and those without pages */
    size_t mapped_bytes;                          /* of address space, guards included */
    size_t high_water_bytes;                      /* the deepest use; 0: not measured */
    char high_water_name[SKEIN_STACK_NAME_BYTES]; /* of the fiber that went there, cut off */
};

struct skein_stack_pool *skein_stack_pool_open(void);
struct skein_stack_pool *skein_stack_pool_open_with(const struct skein_stack_pool_options *options);
/* skein_stack_pool_close - no fiber may use a stack of it. */
void skein_stack_pool_close(struct skein_stack_pool *pool);
void skein_stack_pool_stats(const struct skein_stack_pool *pool, enum skein_stack_class stack_class,
                            struct skein_stack_stats *out_stats);

/* ---- helper threads ---- */
/* skein_work - run @work(@arg) on a helper thread and park until it returned; its value comes back.
 * @work must not touch the shard. In the simulator it runs at a drawn instant, on this thread. */
int64_t skein_work(int64_t (*work)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
