/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/echo.h"
#include "core/uring.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "skein/socket.h"

static void
echo_fiber(void *arg)
{
    int handle = (int)(intptr_t)arg;
    char data[2048];
    ssize_t count;
    while ((count = skein_socket_recv(handle, data, sizeof(data), SKEIN_NEVER)) > 0)
        if (skein_socket_send(handle, data, (size_t)count, SKEIN_NEVER) < 0)
            break;
    skein_close(handle);
}

static int
echo_main(void *arg)
{
    int listener = (int)(intptr_t)arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    for (;;) {
        int handle = skein_socket_accept(listener, NULL, SKEIN_NEVER);
        if (handle < 0)
            return 1;
        int rc =
            skein_spawn(&scope, "echo", echo_fiber, (void *)(intptr_t)handle, SKEIN_STACK_SMALL);
        if (rc < 0)
            return 1;
    }
}

void
echo_serve_ours(int listener)
{
    struct skein_shard *shard;
    struct skein_shard_options options = {.stacks = skein_stack_pool_open()};
    int rc = uring_open(&options.backend, 1);
    if (rc == 0)
        rc = skein_shard_open(&shard, &options);
    if (rc == 0)
        skein_shard_run(shard, echo_main, (void *)(intptr_t)listener);
    fprintf(stderr, "echo (ours): ended\n");
    exit(1);
}
