/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_H
#define DISK_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "raft/raft.h"

/*
 * The write-ahead log: docs/design/0002-log-format.md fixes its bytes and argues each crash point.
 *
 *   wal_submit --> queue --> [writer fiber: everything queued -> one batch, padded to 4 KiB blocks,
 *                             one durable write] --> on_durable of each, in order
 *
 *   <dir>/00000001.wal 00000002.wal ...    segments, zero-filled or used before; synced before use
 *   <dir>/00000001.wal.free                removed ones, at most two, to be used again
 *
 * - A synced block is never rewritten; a batch starts in a new block.
 * - Each block: CRC32C, the segment's generation, its own position; each batch: the offset that was
 *   synced before it.
 * - One log, many *groups*: each write is of one raft group and has its own hard state, start and
 *   entries; what the groups write meanwhile becomes one batch, one durable write. Group 0 is the
 *   one of a process that has a single group.
 * - Hard state, log start and last entry of every group are carried into each new segment before
 *   anything else.
 * - After a failed write or sync the log is *latched*: everything queued and everything later
 * completes with -SKEIN_ELATCHED (the first one with the cause), for good.
 *
 * Recovery tells torn from suspect, by sectors of 512 bytes: what lies behind the last whole batch
 * is torn, and was never acknowledged, when a sector of it that had to be written is zero or of an
 * older generation. Anything else is suspect and refuses to open, naming segment and offset.
 */

struct wal;

/* Which log this is: written into each segment, compared at open. */
struct wal_identity {
    uint8_t cluster[16];
    uint64_t node; /* the raft id */
};

/*
 * Damage that leaves no doubt about what this disk has promised to one group (0007). What can be
 * read before the damage is what the log goes back to; what was behind it is to come from peers.
 */
struct wal_damage {
    uint32_t group;
    struct raft_hard_state hard_state; /* to be kept: term and vote */
    uint64_t start_index;              /* a checkpoint at least as new existed */
    uint64_t last_index;               /* the log's last entry was this one */
    uint64_t last_term;
    const char *why; /* a line for a person: file, offset, what is wrong */
};

struct wal_options {
    const char *dir; /* exists or is created */
    struct wal_identity identity;
    uint64_t segment_bytes; /* 64 MiB; a multiple of 4096, 64 KiB to 1 GiB */
    /* NULL: a damaged log is refused. Else called before anything is given up, once for each group
     * that was promised more than can be read; makes durable what @damage says and returns 0, or
     * refuses with a negative code. On the opening fiber. */
    int (*on_damage)(void *owner, const struct wal_damage *damage);
    void *owner;
    /* 0: nothing is read again. Else all segments once in so long, evenly. */
    uint64_t scrub_period_ns;
    /* NULL, or called when a block was found damaged, for each group that has entries in its
     * segment or in older ones: when they are covered by checkpoints (wal_compact), the segment
     * goes. On the scrubber's fiber; must not suspend. */
    void (*on_rot)(void *owner, uint32_t group);
    uint64_t queue_bytes_max; /* 256 MiB queued and not durable: wal_submit refuses beyond */
};

/* Groups have the ids 0 to WAL_GROUPS_MAX - 1. A log with small segments has room for fewer: what
 * is carried takes up half a segment at most (wal_groups_max in wal_group.h: 65,536 from 8 MiB on).
 */
#define WAL_GROUPS_MAX 65536u

/* What a log holds of one group. */
struct wal_group_recovery {
    uint32_t group;
    struct raft_hard_state hard_state;
    uint64_t start_index; /* the log begins behind this (a checkpoint's index); 0: at 1 */
    uint64_t start_term;
    struct raft_entry *entries; /* contiguous from some index <= start_index + 1 on... last */
    size_t entry_count;
};

/* What a log holds. **Ownership**: wal_recovery_deinit. */
struct wal_recovery {
    struct wal_group_recovery *groups; /* ascending by group; only those that ever wrote */
    size_t group_count;
    uint64_t torn_bytes; /* dropped at the end, never acknowledged */
};

void wal_recovery_deinit(struct wal_recovery *recovery);
/* wal_recovery_take - @group's part; all zero but the id when the log knows nothing of it.
 * **Ownership**: the entries are the caller's from now on (wal_group_recovery_deinit). */
struct wal_group_recovery wal_recovery_take(struct wal_recovery *recovery, uint32_t group);
void wal_group_recovery_deinit(struct wal_group_recovery *recovery);

/*
 * wal_open - open or create, recover, and start the writer fiber in @scope (skein_scope_join it
 * after wal_close).
 * @out_why: 512 bytes; on failure one line for a person: what, which file and offset, and the
 * remedy.
 * **Returns** 0; -SKEIN_ECORRUPT: suspect; -SKEIN_EIDENTITY; -SKEIN_EFORMAT: an older or newer
 * format; -errno: the disk's. **Runs on** a fiber, suspends.
 */
struct skein_scope;
int wal_open(struct wal **out_wal, const struct wal_options *options, struct skein_scope *scope,
             struct wal_recovery *out_recovery, char out_why[512]) SKEIN_MUST_CHECK;

/* One write. The submitter keeps it (and the entries) alive until on_durable; the log takes no
 * references. */
struct wal_write {
    uint32_t group;                           /* below WAL_GROUPS_MAX */
    const struct raft_hard_state *hard_state; /* NULL: unchanged */
    const struct raft_snapshot *snapshot;     /* NULL, or the log restarts behind it */
    const struct raft_entry *entries;
    size_t entry_count;
    bool sync;   /* false: may wait for the next synced write (commit only) */
    bool forget; /* the group leaves this log: nothing of it, no vote either, is left when it is
                  * durable; without state and entries */
    void (*on_durable)(struct wal_write *write,
                       int status); /* 0 or negative; on the shard, not in submit */
    void *owner;
    struct skein_list link; /* the log's */
};

/* wal_submit - queue @write. Writes of one group become durable in their order.
 * **Returns** 0; on_durable is not called after -SKEIN_EAGAIN: queue_bytes_max; -SKEIN_ETOOBIG: a
 * new group and the log has as many as it can carry; -SKEIN_ELATCHED; -SKEIN_ECLOSED. */
int wal_submit(struct wal *wal, struct wal_write *write) SKEIN_MUST_CHECK;

/* wal_compact - @group's entries up to @index are covered by a durable checkpoint (@index, @term):
 * segments that hold nothing newer are removed, after a segment that carries hard state and start
 * is durable. Does not wait. */
void wal_compact(struct wal *wal, uint32_t group, uint64_t index, uint64_t term);

/* wal_forget_damaged - remove the *.damaged files that a repair left in @dir. */
int wal_forget_damaged(const char *dir) SKEIN_MUST_CHECK;

struct wal_stats {
    uint64_t writes;      /* batches made durable */
    uint64_t write_bytes; /* with padding */
    uint64_t submits;
    uint64_t scrub_bytes;    /* read again, and checked */
    uint64_t scrub_passes;   /* times that all of it was */
    uint64_t scrub_findings; /* damaged blocks */
    uint64_t fill_bytes;     /* zeros and headers of new segments */
    uint64_t recycled_count; /* new segments that were old ones */
    uint64_t moved_bytes;    /* of groups that write little, out of old segments into the newest */
    uint64_t segment_count;
    uint64_t group_count;
    uint64_t queued_bytes;
    int latched; /* 0 or the code that latched it */
};
void wal_stats(const struct wal *wal, struct wal_stats *out_stats);

/* wal_close - write what is queued, stop the writer. The scope's join waits for it. Then wal_free.
 */
void wal_close(struct wal *wal);
void wal_free(struct wal *wal);

#endif
