/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the backends over a real kernel do what core/backend.h asks of every backend, and what only
 * they can be asked: a wake from another thread, more operations than a ring has room for, waiting
 * for a foreign descriptor. The argument names the backend.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "conformance/backend_suite.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/file_stream.h"
#include "skein/socket.h"
#include "core/backend.h"
#include "skein/backend.h"
#include "skein/error.h"

#define FLOOD_FIBER_COUNT 3000

static enum skein_backend_kind kind;

static struct backend *
open_backend(void)
{
    struct backend *backend;
    struct skein_backend_options options = {.kind = kind};
    struct skein_backend_choice choice;
    assert_int_equal(skein_backend_open(&backend, &options, &choice), 0);
    assert_int_equal(choice.kind, kind);
    return backend;
}

static int
run_in_kernel(struct backend_suite_world *world, int (*main_fn)(void *arg), void *arg)
{
    struct skein_shard *shard;
    struct skein_shard_options options = {.stacks = skein_stack_pool_open()};
    options.backend = open_backend();
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    int result = skein_shard_run(shard, main_fn, arg);
    skein_shard_close(shard);
    skein_backend_close(options.backend);
    skein_stack_pool_close(options.stacks);
    return result;
}

static int
remove_tree_main(void *arg)
{
    const char *directory = arg;
    struct skein_names names = {0};
    char path[512];
    int rc = skein_file_list(directory, &names);
    for (size_t i = 0; rc >= 0 && i < names.count; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names.names[i]);
        if (skein_file_unlink(path, 0) < 0)
            rc = skein_file_unlink(path, SKEIN_FILE_DIRECTORY);
    }
    skein_names_deinit(&names);
    return rc < 0 ? rc : skein_file_unlink(directory, SKEIN_FILE_DIRECTORY);
}

static void
conforms(void **state)
{
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    unsigned failed_count = 0;
    for (const struct backend_suite_case *c = backend_suite_cases; c->name; c++) {
        char directory[256];
        snprintf(directory, sizeof(directory), "%s/skein-backend-XXXXXX", base);
        assert_non_null(mkdtemp(directory));
        struct backend_suite_world world = {.run = run_in_kernel, .directory = directory};
        unsigned failed_here_count = backend_suite_case_run(&world, c);
        if (failed_here_count > 0)
            fprintf(stderr, "case %s: %u checks failed\n", c->name, failed_here_count);
        failed_count += failed_here_count;
        assert_int_equal(run_in_kernel(&world, remove_tree_main, directory), 0);
    }
    assert_int_equal(failed_count, 0);
}

static void *
wake_from_thread(void *arg)
{
    struct backend *backend = arg;
    backend->ops->wake(backend);
    return NULL;
}

static void
a_wake_from_another_thread_ends_the_wait(void **state)
{
    struct backend *backend = open_backend();
    pthread_t thread;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, backend), 0);
        backend->ops->wait(backend, SKEIN_NEVER);
        pthread_join(thread, NULL);
    }
    skein_backend_close(backend);
}

struct flood {
    struct check check;
    int handle;
    struct skein_scope scope;
    unsigned done_count;
};

static void
flood_fiber(void *arg)
{
    struct flood *flood = arg;
    char byte;
    CHECK(&flood->check, skein_file_pread(flood->handle, &byte, 1, 0) == 1);
    CHECK(&flood->check, skein_wait_readable(flood->handle, SKEIN_NEVER) == 0);
    flood->done_count++;
}

static void
blocked_fiber(void *arg)
{
    struct flood *flood = arg;
    CHECK(&flood->check, skein_wait_readable(flood->handle, SKEIN_NEVER) == -SKEIN_ECANCELED);
    flood->done_count++;
}

static int
flood_main(void *arg)
{
    struct flood *flood = arg;
    skein_scope_init(&flood->scope);
    flood->handle = skein_file_open("/dev/zero", SKEIN_FILE_RDONLY, 0);
    CHECK(&flood->check, flood->handle >= 0);
    for (int i = 0; i < FLOOD_FIBER_COUNT; i++)
        CHECK(&flood->check,
              skein_spawn(&flood->scope, "flood", flood_fiber, flood, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&flood->scope);
    CHECK(&flood->check, skein_close(flood->handle) == 0);
    CHECK(&flood->check, flood->done_count == FLOOD_FIBER_COUNT);

    /* As many polls that never come, all cancelled at once. */
    flood->handle = eventfd(0, EFD_CLOEXEC);
    for (int i = 0; i < FLOOD_FIBER_COUNT; i++)
        CHECK(&flood->check,
              skein_spawn(&flood->scope, "blocked", blocked_fiber, flood, SKEIN_STACK_SMALL) == 0);
    CHECK(&flood->check, skein_sleep(skein_deadline_in(1000000)) == 0);
    skein_scope_cancel(&flood->scope);
    skein_scope_join(&flood->scope);
    CHECK(&flood->check, flood->done_count == 2 * FLOOD_FIBER_COUNT);
    return skein_close(flood->handle);
}

static void
more_operations_than_the_ring_has_room_for(void **state)
{
    struct flood flood = {0};
    assert_int_equal(run_in_kernel(NULL, flood_main, &flood), 0);
    assert_int_equal(flood.check.failed_count, 0);
}

static int
readable_main(void *arg)
{
    struct check *check = arg;
    int fd = eventfd(0, EFD_CLOEXEC);
    CHECK(check, skein_wait_readable(-1, SKEIN_NEVER) == -EBADF);
    CHECK(check, skein_wait_readable(fd, skein_deadline_in(1000000)) == -SKEIN_ETIMEDOUT);
    uint64_t one = 1;
    CHECK(check, write(fd, &one, sizeof(one)) == sizeof(one));
    CHECK(check, skein_wait_readable(fd, SKEIN_NEVER) == 0);
    CHECK(check, skein_file_pread(fd, &one, sizeof(one), 0) == sizeof(one));
    return skein_close(fd);
}

static void
foreign_descriptors_are_waited_for(void **state)
{
    struct check check = {0};
    assert_int_equal(run_in_kernel(NULL, readable_main, &check), 0);
    assert_int_equal(check.failed_count, 0);
}

/* ---- no descriptors left ---- */

#define STARVED_COUNT 12

struct starved {
    struct check check;
    struct skein_addr addr;
    int listener, clients[STARVED_COUNT], servers[STARVED_COUNT];
    int accepted_count;
};

static rlim_t
set_descriptor_limit(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static int
starved_main(void *arg)
{
    struct starved *starved = arg;
    struct check *check = &starved->check;
    uint64_t deadline_ns = skein_deadline_in(20000000000ull);
    starved->listener = skein_socket_listen(&starved->addr, STARVED_COUNT);
    CHECK(check, skein_socket_local_addr(starved->listener, &starved->addr) == 0);
    for (int i = 0; i < STARVED_COUNT; i++)
        starved->clients[i] = skein_socket_connect(&starved->addr, deadline_ns);
    /* Room for three of them. */
    rlim_t before = set_descriptor_limit((rlim_t)starved->clients[STARVED_COUNT - 1] + 1 + 3);
    int *count = &starved->accepted_count, rc = 0;
    while (*count < STARVED_COUNT &&
           (rc = skein_socket_accept(starved->listener, NULL, deadline_ns)) >= 0)
        starved->servers[(*count)++] = rc;
    CHECK(check, *count == 3);
    CHECK(check, rc == -EMFILE);
    CHECK(check, skein_socket_accept(starved->listener, NULL, deadline_ns) == -EMFILE);
    CHECK(check, skein_socket_connect(&starved->addr, deadline_ns) == -EMFILE);
    /* One comes back, then all: the connections that waited are served. */
    CHECK(check, skein_close(starved->servers[--*count]) == 0);
    rc = skein_socket_accept(starved->listener, NULL, deadline_ns);
    CHECK(check, rc >= 0);
    starved->servers[(*count)++] = rc;
    set_descriptor_limit(before);
    while (*count < STARVED_COUNT - 1) {
        rc = skein_socket_accept(starved->listener, NULL, deadline_ns);
        if (!CHECK(check, rc >= 0))
            break;
        starved->servers[(*count)++] = rc;
    }
    for (int i = 0; i < STARVED_COUNT; i++)
        CHECK(check, skein_close(starved->clients[i]) == 0);
    for (int i = 0; i < *count; i++)
        CHECK(check, skein_close(starved->servers[i]) == 0);
    return skein_close(starved->listener);
}

static void
accepts_again_when_descriptors_come_back(void **state)
{
    struct starved starved = {.addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}};
    assert_int_equal(run_in_kernel(NULL, starved_main, &starved), 0);
    assert_int_equal(starved.check.failed_count, 0);
}

/* A full disk is told, and nothing is written in part and called whole. */
static int
full_main(void *arg)
{
    struct check *check = arg;
    char data[8192] = {0};
    int handle = skein_file_open("/dev/full", SKEIN_FILE_RDWR, 0);
    CHECK(check, handle >= 0);
    CHECK(check, skein_file_pwrite(handle, data, sizeof(data), 0, 0) == -ENOSPC);
    struct skein_file_writer *writer = skein_file_writer_open(handle, NULL);
    CHECK(check, skein_file_writer_write(writer, data, sizeof(data), NULL, SKEIN_NEVER) == 0);
    CHECK(check, skein_file_writer_close(writer) == -ENOSPC);
    return skein_close(handle);
}

static void
full_disks_are_told(void **state)
{
    struct check check = {0};
    assert_int_equal(run_in_kernel(NULL, full_main, &check), 0);
    assert_int_equal(check.failed_count, 0);
}

int
main(int argc, char **argv)
{
    if (argc != 2 || skein_backend_kind_parse(argv[1], &kind) < 0) {
        fprintf(stderr, "usage: backend_kernel_test io_uring|epoll|poll\n");
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conforms),
        cmocka_unit_test(a_wake_from_another_thread_ends_the_wait),
        cmocka_unit_test(more_operations_than_the_ring_has_room_for),
        cmocka_unit_test(foreign_descriptors_are_waited_for),
        cmocka_unit_test(accepts_again_when_descriptors_come_back),
        cmocka_unit_test(full_disks_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
