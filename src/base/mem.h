/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * Memory of node code.
 *
 * Everything above base allocates here and nowhere else, because a node must be droppable as a
 * whole: the simulator crashes nodes, and a crash does not unwind. A thread has a current arena.
 * NULL (the real world) means the C library's allocator; the simulator sets each node's own arena
 * while that node runs (base/arena.h). A block is freed to where it came from whatever the current
 * arena is: the owner is found from the address.
 *
 * Two kinds of call:
 *   mem_alloc...      for sizes the program itself bounds: never NULL. When the machine is out of
 *                     memory the process ends with one clear line; it is crash-safe, so ending is
 *                     the honest answer.
 *   mem_try_alloc...  for sizes that come from a peer, a file or a user (after the limit check):
 *                     NULL when there is no memory; the caller answers -SKEIN_ENOMEM.
 *
 * Invariant: a zero-byte request gives a unique pointer that may be freed.
 */

struct mem_arena;

/* mem_alloc - @bytes uninitialised bytes, aligned to 16. Never NULL. */
void *mem_alloc(size_t bytes) __attribute__((malloc));
/* mem_zalloc - the same, zeroed. */
void *mem_zalloc(size_t bytes) __attribute__((malloc));
/* mem_realloc - grow or shrink; @p may be NULL. Never NULL. */
void *mem_realloc(void *p, size_t bytes);
/* mem_try_alloc - as mem_alloc, but NULL when there is no memory. */
void *mem_try_alloc(size_t bytes) __attribute__((malloc)) SKEIN_MUST_CHECK;
/* mem_try_realloc - as mem_realloc, but NULL (and @p left alone) when there is no memory. */
void *mem_try_realloc(void *p, size_t bytes) SKEIN_MUST_CHECK;
/* mem_alloc_aligned - @align a power of two up to 4096; for O_DIRECT buffers. Free with mem_free.
 */
void *mem_alloc_aligned(size_t align, size_t bytes) __attribute__((malloc));
/* mem_free - @p may be NULL. */
void mem_free(void *p);
/* mem_strdup - a copy of @text. Never NULL. */
char *mem_strdup(const char *text);

/*
 * mem_fail_at - for tests: the @nth call of mem_try_alloc or mem_try_realloc on this thread from
 * now on gives NULL; 0: none does. Returns how many there were since it was called before.
 * (mem_alloc and its kind do not fail, and do not count.)
 */
uint64_t mem_fail_at(uint64_t nth);

/* mem_exhausted - there is no memory for what must not be left out: the process ends, and says so
 * with @text. */
_Noreturn void mem_exhausted(const char *text);

/* mem_try_fails - one such call of an allocator of its own: whether it is the one that is to fail.
 */
bool mem_try_fails(void);

/* mem_on_exhausted - from now on @handler is called on this thread instead, and must not return:
 * the simulator ends the node and goes on. NULL: the process ends. */
void mem_on_exhausted(void (*handler)(void *owner), void *owner);

/* mem_arena_set_current - the arena the calling thread allocates from; NULL: the C library's.
 * Returns the previous one, so that calls nest. */
struct mem_arena *mem_arena_set_current(struct mem_arena *arena);

/*
 * mem_grow - make room for one more element in a growing array (amortised doubling).
 * @array: pointer to the array pointer; @capacity: its capacity in elements, updated; @count: the
 * elements in use; @element_bytes: the size of one.
 */
void mem_grow(void *array, size_t *capacity, size_t count, size_t element_bytes);

#endif
