/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: error names are total, readers never pass their end, lists and numbers keep their word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <limits.h>
#include <errno.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/wire.h"
#include "skein/error.h"

static void
error_names_are_total(void **state)
{
    int odd[] = {0, -1, 1, INT_MAX, INT_MIN, 4095, 4096, SKEIN_EREPEATED + 1, -SKEIN_EREPEATED};
    for (size_t i = 0; i < BASE_COUNT_OF(odd); i++) {
        assert_non_null(skein_error_name(odd[i]));
        assert_non_null(skein_error_text(odd[i]));
    }
    for (int code = SKEIN_ECANCELED; code <= SKEIN_EREPEATED; code++)
        assert_string_not_equal(skein_error_name(-code), "E?");
    assert_string_equal(skein_error_name(-ENOSPC), "ENOSPC");
    assert_string_equal(skein_error_name(SKEIN_EREPEATED + 1), "E?");
    assert_string_equal(skein_error_name(-SKEIN_EUNKNOWN), "EUNKNOWN");
}

static void
reader_stops_at_its_end(void **state)
{
    struct wire_reader r = wire_reader_of("\1\2\3", 3);
    assert_int_equal(wire_get_u16(&r), 0x0201);
    assert_false(r.failed);
    assert_int_equal(wire_get_u16(&r), 0);
    assert_true(r.failed);
    assert_int_equal(wire_get_u8(&r), 0);
    assert_false(wire_done(&r));
    struct wire_reader empty = wire_reader_of(NULL, 0);
    assert_true(wire_done(&empty));
    assert_null(wire_get_raw(&empty, SIZE_MAX));
}

static void
writer_and_reader_agree(void **state)
{
    struct wire_writer w = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        wire_put_u8(&w, (uint8_t)i);
        wire_put_u64(&w, i * 0x123456789abcdefull);
    }
    struct wire_reader r = wire_reader_of(w.data, w.count);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(wire_get_u8(&r), (uint8_t)i);
        assert_true(wire_get_u64(&r) == i * 0x123456789abcdefull);
    }
    assert_true(wire_done(&r));
    wire_writer_deinit(&w);
    wire_writer_deinit(&w);
}

static void
bytes_count_references(void **state)
{
    struct bytes a = bytes_copy("hello world", 11);
    struct bytes b = bytes_slice(a, 6, 5);
    assert_int_equal(a.buf->refs, 2);
    bytes_unref(&a);
    bytes_unref(&a);
    assert_memory_equal(b.data, "world", 5);
    assert_int_equal(b.buf->refs, 1);
    bytes_unref(&b);
    assert_null(b.data);
    struct bytes borrowed = bytes_borrow("x", 1);
    struct bytes again = bytes_ref(borrowed);
    bytes_unref(&borrowed);
    assert_int_equal(again.count, 1);
}

static void
list_keeps_order_and_removes_twice(void **state)
{
    struct skein_list head, links[3] = {{0}};
    list_init(&head);
    assert_null(list_pop_front(&head));
    for (int i = 0; i < 3; i++)
        list_push_back(&head, &links[i]);
    list_remove(&links[1]);
    list_remove(&links[1]);
    assert_ptr_equal(list_pop_front(&head), &links[0]);
    list_push_front(&head, &links[1]);
    assert_ptr_equal(list_pop_front(&head), &links[1]);
    assert_ptr_equal(list_pop_front(&head), &links[2]);
    assert_true(list_is_empty(&head));
}

static void
prng_repeats_and_stays_in_range(void **state)
{
    struct prng a, b;
    prng_init(&a, 42);
    prng_init(&b, 42);
    for (int i = 0; i < 1000; i++)
        assert_true(prng_next(&a) == prng_next(&b));
    for (int i = 0; i < 10000; i++) {
        uint64_t v = prng_range(&a, 5, 9);
        assert_in_range(v, 5, 9);
    }
    assert_int_equal(prng_range(&a, 3, 3), 3);
    assert_false(prng_chance(&a, 0, 10));
    assert_true(prng_chance(&a, 10, 10));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_names_are_total),
        cmocka_unit_test(reader_stops_at_its_end),
        cmocka_unit_test(writer_and_reader_agree),
        cmocka_unit_test(bytes_count_references),
        cmocka_unit_test(list_keeps_order_and_removes_twice),
        cmocka_unit_test(prng_repeats_and_stays_in_range),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
