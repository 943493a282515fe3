/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a disk is given what it can do and no more, groups get their part of it by shares, and
 * without a limit nothing waits. The disk here is done at once: all waiting is the limiter's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock_world.h"
#include "core/internal.h"
#include "skein/file.h"
#include "skein/group.h"
#include "skein/io.h"

#define SECOND UINT64_C(1000000000)
#define BLOCK 4096

struct fixture {
    struct clock_world world;
    struct skein_scope scope;
    uint64_t end_ns;
    uint64_t done[3], bytes; /* by reader */
    size_t block_bytes;
    bool write;
    void (*body)(struct fixture *f);
};

struct reader {
    struct fixture *f;
    int number;
};

static bool
done_now(struct backend *backend, struct backend_op *op)
{
    op->result = 0;
    for (int i = 0; i < op->iov_count; i++)
        op->result += (int64_t)op->iov[i].iov_len;
    return true;
}

static int
fixture_main(void *arg)
{
    struct fixture *f = arg;
    skein_scope_init(&f->scope);
    f->body(f);
    skein_scope_join(&f->scope);
    return 42;
}

static void
run(void (*body)(struct fixture *f))
{
    struct fixture f = {.body = body, .block_bytes = BLOCK};
    struct backend_ops ops = clock_world_ops;
    ops.try_now = done_now;
    clock_world_open(&f.world);
    f.world.base.ops = &ops;
    assert_int_equal(clock_world_run(&f.world, (struct skein_shard_options){0}, fixture_main, &f),
                     42);
    clock_world_close(&f.world);
}

static void
read_on(void *arg)
{
    static char data[1 << 20];
    struct reader *reader = arg;
    struct fixture *f = reader->f;
    while (skein_now_ns() < f->end_ns) {
        if (f->write)
            assert_int_equal(skein_file_pwrite(3, data, f->block_bytes, 0, 0), 0);
        else
            assert_int_equal(skein_file_pread(3, data, f->block_bytes, 0), f->block_bytes);
        f->done[reader->number]++;
    }
}

static void
spawn(struct fixture *f, struct skein_group *group, struct reader *reader, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(
            skein_spawn_in(group, &f->scope, "reader", read_on, reader, SKEIN_STACK_SMALL), 0);
}

static void
assert_near(uint64_t a, uint64_t b, double tolerance)
{
    double ratio = (double)a / (double)b;
    if (ratio < 1 - tolerance || ratio > 1 + tolerance)
        fail_msg("%llu instead of %llu", (unsigned long long)a, (unsigned long long)b);
}

static const struct skein_io_properties disk = {.read_iops = 1000,
                                                .write_iops = 500,
                                                .read_bytes_per_second = 1000000000,
                                                .write_bytes_per_second = 100000000};

static struct skein_group *
group_of(const char *name, uint32_t shares)
{
    struct skein_group *group = NULL;
    struct skein_group_options options = {name, shares, NULL};
    assert_int_equal(skein_group_open(&group, &options), 0);
    return group;
}

static void
share(struct fixture *f)
{
    struct skein_group *a = group_of("a", 100), *b = group_of("b", 300);
    struct reader readers[] = {{f, 0}, {f, 1}};
    assert_int_equal(skein_io_limit(&disk), 0);
    f->end_ns = skein_now_ns() + 20 * SECOND;
    spawn(f, a, &readers[0], 8);
    spawn(f, b, &readers[1], 2);
    skein_scope_join(&f->scope);
    /* A read costs a thousandth of a second and 4 us for its bytes. */
    assert_near(f->done[0] + f->done[1], (uint64_t)(20 * 1000 / 1.004096), 0.01);
    assert_near(f->done[1], 3 * f->done[0], 0.02);
    assert_true(b->io.waited > 0 && b->io.wait_ns > 0);
    assert_int_equal(b->io.ops, f->done[1]);
    assert_int_equal(b->io.bytes, f->done[1] * BLOCK);
    /* Alone, a has the whole disk; the pause of b gives b no more afterwards. */
    uint64_t before = f->done[0];
    f->end_ns = skein_now_ns() + 10 * SECOND;
    spawn(f, a, &readers[0], 2);
    skein_scope_join(&f->scope);
    assert_near(f->done[0] - before, (uint64_t)(10 * 1000 / 1.004096), 0.01);
    uint64_t a_before = f->done[0], b_before = f->done[1];
    f->end_ns = skein_now_ns() + 10 * SECOND;
    spawn(f, a, &readers[0], 4);
    spawn(f, b, &readers[1], 4);
    skein_scope_join(&f->scope);
    assert_near(f->done[1] - b_before, 3 * (f->done[0] - a_before), 0.02);
}

static void
write_much(struct fixture *f)
{
    struct reader reader = {f, 0};
    f->write = true;
    f->block_bytes = 1 << 20;
    assert_int_equal(skein_io_limit(&disk), 0);
    f->end_ns = skein_now_ns() + 10 * SECOND;
    spawn(f, skein_group_self(), &reader, 3);
    skein_scope_join(&f->scope);
    /* 10.49 ms for the bytes and 2 ms for being a write. */
    assert_near(f->done[0], (uint64_t)(10 / (0.01048576 + 0.002)), 0.02);
}

static void
burst(struct fixture *f)
{
    static char data[BLOCK];
    uint64_t begun_ns = skein_now_ns();
    assert_int_equal(skein_io_limit(&disk), 0);
    /* Two milliseconds of the disk are there after a pause, and a rest goes in advance. */
    for (int i = 0; i < 2; i++)
        assert_int_equal(skein_file_pread(3, data, BLOCK, 0), BLOCK);
    assert_int_equal(skein_now_ns(), begun_ns);
    assert_int_equal(skein_file_pread(3, data, BLOCK, 0), BLOCK);
    assert_in_range(skein_now_ns() - begun_ns, 1, SECOND / 1000);
}

static void
lift(void *arg)
{
    struct fixture *f = arg;
    assert_int_equal(skein_sleep(skein_deadline_in(SECOND / 10)), 0);
    assert_int_equal(skein_io_limit(NULL), 0);
    f->end_ns = 0;
}

static void
lift_the_limit(struct fixture *f)
{
    struct reader reader = {f, 0};
    struct skein_io_properties slow = disk, bad = disk;
    slow.read_iops = 1;
    bad.write_iops = 0;
    assert_int_equal(skein_io_limit(NULL), 0);
    assert_int_equal(skein_io_limit(&bad), -SKEIN_EINVALID);
    assert_int_equal(skein_io_limit(&slow), 0);
    uint64_t begun_ns = skein_now_ns();
    f->end_ns = begun_ns + 3600 * SECOND;
    spawn(f, skein_group_self(), &reader, 5);
    assert_int_equal(skein_spawn(&f->scope, "lift", lift, f, SKEIN_STACK_SMALL), 0);
    skein_scope_join(&f->scope);
    assert_in_range(skein_now_ns() - begun_ns, SECOND / 10, SECOND / 5);
    assert_in_range(f->done[0], 5, 12);
}

static void
groups_share_the_disk(void **state)
{
    run(share);
}

static void
bytes_cost_what_they_take(void **state)
{
    run(write_much);
}

static void
a_little_is_let_through(void **state)
{
    run(burst);
}

static void
without_a_limit_nothing_waits(void **state)
{
    run(lift_the_limit);
}

static void
properties_are_read_strictly(void **state)
{
    static const char good[] = "# x\n\nread_iops = 1 # y\r\nwrite_iops=2\n\tread_bytes_per_second\t"
                               "=\t3\nwrite_bytes_per_second = 999999999999999999";
    static const char *const bad[] = {
        "",
        "read_iops = 1\n",
        "read_iops\n",
        "read_iops = 0\n",
        "read_iops = -1\n",
        "read_iops = 1e6\n",
        "read_iops = 1000000000000000000\n",
        "read_iops = \n",
        "= 1\n",
        "reads = 1\n",
        "read_iops = 1\nread_iops = 1\n",
    };
    struct skein_io_properties properties = {0}, again;
    char why[256] = "", text[SKEIN_IO_TEXT_BYTES_MAX], big[SKEIN_IO_TEXT_BYTES_MAX + 1];
    assert_int_equal(skein_io_properties_parse(good, strlen(good), &properties, why), 0);
    assert_int_equal(properties.read_iops, 1);
    assert_int_equal(properties.write_bytes_per_second, 999999999999999999);
    size_t bytes = skein_io_properties_text(&properties, text);
    assert_int_equal(skein_io_properties_parse(text, bytes, &again, why), 0);
    assert_memory_equal(&again, &properties, sizeof(again));
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        again = properties;
        assert_int_equal(skein_io_properties_parse(bad[i], strlen(bad[i]), &again, why),
                         -SKEIN_EFORMAT);
        assert_true(strstr(why, "line ") || strstr(why, "missing"));
        assert_memory_equal(&again, &properties, sizeof(again));
    }
    memset(big, '#', sizeof(big));
    assert_int_equal(skein_io_properties_parse(big, sizeof(big), &again, why), -SKEIN_EFORMAT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_share_the_disk),
        cmocka_unit_test(bytes_cost_what_they_take),
        cmocka_unit_test(a_little_is_let_through),
        cmocka_unit_test(without_a_limit_nothing_waits),
        cmocka_unit_test(properties_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
