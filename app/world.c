/* SPDX-License-Identifier: Apache-2.0 */
#include "app/world.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "skein/shard.h"
#include "skein/error.h"

/* Listing directories, work ops and the log's zero-filling: rarely two at once. */
#define HELPER_COUNT 2
/* Of one event. */
#define LINES_PER_SECOND 100

int
world_run(const char *command, int (*main_fn)(void *arg), void *arg)
{
    struct skein_backend_choice choice;
    return world_run_on(command, (struct skein_backend_options){0}, &choice, main_fn, arg);
}

int
world_run_on(const char *command, struct skein_backend_options wanted,
             struct skein_backend_choice *out_choice, int (*main_fn)(void *arg), void *arg)
{
    struct backend *backend;
    struct skein_shard *shard;
    wanted.helper_count = HELPER_COUNT;
    int rc = skein_backend_open(&backend, &wanted, out_choice);
    if (rc < 0) {
        fprintf(stderr, "skein %s: %s\n", command, out_choice->why);
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
    skein_backend_close(backend);
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
world_sink(const struct skein_log_levels *levels)
{
    return (struct obs_sink){.levels = *levels,
                             .wall_ns = sink_wall_ns,
                             .write = sink_write,
                             .lines_per_second = LINES_PER_SECOND};
}
