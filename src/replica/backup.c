/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/backup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/explain.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"

#define PIECE_BYTES ((size_t)256 << 10)

/* Counted before it is opened: a file that is open is removed by its name alone. */
static int
open_newest(struct replica *replica, struct replica_backup_file *out_file)
{
    char path[4096];
    struct replica_backup_file file = {.index = replica->file_index};
    checkpoint_path(replica->dir, file.index, path, sizeof path);
    replica->host->backups_open++;
    file.handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    int rc = file.handle < 0 ? file.handle : skein_file_size(file.handle, &file.bytes);
    if (rc == 0) {
        *out_file = file;
        return 0;
    }
    if (file.handle >= 0)
        skein_close(file.handle);
    replica->host->backups_open--;
    return rc;
}

int
replica_backup(struct replica *replica, uint64_t deadline_ns, struct replica_backup_file *out_file)
{
    uint64_t wanted = replica->applied_index;
    if (wanted == 0)
        return -SKEIN_ENOTFOUND;
    while (!replica->host->ending && replica->phase != REPLICA_FAILED) {
        uint64_t index = replica->file_index;
        int rc;
        if (index >= wanted) {
            rc = open_newest(replica, out_file);
            if (rc != -ENOENT || index == replica->file_index)
                return rc;
            continue; /* a newer one took its place while it was being opened */
        }
        replica->checkpoint_wanted = true;
        checkpoint_signal(replica);
        rc = skein_wait(&replica->progress_wake, deadline_ns);
        if (rc < 0)
            return rc;
    }
    return -SKEIN_ECLOSED;
}

void
replica_backup_close(struct replica *replica, struct replica_backup_file *file)
{
    skein_close(file->handle);
    replica->host->backups_open--;
}

int
replica_backup_pause(struct replica *replica, uint64_t count)
{
    return snapshot_throttle(replica->host, count);
}

static int
take_piece(struct checkpoint_writer *writer, const uint8_t *piece, size_t count)
{
    return writer ? checkpoint_write(writer, piece, count) : 0;
}

/* Reads and checks all of the content, and gives it to @writer, if any. */
static int
walk_content(struct checkpoint_reader *reader, struct checkpoint_writer *writer, const char *path,
             const struct backup_progress *progress)
{
    struct skein_stat stat = {0};
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    uint64_t done_bytes = 0;
    size_t count;
    int rc = skein_file_stat(path, &stat);
    while (rc == 0) {
        rc = checkpoint_read_some(reader, piece, PIECE_BYTES, &count);
        if (rc == 0)
            rc = take_piece(writer, piece, count);
        if (rc == 0)
            done_bytes += count;
        if (rc == 0 && progress)
            progress->report(progress->owner, writer ? "restored" : "verified", done_bytes,
                             stat.size_bytes);
    }
    mem_free(piece);
    return rc == -SKEIN_EEOF ? checkpoint_finish(reader) : rc;
}

int
backup_verify(const char *path, const struct backup_progress *progress,
              struct checkpoint_info *out_info, char out_why[512])
{
    struct checkpoint_reader *reader;
    int rc = checkpoint_open(&reader, path, NULL, out_info, out_why);
    if (rc < 0)
        return rc;
    rc = walk_content(reader, NULL, path, progress);
    if (rc < 0)
        snprintf(out_why, 512, "%s", checkpoint_reader_why(reader));
    checkpoint_close(reader);
    return rc;
}

/* An empty directory, or one that is made now. */
static int
target_make(const char *dir, char out_why[512])
{
    struct skein_names names = {0};
    int rc = skein_file_mkdir(dir, 0755);
    if (rc < 0 && rc != -EEXIST)
        return disk_explain(rc, "cannot create the data directory", dir, out_why);
    rc = skein_file_list(dir, &names);
    if (rc < 0)
        return disk_explain(rc, "cannot list the data directory", dir, out_why);
    size_t count = names.count;
    skein_names_deinit(&names);
    if (count == 0)
        return 0;
    snprintf(out_why, 512, "%.400s is not empty: give the new cluster a directory of its own", dir);
    return -SKEIN_EEXIST;
}

static int
write_state(struct checkpoint_reader *reader, const struct checkpoint_info *from,
            const struct backup_restore *restore, const struct identity *identity)
{
    struct checkpoint_info info = *from;
    uint64_t id = genesis_raft_id(identity->node, identity->incarnation);
    struct checkpoint_writer *writer;
    info.snapshot.config = raft_config_of(&id, 1);
    info.note_bytes = 0; /* the roster was the old cluster's */
    memcpy(info.cluster, identity->map.cluster, 16);
    int rc = checkpoint_create(&writer, restore->data_dir, &info);
    if (rc < 0)
        return rc;
    rc = walk_content(reader, writer, restore->path, restore->progress);
    if (rc < 0) {
        checkpoint_abort(writer);
        return rc;
    }
    return checkpoint_commit(writer);
}

int
backup_restore(const struct backup_restore *restore, struct checkpoint_info *out_info,
               char out_why[512])
{
    struct checkpoint_reader *reader;
    struct identity identity;
    int rc = backup_verify(restore->path, restore->progress, out_info, out_why);
    if (rc == 0)
        rc = target_make(restore->data_dir, out_why);
    if (rc < 0)
        return rc;
    rc = checkpoint_open(&reader, restore->path, NULL, out_info, out_why);
    if (rc < 0)
        return rc;
    identity_draw(&identity, restore->cluster_name, restore->node);
    identity.state = GENESIS_MEMBER;
    skein_entropy(identity.map.cluster, sizeof identity.map.cluster);
    identity.map.ids[0] = genesis_raft_id(identity.node, identity.incarnation);
    identity.map.count = 1;
    rc = write_state(reader, out_info, restore, &identity);
    if (rc == -SKEIN_ECORRUPT)
        snprintf(out_why, 512, "%s", checkpoint_reader_why(reader));
    else if (rc < 0)
        disk_explain(rc, "cannot write the restored state to", restore->data_dir, out_why);
    checkpoint_close(reader);
    if (rc < 0)
        return rc;
    /* The identity last: without it the directory is nobody's. */
    rc = identity_write(restore->data_dir, &identity);
    return rc < 0 ? disk_explain(rc, "cannot write the identity in", restore->data_dir, out_why)
                  : 0;
}
