/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CLOCK_WORLD_H
#define CORE_CLOCK_WORLD_H

#include "base/assert.h"
#include "base/prng.h"
#include "core/backend.h"
#include "skein/fiber.h"
#include "skein/shard.h"

/*
 * For tests: a world in which only time passes, and only while everybody waits.
 */

struct clock_world {
    struct backend base; /* first */
    uint64_t now_ns;
    struct prng random;
    struct skein_stack_pool *stacks;
};

static inline uint64_t
clock_world_now(struct backend *backend)
{
    return ((struct clock_world *)(void *)backend)->now_ns;
}

static inline void
clock_world_entropy(struct backend *backend, void *data, size_t count)
{
    prng_fill(&((struct clock_world *)(void *)backend)->random, data, count);
}

static inline void
clock_world_wait(struct backend *backend, uint64_t deadline_ns)
{
    struct clock_world *world = (struct clock_world *)(void *)backend;
    skein_assert(deadline_ns != SKEIN_NEVER); /* nothing else would wake it: all wait for ever */
    if (deadline_ns > world->now_ns)
        world->now_ns = deadline_ns;
}

static const struct backend_ops clock_world_ops = {.name = "clock",
                                                   .virtual_time = true,
                                                   .now_ns = clock_world_now,
                                                   .boot_ns = clock_world_now,
                                                   .wall_ns = clock_world_now,
                                                   .entropy = clock_world_entropy,
                                                   .wait = clock_world_wait};

static inline void
clock_world_open(struct clock_world *world)
{
    *world = (struct clock_world){.base = {&clock_world_ops}, .now_ns = 1000};
    prng_init(&world->random, 1);
    world->stacks = skein_stack_pool_open();
}

static inline void
clock_world_close(struct clock_world *world)
{
    skein_stack_pool_close(world->stacks);
}

/* clock_world_run - @main_fn(@arg) as the first fiber of a shard of the world, to its end. */
static inline int
clock_world_run(struct clock_world *world, struct skein_shard_options options,
                int (*main_fn)(void *arg), void *arg)
{
    struct skein_shard *shard;
    options.backend = &world->base;
    if (!options.stacks)
        options.stacks = world->stacks;
    int rc = skein_shard_open(&shard, &options);
    if (rc < 0)
        return rc;
    rc = skein_shard_run(shard, main_fn, arg);
    skein_shard_close(shard);
    return rc;
}

#endif
