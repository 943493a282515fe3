/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "sim/disk_internal.h"

/* Each file reachable by name, once, with its path. Depth is bounded by PATH_DEPTH_MAX. */
#define PATH_DEPTH_MAX 8

struct walk {
    void (*visit)(struct walk *walk, struct sim_inode *inode, const char *path);
    struct sim_disk *disk;
    uint64_t count, chosen;
    char *out_path;
    size_t path_bytes;
    bool any_file; /* not only those of the log and checkpoints */
};

static void
walk_directory(struct walk *walk, struct sim_inode *directory, const char *path, int depth)
{
    for (size_t i = 0; depth < PATH_DEPTH_MAX && i < directory->entry_count; i++) {
        struct sim_entry *entry = &directory->entries[i];
        char below[512];
        int bytes = snprintf(below, sizeof(below), "%s/%s", path, entry->name);
        skein_assert(bytes > 0 && (size_t)bytes < sizeof(below));
        if (entry->inode->is_directory)
            walk_directory(walk, entry->inode, below, depth + 1);
        else
            walk->visit(walk, entry->inode, below);
    }
}

static bool
has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcmp(path + n - m, suffix) == 0;
}

/* What the damage that is drawn is for: the log's segments and the checkpoints. */
static bool
is_log(const char *path)
{
    return has_suffix(path, ".wal") || has_suffix(path, ".skc");
}

static void
unlock(struct walk *walk, struct sim_inode *inode, const char *path)
{
    inode->locked = false;
}

static void
block_back(struct sim_disk *disk, struct sim_block *block)
{
    block_free_data(disk, block->data);
    block->data = block->synced;
    block->synced = NULL;
    block->dirty = false;
    disk->stats.lost_blocks++;
}

static void
block_stays(struct sim_disk *disk, struct sim_block *block)
{
    block_free_data(disk, block->synced);
    block->synced = NULL;
    block->dirty = false;
}

/* Of the sectors of a block that was being written each is there or not. */
static void
block_torn(struct walk *walk, struct sim_block *block, bool counts)
{
    struct sim_disk *disk = walk->disk;
    uint8_t both[2][SIM_BLOCK_BYTES] = {0};
    bool differs[2] = {false};
    const uint8_t *sides[2] = {block->synced, block->data};
    for (int side = 0; side < 2; side++)
        if (sides[side])
            memcpy(both[side], sides[side], SIM_BLOCK_BYTES);
    for (size_t at = 0; at < SIM_BLOCK_BYTES; at += SIM_SECTOR_BYTES) {
        bool is_new = sim_chance(disk->world, 500);
        bool same = memcmp(both[0] + at, both[1] + at, SIM_SECTOR_BYTES) == 0;
        differs[is_new] = differs[is_new] || !same;
        memcpy(both[1] + at, both[is_new] + at, SIM_SECTOR_BYTES);
    }
    block_free_data(disk, block->data);
    block->data = block_new_data(disk);
    memcpy(block->data, both[1], SIM_BLOCK_BYTES);
    block_stays(disk, block);
    disk->stats.torn_blocks += counts && differs[0] && differs[1];
}

/* Per crash and file one of: all lost, each block drawn, all kept. */
static void
draw_file(struct walk *walk, struct sim_inode *inode, const char *path)
{
    struct sim_disk *disk = walk->disk;
    static const uint32_t keep_per_mille[] = {0, 0, 300, 500, 800, 1000};
    uint32_t keep = keep_per_mille[sim_draw(disk->world, 0, BASE_COUNT_OF(keep_per_mille) - 1)];
    for (size_t i = 0; i < inode->block_count; i++) {
        struct sim_block *block = &inode->blocks[i];
        if (!block->dirty)
            continue;
        if (!sim_chance(disk->world, keep) || block->stamp == STAMP_LOST)
            block_back(disk, block);
        else if (sim_chance(disk->world, disk->faults.torn_per_mille))
            block_torn(walk, block, is_log(path));
        else
            block_stays(disk, block);
    }
    if (inode->size_bytes != inode->synced_size_bytes && !sim_chance(disk->world, keep))
        inode->size_bytes = inode->synced_size_bytes;
    inode->synced_size_bytes = inode->size_bytes;
    /* What lies behind the end is not there. */
    size_t count = (size_t)((inode->size_bytes + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES);
    for (size_t i = count; i < inode->block_count; i++) {
        block_free_data(disk, inode->blocks[i].data);
        inode->blocks[i] = (struct sim_block){0};
    }
    if (count < inode->block_count)
        inode->block_count = count;
}

/* The journal of names was written up to some point; what came later is undone, newest first. */
static void
draw_names(struct sim_disk *disk)
{
    size_t keep = (size_t)sim_draw(disk->world, 0, disk->change_count);
    while (keep < disk->change_count && disk->changes[keep].joined)
        keep++;
    for (size_t i = disk->change_count; i-- > keep;) {
        struct sim_change *change = &disk->changes[i];
        entry_set(disk, change->directory, change->name, change->before);
        disk->stats.undone_names++;
    }
    for (size_t i = 0; i < disk->change_count; i++)
        change_deinit(disk, &disk->changes[i]);
    disk->change_count = 0;
}

void
sim_disk_process_died(struct sim_disk *disk, bool power_loss)
{
    struct walk walk = {.visit = unlock, .disk = disk};
    walk_directory(&walk, disk->root, "", 0);
    if (!power_loss)
        return;
    draw_names(disk);
    walk.visit = draw_file;
    walk_directory(&walk, disk->root, "", 0);
}

static bool
can_flip(const struct walk *walk, const struct sim_inode *inode, const char *path, size_t block)
{
    return (walk->any_file || is_log(path)) && inode->blocks[block].data &&
           !inode->blocks[block].dirty;
}

static void
count_blocks(struct walk *walk, struct sim_inode *inode, const char *path)
{
    for (size_t i = 0; i < inode->block_count; i++)
        walk->count += can_flip(walk, inode, path, i);
}

static void
flip_chosen(struct walk *walk, struct sim_inode *inode, const char *path)
{
    for (size_t i = 0; i < inode->block_count; i++) {
        if (!can_flip(walk, inode, path, i) || walk->count++ != walk->chosen)
            continue;
        uint64_t bit = sim_draw(walk->disk->world, 0, SIM_BLOCK_BYTES * 8 - 1);
        inode->blocks[i].data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        snprintf(walk->out_path, walk->path_bytes, "%s block %zu bit %llu", path, i,
                 (unsigned long long)bit);
        walk->disk->stats.flipped_bits++;
    }
}

static bool
block_is_blank(const struct sim_block *block)
{
    for (size_t i = 0; i < SIM_BLOCK_BYTES; i++)
        if (block->data[i])
            return false;
    return true;
}

/*
 * Block @to holds what belongs behind or before it, in the same file. Where that belongs may be
 * left as it was before only in a checkpoint: of a log's last batch nobody could tell that from a
 * write that was never made (docs/design/0002-log-format.md), and no more if zeros had gone astray.
 */
static void
misdirect(struct walk *walk, struct sim_inode *inode, const char *path, size_t to)
{
    struct sim_disk *disk = walk->disk;
    size_t other = (size_t)sim_draw(disk->world, 0, inode->block_count - 1);
    struct sim_block *source = &inode->blocks[other];
    if (!source->data || block_is_blank(source) ||
        memcmp(source->data, inode->blocks[to].data, SIM_BLOCK_BYTES) == 0)
        return;
    memcpy(inode->blocks[to].data, source->data, SIM_BLOCK_BYTES);
    bool lost = has_suffix(path, ".skc") && !source->dirty && sim_chance(disk->world, 500);
    if (lost) {
        block_free_data(disk, source->data);
        source->data = NULL;
    }
    snprintf(walk->out_path, walk->path_bytes, "%s block %zu holds block %zu%s", path, to, other,
             lost ? ", which is blank" : "");
}

static void
misdirect_chosen(struct walk *walk, struct sim_inode *inode, const char *path)
{
    for (size_t i = 0; i < inode->block_count; i++)
        if (can_flip(walk, inode, path, i) && walk->count++ == walk->chosen)
            misdirect(walk, inode, path, i);
}

static void
rot_sectors(struct walk *walk, struct sim_inode *inode, const char *path)
{
    struct prng *random = &walk->disk->world->random;
    bool meant = walk->any_file || has_suffix(path, ".wal");
    for (size_t i = 0; meant && i < inode->block_count; i++) {
        if (!can_flip(walk, inode, path, i))
            continue;
        for (size_t at = 0; at < SIM_BLOCK_BYTES; at += SIM_SECTOR_BYTES) {
            if (!prng_chance(random, 1, 100))
                continue;
            prng_fill(random, inode->blocks[i].data + at, SIM_SECTOR_BYTES);
            size_t used = strlen(walk->out_path);
            snprintf(walk->out_path + used, walk->path_bytes - used, "%s%s block %zu sector %zu",
                     used ? ", " : "", path, i, at / SIM_SECTOR_BYTES);
            walk->count++;
        }
    }
}

/* One block of all, drawn; @visit looks for the one whose turn it is. */
static bool
strike(struct sim_disk *disk,
       void (*visit)(struct walk *walk, struct sim_inode *inode, const char *path), char *out_path,
       size_t path_bytes)
{
    struct walk walk = {.visit = count_blocks, .disk = disk};
    out_path[0] = '\0';
    walk_directory(&walk, disk->root, "", 0);
    if (walk.count == 0)
        return false;
    walk.chosen = sim_draw(disk->world, 0, walk.count - 1);
    walk.count = 0;
    walk.out_path = out_path;
    walk.path_bytes = path_bytes;
    walk.visit = visit;
    walk_directory(&walk, disk->root, "", 0);
    return out_path[0] != '\0';
}

bool
sim_disk_misdirect(struct sim_disk *disk, char *out_path, size_t path_bytes)
{
    return strike(disk, misdirect_chosen, out_path, path_bytes);
}

bool
sim_disk_flip_bit(struct sim_disk *disk, char *out_path, size_t path_bytes)
{
    return strike(disk, flip_chosen, out_path, path_bytes);
}

static bool
rot(struct sim_disk *disk, bool any_file, char *out_path, size_t path_bytes)
{
    struct walk walk = {.visit = rot_sectors,
                        .disk = disk,
                        .out_path = out_path,
                        .path_bytes = path_bytes,
                        .any_file = any_file};
    out_path[0] = '\0';
    walk_directory(&walk, disk->root, "", 0);
    return walk.count > 0;
}

bool
sim_disk_rot(struct sim_disk *disk, char *out_path, size_t path_bytes)
{
    return rot(disk, false, out_path, path_bytes);
}

bool
sim_disk_rot_any(struct sim_disk *disk, char *out_path, size_t path_bytes)
{
    return rot(disk, true, out_path, path_bytes);
}
