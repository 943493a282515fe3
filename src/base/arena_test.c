/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an arena hands out disjoint aligned blocks, reuses them, keeps its limit, and the same
 * calls give the same offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/prng.h"

static void *
map_region(void **out_whole)
{
    char *p = mmap(NULL, 2 * ARENA_REGION_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(p != MAP_FAILED);
    *out_whole = p;
    return (void *)(((uintptr_t)p + ARENA_REGION_BYTES - 1) & ~(uintptr_t)(ARENA_REGION_BYTES - 1));
}

static uint64_t
churn(void *region)
{
    struct mem_arena *arena = arena_init(region, 64 << 20);
    mem_arena_set_current(arena);
    struct prng prng;
    prng_init(&prng, 1);
    unsigned char *blocks[200] = {0};
    size_t bytes[200] = {0};
    uint64_t sum = 0;
    for (int i = 0; i < 20000; i++) {
        size_t at = prng_below(&prng, 200);
        if (blocks[at] && prng_chance(&prng, 1, 3)) {
            size_t grown = prng_below(&prng, 9000);
            blocks[at] = mem_realloc(blocks[at], grown);
            for (size_t k = 0; k < bytes[at] && k < grown; k++)
                assert_int_equal(blocks[at][k], (unsigned char)at);
            bytes[at] = grown;
            memset(blocks[at], (int)at, grown);
            continue;
        }
        for (size_t k = 0; k < bytes[at]; k++)
            assert_int_equal(blocks[at][k], (unsigned char)at);
        mem_free(blocks[at]);
        bytes[at] = prng_below(&prng, 5000);
        size_t align = (size_t)16 << prng_below(&prng, 9);
        blocks[at] = prng_chance(&prng, 1, 2) ? mem_alloc_aligned(align, bytes[at])
                                              : (align = 16, mem_alloc(bytes[at]));
        assert_int_equal((uintptr_t)blocks[at] % align, 0);
        memset(blocks[at], (int)at, bytes[at]);
        sum = sum * 31 + (uint64_t)(blocks[at] - (unsigned char *)region);
    }
    mem_arena_set_current(NULL);
    for (int i = 0; i < 200; i++)
        mem_free(blocks[i]);
    assert_int_equal(arena_used_bytes(arena), 0);
    arena_deinit(arena);
    return sum;
}

static void
same_calls_give_same_offsets(void **state)
{
    void *whole;
    void *region = map_region(&whole);
    uint64_t first = churn(region);
    assert_true(first == churn(region));
    munmap(whole, 2 * ARENA_REGION_BYTES);
}

static void
limit_is_kept(void **state)
{
    void *whole;
    struct mem_arena *arena = arena_init(map_region(&whole), 1 << 20);
    mem_arena_set_current(arena);
    assert_null(mem_try_alloc(2 << 20));
    void *p = mem_try_alloc(700 << 10);
    assert_non_null(p);
    assert_null(mem_try_alloc(700 << 10));
    mem_free(p);
    p = mem_try_alloc(700 << 10);
    assert_non_null(p);
    mem_arena_set_current(NULL);
    void *outside = mem_alloc(10);
    assert_null(arena_owner(outside));
    assert_ptr_equal(arena_owner(p), arena);
    mem_free(outside);
    arena_deinit(arena);
    munmap(whole, 2 * ARENA_REGION_BYTES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_calls_give_same_offsets),
        cmocka_unit_test(limit_is_kept),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
