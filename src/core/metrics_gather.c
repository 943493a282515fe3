/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/internal.h"
#include "skein/call.h"
#include "skein/metrics.h"

/* Series between which the other fibers of a shard get to run. */
#define SERIES_AT_ONCE 16

/* One snapshot a shard; each is made by its shard, and read here when all calls have returned. */
struct gather {
    struct skein_snapshot **snapshots;
};

static void
take_here(struct skein_snapshot *snapshot)
{
    uint64_t cursor = 0;
    while (skein_metrics_snapshot(skein_shard_metrics(), snapshot, &cursor, SERIES_AT_ONCE))
        skein_yield();
}

static int64_t
take_there(void *arg)
{
    const struct gather *gather = arg;
    struct skein_snapshot *snapshot = skein_snapshot_open();
    take_here(snapshot);
    gather->snapshots[skein_shard_index()] = snapshot;
    return 0;
}

int
skein_metrics_gather(struct skein_snapshot *snapshot, uint64_t deadline_ns)
{
    unsigned count = skein_shard_count();
    if (count == 1) {
        take_here(snapshot);
        return 0;
    }
    struct gather gather = {.snapshots = mem_zalloc(count * sizeof(struct skein_snapshot *))};
    int rc = skein_call_all(take_there, &gather, NULL, deadline_ns);
    for (unsigned i = 0; i < count; i++) {
        if (rc == 0) {
            skein_snapshot_merge(snapshot, gather.snapshots[i]);
            skein_yield();
        }
        skein_snapshot_close(gather.snapshots[i]);
    }
    mem_free(gather.snapshots);
    return rc;
}
