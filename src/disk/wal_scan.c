/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_scan.h"

#include <string.h>

#include "base/mem.h"
#include "base/mutation.h"
#include "skein/error.h"

static bool continues(const struct wal_scan *scan, const struct wal_block *block);
static int collect(struct wal_scan *scan, const struct wal_block *block, const uint8_t *raw);
static void tail_begin(struct wal_scan *scan);
static void tail_block(struct wal_scan *scan, const struct wal_judged *judged);

void
wal_scan_init(struct wal_scan *scan, const struct wal_identity *identity)
{
    *scan = (struct wal_scan){.identity = *identity};
    wal_frames_init(&scan->frames, &scan->groups, &scan->segments);
    scan->payload = mem_alloc((size_t)WAL_BATCH_BLOCKS_MAX * WAL_BLOCK_BYTES);
}

void
wal_scan_deinit(struct wal_scan *scan)
{
    wal_frames_deinit(&scan->frames);
    wal_groups_deinit(&scan->groups);
    wal_segments_deinit(&scan->segments);
    mem_free(scan->payload);
    *scan = (struct wal_scan){0};
}

static void
suspect(struct wal_scan *scan, enum wal_suspect_kind kind, struct wal_position at,
        const char *reason)
{
    /* A file that is too short may yet be one that a start has cut; a block says more. */
    bool short_file = scan->suspect == WAL_SUSPECT_SHORT && kind == WAL_SUSPECT_BLOCK;
    if (scan->suspect != WAL_SUSPECT_NONE && !short_file)
        return;
    scan->suspect = kind;
    scan->suspect_at = at;
    scan->suspect_reason = reason;
}

static void
suspect_short(struct wal_scan *scan)
{
    suspect(scan, WAL_SUSPECT_SHORT, (struct wal_position){scan->at.segment, scan->short_block},
            "the file ends where more has to follow");
}

static int
header_fault(struct wal_scan *scan, uint32_t number, const char *reason)
{
    scan->suspect = WAL_SUSPECT_BLOCK;
    scan->suspect_at = (struct wal_position){number, 0};
    scan->suspect_reason = reason;
    return -SKEIN_ECORRUPT;
}

void
wal_scan_settle(struct wal_scan *scan)
{
    if (scan->batch_have > 0) /* it is not going on */
        tail_begin(scan);
    if (!scan->in_tail || scan->tail_bad == 0)
        return;
    uint32_t behind = scan->tail_block + (scan->tail_count ? scan->tail_count : 1);
    bool torn = scan->header.sectored && scan->tail_blank > 0 && scan->tail_blank < behind;
    if (!torn || scan->tail_certain)
        suspect(scan, WAL_SUSPECT_BLOCK, (struct wal_position){scan->at.segment, scan->tail_bad},
                scan->tail_reason);
    scan->tail_bad = 0;
}

int
wal_scan_segment(struct wal_scan *scan, uint32_t number, uint64_t file_bytes,
                 const uint8_t header[WAL_BLOCK_BYTES], uint32_t *out_version)
{
    struct wal_header decoded;
    wal_scan_settle(scan);
    int rc = wal_header_decode(header, &decoded, out_version);
    if (rc == -SKEIN_ECORRUPT)
        return header_fault(scan, number, "the segment's header is damaged");
    if (rc < 0)
        return rc;
    if (memcmp(decoded.identity.cluster, scan->identity.cluster, 16) != 0 ||
        decoded.identity.node != scan->identity.node)
        return -SKEIN_EIDENTITY;
    if (decoded.segment != number)
        return header_fault(scan, number, "the header is another segment's");
    if (file_bytes > decoded.segment_bytes || file_bytes % WAL_BLOCK_BYTES != 0)
        return header_fault(scan, number, "the file is longer than its header says");
    if (scan->lowest == 0) {
        scan->lowest = number;
        scan->batch_next = number == 1 ? 1 : 0;
    }
    scan->header = decoded;
    if (scan->generation_max < decoded.generation)
        scan->generation_max = decoded.generation;
    scan->at = (struct wal_position){number, 1};
    scan->in_tail = false;
    scan->last_blank = true;
    scan->short_block = 0;
    if (file_bytes < decoded.segment_bytes) {
        scan->short_block = (uint32_t)(file_bytes / WAL_BLOCK_BYTES);
        suspect_short(scan);
    }
    return 0;
}

int
wal_scan_block(struct wal_scan *scan, const uint8_t raw[WAL_BLOCK_BYTES])
{
    int rc = 0;
    struct wal_judged judged =
        wal_block_judge(raw, scan->at, scan->header.generation, scan->header.sectored);
    if (judged.verdict != WAL_VERDICT_BLANK)
        scan->last_blank = false;
    if (!scan->in_tail && judged.verdict == WAL_VERDICT_GOOD && continues(scan, &judged.block)) {
        rc = collect(scan, &judged.block, raw);
    } else {
        if (!scan->in_tail)
            tail_begin(scan);
        tail_block(scan, &judged);
    }
    scan->at.block++;
    return rc;
}

/* Whether @block is the next one of the batch being collected, or the first of the next batch. */
static bool
continues(const struct wal_scan *scan, const struct wal_block *block)
{
    if (block->number != scan->batch_have)
        return false;
    if (scan->batch_have > 0 &&
        (block->count != scan->batch_count || block->batch != scan->batch_id))
        return false;
    if (!scan->started && scan->batch_next == 0)
        return block->at.segment == scan->lowest && (block->at.block == 1u || scan->batch_have > 0);
    uint32_t expected = scan->end.segment != 0 ? scan->end.segment : scan->lowest;
    if (block->at.segment != expected && (!scan->started || block->at.segment != expected + 1 ||
                                          block->at.block - block->number != 1))
        return false;
    return block->batch == scan->batch_next && block->synced.segment == scan->end.segment &&
           block->synced.block == scan->end.block;
}

/* Blocks that are whole and cannot be: in the batch of @block. */
static int
contradiction(struct wal_scan *scan, const struct wal_block *block, const char *reason)
{
    scan->suspect = WAL_SUSPECT_BLOCK;
    scan->suspect_at = (struct wal_position){block->at.segment, block->at.block - block->number};
    scan->suspect_reason = reason;
    scan->frames.error = reason;
    return -SKEIN_ECORRUPT;
}

/* A batch is whole: it counts, and what the tails before it said is settled. */
static int
batch_whole(struct wal_scan *scan, const struct wal_block *last)
{
    int rc = 0;
    if (scan->begins_segment)
        wal_frames_segment(&scan->frames, last->at.segment);
    if (scan->carry_bytes > 0)
        rc = wal_frames_carry(&scan->frames, scan->payload, scan->carry_bytes);
    if (rc == 0 && scan->payload_bytes > scan->carry_bytes)
        rc = wal_frames_push(&scan->frames, last->at.segment, scan->payload + scan->carry_bytes,
                             scan->payload_bytes - scan->carry_bytes);
    if (rc == -SKEIN_ECORRUPT)
        return contradiction(scan, last, scan->frames.error);
    if (rc < 0)
        return rc;
    scan->suspect = WAL_SUSPECT_NONE;
    if (scan->short_block > 0)
        suspect_short(scan);
    scan->started = true;
    scan->proof = false;
    scan->missing_known = false;
    scan->torn_blocks = 0;
    scan->batch_next = last->batch + 1;
    scan->end = (struct wal_position){last->at.segment, last->at.block + 1};
    scan->batch_have = 0;
    return 0;
}

static int
collect(struct wal_scan *scan, const struct wal_block *block, const uint8_t *raw)
{
    if (block->number == 0) {
        scan->batch_count = block->count;
        scan->batch_id = block->batch;
        scan->payload_bytes = 0;
        scan->carry_bytes = 0;
        scan->begins_segment = block->at.block == 1;
    }
    bool carries = block->kind == WAL_BLOCK_CARRY;
    if (carries && scan->payload_bytes > scan->carry_bytes)
        return contradiction(scan, block, "a carry behind the frames of its batch");
    uint8_t *to = scan->payload + scan->payload_bytes;
    if (carries && block->layout < WAL_LAYOUT_GROUPS) {
        wal_carry_convert(raw + WAL_BLOCK_HEAD_BYTES, to);
        scan->payload_bytes += WAL_CARRY_HEAD_BYTES + WAL_CARRY_ROW_BYTES;
    } else {
        scan->payload_bytes += wal_block_payload(raw, block, to);
    }
    if (carries)
        scan->carry_bytes = scan->payload_bytes;
    scan->batch_have++;
    return scan->batch_have == scan->batch_count ? batch_whole(scan, block) : 0;
}

static void
tail_begin(struct wal_scan *scan)
{
    scan->in_tail = true;
    scan->tail_block = scan->at.block - scan->batch_have;
    scan->tail_count = scan->batch_have > 0 ? scan->batch_count : 0;
    scan->tail_blank = scan->tail_bad = 0;
    scan->tail_certain = false;
    scan->torn_blocks += scan->batch_have;
    scan->batch_have = 0;
    if (scan->missing_known)
        return;
    scan->missing_known = true;
    scan->missing_at = (struct wal_position){scan->at.segment, scan->tail_block};
}

/* @certain: whether or not what is missing turns out to be torn. */
static void
tail_suspect(struct wal_scan *scan, const char *reason, bool certain)
{
    if (scan->tail_bad == 0) {
        scan->tail_bad = scan->at.block;
        scan->tail_reason = reason;
    }
    scan->tail_certain = scan->tail_certain || certain;
}

static void
tail_unclean(struct wal_scan *scan)
{
    struct wal_segments *segments = &scan->segments;
    if (segments->count && segments->items[segments->count - 1].number == scan->at.segment)
        segments->items[segments->count - 1].unclean = true;
}

static void
tail_block(struct wal_scan *scan, const struct wal_judged *judged)
{
    const struct wal_block *block = &judged->block;
    bool blank = judged->verdict == WAL_VERDICT_BLANK || judged->verdict == WAL_VERDICT_TORN;
    bool bad = judged->verdict == WAL_VERDICT_BAD;
    if (blank && scan->tail_blank == 0)
        scan->tail_blank = scan->at.block;
    if (bad)
        tail_unclean(scan);
    /* A batch is not longer: what is written behind it is of a later one. */
    bool later = judged->head
                     ? block->batch > scan->batch_next
                     : judged->fresh && scan->at.block >= scan->tail_block + WAL_BATCH_BLOCKS_MAX;
    if (later) {
        scan->proof = true;
        return;
    }
    if (judged->head &&
        (block->batch < scan->batch_next || scan->at.block - block->number != scan->tail_block))
        tail_suspect(scan, "a batch that has no place here", true);
    else if (judged->head)
        scan->tail_count = block->count;
    if (bad)
        tail_suspect(scan, judged->reason, judged->fresh && !judged->head);
    scan->torn_blocks += judged->fresh;
}

int
wal_scan_finish(struct wal_scan *scan)
{
    wal_scan_settle(scan);
    wal_frames_end(&scan->frames);
    if (!scan->frames.carried && scan->lowest > 1) {
        scan->suspect = WAL_SUSPECT_NONE;
        suspect(scan, WAL_SUSPECT_MISSING, (struct wal_position){scan->lowest, 1},
                "the carry of the oldest segment, without which nothing can be read, is missing");
        return -SKEIN_ECORRUPT;
    }
    bool missing = false;
    for (size_t i = 0; i < scan->groups.count; i++)
        missing = !wal_frames_contiguous(scan->groups.items[i]) || missing;
    if (mutation_on(MUTATION_CORRUPT_IS_TORN))
        return 0;
    if (scan->proof && scan->suspect == WAL_SUSPECT_NONE)
        suspect(scan, WAL_SUSPECT_MISSING, scan->missing_at,
                "a batch is missing that was synced, as a later one proves");
    if (missing)
        suspect(scan, WAL_SUSPECT_MISSING, (struct wal_position){scan->lowest, 0},
                "entries between the log's start and this segment are missing");
    return scan->suspect != WAL_SUSPECT_NONE ? -SKEIN_ECORRUPT : 0;
}

static struct wal_group_recovery
group_take(struct wal_group *group)
{
    uint64_t start_index = group->state.start_index;
    while (group->entry_count > 0 && group->entries[group->entry_count - 1].index < start_index)
        bytes_unref(&group->entries[--group->entry_count].data);
    struct wal_group_recovery taken = {.group = group->id,
                                       .hard_state = group->state.hard_state,
                                       .start_index = start_index,
                                       .start_term = group->state.start_term,
                                       .entries = group->entries,
                                       .entry_count = group->entry_count};
    group->entries = NULL;
    group->entry_count = group->entry_capacity = 0;
    return taken;
}

struct wal_recovery
wal_scan_take(const struct wal_scan *scan, struct wal_groups *groups)
{
    struct wal_recovery taken = {.torn_bytes =
                                     scan->torn_blocks * WAL_BLOCK_BYTES + scan->frames.void_bytes};
    taken.groups = mem_zalloc((groups->count + 1) * sizeof(*taken.groups));
    for (size_t i = 0; i < groups->count; i++)
        if (groups->items[i]->known)
            taken.groups[taken.group_count++] = group_take(groups->items[i]);
    return taken;
}

bool
wal_scan_damaged(const struct wal_scan *scan)
{
    return scan->suspect != WAL_SUSPECT_NONE && !scan->frames.error;
}
