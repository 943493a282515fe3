/* SPDX-License-Identifier: Apache-2.0 */
/* The new state takes the old one's place, by renames; whoever is cut off goes on. */
#include "replica/rescue_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "disk/explain.h"
#include "replica/aside.h"
#include "skein/error.h"
#include "skein/file.h"

/* recovery/groups/N/file */
#define TREE_DEPTH 3

static int
path_in(char out[RESCUE_PATH_BYTES], const char *dir, const char *name)
{
    int count = snprintf(out, RESCUE_PATH_BYTES, "%s/%s", dir, name);
    return count < (int)RESCUE_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

static bool
is_there(const char *dir, const char *name)
{
    char path[RESCUE_PATH_BYTES];
    struct skein_stat stat;
    return path_in(path, dir, name) == 0 && skein_file_stat(path, &stat) == 0;
}

int
rescue_check(const char *data_dir, char out_why[512])
{
    if (!is_there(data_dir, RESCUE_NAME))
        return 0;
    snprintf(
        out_why, 512,
        "%.150s: a recovery of this directory was begun and not finished; finish it with: skein "
        "cluster recover --data %.150s --accept-loss",
        data_dir, data_dir);
    return -SKEIN_EIDENTITY;
}

int
rescue_progress(struct rescue *rescue, enum rescue_progress *out_progress)
{
    struct identity identity;
    char why[512];
    const char *data_dir = rescue->options->data_dir;
    *out_progress = RESCUE_NONE;
    if (!is_there(data_dir, RESCUE_NAME))
        return 0;
    *out_progress = RESCUE_PARTLY;
    if (is_there(rescue->dir, "identity")) {
        *out_progress = RESCUE_COMPLETE;
        return 0;
    }
    /* The identity goes last; before it is in place the marker is there. */
    struct skein_names names = {0};
    int rc = skein_file_list(rescue->dir, &names);
    if (rc < 0)
        return rc;
    bool empty = names.count == 0, moved = false;
    for (size_t i = 0; i < names.count; i++)
        moved |= strcmp(names.names[i], "moved") == 0;
    skein_names_deinit(&names);
    bool in_place = identity_read(data_dir, &identity, why) == 0 && identity.recovered;
    if (moved || (empty && in_place))
        *out_progress = RESCUE_DONE;
    return 0;
}

static int
remove_tree(const char *path, int depth)
{
    struct skein_names names = {0};
    char inner[RESCUE_PATH_BYTES];
    int rc = skein_file_list(path, &names);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        rc = path_in(inner, path, names.names[i]);
        if (rc == 0)
            rc = skein_file_unlink(inner, 0);
        if ((rc == -EISDIR || rc == -EPERM) && depth > 0)
            rc = remove_tree(inner, depth - 1);
    }
    skein_names_deinit(&names);
    return rc == 0 ? skein_file_unlink(path, SKEIN_FILE_DIRECTORY) : rc;
}

int
rescue_discard(struct rescue *rescue)
{
    int rc = remove_tree(rescue->dir, TREE_DEPTH);
    return rc < 0 ? disk_explain(rc, "cannot remove", rescue->dir, rescue->why) : 0;
}

static int
step(struct rescue *rescue)
{
    rescue->steps++;
    return rescue->options->steps_max && rescue->steps > rescue->options->steps_max
               ? -SKEIN_ECANCELED
               : 0;
}

static int
move(struct rescue *rescue, const char *from_dir, const char *to_dir, const char *name)
{
    char from[RESCUE_PATH_BYTES], to[RESCUE_PATH_BYTES];
    int rc = path_in(from, from_dir, name);
    if (rc == 0)
        rc = path_in(to, to_dir, name);
    if (rc == 0)
        rc = step(rescue);
    return rc == 0 ? skein_file_rename(from, to) : rc;
}

static int
sync_both(const char *a, const char *b)
{
    int rc = skein_file_sync_directory(a);
    return rc == 0 ? skein_file_sync_directory(b) : rc;
}

static int
mark_moved(struct rescue *rescue)
{
    char path[RESCUE_PATH_BYTES];
    int rc = path_in(path, rescue->dir, "moved");
    if (rc == 0)
        rc = step(rescue);
    int file = rc == 0 ? skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0644) : rc;
    if (file < 0)
        return file;
    rc = skein_file_sync(file, 0);
    skein_close(file);
    return rc == 0 ? skein_file_sync_directory(rescue->dir) : rc;
}

/* The old state away, its identity last. */
static int
move_old(struct rescue *rescue)
{
    const char *data_dir = rescue->options->data_dir;
    struct skein_names names = {0};
    char former[RESCUE_PATH_BYTES];
    int rc = path_in(former, data_dir, rescue->report->former_dir);
    if (rc == 0)
        rc = skein_file_mkdir(former, 0755);
    if (rc == 0 || rc == -EEXIST)
        rc = skein_file_list(data_dir, &names);
    for (size_t i = 0; rc == 0 && i < names.count; i++)
        if (aside_is_state(rescue->options->machine_ops, names.names[i]))
            rc = move(rescue, data_dir, former, names.names[i]);
    skein_names_deinit(&names);
    if (rc == 0 && is_there(data_dir, "identity"))
        rc = move(rescue, data_dir, former, "identity");
    if (rc == 0)
        rc = sync_both(former, data_dir);
    return rc == 0 ? mark_moved(rescue) : rc;
}

/* The new state into the place, its identity last. */
static int
move_new(struct rescue *rescue)
{
    const char *data_dir = rescue->options->data_dir;
    struct skein_names names = {0};
    int rc = skein_file_list(rescue->dir, &names);
    for (size_t i = 0; rc == 0 && i < names.count; i++)
        if (aside_is_state(rescue->options->machine_ops, names.names[i]))
            rc = move(rescue, rescue->dir, data_dir, names.names[i]);
    skein_names_deinit(&names);
    if (rc == 0)
        rc = sync_both(data_dir, rescue->dir);
    if (rc == 0 && is_there(rescue->dir, "identity"))
        rc = move(rescue, rescue->dir, data_dir, "identity");
    return rc == 0 ? sync_both(data_dir, rescue->dir) : rc;
}

static int
clean_up(struct rescue *rescue)
{
    char path[RESCUE_PATH_BYTES];
    int rc = path_in(path, rescue->dir, "moved");
    if (rc == 0)
        rc = step(rescue);
    if (rc == 0)
        rc = skein_file_unlink(path, 0);
    if (rc == -ENOENT)
        rc = 0;
    if (rc == 0)
        rc = step(rescue);
    if (rc == 0)
        rc = skein_file_unlink(rescue->dir, SKEIN_FILE_DIRECTORY);
    return rc == 0 ? skein_file_sync_directory(rescue->options->data_dir) : rc;
}

int
rescue_switch(struct rescue *rescue)
{
    struct rescue_report *report = rescue->report;
    struct identity next;
    bool staged = is_there(rescue->dir, "identity");
    int rc = identity_read(staged ? rescue->dir : rescue->options->data_dir, &next, rescue->why);
    if (rc < 0)
        return rc;
    /* Named after the disk that comes, so that every run finds the same name. */
    snprintf(report->former_dir, sizeof report->former_dir, "before-%012" PRIx64, next.incarnation);
    memcpy(report->new_cluster, next.map.cluster, sizeof report->new_cluster);
    memcpy(report->cluster_name, next.name, sizeof report->cluster_name);
    report->node = next.node;
    if (staged && !is_there(rescue->dir, "moved"))
        rc = move_old(rescue);
    if (rc == 0)
        rc = move_new(rescue);
    if (rc == 0)
        rc = clean_up(rescue);
    return rc < 0 ? disk_explain(rc, "cannot put the recovered state in its place in",
                                 rescue->options->data_dir, rescue->why)
                  : 0;
}
