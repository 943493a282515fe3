/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/checkpoint_block.h"
#include "disk/explain.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"

/* Of bytes that wait for the rest of their block, and of one write. */
#define BUFFER_BYTES (4u * CHECKPOINT_BLOCK_BYTES)
/* What is written is made durable each time so much has come: little is lost with the power, and
 * the last sync is no longer than the others. */
#define SYNC_BYTES (UINT64_C(4) << 20)

struct checkpoint_receiver {
    char *dir;
    struct checkpoint_identity identity;
    char path[CHECKPOINT_PATH_BYTES];
    int handle;
    int failed;
    struct checkpoint_scan scan;
    uint64_t verified_bytes; /* in the file */
    uint64_t synced_bytes;
    uint8_t *buffer; /* what came behind them */
    size_t buffer_bytes;
};

static int part_resume(struct checkpoint_receiver *receiver);

static void
receiver_free(struct checkpoint_receiver *receiver)
{
    mem_free(receiver->buffer);
    mem_free(receiver->dir);
    mem_free(receiver);
}

int
checkpoint_receive_begin(struct checkpoint_receiver **out_receiver, const char *dir,
                         const struct checkpoint_identity *identity)
{
    struct checkpoint_receiver *receiver = mem_zalloc(sizeof(*receiver));
    receiver->identity = *identity;
    int rc = checkpoint_part_path(dir, identity, receiver->path);
    if (rc == 0)
        rc = checkpoint_remove_parts(dir, receiver->path);
    receiver->handle =
        rc < 0 ? rc
               : skein_file_open(receiver->path,
                                 SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_DIRECT, 0644);
    if (receiver->handle < 0) {
        rc = receiver->handle;
        mem_free(receiver);
        return rc;
    }
    receiver->dir = mem_strdup(dir);
    receiver->buffer = mem_alloc_aligned(CHECKPOINT_UNIT_BYTES, BUFFER_BYTES);
    rc = part_resume(receiver);
    if (rc < 0) {
        checkpoint_receive_close(receiver);
        return rc;
    }
    *out_receiver = receiver;
    return 0;
}

uint64_t
checkpoint_receive_offset(const struct checkpoint_receiver *receiver)
{
    return receiver->verified_bytes + receiver->buffer_bytes;
}

static int
header_verify(struct checkpoint_receiver *receiver, const uint8_t *raw, size_t have,
              size_t *out_bytes)
{
    struct checkpoint_info info;
    uint32_t version = 0;
    if (have < CHECKPOINT_UNIT_BYTES)
        return 0;
    int rc = checkpoint_header_decode(raw, &info, &receiver->scan.seed, &version);
    if (rc < 0)
        return rc;
    if (receiver->scan.seed != receiver->identity.header_crc ||
        info.snapshot.index != receiver->identity.index)
        return -SKEIN_ECORRUPT;
    *out_bytes = CHECKPOINT_UNIT_BYTES;
    return 0;
}

/* The piece of the file at @raw, which begins at @offset. @out_bytes 0: more has to come first. */
static int
unit_verify(struct checkpoint_receiver *receiver, uint64_t offset, const uint8_t *raw, size_t have,
            size_t *out_bytes)
{
    size_t bytes = 0;
    size_t count = 0;
    const char *reason = NULL;
    *out_bytes = 0;
    if (offset == 0)
        return header_verify(receiver, raw, have, out_bytes);
    if (have < CHECKPOINT_BLOCK_HEAD_BYTES)
        return 0;
    if (receiver->scan.ended)
        return -SKEIN_ECORRUPT;
    bytes = checkpoint_block_bytes(raw);
    if (bytes == 0 || bytes > receiver->identity.file_bytes - offset)
        return -SKEIN_ECORRUPT;
    if (have < bytes)
        return 0;
    int rc = checkpoint_scan_block(&receiver->scan, raw, bytes, out_bytes, &count, &reason);
    if (rc < 0 || !receiver->scan.ended)
        return rc;
    return receiver->scan.chain == receiver->identity.chain &&
                   offset + bytes == receiver->identity.file_bytes
               ? 0
               : -SKEIN_ECORRUPT;
}

/* How much of the buffer's beginning is in order; an error behind it comes back. */
static int
buffer_verify(struct checkpoint_receiver *receiver, size_t *out_bytes)
{
    size_t at = 0;
    int rc = 0;
    for (;;) {
        size_t bytes = 0;
        rc = unit_verify(receiver, receiver->verified_bytes + at, receiver->buffer + at,
                         receiver->buffer_bytes - at, &bytes);
        if (rc < 0 || bytes == 0)
            break;
        at += bytes;
    }
    *out_bytes = at;
    return rc;
}

static void
buffer_take(struct checkpoint_receiver *receiver, size_t bytes)
{
    receiver->verified_bytes += bytes;
    receiver->buffer_bytes -= bytes;
    memmove(receiver->buffer, receiver->buffer + bytes, receiver->buffer_bytes);
}

static void
part_forget(struct checkpoint_receiver *receiver)
{
    receiver->verified_bytes = 0;
    receiver->scan = (struct checkpoint_scan){0};
}

/* What an earlier transfer left, as far as it is in order; the rest is cut off. */
static int
part_resume(struct checkpoint_receiver *receiver)
{
    uint64_t size_bytes = 0;
    int rc = skein_file_size(receiver->handle, &size_bytes);
    while (rc == 0) {
        size_t have = receiver->buffer_bytes;
        size_t bytes = 0;
        ssize_t got = skein_file_pread(receiver->handle, receiver->buffer + have,
                                       BUFFER_BYTES - have, receiver->verified_bytes + have);
        if (got < 0)
            return (int)got;
        receiver->buffer_bytes += (size_t)got;
        int damage = buffer_verify(receiver, &bytes);
        buffer_take(receiver, bytes);
        if (damage < 0 || bytes == 0 || receiver->verified_bytes >= size_bytes)
            break;
        skein_yield();
    }
    if (receiver->scan.ended && receiver->verified_bytes < receiver->identity.file_bytes)
        part_forget(receiver); /* the end did not fit what stood before it */
    receiver->buffer_bytes = 0;
    receiver->synced_bytes = receiver->verified_bytes;
    return rc == 0 ? skein_file_truncate(receiver->handle, receiver->verified_bytes) : rc;
}

static int
part_sync(struct checkpoint_receiver *receiver)
{
    int rc = skein_file_sync(receiver->handle, SKEIN_FILE_DATA_ONLY);
    if (rc == 0)
        receiver->synced_bytes = receiver->verified_bytes;
    return rc;
}

static int
buffer_settle(struct checkpoint_receiver *receiver)
{
    size_t bytes = 0;
    int damage = buffer_verify(receiver, &bytes);
    if (bytes > 0) {
        int rc = skein_file_pwrite(receiver->handle, receiver->buffer, bytes,
                                   receiver->verified_bytes, 0);
        if (rc < 0)
            return rc;
        buffer_take(receiver, bytes);
    }
    if (damage == 0 && receiver->verified_bytes - receiver->synced_bytes >= SYNC_BYTES)
        return part_sync(receiver);
    return damage;
}

int
checkpoint_receive(struct checkpoint_receiver *receiver, uint64_t offset, const void *data,
                   size_t count)
{
    const uint8_t *from = data;
    uint64_t wanted = checkpoint_receive_offset(receiver);
    uint64_t file_bytes = receiver->identity.file_bytes;
    if (receiver->failed < 0)
        return receiver->failed;
    if (offset > wanted || offset > file_bytes || count > file_bytes - offset)
        return -SKEIN_EINVALID;
    if (count <= wanted - offset)
        return 0;
    from += wanted - offset;
    count -= (size_t)(wanted - offset);
    while (count > 0 && receiver->failed == 0) {
        size_t room = BUFFER_BYTES - receiver->buffer_bytes;
        size_t take = count < room ? count : room;
        memcpy(receiver->buffer + receiver->buffer_bytes, from, take);
        receiver->buffer_bytes += take;
        from += take;
        count -= take;
        receiver->failed = buffer_settle(receiver);
    }
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
    if (!snapshot_equal(&info.snapshot, expected) ||
        info.snapshot.index != receiver->identity.index) {
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

int
checkpoint_receive_commit(struct checkpoint_receiver *receiver, const uint8_t cluster[16],
                          const struct raft_snapshot *expected, char out_why[512])
{
    char final[CHECKPOINT_PATH_BYTES];
    int rc = receiver->failed;
    if (rc == 0)
        rc = skein_file_sync(receiver->handle, 0);
    if (rc < 0)
        disk_explain(rc, "cannot write the checkpoint", receiver->path, out_why);
    else
        rc = received_verify(receiver, cluster, expected, out_why);
    if (rc < 0) {
        checkpoint_receive_discard(receiver);
        return rc;
    }
    checkpoint_path(receiver->dir, receiver->identity.index, final, sizeof(final));
    rc = skein_file_rename(receiver->path, final);
    if (rc < 0) {
        disk_explain(rc, "cannot install the checkpoint", final, out_why);
        checkpoint_receive_discard(receiver);
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
checkpoint_receive_close(struct checkpoint_receiver *receiver)
{
    (void)skein_close(receiver->handle);
    receiver_free(receiver);
}

void
checkpoint_receive_discard(struct checkpoint_receiver *receiver)
{
    int rc = skein_file_unlink(receiver->path, 0);
    (void)rc; /* what stays is verified before it is used, and removed with the next part */
    checkpoint_receive_close(receiver);
}
