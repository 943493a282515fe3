/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: views share a buffer and free it with the last reference, exactly once; splits, joins and
 * chains move bytes without copying and lose none; their limits hold and a failed call changes
 * nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "core/check.h"
#include "core/clock_world.h"
#include "skein/bytes.h"
#include "skein/memory.h"

static uint64_t
used_bytes(void)
{
    struct skein_memory_stats stats;
    skein_memory_stats_read(&stats);
    return stats.used_bytes;
}

static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    struct check check = {0};
    clock_world_open(&world);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, main_fn, &check), 0);
    assert_int_equal(check.failed_count, 0);
    clock_world_close(&world);
}

static void
count_drop(void *context)
{
    ++*(int *)context;
}

static bool
says(struct skein_bytes bytes, const char *text)
{
    return skein_bytes_equal(bytes, skein_bytes_static(text, strlen(text)));
}

static int
views_main(void *arg)
{
    struct check *check = arg;
    struct skein_bytes whole;
    struct skein_bytes rest;
    int dropped = 0;
    CHECK(check, skein_bytes_copy("GET /index HTTP", 15, &whole) == 0);
    struct skein_bytes path = skein_bytes_slice(whole, 4, 6);
    CHECK(check, says(path, "/index") && path.data == whole.data + 4);
    rest = skein_bytes_ref(whole);
    struct skein_bytes method = skein_bytes_split(&rest, 3);
    CHECK(check, says(method, "GET") && says(rest, " /index HTTP"));
    skein_bytes_unref(&whole);
    skein_bytes_unref(&whole);
    CHECK(check, whole.data == NULL && says(path, "/index"));
    /* Views that do not touch, then views that do. */
    CHECK(check, !skein_bytes_join(&method, &path) && says(path, "/index"));
    CHECK(check, skein_bytes_join(&method, &rest));
    CHECK(check, says(method, "GET /index HTTP") && rest.data == NULL);
    struct skein_bytes all = skein_bytes_split(&method, 100);
    CHECK(check, says(all, "GET /index HTTP") && method.buf == NULL);
    skein_bytes_unref(&all);
    CHECK(check, used_bytes() > 0);
    skein_bytes_unref(&path);
    CHECK(check, used_bytes() == 0);

    CHECK(check, skein_bytes_wrap("abc", 3, count_drop, &dropped, &whole) == 0);
    rest = skein_bytes_slice(whole, 1, 0);
    skein_bytes_unref(&whole);
    CHECK(check, dropped == 0);
    skein_bytes_unref(&rest);
    CHECK(check, dropped == 1 && used_bytes() == 0);
    struct skein_bytes fixed = skein_bytes_ref(skein_bytes_static("xy", 2));
    skein_bytes_unref(&fixed);
    return 0;
}

static void
views_share_one_buffer(void **state)
{
    run(views_main);
}

static int
memory_main(void *arg)
{
    struct check *check = arg;
    struct skein_memory_injection every = {.nth = 1};
    struct skein_bytes bytes = {0};
    uint8_t *data = NULL;
    int dropped = 0;
    CHECK(check, skein_bytes_alloc(SIZE_MAX, &bytes, &data) == -ENOMEM);
    skein_memory_inject(&every);
    CHECK(check, skein_bytes_alloc(10, &bytes, &data) == -ENOMEM);
    CHECK(check, skein_bytes_copy("a", 1, &bytes) == -ENOMEM);
    CHECK(check, skein_bytes_wrap("a", 1, count_drop, &dropped, &bytes) == -ENOMEM);
    CHECK(check, bytes.buf == NULL && data == NULL && dropped == 0);
    skein_memory_inject(NULL);
    CHECK(check, skein_bytes_alloc(0, &bytes, &data) == 0);
    CHECK(check, bytes.count == 0);
    skein_bytes_unref(&bytes);
    /* A buffer of the inside, seen from the outside. */
    bytes = bytes_to_public(bytes_copy("inner", 5));
    struct skein_bytes part = skein_bytes_slice(bytes, 1, 2);
    skein_bytes_unref(&bytes);
    CHECK(check, says(part, "nn"));
    struct bytes inner = bytes_of_public(part);
    bytes_unref(&inner);
    return 0;
}

static void
without_memory_nothing_changes(void **state)
{
    run(memory_main);
}

static bool
chain_says(const struct skein_chain *chain, const char *text)
{
    char copy[256];
    size_t count = skein_chain_peek(chain, 0, copy, sizeof(copy));
    return count == strlen(text) && chain->bytes == count && memcmp(copy, text, count) == 0;
}

static int
chain_main(void *arg)
{
    struct check *check = arg;
    struct skein_chain chain;
    struct skein_chain front;
    struct skein_bytes word;
    struct iovec iov[4];
    skein_chain_init(&chain, 3);
    skein_chain_init(&front, 2);
    CHECK(check, skein_bytes_copy("onetwo", 6, &word) == 0);
    struct skein_bytes one = skein_bytes_split(&word, 3);
    CHECK(check, skein_chain_push(&chain, one) == 0);
    CHECK(check, skein_chain_push(&chain, word) == 0);
    CHECK(check, chain.view_count == 1); /* they touch */
    CHECK(check, skein_chain_push(&chain, skein_bytes_static("", 0)) == 0);
    CHECK(check, skein_chain_push(&chain, skein_bytes_static("three", 5)) == 0);
    CHECK(check, skein_chain_push(&chain, skein_bytes_static("4", 1)) == 0);
    CHECK(check, skein_chain_push(&chain, skein_bytes_static("5", 1)) == -SKEIN_ETOOBIG);
    CHECK(check, chain_says(&chain, "onetwothree4"));
    CHECK(check, skein_chain_iov(&chain, iov, 4) == 3 && iov[1].iov_len == 5);
    CHECK(check, skein_chain_iov(&chain, iov, 2) == 2);
    char byte;
    CHECK(check, skein_chain_peek(&chain, 6, &byte, 1) == 1 && byte == 't');
    CHECK(check, skein_chain_peek(&chain, 12, &byte, 1) == 0);
    CHECK(check, skein_chain_split(&chain, 12, &front) == -SKEIN_ETOOBIG); /* three views */
    CHECK(check, chain_says(&chain, "onetwothree4") && front.bytes == 0);
    CHECK(check, skein_chain_split(&chain, 8, &front) == 0);
    CHECK(check, chain_says(&front, "onetwoth") && chain_says(&chain, "ree4"));
    skein_chain_drop(&chain, 3);
    CHECK(check, chain_says(&chain, "4") && chain.view_count == 1);
    skein_chain_drop(&chain, 100);
    CHECK(check, chain_says(&chain, "") && chain.view_count == 0);
    skein_chain_deinit(&front);
    skein_chain_deinit(&chain);
    skein_chain_deinit(&chain);
    CHECK(check, used_bytes() == 0);
    return 0;
}

static void
chains_keep_every_byte(void **state)
{
    run(chain_main);
}

/* A stream that is cut and put together at random is the same stream. */
static int
stream_main(void *arg)
{
    struct check *check = arg;
    struct skein_chain queues[2];
    struct prng random;
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    prng_init(&random, 11);
    skein_chain_init(&queues[0], 100000);
    skein_chain_init(&queues[1], 100000);
    for (int step = 0; step < 20000; step++) {
        uint64_t what = prng_range(&random, 0, 3);
        size_t count = (size_t)prng_range(&random, 0, 60);
        if (what == 0) {
            struct skein_bytes bytes;
            uint8_t *data;
            CHECK(check, skein_bytes_alloc(count, &bytes, &data) == 0);
            for (size_t i = 0; i < count; i++)
                data[i] = next_in++;
            struct skein_bytes front = skein_bytes_split(&bytes, count / 3);
            CHECK(check, skein_chain_push(&queues[0], front) == 0);
            CHECK(check, skein_chain_push(&queues[0], bytes) == 0);
        } else if (what == 1) {
            CHECK(check, skein_chain_split(&queues[0], count, &queues[1]) == 0);
        } else {
            uint8_t data[60];
            size_t had = skein_chain_peek(&queues[1], 0, data, count);
            for (size_t i = 0; i < had; i++)
                if (!CHECK(check, data[i] == next_out++))
                    return -1;
            skein_chain_drop(&queues[1], count);
        }
    }
    CHECK(check, (uint8_t)(next_out + queues[0].bytes + queues[1].bytes) == next_in);
    skein_chain_deinit(&queues[0]);
    skein_chain_deinit(&queues[1]);
    CHECK(check, used_bytes() == 0);
    return 0;
}

static void
a_stream_cut_anywhere_is_the_same(void **state)
{
    run(stream_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_share_one_buffer),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(chains_keep_every_byte),
        cmocka_unit_test(a_stream_cut_anywhere_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
