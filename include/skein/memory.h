/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_MEMORY_H
#define SKEIN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Memory of a shard.
 *
 * Each shard has a heap of its own, without locks. It is there to be used, and replaces malloc for
 * nobody: foreign code keeps what it has.
 *
 *   2 MiB chunk, aligned to its size:
 *   | header | slab of 64 KiB | slab | slab | ...      one size class a slab
 *     ^ the owner: found from an object's address by masking it
 *
 * Sizes are rounded up to one of four classes a power of two (16 32 48 64 80 96 112 128 160 ...),
 * so at most a fifth is lost, beyond 64 bytes. What is larger than 256 KiB has a mapping of its
 * own.
 *
 * An object may be freed anywhere. On its own shard that is a few instructions; elsewhere it goes
 * onto the owner's list with one atomic operation, and the owner takes the list back between two
 * turns or when it next runs short. Nobody is woken for it.
 *
 * Where there are several NUMA nodes a runtime's shards bind their chunks to their node.
 *
 * In the simulator the chunks come from the node's arena: a crash drops them all.
 */

/* ---- objects ---- */

/*
 * skein_alloc - @bytes uninitialised bytes, aligned to 16; 0 bytes give an object of their own.
 * **Runs on** a shard; does not suspend. **Returns** NULL: the heap's limit (memory_bytes_max of
 * the runtime) or the machine's is reached, or a failure was injected.
 */
void *skein_alloc(size_t bytes) SKEIN_MUST_CHECK;
/* skein_zalloc - the same, zeroed. */
void *skein_zalloc(size_t bytes) SKEIN_MUST_CHECK;
/* skein_alloc_aligned - the same, aligned to @align, a power of two from 16 to 65536. 4096 suits
 * SKEIN_FILE_DIRECT. */
void *skein_alloc_aligned(size_t align, size_t bytes) SKEIN_MUST_CHECK;
/* skein_free - @object may be NULL. **Runs on** any thread, while the owner's shard is open. */
void skein_free(void *object);
/* skein_usable_bytes - what an object really has room for. O(1). */
size_t skein_usable_bytes(const void *object);
/* skein_owner - the number of the shard whose heap an object is from. O(1); any thread. */
unsigned skein_owner(const void *object);

/* ---- buffers of huge pages ---- */

struct skein_huge {
    void *data;    /* aligned to 2 MiB */
    size_t bytes;  /* rounded up to 2 MiB */
    bool reserved; /* of the kernel's pool of huge pages; false: transparent ones, where it can */
};

/* skein_huge_open - **Returns** 0; -SKEIN_ENOMEM. **Runs on** a shard; bound to its node. */
int skein_huge_open(struct skein_huge *out_huge, size_t bytes) SKEIN_MUST_CHECK;
/* skein_huge_close - idempotent; zeroed is valid. Any thread. */
void skein_huge_close(struct skein_huge *huge);

/* ---- budgets ---- */

/*
 * How much one owner (a connection, a tenant, a cache) may have, counted in usable bytes. Budgets
 * nest: what is taken from one is taken from those above it, or from none. One shard only.
 */
struct skein_budget {
    struct skein_budget *parent; /* NULL: none */
    uint64_t bytes_max;
    uint64_t used_bytes;
    uint64_t peak_bytes;
    uint64_t refused_count;
};

void skein_budget_init(struct skein_budget *budget, struct skein_budget *parent,
                       uint64_t bytes_max);
/* skein_budget_deinit - everything was given back. */
void skein_budget_deinit(struct skein_budget *budget);
/* skein_budget_take - account for @bytes that come from elsewhere. **Returns** 0; -SKEIN_ENOMEM:
 * the budget, or one above it, is exhausted (free something, refuse the work, or wait). */
int skein_budget_take(struct skein_budget *budget, uint64_t bytes) SKEIN_MUST_CHECK;
void skein_budget_give(struct skein_budget *budget, uint64_t bytes);
/* skein_budget_alloc - skein_alloc within the budget. @out_object: untouched on failure.
 * **Returns** 0; -SKEIN_ENOMEM: the budget is exhausted; -ENOMEM: there is no memory. */
int skein_budget_alloc(struct skein_budget *budget, size_t bytes,
                       void **out_object) SKEIN_MUST_CHECK;
/* skein_budget_free - an object of skein_budget_alloc, on its shard. NULL is allowed. */
void skein_budget_free(struct skein_budget *budget, void *object);

/* ---- figures ---- */

struct skein_memory_stats {
    uint64_t used_bytes; /* in objects, as rounded */
    uint64_t used_bytes_peak;
    uint64_t held_bytes; /* taken from the machine */
    uint64_t alloc_count;
    uint64_t free_count;        /* remote ones too, once they have come home */
    uint64_t remote_free_count; /* freed by others */
    uint64_t refused_count;     /* skein_alloc gave NULL: a limit */
    uint64_t injected_count;    /* skein_alloc gave NULL: as asked for below */
    int node;                   /* the NUMA node chunks are bound to; -1: none */
};

/* skein_memory_stats_read - of the current shard's heap. */
void skein_memory_stats_read(struct skein_memory_stats *out_stats);

/* ---- failures on purpose ---- */

/*
 * Of the current shard's allocations, every @nth fails (0: none does so) and each with a chance of
 * @per_million, drawn from the backend's entropy: in the simulator the seed decides which.
 */
struct skein_memory_injection {
    uint64_t nth;
    uint32_t per_million;
};

/* skein_memory_inject - from now on; NULL: no failures. */
void skein_memory_inject(const struct skein_memory_injection *injection);

#ifdef __cplusplus
}
#endif

#endif
