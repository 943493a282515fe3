/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STACK_SLAB_H
#define CORE_STACK_SLAB_H

#include "core/stack.h"

/*
 * Slabs of stacks: core/stack_slab.c maps, guards and unmaps them; core/stack.c hands stacks out.
 */

struct stack_slab {
    struct skein_list link; /* in the pool's list for the class, while some stack is cold */
    struct skein_stack_pool *pool;
    enum skein_stack_class class;
    uint32_t count;    /* stacks in it, at most 64 */
    uint64_t cold;     /* bit i: stack i is cold */
    uint64_t guarded;  /* bit i: its guard is installed */
    char *base;        /* guard and stack 0, guard and stack 1 ... */
    uint32_t *tool_id; /* valgrind's numbers for the stacks; NULL: it is not there */
};

/* The pool's numbers for one class. */
struct stack_class_state {
    enum skein_stack_class class;
    struct skein_list free; /* hot stacks */
    size_t free_count;
    struct skein_list slabs; /* with a cold stack */
    size_t used_count;
    size_t mapped_count;
    size_t high_water_bytes;
    char high_water_name[SKEIN_STACK_NAME_BYTES];
};

struct skein_stack_pool {
    uint64_t magic;
    struct skein_stack_pool_options options;
    struct stack_class_state classes[SKEIN_STACK_CLASS_COUNT];
    size_t slab_count;
    size_t split_count; /* guards made by mprotect */
};

/* slab_open - a new slab, all cold, in the pool's list. NULL: no memory. */
struct stack_slab *slab_open(struct skein_stack_pool *pool, enum skein_stack_class stack_class);
/* slab_close - unmap. Every stack is cold or hot and forgotten. */
void slab_close(struct stack_slab *slab);
/* slab_take - a cold stack of it, guarded, its record filled in. NULL: no guard to be had. */
struct core_stack *slab_take(struct stack_slab *slab);
/* slab_give - a stack becomes cold: its pages go back. The slab may be closed by it. */
void slab_give(struct core_stack *stack);
/* slab_class_bytes - guard included. */
size_t slab_class_bytes(enum skein_stack_class stack_class);

#endif
