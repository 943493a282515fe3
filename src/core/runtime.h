/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RUNTIME_H
#define CORE_RUNTIME_H

#include <pthread.h>
#include <sched.h>

#include "core/internal.h"
#include "core/mailbox_port.h"
#include "core/placement.h"

/*
 * One run of a program of many shards: what skein_runtime_run keeps on its stack, and the calls to
 * the operating system it makes for it (runtime_thread.c).
 *
 * `rc` and `why` are the first failure's, written under `lock`; they are read after a meeting, when
 * nobody writes them any more.
 */

struct launch;

struct launch_shard {
    struct launch *launch;
    unsigned index;
    struct placement_cpu cpu;
    int memory_node;  /* -1: no binding */
    pthread_t thread; /* not shard 0's */
    bool has_thread;
    struct skein_stack_pool *stacks;
    struct backend *backend;
    struct skein_shard *shard;
    struct shard_port *port;
    struct skein_waitq changed;
    bool stop;
    bool end;
};

struct launch {
    const struct skein_runtime_options *options;
    int (*main_fn)(void *arg);
    void *main_arg;
    int result;
    unsigned count;
    struct launch_shard *shards;
    struct skein_runtime *runtime;
    uint64_t idle_poll_ns;
    unsigned quiet_count; /* shard 0's */
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t met;
    unsigned meeting_count; /* threads that meet; 0: not known yet */
    unsigned arrived_count;
    uint64_t meeting; /* counts meetings */
    int rc;
    char *why;
};

/* ---- runtime_main.c: no call to the operating system ---- */
/* launch_main_first / launch_main_other - the mains of shard 0 and of the others; @arg: the struct
 * launch_shard, with launch, index, port and changed set. */
int launch_main_first(void *arg);
int launch_main_other(void *arg);
/* launch_send_rest - after the shard's loop: send what is in the batches still. */
void launch_send_rest(struct launch_shard *mine);
/* launch_drain - when no shard runs any more, on the shard's thread. */
void launch_drain(struct launch_shard *mine);

/* ---- runtime_thread.c ---- */
/* launch_meet - wait until all threads of the run have come here. */
void launch_meet(struct launch *launch);
/* launch_pin - the calling thread to one processor, and, if @memory_node >= 0, its memory to that
 * node first. **Returns** 0 or -errno. */
int launch_pin(struct placement_cpu cpu, int memory_node) SKEIN_MUST_CHECK;

struct launch_affinity {
    cpu_set_t cpus;
    bool known;
    int memory_mode;
    unsigned long memory_nodes[PLACEMENT_NODE_MAX / 64];
    bool memory_known;
};

void launch_affinity_save(struct launch_affinity *affinity);
void launch_affinity_restore(const struct launch_affinity *affinity);
/* launch_idle_poll_ns - the longest window of idle polling that suits this machine. */
uint64_t launch_idle_poll_ns(void);
/* launch_preempted_count - how often the calling thread had to make way for another one. */
uint64_t launch_preempted_count(void);

#endif
