/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a fiber that overflows its stack ends the process, and its name is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/context.h"
#include "skein/fiber.h"
#include "core/uring.h"

static int
dig(volatile char *above, int depth)
{
    volatile char here[1024];
    here[0] = above[0];
    here[1023] = (char)depth;
    if (depth == 0)
        return here[0];
    return dig(here, depth - 1) + here[1023];
}

static void
digger(void *arg)
{
    volatile char top[1] = {0};
    *(volatile int *)arg = dig(top, 100000);
}

/* One frame larger than the stack and its guard together. */
static void
leaper(void *arg)
{
    volatile char frame[200000];
    for (size_t i = 0; i < sizeof(frame); i += 1000)
        frame[i] = (char)i;
    *(volatile int *)arg = (unsigned char)frame[1000];
}

static void (*fiber_fn)(void *arg);

static int
overflow_main(void *arg)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    if (skein_spawn(&scope, "the-digger", fiber_fn, arg, SKEIN_STACK_SMALL) < 0)
        return -1;
    skein_scope_join(&scope);
    return 0;
}

static void
child(int output_fd)
{
    struct skein_shard_options options = {.stacks = skein_stack_pool_open()};
    struct skein_shard *shard;
    int value = 0;
    dup2(output_fd, STDERR_FILENO);
    signal(SIGSEGV, SIG_DFL); /* cmocka has its own handler */
    if (uring_open(&options.backend, 1) == 0 && skein_shard_open(&shard, &options) == 0)
        skein_shard_run(shard, overflow_main, &value);
    _exit(0);
}

static void
check_named(void (*fn)(void *arg))
{
#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
    skip(); /* the sanitizers handle the signal themselves */
#endif
    int ends[2];
    fiber_fn = fn;
    char text[256] = "";
    int status = 0;
    size_t count = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(ends[1]);
    close(ends[1]);
    ssize_t n;
    while ((n = read(ends[0], text + count, sizeof(text) - 1 - count)) > 0)
        count += (size_t)n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_non_null(strstr(text, "stack overflow in fiber \"the-digger\""));
}

static void
the_fiber_is_named(void **state)
{
    check_named(digger);
}

static void
a_frame_does_not_leap_over_the_guard(void **state)
{
    check_named(leaper);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fiber_is_named),
        cmocka_unit_test(a_frame_does_not_leap_over_the_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
