/* SPDX-License-Identifier: Apache-2.0 */
#include "core/group.h"

#include <string.h>

#include "base/mem.h"
#include "core/run_queue.h"
#include "skein/metrics.h"

static const struct {
    const char *name;
    uint32_t shares;
} presets[SKEIN_PRIORITY_COUNT] = {
    [SKEIN_PRIORITY_IDLE] = {"idle", 10},           [SKEIN_PRIORITY_LOW] = {"low", 200},
    [SKEIN_PRIORITY_NORMAL] = {"normal", 1000},     [SKEIN_PRIORITY_HIGH] = {"high", 2000},
    [SKEIN_PRIORITY_CRITICAL] = {"critical", 8000},
};

static int64_t
read_run_ns(const void *object)
{
    struct skein_group_stats stats;
    skein_group_stats(object, &stats);
    return (int64_t)stats.run_ns;
}

static const struct skein_metric rows[] = {
    {"skein_group_run_seconds_total", "Processor time of the group's fibers.", SKEIN_COUNTER,
     .read = read_run_ns, .decimals = 9},
    {"skein_group_wait_seconds_total", "Time from becoming ready to running, after a pause.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_group, stats.wait_ns), .decimals = 9},
    {"skein_group_starve_seconds_total", "Time in which the group was ready, but others ran.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_group, stats.starve_ns), .decimals = 9},
    {"skein_group_slices_total", "Times the group was given the processor.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_group, stats.slices)},
    {"skein_group_switches_total", "Fibers of the group run.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_group, stats.switches)},
    {"skein_group_fibers", "Fibers of the group that live.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_group, stats.fibers)},
    {"skein_io_class_operations_total", "Disk operations that a limit applied to, by group.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_group, io.ops)},
    {"skein_io_class_bytes_total", "Bytes of these operations.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_group, io.bytes)},
    {"skein_io_class_waited_total", "Disk operations that had to wait for capacity.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_group, io.waited)},
    {"skein_io_class_wait_seconds_total", "Time they waited.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_group, io.wait_ns), .decimals = 9},
    {"skein_group_shares", "The group's shares.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_group, stats.shares), .merge = SKEIN_MERGE_MAX},
};

/* FNV-1a. */
static uint32_t
tag_of(const char *name)
{
    uint32_t sum = 2166136261u;
    for (; *name; name++)
        sum = (sum ^ (uint8_t)*name) * 16777619u;
    return sum ? sum : 1;
}

static struct skein_group *
make(struct skein_shard *shard, const char *name, uint32_t shares, struct skein_group *parent)
{
    struct skein_group *group = mem_zalloc(sizeof(*group));
    group->magic = GROUP_MAGIC;
    group->shard = shard;
    group->parent = parent;
    group->id = shard->sched.id_next++;
    group->stats.shares = shares;
    memcpy(group->name, name, strlen(name));
    group->tag = shard->sched.normal ? tag_of(group->name) : 0;
    list_init(&group->ready);
    list_init(&group->children.active);
    io_class_init(&group->io);
    list_push_back(&shard->sched.groups, &group->link);
    shard->sched.group_count++;
    if (parent)
        parent->child_count++;
    struct skein_label label = {"group", group->name};
    /* A registry that is full has counted it. */
    (void)!skein_metrics_add(shard->metrics, group, rows, BASE_COUNT_OF(rows), &label, 1);
    return group;
}

struct skein_group *
group_open_first(struct skein_shard *shard)
{
    struct skein_group *group = make(shard, presets[SKEIN_PRIORITY_NORMAL].name,
                                     presets[SKEIN_PRIORITY_NORMAL].shares, NULL);
    group->single = true;
    return group;
}

uint32_t
group_tag(const struct skein_shard *shard)
{
    return shard->running ? shard->running->group->tag : 0;
}

void
group_close_all(struct skein_shard *shard)
{
    struct skein_list *link;
    while ((link = list_pop_front(&shard->sched.groups))) {
        struct skein_group *group = LIST_ENTRY(link, struct skein_group, link);
        skein_metrics_remove(shard->metrics, group);
        group->magic = 0;
        mem_free(group);
    }
}

static struct group_level *
level_of(struct skein_group *group)
{
    return group->parent ? &group->parent->children : &group->shard->sched.level;
}

static void
enter_level(struct skein_group *group)
{
    struct group_level *level = level_of(group);
    if (group->vruntime < level->floor)
        group->vruntime = level->floor;
    list_push_back(&level->active, &group->active_link);
}

void
group_activate(struct skein_group *group)
{
    struct skein_group *parent = group->parent;
    const struct skein_shard *shard = group->shard;
    skein_assert(group->child_count == 0);
    enter_level(group);
    if (parent && !list_is_linked(&parent->active_link))
        enter_level(parent);
    if (!group->running)
        group->ready_since_ns = shard->backend->ops->now_ns(shard->backend);
}

/* From here on time is measured, for what has been the only group, too. */
static void
end_single(struct skein_shard *shard)
{
    struct skein_group *first = shard->sched.single;
    if (!first)
        return;
    struct skein_group_stats stats;
    skein_group_stats(first, &stats);
    first->stats.run_ns = stats.run_ns;
    first->single = false;
    shard->sched.single = NULL;
    if (!list_is_empty(&first->ready))
        group_activate(first);
}

static bool
parent_ok(const struct skein_group *parent)
{
    return !parent || (!parent->parent && parent->stats.fibers == 0);
}

static struct skein_group *
find(const struct skein_shard *shard, const char *name)
{
    list_for_each (link, &shard->sched.groups) {
        struct skein_group *group = LIST_ENTRY(link, struct skein_group, link);
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

static struct skein_shard *
current(void)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    return shard;
}

int
skein_group_open(struct skein_group **out_group, const struct skein_group_options *options)
{
    struct skein_shard *shard = current();
    size_t bytes = options->name ? strlen(options->name) : 0;
    skein_assert(!options->parent || options->parent->magic == GROUP_MAGIC);
    if (bytes == 0 || bytes > SKEIN_GROUP_NAME_BYTES_MAX || options->shares == 0 ||
        options->shares > SKEIN_GROUP_SHARES_MAX || !parent_ok(options->parent))
        return -SKEIN_EINVALID;
    if (find(shard, options->name))
        return -SKEIN_EEXIST;
    if (shard->sched.group_count >= shard->sched.group_count_max)
        return -SKEIN_EAGAIN;
    end_single(shard);
    *out_group = make(shard, options->name, options->shares, options->parent);
    return 0;
}

void
skein_group_close(struct skein_group *group)
{
    skein_assert(group->magic == GROUP_MAGIC);
    skein_assert(group->stats.fibers == 0);
    skein_assert(group->child_count == 0);
    skein_assert(!list_is_linked(&group->active_link));
    skein_assert(group != group->shard->sched.normal);
    struct skein_shard *shard = group->shard;
    if (group->parent)
        group->parent->child_count--;
    skein_metrics_remove(shard->metrics, group);
    list_remove(&group->link);
    shard->sched.group_count--;
    group->magic = 0;
    mem_free(group);
}

struct skein_group *
skein_group_preset(enum skein_priority priority)
{
    skein_assert((size_t)priority < SKEIN_PRIORITY_COUNT);
    struct skein_group *group = find(current(), presets[priority].name);
    const struct skein_group_options options = {.name = presets[priority].name,
                                                .shares = presets[priority].shares};
    return group || skein_group_open(&group, &options) == 0 ? group : NULL;
}

struct skein_group *
group_of_tag(struct skein_shard *shard, uint32_t tag)
{
    if (tag == 0)
        return shard->sched.normal;
    list_for_each (link, &shard->sched.groups) {
        struct skein_group *group = LIST_ENTRY(link, struct skein_group, link);
        if (group->tag == tag && group->child_count == 0)
            return group;
    }
    for (int i = 0; i < SKEIN_PRIORITY_COUNT; i++)
        if (tag_of(presets[i].name) == tag && !find(shard, presets[i].name)) {
            struct skein_group *preset = skein_group_preset((enum skein_priority)i);
            return preset ? preset : shard->sched.normal;
        }
    return shard->sched.normal;
}

struct skein_group *
skein_group_find(const char *name)
{
    return find(current(), name);
}

struct skein_group *
skein_group_self(void)
{
    return fiber_self()->group;
}

const char *
skein_group_name(const struct skein_group *group)
{
    return group->name;
}

void
skein_group_set_shares(struct skein_group *group, uint32_t shares)
{
    skein_assert(group->magic == GROUP_MAGIC);
    skein_assert(shares > 0 && shares <= SKEIN_GROUP_SHARES_MAX);
    group->stats.shares = shares;
}

struct skein_group *
skein_group_switch(struct skein_group *group)
{
    struct skein_fiber *fiber = fiber_self();
    struct skein_group *before = fiber->group;
    skein_assert(group->magic == GROUP_MAGIC);
    skein_assert(group->shard == fiber->shard);
    skein_assert(group->child_count == 0);
    before->stats.fibers--;
    group->stats.fibers++;
    fiber->group = group;
    return before;
}

int
skein_spawn_in(struct skein_group *group, struct skein_scope *scope, const char *name,
               void (*fn)(void *arg), void *arg, enum skein_stack_class stack)
{
    struct skein_group *own = skein_group_switch(group);
    int rc = skein_spawn(scope, name, fn, arg, stack);
    (void)skein_group_switch(own);
    return rc;
}

int
skein_spawn_at(enum skein_priority priority, struct skein_scope *scope, const char *name,
               void (*fn)(void *arg), void *arg, enum skein_stack_class stack)
{
    struct skein_group *group = skein_group_preset(priority);
    return skein_spawn_in(group ? group : skein_group_self(), scope, name, fn, arg, stack);
}

void
skein_group_stats(const struct skein_group *group, struct skein_group_stats *out_stats)
{
    const struct skein_shard *shard = group->shard;
    skein_assert(group->magic == GROUP_MAGIC);
    *out_stats = group->stats;
    if (!group->single)
        return;
    /* The only group runs whenever the shard does not sleep. */
    uint64_t age_ns = shard->backend->ops->now_ns(shard->backend) - shard->stats.opened_ns;
    out_stats->run_ns = age_ns > shard->stats.sleep_ns ? age_ns - shard->stats.sleep_ns : 0;
}

bool
skein_should_yield(void)
{
    struct skein_shard *shard = shard_current;
    uint32_t word = atomic_load_explicit(&shard->watch.word, memory_order_relaxed);
    if (__builtin_expect(word == WATCH_RUN, 1))
        return false;
    if (word == WATCH_ASK)
        watch_ask(shard);
    return word == WATCH_YIELD;
}
