/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/prng.h"
#include "core/backend.h"
#include "skein/shard.h"
#include "obs/log.h"
#include "sim/trace.h"

/*
 * The second world: one thread, virtual time, everything drawn from one seed.
 *
 *   event queue (time, sequence) --> a host's backend completes an op --> skein_shard_turn of that
 * host ^                                                                    |
 *        +------------- disk, network, link, faults: events later <-----------+ ops submitted
 *
 * A host is a machine: an arena (all memory of the code on it), a shard, a backend, sockets, and,
 * for nodes of the cluster, a disk that outlives crashes. Hosts 1..n are nodes; the last one is the
 * clients'.
 *
 * Memory: whatever runs on a host allocates in its arena; the world's own things live in the C
 * library's heap. Each function of sim/ that host code can reach (the backend's ops, the link's)
 * therefore begins by making NULL the current arena and ends by putting the previous one back.
 *
 * A crash does not unwind: the shard is abandoned, the arena dropped, the ops in flight forgotten
 * after the disk has drawn what became of its part of them.
 */

#define SIM_HOST_MAX 17 /* 15 nodes, the clients, one spare */
#define SIM_SHARD_MAX 4
#define SIM_MS 1000000ull
#define SIM_SECOND 1000000000ull
/* Virtual time begins here, so that "before" can be expressed. */
#define SIM_TIME_START SIM_SECOND
/* 2026-01-01T00:00:00Z */
#define SIM_WALL_START 1767225600000000000ull
#define SIM_ARENA_LIMIT_BYTES ((size_t)768 << 20)

struct sim_world;
struct sim_host;
struct sim_disk;
struct sim_net;
struct sim_op;
struct sim_link;
struct launch;

/* Something that will happen. Owned by whoever embeds it; fire is called once, taken off the queue.
 */
struct sim_event {
    uint64_t at_ns;
    size_t slot; /* position in the heap + 1; 0: not queued */
    void (*fire)(struct sim_event *event);
    void *owner;
};

/* A place in the heap: the order lies in it, so that to compare two fetches no event. */
struct sim_slot {
    uint64_t at_ns, sequence;
    struct sim_event *event;
};

struct sim_queue {
    struct sim_slot *heap;
    size_t count, capacity;
    uint64_t next_sequence;
};

struct sim_handle; /* sim/backend.h */

struct sim_backend {
    struct backend base; /* first */
    struct sim_host *host;
    unsigned shard;
    struct skein_list ops; /* struct sim_op, in order of submission */
    struct sim_handle *handles;
    size_t handle_count, handle_capacity;
};

enum sim_host_state {
    SIM_HOST_DOWN,
    SIM_HOST_UP,
    SIM_HOST_BROKEN /* its disk is damaged: it refuses to start until the disk is replaced */
};

/* A shard beside the first. */
struct sim_shard {
    struct skein_shard *shard;
    struct sim_backend backend;
    struct sim_event turn_event;
};

struct sim_host {
    struct sim_world *world;
    uint32_t number; /* 1 ... */
    enum sim_host_state state;
    uint64_t boot; /* counts starts; late events of an earlier life are told by it */
    void *region;
    struct mem_arena *arena; /* while up */
    struct skein_shard *shard;
    struct sim_backend backend;
    struct sim_disk *disk; /* NULL: the host has none */
    struct sim_link *link; /* while a simulated link is started */
    struct prng entropy;   /* what its code draws */
    int64_t wall_offset_ns;
    uint64_t mono_offset_ns; /* its monotonic clock began somewhere else at each boot */
    /* And goes faster or slower: what that has made so far, up to drift_from_ns. */
    int64_t drift_ppm, drifted_ns;
    uint64_t drift_from_ns;
    uint64_t paused_until_ns;
    struct sim_event turn_event;
    /* Set before the start for a process of several shards (skein/runtime.h); 0: one, without a
     * runtime. */
    unsigned shard_count;
    struct sim_shard others[SIM_SHARD_MAX - 1];
    struct launch *launch; /* in the arena */
    struct obs_sink sink;
    /* Of the calls of mem_try_alloc and its like; failing_in: how many more succeed until then. */
    uint32_t memory_error_per_mille;
    uint64_t failing_in;
    /* There was none where one must be: the process ends with exhausted_event, at this instant, and
     * nothing that it does until then leaves it. */
    bool dying;
    struct sim_event exhausted_event;
    size_t arena_bytes_max; /* high-water mark, sampled */
    size_t leaked_bytes;    /* what the last life that ended by itself had not freed */
    /* Of its first shard, when chaos_on; the others have its seed. The world's shuffle turns it on.
     */
    struct skein_chaos chaos;
    struct skein_chaos chaos_others;
    bool chaos_on;
    /* What runs on it: called as the shard's main; the result goes to on_exit, outside the arena.
     */
    int (*main_fn)(void *arg);
    void *main_arg;
    void (*on_exit)(struct sim_host *host, int result);
};

struct sim_world {
    uint64_t now_ns;
    uint64_t event_count, event_count_max;
    struct sim_queue queue;
    struct prng random; /* the environment's */
    struct sim_trace trace;
    struct skein_stack_pool *stacks;
    struct sim_host *hosts[SIM_HOST_MAX]; /* by number - 1 */
    uint32_t host_count;
    struct sim_net *net;
    struct sim_op *free_ops;
    bool log;     /* log lines of the nodes to standard error */
    bool shuffle; /* ready fibers run in an order drawn from the seed (struct skein_chaos) */
    bool stopped; /* sim_world_stop was called */
    void *owner;
    /* Called when a durable write of @host was submitted that will take @latency_ns; may be NULL.
     */
    void (*on_write)(struct sim_host *host, uint64_t latency_ns);
};

/* sim_world_open - a world without hosts. @trace: borrowed or NULL. */
void sim_world_open(struct sim_world *world, uint64_t seed, FILE *trace);
/* sim_world_close - crash what is up and free everything. */
void sim_world_close(struct sim_world *world);

/* sim_host_add - the next host, down. @disk: **Ownership** moves to the world; NULL: none. */
struct sim_host *sim_host_add(struct sim_world *world, struct sim_disk *disk);
/* sim_host_start - boot: a fresh arena and shard, main_fn as its first fiber. */
void sim_host_start(struct sim_host *host);
/*
 * sim_host_crash - nothing is unwound. @power_loss: also what the disk had not synced is at stake,
 * and the peers of its connections hear nothing; else only the process dies: the kernel keeps what
 * was written and resets the connections.
 */
void sim_host_crash(struct sim_host *host, bool power_loss);
/* sim_host_pause - no event reaches it for @pause_ns. */
void sim_host_pause(struct sim_host *host, uint64_t pause_ns);
bool sim_host_paused(const struct sim_host *host);
/* sim_host_drift - from now on its monotonic clock is @drift_ppm too fast. */
void sim_host_drift(struct sim_host *host, int64_t drift_ppm);
/* sim_host_mono_ns - what that clock says. */
uint64_t sim_host_mono_ns(const struct sim_host *host);

/* sim_host_enter / leave - make the host's arena and sink current around a call into its code. */
struct sim_context {
    struct mem_arena *arena;
    struct obs_sink *sink;
    struct sim_host *failing; /* whose allocations may fail meanwhile; NULL: nobody's */
};
struct sim_context sim_host_enter(struct sim_host *host);
void sim_host_leave(struct sim_context context);
/* sim_host_turn - run what is ready (after an op was completed) and note the next timer. */
void sim_host_turn(struct sim_host *host);
/* sim_shard_turn - the same for shard @shard; sim_turn_event: its next turn. */
void sim_shard_turn(struct sim_host *host, unsigned shard);
struct sim_event *sim_turn_event(struct sim_host *host, unsigned shard);

/* sim_event_at - queue @event (taking it off first). sim_event_cancel: off the queue, if it is on
 * it. */
void sim_event_at(struct sim_world *world, struct sim_event *event, uint64_t at_ns);
void sim_event_cancel(struct sim_world *world, struct sim_event *event);
/* sim_world_run - events in order until virtual time @until_ns, sim_world_stop, or too many events.
 * **Returns** false: event_count_max was passed (something spins). */
bool sim_world_run(struct sim_world *world, uint64_t until_ns) SKEIN_MUST_CHECK;
void sim_world_stop(struct sim_world *world);

/* sim_draw - uniform in [low, high] of the environment's stream. */
static inline uint64_t
sim_draw(struct sim_world *world, uint64_t low, uint64_t high)
{
    return prng_range(&world->random, low, high);
}

/* sim_chance - true @per_mille of a thousand times. */
static inline bool
sim_chance(struct sim_world *world, uint32_t per_mille)
{
    return per_mille > 0 && prng_chance(&world->random, per_mille, 1000);
}

#endif
