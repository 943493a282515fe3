/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/mem.h"
#include "core/await.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/net.h"
#include "skein/socket.h"

#define COPY_BYTES ((size_t)64 << 10)

static int
copy(int socket, int handle, uint64_t offset, uint64_t bytes, uint64_t deadline_ns)
{
    char *data = mem_try_alloc(COPY_BYTES);
    if (!data)
        return -ENOMEM;
    int rc = 0;
    while (rc == 0 && bytes > 0) {
        size_t wanted = bytes < COPY_BYTES ? (size_t)bytes : COPY_BYTES;
        ssize_t n = skein_file_pread(handle, data, wanted, offset);
        if (n <= 0) {
            rc = n < 0 ? (int)n : -ENODATA;
            break;
        }
        rc = skein_socket_send(socket, data, (size_t)n, deadline_ns);
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    mem_free(data);
    return rc;
}

static int
wait_writable(int socket, uint64_t deadline_ns)
{
    struct backend_op op = {.kind = BACKEND_POLL, .handle = socket, .flags = SKEIN_WRITABLE};
    return (int)await_op(&op, deadline_ns);
}

int
skein_file_send(int socket, int handle, uint64_t offset, uint64_t bytes, uint64_t deadline_ns)
{
    while (bytes > 0) {
        int rc = wait_writable(socket, deadline_ns);
        if (rc < 0)
            return rc;
        struct backend_op op = {.kind = BACKEND_SEND_FILE,
                                .handle = socket,
                                .source = handle,
                                .offset = offset,
                                .bytes = bytes};
        int64_t n = await_op_to_end(&op);
        if (n == -EOPNOTSUPP)
            return copy(socket, handle, offset, bytes, deadline_ns);
        if (n == -EAGAIN)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -ENODATA;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}
