/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/runtime.h"
#include "skein/fiber.h"
#include "sim/backend.h"
#include "sim/disk.h"
#include "sim/net.h"

#define EVENT_COUNT_MAX 5000000ull
/* Of an arena's memory, what the next life of the host finds mapped already. */
#define ARENA_WARM_BYTES ((size_t)8 << 20)

struct sim_event *
sim_turn_event(struct sim_host *host, unsigned shard)
{
    return shard == 0 ? &host->turn_event : &host->others[shard - 1].turn_event;
}

static unsigned
shard_count(const struct sim_host *host)
{
    return host->shard_count ? host->shard_count : 1;
}

static struct skein_shard *
shard_of(struct sim_host *host, unsigned shard)
{
    return shard == 0 ? host->shard : host->others[shard - 1].shard;
}

static void
cancel_turns(struct sim_host *host)
{
    for (unsigned i = 0; i < shard_count(host); i++)
        sim_event_cancel(host->world, sim_turn_event(host, i));
}

void
sim_world_open(struct sim_world *world, uint64_t seed, FILE *trace)
{
    *world = (struct sim_world){.now_ns = SIM_TIME_START, .event_count_max = EVENT_COUNT_MAX};
    prng_init(&world->random, seed);
    sim_trace_init(&world->trace, &world->now_ns, trace);
    world->stacks = skein_stack_pool_open();
    world->net = sim_net_open(world);
}

void
sim_world_close(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct sim_host *host = world->hosts[i];
        if (host->state == SIM_HOST_UP)
            sim_host_crash(host, false);
    }
    sim_net_close(world->net);
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct sim_host *host = world->hosts[i];
        cancel_turns(host);
        sim_disk_close(host->disk);
        mem_free(host->backend.handles);
        munmap(host->region, ARENA_REGION_BYTES);
        mem_free(host);
    }
    sim_ops_close(world);
    skein_stack_pool_close(world->stacks);
    mem_free(world->queue.heap);
    *world = (struct sim_world){0};
}

/* Address space for one arena, aligned to its own size. */
static void *
map_region(void)
{
    size_t twice = 2 * ARENA_REGION_BYTES;
    char *raw = mmap(NULL, twice, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        base_die(__FILE__, __LINE__, "no address space for a simulated host");
    char *aligned =
        (char *)(((uintptr_t)raw + ARENA_REGION_BYTES - 1) & ~(uintptr_t)(ARENA_REGION_BYTES - 1));
    if (aligned != raw)
        munmap(raw, (size_t)(aligned - raw));
    char *end = aligned + ARENA_REGION_BYTES;
    if (raw + twice != end)
        munmap(end, (size_t)(raw + twice - end));
    return aligned;
}

static uint64_t
sink_wall_ns(void *owner)
{
    struct sim_host *host = owner;
    return SIM_WALL_START + host->world->now_ns;
}

static void
sink_write(void *owner, const char *line, uint64_t line_bytes)
{
    struct sim_host *host = owner;
    fprintf(stderr, "%u: %.*s", host->number, (int)line_bytes, line);
}

/* The fiber that found no memory ends here. Where the world itself allocates for the host there is
 * none: the host's arena is full, and that ends the run. */
static void
die_exhausted(void *owner)
{
    struct sim_host *host = owner;
    if (!skein_shard_current())
        return;
    host->dying = true;
    sim_event_at(host->world, &host->exhausted_event, host->world->now_ns);
    skein_shield(true);
    for (;;)
        (void)skein_sleep(SKEIN_NEVER);
}

static void
on_exhausted(struct sim_event *event)
{
    struct sim_host *host = event->owner;
    sim_trace_event(&host->world->trace, host->number, "memory.exhausted", 0, 0, 0);
    sim_host_crash(host, false);
    if (host->on_exit)
        host->on_exit(host, -ENOMEM);
}

static void
on_turn(struct sim_event *event)
{
    struct sim_host *host = event->owner;
    for (unsigned i = 0; i < shard_count(host); i++)
        if (event == sim_turn_event(host, i)) {
            sim_shard_turn(host, i);
            return;
        }
}

struct sim_host *
sim_host_add(struct sim_world *world, struct sim_disk *disk)
{
    skein_assert(world->host_count < SIM_HOST_MAX);
    struct sim_host *host = mem_zalloc(sizeof(*host));
    host->world = world;
    host->number = world->host_count + 1;
    host->state = SIM_HOST_DOWN;
    host->region = map_region();
    host->disk = disk;
    host->turn_event = (struct sim_event){.fire = on_turn, .owner = host};
    host->exhausted_event = (struct sim_event){.fire = on_exhausted, .owner = host};
    host->sink =
        (struct obs_sink){host, world->log ? OBS_DEBUG : OBS_ERROR + 1, sink_wall_ns, sink_write};
    prng_init(&host->entropy, prng_next(&world->random));
    sim_backend_init(&host->backend, host, 0);
    for (unsigned i = 1; i < SIM_SHARD_MAX; i++) {
        sim_backend_init(&host->others[i - 1].backend, host, i);
        host->others[i - 1].turn_event = (struct sim_event){.fire = on_turn, .owner = host};
    }
    world->hosts[world->host_count++] = host;
    return host;
}

struct sim_context
sim_host_enter(struct sim_host *host)
{
    struct sim_context context = {.arena = mem_arena_set_current(host->arena)};
    context.sink = obs_set_sink(&host->sink);
    mem_on_exhausted(die_exhausted, host);
    if (host->memory_error_per_mille > 0) {
        context.failing = host;
        if (host->failing_in == 0)
            host->failing_in =
                1 + sim_draw(host->world, 0, 2 * (1000 / host->memory_error_per_mille));
        mem_fail_at(host->failing_in);
    }
    return context;
}

void
sim_host_leave(struct sim_context context)
{
    mem_on_exhausted(NULL, NULL);
    if (context.failing) {
        uint64_t count = mem_fail_at(0), left = context.failing->failing_in;
        context.failing->failing_in = count < left ? left - count : 0;
        if (count >= left)
            sim_trace_event(&context.failing->world->trace, context.failing->number, "memory.full",
                            left, 0, 0);
    }
    obs_set_sink(context.sink);
    mem_arena_set_current(context.arena);
}

static struct skein_shard *
open_shard(struct sim_world *world, struct backend *backend)
{
    struct skein_shard *shard;
    struct sim_host *host = ((struct sim_backend *)(void *)backend)->host;
    struct skein_chaos *chaos = host->shard ? &host->chaos_others : &host->chaos;
    struct skein_shard_options options = {
        .backend = backend, .stacks = world->stacks, .chaos = host->chaos_on ? chaos : NULL};
    if (skein_shard_open(&shard, &options) < 0)
        base_die(__FILE__, __LINE__, "a simulated shard could not be opened");
    return shard;
}

/* What skein_runtime_run does, without its threads. */
static void
start_runtime(struct sim_host *host)
{
    unsigned count = host->shard_count;
    skein_assert(count <= SIM_SHARD_MAX);
    struct launch *launch = mem_zalloc(sizeof(*launch));
    *launch = (struct launch){.main_fn = host->main_fn, .main_arg = host->main_arg, .count = count};
    launch->shards = mem_zalloc(count * sizeof(launch->shards[0]));
    launch->runtime = group_open(count, 0, PORT_FENCE_NONE);
    host->launch = launch;
    for (unsigned i = 0; i < count; i++) {
        struct launch_shard *mine = &launch->shards[i];
        if (i > 0)
            host->others[i - 1].shard = open_shard(host->world, &host->others[i - 1].backend.base);
        *mine = (struct launch_shard){.launch = launch, .index = i, .shard = shard_of(host, i)};
        skein_waitq_init(&mine->changed);
        mine->port = port_open(launch->runtime, i, mine->shard, 0);
    }
    for (unsigned i = 0; i < count; i++) {
        port_connect(launch->shards[i].port);
        skein_shard_start(shard_of(host, i), i == 0 ? launch_main_first : launch_main_other,
                          &launch->shards[i]);
    }
}

static void
stop_runtime(struct sim_host *host)
{
    struct launch *launch = host->launch;
    for (unsigned i = 0; i < launch->count * 2; i++)
        launch_drain(&launch->shards[i % launch->count]);
    for (unsigned i = 0; i < launch->count; i++)
        port_close(launch->shards[i].port);
    group_close(launch->runtime);
    mem_free(launch->shards);
    mem_free(launch);
    host->launch = NULL;
}

void
sim_host_start(struct sim_host *host)
{
    struct sim_world *world = host->world;
    skein_assert(host->state == SIM_HOST_DOWN);
    skein_assert(list_is_empty(&host->backend.ops));
    if (world->shuffle)
        host->chaos = (struct skein_chaos){.seed = prng_next(&host->entropy) | 1};
    host->chaos_on |= world->shuffle;
    host->chaos_others = (struct skein_chaos){.seed = host->chaos.seed};
    host->boot++;
    host->state = SIM_HOST_UP;
    host->paused_until_ns = 0;
    host->mono_offset_ns = sim_draw(world, 0, 1000 * SIM_SECOND);
    host->arena = arena_init(host->region, SIM_ARENA_LIMIT_BYTES);
    sim_trace_event(&world->trace, host->number, "host.start", host->boot, 0, 0);
    struct sim_context context = sim_host_enter(host);
    host->shard = open_shard(world, &host->backend.base);
    if (host->shard_count > 0)
        start_runtime(host);
    else
        skein_shard_start(host->shard, host->main_fn, host->main_arg);
    sim_host_leave(context);
    for (unsigned i = 0; i < shard_count(host); i++)
        sim_event_at(world, sim_turn_event(host, i), world->now_ns);
}

/* The host's life is over: @finished: its main returned, so nothing of it is left to abandon. */
static void
end_life(struct sim_host *host, bool finished, bool power_loss)
{
    struct sim_world *world = host->world;
    cancel_turns(host);
    sim_event_cancel(world, &host->exhausted_event);
    host->dying = false;
    sim_net_host_down(world->net, host, power_loss);
    sim_backend_drop(&host->backend, power_loss);
    if (host->disk)
        sim_disk_process_died(host->disk, power_loss);
    size_t used_bytes = arena_touched_bytes(host->arena);
    if (used_bytes > host->arena_bytes_max)
        host->arena_bytes_max = used_bytes;
    struct sim_context context = sim_host_enter(host);
    if (finished && host->launch)
        stop_runtime(host);
    for (unsigned i = 0; i < shard_count(host); i++) {
        if (finished)
            skein_shard_close(shard_of(host, i));
        else
            skein_shard_abandon(shard_of(host, i));
    }
    sim_host_leave(context);
    if (finished)
        host->leaked_bytes = arena_used_bytes(host->arena);
    size_t touched_bytes = arena_touched_bytes(host->arena);
    arena_deinit(host->arena);
    if (touched_bytes > ARENA_WARM_BYTES)
        madvise((char *)host->region + ARENA_WARM_BYTES, ARENA_REGION_BYTES - ARENA_WARM_BYTES,
                MADV_DONTNEED);
    host->arena = NULL;
    host->shard = NULL;
    host->launch = NULL;
    host->link = NULL;
    host->state = SIM_HOST_DOWN;
}

void
sim_host_crash(struct sim_host *host, bool power_loss)
{
    skein_assert(host->state == SIM_HOST_UP);
    sim_trace_event(&host->world->trace, host->number, "host.crash", host->boot, power_loss, 0);
    end_life(host, false, power_loss);
}

void
sim_host_pause(struct sim_host *host, uint64_t pause_ns)
{
    host->paused_until_ns = host->world->now_ns + pause_ns;
}

static int64_t
drifted_now_ns(const struct sim_host *host)
{
    if (host->drift_ppm == 0)
        return host->drifted_ns;
    int64_t past_ns = (int64_t)(host->world->now_ns - host->drift_from_ns);
    return host->drifted_ns + past_ns / 1000 * host->drift_ppm / 1000;
}

void
sim_host_drift(struct sim_host *host, int64_t drift_ppm)
{
    host->drifted_ns = drifted_now_ns(host);
    host->drift_from_ns = host->world->now_ns;
    host->drift_ppm = drift_ppm;
}

uint64_t
sim_host_mono_ns(const struct sim_host *host)
{
    return host->world->now_ns + host->mono_offset_ns + (uint64_t)drifted_now_ns(host);
}

bool
sim_host_paused(const struct sim_host *host)
{
    return host->paused_until_ns > host->world->now_ns;
}

/* Whether every shard has; @out_result: the first one's. */
static bool
has_finished(struct sim_host *host, int *out_result)
{
    int other;
    for (unsigned i = 1; i < shard_count(host); i++)
        if (!skein_shard_finished(shard_of(host, i), &other))
            return false;
    return skein_shard_finished(host->shard, out_result);
}

void
sim_host_turn(struct sim_host *host)
{
    sim_shard_turn(host, 0);
}

void
sim_shard_turn(struct sim_host *host, unsigned shard)
{
    struct sim_world *world = host->world;
    struct sim_event *turn_event = sim_turn_event(host, shard);
    skein_assert(host->state == SIM_HOST_UP);
    if (host->dying)
        return;
    if (sim_host_paused(host)) {
        sim_event_at(world, turn_event, host->paused_until_ns);
        return;
    }
    struct sim_context context = sim_host_enter(host);
    uint64_t next_ns = skein_shard_turn(shard_of(host, shard));
    int result = 0;
    bool finished = has_finished(host, &result);
    sim_host_leave(context);
    if (host->dying)
        return;
    if (finished) {
        sim_trace_event(&world->trace, host->number, "host.exit", (uint64_t)(int64_t)result, 0, 0);
        end_life(host, true, false);
        if (host->on_exit)
            host->on_exit(host, result);
        return;
    }
    if (next_ns == UINT64_MAX) {
        sim_event_cancel(world, turn_event);
        return;
    }
    /* Fibers that only yield make the turn return "now": time moves on a little all the same. */
    uint64_t mono_ns = sim_host_mono_ns(host),
             left_ns = next_ns > mono_ns ? next_ns - mono_ns : 1000;
    if (host->drift_ppm != 0)
        left_ns -= (uint64_t)((int64_t)(left_ns / 1000) * host->drift_ppm / 1000);
    sim_event_at(world, turn_event, world->now_ns + left_ns);
}
