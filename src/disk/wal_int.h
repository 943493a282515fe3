/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_INT_H
#define DISK_WAL_INT_H

#include "skein/fiber.h"
#include "disk/wal_scan.h"
#include "skein/metrics.h"

/*
 * The log's parts, shared by its files: wal.c (open, submit, close), wal_recover.c (reading),
 * wal_write.c (the writer fiber), wal_segment.c (the keeper fiber: prepares the next segment,
 * removes those that nobody needs).
 */

#define WAL_MAGIC 0x77616c21u
#define WAL_PATH_BYTES 512u
/* Removed segments are kept for use again; more than so many are deleted. */
#define WAL_FREE_MAX 2u
/* Unsynced writes (only commit moved) wait for a synced one: at most so many, so long. */
#define WAL_LAZY_COUNT_MAX 64u
#define WAL_LAZY_NS_MAX 1000000000ull
/* A full disk may be full for a moment (a checkpoint that does not fit is given up): a new segment
 * is tried for again so often, after so long, before the log is latched. */
#define WAL_SPACE_TRIES 20u
#define WAL_SPACE_WAIT_NS 100000000ull

/* A frame that is encoded and not durable. */
struct wal_effect {
    struct wal_group *group;
    uint32_t home;
    uint64_t first;       /* its first entry; 0: none */
    uint64_t start_index; /* 0: unchanged */
    uint32_t emptied;     /* a segment in which nothing of the group counts any more; 0: none */
    bool restart;         /* a snapshot marker: entries in the segments before are void */
    bool forget;
};

/* What is moved out of the oldest segment. */
struct wal_move {
    uint32_t segment;
    bool ready; /* read: the writer's turn */
    struct wal_scan scan;
    size_t next; /* of scan.groups */
};

struct wal {
    uint32_t magic;
    struct wal_options options;
    char *dir;

    /* Segments and the place of the next batch. */
    struct wal_segments segments;
    int handle;
    uint32_t segment; /* the active one; 0: none yet */
    uint64_t segment_generation;
    uint32_t segment_blocks;
    uint32_t next_block;
    uint64_t batch_next;
    struct wal_position end; /* behind the last durable batch */
    uint64_t generation_next;

    struct wal_groups groups; /* after the frames encoded whole */
    uint64_t groups_max;
    uint64_t known_count; /* of wal_group.known */
    uint64_t term_max;    /* over all groups, ever */
    uint64_t index_max;

    /* The frame being encoded. */
    struct wal_group *frame_group; /* of the last one, when none is in progress; NULL: none yet */
    struct wal_mark after;         /* of that group, when the frame is whole */
    uint64_t frame_left_bytes;
    uint32_t frame_home;

    /* The groups that wrote since this segment's carry. */
    uint32_t writer_group;
    uint32_t writer_count; /* 0, 1, or 2 for more */
    uint32_t carried;      /* the newest segment whose carry is durable and whole */

    /* What becomes of the groups when the batch is durable, in order. */
    struct wal_effect *effects;
    size_t effect_count;
    size_t effect_capacity;

    /* The batch being built. */
    uint8_t *buffer;
    uint32_t buffer_blocks;
    uint32_t batch_blocks_max;
    uint32_t batch_blocks;  /* begun; 0: no batch */
    uint32_t payload_bytes; /* in the last one */
    uint32_t carry_blocks;  /* the first of them */
    uint32_t carry_last_bytes;
    bool carry_ends; /* in this batch */

    struct skein_list queue;   /* wal_write.link */
    struct skein_list encoded; /* whole in the batch being built */
    uint64_t queued_bytes;
    uint64_t urgent_count; /* queued with sync */
    uint64_t lazy_count;
    bool lazy_due;
    struct wal_move *move;      /* NULL: nothing is moved */
    uint32_t move_tried;        /* wal.carried when a move was thought of last */
    struct skein_list compacts; /* wal_group.compact_link */
    bool reads_only;            /* for looking: nothing is removed */
    bool keeps_tail;            /* the end lies before damage: what is behind it is evidence */
    bool rotate_due;            /* the next batch begins a segment */
    uint32_t first_own;         /* the first segment that this process wrote */
    struct skein_waitq scrub_q;
    bool scrubber_done;
    struct skein_waitq writer_q;
    bool closing;
    bool writer_done;
    bool keeper_done;
    int latched;

    /* Removed segments that wait to be used again, <number>.wal.free. */
    uint32_t free_numbers[WAL_FREE_MAX];
    uint32_t free_count;

    /* The next segment, made ahead. */
    int spare_handle;
    uint32_t spare_blocks;
    uint64_t spare_generation;
    int spare_error;
    int spare_warned; /* the cause that was logged last; 0: none since it succeeded */
    struct skein_waitq spare_q;
    struct skein_waitq keeper_q;

    struct wal_stats stats;
    struct skein_histogram *sync_latency; /* NULL: no memory for it */
};

/* What lies behind the log's end, for the opening. */
struct wal_found {
    uint32_t first_number; /* of all files; 0: none */
    uint32_t last_number;  /* of all files; 0: none */
    bool spare_usable;     /* the file behind the last one with data was never written */
    uint64_t spare_generation;
    uint64_t spare_bytes;
};

void wal_path(const struct wal *wal, uint32_t number, const char *suffix,
              char out_path[WAL_PATH_BYTES]);
/* wal_segments_list - first and last number of the files there are. **Returns** 0, also when there
 * is none; -SKEIN_ECORRUPT: one is missing between them (@out_found is set); -errno. */
int wal_segments_list(struct wal *wal, struct wal_found *out_found,
                      char out_why[512]) SKEIN_MUST_CHECK;
/* wal_recover - read every segment into @scan. Says why in @out_why when it fails. */
int wal_recover(struct wal *wal, struct wal_scan *scan, struct wal_found *out_found,
                char out_why[512]) SKEIN_MUST_CHECK;

/* wal_free_note - <@number>.wal.free is there: it is used again, or deleted when it does not fit or
 * there are enough. **Returns** 0 or -errno. */
int wal_free_note(struct wal *wal, uint32_t number) SKEIN_MUST_CHECK;
/* wal_segment_prepare - make the spare for @number: a removed segment, or zeros; header, sync,
 * rename, directory sync.
 * **Returns** 0, -errno, -SKEIN_ECLOSED when the log closed meanwhile. */
int wal_segment_prepare(struct wal *wal, uint32_t number) SKEIN_MUST_CHECK;
/* wal_segment_advance - the spare becomes the active segment; waits for the keeper to make it. */
int wal_segment_advance(struct wal *wal) SKEIN_MUST_CHECK;
void wal_keeper(void *arg);
/* wal_scrubber - a fiber: reads all that is durable once in options.scrub_period_ns. */
void wal_scrubber(void *arg);

/* wal_batch_begin, wal_batch_flush - a batch that holds only the carry, when nothing is put. */
int wal_batch_begin(struct wal *wal) SKEIN_MUST_CHECK;
int wal_batch_flush(struct wal *wal) SKEIN_MUST_CHECK;
/* wal_starts_put - a WAL_FRAME_START for each of wal.compacts, into the batch. */
int wal_starts_put(struct wal *wal) SKEIN_MUST_CHECK;
/* wal_raise_bounds - term_max and index_max are to hold for @mark, too. */
void wal_raise_bounds(struct wal *wal, const struct wal_mark *mark);
/* wal_compact_queue - @group is to get a start; for wal_starts_put. */
void wal_compact_queue(struct wal *wal, struct wal_group *group, uint64_t index, uint64_t term);
/* wal_moved_put - a WAL_FRAME_MOVED of entries that lie in an older segment, too. */
int wal_moved_put(struct wal *wal, struct wal_group *group, const struct raft_entry *entries,
                  size_t count, uint64_t *out_bytes) SKEIN_MUST_CHECK;
/* wal_unpin_put - when what is encoded is durable, @group pins @segment no longer. */
void wal_unpin_put(struct wal *wal, struct wal_group *group, uint32_t segment);
void wal_writer(void *arg);

/* ---- an idle group does not pin the log (wal_move.c, docs/design/0014) ---- */
/* wal_move_due - once for each new segment: whether what pins the oldest one is little. O(groups).
 */
bool wal_move_due(struct wal *wal);
/* wal_move_read - the keeper's part: find it. **Returns** 0: wal.move is ready for the writer;
 * -SKEIN_ECORRUPT: it cannot be read; -errno; -SKEIN_ECLOSED. */
int wal_move_read(struct wal *wal) SKEIN_MUST_CHECK;
/* wal_move_put - the writer's: some of it into the batch. */
int wal_move_put(struct wal *wal) SKEIN_MUST_CHECK;
void wal_move_free(struct wal *wal);

/* wal_metrics_open / close - in the shard's registry (wal_metrics.c). */
void wal_metrics_open(struct wal *wal);
void wal_metrics_close(struct wal *wal);

#endif
