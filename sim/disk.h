/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backend.h"
#include "sim/world.h"

/*
 * A disk with a file system on it, as unkind as POSIX allows.
 *
 *   write --> block.data (page cache) --sync--> durable
 *                |                                 |
 *                +------------- crash: each unsynced block, on its own, is the old one or the new
 * one
 *
 *   create, rename, unlink, mkdir --> the directory as seen --directory sync--> durable
 *                                        |
 *                                        +-- crash: the unsynced ones are undone from some drawn
 * point on
 *
 * - A file is 4 KiB blocks. A write with SKEIN_FILE_DSYNC makes its own blocks and the size
 * durable, nothing else.
 * - A sync covers the writes that were complete when it was submitted.
 * - A sync that fails loses the dirty blocks of the page cache in silence: they are read as before,
 *   a later sync "succeeds" and does not cover them (fsyncgate), until they are written again. What
 *   was written past the cache (SKEIN_FILE_DIRECT) is in the device, and a later sync covers it.
 * - A write in flight at the crash may be there in part, block by block, and with torn_per_mille
 * also sector by sector (SIM_SECTOR_BYTES).
 *
 * Blocks of zeros cost no memory. Paths are absolute, components separated by '/'.
 */

#define SIM_BLOCK_BYTES 4096u
#define SIM_SECTOR_BYTES 512u

struct sim_inode;

struct sim_disk_faults {
    uint32_t write_error_per_mille, sync_error_per_mille, read_error_per_mille;
    uint32_t torn_per_mille; /* of the unsynced blocks that a crash leaves: only some sectors */
    uint32_t slow_factor;    /* 1: as it is */
    uint64_t capacity_bytes; /* 0: unlimited */
};

struct sim_disk_stats {
    uint64_t reads, writes, syncs, write_errors, sync_errors, full_errors;
    uint64_t lost_blocks;  /* unsynced blocks that went back to the old content in a crash */
    uint64_t undone_names; /* unsynced directory changes undone in a crash */
    uint64_t flipped_bits;
    uint64_t torn_blocks; /* of the log's segments and the checkpoints */
};

struct sim_disk *sim_disk_open(struct sim_world *world);
void sim_disk_close(struct sim_disk *disk);
struct sim_disk_faults *sim_disk_faults(struct sim_disk *disk);
const struct sim_disk_stats *sim_disk_stats(const struct sim_disk *disk);
uint64_t sim_disk_used_bytes(const struct sim_disk *disk);
/* sim_disk_wipe - an empty disk, durably. Only while its host is down. */
void sim_disk_wipe(struct sim_disk *disk);
/* sim_disk_process_died - handles and locks are gone; @power_loss: and what was not synced is
 * drawn. */
void sim_disk_process_died(struct sim_disk *disk, bool power_loss);
/* sim_disk_flip_bit - one bit of one durable, non-zero block of a drawn file whose name ends in one
 * of wal/skc. **Returns** false: there is none. */
bool sim_disk_flip_bit(struct sim_disk *disk, char *out_path, size_t path_bytes);

/* sim_disk_misdirect - a write went astray, long ago: a durable block of such a file holds what
 * belongs into another block of it; half the time, in checkpoints, that other one was never
 * written.
 * **Returns** false: there are no two that differ. */
bool sim_disk_misdirect(struct sim_disk *disk, char *out_path, size_t path_bytes);

/* sim_disk_rot - one sector in a hundred of all such files named wal holds noise. **Returns**
 * false: no sector was hit. */
bool sim_disk_rot(struct sim_disk *disk, char *out_path, size_t path_bytes);
/* sim_disk_rot_any - the same in every file, whatever its name is. */
bool sim_disk_rot_any(struct sim_disk *disk, char *out_path, size_t path_bytes);

/* ---- the calls behind the backend's ops; results as the op's. Memory: NULL arena current. ---- */
int sim_disk_lookup(struct sim_disk *disk, const char *path, uint32_t flags,
                    struct sim_inode **out_inode); /* open: a reference is taken */
void sim_disk_release(struct sim_disk *disk, struct sim_inode *inode, bool held_lock);
int64_t sim_disk_read(struct sim_disk *disk, struct sim_inode *inode, const struct iovec *iov,
                      int iov_count, uint64_t offset);
/* sim_disk_write - @flags: SKEIN_FILE_DSYNC, SKEIN_FILE_DIRECT. @block_per_mille: of the blocks it
 * covers, how many are written at all (1000: every one; less only for a write that a crash cut). */
int64_t sim_disk_write(struct sim_disk *disk, struct sim_inode *inode, const struct iovec *iov,
                       int iov_count, uint64_t offset, uint32_t flags, uint32_t block_per_mille);
/* sim_disk_stamp - what a sync submitted now will cover. */
uint64_t sim_disk_stamp(const struct sim_disk *disk);
void sim_disk_sync(struct sim_disk *disk, struct sim_inode *inode, uint64_t stamp);
void sim_disk_sync_failed(struct sim_disk *disk, struct sim_inode *inode, uint64_t stamp);
int sim_disk_resize(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes, bool shrink);
int sim_disk_stat(struct sim_disk *disk, const char *path, struct skein_stat *out_stat);
int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to);
int sim_disk_unlink(struct sim_disk *disk, const char *path, bool directory);
int sim_disk_mkdir(struct sim_disk *disk, const char *path);
/* sim_disk_list - names in byte order, allocated in @arena. */
int sim_disk_list(struct sim_disk *disk, const char *path, struct skein_names *out_names,
                  struct mem_arena *arena);
/* sim_disk_lock - 0 or -EWOULDBLOCK. */
int sim_disk_lock(struct sim_inode *inode);
uint64_t sim_inode_bytes(const struct sim_inode *inode);
bool sim_inode_is_directory(const struct sim_inode *inode);

#endif
