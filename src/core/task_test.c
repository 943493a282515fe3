/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a task gives its result to all who join it and is cancelled alone; a detached fiber is its
 * new scope's; of nested deadlines the nearest wins, and a shield and files hold them off; a
 * fiber's data is destroyed in its fiber, the last set first; live fibers can be listed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"

struct fixture {
    struct check check;
    struct skein_scope scope;
    struct skein_task task;
    char trace[32];
    int rc;
    int visited_count;
};

static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    struct fixture f = {0};
    clock_world_open(&world);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, main_fn, &f), 42);
    clock_world_close(&world);
    assert_int_equal(f.check.failed_count, 0);
}

static int
sleeps_then_7(void *arg)
{
    int rc = skein_sleep(2000);
    return rc < 0 ? rc : 7;
}

static void
joins_too(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_task_join(&f->task, SKEIN_NEVER, &f->rc) == 0);
}

static int
task_main(void *arg)
{
    struct fixture *f = arg;
    int result = 0;
    skein_scope_init(&f->scope);
    CHECK(&f->check, skein_task_spawn(&f->task, &f->scope, "seven", sleeps_then_7, NULL,
                                      SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check, skein_spawn(&f->scope, "too", joins_too, f, SKEIN_STACK_TINY) == 0);
    CHECK(&f->check, skein_task_join(&f->task, 1500, &result) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, result == 0);
    CHECK(&f->check, skein_task_join(&f->task, SKEIN_NEVER, &result) == 0);
    CHECK(&f->check, result == 7);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == 7);
    CHECK(&f->check, skein_task_join(&f->task, 0, NULL) == 0); /* it has ended: no wait */
    skein_task_cancel(&f->task);                               /* and nothing to cancel */

    /* Cancelled before it ran, and alone. */
    struct skein_task other;
    CHECK(&f->check,
          skein_task_spawn(&f->task, &f->scope, "a", sleeps_then_7, NULL, SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check,
          skein_task_spawn(&other, &f->scope, "b", sleeps_then_7, NULL, SKEIN_STACK_SMALL) == 0);
    skein_task_cancel(&f->task);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->task.result == -SKEIN_ECANCELED);
    CHECK(&f->check, other.result == 7);
    return 42;
}

static void
a_task_gives_its_result(void **state)
{
    run(task_main);
}

static void
detaches(void *arg)
{
    struct fixture *f = arg;
    skein_detach(skein_shard_scope());
    strcat(f->trace, "d");
    f->rc = skein_sleep(SKEIN_NEVER);
    strcat(f->trace, "e");
}

static int
detach_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope *root = skein_shard_scope();
    skein_scope_init(&f->scope);
    CHECK(&f->check, skein_spawn(&f->scope, "leaves", detaches, f, SKEIN_STACK_SMALL) == 0);
    skein_scope_cancel(&f->scope); /* from which it would not have returned otherwise */
    skein_scope_join(&f->scope);
    CHECK(&f->check, strcmp(f->trace, "de") == 0); /* it stayed cancelled */
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);

    skein_scope_init(&f->scope);
    CHECK(&f->check, skein_spawn(&f->scope, "leaves", detaches, f, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&f->scope);
    CHECK(&f->check, strcmp(f->trace, "ded") == 0);
    CHECK(&f->check, root->live_count == 1);
    return 42; /* the shard ends all the same */
}

static void
a_detached_fiber_belongs_to_its_new_scope(void **state)
{
    run(detach_main);
}

static void
under_the_scopes_deadline(void *arg)
{
    struct fixture *f = arg;
    struct skein_deadline later;
    skein_deadline_push(&later, 9000);
    CHECK(&f->check, skein_deadline_ns() == 4000);
    f->rc = skein_sleep(SKEIN_NEVER);
    skein_deadline_pop(&later);
}

static int
deadline_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_deadline outer;
    struct skein_deadline inner;
    struct skein_deadline late;
    struct skein_waitq q;
    skein_waitq_init(&q);
    CHECK(&f->check, skein_deadline_ns() == SKEIN_NEVER);
    skein_deadline_push(&outer, 3000);
    skein_deadline_push(&inner, 2000);
    skein_deadline_push(&late, 5000); /* no extension */
    CHECK(&f->check, skein_deadline_ns() == 2000);
    CHECK(&f->check, skein_sleep(1500) == 0);
    CHECK(&f->check, skein_sleep(2500) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_now_ns() == 2000);
    skein_deadline_pop(&late);
    skein_deadline_pop(&inner);
    CHECK(&f->check, skein_wait(&q, SKEIN_NEVER) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_now_ns() == 3000);
    CHECK(&f->check, skein_wait(&q, SKEIN_NEVER) == -SKEIN_ETIMEDOUT); /* passed: at once */
    skein_shield(true);
    CHECK(&f->check, skein_sleep(3500) == 0);
    skein_shield(false);

    /* A join waits on. */
    skein_scope_init(&f->scope);
    skein_scope_set_deadline(&f->scope, 4000);
    CHECK(&f->check,
          skein_spawn(&f->scope, "s", under_the_scopes_deadline, f, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->rc == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_now_ns() == 4000);
    skein_deadline_pop(&outer);
    CHECK(&f->check, skein_sleep(5000) == 0);
    return 42;
}

static void
the_nearest_deadline_wins(void **state)
{
    run(deadline_main);
}

static void
destroy_parks(void *value)
{
    struct fixture *f = value;
    CHECK(&f->check, skein_sleep(2000) == 0); /* shielded, and no deadline */
    strcat(f->trace, "1");
}

static void
destroy(void *value)
{
    strcat(((struct fixture *)value)->trace, "2");
}

static const struct skein_local first_key = {destroy_parks};
static const struct skein_local second_key = {destroy};
static const struct skein_local plain_key = {NULL};

static void
has_data(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_local_get(&first_key) == NULL);
    skein_local_set(&first_key, &f->rc);
    skein_local_set(&first_key, f);
    skein_local_set(&second_key, f);
    skein_local_set(&plain_key, f);
    skein_yield();
    CHECK(&f->check, skein_local_get(&first_key) == f);
    skein_local_set(&plain_key, NULL);
    CHECK(&f->check, skein_local_get(&plain_key) == NULL);
    CHECK(&f->check, skein_local_get(&second_key) == f);
}

static void
has_none(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_local_get(&first_key) == NULL);
    skein_local_set(&first_key, NULL);
}

static int
local_main(void *arg)
{
    struct fixture *f = arg;
    skein_scope_init(&f->scope);
    CHECK(&f->check, skein_spawn(&f->scope, "data", has_data, f, SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check, skein_spawn(&f->scope, "none", has_none, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    skein_scope_cancel(&f->scope);
    skein_scope_join(&f->scope);
    CHECK(&f->check, strcmp(f->trace, "21") == 0);
    return 42;
}

static void
a_fibers_data_ends_with_it(void **state)
{
    run(local_main);
}

static void
visit(void *arg, const struct skein_fiber_info *info)
{
    struct fixture *f = arg;
    static const char *const names[] = {"main", "renamed", "fresh"};
    static const char *const states[] = {"running", "parked", "ready"};
    int i = f->visited_count++;
    if (!CHECK(&f->check, i < 3))
        return;
    CHECK(&f->check, strcmp(info->name, names[i]) == 0);
    CHECK(&f->check, strcmp(info->state, states[i]) == 0);
    CHECK(&f->check, info->deadline_ns == (i == 1 ? 8000 : SKEIN_NEVER));
    CHECK(&f->check, info->cancelled == (i > 0));
    CHECK(&f->check, info->stack_bytes > 0);
    CHECK(&f->check, info->stack_used_bytes < info->stack_bytes);
}

static void
renames_itself(void *arg)
{
    skein_fiber_set_name("renamed");
    skein_shield(true);
    (void)!skein_sleep(8000);
    skein_shield(false);
}

static int
visit_main(void *arg)
{
    struct fixture *f = arg;
    skein_scope_init(&f->scope);
    CHECK(&f->check, skein_spawn(&f->scope, "old", renames_itself, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    CHECK(&f->check, skein_spawn(&f->scope, "fresh", has_none, f, SKEIN_STACK_LARGE) == 0);
    skein_scope_cancel(&f->scope);
    skein_fibers_visit(visit, f);
    CHECK(&f->check, f->visited_count == 3);
    skein_scope_join(&f->scope);
    return 42;
}

static void
live_fibers_are_listed(void **state)
{
    run(visit_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_gives_its_result),
        cmocka_unit_test(a_detached_fiber_belongs_to_its_new_scope),
        cmocka_unit_test(the_nearest_deadline_wins),
        cmocka_unit_test(a_fibers_data_ends_with_it),
        cmocka_unit_test(live_fibers_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
