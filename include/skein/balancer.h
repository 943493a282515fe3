/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_BALANCER_H
#define SKEIN_BALANCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Balancers: which of several back ends takes the next request.
 *
 *      add(target) ...          pick ----> the caller talks to the target ----> done
 *           |                    ^ |                                             |
 *           +---- targets -------+ +-- outstanding + 1          outstanding - 1, response time
 *
 * A *target* is a back end under a number that the caller chose; what it is (an address, a shard,
 * a pool) is the caller's business. A balancer does no I/O, reads no clock and draws its random
 * numbers from the seed it was given, so the same calls give the same picks everywhere.
 *
 *  kind               the next request goes to                                           cost
 *  ROUND_ROBIN        the next one in the order of adding; weights do not count
 *  WEIGHTED           each by its weight, interleaved: of 5:1:1 it is a a b a c a a
 *  LEAST_CONNECTIONS  the one with the fewest outstanding requests for its weight
 *  IP_HASH            the one that belongs to ask->key; a key changes its target only when that
 *                     target goes or a new one takes it over (rendezvous hashing, weighted)
 *  RANDOM_TWO         of two drawn at random, the one with fewer outstanding for its weight
 *  RESPONSE_TIME      the least (response time x (outstanding + 1)), where the response time jumps
 *                     up to a peak at once and comes down by half in half_life_ns
 *
 * Among equals LEAST_CONNECTIONS and RESPONSE_TIME take turns. Each pick costs time in proportion
 * to the number of targets.
 *
 * **Runs on** any thread, one at a time; nothing suspends.
 * **Source**: smooth weighted round robin as nginx does it; Thaler and Ravishankar 1998
 * (rendezvous), Mitzenmacher 2001 (two choices).
 */

enum skein_balancer_kind {
    SKEIN_BALANCER_ROUND_ROBIN,
    SKEIN_BALANCER_WEIGHTED,
    SKEIN_BALANCER_LEAST_CONNECTIONS,
    SKEIN_BALANCER_IP_HASH,
    SKEIN_BALANCER_RANDOM_TWO,
    SKEIN_BALANCER_RESPONSE_TIME
};

#define SKEIN_BALANCER_TARGETS_MAX 1024
#define SKEIN_BALANCER_WEIGHT_MAX 65536

struct skein_balancer_options {
    enum skein_balancer_kind kind;
    uint32_t target_count_max; /* 1 to SKEIN_BALANCER_TARGETS_MAX */
    uint64_t seed;             /* RANDOM_TWO: what it draws; IP_HASH: how keys are spread */
    uint64_t half_life_ns;     /* RESPONSE_TIME, > 0 */
    uint64_t failure_ns;       /* RESPONSE_TIME: a failed request counts as one that took this */
};

#define SKEIN_BALANCER_OPTIONS_INIT                                      \
    {                                                                    \
        SKEIN_BALANCER_ROUND_ROBIN, 64, 0, 5000000000ull, 1000000000ull, \
    }

struct skein_target_id {
    uint32_t value;
};

/* What a request says about itself. Zeroed: nothing. */
struct skein_ask {
    uint64_t key;                        /* IP_HASH: of the client, for example skein_addr_hash */
    const struct skein_target_id *avoid; /* targets this request has tried already */
    uint32_t avoid_count;
};

/* One pick, to be given back with skein_balancer_done. */
struct skein_pick {
    struct skein_target_id target;
    uint32_t
        epoch; /* of the target: a done for one that was removed meanwhile counts for nothing */
    uint64_t begun_ns;
};

struct skein_balancer;

/*
 * skein_balancer_open - a balancer without targets.
 * **Ownership**: the caller's, until skein_balancer_close.
 * **Returns** 0; -SKEIN_EINVALID: an option is out of its range.
 */
int skein_balancer_open(struct skein_balancer **out_balancer,
                        const struct skein_balancer_options *options) SKEIN_MUST_CHECK;
/* skein_balancer_close - @balancer may be NULL. */
void skein_balancer_close(struct skein_balancer *balancer);

/*
 * skein_balancer_add - a target, up. @weight: 1 to SKEIN_BALANCER_WEIGHT_MAX.
 * **Returns** 0; -SKEIN_EEXIST; -SKEIN_EAGAIN: target_count_max are there; -SKEIN_EINVALID:
 * @weight.
 */
int skein_balancer_add(struct skein_balancer *balancer, struct skein_target_id target,
                       uint32_t weight) SKEIN_MUST_CHECK;
/* skein_balancer_remove - its outstanding picks may still be given back. **Returns** 0;
 * -SKEIN_ENOTFOUND. */
int skein_balancer_remove(struct skein_balancer *balancer,
                          struct skein_target_id target) SKEIN_MUST_CHECK;
/* skein_balancer_set_up - a target that is not up is not picked. **Returns** 0; -SKEIN_ENOTFOUND.
 */
int skein_balancer_set_up(struct skein_balancer *balancer, struct skein_target_id target,
                          bool up) SKEIN_MUST_CHECK;

/*
 * skein_balancer_pick - choose. @ask: NULL for nothing. @out_pick: give it back with
 * skein_balancer_done, exactly once.
 * **Returns** 0; -SKEIN_ENOTFOUND: no target is up that @ask has not tried.
 */
int skein_balancer_pick(struct skein_balancer *balancer, const struct skein_ask *ask,
                        struct skein_pick *out_pick, uint64_t now_ns) SKEIN_MUST_CHECK;
/* skein_balancer_done - the request has ended. @ok: it was answered. */
void skein_balancer_done(struct skein_balancer *balancer, const struct skein_pick *pick, bool ok,
                         uint64_t now_ns);

/* What is known of a target. */
struct skein_target_status {
    bool up;
    uint32_t weight;
    uint32_t outstanding_count;
    uint64_t response_ns; /* the smoothed response time, not decayed to now; 0: none yet */
};
/* skein_balancer_status - **Returns** 0; -SKEIN_ENOTFOUND. */
int skein_balancer_status(const struct skein_balancer *balancer, struct skein_target_id target,
                          struct skein_target_status *out_status) SKEIN_MUST_CHECK;

/* skein_balancer_metrics_add - @balancer in the metrics of the current shard, as balancer="@name"
 * (copied): skein_balancer_targets_up and so on, until skein_balancer_metrics_remove, on the same
 * shard. **Returns** as skein_metrics_add. */
int skein_balancer_metrics_add(const struct skein_balancer *balancer,
                               const char *name) SKEIN_MUST_CHECK;
void skein_balancer_metrics_remove(const struct skein_balancer *balancer);

#ifdef __cplusplus
}
#endif

#endif
