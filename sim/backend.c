/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/backend.h"

#include <errno.h>

#include "sim/disk.h"
#include "sim/net.h"
#include "skein/error.h"

#define HANDLE_FIRST 3
#define HANDLE_COUNT_MAX 20000

static struct sim_backend *
backend_of(struct backend *backend)
{
    return (struct sim_backend *)backend;
}

static uint64_t
now_ns(struct backend *backend)
{
    struct sim_host *host = backend_of(backend)->host;
    return sim_host_mono_ns(host);
}

static uint64_t
wall_ns(struct backend *backend)
{
    struct sim_host *host = backend_of(backend)->host;
    return SIM_WALL_START + host->world->now_ns + (uint64_t)host->wall_offset_ns;
}

static void
entropy(struct backend *backend, void *data, size_t count)
{
    prng_fill(&backend_of(backend)->host->entropy, data, count);
}

/* As many as were ever under way at a time stay, for the next ones. */
static struct sim_op *
op_new(struct sim_world *world)
{
    struct sim_op *sop = world->free_ops;
    if (!sop)
        return mem_alloc(sizeof(*sop));
    world->free_ops = sop->next_free;
    return sop;
}

static void
op_free(struct sim_world *world, struct sim_op *sop)
{
    sop->next_free = world->free_ops;
    world->free_ops = sop;
}

void
sim_ops_close(struct sim_world *world)
{
    while (world->free_ops) {
        struct sim_op *sop = world->free_ops;
        world->free_ops = sop->next_free;
        mem_free(sop);
    }
}

static void
on_op(struct sim_event *event)
{
    struct sim_op *sop = event->owner;
    struct sim_host *host = sop->host;
    if (sim_host_paused(host)) {
        sim_event_at(host->world, event, host->paused_until_ns);
        return;
    }
    if (host->dying)
        return;
    if (!sop->decided && sop->op->kind == BACKEND_CONNECT) {
        sim_net_connect(host->world->net, sop);
        return;
    }
    if (!sop->decided)
        sop->result = sop->op->kind == BACKEND_WORK ? 0 : sim_file_perform(sop);
    struct backend_op *op = sop->op;
    op->result = sop->result;
    sim_trace_event(&host->world->trace, host->number, "op", (uint64_t)op->kind,
                    (uint64_t)op->result, 0);
    unsigned shard = sop->shard;
    list_remove(&sop->link);
    op_free(host->world, sop);
    struct sim_context context = sim_host_enter(host);
    if (op->kind == BACKEND_WORK)
        op->result = op->work(op->work_arg);
    op->complete(op);
    sim_host_leave(context);
    sim_shard_turn(host, shard);
}

void
sim_op_finish(struct sim_op *sop, int64_t result, uint64_t delay_ns)
{
    skein_assert(!sop->decided);
    sop->decided = true;
    sop->waiting = false;
    sop->result = result;
    if (sop->slot)
        *sop->slot = NULL;
    sop->slot = NULL;
    sim_event_at(sop->host->world, &sop->event, sop->host->world->now_ns + delay_ns);
}

static void
submit_file(struct sim_world *world, struct sim_op *sop)
{
    uint64_t latency_ns = sim_file_latency_ns(sop);
    sim_event_at(world, &sop->event, world->now_ns + latency_ns);
    if (world->on_write && sop->op->kind == BACKEND_WRITE && (sop->op->flags & SKEIN_FILE_DSYNC))
        world->on_write(sop->host, latency_ns);
}

static void
submit(struct backend *backend, struct backend_op *op)
{
    struct sim_backend *sim = backend_of(backend);
    struct sim_world *world = sim->host->world;
    if (sim->host->dying)
        return;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    struct sim_op *sop = op_new(world);
    *sop = (struct sim_op){
        .op = op, .host = sim->host, .shard = sim->shard, .event = {.fire = on_op, .owner = sop}};
    op->scratch[0] = (uint64_t)(uintptr_t)sop;
    list_push_back(&sim->host->backend.ops, &sop->link);
    if (op->kind == BACKEND_WORK)
        sim_event_at(world, &sop->event, world->now_ns + sim_draw(world, 5000, 2 * SIM_MS));
    else if (sim_is_file_op(op->kind))
        submit_file(world, sop);
    else
        sim_net_submit(world->net, sop);
    mem_arena_set_current(previous);
}

static void
cancel(struct backend *backend, struct backend_op *op)
{
    if (backend_of(backend)->host->dying)
        return;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    struct sim_op *sop = (struct sim_op *)(uintptr_t)op->scratch[0];
    skein_assert(sop->op == op);
    if (sop->waiting && !sop->decided)
        sim_op_finish(sop, -SKEIN_ECANCELED, 1000);
    mem_arena_set_current(previous);
}

static void
wait_never(struct backend *backend, uint64_t deadline_ns)
{
    skein_unreachable();
}

static void
wake(struct backend *backend)
{
    struct sim_host *host = backend_of(backend)->host;
    if (host->state == SIM_HOST_UP)
        sim_event_at(host->world, sim_turn_event(host, backend_of(backend)->shard),
                     host->world->now_ns);
}

static const struct backend_ops ops = {.name = "sim",
                                       .virtual_time = true,
                                       .now_ns = now_ns,
                                       .boot_ns = now_ns,
                                       .wall_ns = wall_ns,
                                       .entropy = entropy,
                                       .submit = submit,
                                       .cancel = cancel,
                                       .wait = wait_never,
                                       .wake = wake};

void
sim_backend_init(struct sim_backend *backend, struct sim_host *host, unsigned shard)
{
    *backend = (struct sim_backend){.base.ops = &ops, .host = host, .shard = shard};
    list_init(&backend->ops);
}

void
sim_backend_drop(struct sim_backend *backend, bool power_loss)
{
    struct skein_list *link;
    while ((link = list_pop_front(&backend->ops))) {
        struct sim_op *sop = LIST_ENTRY(link, struct sim_op, link);
        sim_event_cancel(backend->host->world, &sop->event);
        if (sop->slot)
            *sop->slot = NULL;
        if (sim_is_file_op(sop->op->kind) && !sop->decided)
            sim_file_cut(sop);
        op_free(backend->host->world, sop);
    }
    for (size_t i = 0; i < backend->handle_count; i++) {
        struct sim_handle *handle = &backend->handles[i];
        if (handle->kind == SIM_HANDLE_FILE)
            sim_disk_release(backend->host->disk, handle->inode, handle->locked);
        handle->kind = SIM_HANDLE_FREE;
    }
    backend->handle_count = 0;
}

int
sim_handle_new(struct sim_backend *backend, enum sim_handle_kind kind)
{
    size_t slot = 0;
    while (slot < backend->handle_count && backend->handles[slot].kind != SIM_HANDLE_FREE)
        slot++;
    if (slot >= HANDLE_COUNT_MAX)
        return -EMFILE;
    if (slot == backend->handle_count) {
        mem_grow(&backend->handles, &backend->handle_capacity, backend->handle_count,
                 sizeof(backend->handles[0]));
        backend->handle_count++;
    }
    backend->handles[slot] = (struct sim_handle){.kind = kind};
    return (int)slot + HANDLE_FIRST;
}

struct sim_handle *
sim_handle_get(struct sim_backend *backend, int handle, enum sim_handle_kind kind)
{
    if (handle < HANDLE_FIRST || (size_t)(handle - HANDLE_FIRST) >= backend->handle_count)
        return NULL;
    struct sim_handle *found = &backend->handles[handle - HANDLE_FIRST];
    return found->kind == kind ? found : NULL;
}

void
sim_handle_free(struct sim_backend *backend, int handle)
{
    skein_assert(handle >= HANDLE_FIRST);
    backend->handles[handle - HANDLE_FIRST] = (struct sim_handle){0};
}
