/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: shards on threads of their own do what skein/call.h and skein/runtime.h promise: asleep and
 * polling, pinned and not, with threads that are no shards, and when they cannot be started.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "conformance/listener_suite.h"
#include "conformance/shards_suite.h"
#include "skein/core.h"

#define THREAD_COUNT 3
#define THREAD_POST_COUNT 400

static unsigned
run_suite(const struct skein_runtime_options *options, const struct shards_suite_case *cases)
{
    unsigned failed_count = 0;
    for (const struct shards_suite_case *c = cases; c->name; c++) {
        struct shards_suite_run run = {.suite_case = c};
        char why[SKEIN_WHY_BYTES];
        int result = 0;
        int rc = skein_runtime_run(options, shards_suite_main, &run, &result, why);
        if (rc < 0 || result != 42 || run.check.failed_count > 0) {
            fprintf(stderr, "case %s: %d %s, %u checks failed\n", c->name, rc, why,
                    run.check.failed_count);
            failed_count++;
        }
    }
    return failed_count;
}

static void
conforms_asleep(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    options.shard_count = SHARDS_SUITE_COUNT;
    options.pin = false;
    options.idle_poll_ns = 0;
    assert_int_equal(run_suite(&options, shards_suite_cases), 0);
    assert_int_equal(run_suite(&options, listener_suite_cases), 0);
}

static void
conforms_polling(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    options.shard_count = SHARDS_SUITE_COUNT;
    options.idle_poll_ns = 50000;
    assert_int_equal(run_suite(&options, shards_suite_cases), 0);
    assert_int_equal(run_suite(&options, listener_suite_cases), 0);
}

static void
conforms_without_io_uring(void **state)
{
    static const enum skein_backend_kind kinds[] = {SKEIN_BACKEND_EPOLL, SKEIN_BACKEND_POLL};
    for (size_t i = 0; i < 2; i++) {
        struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
        options.shard_count = SHARDS_SUITE_COUNT;
        options.pin = false;
        options.backend = kinds[i];
        assert_int_equal(run_suite(&options, shards_suite_cases), 0);
        assert_int_equal(run_suite(&options, listener_suite_cases), 0);
    }
}

/* ---- threads that are no shards ---- */

struct outsider {
    struct skein_runtime *runtime;
    pthread_t thread;
    int refused_count;
    int64_t sum;
};

static int post_count_there; /* shard 1's */

static void
count_post(void *arg)
{
    post_count_there++;
}

static int64_t
read_posts(void *arg)
{
    return post_count_there;
}

static int64_t
slow_square(void *arg)
{
    int64_t n = *(int *)arg;
    if (skein_sleep(skein_deadline_in(1000)) < 0)
        return -1;
    return n * n;
}

static void *
outsider_main(void *arg)
{
    struct outsider *me = arg;
    for (int i = 0; i < THREAD_POST_COUNT; i++)
        while (skein_thread_post(me->runtime, 1, count_post, NULL) == -SKEIN_EAGAIN) {
            me->refused_count++;
            sched_yield();
        }
    for (int i = 1; i <= 10; i++)
        me->sum += skein_thread_call(me->runtime, 2, slow_square, &i);
    return NULL;
}

static int64_t
join_outsiders(void *arg)
{
    struct outsider *outsiders = arg;
    for (int i = 0; i < THREAD_COUNT; i++)
        pthread_join(outsiders[i].thread, NULL);
    return 0;
}

static int
outsiders_main_fn(void *arg)
{
    struct check *check = arg;
    struct outsider outsiders[THREAD_COUNT] = {{0}};
    post_count_there = 0;
    for (int i = 0; i < THREAD_COUNT; i++) {
        outsiders[i].runtime = skein_runtime_self();
        CHECK(check, pthread_create(&outsiders[i].thread, NULL, outsider_main, &outsiders[i]) == 0);
    }
    CHECK(check, skein_work(join_outsiders, outsiders) == 0);
    CHECK(check, skein_call(1, read_posts, NULL, SKEIN_NEVER) == THREAD_COUNT * THREAD_POST_COUNT);
    for (int i = 0; i < THREAD_COUNT; i++)
        CHECK(check, outsiders[i].sum == 385);
    return 0;
}

static void
threads_that_are_no_shards_post_and_call(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    struct check check = {0};
    char why[SKEIN_WHY_BYTES];
    int result = 1;
    options.shard_count = SHARDS_SUITE_COUNT;
    options.inbox_count_max = 8; /* so that it is full at times */
    assert_int_equal(skein_runtime_run(&options, outsiders_main_fn, &check, &result, why), 0);
    assert_int_equal(result, 0);
    assert_int_equal(check.failed_count, 0);
}

/* ---- stopping ---- */

struct late {
    struct skein_runtime *runtime;
    pthread_t thread;
    int64_t rc;
    bool begun; /* looked at on shard 1 only */
    int seen;
};

static int64_t
wait_to_be_stopped(void *arg)
{
    struct late *late = arg;
    late->begun = true;
    late->seen = skein_sleep(SKEIN_NEVER);
    return 0;
}

static void *
late_thread(void *arg)
{
    struct late *late = arg;
    late->rc = skein_thread_call(late->runtime, 1, wait_to_be_stopped, late);
    return NULL;
}

static int64_t
has_begun(void *arg)
{
    return ((struct late *)arg)->begun;
}

static int
leave_a_call_behind(void *arg)
{
    struct late *late = arg;
    late->runtime = skein_runtime_self();
    if (pthread_create(&late->thread, NULL, late_thread, late) != 0)
        return -1;
    /* It has to begin before the runtime ends: a thread that comes later calls into nothing. */
    int64_t rc;
    while ((rc = skein_call(1, has_begun, late, SKEIN_NEVER)) == 0)
        if ((rc = skein_sleep(skein_deadline_in(1000000))) < 0)
            break;
    return rc < 0 ? (int)rc : 0;
}

static void
stopping_cancels_the_calls_that_run(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    struct late late = {0};
    char why[SKEIN_WHY_BYTES];
    int result = 1;
    options.shard_count = 2;
    assert_int_equal(skein_runtime_run(&options, leave_a_call_behind, &late, &result, why), 0);
    assert_int_equal(result, 0);
    pthread_join(late.thread, NULL);
    assert_int_equal(late.rc, 0);
    assert_int_equal(late.seen, -SKEIN_ECANCELED);
}

static int64_t
fill_the_heap(void *arg)
{
    void *objects[64];
    int count = 0;
    while (count < 64 && (objects[count] = skein_alloc(200000)))
        count++;
    for (int i = 0; i < count; i++)
        skein_free(objects[i]);
    return count;
}

static int
fill_heaps(void *arg)
{
    return skein_call(0, fill_the_heap, NULL, SKEIN_NEVER) == 16 &&
                   skein_call(1, fill_the_heap, NULL, SKEIN_NEVER) == 16
               ? 0
               : -1;
}

static void
a_heap_has_the_runtimes_limit(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int result = 1;
    options.shard_count = 2;
    options.memory_bytes_max = 4u << 20;
    assert_int_equal(skein_runtime_run(&options, fill_heaps, NULL, &result, why), 0);
    assert_int_equal(result, 0);
}

static int
be_idle(void *arg)
{
    int64_t *cpu_ns = arg;
    struct rusage before;
    struct rusage after;
    getrusage(RUSAGE_SELF, &before);
    int rc = skein_sleep(skein_deadline_in(500000000));
    getrusage(RUSAGE_SELF, &after);
    *cpu_ns = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000000ll +
              (after.ru_utime.tv_usec - before.ru_utime.tv_usec) * 1000ll +
              (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000000ll +
              (after.ru_stime.tv_usec - before.ru_stime.tv_usec) * 1000ll;
    return rc;
}

/* Two shards that polled all the time would use up to a second of processor in half a second. */
static void
an_idle_runtime_sleeps(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int64_t cpu_ns = 0;
    int result = 1;
    options.shard_count = 2;
    assert_int_equal(skein_runtime_run(&options, be_idle, &cpu_ns, &result, why), 0);
    assert_int_equal(result, 0);
    assert_true(cpu_ns < 100000000);
}

static int64_t
read_stats(void *arg)
{
    skein_mailbox_stats_read(arg);
    return 0;
}

/* Calls in close succession find the other shard awake when it may poll for long, and asleep when
 * it may not poll. */
static int
call_often(void *arg)
{
    struct skein_mailbox_stats *stats = arg;
    for (int i = 0; i < 2000; i++)
        if (skein_call(1, read_stats, stats, SKEIN_NEVER) != 0)
            return -1;
    return 0;
}

static void
polling_is_as_the_options_say(void **state)
{
    static const uint64_t windows_ns[] = {0, SKEIN_IDLE_POLL_ALWAYS};
    for (int i = 0; i < 2; i++) {
        struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
        struct skein_mailbox_stats stats;
        char why[SKEIN_WHY_BYTES];
        int result = 1;
        options.shard_count = 2;
        options.idle_poll_ns = windows_ns[i];
        assert_int_equal(skein_runtime_run(&options, call_often, &stats, &result, why), 0);
        assert_int_equal(result, 0);
        assert_true(stats.received_count >= 2000);
        assert_true(i == 0 ? stats.poll_count == 0 : stats.poll_count > 0);
        assert_true(i == 0 ? stats.sleep_count > 0 : stats.sleep_count == 0);
    }
}

/* ---- what cannot start ---- */

static int
return_seven(void *arg)
{
    return 7;
}

static void
bad_options_are_refused(void **state)
{
    static const struct skein_runtime_options bad[] = {
        {.shard_count = 257},
        {.helper_count = 65},
        {.call_count_max = (1u << 20) + 1},
        {.inbox_count_max = (1u << 24) + 1},
        {.cpus = "0-"},
        {.cpus = "99999"},
        {.cpus = "1023"},
        {.root = "/nonexistent"},
    };
    char why[SKEIN_WHY_BYTES];
    int result = 1;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rc = skein_runtime_run(&bad[i], return_seven, NULL, &result, why);
        assert_int_equal(rc, -SKEIN_EINVALID);
        assert_true(strlen(why) > 10);
    }
    assert_int_equal(result, 1);
}

static void
too_few_descriptors_are_an_error_with_a_remedy(void **state)
{
    struct rlimit before;
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int result = 1;
    options.shard_count = 20;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = 16, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int rc = skein_runtime_run(&options, return_seven, NULL, &result, why);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, -EMFILE);
    assert_non_null(strstr(why, "ulimit -n"));
    assert_int_equal(result, 1);
    /* And nothing is left behind: with the limit back it runs. */
    assert_int_equal(skein_runtime_run(&options, return_seven, NULL, &result, why), 0);
    assert_int_equal(result, 7);
}

static void
the_callers_affinity_comes_back(void **state)
{
    cpu_set_t before;
    cpu_set_t after;
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int result;
    options.shard_count = 1;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    assert_int_equal(skein_runtime_run(&options, return_seven, NULL, &result, why), 0);
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conforms_asleep),
        cmocka_unit_test(conforms_polling),
        cmocka_unit_test(conforms_without_io_uring),
        cmocka_unit_test(threads_that_are_no_shards_post_and_call),
        cmocka_unit_test(stopping_cancels_the_calls_that_run),
        cmocka_unit_test(a_heap_has_the_runtimes_limit),
        cmocka_unit_test(an_idle_runtime_sleeps),
        cmocka_unit_test(polling_is_as_the_options_say),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(too_few_descriptors_are_an_error_with_a_remedy),
        cmocka_unit_test(the_callers_affinity_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
