/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a channel keeps the order of items and of who waits, hands over without room, gives what is
 * in it after it was closed; a select does exactly one of its cases, and leaves nothing behind when
 * it gives up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"
#include "core/check.h"
#include "core/clock_world.h"
#include "core/context.h"
#include "skein/channel.h"

struct fixture {
    struct check check;
    struct skein_scope scope;
    struct skein_channel one;
    struct skein_channel two;
    int got[16];
    int got_count;
    int rc;
};

static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    struct fixture f = {0};
    clock_world_open(&world);
    skein_scope_init(&f.scope);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, main_fn, &f), 42);
    clock_world_close(&world);
    skein_channel_deinit(&f.one);
    skein_channel_deinit(&f.one);
    skein_channel_deinit(&f.two);
    assert_int_equal(f.check.failed_count, 0);
}

static int
limits_main(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_channel_init(&f->one, 8, SIZE_MAX / 4) == -SKEIN_EINVALID);
#ifndef CONTEXT_ASAN /* which ends the process instead */
    CHECK(&f->check, skein_channel_init(&f->one, 1, SIZE_MAX / 4) == -SKEIN_ENOMEM);
#endif
    CHECK(&f->check, skein_channel_init(&f->one, sizeof(int), 2) == 0);
    int value = 1;
    CHECK(&f->check, skein_channel_try_recv(&f->one, &value) == -SKEIN_EAGAIN);
    CHECK(&f->check, skein_channel_recv(&f->one, &value, 1500) == -SKEIN_ETIMEDOUT);
    for (value = 1; value <= 2; value++)
        CHECK(&f->check, skein_channel_send(&f->one, &value, SKEIN_NEVER) == 0);
    CHECK(&f->check, skein_channel_try_send(&f->one, &value) == -SKEIN_EAGAIN);
    CHECK(&f->check, skein_channel_send(&f->one, &value, 2000) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_now_ns() == 2000);
    skein_channel_close(&f->one);
    skein_channel_close(&f->one);
    CHECK(&f->check, skein_channel_try_send(&f->one, &value) == -SKEIN_ECLOSED);
    CHECK(&f->check, skein_channel_recv(&f->one, &value, SKEIN_NEVER) == 0 && value == 1);
    CHECK(&f->check, skein_channel_recv(&f->one, NULL, SKEIN_NEVER) == 0); /* dropped */
    CHECK(&f->check, skein_channel_recv(&f->one, &value, SKEIN_NEVER) == -SKEIN_ECLOSED);
    CHECK(&f->check, skein_channel_try_recv(&f->one, &value) == -SKEIN_ECLOSED);
    return 42;
}

static void
limits_are_answers(void **state)
{
    run(limits_main);
}

struct sender {
    struct fixture *f;
    int value;
    int rc;
    struct skein_task task;
};

static int
sends(void *arg)
{
    struct sender *sender = arg;
    sender->rc = skein_channel_send(&sender->f->one, &sender->value, SKEIN_NEVER);
    return sender->rc;
}

static void
receives_all(void *arg)
{
    struct fixture *f = arg;
    int value;
    while ((f->rc = skein_channel_recv(&f->one, &value, SKEIN_NEVER)) == 0)
        f->got[f->got_count++] = value;
}

static void
start_senders(struct fixture *f, struct sender *senders, int count)
{
    for (int i = 0; i < count; i++) {
        senders[i] = (struct sender){.f = f, .value = i};
        CHECK(&f->check, skein_task_spawn(&senders[i].task, &f->scope, "sender", sends, &senders[i],
                                          SKEIN_STACK_SMALL) == 0);
    }
    skein_yield();
}

/* Senders wait in a channel with room for @capacity; one is cancelled while it waits, one after its
 * item was taken; then all is received. */
static void
senders_wait(struct fixture *f, size_t capacity)
{
    struct sender senders[6];
    int value = -1;
    CHECK(&f->check, skein_channel_init(&f->one, sizeof(int), capacity) == 0);
    start_senders(f, senders, 6);
    skein_task_cancel(&senders[4].task);
    for (int i = 0; i < 2; i++)
        CHECK(&f->check, skein_channel_try_recv(&f->one, &value) == 0 && value == i);
    skein_task_cancel(&senders[1].task);
    f->got_count = 0;
    CHECK(&f->check, skein_spawn(&f->scope, "r", receives_all, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    skein_yield();
    skein_channel_close(&f->one);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->got_count == 3);
    CHECK(&f->check, f->got[0] == 2 && f->got[1] == 3 && f->got[2] == 5);
    CHECK(&f->check, f->rc == -SKEIN_ECLOSED);
    for (int i = 0; i < 6; i++)
        CHECK(&f->check, senders[i].rc == (i == 4 ? -SKEIN_ECANCELED : 0));
    skein_channel_deinit(&f->one);
}

static int
senders_main(void *arg)
{
    struct fixture *f = arg;
    for (size_t capacity = 0; capacity < 4; capacity++)
        senders_wait(f, capacity);
    struct sender senders[3];
    CHECK(&f->check, skein_channel_init(&f->one, sizeof(int), 1) == 0);
    start_senders(f, senders, 3);
    skein_channel_close(&f->one);
    skein_scope_join(&f->scope);
    CHECK(&f->check, senders[0].rc == 0);
    CHECK(&f->check, senders[1].rc == -SKEIN_ECLOSED && senders[2].rc == -SKEIN_ECLOSED);
    return 42;
}

static void
senders_are_served_in_order(void **state)
{
    run(senders_main);
}

static int
handed_main(void *arg)
{
    struct fixture *f = arg;
    int value = 7;
    CHECK(&f->check, skein_channel_init(&f->one, sizeof(int), 0) == 0);
    CHECK(&f->check, skein_channel_try_send(&f->one, &value) == -SKEIN_EAGAIN);
    CHECK(&f->check, skein_spawn(&f->scope, "r", receives_all, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    CHECK(&f->check, skein_channel_try_send(&f->one, &value) == 0);
    skein_scope_cancel(&f->scope); /* before it has run: it has the item all the same */
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->got_count == 1 && f->got[0] == 7);
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);
    return 42;
}

static void
what_was_handed_over_stays(void **state)
{
    run(handed_main);
}

static void
selects(void *arg)
{
    struct fixture *f = arg;
    int value = 0;
    struct skein_select_case cases[] = {
        {.channel = NULL},
        {.channel = &f->one, .item = &value},
        {.channel = &f->two, .send = true, .item = &f->got[9]},
    };
    f->rc = skein_select(cases, 3, 5000);
    if (f->rc >= 0) {
        f->got[0] = value;
        CHECK(&f->check, cases[f->rc].result == f->got[8]);
    }
    CHECK(&f->check, list_is_empty(&f->one.receivers));
    CHECK(&f->check, list_is_empty(&f->two.senders));
}

static void
start_select(struct fixture *f)
{
    skein_scope_init(&f->scope);
    f->got[0] = 0;
    CHECK(&f->check, skein_spawn(&f->scope, "s", selects, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
}

static int
select_main(void *arg)
{
    struct fixture *f = arg;
    int value = 3;
    f->got[9] = 99;
    CHECK(&f->check, skein_channel_init(&f->one, sizeof(int), 1) == 0);
    CHECK(&f->check, skein_channel_init(&f->two, sizeof(int), 0) == 0);
    start_select(f);
    CHECK(&f->check, skein_channel_try_send(&f->one, &value) == 0);
    CHECK(&f->check, skein_channel_try_recv(&f->two, &value) == -SKEIN_EAGAIN); /* one of them */
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == 1 && f->got[0] == 3);

    start_select(f);
    CHECK(&f->check, skein_channel_recv(&f->two, &value, SKEIN_NEVER) == 0);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == 2 && value == 99);

    CHECK(&f->check, skein_channel_try_send(&f->one, &value) == 0);
    start_select(f); /* what is possible already happens at once, the first of it */
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == 1 && f->got[0] == 99);

    start_select(f);
    skein_scope_cancel(&f->scope);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);

    start_select(f);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == -SKEIN_ETIMEDOUT && skein_now_ns() == 5000);

    start_select(f);
    f->got[8] = -SKEIN_ECLOSED;
    skein_channel_close(&f->two);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == 2);
    CHECK(&f->check, skein_select(NULL, 0, 6000) == -SKEIN_ETIMEDOUT);
    return 42;
}

static void
a_select_does_exactly_one(void **state)
{
    run(select_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_answers),
        cmocka_unit_test(senders_are_served_in_order),
        cmocka_unit_test(what_was_handed_over_stays),
        cmocka_unit_test(a_select_does_exactly_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
