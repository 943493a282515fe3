/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage that is found while the node runs (docs/design/0014): whatever the disk has lost is in
 * memory still, so a new checkpoint makes the lost bytes superfluous.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"

#define PIECE_BYTES ((size_t)64 << 10)

void
scrub_on_rot(void *owner, uint32_t group)
{
    struct replica *replica = host_group(owner, group);
    if (!replica)
        return;
    replica->checkpoint_wanted = true;
    checkpoint_signal(replica);
}

/* All of the newest file, evenly over the group's share of the period. */
static int
file_check(struct replica *replica, uint64_t index, uint64_t *out_bytes)
{
    char path[4096], why[512] = "";
    struct checkpoint_reader *reader;
    struct checkpoint_info info;
    struct skein_stat stat;
    checkpoint_path(replica->dir, index, path, sizeof path);
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return rc;
    rc = checkpoint_open(&reader, path, NULL, &info, why);
    if (rc < 0)
        return rc;
    uint64_t pieces = stat.size_bytes / PIECE_BYTES + 2;
    uint64_t share_ns = replica->host->options.scrub_period_ns / replica->host->group_count;
    uint64_t pause_ns = share_ns / pieces;
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    size_t count;
    for (rc = 0; rc == 0 && !replica->host->ending; *out_bytes += count) {
        count = 0;
        rc = checkpoint_read_some(reader, piece, PIECE_BYTES, &count);
        if (rc == 0)
            rc = skein_sleep(skein_deadline_in(pause_ns));
    }
    mem_free(piece);
    checkpoint_close(reader);
    return rc == -SKEIN_EEOF ? 0 : rc;
}

static void
scrub_group(struct replica *replica)
{
    struct host *host = replica->host;
    uint64_t index = replica->file_index, bytes = 0;
    int rc = index > 0 && !replica->checkpoint_busy ? file_check(replica, index, &bytes) : 0;
    replica->counters.scrubbed_bytes += bytes;
    /* Another checkpoint may have taken its place meanwhile. */
    bool lost = rc == -SKEIN_ECORRUPT || rc == -EIO || rc == -ENOENT;
    if (!lost || replica->file_index != index || replica->checkpoint_busy)
        return;
    replica->counters.scrub_findings++;
    obs_log(OBS_ERROR, "replica", "the checkpoint is damaged, another one is made",
            "node=%u group=%u index=%" PRIu64 " cause=%s", host->options.node, replica->group,
            index, skein_error_name(rc));
    scrub_on_rot(host, replica->group);
}

void
scrub_run(void *arg)
{
    struct host *host = arg;
    while (!host->ending && !skein_cancelled()) {
        for (uint32_t i = 0; i < host->group_count && !host->ending; i++)
            scrub_group(host->groups[i]);
        (void)!skein_sleep(skein_deadline_in(host->options.scrub_period_ns / 2 + 1));
    }
}
