/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_gate_init(struct skein_gate *gate)
{
    *gate = (struct skein_gate){0};
    skein_waitq_init(&gate->closers);
}

int
skein_gate_enter(struct skein_gate *gate)
{
    if (gate->closed)
        return -SKEIN_ECLOSED;
    gate->inside_count++;
    return 0;
}

void
skein_gate_leave(struct skein_gate *gate)
{
    skein_assert(gate->inside_count > 0);
    if (--gate->inside_count == 0 && gate->closed)
        skein_wake_all(&gate->closers);
}

int
skein_gate_close(struct skein_gate *gate, uint64_t deadline_ns)
{
    chaos_point();
    gate->closed = true;
    return gate->inside_count == 0 ? 0 : wait_counted(&gate->closers, WAIT_GATE, deadline_ns);
}
