/* SPDX-License-Identifier: Apache-2.0 */
#include "core/await.h"

#include "core/chaos.h"
#include "core/internal.h"
#include "skein/error.h"

struct await {
    struct backend_op *op;
    int reason; /* why the op was cancelled; 0: it was not */
};

static void
completed(struct backend_op *op)
{
    struct skein_fiber *fiber = op->waiter;
    context_prefetch(&fiber->context);
    fiber_ready(fiber, 0);
}

static void
interrupted(struct skein_fiber *fiber, int reason)
{
    struct await *wait = fiber->interrupt_arg;
    if (wait->reason != 0)
        return;
    wait->reason = reason;
    struct backend *backend = fiber->shard->backend;
    backend->ops->cancel(backend, wait->op);
}

static inline void
count_result(struct skein_shard *shard, const struct backend_op *op)
{
    if (op->result > 0 && (SHARD_OP_MOVES_BYTES >> op->kind & 1))
        shard->stats.op_bytes[op->kind] += (uint64_t)op->result;
    else if (op->result < 0)
        shard->stats.op_errors[op->kind] += op->result != -SKEIN_ECANCELED;
}

static int64_t
submit_and_park(struct backend_op *op, uint64_t deadline_ns, bool to_end)
{
    struct await wait = {.op = op};
    struct skein_fiber *fiber = fiber_self();
    struct skein_shard *shard = fiber->shard;
    struct backend *backend = shard->backend;
    shard->stats.ops[op->kind]++;
    if (__builtin_expect(shard->io != NULL, 0))
        io_admit(shard, op);
    if (backend->ops->try_now && backend->ops->try_now(backend, op)) {
        count_result(shard, op);
        return op->result;
    }
    op->waiter = fiber;
    op->complete = completed;
    backend->ops->submit(backend, op);
    int rc = to_end ? fiber_park_alone(SKEIN_NEVER, fiber_not_interruptible, NULL)
                    : fiber_park(deadline_ns, interrupted, &wait);
    skein_assert(rc == 0);
    op->waiter = NULL;
    count_result(shard, op);
    if (op->result == -SKEIN_ECANCELED && wait.reason != 0)
        return wait.reason;
    return op->result;
}

int64_t
await_op(struct backend_op *op, uint64_t deadline_ns)
{
    chaos_point();
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    return submit_and_park(op, deadline_ns, false);
}

int64_t
await_op_to_end(struct backend_op *op)
{
    chaos_point();
    return submit_and_park(op, SKEIN_NEVER, true);
}
