/* SPDX-License-Identifier: Apache-2.0 */
#include "app/world.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "skein/shard.h"
#include "core/uring.h"
#include "skein/error.h"

/* Listing directories, work ops and the log's zero-filling: rarely two at once. */
#define HELPER_COUNT 2

static const char *
remedy(int rc)
{
    switch (rc) {
    case -ENOSYS:
        return "the kernel has no io_uring; Linux 6.1 or newer is needed";
    case -EPERM:
    case -EACCES:
        return "the kernel refuses io_uring to this process; allow it (sysctl "
               "kernel.io_uring_disabled=0, or in a container a seccomp profile that permits it)";
    case -EMFILE:
    case -ENFILE:
        return "too many open files; raise the limit (ulimit -n)";
    case -ENOMEM:
        return "no memory for the ring; raise the limit of locked memory (ulimit -l) or free some";
    default:
        return skein_error_text(rc);
    }
}

int
world_run(const char *command, int (*main_fn)(void *arg), void *arg)
{
    struct backend *backend;
    struct skein_shard *shard;
    int rc = uring_open(&backend, HELPER_COUNT);
    if (rc < 0) {
        fprintf(stderr, "skein %s: io_uring: %s\n", command, remedy(rc));
        return 1;
    }
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    rc = skein_shard_open(&shard, &options);
    if (rc == 0) {
        rc = skein_shard_run(shard, main_fn, arg);
        skein_shard_close(shard);
    } else {
        fprintf(stderr, "skein %s: shard: %s\n", command, skein_error_text(rc));
        rc = 1;
    }
    skein_stack_pool_close(stacks);
    uring_close(backend);
    return rc;
}

static uint64_t
sink_wall_ns(void *owner)
{
    return skein_wall_ns();
}

static void
sink_write(void *owner, const char *line, uint64_t line_bytes)
{
    while (line_bytes > 0) {
        ssize_t count = write(STDERR_FILENO, line, line_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return; /* nobody can be told */
        line += count;
        line_bytes -= (uint64_t)count;
    }
}

struct obs_sink
world_sink(enum obs_level level)
{
    return (struct obs_sink){.level = level, .wall_ns = sink_wall_ns, .write = sink_write};
}
