/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a ring hands over every item once and in order, whatever the sizes of batches and however
 * the ends take turns; slots come back only when released, messages go home with them; the inbox
 * keeps its bound, and what several threads push arrives once, each thread's in order.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/prng.h"
#include "core/mailbox.h"
#include "core/mailbox_inbox.h"
#include "skein/call.h"

#define ROUND_COUNT 20000
#define WRITER_COUNT 3
#define WRITER_ITEM_COUNT 2000

static void
every_item_arrives_once_and_in_order(void **state)
{
    struct mailbox_ring *ring = mailbox_ring_open();
    struct mailbox_out out = {.ring = ring};
    struct mailbox_in in = {.ring = ring};
    struct mailbox_item item;
    struct prng random;
    uint64_t pushed = 0;
    uint64_t taken = 0;
    prng_init(&random, 7);
    assert_true(mailbox_is_empty(&in));
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (uint64_t n = prng_range(&random, 0, 40); n > 0 && mailbox_has_room(&out); n--) {
            mailbox_push(&out, MAILBOX_REPLY, pushed, NULL, pushed * 3);
            pushed++;
        }
        if (prng_chance(&random, 1, 2))
            mailbox_flush(&out);
        for (uint64_t n = prng_range(&random, 0, 40); n > 0 && mailbox_take(&in, &item); n--) {
            assert_int_equal(item.stamp, MAILBOX_REPLY);
            assert_int_equal(item.word, taken);
            assert_int_equal(item.tag, taken * 3);
            taken++;
        }
        if (prng_chance(&random, 1, 3))
            mailbox_release(&in);
        assert_true(out.tail - out.reclaimed <= MAILBOX_SLOT_COUNT);
        assert_true(pushed - taken <= MAILBOX_SLOT_COUNT + MAILBOX_BATCH_COUNT);
    }
    assert_true(taken > ROUND_COUNT);
    mailbox_ring_close(ring);
}

static void
a_full_ring_takes_no_more_until_slots_are_released(void **state)
{
    struct mailbox_ring *ring = mailbox_ring_open();
    struct mailbox_out out = {.ring = ring};
    struct mailbox_in in = {.ring = ring};
    struct mailbox_item item;
    uint32_t pushed = 0;
    for (; mailbox_has_room(&out); pushed++)
        mailbox_push(&out, MAILBOX_REPLY, pushed, NULL, 0);
    assert_int_equal(pushed, MAILBOX_SLOT_COUNT + MAILBOX_BATCH_COUNT);
    assert_int_equal(mailbox_flush(&out), 0);
    assert_true(mailbox_take(&in, &item));
    assert_false(mailbox_has_room(&out)); /* taken, not released */
    mailbox_release(&in);
    assert_true(mailbox_has_room(&out));
    while (mailbox_take(&in, &item))
        pushed--;
    assert_int_equal(item.word, MAILBOX_SLOT_COUNT);
    mailbox_ring_close(ring);
}

struct counted {
    struct skein_message message;
    int home_count;
};

static void
goes_home(struct skein_message *message)
{
    ((struct counted *)(void *)message)->home_count++;
}

static void
messages_go_home_when_their_slots_come_back(void **state)
{
    struct mailbox_ring *ring = mailbox_ring_open();
    struct mailbox_out out = {.ring = ring};
    struct mailbox_in in = {.ring = ring};
    struct mailbox_item item;
    struct counted messages[3] = {
        {{NULL, goes_home}, 0}, {{NULL, goes_home}, 0}, {{NULL, goes_home}, 0}};
    for (int i = 0; i < 3; i++) {
        mailbox_push(&out, MAILBOX_MESSAGE, 0, &messages[i], 0);
        mailbox_push(&out, MAILBOX_REPLY, 0, NULL, 0);
    }
    assert_int_equal(mailbox_flush(&out), 6);
    assert_int_equal(out.home_count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(mailbox_take(&in, &item));
    assert_int_equal(mailbox_reclaim(&out), 0);
    mailbox_release(&in);
    assert_int_equal(mailbox_reclaim(&out), 3);
    assert_int_equal(messages[0].home_count, 1);
    assert_int_equal(messages[1].home_count, 1);
    assert_int_equal(messages[2].home_count, 0);
    assert_int_equal(out.home_count, 1);
    assert_int_equal(mailbox_reclaim(&out), 0);
    /* The reader ends: what lies in slots and in the batch comes home, each once. */
    mailbox_push(&out, MAILBOX_MESSAGE, 0, &messages[0], 0);
    mailbox_push(&out, MAILBOX_POST, 0, NULL, 0);
    assert_true(mailbox_take(&in, &item));
    mailbox_abandon(&out);
    mailbox_abandon(&out);
    assert_int_equal(messages[0].home_count, 2);
    assert_int_equal(messages[1].home_count, 1);
    assert_int_equal(messages[2].home_count, 1);
    mailbox_ring_close(ring);
}

static void
nothing(void *arg)
{
}

static void
the_inbox_is_bounded_and_can_be_closed(void **state)
{
    struct inbox inbox;
    struct inbox_cell cell;
    int marks[8];
    inbox_init(&inbox, 5);
    assert_true(inbox_is_empty(&inbox));
    assert_false(inbox_take(&inbox, &cell));
    for (int lap = 0; lap < 3; lap++) {
        for (int i = 0; i < 8; i++)
            assert_int_equal(inbox_push(&inbox, nothing, &marks[i]), 0);
        assert_int_equal(inbox_push(&inbox, nothing, NULL), -SKEIN_EAGAIN);
        for (int i = 0; i < 8; i++) {
            assert_true(inbox_take(&inbox, &cell));
            assert_ptr_equal(cell.arg, &marks[i]);
        }
        assert_true(inbox_is_empty(&inbox));
    }
    assert_int_equal(inbox_enter(&inbox), 0);
    inbox_close(&inbox);
    assert_false(inbox_is_quiet(&inbox));
    inbox_leave(&inbox);
    assert_int_equal(inbox_enter(&inbox), -SKEIN_ECLOSED);
    assert_true(inbox_is_quiet(&inbox));
    inbox_deinit(&inbox);
}

struct writer {
    struct inbox *inbox;
    pthread_t thread;
    uint64_t numbers[WRITER_ITEM_COUNT];
    uint64_t seen_count;
};

static void *
write_all(void *arg)
{
    struct writer *writer = arg;
    for (uint64_t i = 0; i < WRITER_ITEM_COUNT; i++) {
        writer->numbers[i] = i;
        while (inbox_push(writer->inbox, nothing, &writer->numbers[i]) < 0)
            sched_yield();
    }
    return NULL;
}

static void
several_writers_lose_nothing(void **state)
{
    struct inbox inbox;
    struct inbox_cell cell;
    static struct writer writers[WRITER_COUNT];
    inbox_init(&inbox, 16);
    for (int i = 0; i < WRITER_COUNT; i++) {
        writers[i].inbox = &inbox;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
    for (uint64_t left = WRITER_COUNT * WRITER_ITEM_COUNT; left > 0;) {
        if (!inbox_take(&inbox, &cell)) {
            sched_yield();
            continue;
        }
        left--;
        uint64_t *number = cell.arg;
        struct writer *from = writers;
        while (number < from->numbers || number >= from->numbers + WRITER_ITEM_COUNT)
            from++;
        assert_int_equal(*number, from->seen_count);
        from->seen_count++;
    }
    for (int i = 0; i < WRITER_COUNT; i++)
        pthread_join(writers[i].thread, NULL);
    assert_true(inbox_is_empty(&inbox));
    inbox_deinit(&inbox);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_arrives_once_and_in_order),
        cmocka_unit_test(a_full_ring_takes_no_more_until_slots_are_released),
        cmocka_unit_test(messages_go_home_when_their_slots_come_back),
        cmocka_unit_test(the_inbox_is_bounded_and_can_be_closed),
        cmocka_unit_test(several_writers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
