/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_BALANCER_H
#define NET_BALANCER_H

#include "base/prng.h"
#include "skein/balancer.h"

/*
 * What balancer.c (the table of targets) and balancer_pick.c (the choices) share.
 */

struct balancer_target {
    struct skein_target_id id;
    uint32_t epoch;
    uint32_t weight;
    uint32_t outstanding_count;
    bool up;
    int64_t credit;       /* WEIGHTED */
    uint64_t response_ns; /* RESPONSE_TIME: as it was at stamp_ns */
    uint64_t stamp_ns;
};

struct skein_balancer {
    struct skein_balancer_options options;
    struct prng prng;
    uint32_t next_epoch;
    uint32_t cursor; /* where whoever takes turns looks first; < target_count, or 0 */
    uint32_t target_count;
    bool weights_differ;
    uint64_t pick_count, no_target_count;
    struct balancer_target targets[]; /* in the order of adding */
};

/* balancer_choose - the target for @ask; NULL: nobody may take it. */
struct balancer_target *balancer_choose(struct skein_balancer *balancer,
                                        const struct skein_ask *ask, uint64_t now_ns);
/* balancer_decay - @value_ns after @elapsed_ns: half of it each @half_life_ns, linear between. */
uint64_t balancer_decay(uint64_t value_ns, uint64_t elapsed_ns, uint64_t half_life_ns);

#endif
