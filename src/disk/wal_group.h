/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_GROUP_H
#define DISK_WAL_GROUP_H

#include "disk/wal_block.h"

/*
 * The groups of a log, as they are after the frames read or written so far: pure bookkeeping,
 * shared by recovery and by the writer, which takes over what recovery found.
 *
 * A group *pins* the segments in which frames of it begin that hold entries behind its start. A
 * segment that nobody pins may go.
 */

/* A segment in which entries of a group lie. */
struct wal_pin {
    uint32_t segment;
    uint64_t index_max; /* the last of them that counts */
    uint64_t bytes;     /* their frames, also what does not count any more */
};

struct wal_group {
    uint32_t id;
    bool known; /* a frame or a carry has named it; not: only queued, or forgotten */
    struct wal_state state;
    uint64_t last_index; /* the log's last entry, or its start; see wal_mark */
    uint64_t last_term;
    struct wal_pin *pins; /* ascending by segment */
    size_t pin_count;
    size_t pin_capacity;

    /* The writer's. */
    uint64_t queued_count;        /* writes that name it */
    uint64_t durable_start_index; /* pins up to here are gone */
    bool forgetting;              /* a frame that is not durable yet forgets it */
    struct skein_list compact_link;
    uint64_t compact_index;
    uint64_t compact_term;

    /* Recovery's: ascending by index; what was overwritten is out. */
    struct raft_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
};

struct wal_groups {
    struct wal_group **items; /* ascending by id; each stays where it is */
    size_t count;
    size_t capacity;
};

/* ---- the segments there are ---- */
struct wal_segment {
    uint32_t number;
    uint64_t pin_count;   /* groups that pin it */
    uint32_t used_blocks; /* when it is not the one that is written any more */
    bool unclean; /* a block in it is damaged, if only in what does not count: not used again */
};

struct wal_segments {
    struct wal_segment *items; /* ascending, without gaps */
    size_t count;
    size_t capacity;
};

void wal_segments_add(struct wal_segments *segments, uint32_t number);
void wal_segments_deinit(struct wal_segments *segments);

/* wal_groups_max - how many a log with such segments may have. */
uint64_t wal_groups_max(uint64_t segment_bytes);
struct wal_group *wal_groups_find(const struct wal_groups *groups, uint32_t id);
/* wal_groups_get - find or add. */
struct wal_group *wal_groups_get(struct wal_groups *groups, uint32_t id);
/* wal_groups_remove - it pins nothing. */
void wal_groups_remove(struct wal_groups *groups, struct wal_group *group);
void wal_groups_deinit(struct wal_groups *groups);
/* wal_groups_known_count - those that are carried. O(groups). */
uint64_t wal_groups_known_count(const struct wal_groups *groups);

/* wal_group_mark - what it has promised. */
struct wal_mark wal_group_mark(const struct wal_group *group);

/* wal_group_pin - a frame that begins in @segment and has @bytes holds its entries up to @index. */
void wal_group_pin(struct wal_group *group, struct wal_segments *segments, uint32_t segment,
                   uint64_t index, uint64_t bytes);
/* wal_group_overwrite - a durable frame that begins in @segment has @index as its first entry:
 * those from it on in segments before are void. */
void wal_group_overwrite(struct wal_group *group, uint32_t segment, uint64_t index);
/* wal_group_unpin_segment - nothing of it in @segment counts any more. */
void wal_group_unpin_segment(struct wal_group *group, struct wal_segments *segments,
                             uint32_t segment);
/* wal_group_unpin_start - entries up to @index are covered by a start that is durable. */
void wal_group_unpin_start(struct wal_group *group, struct wal_segments *segments, uint64_t index);
/* wal_group_unpin_before - nothing of it in the segments below @segment counts any more. */
void wal_group_unpin_before(struct wal_group *group, struct wal_segments *segments,
                            uint32_t segment);

#endif
