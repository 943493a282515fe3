/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#define CHILDREN 4 /* two cache lines of a node's children, and half as many levels */

static bool
before(const struct sim_slot *a, const struct sim_slot *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void
place(struct sim_queue *queue, size_t slot, const struct sim_slot *content)
{
    queue->heap[slot] = *content;
    content->event->slot = slot + 1;
}

/* @content goes to @slot or above it. */
static void
sift_up(struct sim_queue *queue, size_t slot, struct sim_slot content)
{
    while (slot > 0 && before(&content, &queue->heap[(slot - 1) / CHILDREN])) {
        place(queue, slot, &queue->heap[(slot - 1) / CHILDREN]);
        slot = (slot - 1) / CHILDREN;
    }
    place(queue, slot, &content);
}

static size_t
first_child(const struct sim_queue *queue, size_t slot)
{
    size_t child = CHILDREN * slot + 1, first = child;
    for (size_t i = child + 1; i < child + CHILDREN && i < queue->count; i++)
        first = before(&queue->heap[i], &queue->heap[first]) ? i : first;
    return first;
}

/* @content goes to @slot or below it. */
static void
sift_down(struct sim_queue *queue, size_t slot, struct sim_slot content)
{
    for (;;) {
        size_t child = first_child(queue, slot);
        if (child >= queue->count || !before(&queue->heap[child], &content))
            break;
        place(queue, slot, &queue->heap[child]);
        slot = child;
    }
    place(queue, slot, &content);
}

static void
sift(struct sim_queue *queue, size_t slot, struct sim_slot content)
{
    if (slot > 0 && before(&content, &queue->heap[(slot - 1) / CHILDREN]))
        sift_up(queue, slot, content);
    else
        sift_down(queue, slot, content);
}

static void
grow(struct sim_queue *queue)
{
    struct mem_arena *previous = mem_arena_set_current(NULL);
    mem_grow(&queue->heap, &queue->capacity, queue->count, sizeof(queue->heap[0]));
    mem_arena_set_current(previous);
}

void
sim_event_at(struct sim_world *world, struct sim_event *event, uint64_t at_ns)
{
    struct sim_queue *queue = &world->queue;
    skein_assert(event->fire != NULL);
    event->at_ns = at_ns < world->now_ns ? world->now_ns : at_ns;
    const struct sim_slot content = {event->at_ns, queue->next_sequence++, event};
    if (event->slot) {
        skein_assert(queue->heap[event->slot - 1].event == event);
        sift(queue, event->slot - 1, content);
        return;
    }
    if (queue->count == queue->capacity)
        grow(queue);
    sift_up(queue, queue->count++, content);
}

void
sim_event_cancel(struct sim_world *world, struct sim_event *event)
{
    struct sim_queue *queue = &world->queue;
    if (event->slot == 0)
        return;
    size_t slot = event->slot - 1;
    skein_assert(slot < queue->count);
    skein_assert(queue->heap[slot].event == event);
    event->slot = 0;
    struct sim_slot last = queue->heap[--queue->count];
    if (slot < queue->count)
        sift(queue, slot, last);
}

bool
sim_world_run(struct sim_world *world, uint64_t until_ns)
{
    struct sim_queue *queue = &world->queue;
    world->stopped = false;
    while (!world->stopped && queue->count > 0 && queue->heap[0].at_ns <= until_ns) {
        struct sim_event *event = queue->heap[0].event;
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
