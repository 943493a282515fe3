/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stack_slab.h"

#include <sys/mman.h>

#include "base/mem.h"
#include "core/context.h"

#ifdef SKEIN_VALGRIND
#include <valgrind/valgrind.h>
#endif

#define MADVISE_GUARD_INSTALL 102 /* Linux 6.13; not in Debian 12's headers */
#define COLOUR_BYTES 128
#define COLOUR_COUNT 8

#ifdef CONTEXT_ASAN
#define CLASS_SCALE 4
#else
#define CLASS_SCALE 1
#endif

static const struct {
    size_t bytes;
    uint32_t slab_count;
} classes[SKEIN_STACK_CLASS_COUNT] = {
    [SKEIN_STACK_TINY] = {(size_t)CLASS_SCALE * 16 * 1024, 64},
    [SKEIN_STACK_SMALL] = {(size_t)CLASS_SCALE * 64 * 1024, 32},
    [SKEIN_STACK_LARGE] = {(size_t)CLASS_SCALE * 256 * 1024, 8},
};

size_t
slab_class_bytes(enum skein_stack_class stack_class)
{
    return STACK_GUARD_BYTES + classes[stack_class].bytes;
}

static void
tool_register(struct stack_slab *slab)
{
#ifdef SKEIN_VALGRIND
    if (!RUNNING_ON_VALGRIND)
        return;
    slab->tool_id = mem_zalloc(slab->count * sizeof(uint32_t));
    for (uint32_t i = 0; i < slab->count; i++) {
        char *low = slab->base + i * slab_class_bytes(slab->class) + STACK_GUARD_BYTES;
        slab->tool_id[i] = VALGRIND_STACK_REGISTER(low, low + classes[slab->class].bytes);
    }
#else
    (void)slab;
#endif
}

static void
tool_deregister(struct stack_slab *slab)
{
#ifdef SKEIN_VALGRIND
    for (uint32_t i = 0; slab->tool_id && i < slab->count; i++)
        VALGRIND_STACK_DEREGISTER(slab->tool_id[i]);
    mem_free(slab->tool_id);
#else
    (void)slab;
#endif
}

struct stack_slab *
slab_open(struct skein_stack_pool *pool, enum skein_stack_class stack_class)
{
    uint32_t count = classes[stack_class].slab_count;
    size_t bytes = count * slab_class_bytes(stack_class);
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    madvise(base, bytes, MADV_NOHUGEPAGE);
    struct mem_arena *arena = mem_arena_set_current(NULL);
    struct stack_slab *slab = mem_zalloc(sizeof(*slab));
    *slab = (struct stack_slab){.pool = pool, .class = stack_class, .count = count, .base = base};
    slab->cold = count == 64 ? UINT64_MAX : (1ull << count) - 1;
    tool_register(slab);
    mem_arena_set_current(arena);
    list_push_front(&pool->classes[stack_class].slabs, &slab->link);
    pool->classes[stack_class].mapped_count += count;
    pool->slab_count++;
    return slab;
}

void
slab_close(struct stack_slab *slab)
{
    struct skein_stack_pool *pool = slab->pool;
    skein_assert(pool->slab_count > 0);
    list_remove(&slab->link);
    pool->slab_count--;
    pool->classes[slab->class].mapped_count -= slab->count;
    if (pool->split_count > 0)
        pool->split_count -= (size_t)__builtin_popcountll(slab->guarded);
    tool_deregister(slab);
    munmap(slab->base, slab->count * slab_class_bytes(slab->class));
    mem_free(slab);
}

static bool
guard(struct stack_slab *slab, uint32_t index)
{
    struct skein_stack_pool *pool = slab->pool;
    char *low = slab->base + index * slab_class_bytes(slab->class);
    if (slab->guarded >> index & 1)
        return true;
    if (pool->options.guard == SKEIN_STACK_GUARD_SPLIT ||
        madvise(low, STACK_GUARD_BYTES, MADVISE_GUARD_INSTALL) < 0) {
        if (pool->split_count >= STACK_SPLIT_COUNT_MAX ||
            mprotect(low, STACK_GUARD_BYTES, PROT_NONE) < 0)
            return false;
        pool->split_count++;
    }
    slab->guarded |= 1ull << index;
    return true;
}

struct core_stack *
slab_take(struct stack_slab *slab)
{
    skein_assert(slab->cold != 0);
    uint32_t index = (uint32_t)__builtin_ctzll(slab->cold);
    if (!guard(slab, index))
        return NULL;
    slab->cold &= ~(1ull << index);
    if (slab->cold == 0)
        list_remove(&slab->link);
    size_t bytes = slab_class_bytes(slab->class);
    char *high = slab->base + (index + 1) * bytes - index % COLOUR_COUNT * COLOUR_BYTES;
    size_t record_bytes = (sizeof(struct core_stack) + 63) & ~(size_t)63;
    struct core_stack *stack = (struct core_stack *)(void *)(high - record_bytes);
    *stack = (struct core_stack){.slab = slab};
    stack->low = slab->base + index * bytes + STACK_GUARD_BYTES;
    stack->room = (char *)stack - STACK_ROOM_BYTES;
    stack->usable_bytes = (size_t)((char *)stack->room - stack->low);
    return stack;
}

void
slab_give(struct core_stack *stack)
{
    struct stack_slab *slab = stack->slab;
    struct skein_stack_pool *pool = slab->pool;
    size_t bytes = slab_class_bytes(slab->class);
    char *low = stack->low - STACK_GUARD_BYTES;
    uint32_t index = (uint32_t)((size_t)(low - slab->base) / bytes);
    skein_assert(index < slab->count);
    skein_assert(!(slab->cold >> index & 1));
    /* The guard stays: the kernel keeps its markers when pages are dropped. */
    madvise(stack->low, bytes - STACK_GUARD_BYTES, MADV_DONTNEED);
    if (slab->cold == 0)
        list_push_front(&pool->classes[slab->class].slabs, &slab->link);
    slab->cold |= 1ull << index;
    if ((uint32_t)__builtin_popcountll(slab->cold) == slab->count)
        slab_close(slab);
}
