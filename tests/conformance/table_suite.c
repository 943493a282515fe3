/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an implementation of store/table.h differs from a sorted array in nothing one can see. */
#include "conformance/table_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "skein/error.h"

#define SNAPSHOT_MAX 4
#define KEY_BYTES_MAX 2000
#define LARGE_VALUE_BYTES ((size_t)1 << 20)

static const struct table_suite_factory *suite_factory(const struct table_suite_factory *set);

struct pair {
    struct bytes key;
    struct bytes value;
};

struct model {
    struct pair *pairs;
    size_t count;
    size_t capacity;
};

static int
order(struct bytes a, const uint8_t *key, size_t key_bytes)
{
    size_t common = a.count < key_bytes ? a.count : key_bytes;
    int rc = common ? memcmp(a.data, key, common) : 0;
    if (rc)
        return rc;
    return a.count < key_bytes ? -1 : a.count > key_bytes;
}

static size_t
model_find(const struct model *model, const uint8_t *key, size_t key_bytes, bool *out_found)
{
    size_t low = 0, high = model->count;
    *out_found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int rc = order(model->pairs[middle].key, key, key_bytes);
        if (rc == 0) {
            *out_found = true;
            return middle;
        }
        if (rc < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
model_put(struct model *model, const uint8_t *key, size_t key_bytes, struct bytes value)
{
    bool found;
    size_t at = model_find(model, key, key_bytes, &found);
    if (found) {
        bytes_unref(&model->pairs[at].value);
        model->pairs[at].value = bytes_copy(value.data, value.count);
        return;
    }
    mem_grow(&model->pairs, &model->capacity, model->count, sizeof(model->pairs[0]));
    memmove(model->pairs + at + 1, model->pairs + at,
            (model->count - at) * sizeof(model->pairs[0]));
    model->pairs[at] = (struct pair){.key = bytes_copy(key, key_bytes),
                                     .value = bytes_copy(value.data, value.count)};
    model->count++;
}

static bool
model_remove(struct model *model, const uint8_t *key, size_t key_bytes)
{
    bool found;
    size_t at = model_find(model, key, key_bytes, &found);
    if (!found)
        return false;
    bytes_unref(&model->pairs[at].key);
    bytes_unref(&model->pairs[at].value);
    model->count--;
    memmove(model->pairs + at, model->pairs + at + 1,
            (model->count - at) * sizeof(model->pairs[0]));
    return true;
}

static void
model_deinit(struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        bytes_unref(&model->pairs[i].key);
        bytes_unref(&model->pairs[i].value);
    }
    mem_free(model->pairs);
    *model = (struct model){0};
}

static struct model
model_copy(const struct model *model)
{
    struct model copy = {.count = model->count, .capacity = model->count};
    copy.pairs = mem_alloc(model->count * sizeof(model->pairs[0]));
    for (size_t i = 0; i < model->count; i++)
        copy.pairs[i] = (struct pair){.key = bytes_ref(model->pairs[i].key),
                                      .value = bytes_ref(model->pairs[i].value)};
    return copy;
}

static void
assert_view(struct bytes a, struct bytes b)
{
    assert_int_equal(a.count, b.count);
    if (a.count)
        assert_memory_equal(a.data, b.data, a.count);
}

/* The entries from @key on are the model's. */
static void
check_range(struct store_table *table, struct store_snapshot *snapshot, const struct model *model,
            const uint8_t *key, size_t key_bytes)
{
    bool found;
    struct bytes got_key, got_value;
    struct store_cursor *cursor = table->ops->cursor_open(table, snapshot, key, key_bytes);
    for (size_t i = model_find(model, key, key_bytes, &found); i < model->count; i++) {
        assert_int_equal(table->ops->cursor_next(cursor, &got_key, &got_value), 0);
        assert_view(got_key, model->pairs[i].key);
        assert_view(got_value, model->pairs[i].value);
    }
    assert_int_equal(table->ops->cursor_next(cursor, &got_key, &got_value), -SKEIN_ENOTFOUND);
    assert_int_equal(table->ops->cursor_next(cursor, &got_key, &got_value), -SKEIN_ENOTFOUND);
    table->ops->cursor_close(cursor);
}

static void
check_stats(struct store_table *table, const struct model *model, uint64_t snapshot_count)
{
    struct store_stats stats;
    uint64_t data_bytes = 0;
    for (size_t i = 0; i < model->count; i++)
        data_bytes += model->pairs[i].key.count + model->pairs[i].value.count;
    table->ops->stats(table, &stats);
    assert_int_equal(stats.key_count, model->count);
    assert_int_equal(stats.data_bytes, data_bytes);
    assert_int_equal(stats.snapshot_count, snapshot_count);
    assert_true(table->ops->disk || stats.memory_bytes >= stats.data_bytes);
}

/* Keys of every kind: dense, long with a common beginning, one the beginning of another at lengths
 * where a table may cut, empty, of zeros. */
static size_t
draw_key(struct prng *prng, uint64_t spread, uint8_t key[KEY_BYTES_MAX])
{
    uint64_t number = prng_below(prng, spread);
    size_t count = 0;
    switch (prng_below(prng, 6)) {
    case 0:
        memset(key, 'p', 100);
        count = 100;
        break;
    case 1:
        memcpy(key, "key:", 4);
        count = 4;
        break;
    case 2:
        count = prng_below(prng, 20);
        memset(key, 0, count);
        return count;
    case 3:
        count = 470 * prng_below(prng, 4) + prng_below(prng, 48);
        memset(key, (int)prng_below(prng, 2), count);
        if (number % 2)
            return count;
        break;
    }
    for (size_t i = 0; i < 4; i++)
        key[count++] = (uint8_t)(number >> (24 - 8 * i));
    return count;
}

static struct bytes
draw_value(struct prng *prng)
{
    uint64_t kind = prng_below(prng, 20);
    size_t count = kind == 0 ? prng_below(prng, 5000) : kind == 1 ? 0 : prng_below(prng, 40);
    struct bytes_buf *buf = bytes_new(kind == 2 ? 10 * count + 100 : count);
    prng_fill(prng, buf->data, count);
    return bytes_of(buf, count);
}

struct run {
    struct store_table *table;
    struct model model;
    struct store_snapshot *snapshots[SNAPSHOT_MAX];
    struct model copies[SNAPSHOT_MAX];
    uint64_t snapshot_count;
};

static void
step_snapshot(struct run *run, struct prng *prng)
{
    size_t at = prng_below(prng, SNAPSHOT_MAX);
    if (run->snapshots[at]) {
        check_range(run->table, run->snapshots[at], &run->copies[at], NULL, 0);
        assert_int_equal(run->table->ops->snapshot_key_count(run->snapshots[at]),
                         run->copies[at].count);
        run->table->ops->snapshot_release(run->snapshots[at]);
        model_deinit(&run->copies[at]);
        run->snapshots[at] = NULL;
        run->snapshot_count--;
        return;
    }
    run->snapshots[at] = run->table->ops->snapshot_take(run->table);
    run->copies[at] = model_copy(&run->model);
    run->snapshot_count++;
}

/* Up to 40 keys, some there and some not, some cut short: nothing is to be seen of it. */
static void
prefetch(struct store_table *table, struct prng *prng, uint64_t spread)
{
    uint8_t room[40][KEY_BYTES_MAX];
    struct bytes keys[40];
    size_t count = prng_below(prng, 41);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = draw_key(prng, spread, room[i]);
        keys[i] = bytes_borrow(room[i], prng_chance(prng, 1, 4) ? bytes / 2 : bytes);
    }
    if (table->ops->prefetch)
        table->ops->prefetch(table, keys, count);
}

static void
step(struct run *run, struct prng *prng, uint64_t spread, uint64_t removes)
{
    uint8_t key[KEY_BYTES_MAX];
    bool found;
    if (suite_factory(NULL)->disturb && prng_chance(prng, 1, 60))
        suite_factory(NULL)->disturb(run->table, prng_next(prng));
    size_t key_bytes = draw_key(prng, spread, key);
    if (prng_below(prng, 100) < removes) {
        int rc = run->table->ops->remove(run->table, key, key_bytes);
        assert_int_equal(rc, model_remove(&run->model, key, key_bytes) ? 0 : -SKEIN_ENOTFOUND);
    } else {
        struct bytes value = draw_value(prng);
        assert_int_equal(run->table->ops->put(run->table, key, key_bytes, value), 0);
        model_put(&run->model, key, key_bytes, value);
        bytes_unref(&value);
    }
    key_bytes = draw_key(prng, spread, key);
    size_t at = model_find(&run->model, key, key_bytes, &found);
    struct bytes value = {0};
    int rc = run->table->ops->get(run->table, key, key_bytes, &value);
    assert_int_equal(rc, found ? 0 : -SKEIN_ENOTFOUND);
    if (found)
        assert_view(value, run->model.pairs[at].value);
    bytes_unref(&value);
    if (prng_chance(prng, 1, 400))
        step_snapshot(run, prng);
    if (prng_chance(prng, 1, 400))
        check_range(run->table, NULL, &run->model, key, key_bytes);
    if (prng_chance(prng, 1, 200))
        check_stats(run->table, &run->model, run->snapshot_count);
    if (prng_chance(prng, 1, 50))
        prefetch(run->table, prng, spread);
    if (prng_chance(prng, 1, 6000)) {
        run->table->ops->clear(run->table);
        model_deinit(&run->model);
    }
}

static void
test_random(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct prng prng;
        struct run run = {.table = suite_factory(NULL)->open()};
        prng_init(&prng, seed);
        for (size_t i = 0; i < 8000; i++) {
            /* Grow, then shrink, so that nodes split and join. */
            uint64_t removes = (i / 2000) % 2 ? 75 : 20;
            step(&run, &prng, seed % 2 ? 700 : 20000, removes);
        }
        for (size_t i = 0; i < SNAPSHOT_MAX; i++) {
            if (!run.snapshots[i])
                continue;
            check_range(run.table, run.snapshots[i], &run.copies[i], NULL, 0);
            run.table->ops->snapshot_release(run.snapshots[i]);
            model_deinit(&run.copies[i]);
        }
        check_range(run.table, NULL, &run.model, NULL, 0);
        if (suite_factory(NULL)->settle)
            suite_factory(NULL)->settle(run.table);
        run.table->ops->close(run.table);
        model_deinit(&run.model);
    }
}

static void
test_in_order(void **state)
{
    struct store_table *table = suite_factory(NULL)->open();
    struct store_stats stats;
    struct bytes value;
    uint8_t key[4];
    for (int down = 0; down < 2; down++) {
        for (uint32_t i = 0; i < 30000; i++) {
            uint32_t n = down ? 29999 - i : i;
            for (size_t k = 0; k < 4; k++)
                key[k] = (uint8_t)(n >> (24 - 8 * k));
            assert_int_equal(table->ops->put(table, key, 4, bytes_borrow(key, 4)), 0);
        }
        table->ops->stats(table, &stats);
        assert_int_equal(stats.key_count, 30000);
        for (uint32_t i = 0; i < 30000; i++) {
            for (size_t k = 0; k < 4; k++)
                key[k] = (uint8_t)(i >> (24 - 8 * k));
            assert_int_equal(table->ops->get(table, key, 4, &value), 0);
            assert_memory_equal(value.data, key, 4);
            bytes_unref(&value);
            assert_int_equal(table->ops->remove(table, key, 4), 0);
            assert_int_equal(table->ops->get(table, key, 4, &value), -SKEIN_ENOTFOUND);
        }
        table->ops->stats(table, &stats);
        assert_int_equal(stats.key_count, 0);
        assert_int_equal(stats.data_bytes, 0);
    }
    table->ops->close(table);
}

static void
test_limits(void **state)
{
    struct store_table *table = suite_factory(NULL)->open();
    struct bytes value;
    uint8_t *key = mem_zalloc(STORE_KEY_BYTES_MAX);
    assert_int_equal(table->ops->get(table, "", 0, &value), -SKEIN_ENOTFOUND);
    assert_int_equal(table->ops->remove(table, "", 0), -SKEIN_ENOTFOUND);
    assert_int_equal(table->ops->put(table, "", 0, bytes_borrow("empty", 5)), 0);
    for (size_t i = 0; i < 200; i++) {
        key[STORE_KEY_BYTES_MAX - 1] = (uint8_t)i;
        assert_int_equal(table->ops->put(table, key, STORE_KEY_BYTES_MAX, bytes_borrow(key, 9)), 0);
    }
    for (size_t i = 0; i < 200; i++) {
        key[STORE_KEY_BYTES_MAX - 1] = (uint8_t)i;
        assert_int_equal(table->ops->get(table, key, STORE_KEY_BYTES_MAX, &value), 0);
        bytes_unref(&value);
    }
    assert_int_equal(table->ops->get(table, "", 0, &value), 0);
    assert_view(value, bytes_borrow("empty", 5));
    /* A value that was got outlives its key and the table. */
    assert_int_equal(table->ops->put(table, "", 0, bytes_borrow("other", 5)), 0);
    assert_int_equal(table->ops->remove(table, "", 0), 0);
    table->ops->close(table);
    assert_view(value, bytes_borrow("empty", 5));
    bytes_unref(&value);
    mem_free(key);
}

static void
test_large_values(void **state)
{
    struct store_table *table = suite_factory(NULL)->open();
    struct bytes large = bytes_of(bytes_new(LARGE_VALUE_BYTES), LARGE_VALUE_BYTES), value;
    for (uint32_t i = 0; i < 8; i++) {
        memset(large.buf->data, (int)i, LARGE_VALUE_BYTES);
        struct bytes part = bytes_borrow(large.data, LARGE_VALUE_BYTES - i);
        assert_int_equal(table->ops->put(table, &i, 4, part), 0);
    }
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            memset(large.buf->data, (int)i, LARGE_VALUE_BYTES);
            assert_int_equal(table->ops->get(table, &i, 4, &value), 0);
            assert_int_equal(value.count, LARGE_VALUE_BYTES - i);
            assert_int_equal(memcmp(value.data, large.data, value.count), 0);
            bytes_unref(&value);
        }
        if (suite_factory(NULL)->settle)
            suite_factory(NULL)->settle(table);
    }
    table->ops->close(table);
    bytes_unref(&large);
}

static void
test_memory_comes_back(void **state)
{
    struct store_table *table = suite_factory(NULL)->open();
    struct store_stats empty, full, now;
    struct bytes value;
    table->ops->stats(table, &empty);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(table->ops->put(table, &i, 4, bytes_borrow(&i, 4)), 0);
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(table->ops->put(table, &i, 4, bytes_borrow(&i, 3)), 0);
    table->ops->stats(table, &full);
    table->ops->clear(table);
    table->ops->snapshot_release(snapshot);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(table->ops->get(table, &i, 4, &value), -SKEIN_ENOTFOUND);
    table->ops->stats(table, &now);
    assert_true(full.memory_bytes > 20000 * 8);
    assert_int_equal(now.memory_bytes, empty.memory_bytes);
    table->ops->close(table);
}

static const struct table_suite_factory *
suite_factory(const struct table_suite_factory *set)
{
    static const struct table_suite_factory *factory;
    if (set)
        factory = set;
    return factory;
}

int
table_suite_run(const struct table_suite_factory *factory)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_memory_comes_back),
    };
    suite_factory(factory);
    return cmocka_run_group_tests_name(factory->name, tests, NULL, NULL);
}
