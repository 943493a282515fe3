/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "core/context.h"
#include "skein/shard.h"

/*
 * A fiber's stack and its bookkeeping in one piece of memory:
 *
 *   low                                                                      high
 *   | guard | ....... usable, grows down <---- | room for the fiber | struct core_stack | colour |
 *
 * The room, the record and the first frames share the topmost page, so a parked fiber whose frames
 * are small costs one page and its part of a page table. The colour, a multiple of 128 bytes that
 * differs between neighbours, spreads the records over the sets of the processor's caches: without
 * it the hot lines of all fibers would compete for the same few.
 *
 * Stacks are cut from slabs, one mapping for a few dozen of them. A stack is
 *
 *      cold --acquire--> used --release--> hot (the pool's free list, pages kept)
 *        ^                                  |
 *        +--- beyond the hot limit: its pages go back to the kernel; a slab that is all cold is
 *             unmapped
 *
 * Nothing of it is in an arena, so a pool never points into a node that is gone. The guard is
 * installed with MADV_GUARD_INSTALL where the kernel has it: a million stacks stay few mappings.
 * Else it is mprotect, which splits the mapping; a pool then has at most STACK_SPLIT_COUNT_MAX.
 */

#define STACK_GUARD_BYTES ((size_t)16384)
/* Bytes above the usable stack, for the fiber's own record. */
#ifdef CONTEXT_UCONTEXT
#define STACK_ROOM_BYTES ((size_t)2048)
#else
#define STACK_ROOM_BYTES ((size_t)640)
#endif
/* Stacks of a pool when each guard splits a mapping (two mappings a stack; the kernel allows 65530
 * in a process, vm.max_map_count). */
#define STACK_SPLIT_COUNT_MAX 30000

struct skein_metrics;
struct stack_slab;

struct core_stack {
    struct skein_list link; /* in the pool's free list */
    struct stack_slab *slab;
    char *low; /* first usable byte */
    size_t usable_bytes;
    void *room; /* STACK_ROOM_BYTES, aligned to 64 */
};

/* stack_acquire - a stack, NULL when there is none to be had. */
struct core_stack *stack_acquire(struct skein_stack_pool *pool, enum skein_stack_class stack_class);
/* stack_release - back to its pool; nothing may run on it. @name: who used it, for the high-water
 * mark of a pool that measures. */
void stack_release(struct core_stack *stack, const char *name);
/* stack_guards - whether @address lies in the guard below the stack. */
bool stack_guards(const struct core_stack *stack, const void *address);
/* stack_used_bytes - the most of the stack that was ever in use since it was last clean: measured
 * from what is not zero. Costs a system call and a scan. 0 under valgrind, which forbids looking.
 */
size_t stack_used_bytes(const struct core_stack *stack);
/* stack_metrics_add - the pool's figures, a series for each class. As skein_metrics_add. */
int stack_metrics_add(struct skein_stack_pool *pool,
                      struct skein_metrics *metrics) SKEIN_MUST_CHECK;

#endif
