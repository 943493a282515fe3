/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_GROUP_H
#define SKEIN_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/fiber.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Scheduling groups: how fibers of one shard share its processor.
 *
 * Every fiber is in a group; a fiber that is spawned is in its spawner's, and a call to another
 * shard (skein/call.h) runs there in the group of the same name, or in "normal". While fibers of
 * several groups are ready, each group gets processor time in proportion to its shares; a group
 * that has nothing to do leaves its part to the others. Within a group fibers run in the order in
 * which they became ready.
 *
 *     shard --+-- normal      1000 shares
 *             +-- background   100 --+-- compaction  300      of background's part
 *             |                      +-- scrubbing   100
 *             +-- critical    4000
 *
 * A group's virtual run time is what it ran, divided by its shares; the group with the least runs
 * next. A group that wakes up after a pause is moved up to where the others are, so that it gets no
 * credit for time in which it wanted nothing, and it runs at once. It then keeps the processor for
 * at most a quota (500 us) before the shard looks for completions and timers. Nobody is
 * interrupted: a fiber that computes for long asks skein_should_yield from time to time.
 *
 * Groups belong to a shard. While a shard has only its first group, "normal", all of this costs
 * nothing and fibers run strictly in the order in which they became ready.
 *
 * In the simulator time does not pass while code runs, so no quota ever ends there; each run is
 * charged a tenth of a microsecond, and the order is the same in each run.
 */

struct skein_group;

#define SKEIN_GROUP_QUOTA_NS 500000u
#define SKEIN_GROUP_SHARES_MAX 1000000u
#define SKEIN_GROUP_NAME_BYTES_MAX 31

struct skein_group_options {
    const char *name; /* 1 to SKEIN_GROUP_NAME_BYTES_MAX bytes; copied; unique on the shard */
    uint32_t shares;  /* 1 to SKEIN_GROUP_SHARES_MAX */
    struct skein_group
        *parent; /* NULL: the shard itself; a parent is not nested and has no fibers */
};

/*
 * skein_group_open - a new group on the current shard.
 * **Returns** 0; -SKEIN_EINVALID: an option, or the parent; -SKEIN_EEXIST: the name is taken;
 * -SKEIN_EAGAIN: the shard's limit of groups (struct skein_shard_options).
 */
int skein_group_open(struct skein_group **out_group,
                     const struct skein_group_options *options) SKEIN_MUST_CHECK;
/* skein_group_close - one that has neither fibers nor nested groups; not a preset. Those that are
 * left when the shard closes are closed with it. */
void skein_group_close(struct skein_group *group);

/* The presets, on every shard: made when first asked for. */
enum skein_priority {
    SKEIN_PRIORITY_IDLE,    /* 10 shares: whenever nobody else wants to run, and a little */
    SKEIN_PRIORITY_LOW,     /* 200: background work */
    SKEIN_PRIORITY_NORMAL,  /* 1000: where every shard begins */
    SKEIN_PRIORITY_HIGH,    /* 2000 */
    SKEIN_PRIORITY_CRITICAL /* 8000: little work that must not wait */
};
#define SKEIN_PRIORITY_COUNT 5
/* skein_group_preset - the group of @priority: its name is "idle", "low" and so on.
 * Returns NULL when the shard's limit of groups is reached (never for NORMAL). */
struct skein_group *skein_group_preset(enum skein_priority priority);
/* skein_group_find - by name; NULL: the shard has none of it. A group's name is what names its
 * equivalent on another shard. */
struct skein_group *skein_group_find(const char *name);
/* skein_group_self - the running fiber's. */
struct skein_group *skein_group_self(void);
const char *skein_group_name(const struct skein_group *group);

/* skein_group_set_shares - @shares as in the options; counts from the next slice on. */
void skein_group_set_shares(struct skein_group *group, uint32_t shares);
/* skein_group_switch - the running fiber is in @group from now on (it goes on running; what it has
 * run so far is charged to the group it was in). Returns the group it was in. */
struct skein_group *skein_group_switch(struct skein_group *group);
/* skein_spawn_in - skein_spawn, into @group. */
int skein_spawn_in(struct skein_group *group, struct skein_scope *scope, const char *name,
                   void (*fn)(void *arg), void *arg, enum skein_stack_class stack) SKEIN_MUST_CHECK;

/* skein_spawn_at - skein_spawn_in the preset of @priority; where the shard's limit of groups leaves
 * no room for it, skein_spawn. */
int skein_spawn_at(enum skein_priority priority, struct skein_scope *scope, const char *name,
                   void (*fn)(void *arg), void *arg, enum skein_stack_class stack) SKEIN_MUST_CHECK;

/*
 * skein_should_yield - the running fiber has had its quota and others may want to run: call
 * skein_yield soon.
 * **Runs on** a fiber; two loads of memory and a branch. The word it reads is set by a timer of the
 * shard's thread, which is armed only while somebody asks. Always false in the simulator.
 */
bool skein_should_yield(void);

struct skein_group_stats {
    uint64_t run_ns;    /* fibers of the group ran */
    uint64_t wait_ns;   /* from becoming ready to running, after a pause */
    uint64_t starve_ns; /* ready still, but not running, after a slice */
    uint64_t slices;    /* times it was given the processor */
    uint64_t switches;  /* fibers run */
    uint32_t fibers;    /* that live */
    uint32_t shares;
};
/* skein_group_stats - what the metrics skein_group_... print. */
void skein_group_stats(const struct skein_group *group, struct skein_group_stats *out_stats);

#ifdef __cplusplus
}
#endif

#endif
