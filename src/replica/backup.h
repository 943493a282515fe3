/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_BACKUP_H
#define REPLICA_BACKUP_H

#include "disk/checkpoint.h"
#include "replica/link.h"

/*
 * Backups are checkpoint files (docs/design/0010-backups.md).
 *
 *   replica_backup    a running node's state, now, as an open file
 *   backup_verify     every byte of such a file
 *   backup_restore    a new cluster that begins with it
 */

struct replica;

struct replica_backup_file {
    int handle; /* **Ownership**: replica_backup_close; stays readable when a newer one replaces it
                 */
    uint64_t bytes;
    uint64_t index; /* of the last entry in it */
};

/*
 * replica_backup - a checkpoint that holds everything this node had applied at the call.
 * **Returns** 0; -SKEIN_ENOTFOUND: nothing was ever applied; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED;
 * -SKEIN_ECLOSED: stopping; -errno: the disk's. **Runs on** the replica's shard, suspends.
 */
int replica_backup(struct replica *replica, uint64_t deadline_ns,
                   struct replica_backup_file *out_file) SKEIN_MUST_CHECK;

void replica_backup_close(struct replica *replica, struct replica_backup_file *file);
/* replica_backup_pause - before @count bytes of it are sent: a node sends so much of snapshots a
 * second, and no more. 0, -SKEIN_ECANCELED. **Runs on** as replica_backup. */
int replica_backup_pause(struct replica *replica, uint64_t count) SKEIN_MUST_CHECK;

/* Told now and then how far a long piece of work is, in bytes of the backup; @what: "verified",
 * "restored". */
struct backup_progress {
    void (*report)(void *owner, const char *what, uint64_t done_bytes, uint64_t all_bytes);
    void *owner;
};

/* backup_verify - read all of @path. @progress: NULL: nobody asks. **Returns** as checkpoint_open;
 * @out_why: 512 bytes. */
int backup_verify(const char *path, const struct backup_progress *progress,
                  struct checkpoint_info *out_info, char out_why[512]) SKEIN_MUST_CHECK;

struct backup_restore {
    const char *path;     /* the backup */
    const char *data_dir; /* absent, or empty */
    const char *cluster_name;
    uint32_t node; /* the first node of the new cluster; the others join it */
    const struct backup_progress *progress; /* NULL: nobody asks */
};

/*
 * backup_restore - a data directory of a new cluster: a new cluster id, a new disk, one member
 * (@node), and the backup's state. The other nodes are started with empty directories and are let
 * in as any new disk is (0005).
 * **Returns** 0; -SKEIN_EEXIST: the directory is not empty; as backup_verify; -errno of the target.
 */
int backup_restore(const struct backup_restore *restore, struct checkpoint_info *out_info,
                   char out_why[512]) SKEIN_MUST_CHECK;

#endif
