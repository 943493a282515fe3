/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/echo.h"

#define BUFFER_COUNT 2048u
#define BUFFER_BYTES 2048u
#define TAG_ACCEPT 0u
#define TAG_RECV 1u
#define TAG_SEND 2u

struct bare {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory;
    int listener;
};

static uint64_t
tag_of(unsigned tag, int fd, unsigned buffer)
{
    return tag | (uint64_t)buffer << 8 | (uint64_t)(unsigned)fd << 32;
}

static void
die(const char *what, int rc)
{
    fprintf(stderr, "echo (bare): %s: %s\n", what, strerror(-rc));
    exit(1);
}

static struct io_uring_sqe *
entry(struct bare *bare)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&bare->ring);
    if (sqe)
        return sqe;
    io_uring_submit(&bare->ring);
    sqe = io_uring_get_sqe(&bare->ring);
    if (!sqe)
        die("submission queue", -EBUSY);
    return sqe;
}

static void
arm_accept(struct bare *bare)
{
    struct io_uring_sqe *sqe = entry(bare);
    io_uring_prep_multishot_accept(sqe, bare->listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, tag_of(TAG_ACCEPT, 0, 0));
}

static void
arm_recv(struct bare *bare, int fd)
{
    struct io_uring_sqe *sqe = entry(bare);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, tag_of(TAG_RECV, fd, 0));
}

static void
recycle(struct bare *bare, unsigned buffer)
{
    io_uring_buf_ring_add(bare->buffers, bare->memory + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)buffer, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(bare->buffers, 1);
}

static void
on_recv(struct bare *bare, const struct io_uring_cqe *cqe, int fd)
{
    if (cqe->res > 0) {
        unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        struct io_uring_sqe *sqe = entry(bare);
        io_uring_prep_send(sqe, fd, bare->memory + (size_t)buffer * BUFFER_BYTES, (size_t)cqe->res,
                           MSG_NOSIGNAL | MSG_WAITALL);
        io_uring_sqe_set_data64(sqe, tag_of(TAG_SEND, fd, buffer));
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS)
        arm_recv(bare, fd);
    else
        close(fd);
}

static void
on_cqe(struct bare *bare, const struct io_uring_cqe *cqe)
{
    unsigned tag = cqe->user_data & 0xff;
    int fd = (int)(cqe->user_data >> 32);
    if (tag == TAG_RECV) {
        on_recv(bare, cqe, fd);
    } else if (tag == TAG_SEND) {
        recycle(bare, (cqe->user_data >> 8) & 0xffffff);
    } else {
        if (cqe->res >= 0)
            arm_recv(bare, cqe->res);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            arm_accept(bare);
    }
}

static void
open_buffers(struct bare *bare)
{
    size_t ring_bytes = BUFFER_COUNT * sizeof(struct io_uring_buf);
    bare->buffers =
        mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bare->memory = malloc((size_t)BUFFER_COUNT * BUFFER_BYTES);
    if (bare->buffers == MAP_FAILED || !bare->memory)
        die("memory", -ENOMEM);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)bare->buffers,
                                   .ring_entries = BUFFER_COUNT};
    int rc = io_uring_register_buf_ring(&bare->ring, &reg, 0);
    if (rc < 0)
        die("buffer ring", rc);
    io_uring_buf_ring_init(bare->buffers);
    for (unsigned i = 0; i < BUFFER_COUNT; i++)
        recycle(bare, i);
}

void
echo_serve_bare(int listener)
{
    static struct bare bare;
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = 4096};
    int rc = io_uring_queue_init_params(1024, &bare.ring, &params);
    if (rc < 0)
        die("ring", rc);
    rc = io_uring_register_ring_fd(&bare.ring);
    if (rc < 0)
        die("ring descriptor", rc);
    bare.listener = listener;
    open_buffers(&bare);
    arm_accept(&bare);
    for (;;) {
        rc = io_uring_submit_and_wait(&bare.ring, 1);
        if (rc < 0 && rc != -EINTR && rc != -EBUSY)
            die("enter", rc);
        unsigned head, count = 0;
        struct io_uring_cqe *cqe;
        io_uring_for_each_cqe(&bare.ring, head, cqe)
        {
            on_cqe(&bare, cqe);
            count++;
        }
        io_uring_cq_advance(&bare.ring, count);
    }
}
