/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "core/pool.h"

#define CHUNK_MAGIC 0x736b6368756e6b31ull

static void
bind(void *p, size_t bytes, int node)
{
    unsigned long mask = 1ul << node;
    /* Without the right or the memory it stays where the kernel puts it: slower, not wrong. */
    long rc = syscall(SYS_mbind, p, bytes, MPOL_PREFERRED, &mask, sizeof(mask) * 8, 0);
    (void)rc;
}

void *
pool_map(size_t bytes, int node, bool reserved)
{
    if (bytes > SIZE_MAX - POOL_CHUNK_BYTES)
        return NULL;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (reserved)
        flags |= MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
    size_t more = reserved ? bytes : bytes + POOL_CHUNK_BYTES;
    char *raw = mmap(NULL, more, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    uintptr_t mask = POOL_CHUNK_BYTES - 1;
    char *aligned = (char *)(((uintptr_t)raw + mask) & ~mask);
    if (aligned > raw)
        munmap(raw, (size_t)(aligned - raw));
    if (aligned + bytes < raw + more)
        munmap(aligned + bytes, (size_t)(raw + more - aligned - bytes));
    if (node >= 0)
        bind(aligned, bytes, node);
    return aligned;
}

void
pool_unmap(void *p, size_t bytes)
{
    int rc = munmap(p, bytes);
    skein_assert(rc == 0);
}

/* In the simulator: from the node's arena, which knows no such alignment. */
static struct pool_chunk *
from_arena(size_t bytes, void **out_block)
{
    char *block = mem_try_alloc(bytes + POOL_CHUNK_BYTES);
    uintptr_t mask = POOL_CHUNK_BYTES - 1;
    *out_block = block;
    return block ? (struct pool_chunk *)(((uintptr_t)block + mask) & ~mask) : NULL;
}

struct pool_chunk *
pool_chunk_open(struct pool *pool, enum pool_chunk_kind kind, size_t bytes)
{
    skein_assert(bytes >= POOL_CHUNK_BYTES && bytes % POOL_CHUNK_BYTES == 0);
    if (pool->held_bytes_max > 0 &&
        (bytes > pool->held_bytes_max || pool->stats.held_bytes > pool->held_bytes_max - bytes))
        return NULL;
    void *block = NULL;
    struct pool_chunk *chunk =
        arena_owner(pool) ? from_arena(bytes, &block) : pool_map(bytes, pool->node, false);
    if (!chunk)
        return NULL;
    memset(chunk, 0, sizeof(*chunk));
    chunk->magic = CHUNK_MAGIC;
    chunk->heap = pool;
    chunk->kind = kind;
    chunk->bytes = bytes;
    chunk->block = block;
    pool->stats.held_bytes += bytes;
    list_push_back(&pool->chunks, &chunk->link);
    return chunk;
}

void
pool_chunk_close(struct pool_chunk *chunk)
{
    skein_assert(chunk->magic == CHUNK_MAGIC);
    chunk->magic = 0;
    chunk->heap->stats.held_bytes -= chunk->bytes;
    list_remove(&chunk->link);
    list_remove(&chunk->roomy_link);
    if (chunk->block)
        mem_free(chunk->block);
    else
        pool_unmap(chunk, chunk->bytes);
}
