/* SPDX-License-Identifier: Apache-2.0 */
#include "core/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/pool.h"

#define HELPER_COUNT_DEFAULT 2
#define HELPER_COUNT_MAX 64
#define CALL_COUNT_MAX (1u << 20)
#define INBOX_COUNT_MAX (1u << 24)

static void
say(struct launch *launch, unsigned index, const char *what, int code, const char *remedy)
{
    pthread_mutex_lock(&launch->lock);
    if (launch->rc == 0) {
        launch->rc = code;
        snprintf(launch->why, SKEIN_WHY_BYTES, "shard %u: %s: %s%s%s", index, what,
                 skein_error_text(code), remedy[0] ? "; " : "", remedy);
    }
    pthread_mutex_unlock(&launch->lock);
}

static const char *
remedy_for(int code)
{
    switch (code) {
    case -EMFILE:
        return "raise the limit of open files (ulimit -n, LimitNOFILE=) or use fewer shards";
    case -ENFILE:
        return "the machine's limit of open files is reached (sysctl fs.file-max)";
    case -EAGAIN:
        return "raise the limit of threads (ulimit -u, TasksMax=) or use fewer shards";
    case -ENOMEM:
        return "raise the limit of memory (cgroup, ulimit -l) or use fewer shards";
    case -ENOSYS:
        return "io_uring is missing here: Linux 6.1 or later has it; or let the backend be chosen";
    case -EPERM:
        return "io_uring is refused here (sysctl kernel.io_uring_disabled, seccomp); or let the "
               "backend be chosen";
    default:
        return "";
    }
}

static int
open_shard(struct launch_shard *mine)
{
    const struct skein_runtime_options *options = mine->launch->options;
    unsigned helper_count = options->helper_count ? options->helper_count : HELPER_COUNT_DEFAULT;
    int rc = options->pin ? launch_pin(mine->cpu, mine->memory_node) : 0;
    if (rc < 0) {
        say(mine->launch, mine->index, "cannot be pinned to its processor", rc,
            "run with pin = false");
        return rc;
    }
    mine->stacks = skein_stack_pool_open();
    struct skein_backend_options wanted = {
        .kind = options->backend, .helper_count = helper_count, .gather_ns = options->gather_ns};
    struct skein_backend_choice choice;
    rc = skein_backend_open(&mine->backend, &wanted, &choice);
    struct skein_shard_options shard_options = {.backend = mine->backend,
                                                .stacks = mine->stacks,
                                                .fiber_count_max = options->fiber_count_max,
                                                .group_count_max = options->group_count_max,
                                                .stall_ns = options->stall_ns};
    if (rc == 0)
        rc = skein_shard_open(&mine->shard, &shard_options);
    if (rc < 0) {
        say(mine->launch, mine->index, "no backend", rc, remedy_for(rc));
        return rc;
    }
    skein_waitq_init(&mine->changed);
    mine->shard->pool = pool_open(mine->index, mine->memory_node, options->memory_bytes_max);
    mine->port =
        port_open(mine->launch->runtime, mine->index, mine->shard, options->inbox_count_max);
    mine->port->idle_poll_ns_max = mine->launch->idle_poll_ns;
    mine->port->idle_poll_ns = mine->launch->idle_poll_ns;
    mine->port->preempted_count = launch_preempted_count;
    return 0;
}

static void
close_shard(struct launch_shard *mine)
{
    port_close(mine->port);
    skein_shard_close(mine->shard);
    skein_backend_close(mine->backend);
    skein_stack_pool_close(mine->stacks);
}

static void *
shard_thread(void *arg)
{
    struct launch_shard *mine = arg;
    struct launch *launch = mine->launch;
    int rc = open_shard(mine);
    skein_assert(rc == 0 || launch->rc != 0);
    launch_meet(launch);
    if (launch->rc == 0) {
        port_connect(mine->port);
        launch_meet(launch);
        int result = skein_shard_run(
            mine->shard, mine->index == 0 ? launch_main_first : launch_main_other, mine);
        if (mine->index == 0)
            launch->result = result;
        launch_send_rest(mine);
        /* Twice, as what comes home in the first may give something back to others. */
        for (int i = 0; i < 2; i++) {
            launch_meet(launch);
            launch_drain(mine);
        }
        launch_meet(launch);
    }
    close_shard(mine);
    return NULL;
}

/* ---- all of them ---- */

static int
check_options(const struct skein_runtime_options *options, char why[SKEIN_WHY_BYTES])
{
    const struct {
        const char *name;
        uint64_t value;
        uint64_t max;
    } limits[] = {
        {"shard_count", options->shard_count, SHARD_COUNT_MAX},
        {"call_count_max", options->call_count_max, CALL_COUNT_MAX},
        {"inbox_count_max", options->inbox_count_max, INBOX_COUNT_MAX},
        {"helper_count", options->helper_count, HELPER_COUNT_MAX},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(limits); i++)
        if (limits[i].value > limits[i].max) {
            snprintf(why, SKEIN_WHY_BYTES, "%s: at most %llu", limits[i].name,
                     (unsigned long long)limits[i].max);
            return -SKEIN_EINVALID;
        }
    return 0;
}

static int
place(struct launch *launch, char why[SKEIN_WHY_BYTES])
{
    const struct skein_runtime_options *options = launch->options;
    struct placement *placement = mem_alloc(sizeof(*placement));
    int rc = placement_read(placement, options->root ? options->root : "", options->cpus, why);
    if (rc < 0) {
        mem_free(placement);
        return rc;
    }
    placement_order(placement, options->spread);
    unsigned count = options->shard_count ? options->shard_count : placement->cpu_count;
    launch->count = count < SHARD_COUNT_MAX ? count : SHARD_COUNT_MAX;
    launch->shards = mem_zalloc(launch->count * sizeof(launch->shards[0]));
    for (unsigned i = 0; i < launch->count; i++)
        launch->shards[i] = (struct launch_shard){
            .launch = launch, .index = i, .cpu = placement->cpus[i % placement->cpu_count]};
    for (unsigned i = 0; i < launch->count; i++)
        launch->shards[i].memory_node =
            options->pin ? placement_memory_node(placement, launch->shards[i].cpu) : -1;
    bool alone = options->pin && launch->count <= placement->cpu_count;
    launch->idle_poll_ns = options->idle_poll_ns;
    if (options->idle_poll_ns == SKEIN_IDLE_POLL_AUTO)
        launch->idle_poll_ns = alone ? launch_idle_poll_ns() : 0;
    mem_free(placement);
    return 0;
}

/* Signals are for shard 0's thread, which the program knows. */
static void
start_threads(struct launch *launch)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 1; i < launch->count; i++) {
        struct launch_shard *mine = &launch->shards[i];
        int rc = pthread_create(&mine->thread, NULL, shard_thread, mine);
        mine->has_thread = rc == 0;
        if (rc != 0)
            say(launch, i, "no thread", -rc, remedy_for(-rc));
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_lock(&launch->lock);
    launch->meeting_count = 1;
    for (unsigned i = 1; i < launch->count; i++)
        launch->meeting_count += launch->shards[i].has_thread;
    pthread_cond_broadcast(&launch->met);
    pthread_mutex_unlock(&launch->lock);
}

int
skein_runtime_run(const struct skein_runtime_options *options, int (*main_fn)(void *arg), void *arg,
                  int *out_result, char out_why[SKEIN_WHY_BYTES])
{
    skein_assert(skein_shard_current() == NULL);
    struct launch launch = {
        .options = options, .main_fn = main_fn, .main_arg = arg, .why = out_why};
    out_why[0] = '\0';
    int rc = check_options(options, out_why);
    if (rc == 0)
        rc = place(&launch, out_why);
    if (rc < 0)
        return rc;
    int lock_rc = pthread_mutex_init(&launch.lock, NULL);
    int met_rc = pthread_cond_init(&launch.met, NULL);
    skein_assert(lock_rc == 0);
    skein_assert(met_rc == 0);
    launch.runtime = group_open(launch.count, options->call_count_max,
                                launch.count == 1 ? PORT_FENCE_BOTH : PORT_FENCE_MEMBARRIER);
    struct launch_affinity before;
    launch_affinity_save(&before);
    start_threads(&launch);
    shard_thread(&launch.shards[0]);
    for (unsigned i = 1; i < launch.count; i++)
        if (launch.shards[i].has_thread)
            pthread_join(launch.shards[i].thread, NULL);
    launch_affinity_restore(&before);
    group_close(launch.runtime);
    pthread_cond_destroy(&launch.met);
    pthread_mutex_destroy(&launch.lock);
    mem_free(launch.shards);
    if (launch.rc == 0)
        *out_result = launch.result;
    return launch.rc;
}

struct skein_runtime *
skein_runtime_self(void)
{
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    return port->group;
}
