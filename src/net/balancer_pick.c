/* SPDX-License-Identifier: Apache-2.0 */
#include "net/balancer.h"

#include "base/assert.h"

static bool
may_take(const struct balancer_target *target, const struct skein_ask *ask)
{
    if (!target->up)
        return false;
    for (uint32_t i = 0; i < ask->avoid_count; i++)
        if (ask->avoid[i].value == target->id.value)
            return false;
    return true;
}

/* The @step-th target from the cursor on. */
static struct balancer_target *
from_cursor(struct skein_balancer *balancer, uint32_t step)
{
    return &balancer->targets[(balancer->cursor + step) % balancer->target_count];
}

static void
move_cursor_behind(struct skein_balancer *balancer, const struct balancer_target *chosen)
{
    if (chosen)
        balancer->cursor = (uint32_t)(chosen - balancer->targets + 1) % balancer->target_count;
}

static struct balancer_target *
round_robin(struct skein_balancer *balancer, const struct skein_ask *ask)
{
    for (uint32_t i = 0; i < balancer->target_count; i++) {
        struct balancer_target *target = from_cursor(balancer, i);
        if (may_take(target, ask))
            return target;
    }
    return NULL;
}

static struct balancer_target *
weighted(struct skein_balancer *balancer, const struct skein_ask *ask)
{
    struct balancer_target *best = NULL;
    int64_t total = 0;
    for (uint32_t i = 0; i < balancer->target_count; i++) {
        struct balancer_target *target = &balancer->targets[i];
        if (!may_take(target, ask))
            continue;
        target->credit += target->weight;
        total += target->weight;
        if (!best || target->credit > best->credit)
            best = target;
    }
    if (best)
        best->credit -= total;
    return best;
}

/* Fewer outstanding requests for its weight; both products are below 2^48. */
static bool
less_loaded(const struct balancer_target *a, const struct balancer_target *b)
{
    return (uint64_t)a->outstanding_count * b->weight < (uint64_t)b->outstanding_count * a->weight;
}

static struct balancer_target *
least_connections(struct skein_balancer *balancer, const struct skein_ask *ask)
{
    struct balancer_target *best = NULL;
    for (uint32_t i = 0; i < balancer->target_count; i++) {
        struct balancer_target *target = from_cursor(balancer, i);
        if (may_take(target, ask) && (!best || less_loaded(target, best)))
            best = target;
    }
    return best;
}

/* splitmix64's finalizer: every bit of the result depends on every bit of @x. */
static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* -log2(@x / 2^64) with 24 bits after the point; integers only, so that it is the same everywhere.
 */
static uint64_t
minus_log2(uint64_t x)
{
    x |= 1;
    int shift = __builtin_clzll(x);
    uint64_t whole = (uint64_t)shift;
    uint64_t mantissa = x << shift; /* [2^63, 2^64): 1.0 to 2.0 */
    uint64_t fraction = 0;
    for (int bit = 0; bit < 24; bit++) {
        unsigned __int128 square = (unsigned __int128)mantissa * mantissa; /* [2^126, 2^128) */
        bool two = (square >> 127) != 0;
        mantissa = (uint64_t)(square >> (two ? 64 : 63));
        fraction = fraction << 1 | two;
    }
    return ((whole + 1) << 24) - fraction;
}

/* Of all targets the one that scores highest for the key: with u uniform in (0, 1) the least
 * -log(u) / weight, which each target wins in proportion to its weight. */
static struct balancer_target *
hashed(struct skein_balancer *balancer, const struct skein_ask *ask)
{
    struct balancer_target *best = NULL;
    uint64_t best_cost = 0;
    uint64_t key = mix(ask->key ^ balancer->options.seed);
    for (uint32_t i = 0; i < balancer->target_count; i++) {
        struct balancer_target *target = &balancer->targets[i];
        if (!may_take(target, ask))
            continue;
        uint64_t score = mix(key + mix(target->id.value + 0x9e3779b97f4a7c15ull));
        uint64_t cost = balancer->weights_differ ? minus_log2(score) : UINT64_MAX - score;
        bool less = balancer->weights_differ && best
                        ? cost * best->weight < best_cost * target->weight
                        : cost < best_cost;
        if (!best || less) {
            best = target;
            best_cost = cost;
        }
    }
    return best;
}

/* The @rank-th target that may take the request. */
static struct balancer_target *
by_rank(struct skein_balancer *balancer, const struct skein_ask *ask, uint64_t rank)
{
    for (uint32_t i = 0; i < balancer->target_count; i++)
        if (may_take(&balancer->targets[i], ask) && rank-- == 0)
            return &balancer->targets[i];
    skein_unreachable();
}

static struct balancer_target *
random_two(struct skein_balancer *balancer, const struct skein_ask *ask)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < balancer->target_count; i++)
        count += may_take(&balancer->targets[i], ask);
    if (count == 0)
        return NULL;
    uint64_t first_rank = prng_below(&balancer->prng, count);
    struct balancer_target *first = by_rank(balancer, ask, first_rank);
    if (count == 1)
        return first;
    uint64_t second_rank = prng_below(&balancer->prng, count - 1);
    second_rank += second_rank >= first_rank;
    struct balancer_target *second = by_rank(balancer, ask, second_rank);
    return less_loaded(second, first) ? second : first;
}

uint64_t
balancer_decay(uint64_t value_ns, uint64_t elapsed_ns, uint64_t half_life_ns)
{
    uint64_t halvings = elapsed_ns / half_life_ns;
    if (halvings >= 64)
        return 0;
    value_ns >>= halvings;
    uint64_t rest_ns = elapsed_ns % half_life_ns;
    unsigned __int128 off = (unsigned __int128)value_ns * rest_ns / half_life_ns / 2;
    return value_ns - (uint64_t)off;
}

/* Who has not answered yet is tried first, but once only until it has. */
static unsigned __int128
response_cost(const struct skein_balancer *balancer, const struct balancer_target *target,
              uint64_t now_ns)
{
    if (target->response_ns == 0)
        return target->outstanding_count == 0
                   ? 0
                   : (unsigned __int128)balancer->options.failure_ns * target->outstanding_count;
    uint64_t elapsed_ns = now_ns > target->stamp_ns ? now_ns - target->stamp_ns : 0;
    uint64_t response_ns =
        balancer_decay(target->response_ns, elapsed_ns, balancer->options.half_life_ns);
    return (unsigned __int128)(response_ns + 1) * (target->outstanding_count + 1ull);
}

static struct balancer_target *
response_time(struct skein_balancer *balancer, const struct skein_ask *ask, uint64_t now_ns)
{
    struct balancer_target *best = NULL;
    unsigned __int128 best_cost = 0;
    for (uint32_t i = 0; i < balancer->target_count; i++) {
        struct balancer_target *target = from_cursor(balancer, i);
        if (!may_take(target, ask))
            continue;
        unsigned __int128 cost = response_cost(balancer, target, now_ns);
        if (!best || cost < best_cost) {
            best = target;
            best_cost = cost;
        }
    }
    return best;
}

struct balancer_target *
balancer_choose(struct skein_balancer *balancer, const struct skein_ask *ask, uint64_t now_ns)
{
    struct balancer_target *chosen = NULL;
    skein_assert(balancer->cursor < balancer->target_count || balancer->cursor == 0);
    switch (balancer->options.kind) {
    case SKEIN_BALANCER_ROUND_ROBIN:
        chosen = round_robin(balancer, ask);
        break;
    case SKEIN_BALANCER_WEIGHTED:
        return weighted(balancer, ask);
    case SKEIN_BALANCER_LEAST_CONNECTIONS:
        chosen = least_connections(balancer, ask);
        break;
    case SKEIN_BALANCER_IP_HASH:
        return hashed(balancer, ask);
    case SKEIN_BALANCER_RANDOM_TWO:
        return random_two(balancer, ask);
    case SKEIN_BALANCER_RESPONSE_TIME:
        chosen = response_time(balancer, ask, now_ns);
        break;
    }
    move_cursor_behind(balancer, chosen);
    return chosen;
}
