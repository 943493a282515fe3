/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_READY_TRY_H
#define CORE_IO_READY_TRY_H

#include "core/io_ready.h"

/* One op of a readiness backend: its record, and one attempt at it. */

enum ready_place { READY_NOWHERE, READY_SLOT, READY_HELPER, READY_DONE };

/* Lives in op->scratch. */
struct ready_op {
    enum ready_place place;
    int fd; /* connect: the socket being connected; -1: none */
};

_Static_assert(sizeof(struct ready_op) <= sizeof(((struct backend_op *)0)->scratch),
               "fits scratch");

static inline struct ready_op *
ready_op_of(struct backend_op *op)
{
    return (struct ready_op *)(void *)op->scratch;
}

/* ready_waits - whether ops of @kind may have to wait for their descriptor. */
bool ready_waits(enum backend_op_kind kind);
/* ready_reads - for input (or, a poll, for either), that is; else for room. */
bool ready_reads(const struct backend_op *op);
/* ready_begin - the descriptor @op waits for; opens a connect's. **Returns** it, or -errno. */
int ready_begin(struct backend_op *op) SKEIN_MUST_CHECK;
/* ready_try - **Returns** the op's result; -EAGAIN: wait for an event of @slot. */
int64_t ready_try(struct ready_slot *slot, struct backend_op *op) SKEIN_MUST_CHECK;
#endif
