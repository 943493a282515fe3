/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "sim/disk_internal.h"

#define NAME_BYTES_MAX 255
#define PATH_DEPTH_MAX 16

/* Where @name is or would be among the entries. */
static size_t
entry_slot(const struct sim_inode *directory, const char *name, bool *out_found)
{
    size_t low = 0, high = directory->entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(directory->entries[middle].name, name);
        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_found = false;
    return low;
}

struct sim_inode *
entry_get(const struct sim_inode *directory, const char *name)
{
    bool found;
    size_t slot = entry_slot(directory, name, &found);
    return found ? directory->entries[slot].inode : NULL;
}

void
entry_set(struct sim_disk *disk, struct sim_inode *directory, const char *name,
          struct sim_inode *inode)
{
    bool found;
    size_t slot = entry_slot(directory, name, &found);
    if (inode)
        inode->refs++;
    if (found) {
        struct sim_entry *entry = &directory->entries[slot];
        struct sim_inode *old = entry->inode;
        if (inode) {
            entry->inode = inode;
        } else {
            mem_free(entry->name);
            directory->entry_count--;
            memmove(entry, entry + 1, (directory->entry_count - slot) * sizeof(*entry));
        }
        inode_unref(disk, old);
        return;
    }
    if (!inode)
        return;
    mem_grow(&directory->entries, &directory->entry_capacity, directory->entry_count,
             sizeof(directory->entries[0]));
    struct sim_entry *entry = &directory->entries[slot];
    memmove(entry + 1, entry, (directory->entry_count - slot) * sizeof(*entry));
    *entry = (struct sim_entry){mem_strdup(name), inode};
    directory->entry_count++;
}

void
change_deinit(struct sim_disk *disk, struct sim_change *change)
{
    inode_unref(disk, change->directory);
    inode_unref(disk, change->before);
    mem_free(change->name);
    *change = (struct sim_change){0};
}

/* Change a name and remember how to undo it. */
static void
change_name(struct sim_disk *disk, struct sim_inode *directory, const char *name,
            struct sim_inode *inode, bool joined)
{
    mem_grow(&disk->changes, &disk->change_capacity, disk->change_count, sizeof(disk->changes[0]));
    struct sim_inode *before = entry_get(directory, name);
    directory->refs++;
    if (before)
        before->refs++;
    disk->changes[disk->change_count++] = (struct sim_change){.directory = directory,
                                                              .name = mem_strdup(name),
                                                              .before = before,
                                                              .stamp = disk->next_stamp++,
                                                              .joined = joined};
    entry_set(disk, directory, name, inode);
}

void
names_sync(struct sim_disk *disk, struct sim_inode *directory, uint64_t stamp)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->change_count; i++) {
        struct sim_change *change = &disk->changes[i];
        if (change->directory == directory && change->stamp < stamp)
            change_deinit(disk, change);
        else
            disk->changes[kept++] = *change;
    }
    disk->change_count = kept;
}

/*
 * The directory a path's last component lies in, and that component (empty: the path is
 * @out_directory itself).
 */
static int
resolve_parent(struct sim_disk *disk, const char *path, struct sim_inode **out_directory,
               char out_name[NAME_BYTES_MAX + 1])
{
    struct sim_inode *above[PATH_DEPTH_MAX] = {disk->root};
    int depth = 0;
    out_name[0] = '\0';
    for (const char *at = path; *at;) {
        at += strspn(at, "/");
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.')) {
            at += n;
            continue;
        }
        if (n > NAME_BYTES_MAX)
            return -ENAMETOOLONG;
        if (n == 2 && at[0] == '.' && at[1] == '.') {
            if (!out_name[0] && depth > 0)
                depth--;
            out_name[0] = '\0';
            at += n;
            continue;
        }
        if (out_name[0]) {
            struct sim_inode *below = entry_get(above[depth], out_name);
            if (!below || !below->is_directory)
                return below ? -ENOTDIR : -ENOENT;
            if (++depth == PATH_DEPTH_MAX)
                return -ELOOP;
            above[depth] = below;
        }
        memcpy(out_name, at, n);
        out_name[n] = '\0';
        at += n;
    }
    *out_directory = above[depth];
    return 0;
}

static int
resolve(struct sim_disk *disk, const char *path, struct sim_inode **out_inode)
{
    struct sim_inode *directory;
    char name[NAME_BYTES_MAX + 1];
    int rc = resolve_parent(disk, path, &directory, name);
    if (rc < 0)
        return rc;
    struct sim_inode *inode = name[0] ? entry_get(directory, name) : directory;
    if (!inode)
        return -ENOENT;
    *out_inode = inode;
    return 0;
}

int
sim_disk_lookup(struct sim_disk *disk, const char *path, uint32_t flags,
                struct sim_inode **out_inode)
{
    struct sim_inode *directory;
    char name[NAME_BYTES_MAX + 1];
    int rc = resolve_parent(disk, path, &directory, name);
    if (rc < 0)
        return rc;
    struct sim_inode *inode = name[0] ? entry_get(directory, name) : directory;
    if (inode && (flags & SKEIN_FILE_CREATE) && (flags & SKEIN_FILE_EXCLUSIVE))
        return -EEXIST;
    if (!inode && !(flags & SKEIN_FILE_CREATE))
        return -ENOENT;
    if (!inode) {
        if (disk->faults.capacity_bytes > 0 &&
            sim_disk_used_bytes(disk) + SIM_BLOCK_BYTES > disk->faults.capacity_bytes) {
            disk->stats.full_errors++;
            return -ENOSPC;
        }
        inode = inode_new(disk, false);
        change_name(disk, directory, name, inode, false);
        inode_unref(disk, inode);
    }
    if ((flags & SKEIN_FILE_DIRECTORY) && !inode->is_directory)
        return -ENOTDIR;
    if (!(flags & SKEIN_FILE_DIRECTORY) && inode->is_directory && (flags & SKEIN_FILE_RDWR))
        return -EISDIR;
    if (flags & SKEIN_FILE_TRUNC) {
        rc = sim_disk_resize(disk, inode, 0, true);
        if (rc < 0)
            return rc;
    }
    inode->refs++;
    *out_inode = inode;
    return 0;
}

int
sim_disk_stat(struct sim_disk *disk, const char *path, struct skein_stat *out_stat)
{
    struct sim_inode *inode;
    int rc = resolve(disk, path, &inode);
    if (rc < 0)
        return rc;
    *out_stat = (struct skein_stat){inode->size_bytes, inode->is_directory};
    return 0;
}

int
sim_disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    struct sim_inode *from_directory, *to_directory;
    char from_name[NAME_BYTES_MAX + 1] = "", to_name[NAME_BYTES_MAX + 1] = "";
    int rc = resolve_parent(disk, from, &from_directory, from_name);
    if (rc == 0)
        rc = resolve_parent(disk, to, &to_directory, to_name);
    if (rc < 0)
        return rc;
    if (!from_name[0] || !to_name[0])
        return -EBUSY;
    struct sim_inode *inode = entry_get(from_directory, from_name);
    struct sim_inode *over = entry_get(to_directory, to_name);
    if (!inode)
        return -ENOENT;
    if (inode == over)
        return 0;
    if (over && over->is_directory != inode->is_directory)
        return over->is_directory ? -EISDIR : -ENOTDIR;
    if (over && over->entry_count > 0)
        return -ENOTEMPTY;
    inode->refs++;
    change_name(disk, from_directory, from_name, NULL, false);
    change_name(disk, to_directory, to_name, inode, true);
    inode_unref(disk, inode);
    return 0;
}

int
sim_disk_unlink(struct sim_disk *disk, const char *path, bool is_directory)
{
    struct sim_inode *directory;
    char name[NAME_BYTES_MAX + 1];
    int rc = resolve_parent(disk, path, &directory, name);
    if (rc < 0)
        return rc;
    struct sim_inode *inode = name[0] ? entry_get(directory, name) : directory;
    if (!inode)
        return -ENOENT;
    if (inode->is_directory != is_directory)
        return is_directory ? -ENOTDIR : -EISDIR;
    if (inode->entry_count > 0)
        return -ENOTEMPTY;
    if (inode == disk->root)
        return -EBUSY;
    change_name(disk, directory, name, NULL, false);
    return 0;
}

int
sim_disk_mkdir(struct sim_disk *disk, const char *path)
{
    struct sim_inode *directory;
    char name[NAME_BYTES_MAX + 1];
    int rc = resolve_parent(disk, path, &directory, name);
    if (rc < 0)
        return rc;
    if (!name[0] || entry_get(directory, name))
        return -EEXIST;
    struct sim_inode *inode = inode_new(disk, true);
    change_name(disk, directory, name, inode, false);
    inode_unref(disk, inode);
    return 0;
}

int
sim_disk_list(struct sim_disk *disk, const char *path, struct skein_names *out_names,
              struct mem_arena *arena)
{
    struct sim_inode *inode;
    int rc = resolve(disk, path, &inode);
    if (rc < 0)
        return rc;
    if (!inode->is_directory)
        return -ENOTDIR;
    struct mem_arena *previous = mem_arena_set_current(arena);
    struct skein_names names = {.count = inode->entry_count};
    names.names = mem_alloc(names.count * sizeof(names.names[0]));
    for (size_t i = 0; i < names.count; i++)
        names.names[i] = mem_strdup(inode->entries[i].name);
    mem_arena_set_current(previous);
    *out_names = names;
    return 0;
}
