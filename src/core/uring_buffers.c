/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/uring_internal.h"

#define BUFFER_COUNT_FIRST 64u
#define GROUP 0

static size_t
ring_bytes(void)
{
    return URING_BUFFER_COUNT_MAX * sizeof(struct io_uring_buf);
}

static size_t
memory_bytes(void)
{
    return (size_t)URING_BUFFER_COUNT_MAX * URING_BUFFER_STRIDE;
}

static void *
map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static char *
at(const struct uring_buffers *buffers, uint16_t id)
{
    return buffers->memory + (size_t)id * URING_BUFFER_STRIDE;
}

static void
provide(struct uring_buffers *buffers, uint16_t id)
{
    io_uring_buf_ring_add(buffers->ring, at(buffers, id), URING_BUFFER_BYTES, id,
                          io_uring_buf_ring_mask(URING_BUFFER_COUNT_MAX), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
}

void
buffers_grow(struct uring_buffers *buffers)
{
    unsigned count = buffers->count ? 2 * buffers->count : BUFFER_COUNT_FIRST;
    if (count > URING_BUFFER_COUNT_MAX)
        count = URING_BUFFER_COUNT_MAX;
    while (buffers->count < count)
        provide(buffers, (uint16_t)buffers->count++);
}

int
buffers_open(struct uring_buffers *buffers, struct io_uring *ring)
{
    skein_assert(!buffers->ring);
    buffers->ring = map(ring_bytes());
    buffers->memory = map(memory_bytes());
    int rc = -ENOMEM;
    if (buffers->ring && buffers->memory) {
        struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers->ring,
                                       .ring_entries = URING_BUFFER_COUNT_MAX,
                                       .bgid = GROUP};
        rc = io_uring_register_buf_ring(ring, &reg, 0);
    }
    if (rc < 0) {
        buffers_deinit(buffers);
        return rc;
    }
    io_uring_buf_ring_init(buffers->ring);
    buffers_grow(buffers);
    return 0;
}

void
buffers_deinit(struct uring_buffers *buffers)
{
    if (buffers->ring)
        munmap(buffers->ring, ring_bytes());
    if (buffers->memory)
        munmap(buffers->memory, memory_bytes());
    *buffers = (struct uring_buffers){0};
}

void
buffers_select(struct io_uring_sqe *sqe)
{
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
}

void
buffers_push(struct uring_buffers *buffers, struct uring_queue *queue, uint16_t id, uint32_t bytes)
{
    skein_assert(id < buffers->count);
    skein_assert(bytes <= URING_BUFFER_BYTES);
    buffers->parts[id] = (struct uring_part){.bytes = bytes};
    if (queue->count == 0)
        queue->first = id;
    else
        buffers->parts[queue->last].next = id;
    queue->last = id;
    queue->count++;
    queue->bytes += bytes;
    buffers->held_count++;
}

static void
drop_first(struct uring_buffers *buffers, struct uring_queue *queue)
{
    uint16_t id = queue->first;
    queue->first = buffers->parts[id].next;
    queue->count--;
    skein_assert(buffers->held_count > 0);
    buffers->held_count--;
    provide(buffers, id);
}

static size_t
take_into(struct uring_buffers *buffers, struct uring_queue *queue, char *data, size_t room)
{
    size_t done = 0;
    while (done < room && queue->count > 0) {
        struct uring_part *part = &buffers->parts[queue->first];
        size_t left = part->bytes - part->begin;
        size_t n = left < room - done ? left : room - done;
        memcpy(data + done, at(buffers, queue->first) + part->begin, n);
        done += n;
        part->begin += (uint32_t)n;
        if (part->begin == part->bytes)
            drop_first(buffers, queue);
    }
    queue->bytes -= done;
    return done;
}

size_t
buffers_take(struct uring_buffers *buffers, struct uring_queue *queue, const struct iovec *iov,
             int iov_count)
{
    size_t done = 0;
    for (int v = 0; v < iov_count && queue->count > 0; v++)
        done += take_into(buffers, queue, iov[v].iov_base, iov[v].iov_len);
    return done;
}

void
buffers_drop(struct uring_buffers *buffers, struct uring_queue *queue)
{
    while (queue->count > 0)
        drop_first(buffers, queue);
    queue->bytes = 0;
}
