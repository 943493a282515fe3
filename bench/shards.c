/* SPDX-License-Identifier: Apache-2.0 */

/*
 * shards - what it costs that two shards talk.
 *
 *     shards [--json]
 *
 * Three pairs, each measured interleaved on processors 0 and 1:
 *   call      skein_call to another shard and back, both awake; beside two threads that pass a
 *             cache line there and back
 *   messages  one-way: made on shard 0, run on shard 1, freed on shard 0 again; a second
 *   wake      skein_call to a shard that sleeps, from one that then sleeps; beside two threads that
 *             wake each other by a write to an eventfd. Before each round the first side waits
 *             until the other one is surely asleep; that is not counted.
 *   idle      processor time of a runtime of two shards in which nothing happens for 2 s
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/series.h"
#include "skein/core.h"

#define REPEATS SERIES_REPEATS
#define CALLS 200000
#define LINES 200000
#define MESSAGES 4000000
#define MESSAGE_POOL 256
#define WAKES 2000
#define SETTLE_NS 100000
#define IDLE_NS UINT64_C(2000000000)

/* ---- bare: two threads ---- */

struct bare {
    _Alignas(128) uint64_t there;
    _Alignas(128) uint64_t back;
    _Alignas(128) int fds[2];
    uint64_t count;
};

static void
pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    skein_assert(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static void *
line_other(void *arg)
{
    struct bare *bare = arg;
    pin(1);
    for (uint64_t i = 1; i <= bare->count; i++) {
        while (__atomic_load_n(&bare->there, __ATOMIC_ACQUIRE) != i)
            ;
        __atomic_store_n(&bare->back, i, __ATOMIC_RELEASE);
    }
    return NULL;
}

static double
line_first(struct bare *bare)
{
    double start = clock_ns();
    for (uint64_t i = 1; i <= bare->count; i++) {
        __atomic_store_n(&bare->there, i, __ATOMIC_RELEASE);
        while (__atomic_load_n(&bare->back, __ATOMIC_ACQUIRE) != i)
            ;
    }
    return clock_ns() - start;
}

static void
settle(void)
{
    double end = clock_ns() + SETTLE_NS;
    while (clock_ns() < end)
        ;
}

static void
pass(int read_fd, int write_fd, bool read_first)
{
    uint64_t value = 1;
    ssize_t n = 0;
    if (read_first)
        n = read(read_fd, &value, sizeof(value));
    skein_assert(n >= 0);
    value = 1;
    n = write(write_fd, &value, sizeof(value));
    skein_assert(n == sizeof(value));
    if (!read_first)
        n = read(read_fd, &value, sizeof(value));
    skein_assert(n == sizeof(value));
}

static void *
event_other(void *arg)
{
    struct bare *bare = arg;
    pin(1);
    for (uint64_t i = 0; i < bare->count; i++)
        pass(bare->fds[0], bare->fds[1], true);
    return NULL;
}

static double
event_first(struct bare *bare)
{
    double ns = 0;
    for (uint64_t i = 0; i < bare->count; i++) {
        settle();
        double start = clock_ns();
        pass(bare->fds[1], bare->fds[0], false);
        ns += clock_ns() - start;
    }
    return ns;
}

/* Nanoseconds there and back. */
static double
measure_bare(void *(*other)(void *arg), double (*first)(struct bare *bare), uint64_t count)
{
    static struct bare bare;
    pthread_t thread;
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    bare = (struct bare){.count = count, .fds = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)}};
    pin(0);
    int rc = pthread_create(&thread, NULL, other, &bare);
    skein_assert(rc == 0);
    double ns = first(&bare) / (double)count;
    pthread_join(thread, NULL);
    close(bare.fds[0]);
    close(bare.fds[1]);
    sched_setaffinity(0, sizeof(before), &before);
    return ns;
}

/* ---- ours ---- */

struct ours {
    uint64_t count;
    double ns; /* each */
};

static int64_t
nothing(void *arg)
{
    return 1;
}

static int
call_main(void *arg)
{
    struct ours *ours = arg;
    int64_t sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += skein_call(1, nothing, NULL, SKEIN_NEVER);
    double start = clock_ns();
    for (uint64_t i = 0; i < ours->count; i++)
        sum += skein_call(1, nothing, NULL, SKEIN_NEVER);
    ours->ns = (clock_ns() - start) / (double)ours->count;
    return sum == 1000 + (int64_t)ours->count ? 0 : -1;
}

static int64_t
read_sleeps(void *arg)
{
    struct skein_mailbox_stats stats;
    skein_mailbox_stats_read(&stats);
    return (int64_t)stats.sleep_count;
}

static int
wake_main(void *arg)
{
    struct ours *ours = arg;
    int64_t sleeps = -skein_call(1, read_sleeps, NULL, SKEIN_NEVER);
    double ns = 0;
    for (uint64_t i = 0; i < ours->count; i++) {
        settle();
        double start = clock_ns();
        int64_t rc = skein_call(1, nothing, NULL, SKEIN_NEVER);
        ns += clock_ns() - start;
        if (rc != 1)
            return -1;
    }
    ours->ns = ns / (double)ours->count;
    sleeps += skein_call(1, read_sleeps, NULL, SKEIN_NEVER);
    /* It slept before each of them, or we have measured something else. */
    return sleeps > (int64_t)(ours->count - ours->count / 20) ? 0 : -1;
}

struct letter {
    struct skein_message message;
    struct letter *next;
    uint64_t value;
    char rest[32];
};

static struct letter letters[MESSAGE_POOL];
static struct letter *free_letters;
static uint64_t read_sum; /* shard 1's */

static void
letter_arrived(struct skein_message *message)
{
    read_sum += ((struct letter *)(void *)message)->value;
}

static void
letter_is_home(struct skein_message *message)
{
    struct letter *letter = (struct letter *)(void *)message;
    letter->next = free_letters;
    free_letters = letter;
}

static int
messages_main(void *arg)
{
    struct ours *ours = arg;
    free_letters = NULL;
    read_sum = 0;
    for (int i = 0; i < MESSAGE_POOL; i++)
        letter_is_home(&letters[i].message);
    uint64_t sum = 0;
    double start = clock_ns();
    for (uint64_t i = 0; i < ours->count;) {
        struct letter *letter = free_letters;
        if (letter) {
            *letter = (struct letter){
                .message = {letter_arrived, letter_is_home}, .next = letter->next, .value = i};
            if (skein_send(1, &letter->message) == 0) {
                free_letters = letter->next;
                sum += i++;
                continue;
            }
        }
        if (skein_wait_room(1, SKEIN_NEVER) < 0)
            return -1;
    }
    int64_t rc = skein_call(1, nothing, NULL, SKEIN_NEVER);
    ours->ns = (clock_ns() - start) / (double)ours->count;
    return rc == 1 && read_sum == sum ? 0 : -1;
}

static double
cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The first tenth of a second is not measured: who polls before it sleeps has stopped by then. */
static int
idle_main(void *arg)
{
    struct ours *ours = arg;
    if (skein_sleep(skein_deadline_in(IDLE_NS / 20)) < 0)
        return -1;
    double before_ns = cpu_ns();
    if (skein_sleep(skein_deadline_in(IDLE_NS)) < 0)
        return -1;
    ours->ns = cpu_ns() - before_ns;
    return 0;
}

static double
measure_ours(int (*main_fn)(void *arg), uint64_t count, uint64_t idle_poll_ns)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    struct ours ours = {.count = count};
    char why[SKEIN_WHY_BYTES];
    int result;
    options.shard_count = 2;
    options.cpus = "0-1";
    options.idle_poll_ns = idle_poll_ns;
    if (skein_runtime_run(&options, main_fn, &ours, &result, why) < 0) {
        fprintf(stderr, "shards: %s\n", why);
        exit(1);
    }
    if (result != 0) {
        fprintf(stderr, "shards: a message was lost, a call failed or nobody slept\n");
        exit(1);
    }
    return ours.ns;
}

static void
print_pair(const char *name, struct series *mine, struct series *bare, double target)
{
    printf("%-9s %8.0f ns (%.0f-%.0f)  bare %8.0f ns (%.0f-%.0f)  %.2f times; at most %.1f\n", name,
           series_median(mine), mine->values[0], mine->values[mine->count - 1], series_median(bare),
           bare->values[0], bare->values[bare->count - 1],
           series_median(mine) / series_median(bare), target);
}

int
main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    struct series call = {0};
    struct series line = {0};
    struct series message = {0};
    struct series wake = {0};
    struct series event = {0};
    for (int i = 0; i < REPEATS; i++) {
        series_add(&line, measure_bare(line_other, line_first, LINES));
        series_add(&call, measure_ours(call_main, CALLS, SKEIN_IDLE_POLL_ALWAYS));
        series_add(&message, measure_ours(messages_main, MESSAGES, SKEIN_IDLE_POLL_ALWAYS));
        series_add(&event, measure_bare(event_other, event_first, WAKES));
        series_add(&wake, measure_ours(wake_main, WAKES, 0));
    }
    double idle = 100 * measure_ours(idle_main, 0, SKEIN_IDLE_POLL_AUTO) / (double)IDLE_NS;
    struct series *all[] = {&call, &line, &message, &wake, &event};
    for (size_t i = 0; i < BASE_COUNT_OF(all); i++)
        series_sort(all[i]);
    double rate = 1e3 / series_median(&message);
    if (json) {
        static const char *const names[] = {"call_ns", "line_ns", "message_ns", "wake_ns",
                                            "eventfd_ns"};
        printf("{");
        for (size_t i = 0; i < BASE_COUNT_OF(all); i++) {
            series_print_json(names[i], all[i]);
            printf(", ");
        }
        printf("\"call_ratio\":%.3f,\"messages_per_second\":%.0f,\"wake_ratio\":%.3f,"
               "\"idle_cpu_percent\":%.4f,\"repeats\":%d}\n",
               series_median(&call) / series_median(&line), rate * 1e6,
               series_median(&wake) / series_median(&event), idle, REPEATS);
        return 0;
    }
    print_pair("call", &call, &line, 4);
    print_pair("wake", &wake, &event, 1.2);
    printf("messages  %8.1f M/s (%.1f-%.1f); at least 20\n", rate,
           1e3 / message.values[message.count - 1], 1e3 / message.values[0]);
    printf("idle      %8.4f %% of a processor, of two shards together\n", idle);
    return 0;
}
