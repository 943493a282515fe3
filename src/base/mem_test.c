/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no size gives less than was asked for, zero included; and who runs out of memory is told,
 * or ends by way of its handler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void
an_allocation_fails_when_asked(void **state)
{
    mem_fail_at(2);
    void *first = mem_try_alloc(10);
    assert_non_null(first);
    assert_null(mem_try_realloc(first, 20)); /* and first is left alone */
    void *must = mem_alloc(10);              /* never fails, is not counted */
    first = mem_try_realloc(first, 20);
    assert_non_null(first);
    assert_int_equal(mem_fail_at(0), 3);
    void *last = mem_try_alloc(1);
    assert_non_null(last);
    mem_free(first);
    mem_free(must);
    mem_free(last);
}

static void
nothing_is_something(void **state)
{
    void *a = mem_alloc(0), *b = mem_alloc(0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    a = mem_realloc(a, 0);
    assert_non_null(a);
    a = mem_realloc(a, 100);
    memset(a, 1, 100);
    a = mem_realloc(a, 0);
    assert_non_null(a);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
}

static void
zeroed_is_zero(void **state)
{
    for (size_t bytes = 1; bytes <= 1u << 16; bytes *= 4) {
        uint8_t *dirty = mem_alloc(bytes);
        memset(dirty, 0xff, bytes);
        mem_free(dirty);
        uint8_t *clean = mem_zalloc(bytes);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(clean[i], 0);
        mem_free(clean);
    }
}

static void
aligned_as_asked(void **state)
{
    for (size_t align = 16; align <= 4096; align *= 2) {
        void *p = mem_alloc_aligned(align, 1);
        assert_int_equal((uintptr_t)p % align, 0);
        mem_free(p);
    }
}

static void
an_array_grows_when_it_is_full(void **state)
{
    uint64_t *array = NULL;
    size_t capacity = 0, moves = 0;
    for (size_t count = 0; count < 1000; count++) {
        size_t before = capacity;
        mem_grow(&array, &capacity, count, sizeof(array[0]));
        assert_true(capacity > count);
        moves += capacity != before;
        array[count] = count;
    }
    assert_true(moves <= 11);
    for (size_t i = 0; i < 1000; i++)
        assert_true(array[i] == i);
    mem_free(array);
}

static jmp_buf rescue;

static void
jump(void *owner)
{
    ++*(int *)owner;
    longjmp(rescue, 1);
}

static void
exhaustion_goes_to_its_handler(void **state)
{
    volatile int times = 0;
    mem_on_exhausted(jump, (void *)&times);
    if (setjmp(rescue) == 0)
        mem_exhausted("tried");
    mem_on_exhausted(NULL, NULL);
    assert_int_equal(times, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_fails_when_asked),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(zeroed_is_zero),
        cmocka_unit_test(aligned_as_asked),
        cmocka_unit_test(an_array_grows_when_it_is_full),
        cmocka_unit_test(exhaustion_goes_to_its_handler),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
