/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stack.h"

#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "core/context.h"
#include "core/stack_slab.h"

#ifdef SKEIN_VALGRIND
#include <valgrind/valgrind.h>
#endif

#define STACK_POOL_MAGIC 0x736b706f6f6c3031ull
#define FREE_COUNT_MAX_DEFAULT 1024
#define PAGE_BYTES 4096
#define PAGE_COUNT_MAX 256 /* of the largest class */

struct skein_stack_pool *
skein_stack_pool_open(void)
{
    return skein_stack_pool_open_with(&(struct skein_stack_pool_options){0});
}

struct skein_stack_pool *
skein_stack_pool_open_with(const struct skein_stack_pool_options *options)
{
    struct mem_arena *arena = mem_arena_set_current(NULL);
    struct skein_stack_pool *pool = mem_zalloc(sizeof(*pool));
    mem_arena_set_current(arena);
    pool->magic = STACK_POOL_MAGIC;
    pool->options = *options;
    if (pool->options.free_count_max == 0)
        pool->options.free_count_max = FREE_COUNT_MAX_DEFAULT;
    for (int i = 0; i < SKEIN_STACK_CLASS_COUNT; i++) {
        skein_assert(slab_class_bytes((enum skein_stack_class)i) / PAGE_BYTES <=
                     PAGE_COUNT_MAX + STACK_GUARD_BYTES / PAGE_BYTES);
        pool->classes[i].class = (enum skein_stack_class)i;
        list_init(&pool->classes[i].free);
        list_init(&pool->classes[i].slabs);
    }
    return pool;
}

void
skein_stack_pool_close(struct skein_stack_pool *pool)
{
    if (!pool)
        return;
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    for (int i = 0; i < SKEIN_STACK_CLASS_COUNT; i++) {
        struct skein_list *link;
        skein_assert(pool->classes[i].used_count == 0);
        while ((link = list_pop_front(&pool->classes[i].free)))
            slab_give(LIST_ENTRY(link, struct core_stack, link));
        while (!list_is_empty(&pool->classes[i].slabs)) /* one whose guard could not be had */
            slab_close(LIST_ENTRY(pool->classes[i].slabs.next, struct stack_slab, link));
    }
    skein_assert(pool->slab_count == 0);
    pool->magic = 0;
    mem_free(pool);
}

static struct core_stack *
acquire_cold(struct skein_stack_pool *pool, enum skein_stack_class stack_class)
{
    struct stack_class_state *state = &pool->classes[stack_class];
    if (list_is_empty(&state->slabs) && !slab_open(pool, stack_class))
        return NULL;
    return slab_take(LIST_ENTRY(state->slabs.next, struct stack_slab, link));
}

struct core_stack *
stack_acquire(struct skein_stack_pool *pool, enum skein_stack_class stack_class)
{
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    skein_assert(stack_class < SKEIN_STACK_CLASS_COUNT);
    struct stack_class_state *state = &pool->classes[stack_class];
    struct skein_list *link = list_pop_front(&state->free);
    struct core_stack *stack;
    if (link) {
        stack = LIST_ENTRY(link, struct core_stack, link);
        state->free_count--;
    } else {
        stack = acquire_cold(pool, stack_class);
        if (!stack)
            return NULL;
    }
    state->used_count++;
    return stack;
}

/* Note how deep the stack was used, and make it clean for the next fiber's measure. */
static void
measure(struct stack_class_state *state, struct core_stack *stack, const char *name)
{
    size_t used_bytes = stack_used_bytes(stack);
    char *high = stack->low + stack->usable_bytes;
    memset(high - used_bytes, 0, used_bytes);
    if (used_bytes <= state->high_water_bytes)
        return;
    state->high_water_bytes = used_bytes;
    size_t bytes = strlen(name);
    if (bytes >= sizeof(state->high_water_name))
        bytes = sizeof(state->high_water_name) - 1;
    memcpy(state->high_water_name, name, bytes);
    state->high_water_name[bytes] = '\0';
}

void
stack_release(struct core_stack *stack, const char *name)
{
    struct skein_stack_pool *pool = stack->slab->pool;
    struct stack_class_state *state = &pool->classes[stack->slab->class];
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    skein_assert(state->used_count > 0);
    state->used_count--;
    /* A fiber that ended or was abandoned leaves its frames' red zones behind. */
    context_forget_stack(stack->low, stack->usable_bytes + STACK_ROOM_BYTES);
    if (pool->options.measure)
        measure(state, stack, name);
    if (state->free_count >= pool->options.free_count_max) {
        slab_give(stack);
        return;
    }
    state->free_count++;
    list_push_front(&state->free, &stack->link);
}

bool
stack_guards(const struct core_stack *stack, const void *address)
{
    const char *at = address;
    return at < stack->low && at >= stack->low - STACK_GUARD_BYTES;
}

/* The lowest word of [@low, @high) that is not zero, or @high. */
__attribute__((no_sanitize("address"))) static const char *
first_not_zero(const char *low, const char *high)
{
    const uint64_t *word = (const uint64_t *)(const void *)low;
    while ((const char *)word < high && *word == 0)
        word++;
    return (const char *)word;
}

size_t
stack_used_bytes(const struct core_stack *stack)
{
    unsigned char resident[PAGE_COUNT_MAX];
    const char *high = stack->low + stack->usable_bytes;
    size_t page_count = (stack->usable_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
#ifdef SKEIN_VALGRIND
    if (RUNNING_ON_VALGRIND)
        return 0;
#endif
    if (mincore(stack->low, page_count * PAGE_BYTES, resident) < 0)
        return 0;
    for (size_t i = 0; i < page_count; i++) {
        const char *low = stack->low + i * PAGE_BYTES;
        const char *end = low + PAGE_BYTES < high ? low + PAGE_BYTES : high;
        const char *found = resident[i] & 1 ? first_not_zero(low, end) : end;
        if (found < end)
            return (size_t)(high - found);
    }
    return 0;
}

void
skein_stack_pool_stats(const struct skein_stack_pool *pool, enum skein_stack_class stack_class,
                       struct skein_stack_stats *out_stats)
{
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    skein_assert(stack_class < SKEIN_STACK_CLASS_COUNT);
    const struct stack_class_state *state = &pool->classes[stack_class];
    *out_stats = (struct skein_stack_stats){
        .used_count = state->used_count,
        .free_count = state->free_count,
        .mapped_count = state->mapped_count,
        .mapped_bytes = state->mapped_count * slab_class_bytes(stack_class),
        .high_water_bytes = state->high_water_bytes,
    };
    memcpy(out_stats->high_water_name, state->high_water_name, SKEIN_STACK_NAME_BYTES);
}
