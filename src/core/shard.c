/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/shard.h"

#include <errno.h>

#include "base/mem.h"
#include "core/chaos.h"
#include "core/internal.h"
#include "core/mailbox_port.h"
#include "core/pool.h"
#include "core/run_queue.h"
#include "skein/metrics.h"

#define FIBER_COUNT_MAX_DEFAULT 65536
#define STALL_NS_DEFAULT UINT64_C(25000000)
/* Rounds in one skein_shard_turn: fibers that only yield must not hold the caller for ever. */
#define TURN_ROUND_COUNT_MAX 1024

__thread struct skein_shard *shard_current;

struct skein_shard *
skein_shard_current(void)
{
    return shard_current;
}

struct skein_shard *
shard_set_current(struct skein_shard *shard)
{
    struct skein_shard *previous = shard_current;
    shard_current = shard;
    return previous;
}

int
skein_shard_open(struct skein_shard **out_shard, const struct skein_shard_options *options)
{
    skein_assert(options->backend != NULL);
    skein_assert(options->stacks != NULL);
    struct skein_shard *shard = mem_zalloc(sizeof(*shard));
    shard->magic = SHARD_MAGIC;
    shard->backend = options->backend;
    shard->stacks = options->stacks;
    shard->fiber_count_max =
        options->fiber_count_max ? options->fiber_count_max : FIBER_COUNT_MAX_DEFAULT;
    list_init(&shard->fibers);
    list_init(&shard->future_work);
    timer_wheel_init(&shard->timers, shard->backend->ops->now_ns(shard->backend));
    chaos_open(shard, options->chaos);
    skein_scope_init(&shard->main_scope);
    skein_scope_init(&shard->root_scope);
    shard_metrics_open(shard);
    shard->sched.group_count_max =
        options->group_count_max ? options->group_count_max : GROUP_COUNT_MAX_DEFAULT;
    shard->stall_ns = options->stall_ns ? options->stall_ns : STALL_NS_DEFAULT;
    sched_init(shard);
    *out_shard = shard;
    return 0;
}

static void
main_fiber(void *arg)
{
    struct skein_shard *shard = arg;
    shard->main_result = shard->main_fn(shard->main_arg);
    skein_scope_cancel(&shard->root_scope);
    skein_scope_join(&shard->root_scope);
}

void
skein_shard_start(struct skein_shard *shard, int (*main_fn)(void *arg), void *arg)
{
    skein_assert(shard->magic == SHARD_MAGIC);
    skein_assert(!shard->started);
    shard->started = true;
    shard->main_fn = main_fn;
    shard->main_arg = arg;
    int rc = fiber_spawn(shard, &shard->main_scope, "main", main_fiber, shard, SKEIN_STACK_LARGE);
    if (rc < 0)
        base_die(__FILE__, __LINE__, "no memory for the first fiber of a shard");
}

/* The calling thread is the one that runs the shard. */
static void
enter_thread(struct skein_shard *shard)
{
    context_init_self(&shard->scheduler);
    shard->errno_at = &errno;
}

uint64_t
skein_shard_turn(struct skein_shard *shard)
{
    skein_assert(shard->magic == SHARD_MAGIC);
    skein_assert(shard->running == NULL);
    struct skein_shard *previous = shard_set_current(shard);
    enter_thread(shard);
    if (shard->port)
        port_awake(shard->port);
    uint64_t now_ns = shard->backend->ops->now_ns(shard->backend);
    shard->coarse_now_ns = now_ns;
    for (int round = 0; round < TURN_ROUND_COUNT_MAX; round++) {
        shard->stats.turns++;
        sched_run_round(shard);
        bool moved = shard->port && port_turn(shard->port);
        now_ns = shard->backend->ops->now_ns(shard->backend);
        shard->coarse_now_ns = now_ns;
        timer_fire_due(&shard->timers, now_ns);
        if (sched_is_idle(shard) && !moved && (!shard->port || port_rest(shard->port)))
            break;
    }
    uint64_t next_ns = sched_is_idle(shard) ? timer_next_ns(&shard->timers) : now_ns;
    shard_set_current(previous);
    return next_ns;
}

static void
wait_for_something(struct skein_shard *shard)
{
    const struct backend_ops *ops = shard->backend->ops;
    if (shard->port && !port_idle(shard->port, timer_next_ns(&shard->timers)))
        return;
    uint64_t begun_ns = ops->now_ns(shard->backend);
    watch_set_sleeping(&shard->watch, true);
    watch_rest(shard, shard->watch.slept_ns);
    ops->wait(shard->backend, timer_next_ns(&shard->timers));
    watch_set_sleeping(&shard->watch, false);
    uint64_t slept_ns = ops->now_ns(shard->backend) - begun_ns;
    shard->stats.sleep_ns += slept_ns;
    shard->watch.slept_ns = slept_ns;
    if (shard->port)
        port_slept(shard->port, slept_ns);
}

int
skein_shard_run(struct skein_shard *shard, int (*main_fn)(void *arg), void *arg)
{
    skein_shard_start(shard, main_fn, arg);
    struct skein_shard *previous = shard_set_current(shard);
    const struct backend_ops *ops = shard->backend->ops;
    enter_thread(shard);
    shard->watch.watch = watch_open(shard, shard->stall_ns == SKEIN_NEVER ? 0 : shard->stall_ns);
    int result = 0;
    for (;;) {
        if (watch_is_off(&shard->watch) && !sched_is_idle(shard))
            watch_arm(shard);
        sched_run_round(shard);
        if (atomic_load_explicit(&shard->watch.stalled, memory_order_relaxed))
            watch_take_stall(shard);
        if (skein_shard_finished(shard, &result))
            break;
        shard->stats.turns++;
        bool moved = shard->port && port_turn(shard->port);
        if (sched_is_idle(shard) && !moved)
            wait_for_something(shard);
        else
            ops->wait(shard->backend, 0);
        shard->coarse_now_ns = 0;
        if (shard->timers.count > 0)
            timer_fire_due(&shard->timers, skein_coarse_now_ns());
    }
    watch_close(shard->watch.watch);
    shard->watch.watch = NULL;
    shard_set_current(previous);
    return result;
}

bool
skein_shard_finished(const struct skein_shard *shard, int *out_result)
{
    if (!shard->started || shard->fiber_count > 0)
        return false;
    *out_result = shard->main_result;
    return true;
}

void
skein_shard_close(struct skein_shard *shard)
{
    if (!shard)
        return;
    skein_assert(shard->magic == SHARD_MAGIC);
    skein_assert(shard->fiber_count == 0);
    skein_assert(shard != shard_current);
    pool_close(shard->pool);
    io_limiter_close(shard);
    sched_deinit(shard);
    chaos_close(shard);
    skein_metrics_close(shard->metrics);
    shard->magic = 0;
    mem_free(shard);
}

void
skein_shard_abandon(struct skein_shard *shard)
{
    skein_assert(shard->magic == SHARD_MAGIC);
    skein_assert(shard->running == NULL);
    list_for_each_safe (link, &shard->fibers)
        fiber_drop(LIST_ENTRY(link, struct skein_fiber, shard_link));
    skein_shard_close(shard);
}

struct skein_scope *
skein_shard_scope(void)
{
    skein_assert(shard_current != NULL);
    return &shard_current->root_scope;
}

struct backend *
skein_shard_backend(void)
{
    skein_assert(shard_current != NULL);
    return shard_current->backend;
}

uint64_t
skein_now_ns(void)
{
    struct backend *backend = skein_shard_backend();
    return backend->ops->now_ns(backend);
}

uint64_t
skein_boot_ns(void)
{
    struct backend *backend = skein_shard_backend();
    return backend->ops->boot_ns(backend);
}

uint64_t
skein_wall_ns(void)
{
    struct backend *backend = skein_shard_backend();
    return backend->ops->wall_ns(backend);
}

void
skein_entropy(void *data, size_t count)
{
    struct backend *backend = skein_shard_backend();
    backend->ops->entropy(backend, data, count);
}

uint64_t
skein_random(void)
{
    uint64_t value = 0;
    skein_entropy(&value, sizeof(value));
    return value;
}

uint64_t
skein_deadline_in(uint64_t delay_ns)
{
    uint64_t now_ns = skein_now_ns();
    return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}
