/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: who waits is counted under what it waits for, with how long and how it ended; who need not
 * wait is not; futures are counted from their making to their end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "skein/future.h"
#include "skein/metrics.h"
#include "skein/sync.h"

struct fixture {
    struct check check;
    struct skein_mutex mutex;
    struct skein_semaphore semaphore;
    struct skein_promise promise;
    struct skein_future *future;
    int rc;
    char text[65536];
    size_t bytes;
};

static int
put(void *owner, const char *text, size_t bytes)
{
    struct fixture *f = owner;
    if (bytes >= sizeof(f->text) - f->bytes)
        return -SKEIN_ETOOBIG;
    memcpy(f->text + f->bytes, text, bytes);
    f->bytes += bytes;
    f->text[f->bytes] = '\0';
    return 0;
}

/* Whether the metrics have this line now. */
static bool
says(struct fixture *f, const char *line)
{
    struct skein_snapshot *snapshot = skein_snapshot_open();
    char wanted[160] = "\n";
    uint64_t cursor = 0;
    f->bytes = 0;
    while (skein_metrics_snapshot(skein_shard_metrics(), snapshot, &cursor, 100))
        ;
    bool ok = skein_snapshot_write(snapshot, SKEIN_FORMAT_PROMETHEUS, 0, put, f) == 0;
    skein_snapshot_close(snapshot);
    strncat(wanted, line, sizeof(wanted) - 3);
    strcat(wanted, "\n");
    return ok && strstr(f->text, wanted) != NULL;
}

static void
locks(void *arg)
{
    struct fixture *f = arg;
    f->rc = skein_mutex_lock(&f->mutex, SKEIN_NEVER);
    if (f->rc == 0)
        skein_mutex_unlock(&f->mutex);
}

static int
locks_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    skein_mutex_init(&f->mutex);
    skein_semaphore_init(&f->semaphore, 1);
    CHECK(&f->check, skein_mutex_lock(&f->mutex, SKEIN_NEVER) == 0);
    CHECK(&f->check, says(f, "skein_waits_total{on=\"mutex\"} 0"));
    CHECK(&f->check, skein_spawn(&scope, "locks", locks, f, SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check, skein_sleep(skein_deadline_in(5000)) == 0);
    CHECK(&f->check, says(f, "skein_waiting{on=\"mutex\"} 1"));
    skein_mutex_unlock(&f->mutex);
    skein_scope_join(&scope);
    CHECK(&f->check, f->rc == 0);
    CHECK(&f->check, says(f, "skein_waiting{on=\"mutex\"} 0"));
    CHECK(&f->check, says(f, "skein_waits_total{on=\"mutex\"} 1"));
    CHECK(&f->check, says(f, "skein_wait_seconds_total{on=\"mutex\"} 0.000005"));
    CHECK(&f->check, says(f, "skein_waits_given_up_total{on=\"mutex\"} 0"));
    CHECK(&f->check, skein_semaphore_acquire(&f->semaphore, 1, SKEIN_NEVER) == 0);
    CHECK(&f->check,
          skein_semaphore_acquire(&f->semaphore, 1, skein_deadline_in(2000)) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, says(f, "skein_waits_total{on=\"semaphore\"} 1"));
    CHECK(&f->check, says(f, "skein_waits_given_up_total{on=\"semaphore\"} 1"));
    CHECK(&f->check, says(f, "skein_wait_seconds_total{on=\"semaphore\"} 0.000002"));
    return 0;
}

static void
waits_for_future(void *arg)
{
    struct fixture *f = arg;
    f->rc = skein_future_wait(f->future, SKEIN_NEVER, NULL);
}

static int
futures_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    skein_promise_open(&f->promise, NULL);
    f->future = skein_promise_future(&f->promise);
    CHECK(&f->check, says(f, "skein_futures 1"));
    CHECK(&f->check, skein_spawn(&scope, "waits", waits_for_future, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    CHECK(&f->check, says(f, "skein_waiting{on=\"future\"} 1"));
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);
    CHECK(&f->check, says(f, "skein_waits_given_up_total{on=\"future\"} 1"));
    skein_promise_close(&f->promise);
    CHECK(&f->check, says(f, "skein_futures_failed_total 1"));
    skein_future_unref(f->future);
    CHECK(&f->check, says(f, "skein_futures 0"));
    CHECK(&f->check, says(f, "skein_futures_made_total 1"));
    return 0;
}

static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    static struct fixture f;
    f = (struct fixture){0};
    clock_world_open(&world);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, main_fn, &f), 0);
    clock_world_close(&world);
    assert_int_equal(f.check.failed_count, 0);
}

static void
contention_is_counted(void **state)
{
    run(locks_main);
}

static void
futures_are_counted(void **state)
{
    run(futures_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contention_is_counted),
        cmocka_unit_test(futures_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
