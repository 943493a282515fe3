/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_AWAIT_H
#define CORE_AWAIT_H

#include "core/backend.h"

/*
 * await_op - submit @op on the current shard's backend and park until it is complete.
 * @deadline_ns: when to cancel it; SKEIN_NEVER for no deadline.
 * **Runs on** a fiber; suspends. A fiber that is cancelled already does not submit.
 * **Returns** the op's result; -SKEIN_ETIMEDOUT or -SKEIN_ECANCELED when the op was cancelled.
 */
int64_t await_op(struct backend_op *op, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* await_op_to_end - the same without deadline and cancellation: begun is waited for. */
int64_t await_op_to_end(struct backend_op *op);

#endif
