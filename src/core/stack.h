/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "skein/shard.h"

/*
 * A fiber's stack and its bookkeeping in one mapping:
 *
 *     low                                                                  high
 *     | guard | ............ usable, grows down <---- | room for the fiber | struct core_stack |
 *
 * Nothing of it is in the heap or in an arena, so a pool never points into a node that is gone. The
 * guard is installed with MADV_GUARD_INSTALL where the kernel has it (a million stacks stay few
 * mappings), else with mprotect (at most about 32,000 stacks: vm.max_map_count).
 */

#define STACK_GUARD_BYTES ((size_t)16384)
/* Bytes above the usable stack, for the fiber's own record. */
#define STACK_ROOM_BYTES ((size_t)2048)
/* Free stacks a pool keeps of each class; more are unmapped when released. */
#define STACK_FREE_COUNT_MAX 1024

struct core_stack {
    struct skein_list link; /* in the pool's free list */
    struct skein_stack_pool *pool;
    enum skein_stack_class class;
    char *low; /* first usable byte */
    size_t usable_bytes;
    void *room; /* STACK_ROOM_BYTES, aligned to 64 */
};

/* stack_acquire - a stack, NULL when there is none to be had. */
struct core_stack *stack_acquire(struct skein_stack_pool *pool, enum skein_stack_class stack_class);
/* stack_release - back to its pool; nothing may run on it. */
void stack_release(struct core_stack *stack);
/* stack_guards - whether @address lies in the guard below the stack. */
bool stack_guards(const struct core_stack *stack, const void *address);

#endif
