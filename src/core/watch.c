/* SPDX-License-Identifier: Apache-2.0 */
#include "core/watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/stall.h"
#include "skein/metrics.h"

#ifdef SKEIN_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define WATCH_SIGNAL SIGURG
/* After so long a sleep the next will be long, too: then a system call is cheaper than a wake. */
#define REST_NS 5000000u
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct watch {
    struct skein_shard *shard;
    timer_t timer;
    uint64_t stall_ns;
    _Atomic uint64_t fires_ns;          /* when armed */
    const char *stack_low, *stack_high; /* the thread's own */
    struct stall stall;                 /* the signal's until the turn is over */
    bool lost;                          /* the turn that goes on was written about */
    struct stall_budget budget;
};

static const struct skein_metric rows[] = {
    {"skein_shard_stalls_total", "Turns that took longer than the stall detector allows.",
     SKEIN_COUNTER, SKEIN_FIELD(struct watch, budget.total)},
    {"skein_shard_stalls_unreported_total", "Of these: not reported, too many within a minute.",
     SKEIN_COUNTER, SKEIN_FIELD(struct watch, budget.total_suppressed)},
};

static uint64_t
clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
arm(struct watch *watch, uint64_t now_ns, uint64_t delay_ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(delay_ns / 1000000000u),
                                           .tv_nsec = (long)(delay_ns % 1000000000u)}};
    if (delay_ns == 0)
        when.it_value.tv_nsec = 1;
    atomic_store_explicit(&watch->shard->watch.armed, true, memory_order_relaxed);
    atomic_store_explicit(&watch->fires_ns, now_ns + delay_ns, memory_order_relaxed);
    timer_settime(watch->timer, 0, &when, NULL);
}

static void
look(struct watch *watch, uint64_t now_ns, void *machine)
{
    struct skein_shard *shard = watch->shard;
    struct stall *stall = &watch->stall;
    const struct skein_fiber *fiber = shard->running;
    const char *low = watch->stack_low, *high = watch->stack_high;
    stall->at_least_ns = now_ns - stall->seen_ns;
    stall->look_after_ns *= 2;
    stall->fiber = fiber ? fiber->name : NULL;
    if (fiber) {
        low = fiber->stack->low;
        high = low + fiber->stack->usable_bytes;
    }
    stall->frame_count = stall_frames(machine, low, high, stall->frames);
    atomic_store_explicit(&shard->watch.stalled, true, memory_order_relaxed);
    if (stall->at_least_ns >= STALL_LOST_NS && !watch->lost) {
        watch->lost = true;
        stall_write(stall);
    }
}

/* Returns how long until the next look. */
static uint64_t
watch_stall(struct watch *watch, uint64_t now_ns, void *machine)
{
    struct stall *stall = &watch->stall;
    const volatile uint64_t *turns = &watch->shard->stats.turns;
    if (atomic_load_explicit(&watch->shard->watch.stalled, memory_order_relaxed) &&
        stall->turn != *turns)
        return watch->stall_ns / 2; /* not yet taken: leave it as it is */
    if (stall->turn != *turns || stall->seen_ns == 0) {
        *stall =
            (struct stall){.turn = *turns, .seen_ns = now_ns, .look_after_ns = watch->stall_ns};
        watch->lost = false;
    } else if (now_ns - stall->seen_ns >= stall->look_after_ns) {
        look(watch, now_ns, machine);
    }
    return watch->stall_ns / 2;
}

/* Returns how long until the quota ends; UINT64_MAX: none runs. */
static uint64_t
watch_quota(struct shard_watch *watch, uint64_t now_ns)
{
    if (atomic_load_explicit(&watch->word, memory_order_relaxed) != WATCH_RUN)
        return UINT64_MAX;
    uint64_t until_ns = atomic_load_explicit(&watch->until_ns, memory_order_relaxed);
    if (now_ns < until_ns)
        return until_ns - now_ns;
    atomic_store_explicit(&watch->word, WATCH_YIELD, memory_order_relaxed);
    return UINT64_MAX;
}

static void
on_signal(int number, siginfo_t *info, void *machine)
{
    int saved_errno = errno;
    struct watch *watch = info->si_code == SI_TIMER ? info->si_value.sival_ptr : NULL;
    if (!watch)
        return;
    atomic_store_explicit(&watch->shard->watch.armed, false, memory_order_relaxed);
    if (!atomic_load_explicit(&watch->shard->watch.sleeping, memory_order_relaxed)) {
        uint64_t now_ns = clock_ns();
        uint64_t next_ns = watch_quota(&watch->shard->watch, now_ns);
        uint64_t stall_ns = watch->stall_ns ? watch_stall(watch, now_ns, machine) : UINT64_MAX;
        if (stall_ns < next_ns)
            next_ns = stall_ns;
        if (next_ns != UINT64_MAX)
            arm(watch, now_ns, next_ns);
    }
    errno = saved_errno;
}

static bool
take_signal(void)
{
    struct sigaction before,
        action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    if (sigaction(WATCH_SIGNAL, NULL, &before) < 0)
        return false;
    bool ours = (before.sa_flags & SA_SIGINFO) && before.sa_sigaction == on_signal;
    bool free_one = !(before.sa_flags & SA_SIGINFO) &&
                    (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN);
    if (ours)
        return true;
    sigemptyset(&action.sa_mask);
    return free_one && sigaction(WATCH_SIGNAL, &action, NULL) == 0;
}

static void
set_blocked(bool blocked)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WATCH_SIGNAL);
    pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static void
find_stack(struct watch *watch)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
        watch->stack_low = low;
        watch->stack_high = watch->stack_low + bytes;
    }
    pthread_attr_destroy(&attributes);
}

struct watch *
watch_open(struct skein_shard *shard, uint64_t stall_ns)
{
    if (shard->backend->ops->virtual_time || RUNNING_ON_VALGRIND || !take_signal())
        return NULL;
    struct watch *watch = mem_zalloc(sizeof(*watch));
    watch->shard = shard;
    watch->stall_ns = stall_ns;
    find_stack(watch);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = WATCH_SIGNAL,
                             .sigev_value.sival_ptr = watch};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &watch->timer) < 0) {
        mem_free(watch);
        return NULL;
    }
    set_blocked(false);
    (void)!skein_metrics_add(shard->metrics, watch, rows, BASE_COUNT_OF(rows), NULL, 0);
    return watch;
}

void
watch_close(struct watch *watch)
{
    if (!watch)
        return;
    struct timespec now = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, WATCH_SIGNAL);
    /* A signal that is on its way must not find the watch gone. */
    set_blocked(true);
    timer_delete(watch->timer);
    while (sigtimedwait(&set, NULL, &now) > 0)
        ;
    set_blocked(false);
    atomic_store_explicit(&watch->shard->watch.armed, false, memory_order_relaxed);
    skein_metrics_remove(watch->shard->metrics, watch);
    mem_free(watch);
}

void
watch_ask(struct skein_shard *shard)
{
    struct shard_watch *own = &shard->watch;
    if (!own->watch)
        return;
    uint64_t now_ns = clock_ns();
    uint64_t until_ns = atomic_load_explicit(&own->until_ns, memory_order_relaxed);
    if (until_ns == 0)
        until_ns = now_ns + SKEIN_GROUP_QUOTA_NS;
    atomic_store_explicit(&own->until_ns, until_ns, memory_order_relaxed);
    atomic_store_explicit(&own->word, WATCH_RUN, memory_order_relaxed);
    /* When it fires before, it arms itself for the rest. */
    if (!atomic_load_explicit(&own->armed, memory_order_relaxed) ||
        atomic_load_explicit(&own->watch->fires_ns, memory_order_relaxed) > until_ns)
        arm(own->watch, now_ns, until_ns > now_ns ? until_ns - now_ns : 0);
}

void
watch_arm(struct skein_shard *shard)
{
    struct watch *watch = shard->watch.watch;
    if (watch->stall_ns)
        arm(watch, clock_ns(), watch->stall_ns / 2);
}

void
watch_rest(struct skein_shard *shard, uint64_t slept_ns)
{
    struct watch *watch = shard->watch.watch;
    struct itimerspec never = {0};
    if (slept_ns < REST_NS || !watch ||
        !atomic_load_explicit(&shard->watch.armed, memory_order_relaxed))
        return;
    timer_settime(watch->timer, 0, &never, NULL);
    atomic_store_explicit(&shard->watch.armed, false, memory_order_relaxed);
}

void
watch_take_stall(struct skein_shard *shard)
{
    struct watch *watch = shard->watch.watch;
    struct stall stall = watch->stall;
    uint64_t now_ns = clock_ns();
    atomic_store_explicit(&shard->watch.stalled, false, memory_order_relaxed);
    if (now_ns - stall.seen_ns > stall.at_least_ns)
        stall.at_least_ns = now_ns - stall.seen_ns;
    stall_report(shard, &watch->budget, &stall, now_ns);
}
