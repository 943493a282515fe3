/* SPDX-License-Identifier: Apache-2.0 */
/* The segments are read and checked while the log is in use (docs/design/0014). */
#include "base/mem.h"
#include "disk/wal_int.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/file.h"

#include <inttypes.h>

#define READ_BYTES (64u << 10)

struct pass {
    struct wal *wal;
    uint8_t *chunk;
    uint32_t number;     /* the segment that is read */
    uint64_t generation; /* 0: its header was not read yet */
    bool sectored;
    uint64_t pause_ns; /* between two reads */
};

static int segment_scrub(struct pass *pass);
static int segment_read(struct pass *pass);

static struct wal_segment *
segment_find(struct wal *wal, uint32_t number)
{
    if (wal->segments.count == 0 || number < wal->segments.items[0].number)
        return NULL;
    size_t place = number - wal->segments.items[0].number;
    return place < wal->segments.count ? &wal->segments.items[place] : NULL;
}

/* Whoever waits on scrub_q is woken when the log closes. */
static bool
pause_for(struct wal *wal, uint64_t ns)
{
    uint64_t until = skein_deadline_in(ns);
    while (!wal->closing && wal->latched == 0)
        if (skein_wait(&wal->scrub_q, until) == -SKEIN_ETIMEDOUT)
            return true;
    return false;
}

void
wal_scrubber(void *arg)
{
    struct wal *wal = arg;
    struct pass pass = {.wal = wal, .chunk = mem_alloc_aligned(WAL_BLOCK_BYTES, READ_BYTES)};
    skein_shield(true);
    while (!wal->closing && wal->latched == 0) {
        uint64_t reads = wal->segments.count * (wal->options.segment_bytes / READ_BYTES);
        pass.pause_ns = wal->options.scrub_period_ns / (reads + 1) + 1;
        uint32_t first = wal->segments.items[0].number;
        for (pass.number = first; pass.number <= wal->segment; pass.number++)
            if (segment_scrub(&pass) < 0)
                break;
        wal->stats.scrub_passes += pass.number > wal->segment;
        (void)!pause_for(wal, pass.pause_ns);
    }
    mem_free(pass.chunk);
    wal->scrubber_done = true;
    skein_shield(false);
}

/* One block cannot be read, or is not what was written. */
static void
found(struct wal *wal, uint32_t number, uint64_t block, const char *reason)
{
    struct wal_segment *segment = segment_find(wal, number);
    wal->stats.scrub_findings++;
    obs_log(
        OBS_ERROR, "wal", "a block of the log is damaged; checkpoints are to make it superfluous",
        "segment=%08u.wal offset=%" PRIu64 " why=\"%s\"", number, block * WAL_BLOCK_BYTES, reason);
    if (number == wal->segment && !segment->unclean) {
        wal->rotate_due = true;
        skein_wake_one(&wal->writer_q);
    }
    segment->unclean = true;
}

/* What the log still needs of the segment and of older ones is in the memory of its users. */
static void
ask(struct wal *wal, uint32_t number)
{
    for (size_t i = 0; i < wal->groups.count && wal->options.on_rot; i++) {
        const struct wal_group *group = wal->groups.items[i];
        if (group->pin_count > 0 && group->pins[0].segment <= number)
            wal->options.on_rot(wal->options.owner, group->id);
    }
}

/* @durable: blocks below it were synced before they were read. */
static void
chunk_check(struct pass *pass, uint64_t offset, size_t count, uint64_t durable)
{
    for (size_t at = 0; at < count; at += WAL_BLOCK_BYTES) {
        uint64_t number = (offset + at) / WAL_BLOCK_BYTES;
        struct wal_header header;
        uint32_t version;
        if (number >= durable)
            return;
        if (number == 0) {
            if (wal_header_decode(pass->chunk, &header, &version) == 0) {
                pass->generation = header.generation;
                pass->sectored = header.sectored;
            } else {
                found(pass->wal, pass->number, 0, "the header is damaged");
            }
            continue;
        }
        struct wal_judged judged = wal_block_judge(
            pass->chunk + at, (struct wal_position){pass->number, (uint32_t)number},
            pass->generation ? pass->generation : UINT64_MAX,
            pass->generation ? pass->sectored : pass->chunk[at + 5] == WAL_LAYOUT_SECTORS);
        /* What this process wrote is there, whole; a start has cut the ends of older segments. */
        bool must_be = pass->number >= pass->wal->first_own && pass->generation;
        if (judged.verdict == WAL_VERDICT_BAD)
            found(pass->wal, pass->number, number, judged.reason);
        else if (judged.verdict != WAL_VERDICT_GOOD && must_be)
            found(pass->wal, pass->number, number, "a block that was synced is not there");
    }
}

static int
segment_scrub(struct pass *pass)
{
    struct wal *wal = pass->wal;
    const struct wal_segment *segment = segment_find(wal, pass->number);
    int rc = segment && !segment->unclean ? segment_read(pass) : 0;
    segment = segment_find(wal, pass->number);
    if (segment && segment->unclean)
        ask(wal, pass->number);
    return rc;
}

static int
segment_read(struct pass *pass)
{
    struct wal *wal = pass->wal;
    char path[WAL_PATH_BYTES];
    wal_path(wal, pass->number, "", path);
    pass->generation = 0;
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECT, 0);
    if (handle < 0) /* it may have been removed meanwhile */
        return segment_find(wal, pass->number) ? handle : 0;
    int rc = 0;
    for (uint64_t offset = 0; offset < wal->options.segment_bytes; offset += READ_BYTES) {
        const struct wal_segment *segment = segment_find(wal, pass->number);
        if (!segment)
            break;
        uint64_t durable = segment->used_blocks;
        if (pass->number == wal->end.segment)
            durable = wal->end.block;
        if (offset / WAL_BLOCK_BYTES >= durable)
            break;
        ssize_t got = skein_file_pread(handle, pass->chunk, READ_BYTES, offset);
        if (!segment_find(wal, pass->number))
            break; /* its file may be another segment's now */
        if (got < 0)
            found(wal, pass->number, offset / WAL_BLOCK_BYTES, skein_error_name((int)got));
        size_t count = got < 0 ? 0 : (size_t)got - (size_t)got % WAL_BLOCK_BYTES;
        chunk_check(pass, offset, count, durable);
        wal->stats.scrub_bytes += count;
        if (!pause_for(wal, pass->pause_ns)) {
            rc = -SKEIN_ECLOSED;
            break;
        }
        if (count < READ_BYTES && got >= 0)
            break;
    }
    (void)skein_close(handle);
    return rc;
}
