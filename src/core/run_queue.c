/* SPDX-License-Identifier: Apache-2.0 */
#include "core/run_queue.h"

#include "core/watch.h"

void
sched_init(struct skein_shard *shard)
{
    list_init(&shard->sched.groups);
    list_init(&shard->sched.level.active);
    shard->sched.single = shard->sched.normal = group_open_first(shard);
}

void
sched_deinit(struct skein_shard *shard)
{
    group_close_all(shard);
}

static void
run_one(struct skein_group *group)
{
    struct skein_list *link = list_pop_front(&group->ready);
    fiber_run(LIST_ENTRY(link, struct skein_fiber, link));
}

static void
run_round_single(struct skein_shard *shard)
{
    struct skein_group *group = shard->sched.single;
    struct skein_list *last = group->ready.prev;
    struct skein_list *link;
    uint64_t count = 0;
    watch_slice(&shard->watch, 0);
    do {
        link = list_pop_front(&group->ready);
        if (!link)
            break;
        fiber_run(LIST_ENTRY(link, struct skein_fiber, link));
        count++;
    } while (link != last && group->single);
    shard->stats.switches += count;
    group->stats.switches += count;
}

/* Less virtual time first; then more shares, then the older group. */
static bool
goes_before(const struct skein_group *a, const struct skein_group *b)
{
    if (a->vruntime != b->vruntime)
        return a->vruntime < b->vruntime;
    if (a->stats.shares != b->stats.shares)
        return a->stats.shares > b->stats.shares;
    return a->id < b->id;
}

static struct skein_group *
pick(struct group_level *level)
{
    struct skein_group *best = NULL;
    list_for_each (link, &level->active) {
        struct skein_group *group = LIST_ENTRY(link, struct skein_group, active_link);
        if (!best || goes_before(group, best))
            best = group;
    }
    if (!best)
        return NULL;
    level->floor = best->vruntime;
    return best->child_count > 0 ? pick(&best->children) : best;
}

static void
charge(struct skein_group *group, uint64_t run_ns)
{
    uint64_t scaled = (run_ns << 10) / group->stats.shares;
    group->vruntime += scaled > 0 ? scaled : 1;
}

static void
deactivate(struct skein_group *group)
{
    list_remove(&group->active_link);
    if (group->parent && list_is_empty(&group->parent->children.active))
        list_remove(&group->parent->active_link);
}

static void
slice_begins(struct skein_shard *shard, struct skein_group *group, uint64_t now_ns)
{
    if (group->ready_since_ns)
        group->stats.wait_ns += now_ns - group->ready_since_ns;
    else if (group->starved_since_ns)
        group->stats.starve_ns += now_ns - group->starved_since_ns;
    group->ready_since_ns = group->starved_since_ns = 0;
    group->stats.slices++;
    group->running = true;
    watch_slice(&shard->watch, now_ns + SKEIN_GROUP_QUOTA_NS);
}

static void
slice_ends(struct skein_group *group, uint64_t run_ns, uint64_t runs, uint64_t now_ns)
{
    uint64_t least_ns = runs * GROUP_RUN_NS_MIN;
    uint64_t charged_ns = run_ns > least_ns ? run_ns : least_ns;
    group->running = false;
    group->stats.run_ns += run_ns;
    group->stats.switches += runs;
    charge(group, charged_ns);
    if (group->parent)
        charge(group->parent, charged_ns);
    if (list_is_empty(&group->ready))
        deactivate(group);
    else
        group->starved_since_ns = now_ns;
}

static uint64_t
count_ready(const struct group_level *level)
{
    uint64_t count = 0;
    list_for_each (link, &level->active) {
        const struct skein_group *group = LIST_ENTRY(link, struct skein_group, active_link);
        if (group->child_count > 0)
            count += count_ready(&group->children);
        list_for_each (fiber, &group->ready)
            count++;
    }
    return count;
}

static void
run_round_shared(struct skein_shard *shard)
{
    const struct backend_ops *ops = shard->backend->ops;
    uint64_t begun_ns = ops->now_ns(shard->backend), now_ns = begun_ns;
    uint64_t left = ops->virtual_time ? count_ready(&shard->sched.level) : UINT64_MAX;
    struct skein_group *group;
    while (left > 0 && now_ns - begun_ns < SKEIN_GROUP_QUOTA_NS &&
           (group = pick(&shard->sched.level)) != NULL) {
        uint64_t slice_ns = now_ns, runs = 0;
        slice_begins(shard, group, now_ns);
        /* Where time stands still each run is a slice: so that shares count there, too. */
        do {
            run_one(group);
            runs++;
            now_ns = ops->virtual_time ? now_ns : ops->now_ns(shard->backend);
        } while (!ops->virtual_time && !list_is_empty(&group->ready) &&
                 now_ns - slice_ns < SKEIN_GROUP_QUOTA_NS);
        slice_ends(group, now_ns - slice_ns, runs, now_ns);
        shard->stats.switches += runs;
        left -= runs;
    }
}

void
sched_run_round(struct skein_shard *shard)
{
    if (shard->sched.single)
        run_round_single(shard);
    else
        run_round_shared(shard);
}
