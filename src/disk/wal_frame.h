/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_FRAME_H
#define DISK_WAL_FRAME_H

#include "disk/wal_carry.h"

/*
 * Frames: one wal_write each, all of it or nothing. Pure.
 *
 *   head (64 bytes): magic, flags, group, bytes of the frame, entries, hard state, position
 *   each entry: index, term, bytes, type (24 bytes), data
 *
 * A frame may reach over blocks, batches and segments; it belongs to the segment of its first byte.
 */

#define WAL_FRAME_MAGIC 0x4d415246u /* "FRAM" */
#define WAL_FRAME_HEAD_BYTES 64u
#define WAL_ENTRY_HEAD_BYTES 24u
#define WAL_ENTRY_BYTES_MAX (64u << 20)

#define WAL_FRAME_HARD_STATE 1u
#define WAL_FRAME_SNAPSHOT 2u /* position: the log restarts behind it */
#define WAL_FRAME_START 4u    /* position: a checkpoint covers everything up to it */
#define WAL_FRAME_FORGET 8u   /* nothing of the group is left */
#define WAL_FRAME_MOVED 16u   /* its entries are old: they replace none and cut nothing off */

/* ---- writing ---- */
/* wal_frame_bytes - the length of @write's frame. O(entries). */
uint64_t wal_frame_bytes(const struct wal_write *write);
/* wal_frame_head - the head of @write's frame. wal_frame_start_head - of a WAL_FRAME_START. */
void wal_frame_head(uint8_t head[WAL_FRAME_HEAD_BYTES], const struct wal_write *write);
/* wal_frame_moved_head - of a WAL_FRAME_MOVED. */
void wal_frame_moved_head(uint8_t head[WAL_FRAME_HEAD_BYTES], const struct wal_write *write);
void wal_frame_start_head(uint8_t head[WAL_FRAME_HEAD_BYTES], uint32_t group, uint64_t index,
                          uint64_t term);
void wal_entry_head(uint8_t head[WAL_ENTRY_HEAD_BYTES], const struct raft_entry *entry);

/* ---- reading: bytes pushed in, entries and state out ---- */
enum wal_frame_phase { WAL_PHASE_HEAD, WAL_PHASE_ENTRY_HEAD, WAL_PHASE_ENTRY_DATA };

struct wal_frames {
    struct wal_groups *groups;     /* borrowed: after the complete frames */
    struct wal_segments *segments; /* borrowed */

    /* NULL, or which entries are kept in memory; of a group, those of one range of indices. */
    bool (*keep)(void *owner, uint32_t group, uint64_t index);
    void *keep_owner;

    /* The carry of the segment that is read. */
    bool carried;        /* one was complete: the state is known */
    bool carry_complete; /* this segment's */
    uint8_t *carry;
    size_t carry_count;
    size_t carry_capacity;

    /* The frame in progress. */
    bool in_frame;
    uint32_t home; /* the segment it began in */
    uint32_t flags;
    uint32_t group;
    uint64_t frame_bytes;
    uint64_t left_bytes; /* still to come */
    uint64_t entries_left;
    struct wal_state after;
    uint64_t first_index, last_index, last_term; /* of its entries so far; 0: none */
    struct raft_entry *pending;
    size_t pending_count;
    size_t pending_capacity;
    enum wal_frame_phase phase;
    uint8_t scratch[WAL_FRAME_HEAD_BYTES];
    size_t scratch_count;
    uint8_t *data; /* of the last pending entry; NULL: not kept */
    size_t data_left;

    /* The tail of a frame whose beginning was removed with its segment. */
    uint64_t skip_bytes;
    struct wal_mark skip_after; /* of its group, when it is over */
    uint64_t void_bytes;        /* of frames that were never completed */

    const char *error; /* a static phrase after -SKEIN_ECORRUPT */
};

void wal_frames_init(struct wal_frames *frames, struct wal_groups *groups,
                     struct wal_segments *segments);
void wal_frames_deinit(struct wal_frames *frames);
/* wal_frames_segment - a segment begins, @number, with a carry. */
void wal_frames_segment(struct wal_frames *frames, uint32_t number);
/* wal_frames_carry - the next bytes of its carry.
 * **Returns** 0; -SKEIN_ECORRUPT: none looks like this, or it contradicts what came before;
 * -SKEIN_ENOMEM. */
int wal_frames_carry(struct wal_frames *frames, const uint8_t *data, size_t count) SKEIN_MUST_CHECK;
/* wal_frames_push - the next bytes of the stream, from @segment.
 * **Returns** 0, -SKEIN_ECORRUPT: no frame looks like this, -SKEIN_ENOMEM. */
int wal_frames_push(struct wal_frames *frames, uint32_t segment, const uint8_t *data,
                    size_t count) SKEIN_MUST_CHECK;
/* wal_frames_end - the stream ended; a frame in progress is void. */
void wal_frames_end(struct wal_frames *frames);
/* wal_frames_contiguous - @group's entries reach down to its start; what is covered by the start
 * and does not is dropped. False: entries are missing. */
bool wal_frames_contiguous(struct wal_group *group);

#endif
