/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* A checksum walks the whole state: at every so many looks only. */
#define CHECKSUM_EVERY 10

void
oracle_state(const struct oracle_view *view)
{
    uint64_t applied = view->replica->applied_index;
    bool due = view->oracle->sample_count % CHECKSUM_EVERY == 0;
    if (view->loading || !due || applied == 0 || applied > ORACLE_NUMBER_MAX)
        return;
    struct seen *seen = oracle_seen_at(view->known, applied);
    struct sim_context context = sim_host_enter(view->node->host);
    uint32_t checksum =
        kv_machine_checksum(view->replica->machine) ^ sessions_checksum(view->replica->sessions);
    sim_host_leave(context);
    if (seen->has_checksum && seen->checksum != checksum)
        oracle_violation(view, "the state of node %u at index %" PRIu64 " differs from the others'",
                         view->number, applied);
    seen->has_checksum = true;
    seen->checksum = checksum;
}
