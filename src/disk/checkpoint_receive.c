/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/checkpoint_block.h"
#include "disk/explain.h"
#include "skein/error.h"

#define PATH_BYTES 512u

struct checkpoint_receiver {
    char *dir;
    uint64_t index;
    char path[PATH_BYTES];
    int handle;
    int failed;
    uint64_t received_bytes;
};

int
checkpoint_receive_begin(struct checkpoint_receiver **out_receiver, const char *dir, uint64_t index)
{
    char final[PATH_BYTES - 8];
    checkpoint_path(dir, index, final, sizeof(final));
    if (strlen(final) + 1 == sizeof(final))
        return -ENAMETOOLONG;
    struct checkpoint_receiver *receiver = mem_zalloc(sizeof(*receiver));
    snprintf(receiver->path, sizeof(receiver->path), "%s.part", final);
    receiver->handle = skein_file_open(
        receiver->path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC, 0644);
    if (receiver->handle < 0) {
        int rc = receiver->handle;
        mem_free(receiver);
        return rc;
    }
    receiver->dir = mem_strdup(dir);
    receiver->index = index;
    *out_receiver = receiver;
    return 0;
}

/* Bytes come in order; what was there already is taken for granted, a gap is refused. */
int
checkpoint_receive(struct checkpoint_receiver *receiver, uint64_t offset, const void *data,
                   size_t count)
{
    if (receiver->failed < 0)
        return receiver->failed;
    if (offset > receiver->received_bytes)
        return -SKEIN_EINVALID;
    if (count <= receiver->received_bytes - offset)
        return 0;
    size_t known = (size_t)(receiver->received_bytes - offset);
    receiver->failed = skein_file_pwrite(receiver->handle, (const uint8_t *)data + known,
                                         count - known, receiver->received_bytes, 0);
    if (receiver->failed == 0)
        receiver->received_bytes += count - known;
    return receiver->failed;
}

static bool
snapshot_equal(const struct raft_snapshot *a, const struct raft_snapshot *b)
{
    return a->index == b->index && a->term == b->term && raft_config_equal(&a->config, &b->config);
}

/* Every block, from the medium's point of view: read again after the sync. */
static int
received_verify(struct checkpoint_receiver *receiver, const uint8_t cluster[16],
                const struct raft_snapshot *expected, char out_why[512])
{
    struct checkpoint_reader *reader = NULL;
    struct checkpoint_info info;
    int rc = checkpoint_open(&reader, receiver->path, cluster, &info, out_why);
    if (rc < 0)
        return rc;
    if (!snapshot_equal(&info.snapshot, expected) || info.snapshot.index != receiver->index) {
        snprintf(out_why, 512, "the checkpoint %.300s is not the one that was announced",
                 receiver->path);
        checkpoint_close(reader);
        return -SKEIN_ECORRUPT;
    }
    rc = checkpoint_verify(reader);
    if (rc < 0)
        memcpy(out_why, checkpoint_reader_why(reader), 512);
    checkpoint_close(reader);
    return rc;
}

static void
receiver_free(struct checkpoint_receiver *receiver)
{
    mem_free(receiver->dir);
    mem_free(receiver);
}

int
checkpoint_receive_commit(struct checkpoint_receiver *receiver, const uint8_t cluster[16],
                          const struct raft_snapshot *expected, char out_why[512])
{
    char final[PATH_BYTES];
    int rc = receiver->failed;
    if (rc == 0)
        rc = skein_file_sync(receiver->handle, 0);
    if (rc < 0)
        disk_explain(rc, "cannot write the checkpoint", receiver->path, out_why);
    else
        rc = received_verify(receiver, cluster, expected, out_why);
    if (rc < 0) {
        checkpoint_receive_abort(receiver);
        return rc;
    }
    checkpoint_path(receiver->dir, receiver->index, final, sizeof(final));
    rc = skein_file_rename(receiver->path, final);
    if (rc < 0) {
        disk_explain(rc, "cannot install the checkpoint", final, out_why);
        checkpoint_receive_abort(receiver);
        return rc;
    }
    (void)skein_close(receiver->handle);
    rc = skein_file_sync_directory(receiver->dir);
    if (rc < 0)
        disk_explain(rc, "cannot sync the directory of", final, out_why);
    receiver_free(receiver);
    return rc;
}

void
checkpoint_receive_abort(struct checkpoint_receiver *receiver)
{
    (void)skein_close(receiver->handle);
    int rc = skein_file_unlink(receiver->path, 0);
    (void)rc; /* what stays is removed at the next start */
    receiver_free(receiver);
}
