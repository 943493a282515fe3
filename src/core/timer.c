/* SPDX-License-Identifier: Apache-2.0 */
#include "core/timer.h"

#include "base/assert.h"

/* So many timers of the earliest slot are looked at for the earliest of all. */
#define SCAN_COUNT_MAX 32

void
timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
    *wheel = (struct timer_wheel){.tick = now_ns >> TIMER_TICK_SHIFT, .next_ns = UINT64_MAX};
    for (int level = 0; level < TIMER_LEVEL_COUNT; level++)
        for (int slot = 0; slot < TIMER_SLOT_COUNT; slot++)
            list_init(&wheel->slots[level][slot]);
}

static struct skein_timer_node *
entry(struct skein_list *link)
{
    return LIST_ENTRY(link, struct skein_timer_node, link);
}

static int
level_of(uint64_t tick, uint64_t from)
{
    uint64_t differs = tick ^ from;
    return differs == 0 ? 0 : (63 - __builtin_clzll(differs)) / TIMER_DIGIT_BITS;
}

static unsigned
digit(uint64_t tick, int level)
{
    return (unsigned)(tick >> (TIMER_DIGIT_BITS * level)) % TIMER_SLOT_COUNT;
}

/* Put a timer whose fields are set where it belongs. */
static void
place(struct timer_wheel *wheel, struct skein_timer_node *timer)
{
    uint64_t tick = timer->deadline_ns >> TIMER_TICK_SHIFT;
    if (tick < wheel->tick)
        tick = wheel->tick;
    int level = level_of(tick, wheel->tick);
    unsigned slot = digit(tick, level);
    wheel->levels_used |= (uint16_t)(1u << level);
    wheel->used[level] |= 1ull << slot;
    list_push_back(&wheel->slots[level][slot], &timer->link);
}

static void
slot_is_free(struct timer_wheel *wheel, unsigned level, unsigned slot)
{
    wheel->used[level] &= ~(1ull << slot);
    if (wheel->used[level] == 0)
        wheel->levels_used &= (uint16_t) ~(1u << level);
}

void
timer_arm(struct timer_wheel *wheel, struct skein_timer_node *timer, uint64_t deadline_ns,
          void (*fire)(struct skein_timer_node *timer))
{
    skein_assert(!list_is_linked(&timer->link));
    skein_assert(fire != NULL);
    timer->deadline_ns = deadline_ns;
    timer->sequence = wheel->sequence_next++;
    timer->fire = fire;
    place(wheel, timer);
    wheel->count++;
    if (deadline_ns < wheel->next_ns) {
        wheel->next_ns = deadline_ns;
        wheel->next_is_known = true;
    }
}

void
timer_disarm(struct timer_wheel *wheel, struct skein_timer_node *timer)
{
    struct skein_list *head = timer->link.next;
    if (!head)
        return;
    bool was_alone = head == timer->link.prev;
    list_remove(&timer->link);
    wheel->count--;
    if (timer->deadline_ns <= wheel->next_ns)
        wheel->next_is_known = false;
    /* Alone in a slot its neighbours were the slot's head; in a list that fires, some other. */
    size_t offset = (uintptr_t)head - (uintptr_t)wheel->slots;
    if (was_alone && offset < sizeof(wheel->slots)) {
        size_t index = offset / sizeof(wheel->slots[0][0]);
        slot_is_free(wheel, (unsigned)(index / TIMER_SLOT_COUNT), index % TIMER_SLOT_COUNT);
    }
}

uint64_t
timer_next_ns(struct timer_wheel *wheel)
{
    if (wheel->count == 0)
        return UINT64_MAX;
    if (wheel->next_is_known)
        return wheel->next_ns;
    int level = __builtin_ctz(wheel->levels_used);
    unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
    uint64_t earliest_ns = UINT64_MAX;
    int scanned_count = 0;
    list_for_each (link, &wheel->slots[level][slot]) {
        if (++scanned_count > SCAN_COUNT_MAX && level > 0)
            break;
        if (entry(link)->deadline_ns < earliest_ns)
            earliest_ns = entry(link)->deadline_ns;
    }
    wheel->next_ns = earliest_ns;
    wheel->next_is_known = true;
    if (scanned_count > SCAN_COUNT_MAX && level > 0) {
        /* What is late stands in the wheel's own slot, so this is no later than the earliest. */
        int shift = TIMER_DIGIT_BITS * level;
        uint64_t above = wheel->tick >> (shift + TIMER_DIGIT_BITS) << (shift + TIMER_DIGIT_BITS);
        uint64_t begins_ns = (above | (uint64_t)slot << shift) << TIMER_TICK_SHIFT;
        wheel->next_ns = begins_ns < earliest_ns ? begins_ns : earliest_ns;
    }
    return wheel->next_ns;
}

/* Move all of a slot to the end of @out. */
static void
take_slot(struct timer_wheel *wheel, unsigned level, unsigned slot, struct skein_list *out)
{
    struct skein_list *head = &wheel->slots[level][slot];
    slot_is_free(wheel, level, slot);
    if (list_is_empty(head))
        return;
    struct skein_list *first = head->next;
    struct skein_list *last = head->prev;
    first->prev = out->prev;
    out->prev->next = first;
    last->next = out;
    out->prev = last;
    list_init(head);
}

/* Time has come to @tick: everything before it goes to @out; so does the slot of @tick itself,
 * whose timers may be due or not. */
static void
advance(struct timer_wheel *wheel, uint64_t tick, struct skein_list *out)
{
    int top = level_of(tick, wheel->tick);
    for (int level = 0; level <= top; level++) {
        unsigned end = level < top ? TIMER_SLOT_COUNT - 1 : digit(tick, level);
        uint64_t passed = wheel->used[level] & (UINT64_MAX >> (63 - end));
        for (; passed; passed &= passed - 1)
            take_slot(wheel, (unsigned)level, (unsigned)__builtin_ctzll(passed), out);
    }
    wheel->tick = tick;
}

static bool
before(const struct skein_timer_node *a, const struct skein_timer_node *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

/* Merge two sorted chains, linked by next alone. */
static struct skein_list *
merge(struct skein_list *a, struct skein_list *b)
{
    struct skein_list head;
    struct skein_list *tail = &head;
    while (a && b) {
        struct skein_list **from = before(entry(b), entry(a)) ? &b : &a;
        tail->next = *from;
        tail = *from;
        *from = tail->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

/* Merge sort from the bottom: runs[i] is empty or a sorted chain of 2^i timers. */
static void
sort(struct skein_list *list)
{
    struct skein_list *runs[64] = {NULL};
    struct skein_list *chain = NULL;
    int used = 0;
    list->prev->next = NULL;
    for (struct skein_list *link = list->next; link;) {
        struct skein_list *one = link;
        int i = 0;
        link = link->next;
        one->next = NULL;
        for (; runs[i]; i++) {
            one = merge(runs[i], one);
            runs[i] = NULL;
        }
        runs[i] = one;
        used = i >= used ? i + 1 : used;
    }
    for (int i = 0; i < used; i++)
        chain = merge(runs[i], chain);
    list_init(list);
    while (chain) {
        struct skein_list *next = chain->next;
        chain->next = NULL;
        list_push_back(list, chain);
        chain = next;
    }
}

void
timer_fire_due(struct timer_wheel *wheel, uint64_t now_ns)
{
    struct skein_list due;
    struct skein_list *link;
    if (wheel->count == 0 || now_ns < wheel->next_ns)
        return;
    list_init(&due);
    skein_assert(now_ns >> TIMER_TICK_SHIFT >= wheel->tick);
    advance(wheel, now_ns >> TIMER_TICK_SHIFT, &due);
    wheel->next_is_known = false;
    for (link = due.next; link != &due;) {
        struct skein_timer_node *timer = entry(link);
        link = link->next;
        if (timer->deadline_ns <= now_ns)
            continue;
        list_remove(&timer->link);
        place(wheel, timer);
    }
    wheel->next_ns = now_ns; /* no later than what is left */
    if (list_is_empty(&due))
        return;
    if (due.next != due.prev)
        sort(&due);
    while ((link = list_pop_front(&due))) {
        struct skein_timer_node *timer = entry(link);
        wheel->count--;
        timer->fire(timer);
    }
}
