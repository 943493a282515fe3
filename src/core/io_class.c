/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io_class.h"

#include "base/mem.h"
#include "core/internal.h"

#define SECOND_NS UINT64_C(1000000000)

struct io_waiter {
    struct skein_list link;
    struct skein_fiber *fiber;
    uint64_t cost_ns;
    bool admitted;
};

void
io_class_init(struct io_class *io)
{
    list_init(&io->queue);
}

static uint64_t
bytes_of(const struct backend_op *op)
{
    uint64_t bytes = 0;
    for (int i = 0; i < op->iov_count; i++)
        bytes += op->iov[i].iov_len;
    return bytes;
}

/* What the operation takes of a second of the disk. A sync is a write of no bytes. */
static uint64_t
cost_ns(const struct skein_io_properties *disk, const struct backend_op *op, uint64_t bytes)
{
    bool read = op->kind == BACKEND_READ;
    uint64_t iops = read ? disk->read_iops : disk->write_iops;
    uint64_t rate = read ? disk->read_bytes_per_second : disk->write_bytes_per_second;
    double cost = (double)SECOND_NS / (double)iops;
    if (op->kind != BACKEND_SYNC)
        cost += (double)bytes * (double)SECOND_NS / (double)rate;
    return cost < 1 ? 1 : (uint64_t)cost;
}

static uint64_t
now(const struct skein_shard *shard)
{
    return shard->backend->ops->now_ns(shard->backend);
}

static void
fill(struct io_limiter *limiter, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - limiter->filled_ns;
    limiter->filled_ns = now_ns;
    if (passed_ns > SECOND_NS * 3600)
        passed_ns = SECOND_NS * 3600;
    limiter->tokens_ns += (int64_t)passed_ns;
    if (limiter->tokens_ns > IO_BURST_NS)
        limiter->tokens_ns = IO_BURST_NS;
}

static void
charge(struct io_limiter *limiter, struct skein_group *group, uint64_t spent_ns)
{
    limiter->tokens_ns -= (int64_t)spent_ns;
    limiter->floor = group->io.vtime;
    group->io.vtime += (spent_ns << 10) / group->stats.shares + 1;
}

static struct skein_group *
pick(const struct io_limiter *limiter)
{
    struct skein_group *best = NULL;
    list_for_each (link, &limiter->waiting) {
        struct skein_group *group = LIST_ENTRY(link, struct skein_group, io.link);
        if (!best || group->io.vtime < best->io.vtime ||
            (group->io.vtime == best->io.vtime && group->id < best->id))
            best = group;
    }
    return best;
}

static void
admit_first(struct io_limiter *limiter, struct skein_group *group)
{
    struct io_waiter *waiter = LIST_ENTRY(list_pop_front(&group->io.queue), struct io_waiter, link);
    charge(limiter, group, waiter->cost_ns);
    if (list_is_empty(&group->io.queue))
        list_remove(&group->io.link);
    waiter->admitted = true;
    fiber_ready(waiter->fiber, 0);
}

/* Let through what there is capacity for, and look again when there is more. */
static void
dispatch(void *arg)
{
    struct skein_shard *shard = arg;
    struct io_limiter *limiter = shard->io;
    struct skein_group *group;
    fill(limiter, now(shard));
    while (limiter->tokens_ns > 0 && (group = pick(limiter)) != NULL)
        admit_first(limiter, group);
    if (!list_is_empty(&limiter->waiting))
        skein_timer_arm(&limiter->timer, limiter->filled_ns + 1 + (uint64_t)-limiter->tokens_ns);
}

static void
wait_in_line(struct skein_shard *shard, struct skein_group *group, uint64_t spent_ns)
{
    struct io_limiter *limiter = shard->io;
    struct io_waiter waiter = {.fiber = fiber_self(), .cost_ns = spent_ns};
    uint64_t begun_ns = now(shard);
    if (list_is_empty(&group->io.queue)) {
        if (group->io.vtime < limiter->floor)
            group->io.vtime = limiter->floor;
        list_push_back(&limiter->waiting, &group->io.link);
    }
    list_push_back(&group->io.queue, &waiter.link);
    if (!skein_timer_is_armed(&limiter->timer))
        skein_timer_arm(&limiter->timer, limiter->filled_ns + 1 + (uint64_t)-limiter->tokens_ns);
    while (!waiter.admitted) {
        int rc = fiber_park_alone(SKEIN_NEVER, fiber_not_interruptible, NULL);
        skein_assert(rc == 0);
    }
    group->io.wait_ns += now(shard) - begun_ns;
    group->io.waited++;
}

void
io_admit(struct skein_shard *shard, const struct backend_op *op)
{
    struct io_limiter *limiter = shard->io;
    struct skein_group *group = fiber_self()->group;
    if (op->kind != BACKEND_READ && op->kind != BACKEND_WRITE && op->kind != BACKEND_SYNC)
        return;
    uint64_t bytes = bytes_of(op);
    uint64_t spent_ns = cost_ns(&limiter->properties, op, bytes);
    group->io.ops++;
    group->io.bytes += bytes;
    fill(limiter, now(shard));
    if (limiter->tokens_ns > 0 && list_is_empty(&limiter->waiting)) {
        if (group->io.vtime < limiter->floor)
            group->io.vtime = limiter->floor;
        charge(limiter, group, spent_ns);
        return;
    }
    wait_in_line(shard, group, spent_ns);
}

/* Everybody who waits goes on. */
static void
release(struct skein_shard *shard)
{
    struct skein_group *group;
    while ((group = pick(shard->io)) != NULL)
        admit_first(shard->io, group);
}

void
io_limiter_close(struct skein_shard *shard)
{
    mem_free(shard->io);
    shard->io = NULL;
}

int
skein_io_limit(const struct skein_io_properties *properties)
{
    struct skein_shard *shard = fiber_self()->shard;
    if (properties && (!properties->read_iops || !properties->write_iops ||
                       !properties->read_bytes_per_second || !properties->write_bytes_per_second))
        return -SKEIN_EINVALID;
    if (!properties) {
        if (shard->io) {
            release(shard);
            skein_timer_cancel(&shard->io->timer);
        }
        io_limiter_close(shard);
        return 0;
    }
    if (!shard->io) {
        shard->io = mem_zalloc(sizeof(*shard->io));
        list_init(&shard->io->waiting);
        skein_timer_init(&shard->io->timer, dispatch, shard);
        shard->io->filled_ns = now(shard);
        shard->io->tokens_ns = IO_BURST_NS;
    }
    shard->io->properties = *properties;
    return 0;
}
