/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a stream gives back the same table; every damaged or shortened one is refused, within
 * bounds. */
#include "store/table_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "base/wire.h"
#include "skein/error.h"

static const struct table_stream_limits limits = {.key_bytes_max = 100, .value_bytes_max = 200000};

struct tape {
    struct wire_writer bytes;
    size_t at;
    size_t fail_at;             /* writes that would pass this fail; 0: never */
    struct store_table *meddle; /* changed with every write */
};

static int
tape_write(void *context, const void *data, size_t count)
{
    struct tape *tape = context;
    if (tape->fail_at && tape->bytes.count + count > tape->fail_at)
        return -SKEIN_ECANCELED;
    wire_put_raw(&tape->bytes, data, count);
    if (tape->meddle)
        tape->meddle->ops->clear(tape->meddle);
    return 0;
}

static int
tape_read(void *context, void *data, size_t count)
{
    struct tape *tape = context;
    if (tape->bytes.count - tape->at < count)
        return -SKEIN_EEOF;
    memcpy(data, tape->bytes.data + tape->at, count);
    tape->at += count;
    return 0;
}

static struct store_table *
open_table(void)
{
    struct store_table *table = NULL;
    assert_int_equal(store_memtable_open(&table), 0);
    return table;
}

static struct store_table *
open_filled(size_t count)
{
    struct store_table *table = open_table();
    struct prng prng;
    prng_init(&prng, 7);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[40];
        size_t key_bytes = prng_below(&prng, sizeof(key));
        size_t value_bytes = i % 50 ? prng_below(&prng, 100) : prng_below(&prng, 150000);
        struct bytes value = bytes_of(bytes_new(value_bytes), value_bytes);
        prng_fill(&prng, key, key_bytes);
        prng_fill(&prng, value.buf->data, value_bytes);
        assert_int_equal(table->ops->put(table, key, key_bytes, value), 0);
        bytes_unref(&value);
    }
    return table;
}

static int
load(struct tape *tape, struct store_table **out_table)
{
    *out_table = open_table();
    return table_stream_load(*out_table, &limits, tape_read, NULL, tape);
}

static void
save(struct store_table *table, struct tape *tape)
{
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    assert_int_equal(table_stream_save(table, snapshot, tape_write, tape), 0);
    table->ops->snapshot_release(snapshot);
}

static void
test_bad_streams(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        int rc;
    } rows[] = {
        {"", 0, -SKEIN_EEOF},
        {"\0\0\0", 3, -SKEIN_EEOF},
        {"\0\0\0\0\0\0\0\0\0\0\0", 11, -SKEIN_EEOF},
        {"\0\0\0\0\1\0\0\0\0\0\0\0", 12, -SKEIN_ECORRUPT},
        {"\xff\xff\xff\xff", 4, -SKEIN_ECORRUPT},
        {"\1\0\0\0\0", 5, -SKEIN_ECORRUPT},
        {"\x08\0\0\0\xff\xff\xff\xff\0\0\0\0", 12, -SKEIN_ECORRUPT},
        {"\x09\0\0\0\1\0\0\0\1\0\0\0k", 13, -SKEIN_ECORRUPT},
        {"\x12\0\0\0\1\0\0\0\0\0\0\0b\1\0\0\0\0\0\0\0a", 22, -SKEIN_ECORRUPT},
        {"\x12\0\0\0\1\0\0\0\0\0\0\0a\1\0\0\0\0\0\0\0a", 22, -SKEIN_ECORRUPT},
        {"\x09\0\0\0\1\0\0\0\0\0\0\0a\x09\0\0\0\1\0\0\0\0\0\0\0a", 26, -SKEIN_ECORRUPT},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct tape tape = {0};
        struct store_table *table;
        wire_put_raw(&tape.bytes, rows[i].bytes, rows[i].count);
        assert_int_equal(load(&tape, &table), rows[i].rc);
        table->ops->close(table);
        wire_writer_deinit(&tape.bytes);
    }
}

static void
test_key_over_limit(void **state)
{
    struct store_table *table = open_table(), *loaded;
    struct tape tape = {0};
    uint8_t key[101] = {0};
    assert_int_equal(table->ops->put(table, key, sizeof(key), bytes_borrow("", 0)), 0);
    save(table, &tape);
    assert_int_equal(load(&tape, &loaded), -SKEIN_ECORRUPT);
    loaded->ops->close(loaded);
    table->ops->close(table);
    wire_writer_deinit(&tape.bytes);
}

static void
test_round_trip(void **state)
{
    size_t counts[] = {0, 1, 3000};
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        struct store_table *table = open_filled(counts[i]), *loaded;
        struct tape first = {0}, second = {0};
        save(table, &first);
        assert_int_equal(load(&first, &loaded), 0);
        assert_int_equal(first.at, first.bytes.count);
        save(loaded, &second);
        assert_int_equal(first.bytes.count, second.bytes.count);
        assert_memory_equal(first.bytes.data, second.bytes.data, first.bytes.count);
        table->ops->close(table);
        loaded->ops->close(loaded);
        wire_writer_deinit(&first.bytes);
        wire_writer_deinit(&second.bytes);
    }
}

static void
test_every_shortened_stream(void **state)
{
    struct store_table *table = open_filled(40), *loaded;
    struct tape tape = {0};
    save(table, &tape);
    size_t whole = tape.bytes.count;
    for (size_t count = 0; count < whole; count += 1 + count / 50) {
        tape.at = 0;
        tape.bytes.count = count;
        assert_int_equal(load(&tape, &loaded), -SKEIN_EEOF);
        loaded->ops->close(loaded);
    }
    table->ops->close(table);
    wire_writer_deinit(&tape.bytes);
}

static void
test_saving_while_the_table_changes(void **state)
{
    struct store_table *table = open_filled(2000), *loaded;
    struct tape quiet = {0}, busy = {.meddle = table};
    save(table, &quiet);
    save(table, &busy);
    assert_int_equal(quiet.bytes.count, busy.bytes.count);
    assert_memory_equal(quiet.bytes.data, busy.bytes.data, quiet.bytes.count);
    assert_int_equal(load(&busy, &loaded), 0);
    loaded->ops->close(loaded);
    table->ops->close(table);
    wire_writer_deinit(&quiet.bytes);
    wire_writer_deinit(&busy.bytes);
}

static void
test_failing_sink(void **state)
{
    struct store_table *table = open_filled(1000);
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    for (size_t fail_at = 1; fail_at < 300000; fail_at += 50000) {
        struct tape tape = {.fail_at = fail_at};
        assert_int_equal(table_stream_save(table, snapshot, tape_write, &tape), -SKEIN_ECANCELED);
        wire_writer_deinit(&tape.bytes);
    }
    table->ops->snapshot_release(snapshot);
    table->ops->close(table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_key_over_limit),
        cmocka_unit_test(test_every_shortened_stream),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_saving_while_the_table_changes),
        cmocka_unit_test(test_failing_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
