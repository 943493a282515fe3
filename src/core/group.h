/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_GROUP_H
#define CORE_GROUP_H

#include "base/list.h"
#include "core/io_class.h"
#include "skein/group.h"

/*
 * The inside of scheduling groups.
 *
 * Two levels of *entities*: groups and, below a parent, its nested groups. Each level has a list of
 * those that are active (have something ready below them) and a floor: the virtual time of the
 * entity that ran last, below which nobody enters.
 *
 *     level of the shard:   active: normal, background        floor
 *     level of background:  active: compaction                floor
 */

#define GROUP_MAGIC 0x67726f7570ull
#define GROUP_COUNT_MAX_DEFAULT 256u
/* What a run costs at least: in the simulator time stands still while code runs. */
#define GROUP_RUN_NS_MIN 100u

struct group_level {
    struct skein_list active; /* skein_group.active_link */
    uint64_t floor;
};

struct skein_group {
    uint64_t magic;
    struct skein_shard *shard;
    struct skein_group *parent;
    struct skein_list ready;       /* fibers, FIFO */
    struct skein_list active_link; /* in its level; loose when nothing is ready */
    bool single; /* the shard's only group: `ready` is all there is, active_link is not kept */
    bool running;
    uint32_t id;  /* in order of opening: breaks ties */
    uint32_t tag; /* of the name, the same on every shard; 0: the first group */
    uint32_t child_count;
    uint64_t vruntime; /* nanoseconds run * 1024 / shares */
    struct group_level children;
    uint64_t ready_since_ns;   /* active, has not run since it woke; 0: otherwise */
    uint64_t starved_since_ns; /* active, has run since; 0: otherwise */
    struct io_class io;
    struct skein_group_stats stats;
    struct skein_list link; /* every group of the shard */
    char name[SKEIN_GROUP_NAME_BYTES_MAX + 1];
};

/* group_init_first - the shard's first group, "normal". */
struct skein_group *group_open_first(struct skein_shard *shard);
void group_close_all(struct skein_shard *shard);
/* group_tag - of the running fiber's group, to go with a call; 0: no fiber runs. */
uint32_t group_tag(const struct skein_shard *shard);
/* group_of_tag - the group of that name here, a preset made if need be; the first one when there is
 * none. @shard: the current one. */
struct skein_group *group_of_tag(struct skein_shard *shard, uint32_t tag);
/* group_activate - something became ready in @group, which was not active. */
void group_activate(struct skein_group *group);

#endif
