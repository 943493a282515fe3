/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define ZERO_BY_HAND_BYTES_MAX 1024

static __thread struct mem_arena *current_arena;

struct mem_arena *
mem_arena_set_current(struct mem_arena *arena)
{
    struct mem_arena *previous = current_arena;
    current_arena = arena;
    return previous;
}

/* Calls that may fail, and the one that does (mem_fail_at). */
static __thread uint64_t try_count;
static __thread uint64_t fail_at;

uint64_t
mem_fail_at(uint64_t nth)
{
    uint64_t count = try_count;
    try_count = 0;
    fail_at = nth;
    return count;
}

static __thread void (*on_exhausted)(void *owner);
static __thread void *exhausted_owner;

void
mem_on_exhausted(void (*handler)(void *owner), void *owner)
{
    on_exhausted = handler;
    exhausted_owner = owner;
}

_Noreturn void
mem_exhausted(const char *text)
{
    if (on_exhausted)
        on_exhausted(exhausted_owner);
    base_die(__FILE__, __LINE__, text);
}

static void *
take(size_t bytes)
{
    return current_arena ? arena_alloc(current_arena, 16, bytes) : malloc(bytes ? bytes : 1);
}

bool
mem_try_fails(void)
{
    return ++try_count == fail_at;
}

void *
mem_try_alloc(size_t bytes)
{
    return mem_try_fails() ? NULL : take(bytes);
}

void *
mem_alloc(size_t bytes)
{
    void *p = take(bytes);
    if (!p)
        mem_exhausted("out of memory");
    return p;
}

void *
mem_zalloc(size_t bytes)
{
    /* What is small comes faster from malloc, whose cache of freed blocks calloc passes by. */
    if (!current_arena && bytes > ZERO_BY_HAND_BYTES_MAX) {
        void *p = calloc(1, bytes);
        if (!p)
            mem_exhausted("out of memory");
        return p;
    }
    return memset(mem_alloc(bytes), 0, bytes);
}

static void *
retake(void *p, size_t bytes)
{
    struct mem_arena *owner = p ? arena_owner(p) : current_arena;
    if (!owner)
        return realloc(p, bytes ? bytes : 1);
    void *grown = arena_alloc(owner, 16, bytes);
    if (!grown || !p)
        return grown;
    size_t had = arena_block_bytes(p);
    memcpy(grown, p, had < bytes ? had : bytes);
    arena_free(owner, p);
    return grown;
}

void *
mem_try_realloc(void *p, size_t bytes)
{
    return mem_try_fails() ? NULL : retake(p, bytes);
}

void *
mem_realloc(void *p, size_t bytes)
{
    void *grown = retake(p, bytes);
    if (!grown)
        mem_exhausted("out of memory");
    return grown;
}

void *
mem_alloc_aligned(size_t align, size_t bytes)
{
    skein_assert(align >= 16 && align <= 4096 && (align & (align - 1)) == 0);
    void *p = NULL;
    if (current_arena)
        p = arena_alloc(current_arena, align, bytes);
    else if (posix_memalign(&p, align, bytes ? bytes : 1) != 0)
        p = NULL;
    if (!p)
        mem_exhausted("out of memory");
    return p;
}

void
mem_free(void *p)
{
    if (!p)
        return;
    struct mem_arena *owner = arena_owner(p);
    if (owner)
        arena_free(owner, p);
    else
        free(p);
}

char *
mem_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

void
mem_grow(void *array, size_t *capacity, size_t count, size_t element_bytes)
{
    if (count < *capacity)
        return;
    size_t wanted = *capacity ? *capacity * 2 : 8;
    void **slot = array;
    *slot = mem_realloc(*slot, wanted * element_bytes);
    *capacity = wanted;
}
