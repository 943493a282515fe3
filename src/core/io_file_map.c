/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/file_map.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/await.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"

#define ALIGN_BYTES 4096u
#define COPY_BYTES_MAX ((uint64_t)1 << 30)
#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#endif

struct skein_map {
    int handle;
    uint32_t flags;
    uint64_t offset, bytes;
    char *data;
    bool is_copy;
    uint64_t copy_bytes; /* of the copy, how much is the file's; the rest is beyond its end */
};

static int
open_copy(struct skein_map *map)
{
    if (map->bytes > COPY_BYTES_MAX)
        return -SKEIN_ETOOBIG;
    map->data = mem_try_alloc((size_t)map->bytes);
    if (!map->data)
        return -ENOMEM;
    memset(map->data, 0, (size_t)map->bytes);
    map->is_copy = true;
    ssize_t n = skein_file_pread(map->handle, map->data, (size_t)map->bytes, map->offset);
    map->copy_bytes = n < 0 ? 0 : (uint64_t)n;
    return n < 0 ? (int)n : 0;
}

int
skein_map_open(struct skein_map **out_map, int handle, uint64_t offset, uint64_t bytes,
               uint32_t flags)
{
    skein_assert(offset % ALIGN_BYTES == 0);
    skein_assert(bytes > 0);
    skein_assert(flags == SKEIN_FILE_RDONLY || flags == SKEIN_FILE_RDWR);
    struct skein_map *map = mem_zalloc(sizeof(*map));
    *map = (struct skein_map){.handle = handle, .flags = flags, .offset = offset, .bytes = bytes};
    struct iovec iov = {0};
    struct backend_op op = {.kind = BACKEND_MAP,
                            .handle = handle,
                            .flags = flags,
                            .iov = &iov,
                            .iov_count = 1,
                            .offset = offset,
                            .bytes = bytes};
    int rc = (int)await_op_to_end(&op);
    map->data = iov.iov_base;
    if (rc == -EOPNOTSUPP)
        rc = open_copy(map);
    if (rc < 0) {
        if (map->is_copy)
            mem_free(map->data);
        mem_free(map);
        return rc;
    }
    *out_map = map;
    return 0;
}

/* ---- calls that may take their time, on a helper thread ---- */

struct range_call {
    char *at;
    size_t bytes;
    int advice; /* of madvise */
};

static int64_t
run_unmap(void *arg)
{
    const struct range_call *call = arg;
    return munmap(call->at, call->bytes) < 0 ? -errno : 0;
}

static int64_t
run_sync(void *arg)
{
    const struct range_call *call = arg;
    return msync(call->at, call->bytes, MS_SYNC) < 0 ? -errno : 0;
}

static int64_t
run_advise(void *arg)
{
    const struct range_call *call = arg;
    int rc;
    do {
        rc = madvise(call->at, call->bytes, call->advice) < 0 ? -errno : 0;
    } while (rc == -EINTR || rc == -EAGAIN);
    return rc;
}

static bool
is_inside(const struct skein_map *map, uint64_t offset, uint64_t bytes)
{
    return offset <= map->bytes && bytes <= map->bytes - offset;
}

/* The whole pages around a range. */
static struct range_call
pages_of(const struct skein_map *map, uint64_t offset, uint64_t bytes, int advice)
{
    uint64_t before = offset % ALIGN_BYTES;
    return (struct range_call){map->data + (offset - before), (size_t)(bytes + before), advice};
}

void
skein_map_close(struct skein_map *map)
{
    if (!map)
        return;
    struct range_call call = {map->data, (size_t)map->bytes, 0};
    if (map->is_copy)
        mem_free(map->data);
    else
        skein_assert(skein_work(run_unmap, &call) == 0);
    mem_free(map);
}

void *
skein_map_data(const struct skein_map *map)
{
    return map->data;
}

int
skein_map_load(struct skein_map *map, uint64_t offset, uint64_t bytes)
{
    uint64_t size_bytes;
    if (!is_inside(map, offset, bytes))
        return -SKEIN_EINVALID;
    int rc = skein_file_size(map->handle, &size_bytes);
    if (rc < 0)
        return rc;
    if (map->offset + offset + bytes > size_bytes)
        return -ENODATA;
    if (map->is_copy || bytes == 0)
        return 0;
    struct range_call call = pages_of(map, offset, bytes, MADV_POPULATE_READ);
    rc = (int)skein_work(run_advise, &call);
    if (rc == -EINVAL) { /* an older kernel: begin to read, and no promise */
        call.advice = MADV_WILLNEED;
        rc = (int)skein_work(run_advise, &call);
    }
    if (rc == -EHWPOISON)
        return -EIO;
    return rc == -EFAULT ? -ENODATA : rc; /* cut off since we looked */
}

ssize_t
skein_map_read(struct skein_map *map, uint64_t offset, void *data, size_t count)
{
    if (!is_inside(map, offset, count))
        return -SKEIN_EINVALID;
    /* A mapping and the file's reads and writes are the same pages. */
    if (!map->is_copy)
        return skein_file_pread(map->handle, data, count, map->offset + offset);
    uint64_t left = map->copy_bytes > offset ? map->copy_bytes - offset : 0;
    size_t n = count < left ? count : (size_t)left;
    memcpy(data, map->data + offset, n);
    return (ssize_t)n;
}

int
skein_map_write(struct skein_map *map, uint64_t offset, const void *data, size_t count)
{
    if (!is_inside(map, offset, count))
        return -SKEIN_EINVALID;
    if (map->flags != SKEIN_FILE_RDWR)
        return -EBADF;
    if (!map->is_copy)
        return skein_file_pwrite(map->handle, data, count, map->offset + offset, 0);
    memcpy(map->data + offset, data, count);
    if (count > 0 && offset + count > map->copy_bytes)
        map->copy_bytes = offset + count;
    return 0;
}

static int
flush_copy(struct skein_map *map, uint64_t offset, uint64_t bytes)
{
    uint64_t left = map->copy_bytes > offset ? map->copy_bytes - offset : 0;
    size_t n = (size_t)(bytes < left ? bytes : left);
    int rc = 0;
    if (map->flags == SKEIN_FILE_RDWR)
        rc = skein_file_pwrite(map->handle, map->data + offset, n, map->offset + offset, 0);
    return rc < 0 ? rc : skein_file_sync(map->handle, SKEIN_FILE_DATA_ONLY);
}

int
skein_map_flush(struct skein_map *map, uint64_t offset, uint64_t bytes)
{
    if (!is_inside(map, offset, bytes))
        return -SKEIN_EINVALID;
    if (map->is_copy)
        return flush_copy(map, offset, bytes);
    struct range_call call = pages_of(map, offset, bytes, 0);
    return (int)skein_work(run_sync, &call);
}

int
skein_map_advise(struct skein_map *map, uint64_t offset, uint64_t bytes,
                 enum skein_map_advice advice)
{
    static const int kernels[] = {
        [SKEIN_MAP_NORMAL] = MADV_NORMAL,      [SKEIN_MAP_SEQUENTIAL] = MADV_SEQUENTIAL,
        [SKEIN_MAP_RANDOM] = MADV_RANDOM,      [SKEIN_MAP_WILL_NEED] = MADV_WILLNEED,
        [SKEIN_MAP_DONT_NEED] = MADV_DONTNEED,
    };
    skein_assert((size_t)advice < BASE_COUNT_OF(kernels));
    if (!is_inside(map, offset, bytes))
        return -SKEIN_EINVALID;
    if (map->is_copy || bytes == 0)
        return 0;
    struct range_call call = pages_of(map, offset, bytes, kernels[advice]);
    return (int)skein_work(run_advise, &call);
}
