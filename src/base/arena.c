/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_MAGIC 0x616e657261656e6bull
#define CLASS_COUNT 128

/* Lies in the 16 bytes before each block. While the block is free, its first word links the list.
 */
struct block_header {
    uint32_t bytes;   /* as asked for */
    uint32_t rounded; /* as carved, without the first header */
    uint32_t class_index;
    uint32_t align_slack; /* from the start of the carved piece to the block */
};
_Static_assert(sizeof(struct block_header) == 16, "keeps blocks aligned to 16");

struct mem_arena {
    uint64_t magic;
    size_t next;  /* offset of the first byte never used */
    size_t used;  /* bytes in use */
    size_t limit; /* bound of used */
    void *free_blocks[CLASS_COUNT];
};

static struct mem_arena *registered[ARENA_MAX];
static uintptr_t registered_low = UINTPTR_MAX;
static uintptr_t registered_high;

/* Four classes a power of two, from 32 bytes on: 32 40 48 56 64 80 96 112 128 ... */
static uint32_t
class_of(size_t bytes, size_t *out_rounded)
{
    if (bytes < 32)
        bytes = 32;
    uint32_t power = 63 - (uint32_t)__builtin_clzll(bytes);
    size_t step = (size_t)1 << (power - 2);
    size_t rounded = (bytes + step - 1) & ~(step - 1);
    power = 63 - (uint32_t)__builtin_clzll(rounded);
    *out_rounded = (rounded + 15) & ~(size_t)15;
    return (power - 5) * 4 + (uint32_t)((rounded >> (power - 2)) & 3);
}

struct mem_arena *
arena_init(void *region, size_t limit_bytes)
{
    skein_assert(((uintptr_t)region & (ARENA_REGION_BYTES - 1)) == 0);
    struct mem_arena *arena = region;
    UNPOISON(arena, sizeof(*arena));
    memset(arena, 0, sizeof(*arena));
    arena->magic = ARENA_MAGIC;
    arena->next = 4096;
    arena->limit = limit_bytes < ARENA_REGION_BYTES ? limit_bytes : ARENA_REGION_BYTES;
    size_t slot = 0;
    while (slot < ARENA_MAX && registered[slot])
        slot++;
    skein_assert(slot < ARENA_MAX);
    registered[slot] = arena;
    if ((uintptr_t)region < registered_low)
        registered_low = (uintptr_t)region;
    if ((uintptr_t)region + ARENA_REGION_BYTES > registered_high)
        registered_high = (uintptr_t)region + ARENA_REGION_BYTES;
    return arena;
}

void
arena_deinit(struct mem_arena *arena)
{
    skein_assert(arena->magic == ARENA_MAGIC);
    for (size_t slot = 0; slot < ARENA_MAX; slot++)
        if (registered[slot] == arena)
            registered[slot] = NULL;
    UNPOISON(arena, arena->next);
    arena->magic = 0;
}

struct mem_arena *
arena_owner(const void *p)
{
    uintptr_t address = (uintptr_t)p;
    if (address < registered_low || address >= registered_high)
        return NULL;
    uintptr_t base = address & ~(uintptr_t)(ARENA_REGION_BYTES - 1);
    for (size_t slot = 0; slot < ARENA_MAX; slot++)
        if ((uintptr_t)registered[slot] == base)
            return registered[slot];
    return NULL;
}

static struct block_header *
header_of(const void *p)
{
    return (struct block_header *)((uintptr_t)p - sizeof(struct block_header));
}

void *
arena_alloc(struct mem_arena *arena, size_t align, size_t bytes)
{
    skein_assert(arena->magic == ARENA_MAGIC);
    if (bytes > ARENA_REGION_BYTES / 2)
        return NULL;
    size_t rounded;
    uint32_t class_index = class_of(align > 16 ? bytes + align : bytes, &rounded);
    skein_assert(class_index < CLASS_COUNT);
    size_t whole = rounded + sizeof(struct block_header);
    if (arena->used + whole > arena->limit)
        return NULL;
    char *block;
    if (arena->free_blocks[class_index]) {
        block = arena->free_blocks[class_index];
        UNPOISON(block, rounded);
        memcpy(&arena->free_blocks[class_index], block, sizeof(void *));
    } else {
        if (arena->next + whole > ARENA_REGION_BYTES)
            return NULL;
        block = (char *)arena + arena->next + sizeof(struct block_header);
        UNPOISON(block - sizeof(struct block_header), whole);
        arena->next += whole;
    }
    uintptr_t aligned = ((uintptr_t)block + align - 1) & ~(uintptr_t)(align - 1);
    struct block_header *header = header_of((void *)aligned);
    header->align_slack = (uint32_t)(aligned - (uintptr_t)block);
    header->class_index = class_index;
    header->rounded = (uint32_t)rounded;
    header->bytes = (uint32_t)bytes;
    arena->used += whole;
    POISON((char *)aligned + bytes, rounded - header->align_slack - bytes);
    return (void *)aligned;
}

void
arena_free(struct mem_arena *arena, void *p)
{
    struct block_header *header = header_of(p);
    skein_assert(arena->magic == ARENA_MAGIC);
    skein_assert(header->class_index < CLASS_COUNT);
    uint32_t class_index = header->class_index;
    size_t rounded = header->rounded;
    arena->used -= rounded + sizeof(struct block_header);
    char *block = (char *)p - header->align_slack;
    UNPOISON(block, rounded);
    memcpy(block, &arena->free_blocks[class_index], sizeof(void *));
    arena->free_blocks[class_index] = block;
    POISON(block, rounded);
}

size_t
arena_block_bytes(const void *p)
{
    return header_of(p)->bytes;
}

size_t
arena_used_bytes(const struct mem_arena *arena)
{
    return arena->used;
}

size_t
arena_touched_bytes(const struct mem_arena *arena)
{
    return arena->next;
}
