/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk.h"

#include <errno.h>
#include <string.h>

#include "sim/disk_internal.h"

static const uint8_t zeros[SIM_BLOCK_BYTES];

struct sim_disk *
sim_disk_open(struct sim_world *world)
{
    struct sim_disk *disk = mem_zalloc(sizeof(*disk));
    disk->world = world;
    disk->next_stamp = 1;
    disk->faults.slow_factor = 1;
    disk->root = inode_new(disk, true);
    return disk;
}

static void
forget_changes(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->change_count; i++)
        change_deinit(disk, &disk->changes[i]);
    disk->change_count = 0;
}

void
sim_disk_close(struct sim_disk *disk)
{
    if (!disk)
        return;
    forget_changes(disk);
    inode_unref(disk, disk->root);
    while (disk->free_blocks) {
        uint8_t *data = disk->free_blocks;
        memcpy(&disk->free_blocks, data, sizeof(disk->free_blocks));
        mem_free(data);
    }
    mem_free(disk->changes);
    mem_free(disk);
}

void
sim_disk_wipe(struct sim_disk *disk)
{
    forget_changes(disk);
    inode_unref(disk, disk->root);
    disk->root = inode_new(disk, true);
}

struct sim_disk_faults *
sim_disk_faults(struct sim_disk *disk)
{
    return &disk->faults;
}

const struct sim_disk_stats *
sim_disk_stats(const struct sim_disk *disk)
{
    return &disk->stats;
}

uint64_t
sim_disk_used_bytes(const struct sim_disk *disk)
{
    return disk->block_count * SIM_BLOCK_BYTES;
}

struct sim_inode *
inode_new(struct sim_disk *disk, bool is_directory)
{
    struct sim_inode *inode = mem_zalloc(sizeof(*inode));
    inode->number = ++disk->next_inode;
    inode->refs = 1;
    inode->is_directory = is_directory;
    return inode;
}

uint8_t *
block_new_data(struct sim_disk *disk)
{
    uint8_t *data = disk->free_blocks;
    disk->block_count++;
    if (!data)
        return mem_alloc(SIM_BLOCK_BYTES);
    memcpy(&disk->free_blocks, data, sizeof(disk->free_blocks));
    return data;
}

void
block_free_data(struct sim_disk *disk, uint8_t *data)
{
    if (!data)
        return;
    skein_assert(disk->block_count > 0);
    disk->block_count--;
    memcpy(data, &disk->free_blocks, sizeof(disk->free_blocks));
    disk->free_blocks = data;
}

static void
block_clear(struct sim_disk *disk, struct sim_block *block)
{
    block_free_data(disk, block->data);
    if (block->dirty)
        block_free_data(disk, block->synced);
    *block = (struct sim_block){0};
}

/* Directories hold only what was put in by name: no cycles, and a depth that the paths bound. */
void
inode_unref(struct sim_disk *disk, struct sim_inode *inode)
{
    if (!inode)
        return;
    skein_assert(inode->refs > 0);
    if (--inode->refs > 0)
        return;
    for (size_t i = 0; i < inode->block_count; i++)
        block_clear(disk, &inode->blocks[i]);
    for (size_t i = 0; i < inode->entry_count; i++) {
        mem_free(inode->entries[i].name);
        inode_unref(disk, inode->entries[i].inode);
    }
    mem_free(inode->blocks);
    mem_free(inode->entries);
    mem_free(inode);
}

void
sim_disk_release(struct sim_disk *disk, struct sim_inode *inode, bool held_lock)
{
    if (held_lock)
        inode->locked = false;
    inode_unref(disk, inode);
}

uint64_t
sim_inode_bytes(const struct sim_inode *inode)
{
    return inode->size_bytes;
}

bool
sim_inode_is_directory(const struct sim_inode *inode)
{
    return inode->is_directory;
}

int
sim_disk_lock(struct sim_inode *inode)
{
    if (inode->locked)
        return -EWOULDBLOCK;
    inode->locked = true;
    return 0;
}

static void
reserve_blocks(struct sim_inode *inode, size_t block_count)
{
    if (block_count > inode->block_capacity) {
        size_t capacity =
            inode->block_capacity * 2 > block_count ? inode->block_capacity * 2 : block_count;
        inode->blocks = mem_realloc(inode->blocks, capacity * sizeof(inode->blocks[0]));
        inode->block_capacity = capacity;
    }
    if (block_count > inode->block_count) {
        memset(&inode->blocks[inode->block_count], 0,
               (block_count - inode->block_count) * sizeof(inode->blocks[0]));
        inode->block_count = block_count;
    }
}

static void
set_size(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes)
{
    inode->size_bytes = bytes;
    inode->size_stamp = disk->next_stamp++;
}

int64_t
sim_disk_read(struct sim_disk *disk, struct sim_inode *inode, const struct iovec *iov,
              int iov_count, uint64_t offset)
{
    disk->stats.reads++;
    if (inode->is_directory)
        return -EISDIR;
    int64_t total = 0;
    for (int v = 0; v < iov_count; v++) {
        uint8_t *to = iov[v].iov_base;
        size_t left = iov[v].iov_len;
        while (left > 0 && offset < inode->size_bytes) {
            size_t in_block = (size_t)(offset % SIM_BLOCK_BYTES);
            size_t n = SIM_BLOCK_BYTES - in_block;
            n = n < left ? n : left;
            n = n < inode->size_bytes - offset ? n : (size_t)(inode->size_bytes - offset);
            size_t index = (size_t)(offset / SIM_BLOCK_BYTES);
            const uint8_t *data = index < inode->block_count ? inode->blocks[index].data : NULL;
            memcpy(to, (data ? data : zeros) + in_block, n);
            to += n;
            left -= n;
            offset += n;
            total += (int64_t)n;
        }
    }
    return total;
}

/* The new content of one block: the durable one is set aside when it was clean. */
static void
block_write(struct sim_disk *disk, struct sim_block *block, size_t in_block, const uint8_t *from,
            size_t n, uint32_t flags)
{
    bool to_zero = n == SIM_BLOCK_BYTES && memcmp(from, zeros, n) == 0;
    bool in_place = (flags & SKEIN_FILE_DSYNC) && !block->dirty;
    uint8_t *data = NULL;
    if (!to_zero && in_place && block->data) {
        memcpy(block->data + in_block, from, n);
        return;
    }
    if (!to_zero) {
        data = block_new_data(disk);
        if (n < SIM_BLOCK_BYTES)
            memcpy(data, block->data ? block->data : zeros, SIM_BLOCK_BYTES);
        memcpy(data + in_block, from, n);
    }
    if (flags & SKEIN_FILE_DSYNC) {
        block_clear(disk, block);
        block->data = data;
        return;
    }
    if (block->dirty)
        block_free_data(disk, block->data);
    else
        block->synced = block->data;
    block->data = data;
    block->dirty = true;
    block->direct = (flags & SKEIN_FILE_DIRECT) != 0;
    block->stamp = disk->next_stamp++;
}

/* @n bytes of the vectors, @skip bytes in: where they are when they lie together, else in
 * @scratch. */
static const uint8_t *
gather(const struct iovec *iov, int iov_count, size_t skip, uint8_t *scratch, size_t n)
{
    uint8_t *out = scratch;
    for (int v = 0; v < iov_count && n > 0; v++) {
        if (skip >= iov[v].iov_len) {
            skip -= iov[v].iov_len;
            continue;
        }
        const uint8_t *from = (const uint8_t *)iov[v].iov_base + skip;
        size_t part = iov[v].iov_len - skip;
        if (part >= n && out == scratch)
            return from;
        part = part < n ? part : n;
        memcpy(out, from, part);
        out += part;
        n -= part;
        skip = 0;
    }
    return scratch;
}

int64_t
sim_disk_write(struct sim_disk *disk, struct sim_inode *inode, const struct iovec *iov,
               int iov_count, uint64_t offset, uint32_t flags, uint32_t block_per_mille)
{
    size_t bytes = 0;
    for (int v = 0; v < iov_count; v++)
        bytes += iov[v].iov_len;
    if (inode->is_directory)
        return -EISDIR;
    if (bytes == 0)
        return 0;
    disk->stats.writes++;
    uint64_t end = offset + bytes;
    if (disk->faults.capacity_bytes > 0 && end > inode->size_bytes &&
        sim_disk_used_bytes(disk) + (end - inode->size_bytes) > disk->faults.capacity_bytes) {
        disk->stats.full_errors++;
        return -ENOSPC;
    }
    reserve_blocks(inode, (size_t)((end + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES));
    uint8_t scratch[SIM_BLOCK_BYTES];
    for (size_t done = 0; done < bytes;) {
        size_t in_block = (size_t)((offset + done) % SIM_BLOCK_BYTES);
        size_t n = SIM_BLOCK_BYTES - in_block;
        n = n < bytes - done ? n : bytes - done;
        if (block_per_mille >= 1000 || sim_chance(disk->world, block_per_mille)) {
            const uint8_t *from = gather(iov, iov_count, done, scratch, n);
            block_write(disk, &inode->blocks[(offset + done) / SIM_BLOCK_BYTES], in_block, from, n,
                        flags);
        }
        done += n;
    }
    if (end > inode->size_bytes)
        set_size(disk, inode, end);
    if ((flags & SKEIN_FILE_DSYNC) && inode->synced_size_bytes < end)
        inode->synced_size_bytes = end;
    return (int64_t)bytes;
}

uint64_t
sim_disk_stamp(const struct sim_disk *disk)
{
    return disk->next_stamp;
}

void
sim_disk_sync(struct sim_disk *disk, struct sim_inode *inode, uint64_t stamp)
{
    disk->stats.syncs++;
    if (inode->is_directory) {
        names_sync(disk, inode, stamp);
        return;
    }
    for (size_t i = 0; i < inode->block_count; i++) {
        struct sim_block *block = &inode->blocks[i];
        if (!block->dirty || block->stamp >= stamp)
            continue;
        block_free_data(disk, block->synced);
        block->synced = NULL;
        block->dirty = false;
    }
    uint64_t size_bytes = inode->size_bytes;
    if (inode->size_stamp >=
        stamp) { /* it has grown since: as far as what is durable now reaches */
        size_t count = inode->block_count;
        while (count > 0 && inode->blocks[count - 1].dirty)
            count--;
        uint64_t reach_bytes = (uint64_t)count * SIM_BLOCK_BYTES;
        size_bytes = reach_bytes < size_bytes ? reach_bytes : size_bytes;
    }
    if (size_bytes > inode->synced_size_bytes || inode->size_stamp < stamp)
        inode->synced_size_bytes = size_bytes;
}

void
sim_disk_sync_failed(struct sim_disk *disk, struct sim_inode *inode, uint64_t stamp)
{
    disk->stats.sync_errors++;
    for (size_t i = 0; i < inode->block_count; i++)
        if (inode->blocks[i].dirty && !inode->blocks[i].direct && inode->blocks[i].stamp < stamp)
            inode->blocks[i].stamp = STAMP_LOST;
}

int
sim_disk_resize(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes, bool shrink)
{
    if (inode->is_directory)
        return -EISDIR;
    if (bytes > inode->size_bytes) {
        if (disk->faults.capacity_bytes > 0 &&
            sim_disk_used_bytes(disk) + bytes - inode->size_bytes > disk->faults.capacity_bytes) {
            disk->stats.full_errors++;
            return -ENOSPC;
        }
        set_size(disk, inode, bytes);
        return 0;
    }
    if (!shrink || bytes == inode->size_bytes)
        return 0;
    /* Cut-off blocks read as zeros when the file grows again; in a crash the old ones may be back.
     */
    for (size_t i = (size_t)((bytes + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES);
         i < inode->block_count; i++)
        if (inode->blocks[i].data)
            block_write(disk, &inode->blocks[i], 0, zeros, SIM_BLOCK_BYTES, 0);
    size_t in_block = (size_t)(bytes % SIM_BLOCK_BYTES);
    size_t last = (size_t)(bytes / SIM_BLOCK_BYTES);
    if (in_block > 0 && last < inode->block_count && inode->blocks[last].data)
        block_write(disk, &inode->blocks[last], in_block, zeros, SIM_BLOCK_BYTES - in_block, 0);
    set_size(disk, inode, bytes);
    return 0;
}
