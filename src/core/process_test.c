/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: signals come as events; children start, talk, end and leave no zombie, whatever is wrong
 * with them; a backtrace names who called. On each real backend.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/check.h"
#include "core/internal.h"
#include "core/clock_world.h"
#include "skein/backend.h"
#include "skein/process.h"

#define SECOND UINT64_C(1000000000)
#define SH "/bin/sh"

struct fixture {
    struct check check;
    struct skein_signals *signals;
    void (*body)(struct fixture *f);
};

static uint64_t
soon(void)
{
    return skein_deadline_in(20 * SECOND);
}

static int
fixture_main(void *arg)
{
    struct fixture *f = arg;
    f->body(f);
    return 0;
}

static size_t
count_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void
run_on(enum skein_backend_kind kind, void (*body)(struct fixture *f), const int *signals,
       size_t signal_count)
{
    struct fixture f = {.body = body};
    struct skein_shard *shard;
    struct skein_backend_options wanted = {.kind = kind};
    struct skein_backend_choice choice;
    struct skein_shard_options options = {0};
    if (signal_count > 0)
        assert_int_equal(skein_signals_open(&f.signals, signals, signal_count), 0);
    if (skein_backend_open(&options.backend, &wanted, &choice) < 0) {
        print_message("not here: %s\n", choice.why);
        skein_signals_close(f.signals);
        return;
    }
    size_t before = count_descriptors();
    options.stacks = skein_stack_pool_open();
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    assert_int_equal(skein_shard_run(shard, fixture_main, &f), 0);
    skein_shard_close(shard);
    skein_stack_pool_close(options.stacks);
    assert_int_equal(count_descriptors(), before);
    skein_backend_close(options.backend);
    skein_signals_close(f.signals);
    assert_int_equal(f.check.failed_count, 0);
    /* No child, living or dead. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void
run(void (*body)(struct fixture *f))
{
    run_on(SKEIN_BACKEND_IO_URING, body, NULL, 0);
    run_on(SKEIN_BACKEND_EPOLL, body, NULL, 0);
}

/* ---- signals ---- */

static void
receive_signals(struct fixture *f)
{
    struct skein_signal signal;
    CHECK(&f->check, skein_signals_next(f->signals, &signal, skein_deadline_in(SECOND / 100)) ==
                         -SKEIN_ETIMEDOUT);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    CHECK(&f->check, skein_signals_next(f->signals, &signal, soon()) == 0);
    CHECK(&f->check, signal.number == SIGUSR1);
    CHECK(&f->check, signal.sender == getpid());
    CHECK(&f->check, skein_signals_next(f->signals, &signal, soon()) == 0);
    CHECK(&f->check, signal.number == SIGUSR2);
    CHECK(&f->check, skein_shard_current()->stats.signals == 2);
}

static void
signals_are_events(void **state)
{
    static const int numbers[] = {SIGUSR1, SIGUSR2};
    static const int bad[] = {0, -1, SIGKILL, SIGSEGV, 1000};
    struct skein_signals *signals = NULL;
    run_on(SKEIN_BACKEND_IO_URING, receive_signals, numbers, 2);
    run_on(SKEIN_BACKEND_EPOLL, receive_signals, numbers, 2);
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++)
        assert_int_equal(skein_signals_open(&signals, &bad[i], 1), -SKEIN_EINVALID);
    assert_null(signals);
    skein_signals_close(NULL);
}

/* ---- children ---- */

static struct skein_child_options
shell(const char *const *argv)
{
    return (struct skein_child_options){.path = SH, .argv = argv};
}

/* All of a stream, as a string of at most 255 bytes. */
static void
read_all(struct fixture *f, struct skein_child *child, enum skein_child_stream stream,
         char out[256])
{
    size_t at = 0;
    ssize_t n;
    while ((n = skein_child_read(child, stream, out + at, 255 - at, soon())) > 0)
        at += (size_t)n;
    CHECK(&f->check, n == 0);
    out[at] = '\0';
}

static void
talk(struct fixture *f)
{
    static const char *const argv[] = {"sh", "-c", "read a; echo got $a $1; echo bad >&2; exit 7",
                                       "sh", "it", NULL};
    struct skein_child_options options = shell(argv);
    struct skein_child_status status;
    struct skein_child *child;
    char text[256];
    for (int i = 0; i < 3; i++)
        options.streams[i] = SKEIN_CHILD_PIPE;
    CHECK(&f->check, skein_child_open(&child, &options) == 0);
    CHECK(&f->check, skein_child_pid(child) > 0);
    CHECK(&f->check,
          skein_child_wait(child, &status, skein_deadline_in(SECOND / 100)) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_child_write(child, "hello\n", 6, soon()) == 0);
    skein_child_end_input(child);
    read_all(f, child, SKEIN_CHILD_STDOUT, text);
    CHECK(&f->check, strcmp(text, "got hello it\n") == 0);
    read_all(f, child, SKEIN_CHILD_STDERR, text);
    CHECK(&f->check, strcmp(text, "bad\n") == 0);
    CHECK(&f->check, skein_child_wait(child, &status, soon()) == 0);
    CHECK(&f->check, status.exited && status.code == 7);
    CHECK(&f->check, skein_child_wait(child, &status, 0) == 0 && status.code == 7);
    CHECK(&f->check, skein_child_kill(child, SIGKILL) == 0);
    CHECK(&f->check, skein_child_write(child, "x", 1, soon()) == -EPIPE);
    const struct shard_stats *stats = &skein_shard_current()->stats;
    CHECK(&f->check, stats->children_live == 1);
    skein_child_close(child);
    CHECK(&f->check, stats->children_live == 0 && stats->children_started == 1);
}

/* More than a pipe holds, both ways at once. */
struct pump {
    struct fixture *f;
    struct skein_child *child;
};

#define PUMP_BYTES ((size_t)1 << 20)

static void
pump_in(void *arg)
{
    struct pump *pump = arg;
    char *data = calloc(1, PUMP_BYTES);
    CHECK(&pump->f->check, data != NULL);
    CHECK(&pump->f->check, skein_child_write(pump->child, data, PUMP_BYTES, soon()) == 0);
    skein_child_end_input(pump->child);
    free(data);
}

static void
pump_through(struct fixture *f)
{
    static const char *const argv[] = {"cat", NULL};
    struct skein_child_options options = {.path = "/bin/cat", .argv = argv};
    struct pump pump = {.f = f};
    struct skein_scope scope;
    char piece[4096];
    size_t total = 0;
    ssize_t n;
    options.streams[SKEIN_CHILD_STDIN] = options.streams[SKEIN_CHILD_STDOUT] = SKEIN_CHILD_PIPE;
    CHECK(&f->check, skein_child_open(&pump.child, &options) == 0);
    skein_scope_init(&scope);
    CHECK(&f->check, skein_spawn(&scope, "pump", pump_in, &pump, SKEIN_STACK_SMALL) == 0);
    while ((n = skein_child_read(pump.child, SKEIN_CHILD_STDOUT, piece, sizeof(piece), soon())) > 0)
        total += (size_t)n;
    CHECK(&f->check, n == 0);
    CHECK(&f->check, total == PUMP_BYTES);
    skein_scope_join(&scope);
    skein_child_close(pump.child);
}

static void
fail_to_start(struct fixture *f)
{
    static const char *const argv[] = {"x", NULL};
    struct skein_child *child = NULL;
    struct skein_child_options options = {.path = "/no/such/program", .argv = argv};
    CHECK(&f->check, skein_child_open(&child, &options) == -ENOENT);
    options.path = "/dev/null";
    CHECK(&f->check, skein_child_open(&child, &options) == -EACCES);
    options.path = SH;
    options.directory = "/no/such/directory";
    CHECK(&f->check, skein_child_open(&child, &options) == -ENOENT);
    options.directory = NULL;
    options.streams[1] = SKEIN_CHILD_HANDLE;
    options.handles[1] = 9999;
    CHECK(&f->check, skein_child_open(&child, &options) == -EBADF);
    CHECK(&f->check, child == NULL);
    CHECK(&f->check, skein_shard_current()->stats.children_failed == 4);
}

static void
be_killed(struct fixture *f)
{
    static const char *const argv[] = {"sh", "-c", "pwd; sleep 100", NULL};
    struct skein_child_options options = shell(argv);
    struct skein_child_status status;
    struct skein_child *child;
    char text[256] = "";
    options.streams[SKEIN_CHILD_STDOUT] = SKEIN_CHILD_PIPE;
    options.directory = "/";
    options.group = true;
    options.parent_death_signal = SIGKILL;
    CHECK(&f->check, skein_child_open(&child, &options) == 0);
    CHECK(&f->check, getpgid(skein_child_pid(child)) == skein_child_pid(child));
    CHECK(&f->check, skein_child_read(child, SKEIN_CHILD_STDOUT, text, 255, soon()) == 2);
    CHECK(&f->check, strcmp(text, "/\n") == 0);
    CHECK(&f->check, skein_child_kill(child, 1000) == -SKEIN_EINVALID);
    CHECK(&f->check, skein_child_kill(child, SIGTERM) == 0);
    CHECK(&f->check, skein_child_wait(child, &status, soon()) == 0);
    CHECK(&f->check, !status.exited && status.code == SIGTERM);
    kill(-skein_child_pid(child), SIGKILL); /* the sleep */
    skein_child_close(child);
    /* One that runs is killed by the closing. */
    CHECK(&f->check, skein_child_open(&child, &options) == 0);
    pid_t group = skein_child_pid(child);
    skein_child_close(child);
    kill(-group, SIGKILL);
    skein_child_close(NULL);
}

/* Its signals are the system's again: blocked and ignored here, they end it there. */
static void
keep_no_signals(struct fixture *f)
{
    static const char *const argv[] = {"sh", "-c", "kill -USR1 $$; sleep 100", NULL};
    struct skein_child_options options = shell(argv);
    struct skein_child_status status;
    struct skein_child *child;
    signal(SIGUSR1, SIG_IGN);
    CHECK(&f->check, skein_child_open(&child, &options) == 0);
    CHECK(&f->check, skein_child_wait(child, &status, soon()) == 0);
    CHECK(&f->check, !status.exited && status.code == SIGUSR1);
    skein_child_close(child);
    signal(SIGUSR1, SIG_DFL);
}

static void
children_talk_and_end(void **state)
{
    run(talk);
    run(pump_through);
}

static void
children_that_cannot_start_say_why(void **state)
{
    run(fail_to_start);
}

static void
children_can_be_killed(void **state)
{
    run(be_killed);
    run(keep_no_signals);
}

static int
in_the_simulator(void *arg)
{
    static const char *const argv[] = {"sh", NULL};
    struct skein_child_options options = shell(argv);
    struct skein_child *child;
    return skein_child_open(&child, &options);
}

static void
virtual_worlds_have_no_children(void **state)
{
    struct clock_world world;
    clock_world_open(&world);
    assert_int_equal(
        clock_world_run(&world, (struct skein_shard_options){0}, in_the_simulator, NULL), -ENOSYS);
    clock_world_close(&world);
}

/* ---- backtraces ---- */

__attribute__((noinline)) static size_t
who_calls(void **frames)
{
    size_t count = skein_backtrace(frames, 16);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return count;
}

static void
trace(struct fixture *f)
{
    void *frames[16];
    char text[1024];
    size_t count = who_calls(frames);
    CHECK(&f->check, count >= 2);
    skein_backtrace_text(frames, count, text, sizeof(text));
    CHECK(&f->check, strstr(text, "who_calls") || strstr(text, "_test+0x"));
}

static void
a_backtrace_names_the_callers(void **state)
{
    void *frames[16];
    run(trace);
    assert_true(who_calls(frames) >= 2); /* on the thread's own stack */
    assert_int_equal(skein_backtrace(frames, 1), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_events),
        cmocka_unit_test(children_talk_and_end),
        cmocka_unit_test(children_that_cannot_start_say_why),
        cmocka_unit_test(children_can_be_killed),
        cmocka_unit_test(virtual_worlds_have_no_children),
        cmocka_unit_test(a_backtrace_names_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
