/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stack.h"

#include <sys/mman.h>

#include "base/mem.h"
#include "core/context.h"

#define STACK_MADV_GUARD_INSTALL 102
#define STACK_POOL_MAGIC 0x736b706f6f6c3031ull

#ifdef CONTEXT_ASAN
#define STACK_SCALE 4
#else
#define STACK_SCALE 1
#endif

static const size_t class_bytes[SKEIN_STACK_CLASS_COUNT] = {
    [SKEIN_STACK_SMALL] = STACK_SCALE * 64 * 1024,
    [SKEIN_STACK_LARGE] = STACK_SCALE * 256 * 1024,
};

struct skein_stack_pool {
    uint64_t magic;
    struct skein_list free[SKEIN_STACK_CLASS_COUNT];
    size_t free_count[SKEIN_STACK_CLASS_COUNT];
    size_t used_count;
};

struct skein_stack_pool *
skein_stack_pool_open(void)
{
    struct mem_arena *arena = mem_arena_set_current(NULL);
    struct skein_stack_pool *pool = mem_zalloc(sizeof(*pool));
    mem_arena_set_current(arena);
    pool->magic = STACK_POOL_MAGIC;
    for (int i = 0; i < SKEIN_STACK_CLASS_COUNT; i++)
        list_init(&pool->free[i]);
    return pool;
}

static size_t
mapping_bytes(enum skein_stack_class stack_class)
{
    return STACK_GUARD_BYTES + class_bytes[stack_class];
}

static void
unmap(struct core_stack *stack)
{
    munmap(stack->low - STACK_GUARD_BYTES, mapping_bytes(stack->class));
}

void
skein_stack_pool_close(struct skein_stack_pool *pool)
{
    if (!pool)
        return;
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    skein_assert(pool->used_count == 0);
    for (int i = 0; i < SKEIN_STACK_CLASS_COUNT; i++) {
        struct skein_list *link;
        while ((link = list_pop_front(&pool->free[i])))
            unmap(LIST_ENTRY(link, struct core_stack, link));
    }
    pool->magic = 0;
    mem_free(pool);
}

static struct core_stack *
map(struct skein_stack_pool *pool, enum skein_stack_class stack_class)
{
    size_t bytes = mapping_bytes(stack_class);
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    madvise(base, bytes, MADV_NOHUGEPAGE);
    if (madvise(base, STACK_GUARD_BYTES, STACK_MADV_GUARD_INSTALL) < 0 &&
        mprotect(base, STACK_GUARD_BYTES, PROT_NONE) < 0) {
        munmap(base, bytes);
        return NULL;
    }
    size_t record_bytes = (sizeof(struct core_stack) + 63) & ~(size_t)63;
    struct core_stack *stack = (struct core_stack *)(void *)(base + bytes - record_bytes);
    stack->pool = pool;
    stack->class = stack_class;
    stack->low = base + STACK_GUARD_BYTES;
    stack->room = (char *)stack - STACK_ROOM_BYTES;
    stack->usable_bytes = (size_t)((char *)stack->room - stack->low);
    return stack;
}

struct core_stack *
stack_acquire(struct skein_stack_pool *pool, enum skein_stack_class stack_class)
{
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    skein_assert(stack_class < SKEIN_STACK_CLASS_COUNT);
    struct skein_list *link = list_pop_front(&pool->free[stack_class]);
    struct core_stack *stack;
    if (link) {
        stack = LIST_ENTRY(link, struct core_stack, link);
        pool->free_count[stack_class]--;
    } else {
        stack = map(pool, stack_class);
        if (!stack)
            return NULL;
    }
    pool->used_count++;
    return stack;
}

void
stack_release(struct core_stack *stack)
{
    struct skein_stack_pool *pool = stack->pool;
    skein_assert(pool->magic == STACK_POOL_MAGIC);
    skein_assert(pool->used_count > 0);
    pool->used_count--;
    /* A fiber that ended or was abandoned leaves its frames' red zones behind. */
    context_forget_stack(stack->low, stack->usable_bytes + STACK_ROOM_BYTES);
    if (pool->free_count[stack->class] >= STACK_FREE_COUNT_MAX) {
        unmap(stack);
        return;
    }
    pool->free_count[stack->class]++;
    list_push_front(&pool->free[stack->class], &stack->link);
}

bool
stack_guards(const struct core_stack *stack, const void *address)
{
    const char *at = address;
    return at < stack->low && at >= stack->low - STACK_GUARD_BYTES;
}
