/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mailbox_inbox.h"

#include "base/mem.h"

void
inbox_init(struct inbox *inbox, uint32_t count_max)
{
    skein_assert(count_max > 0 && count_max <= 1u << 24);
    uint64_t count = 2;
    while (count < count_max)
        count *= 2;
    *inbox = (struct inbox){.mask = count - 1};
    inbox->cells = mem_zalloc(count * sizeof(inbox->cells[0]));
    for (uint64_t i = 0; i < count; i++)
        inbox->cells[i].sequence = i;
}

void
inbox_deinit(struct inbox *inbox)
{
    mem_free(inbox->cells);
    inbox->cells = NULL;
}

int
inbox_enter(struct inbox *inbox)
{
    __atomic_fetch_add(&inbox->writer_count, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&inbox->closed, __ATOMIC_SEQ_CST))
        return 0;
    inbox_leave(inbox);
    return -SKEIN_ECLOSED;
}

void
inbox_leave(struct inbox *inbox)
{
    __atomic_fetch_sub(&inbox->writer_count, 1, __ATOMIC_SEQ_CST);
}

int
inbox_push(struct inbox *inbox, void (*fn)(void *arg), void *arg)
{
    uint64_t position = __atomic_load_n(&inbox->tail, __ATOMIC_RELAXED);
    struct inbox_cell *cell;
    for (;;) {
        cell = &inbox->cells[position & inbox->mask];
        uint64_t sequence = __atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE);
        if (sequence == position) {
            if (__atomic_compare_exchange_n(&inbox->tail, &position, position + 1, true,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                break;
        } else if ((int64_t)(sequence - position) < 0) {
            return -SKEIN_EAGAIN;
        } else {
            position = __atomic_load_n(&inbox->tail, __ATOMIC_RELAXED);
        }
    }
    cell->fn = fn;
    cell->arg = arg;
    __atomic_store_n(&cell->sequence, position + 1, __ATOMIC_RELEASE);
    return 0;
}

bool
inbox_is_empty(const struct inbox *inbox)
{
    const struct inbox_cell *cell = &inbox->cells[inbox->head & inbox->mask];
    return __atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE) != inbox->head + 1;
}

bool
inbox_take(struct inbox *inbox, struct inbox_cell *out_cell)
{
    if (inbox_is_empty(inbox))
        return false;
    struct inbox_cell *cell = &inbox->cells[inbox->head & inbox->mask];
    *out_cell = (struct inbox_cell){.fn = cell->fn, .arg = cell->arg};
    __atomic_store_n(&cell->sequence, inbox->head + inbox->mask + 1, __ATOMIC_RELEASE);
    inbox->head++;
    return true;
}

void
inbox_close(struct inbox *inbox)
{
    __atomic_store_n(&inbox->closed, true, __ATOMIC_SEQ_CST);
}

bool
inbox_is_quiet(const struct inbox *inbox)
{
    return __atomic_load_n(&inbox->writer_count, __ATOMIC_SEQ_CST) == 0;
}
