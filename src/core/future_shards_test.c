/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a call to another shard is a future, with its value, its error and its cancellation; a
 * promise can be handed to another shard and be kept there, also when nobody wants it any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/check.h"
#include "skein/call.h"
#include "skein/future.h"
#include "skein/runtime.h"

#define FAN 20

struct fixture {
    struct check check;
    struct skein_scope scope;
    struct skein_remote_promise *remotes[FAN];
};

static int
where(void *arg, void **out_value)
{
    int *at = malloc(sizeof(*at));
    *at = (int)skein_shard_index() + *(int *)arg;
    *out_value = at;
    return 0;
}

static int
fails(void *arg, void **out_value)
{
    (void)arg;
    (void)out_value;
    return -SKEIN_EPROTO;
}

static int
sleeps_there(void *arg, void **out_value)
{
    (void)out_value;
    *(int *)arg = skein_sleep(SKEIN_NEVER);
    return *(int *)arg;
}

static void
check_calls(struct fixture *f)
{
    struct skein_future *futures[3];
    void *value = NULL;
    int add = 10;
    int slept = 0;
    CHECK(&f->check, skein_future_call(&futures[0], &f->scope, 1, where, &add, free) == 0);
    CHECK(&f->check, skein_future_call(&futures[1], &f->scope, 1, fails, NULL, NULL) == 0);
    struct skein_future *all = skein_future_when_all(futures, 2);
    CHECK(&f->check, skein_future_wait(all, SKEIN_NEVER, NULL) == -SKEIN_EPROTO);
    CHECK(&f->check, skein_future_result(futures[0], &value) == 0 && *(int *)value == 11);
    CHECK(&f->check, skein_future_result(futures[1], &value) == -SKEIN_EPROTO);
    skein_future_unref(all);
    CHECK(&f->check, skein_future_call(&futures[2], &f->scope, 1, sleeps_there, &slept, NULL) == 0);
    CHECK(&f->check, skein_sleep(skein_deadline_in(1000000)) == 0);
    skein_future_cancel(futures[2]);
    skein_scope_join(&f->scope);
    CHECK(&f->check, slept == -SKEIN_ECANCELED || slept == 0); /* 0: withdrawn before it began */
    for (int i = 0; i < 3; i++)
        skein_future_unref(futures[i]);
}

static int64_t
keep_there(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < FAN; i++) {
        int *value = malloc(sizeof(*value));
        *value = i;
        if (i % 2 == 0)
            free(value);
        skein_remote_promise_complete(f->remotes[i], i % 2 == 0 ? -SKEIN_EBUSY : 0, value);
    }
    return 0;
}

static void
check_promises(struct fixture *f)
{
    struct skein_future *futures[FAN];
    void *value = NULL;
    for (int i = 0; i < FAN; i++) {
        struct skein_promise promise;
        skein_promise_open(&promise, free);
        futures[i] = skein_promise_future(&promise);
        f->remotes[i] = skein_promise_share(&promise);
        CHECK(&f->check, promise.future == NULL);
    }
    skein_future_cancel(futures[1]); /* kept too late: the value is dropped here */
    CHECK(&f->check, skein_call(1, keep_there, f, SKEIN_NEVER) == 0);
    for (int i = 0; i < FAN; i++) {
        int rc = skein_future_wait(futures[i], SKEIN_NEVER, &value);
        CHECK(&f->check, rc == (i == 1 ? -SKEIN_ECANCELED : i % 2 == 0 ? -SKEIN_EBUSY : 0));
        CHECK(&f->check, rc < 0 || *(int *)value == i);
        skein_future_unref(futures[i]);
    }
}

static int
two_shards(void *arg)
{
    struct fixture *f = arg;
    skein_scope_init(&f->scope);
    check_calls(f);
    check_promises(f);
    return 42;
}

static void
results_come_from_another_shard(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    struct fixture f = {0};
    char why[SKEIN_WHY_BYTES];
    int result = 0;
    options.shard_count = 2;
    options.pin = false;
    options.idle_poll_ns = 0;
    assert_int_equal(skein_runtime_run(&options, two_shards, &f, &result, why), 0);
    assert_int_equal(result, 42);
    assert_int_equal(f.check.failed_count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_come_from_another_shard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
