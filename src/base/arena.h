/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

/*
 * An arena: a heap inside one region of address space, dropped as a whole.
 *
 * The region is given by the caller (base makes no system call), is aligned to ARENA_REGION_BYTES
 * and is ARENA_REGION_BYTES long, so the owner of an address is found by masking it. Blocks come
 * from size classes (four a power of two); a freed block goes on its class's list. The order of
 * addresses is a function of the calls alone: the same run gives the same offsets.
 *
 * Not for several threads at once. At most ARENA_MAX arenas live in a process.
 */

#define ARENA_REGION_BYTES ((size_t)1 << 32)
#define ARENA_MAX 64

struct mem_arena;

/* arena_init - build an arena in @region (zeroed or freshly mapped memory, aligned to and as long
 * as ARENA_REGION_BYTES). @limit_bytes: what may be in use at once. Returns it. */
struct mem_arena *arena_init(void *region, size_t limit_bytes);
/* arena_deinit - forget the arena; the caller unmaps or reuses the region. Every block is gone. */
void arena_deinit(struct mem_arena *arena);

/* arena_alloc - NULL at the limit. @align: a power of two, 16 to 4096. */
void *arena_alloc(struct mem_arena *arena, size_t align, size_t bytes);
void arena_free(struct mem_arena *arena, void *p);
/* arena_owner - the arena @p lies in, or NULL. O(1). */
struct mem_arena *arena_owner(const void *p);
/* arena_block_bytes - the size a block was asked for with. */
size_t arena_block_bytes(const void *p);
/* arena_used_bytes - bytes handed out and not freed, headers included. */
size_t arena_used_bytes(const struct mem_arena *arena);
/* arena_touched_bytes - how far into the region blocks were ever placed. */
size_t arena_touched_bytes(const struct mem_arena *arena);

#endif
