/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a port that is given back in time is got; one that is not is an error; a cancelled wait
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "core/check.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "core/uring.h"
#include "net/listen.h"
#include "skein/error.h"

struct scene {
    struct check *check;
    struct skein_addr addr;
    int holder;
};

static const struct skein_addr any_loopback = {
    .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}};

static void
give_back(void *arg)
{
    struct scene *scene = arg;
    CHECK(scene->check, skein_sleep(skein_deadline_in(50000000)) == 0);
    CHECK(scene->check, skein_close(scene->holder) == 0);
}

static void
hold(struct scene *scene)
{
    scene->holder = skein_socket_listen(&any_loopback, 4);
    CHECK(scene->check, scene->holder >= 0);
    CHECK(scene->check, skein_socket_local_addr(scene->holder, &scene->addr) == 0);
}

static int
waits_for_the_port(void *arg)
{
    struct scene scene = {.check = arg};
    struct skein_scope scope;
    hold(&scene);
    skein_scope_init(&scope);
    CHECK(arg, skein_spawn(&scope, "holder", give_back, &scene, SKEIN_STACK_SMALL) == 0);
    int handle = net_listen(&scene.addr, 4);
    CHECK(arg, handle >= 0);
    skein_scope_join(&scope);
    CHECK(arg, skein_close(handle) == 0);
    return 0;
}

static int
gives_up_on_a_port_in_use(void *arg)
{
    struct scene scene = {.check = arg};
    hold(&scene);
    CHECK(arg, net_listen(&scene.addr, 4) == -EADDRINUSE);
    CHECK(arg, skein_close(scene.holder) == 0);
    return 0;
}

static void
listen_cancelled(void *arg)
{
    struct scene *scene = arg;
    CHECK(scene->check, net_listen(&scene->addr, 4) == -SKEIN_ECANCELED);
}

static int
ends_when_cancelled(void *arg)
{
    struct scene scene = {.check = arg};
    struct skein_scope scope;
    hold(&scene);
    skein_scope_init(&scope);
    CHECK(arg, skein_spawn(&scope, "listener", listen_cancelled, &scene, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(arg, skein_close(scene.holder) == 0);
    return 0;
}

static void
run(int (*main_fn)(void *arg))
{
    struct backend *backend;
    struct skein_shard *shard;
    struct check check = {0};
    assert_int_equal(uring_open(&backend, 1), 0);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    assert_int_equal(skein_shard_run(shard, main_fn, &check), 0);
    assert_int_equal(check.failed_count, 0);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    uring_close(backend);
}

static void
port_given_back_in_time_is_got(void **state)
{
    run(waits_for_the_port);
}

static void
port_in_use_is_an_error(void **state)
{
    run(gives_up_on_a_port_in_use);
}

static void
cancelled_wait_ends(void **state)
{
    run(ends_when_cancelled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_given_back_in_time_is_got),
        cmocka_unit_test(port_in_use_is_an_error),
        cmocka_unit_test(cancelled_wait_ends),
    };
    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
