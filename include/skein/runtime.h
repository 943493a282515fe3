/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_RUNTIME_H
#define SKEIN_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/call.h"
#include "skein/backend.h"
#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A program of many shards.
 *
 *     static int main_fiber(void *arg) { ... skein_call(1, work, &w, SKEIN_NEVER); ... return 0; }
 *
 *     struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
 *     char why[SKEIN_WHY_BYTES];
 *     int result;
 *     int rc = skein_runtime_run(&options, main_fiber, NULL, &result, why);
 *
 * One thread a shard, pinned to a processor of its own; the calling thread becomes shard 0 and is
 * given back, its affinity restored, when the run is over. Each shard has a stack pool, a backend
 * and mailboxes of its own, allocated on its own thread, so that they lie in its NUMA node.
 *
 *   open all -> connect -> main_fn on shard 0 -> shards stop, the last first -> all close
 *                           ^ others serve calls
 *
 * Stopping: when main_fn has returned, each shard, the highest first, refuses calls
 * (-SKEIN_ECLOSED), cancels those that run there and waits for them; then all end together. What
 * main_fn has started on other shards in scopes of its own (services), it stops itself, before it
 * returns.
 *
 * Which processors: those the process may use (its cpuset), or the part of them named in `cpus`;
 * whole cores first, then their second hardware threads; node by node, or, spread, nodes in turn.
 */

/* Room for a sentence that says what went wrong and what to do about it. */
#define SKEIN_WHY_BYTES 256
/* Idle polling by circumstances: none where shards share processors or are not pinned, else up to
 * 200 us on bare metal and 2 ms on a virtual machine (where waking costs more). */
#define SKEIN_IDLE_POLL_AUTO (UINT64_MAX - 1)
/* Never sleep: a core each, all the time. */
#define SKEIN_IDLE_POLL_ALWAYS UINT64_MAX

struct skein_runtime_options {
    unsigned shard_count; /* 0: one for each processor, at most 256 */
    const char *cpus;     /* processors to use, "0-3,8"; NULL: all the process may use */
    bool pin;             /* each shard to its processor */
    bool spread;          /* shards over NUMA nodes in turn; false: fill one node after the other */
    /* How long a shard with nothing to do may poll before it sleeps; 0: not at all. The window in
     * use adapts below that, by how soon sleeps end, so that an idle process costs nothing. */
    uint64_t idle_poll_ns;
    uint32_t fiber_count_max;  /* of a shard; 0: 65536 */
    uint32_t group_count_max;  /* scheduling groups of a shard; 0: 256 */
    uint64_t stall_ns;         /* longer turns of a shard are logged; 0: 25 ms; SKEIN_NEVER: none */
    uint64_t memory_bytes_max; /* of a shard's heap (skein/memory.h); 0: no limit of ours */
    uint32_t call_count_max;   /* calls a shard may have in progress on each other; 0: 256 */
    uint32_t inbox_count_max;  /* posts of foreign threads that wait at a shard; 0: 1024 */
    enum skein_backend_kind backend; /* of each shard; 0: io_uring, else epoll */
    uint64_t gather_ns;              /* of the backends: skein/backend.h; 0: 40 us */
    unsigned helper_count; /* helper threads of a shard, 1 to 64, started when needed; 0: 2 */
    const char *root;      /* where /sys and /proc are read; NULL: "". For tests. */
};

#define SKEIN_RUNTIME_OPTIONS_INIT                        \
    {                                                     \
        .pin = true, .idle_poll_ns = SKEIN_IDLE_POLL_AUTO \
    }

/*
 * skein_runtime_run - start the shards, run @main_fn(@arg) as shard 0's first fiber, stop in order.
 * @out_result: what @main_fn returned. @out_why: on failure, what is wrong and the remedy.
 * **Runs on** a thread that is no shard; returns when all shards have ended.
 * **Returns** 0; -SKEIN_EINVALID: an option is out of range, or /sys or /proc say something that
 * cannot be understood; -EMFILE, -ENFILE: no descriptors for the backends; -EAGAIN: no more
 * threads; -ENOMEM: limits on (locked) memory; -ENOSYS, -EPERM: no backend works here. main_fn has
 * not run then.
 */
int skein_runtime_run(const struct skein_runtime_options *options, int (*main_fn)(void *arg),
                      void *arg, int *out_result, char out_why[SKEIN_WHY_BYTES]) SKEIN_MUST_CHECK;

/* skein_runtime_self - for skein_thread_post and skein_thread_call. **Runs on** a shard of a
 * runtime. */
struct skein_runtime *skein_runtime_self(void);

#ifdef __cplusplus
}
#endif

#endif
