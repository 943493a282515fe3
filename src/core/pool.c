/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pool.h"

#include <string.h>

#include "base/mem.h"
#include "core/context.h"
#include "core/internal.h"
#include "skein/call.h"

#ifdef CONTEXT_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define POOL_MAGIC 0x736b706f6f6c6865ull
#define ALIGN_MAX ((size_t)65536)
#define LARGE_BYTES_MAX (SIZE_MAX / 2)

/* ---- classes ---- */

uint32_t
pool_class(size_t bytes, size_t *out_object_bytes)
{
    skein_assert(bytes <= POOL_MEDIUM_BYTES_MAX);
    if (bytes <= 64) {
        uint32_t index = bytes <= 16 ? 0 : (uint32_t)((bytes - 1) / 16);
        *out_object_bytes = (index + 1) * 16;
        return index;
    }
    /* 2^power < bytes <= 2^(power + 1), in four steps. */
    uint32_t power = 63 - (uint32_t)__builtin_clzll(bytes - 1);
    size_t step = (size_t)1 << (power - 2);
    size_t steps = (bytes - 1 - ((size_t)1 << power)) / step;
    *out_object_bytes = ((size_t)1 << power) + (steps + 1) * step;
    return 4 + (power - 6) * 4 + (uint32_t)steps;
}

static size_t
large_chunk_bytes(size_t bytes)
{
    return (bytes + POOL_SLAB_BYTES + POOL_CHUNK_BYTES - 1) & ~(POOL_CHUNK_BYTES - 1);
}

uint64_t
pool_object_bytes(size_t bytes)
{
    size_t object_bytes;
    if (bytes > LARGE_BYTES_MAX)
        return UINT64_MAX;
    if (bytes > POOL_MEDIUM_BYTES_MAX)
        return large_chunk_bytes(bytes) - POOL_SLAB_BYTES;
    pool_class(bytes, &object_bytes);
    return object_bytes;
}

/* ---- the heap ---- */

struct pool *
pool_open(unsigned owner, int node, uint64_t held_bytes_max)
{
    struct pool *pool = mem_alloc_aligned(128, sizeof(*pool));
    memset(pool, 0, sizeof(*pool));
    pool->magic = POOL_MAGIC;
    pool->owner = owner;
    pool->node = node;
    pool->held_bytes_max = held_bytes_max;
    pool->stats.node = node;
    for (int i = 0; i < POOL_CLASS_COUNT; i++)
        list_init(&pool->partial[i]);
    list_init(&pool->chunks);
    list_init(&pool->roomy);
    return pool;
}

void
pool_close(struct pool *pool)
{
    if (!pool)
        return;
    skein_assert(pool->magic == POOL_MAGIC);
    while (!list_is_empty(&pool->chunks)) {
        struct pool_chunk *chunk = LIST_ENTRY(pool->chunks.next, struct pool_chunk, link);
        UNPOISON(chunk, chunk->bytes);
        pool_chunk_close(chunk);
    }
    pool->magic = 0;
    mem_free(pool);
}

static struct pool *
current_pool(void)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    if (!shard->pool)
        shard->pool = pool_open(skein_shard_index(), -1, 0);
    return shard->pool;
}

/* ---- slabs ---- */

static void
slab_init(struct pool *pool, struct pool_slab *slab, char *base, size_t bytes, uint32_t class_index,
          size_t object_bytes)
{
    *slab = (struct pool_slab){.base = base,
                               .object_bytes = (uint32_t)object_bytes,
                               .object_count = (uint32_t)(bytes / object_bytes),
                               .class_index = class_index,
                               .in_use = true};
    POISON(base, bytes);
    list_push_front(&pool->partial[class_index], &slab->link);
}

static struct pool_slab *
small_slab(struct pool *pool, uint32_t class_index, size_t object_bytes)
{
    if (list_is_empty(&pool->roomy)) {
        struct pool_chunk *fresh = pool_chunk_open(pool, POOL_CHUNK_SMALL, POOL_CHUNK_BYTES);
        if (!fresh)
            return NULL;
        list_push_front(&pool->roomy, &fresh->roomy_link);
    }
    struct pool_chunk *chunk = LIST_ENTRY(pool->roomy.next, struct pool_chunk, roomy_link);
    size_t i = 1;
    while (chunk->slabs[i].in_use)
        i++;
    slab_init(pool, &chunk->slabs[i], (char *)chunk + i * POOL_SLAB_BYTES, POOL_SLAB_BYTES,
              class_index, object_bytes);
    if (++chunk->slab_used_count == POOL_SLAB_COUNT - 1)
        list_remove(&chunk->roomy_link);
    return &chunk->slabs[i];
}

static struct pool_slab *
medium_slab(struct pool *pool, uint32_t class_index, size_t object_bytes)
{
    struct pool_chunk *chunk = pool_chunk_open(pool, POOL_CHUNK_MEDIUM, POOL_CHUNK_BYTES);
    if (!chunk)
        return NULL;
    slab_init(pool, &chunk->slabs[0], (char *)chunk + POOL_SLAB_BYTES,
              POOL_CHUNK_BYTES - POOL_SLAB_BYTES, class_index, object_bytes);
    return &chunk->slabs[0];
}

static struct pool_slab *
slab_of(struct pool_chunk *chunk, const void *object)
{
    size_t i = chunk->kind == POOL_CHUNK_SMALL
                   ? ((uintptr_t)object & (POOL_CHUNK_BYTES - 1)) / POOL_SLAB_BYTES
                   : 0;
    return &chunk->slabs[i];
}

/* A slab nobody uses goes back, but for the last one of its class with room. */
static void
slab_release(struct pool *pool, struct pool_chunk *chunk, struct pool_slab *slab)
{
    struct skein_list *partial = &pool->partial[slab->class_index];
    if (partial->next == &slab->link && partial->prev == &slab->link)
        return;
    list_remove(&slab->link);
    slab->in_use = false;
    if (chunk->kind == POOL_CHUNK_MEDIUM) {
        UNPOISON(chunk, chunk->bytes);
        pool_chunk_close(chunk);
        return;
    }
    UNPOISON(slab->base, POOL_SLAB_BYTES);
    if (chunk->slab_used_count-- == POOL_SLAB_COUNT - 1)
        list_push_back(&pool->roomy, &chunk->roomy_link);
    if (chunk->slab_used_count == 0)
        pool_chunk_close(chunk);
}

/* ---- allocating ---- */

static bool
fails_on_purpose(struct pool *pool)
{
    const struct skein_memory_injection *injection = &pool->injection;
    bool fails = injection->nth > 0 && ++pool->injection_clock % injection->nth == 0;
    if (injection->per_million > 0 && skein_random() % 1000000 < injection->per_million)
        fails = true;
    pool->stats.injected_count += fails;
    return fails;
}

static void
count_in(struct pool *pool, size_t bytes)
{
    pool->stats.alloc_count++;
    pool->stats.used_bytes += bytes;
    if (pool->stats.used_bytes > pool->stats.used_bytes_peak)
        pool->stats.used_bytes_peak = pool->stats.used_bytes;
}

static void *
alloc_large(struct pool *pool, size_t bytes)
{
    if (bytes > LARGE_BYTES_MAX)
        return NULL;
    size_t whole = large_chunk_bytes(bytes);
    struct pool_chunk *chunk = pool_chunk_open(pool, POOL_CHUNK_LARGE, whole);
    if (!chunk)
        return NULL;
    chunk->large_bytes = whole - POOL_SLAB_BYTES;
    count_in(pool, chunk->large_bytes);
    return (char *)chunk + POOL_SLAB_BYTES;
}

static void *
alloc_class(struct pool *pool, uint32_t class_index, size_t object_bytes)
{
    struct skein_list *partial = &pool->partial[class_index];
    if (list_is_empty(partial) && pool_has_remote(pool))
        pool_take_remote(pool);
    struct pool_slab *slab;
    if (!list_is_empty(partial))
        slab = LIST_ENTRY(partial->next, struct pool_slab, link);
    else if (object_bytes <= POOL_SMALL_BYTES_MAX)
        slab = small_slab(pool, class_index, object_bytes);
    else
        slab = medium_slab(pool, class_index, object_bytes);
    if (!slab)
        return NULL;
    void *object = slab->free;
    if (object) {
        UNPOISON(object, object_bytes);
        memcpy(&slab->free, object, sizeof(void *));
    } else {
        skein_assert(slab->fresh_count < slab->object_count);
        object = slab->base + (size_t)slab->fresh_count++ * object_bytes;
        UNPOISON(object, object_bytes);
    }
    if (++slab->used_count == slab->object_count)
        list_remove(&slab->link);
    count_in(pool, object_bytes);
    return object;
}

void *
skein_alloc_aligned(size_t align, size_t bytes)
{
    skein_assert(align >= 16 && align <= ALIGN_MAX && (align & (align - 1)) == 0);
    struct pool *pool = current_pool();
    bool injects = pool->injection.nth > 0 || pool->injection.per_million > 0;
    if (mem_try_fails() || (injects && fails_on_purpose(pool)))
        return NULL;
    void *object;
    if (bytes > POOL_MEDIUM_BYTES_MAX) {
        object = alloc_large(pool, bytes);
    } else {
        size_t object_bytes;
        uint32_t class_index = pool_class(bytes, &object_bytes);
        /* Slabs begin at multiples of 64 KiB, so a multiple of @align will do; a power of two at
         * the latest is one. */
        while (object_bytes & (align - 1))
            class_index = pool_class(object_bytes + 1, &object_bytes);
        object = alloc_class(pool, class_index, object_bytes);
    }
    pool->stats.refused_count += object == NULL;
    return object;
}

void *
skein_alloc(size_t bytes)
{
    return skein_alloc_aligned(16, bytes);
}

void *
skein_zalloc(size_t bytes)
{
    void *object = skein_alloc(bytes);
    return object ? memset(object, 0, bytes) : NULL;
}

/* ---- freeing ---- */

static void
free_here(struct pool *pool, struct pool_chunk *chunk, void *object)
{
    pool->stats.free_count++;
    if (chunk->kind == POOL_CHUNK_LARGE) {
        pool->stats.used_bytes -= chunk->large_bytes;
        pool_chunk_close(chunk);
        return;
    }
    struct pool_slab *slab = slab_of(chunk, object);
    skein_assert(slab->used_count > 0);
    skein_assert_slow(((size_t)((char *)object - slab->base)) % slab->object_bytes == 0);
    pool->stats.used_bytes -= slab->object_bytes;
    memcpy(object, &slab->free, sizeof(void *));
    slab->free = object;
    POISON(object, slab->object_bytes);
    if (slab->used_count-- == slab->object_count)
        list_push_front(&pool->partial[slab->class_index], &slab->link);
    if (slab->used_count == 0)
        slab_release(pool, chunk, slab);
}

static void
push_remote(struct pool *pool, void *object)
{
    void *first = __atomic_load_n(&pool->remote, __ATOMIC_RELAXED);
    do {
        memcpy(object, &first, sizeof(first));
    } while (!__atomic_compare_exchange_n(&pool->remote, &first, object, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
}

void
pool_take_remote(struct pool *pool)
{
    void *object = __atomic_exchange_n(&pool->remote, NULL, __ATOMIC_ACQUIRE);
    while (object) {
        void *next;
        memcpy(&next, object, sizeof(next));
        pool->stats.remote_free_count++;
        free_here(pool, pool_chunk_of(object), object);
        object = next;
    }
}

void
skein_free(void *object)
{
    if (!object)
        return;
    struct pool_chunk *chunk = pool_chunk_of(object);
    struct pool *pool = chunk->heap;
    skein_assert(pool->magic == POOL_MAGIC);
    const struct skein_shard *shard = skein_shard_current();
    if (shard && shard->pool == pool)
        free_here(pool, chunk, object);
    else
        push_remote(pool, object);
}

size_t
skein_usable_bytes(const void *object)
{
    struct pool_chunk *chunk = pool_chunk_of(object);
    return chunk->kind == POOL_CHUNK_LARGE ? chunk->large_bytes
                                           : slab_of(chunk, object)->object_bytes;
}

unsigned
skein_owner(const void *object)
{
    return pool_chunk_of(object)->heap->owner;
}

/* ---- figures and failures ---- */

void
skein_memory_stats_read(struct skein_memory_stats *out_stats)
{
    *out_stats = current_pool()->stats;
}

void
skein_memory_inject(const struct skein_memory_injection *injection)
{
    struct pool *pool = current_pool();
    pool->injection = injection ? *injection : (struct skein_memory_injection){0};
    pool->injection_clock = 0;
}
