/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_int.h"
#include "skein/metrics.h"
#include "skein/shard.h"

static int64_t
read_segments(const void *object)
{
    return ((const struct wal *)object)->segments.count;
}

static int64_t
read_latched(const void *object)
{
    return ((const struct wal *)object)->latched != 0;
}

static const struct skein_metric rows[] = {
    {"skein_wal_syncs_total", "Batches made durable, one synced write each.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wal, stats.writes)},
    {"skein_wal_written_bytes_total", "Bytes written to the log, with their padding.",
     SKEIN_COUNTER, SKEIN_FIELD(struct wal, stats.write_bytes)},
    {"skein_wal_scrub_bytes_total", "Bytes of the log that were read again and checked.",
     SKEIN_COUNTER, SKEIN_FIELD(struct wal, stats.scrub_bytes)},
    {"skein_wal_scrub_passes_total", "Times that the whole log was.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wal, stats.scrub_passes)},
    {"skein_wal_scrub_findings_total", "Damaged blocks that this found.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wal, stats.scrub_findings)},
    {"skein_wal_fill_bytes_total", "Zeros and headers written into new segments.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wal, stats.fill_bytes)},
    {"skein_wal_recycled_total", "New segments that were made of removed ones.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wal, stats.recycled_count)},
    {"skein_wal_moved_bytes_total",
     "Bytes of groups that write little, written anew so that an old segment could go.",
     SKEIN_COUNTER, SKEIN_FIELD(struct wal, stats.moved_bytes)},
    {"skein_wal_submits_total", "Writes handed to the log; several share a sync.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wal, stats.submits)},
    {"skein_wal_queued_bytes", "Bytes that wait to become durable.", SKEIN_GAUGE,
     SKEIN_FIELD(struct wal, queued_bytes)},
    {"skein_wal_segments", "Files of the log.", SKEIN_GAUGE, .read = read_segments},
    {"skein_wal_latched", "1: a failure of the disk closed the log for good.", SKEIN_GAUGE,
     .read = read_latched},
    {"skein_wal_sync_seconds", "Time of one durable write.", SKEIN_HISTOGRAM,
     SKEIN_FIELD(struct wal, sync_latency), .decimals = 9},
};

void
wal_metrics_open(struct wal *wal)
{
    static const struct skein_histogram_options latency = {
        .lowest = 1000, .highest = 60000000000, .digits = 2};
    struct skein_metrics *metrics = skein_shard_metrics();
    (void)!skein_histogram_open(&wal->sync_latency, &latency);
    /* A registry that is full has counted it: a log without figures is a log all the same. */
    (void)!skein_metrics_add(metrics, wal, rows, BASE_COUNT_OF(rows), NULL, 0);
}

void
wal_metrics_close(struct wal *wal)
{
    skein_metrics_remove(skein_shard_metrics(), wal);
    skein_histogram_close(wal->sync_latency);
    wal->sync_latency = NULL;
}
