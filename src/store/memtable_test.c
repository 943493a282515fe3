/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what the suite of tables cannot see of memtable: its memory rules and the bounded giving
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "skein/error.h"
#include "store/memtable.h"

static struct store_table *
open_table(void)
{
    struct store_table *table = NULL;
    assert_int_equal(store_memtable_open(&table), 0);
    return table;
}

static void
put(struct store_table *table, uint32_t number, struct bytes value)
{
    uint8_t key[4];
    for (size_t i = 0; i < 4; i++)
        key[i] = (uint8_t)(number >> (24 - 8 * i));
    assert_int_equal(table->ops->put(table, key, sizeof(key), value), 0);
}

static uint64_t
memory(struct store_table *table)
{
    struct store_stats stats;
    table->ops->stats(table, &stats);
    return stats.memory_bytes;
}

static void
test_small_part_of_large_buffer_is_copied(void **state)
{
    struct store_table *table = open_table();
    struct bytes large = bytes_of(bytes_new(100000), 100000);
    memset(large.buf->data, 'x', 100000);
    struct bytes part = bytes_slice(large, 100, 2000);
    put(table, 1, part);
    assert_int_equal(large.buf->refs, 2);
    struct bytes most = bytes_slice(large, 0, 90000);
    put(table, 2, most);
    assert_int_equal(large.buf->refs, 4);
    put(table, 2, part);
    assert_int_equal(large.buf->refs, 3);
    bytes_unref(&part);
    bytes_unref(&most);
    bytes_unref(&large);
    table->ops->close(table);
}

static void
test_overwrite_in_place_spares_readers(void **state)
{
    struct store_table *table = open_table();
    struct bytes held;
    put(table, 1, bytes_borrow("aaaa", 4));
    uint64_t before = memory(table);
    put(table, 1, bytes_borrow("bbbb", 4));
    assert_int_equal(memory(table), before);
    assert_int_equal(table->ops->get(table, "\0\0\0\1", 4, &held), 0);
    put(table, 1, bytes_borrow("cccc", 4));
    assert_memory_equal(held.data, "bbbb", 4);
    bytes_unref(&held);
    table->ops->close(table);
}

static void
test_clear_gives_back_in_steps(void **state)
{
    struct store_table *table = open_table();
    struct bytes value;
    uint64_t empty = memory(table);
    for (uint32_t i = 0; i < 10000; i++)
        put(table, i, bytes_borrow("v", 1));
    uint64_t full = memory(table);
    table->ops->clear(table);
    uint64_t after_clear = memory(table);
    assert_true(after_clear > full * 9 / 10);
    uint64_t last = after_clear;
    size_t steps = 0;
    for (; memory(table) > empty; steps++) {
        assert_int_equal(table->ops->get(table, "x", 1, &value), -SKEIN_ENOTFOUND);
        assert_true(last - memory(table) <= 64 * 256 + sizeof(struct node));
        last = memory(table);
        assert_true(steps < 10000);
    }
    assert_true(steps > 100);
    table->ops->close(table);
}

static void
test_snapshot_costs_what_changed(void **state)
{
    struct store_table *table = open_table();
    for (uint32_t i = 0; i < 10000; i++)
        put(table, i, bytes_borrow("v", 1));
    uint64_t full = memory(table);
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    assert_int_equal(memory(table), full);
    put(table, 5000, bytes_borrow("w", 1));
    assert_true(memory(table) - full < 8 * sizeof(struct node));
    assert_int_equal(table->ops->remove(table, "none", 4), -SKEIN_ENOTFOUND);
    assert_true(memory(table) - full < 8 * sizeof(struct node));
    table->ops->snapshot_release(snapshot);
    for (size_t i = 0; i < 10; i++)
        put(table, 5000, bytes_borrow("w", 1));
    assert_int_equal(memory(table), full);
    table->ops->close(table);
}

static void
test_cursor_outlives_its_snapshot(void **state)
{
    struct store_table *table = open_table();
    struct bytes key, value;
    for (uint32_t i = 0; i < 1000; i++)
        put(table, i, bytes_borrow("v", 1));
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    struct store_cursor *cursor = table->ops->cursor_open(table, snapshot, NULL, 0);
    table->ops->snapshot_release(snapshot);
    table->ops->clear(table);
    size_t count = 0;
    while (table->ops->cursor_next(cursor, &key, &value) == 0) {
        put(table, (uint32_t)count++, bytes_borrow("w", 1));
        assert_memory_equal(value.data, "v", 1);
    }
    assert_int_equal(count, 1000);
    table->ops->cursor_close(cursor);
    table->ops->close(table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_part_of_large_buffer_is_copied),
        cmocka_unit_test(test_overwrite_in_place_spares_readers),
        cmocka_unit_test(test_clear_gives_back_in_steps),
        cmocka_unit_test(test_snapshot_costs_what_changed),
        cmocka_unit_test(test_cursor_outlives_its_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
