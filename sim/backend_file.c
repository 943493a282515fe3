/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "sim/backend.h"
#include "sim/disk.h"

#define DIRECT_ALIGN 4096u

bool
sim_is_file_op(enum backend_op_kind kind)
{
    return (kind <= BACKEND_LOCK && kind != BACKEND_CLOSE) || kind >= BACKEND_ALIGNMENT;
}

uint64_t
sim_file_latency_ns(struct sim_op *sop)
{
    struct sim_world *world = sop->host->world;
    struct backend_op *op = sop->op;
    bool durable =
        op->kind == BACKEND_SYNC || (op->kind == BACKEND_WRITE && (op->flags & SKEIN_FILE_DSYNC));
    uint64_t latency_ns = durable ? sim_draw(world, 80000, 400000) : sim_draw(world, 5000, 60000);
    if (sim_chance(world, 10))
        latency_ns += sim_draw(world, 0, 20 * SIM_MS);
    if (op->kind == BACKEND_SYNC && sop->host->disk)
        sop->stamp = sim_disk_stamp(sop->host->disk);
    if (sop->host->disk)
        latency_ns *= sim_disk_faults(sop->host->disk)->slow_factor;
    return latency_ns;
}

static bool
is_aligned(const struct backend_op *op)
{
    bool aligned = op->offset % DIRECT_ALIGN == 0;
    for (int v = 0; v < op->iov_count; v++) {
        aligned = aligned && op->iov[v].iov_len % DIRECT_ALIGN == 0;
        aligned = aligned && (uintptr_t)op->iov[v].iov_base % DIRECT_ALIGN == 0;
    }
    return aligned;
}

static int64_t
perform_open(struct sim_op *sop)
{
    struct backend_op *op = sop->op;
    struct sim_inode *inode;
    int rc = sim_disk_lookup(sop->host->disk, op->path, op->flags, &inode);
    if (rc < 0)
        return rc;
    int handle = sim_handle_new(&sop->host->backend, SIM_HANDLE_FILE);
    if (handle < 0) {
        sim_disk_release(sop->host->disk, inode, false);
        return handle;
    }
    struct sim_handle *file = sim_handle_get(&sop->host->backend, handle, SIM_HANDLE_FILE);
    file->inode = inode;
    file->flags = op->flags;
    return handle;
}

static int64_t
perform_write(struct sim_op *sop, struct sim_handle *file, uint32_t block_per_mille, bool durable)
{
    struct backend_op *op = sop->op;
    struct sim_disk *disk = sop->host->disk;
    uint32_t flags =
        (durable ? op->flags & SKEIN_FILE_DSYNC : 0) | (file->flags & SKEIN_FILE_DIRECT);
    if (!(file->flags & SKEIN_FILE_RDWR))
        return -EBADF;
    if ((file->flags & SKEIN_FILE_DIRECT) && !is_aligned(op))
        return -EINVAL;
    return sim_disk_write(disk, file->inode, op->iov, op->iov_count, op->offset, flags,
                          block_per_mille);
}

/* Zeros over what there is of the range. */
static int
write_zeros(struct sim_disk *disk, struct sim_inode *inode, uint64_t offset, uint64_t bytes)
{
    static const char zeros[4096];
    uint64_t end = sim_inode_bytes(inode);
    end = bytes < end && offset < end - bytes ? offset + bytes : end;
    while (offset < end) {
        size_t n = end - offset < sizeof(zeros) ? (size_t)(end - offset) : sizeof(zeros);
        struct iovec iov = {(char *)(uintptr_t)zeros, n};
        int64_t rc = sim_disk_write(disk, inode, &iov, 1, offset, 0, 1000);
        if (rc < 0)
            return (int)rc;
        offset += n;
    }
    return 0;
}

static int
perform_allocate(struct sim_op *sop, struct sim_handle *file)
{
    struct backend_op *op = sop->op;
    struct sim_disk *disk = sop->host->disk;
    bool zeros = op->flags & (SKEIN_FILE_PUNCH | SKEIN_FILE_ZERO);
    bool grows = !(op->flags & (SKEIN_FILE_PUNCH | SKEIN_FILE_RESERVE));
    if (!(file->flags & SKEIN_FILE_RDWR))
        return -EBADF;
    if (op->bytes == 0 || op->offset + op->bytes < op->bytes)
        return -EINVAL;
    int rc = zeros ? write_zeros(disk, file->inode, op->offset, op->bytes) : 0;
    if (rc == 0 && grows)
        rc = sim_disk_resize(disk, file->inode, op->offset + op->bytes, false);
    return rc;
}

static int64_t
perform_on_handle(struct sim_op *sop)
{
    struct backend_op *op = sop->op;
    struct sim_disk *disk = sop->host->disk;
    struct sim_world *world = sop->host->world;
    const struct sim_disk_faults *faults = sim_disk_faults(disk);
    struct sim_handle *file = sim_handle_get(&sop->host->backend, op->handle, SIM_HANDLE_FILE);
    if (!file)
        return -EBADF;
    if (op->kind == BACKEND_READ) {
        if ((file->flags & SKEIN_FILE_DIRECT) && !is_aligned(op))
            return -EINVAL;
        if (sim_chance(world, faults->read_error_per_mille)) {
            sim_trace_event(&world->trace, sop->host->number, "disk.read-error", op->offset, 0, 0);
            return -EIO;
        }
        return sim_disk_read(disk, file->inode, op->iov, op->iov_count, op->offset);
    }
    if (op->kind == BACKEND_WRITE) {
        if (sim_chance(world, faults->write_error_per_mille)) {
            perform_write(sop, file, (uint32_t)sim_draw(world, 0, 1000), false);
            sim_trace_event(&world->trace, sop->host->number, "disk.write-error", op->offset, 0, 0);
            return -EIO;
        }
        return perform_write(sop, file, 1000, true);
    }
    if (op->kind == BACKEND_SYNC) {
        if (sim_chance(world, faults->sync_error_per_mille)) {
            sim_disk_sync_failed(disk, file->inode, sop->stamp);
            sim_trace_event(&world->trace, sop->host->number, "disk.sync-error", 0, 0, 0);
            return -EIO;
        }
        sim_disk_sync(disk, file->inode, sop->stamp);
        return 0;
    }
    if (op->kind == BACKEND_LOCK) {
        int rc = sim_disk_lock(file->inode);
        file->locked = file->locked || rc == 0;
        return rc;
    }
    if (op->kind == BACKEND_ALLOCATE)
        return perform_allocate(sop, file);
    if (op->kind == BACKEND_STAT) {
        *op->stat = (struct skein_stat){.size_bytes = sim_inode_bytes(file->inode),
                                        .is_directory = sim_inode_is_directory(file->inode)};
        return 0;
    }
    if (op->kind == BACKEND_ALIGNMENT) {
        *op->alignment = (struct skein_file_alignment){DIRECT_ALIGN, DIRECT_ALIGN};
        return 0;
    }
    skein_assert(op->kind == BACKEND_TRUNCATE);
    return sim_disk_resize(disk, file->inode, op->bytes, true);
}

int64_t
sim_file_perform(struct sim_op *sop)
{
    struct backend_op *op = sop->op;
    struct sim_disk *disk = sop->host->disk;
    if (op->kind > BACKEND_ALIGNMENT)
        return -EOPNOTSUPP; /* the simulated disk has no mappings and no watches */
    if (!disk)
        return -EROFS;
    if (op->kind == BACKEND_OPEN)
        return perform_open(sop);
    if (op->kind == BACKEND_STAT && op->path)
        return sim_disk_stat(disk, op->path, op->stat);
    if (op->kind == BACKEND_RENAME)
        return sim_disk_rename(disk, op->path, op->path2);
    if (op->kind == BACKEND_UNLINK)
        return sim_disk_unlink(disk, op->path, (op->flags & SKEIN_FILE_DIRECTORY) != 0);
    if (op->kind == BACKEND_MKDIR)
        return sim_disk_mkdir(disk, op->path);
    if (op->kind == BACKEND_LIST)
        return sim_disk_list(disk, op->path, op->names, sop->host->arena);
    return perform_on_handle(sop);
}

void
sim_file_cut(struct sim_op *sop)
{
    struct sim_world *world = sop->host->world;
    struct backend_op *op = sop->op;
    if (op->kind == BACKEND_READ || op->kind == BACKEND_LIST || op->kind == BACKEND_STAT ||
        op->kind == BACKEND_LOCK || op->kind == BACKEND_OPEN || op->kind >= BACKEND_ALIGNMENT ||
        !sop->host->disk)
        return;
    struct sim_handle *file = sim_handle_get(&sop->host->backend, op->handle, SIM_HANDLE_FILE);
    if (op->kind == BACKEND_WRITE) {
        /* What has arrived may lie in a cache still: to be read by the next process, and lost with
         * the power. */
        uint32_t torn_per_mille = sim_disk_faults(sop->host->disk)->torn_per_mille;
        uint32_t block_per_mille = (uint32_t)sim_draw(world, 0, 4) * 250;
        bool durable = sim_chance(world, 500);
        if (sim_chance(world, torn_per_mille)) { /* whole in the cache, which tears it */
            block_per_mille = 1000;
            durable = false;
        }
        if (file)
            perform_write(sop, file, block_per_mille, durable);
        return;
    }
    if (sim_chance(world, 500))
        sim_file_perform(sop);
}
