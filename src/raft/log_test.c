/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the log in memory is a run without gaps whatever is cut off at either end; its counts are
 * what it holds; and hints never name a term that is not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "raft/internal.h"

static void
push(struct raft_log *log, uint64_t term, size_t bytes)
{
    struct raft_entry entry = {.index = raft_log_last(log) + 1,
                               .term = term,
                               .type = bytes ? RAFT_ENTRY_NORMAL : RAFT_ENTRY_WITNESSED,
                               .data =
                                   bytes ? bytes_of(bytes_new(bytes), bytes) : (struct bytes){0}};
    raft_log_push(log, entry);
}

/* Everything that can be asked is what it holds. */
static void
check(const struct raft_log *log)
{
    uint64_t bytes = 0, witnessed = 0;
    for (uint64_t i = log->base_index + 1; i <= raft_log_last(log); i++) {
        const struct raft_entry *entry = raft_log_at(log, i);
        assert_int_equal(entry->index, i);
        assert_int_equal(raft_log_term(log, i), entry->term);
        assert_true(raft_log_matches(log, i, entry->term));
        assert_false(raft_log_matches(log, i, entry->term + 1));
        bytes += entry->data.count;
        witnessed += entry->type == RAFT_ENTRY_WITNESSED;
    }
    assert_int_equal(log->bytes, bytes);
    assert_int_equal(log->witnessed, witnessed);
    assert_int_equal(raft_log_term(log, raft_log_last(log) + 1), 0);
    assert_int_equal(raft_log_last_term(log), raft_log_term(log, raft_log_last(log)));
    assert_true(raft_log_matches(log, log->base_index, log->base_term));
}

static void
test_both_ends(void **state)
{
    struct raft_log log = {0};
    check(&log);
    for (uint64_t i = 1; i <= 100; i++)
        push(&log, 1 + i / 10, i % 7);
    log.taken = log.stable = 90;
    check(&log);
    raft_log_truncate(&log, 101); /* nothing */
    assert_int_equal(raft_log_last(&log), 100);
    raft_log_truncate(&log, 81);
    assert_int_equal(log.taken, 80);
    assert_int_equal(log.stable, 80);
    check(&log);
    log.commit = log.applying = log.applied = 60;
    raft_log_compact(&log, 1);
    assert_int_equal(log.base_index, 0);
    raft_log_compact(&log, 51);
    assert_int_equal(log.base_index, 50);
    assert_int_equal(raft_log_term(&log, 49), 0);
    check(&log);
    /* The slots are used again: pushes and cuts in turn do not grow it. */
    size_t capacity = log.capacity;
    for (uint64_t i = 0; i < 1000; i++) {
        push(&log, 20, 3);
        log.commit = log.applying = log.applied = raft_log_last(&log);
        raft_log_compact(&log, raft_log_last(&log) - 20);
        check(&log);
    }
    assert_int_equal(log.capacity, capacity);
    raft_log_reset(&log, 5000, 30);
    assert_int_equal(log.bytes, 0);
    assert_int_equal(raft_log_last(&log), 5000);
    assert_int_equal(raft_log_last_term(&log), 30);
    check(&log);
    push(&log, 30, 1);
    check(&log);
    raft_log_deinit(&log);
}

static void
test_hints(void **state)
{
    struct raft_log log = {.base_index = 10, .base_term = 3};
    uint64_t term;
    for (uint64_t i = 0; i < 5; i++)
        push(&log, 3, 1);
    for (uint64_t i = 0; i < 5; i++)
        push(&log, 6, 1);
    assert_int_equal(raft_log_hint(&log, 20, 9, &term), 20);
    assert_int_equal(term, 6);
    assert_int_equal(raft_log_hint(&log, 20, 5, &term), 15);
    assert_int_equal(term, 3);
    assert_int_equal(raft_log_hint(&log, 12, 6, &term), 12);
    assert_int_equal(term, 3);
    assert_int_equal(raft_log_hint(&log, 20, 2, &term), 9); /* before what is known */
    assert_int_equal(term, 0);
    assert_int_equal(raft_log_hint(&log, 21, 6, &term), 21);
    assert_int_equal(term, 0);
    assert_int_equal(raft_log_hint(&log, 4, 6, &term), 4);
    assert_int_equal(term, 0);
    raft_log_deinit(&log);
    struct raft_log empty = {0};
    assert_int_equal(raft_log_hint(&empty, 0, 7, &term), 0);
    assert_int_equal(term, 0);
}

static void
test_copies(void **state)
{
    struct raft_log log = {0};
    size_t count = 9;
    for (uint64_t i = 0; i < 10; i++)
        push(&log, 1, 100);
    assert_null(raft_log_copy(&log, 11, 10, UINT64_MAX, &count));
    assert_int_equal(count, 0);
    struct raft_entry *copy = raft_log_copy(&log, 3, 10, 1, &count); /* at least one */
    assert_int_equal(count, 1);
    assert_int_equal(copy[0].index, 3);
    assert_int_equal(copy[0].data.buf->refs, 2);
    bytes_unref(&copy[0].data);
    mem_free(copy);
    uint64_t each = raft_entry_size(false, raft_log_at(&log, 1));
    assert_int_equal(each, 100 + RAFT_ENTRY_OVERHEAD_BYTES);
    copy = raft_log_copy(&log, 1, 10, 3 * each, &count);
    assert_int_equal(count, 3);
    raft_log_truncate(&log, 1); /* the copies stay */
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(copy[i].data.buf->refs, 1);
        bytes_unref(&copy[i].data);
    }
    mem_free(copy);
    raft_log_deinit(&log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
