/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_DISK_INTERNAL_H
#define SIM_DISK_INTERNAL_H

#include "sim/disk.h"

/* Shared by disk.c (objects, data), disk_names.c (directories) and disk_crash.c. */

#define STAMP_LOST UINT64_MAX

struct sim_block {
    uint8_t *data;   /* as read now; NULL: zeros */
    uint8_t *synced; /* while dirty: what is durable; NULL: zeros */
    uint64_t stamp;  /* of the last write while dirty; STAMP_LOST: no sync covers it any more */
    bool dirty;
    bool direct; /* that write went past the page cache */
};

struct sim_entry {
    char *name;
    struct sim_inode *inode; /* a reference */
};

struct sim_inode {
    uint64_t number;
    uint32_t refs; /* names, undo records and handles */
    bool is_directory, locked;
    uint64_t size_bytes, synced_size_bytes, size_stamp;
    struct sim_block *blocks;
    size_t block_count, block_capacity;
    struct sim_entry *entries; /* of a directory, in byte order */
    size_t entry_count, entry_capacity;
};

/* One change of one name, to be undone when a crash comes before the directory's sync. A rename is
 * two that go together (the second has joined set). */
struct sim_change {
    struct sim_inode *directory; /* a reference */
    char *name;
    struct sim_inode *before; /* a reference; NULL: the name was absent */
    uint64_t stamp;
    bool joined;
};

struct sim_disk {
    struct sim_world *world;
    struct sim_inode *root;
    struct sim_change *changes; /* in order */
    size_t change_count, change_capacity;
    uint64_t next_stamp, next_inode;
    uint64_t block_count; /* with data */
    uint8_t *free_blocks;
    struct sim_disk_faults faults;
    struct sim_disk_stats stats;
};

struct sim_inode *inode_new(struct sim_disk *disk, bool is_directory);
void inode_unref(struct sim_disk *disk, struct sim_inode *inode);
/* entry_set - make @name mean @inode (a reference is taken; NULL: nothing). No undo record. */
void entry_set(struct sim_disk *disk, struct sim_inode *directory, const char *name,
               struct sim_inode *inode);
struct sim_inode *entry_get(const struct sim_inode *directory, const char *name);
void change_deinit(struct sim_disk *disk, struct sim_change *change);
/* names_sync - the changes of @directory up to @stamp are durable. */
void names_sync(struct sim_disk *disk, struct sim_inode *directory, uint64_t stamp);
/* block_new_data - SIM_BLOCK_BYTES of anything; block_free_data - NULL is fine. Both account for
 * the space; what is freed is kept, linked by its first bytes, for the next one. */
uint8_t *block_new_data(struct sim_disk *disk);
void block_free_data(struct sim_disk *disk, uint8_t *data);

#endif
