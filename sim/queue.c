/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

static bool
before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void
place(struct sim_queue *queue, size_t slot, struct sim_event *event)
{
    queue->heap[slot] = event;
    event->slot = slot + 1;
}

static void
sift_up(struct sim_queue *queue, size_t slot)
{
    struct sim_event *event = queue->heap[slot];
    while (slot > 0 && before(event, queue->heap[(slot - 1) / 2])) {
        place(queue, slot, queue->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(queue, slot, event);
}

static void
sift_down(struct sim_queue *queue, size_t slot)
{
    struct sim_event *event = queue->heap[slot];
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && before(queue->heap[child + 1], queue->heap[child]))
            child++;
        if (!before(queue->heap[child], event))
            break;
        place(queue, slot, queue->heap[child]);
        slot = child;
    }
    place(queue, slot, event);
}

void
sim_event_at(struct sim_world *world, struct sim_event *event, uint64_t at_ns)
{
    struct sim_queue *queue = &world->queue;
    skein_assert(event->fire != NULL);
    sim_event_cancel(world, event);
    event->at_ns = at_ns < world->now_ns ? world->now_ns : at_ns;
    event->sequence = queue->next_sequence++;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    mem_grow(&queue->heap, &queue->capacity, queue->count, sizeof(queue->heap[0]));
    mem_arena_set_current(previous);
    queue->heap[queue->count] = event;
    sift_up(queue, queue->count++);
}

void
sim_event_cancel(struct sim_world *world, struct sim_event *event)
{
    struct sim_queue *queue = &world->queue;
    if (event->slot == 0)
        return;
    size_t slot = event->slot - 1;
    skein_assert(slot < queue->count);
    skein_assert(queue->heap[slot] == event);
    event->slot = 0;
    struct sim_event *last = queue->heap[--queue->count];
    if (last == event)
        return;
    place(queue, slot, last);
    sift_down(queue, slot);
    sift_up(queue, last->slot - 1);
}

bool
sim_world_run(struct sim_world *world, uint64_t until_ns)
{
    struct sim_queue *queue = &world->queue;
    world->stopped = false;
    while (!world->stopped && queue->count > 0 && queue->heap[0]->at_ns <= until_ns) {
        struct sim_event *event = queue->heap[0];
        sim_event_cancel(world, event);
        skein_assert(event->at_ns >= world->now_ns);
        world->now_ns = event->at_ns;
        if (++world->event_count > world->event_count_max)
            return false;
        event->fire(event);
    }
    if (!world->stopped && world->now_ns < until_ns)
        world->now_ns = until_ns;
    return true;
}

void
sim_world_stop(struct sim_world *world)
{
    world->stopped = true;
}
