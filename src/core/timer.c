/* SPDX-License-Identifier: Apache-2.0 */
#include "core/timer.h"

#include "base/mem.h"

static bool
before(const struct core_timer *a, const struct core_timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

static void
place(struct timer_heap *heap, size_t position, struct core_timer *timer)
{
    heap->timers[position] = timer;
    timer->position = position;
}

static void
sift_up(struct timer_heap *heap, size_t position, struct core_timer *timer)
{
    while (position > 1 && before(timer, heap->timers[position / 2])) {
        place(heap, position, heap->timers[position / 2]);
        position /= 2;
    }
    place(heap, position, timer);
}

static void
sift_down(struct timer_heap *heap, size_t position, struct core_timer *timer)
{
    for (;;) {
        size_t child = 2 * position;
        if (child > heap->count)
            break;
        if (child < heap->count && before(heap->timers[child + 1], heap->timers[child]))
            child++;
        if (!before(heap->timers[child], timer))
            break;
        place(heap, position, heap->timers[child]);
        position = child;
    }
    place(heap, position, timer);
}

void
timer_heap_init(struct timer_heap *heap)
{
    *heap = (struct timer_heap){0};
}

void
timer_heap_deinit(struct timer_heap *heap)
{
    mem_free(heap->timers);
    *heap = (struct timer_heap){0};
}

void
timer_arm(struct timer_heap *heap, struct core_timer *timer, uint64_t deadline_ns,
          void (*fire)(struct core_timer *timer))
{
    skein_assert(timer->position == 0);
    skein_assert(fire != NULL);
    mem_grow(&heap->timers, &heap->capacity, heap->count + 1, sizeof(struct core_timer *));
    timer->deadline_ns = deadline_ns;
    timer->sequence = heap->sequence_next++;
    timer->fire = fire;
    heap->count++;
    sift_up(heap, heap->count, timer);
}

void
timer_disarm(struct timer_heap *heap, struct core_timer *timer)
{
    size_t position = timer->position;
    if (position == 0)
        return;
    skein_assert(position <= heap->count);
    skein_assert(heap->timers[position] == timer);
    struct core_timer *last = heap->timers[heap->count--];
    timer->position = 0;
    if (last == timer)
        return;
    if (position > 1 && before(last, heap->timers[position / 2]))
        sift_up(heap, position, last);
    else
        sift_down(heap, position, last);
}

uint64_t
timer_next_ns(const struct timer_heap *heap)
{
    return heap->count ? heap->timers[1]->deadline_ns : UINT64_MAX;
}

void
timer_fire_due(struct timer_heap *heap, uint64_t now_ns)
{
    while (heap->count && heap->timers[1]->deadline_ns <= now_ns) {
        struct core_timer *timer = heap->timers[1];
        timer_disarm(heap, timer);
        timer->fire(timer);
    }
}
