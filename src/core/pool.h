/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "base/list.h"
#include "skein/memory.h"

/*
 * A shard's heap (skein/memory.h).
 *
 *   heap.partial[class] -> slabs that have a free object   (full ones are in no list)
 *   heap.roomy          -> chunks that have a free slab
 *   heap.remote         -> objects freed by others, linked through their first word
 *
 * A chunk is one of three kinds: 31 slabs of 64 KiB for classes up to 8 KiB; one slab of a larger
 * class over all of it; or one large object, and then it is longer than 2 MiB, the object beginning
 * in its first 64 KiB. So the chunk of every object is its address, masked.
 *
 * Partners: `remote` in pool_push_remote with pool_take_remote.
 */

#define POOL_CHUNK_BYTES ((size_t)2 << 20)
#define POOL_SLAB_BYTES ((size_t)64 << 10)
#define POOL_SLAB_COUNT (POOL_CHUNK_BYTES / POOL_SLAB_BYTES) /* the header's place is the first */
#define POOL_SMALL_BYTES_MAX ((size_t)8 << 10)
#define POOL_MEDIUM_BYTES_MAX ((size_t)256 << 10)
/* Classes from 16 bytes to 256 KiB. */
#define POOL_CLASS_COUNT 52

enum pool_chunk_kind { POOL_CHUNK_SMALL, POOL_CHUNK_MEDIUM, POOL_CHUNK_LARGE };

struct pool_slab {
    struct skein_list link; /* in heap.partial */
    void *free;             /* objects that were used and freed */
    char *base;
    uint32_t object_bytes;
    uint32_t object_count;
    uint32_t fresh_count; /* objects never used so far begin here */
    uint32_t used_count;
    uint32_t class_index;
    bool in_use;
};

struct pool_chunk {
    uint64_t magic;
    struct pool *heap;
    enum pool_chunk_kind kind;
    size_t bytes;                 /* of the mapping, or of what the arena gave */
    void *block;                  /* what the arena gave; NULL: it is a mapping */
    struct skein_list link;       /* all chunks of the heap */
    struct skein_list roomy_link; /* small ones with a free slab */
    size_t large_bytes;           /* of the one object */
    uint32_t slab_used_count;
    struct pool_slab slabs[POOL_SLAB_COUNT];
};

_Static_assert(sizeof(struct pool_chunk) <= POOL_SLAB_BYTES, "the header is the first slab");

struct pool {
    uint64_t magic;
    unsigned owner; /* the shard's number */
    int node;
    uint64_t held_bytes_max; /* 0: no limit */
    struct skein_list partial[POOL_CLASS_COUNT];
    struct skein_list chunks;
    struct skein_list roomy;
    struct skein_memory_stats stats;
    struct skein_memory_injection injection;
    uint64_t injection_clock;
    _Alignas(128) void *remote;
};

/* pool_open - a heap for shard @owner. @node: a NUMA node, or -1. */
struct pool *pool_open(unsigned owner, int node, uint64_t held_bytes_max);
/* pool_close - with all objects that are left. NULL is allowed. */
void pool_close(struct pool *pool);

/* pool_take_remote - what others have freed is free. */
void pool_take_remote(struct pool *pool);
static inline bool
pool_has_remote(const struct pool *pool)
{
    return __atomic_load_n(&pool->remote, __ATOMIC_RELAXED) != NULL;
}

/* pool_class - the class of a size up to POOL_MEDIUM_BYTES_MAX; its object's size. Pure. */
uint32_t pool_class(size_t bytes, size_t *out_object_bytes);

/* pool_object_bytes - what an object of @bytes takes, of any size; UINT64_MAX: none is so large.
 * Pure. */
uint64_t pool_object_bytes(size_t bytes);

/* ---- pool_chunk.c ---- */
/* pool_chunk_open - a chunk, in heap.chunks; @bytes: a multiple of POOL_CHUNK_BYTES. NULL: a limit
 * is reached. */
struct pool_chunk *pool_chunk_open(struct pool *pool, enum pool_chunk_kind kind, size_t bytes);
void pool_chunk_close(struct pool_chunk *chunk);
static inline struct pool_chunk *
pool_chunk_of(const void *object)
{
    return (struct pool_chunk *)((uintptr_t)object & ~(uintptr_t)(POOL_CHUNK_BYTES - 1));
}
/* pool_map / pool_unmap - @bytes aligned to POOL_CHUNK_BYTES, bound to @node; NULL: none. */
void *pool_map(size_t bytes, int node, bool reserved);
void pool_unmap(void *p, size_t bytes);

#endif
