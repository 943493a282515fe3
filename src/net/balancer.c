/* SPDX-License-Identifier: Apache-2.0 */
#include "net/balancer.h"

#include <string.h>

#include "base/mem.h"

int
skein_balancer_open(struct skein_balancer **out_balancer,
                    const struct skein_balancer_options *options)
{
    if (options->kind > SKEIN_BALANCER_RESPONSE_TIME || options->target_count_max < 1 ||
        options->target_count_max > SKEIN_BALANCER_TARGETS_MAX || options->half_life_ns == 0)
        return -SKEIN_EINVALID;
    struct skein_balancer *balancer =
        mem_zalloc(sizeof(*balancer) + options->target_count_max * sizeof(struct balancer_target));
    balancer->options = *options;
    prng_init(&balancer->prng, options->seed);
    *out_balancer = balancer;
    return 0;
}

void
skein_balancer_close(struct skein_balancer *balancer)
{
    mem_free(balancer);
}

static const struct balancer_target *
find(const struct skein_balancer *balancer, struct skein_target_id id)
{
    for (uint32_t i = 0; i < balancer->target_count; i++)
        if (balancer->targets[i].id.value == id.value)
            return &balancer->targets[i];
    return NULL;
}

static struct balancer_target *
find_mutable(struct skein_balancer *balancer, struct skein_target_id id)
{
    const struct balancer_target *found = find(balancer, id);
    return found ? &balancer->targets[found - balancer->targets] : NULL;
}

static void
note_weights(struct skein_balancer *balancer)
{
    balancer->weights_differ = false;
    for (uint32_t i = 1; i < balancer->target_count; i++)
        if (balancer->targets[i].weight != balancer->targets[0].weight)
            balancer->weights_differ = true;
}

int
skein_balancer_add(struct skein_balancer *balancer, struct skein_target_id target, uint32_t weight)
{
    if (weight < 1 || weight > SKEIN_BALANCER_WEIGHT_MAX)
        return -SKEIN_EINVALID;
    if (find(balancer, target))
        return -SKEIN_EEXIST;
    if (balancer->target_count >= balancer->options.target_count_max)
        return -SKEIN_EAGAIN;
    balancer->targets[balancer->target_count++] = (struct balancer_target){
        .id = target, .epoch = balancer->next_epoch++, .weight = weight, .up = true};
    note_weights(balancer);
    return 0;
}

int
skein_balancer_remove(struct skein_balancer *balancer, struct skein_target_id target)
{
    const struct balancer_target *found = find(balancer, target);
    if (!found)
        return -SKEIN_ENOTFOUND;
    uint32_t index = (uint32_t)(found - balancer->targets);
    uint32_t after_count = balancer->target_count - index - 1;
    memmove(&balancer->targets[index], &balancer->targets[index + 1],
            after_count * sizeof(struct balancer_target));
    balancer->target_count--;
    if (balancer->cursor > index)
        balancer->cursor--;
    if (balancer->cursor >= balancer->target_count)
        balancer->cursor = 0;
    note_weights(balancer);
    return 0;
}

int
skein_balancer_set_up(struct skein_balancer *balancer, struct skein_target_id target, bool up)
{
    struct balancer_target *found = find_mutable(balancer, target);
    if (!found)
        return -SKEIN_ENOTFOUND;
    if (up && !found->up) {
        found->credit = 0;
        found->response_ns = 0;
    }
    found->up = up;
    return 0;
}

int
skein_balancer_pick(struct skein_balancer *balancer, const struct skein_ask *ask,
                    struct skein_pick *out_pick, uint64_t now_ns)
{
    static const struct skein_ask nothing = {0};
    struct balancer_target *chosen = balancer_choose(balancer, ask ? ask : &nothing, now_ns);
    if (!chosen) {
        balancer->no_target_count++;
        return -SKEIN_ENOTFOUND;
    }
    skein_assert(chosen->up);
    skein_assert(chosen->outstanding_count < UINT32_MAX);
    chosen->outstanding_count++;
    balancer->pick_count++;
    *out_pick =
        (struct skein_pick){.target = chosen->id, .epoch = chosen->epoch, .begun_ns = now_ns};
    return 0;
}

/* A peak counts at once; what is better only as the old value fades. */
static void
observe(struct balancer_target *target, uint64_t latency_ns, uint64_t now_ns, uint64_t half_life_ns)
{
    uint64_t elapsed_ns = now_ns > target->stamp_ns ? now_ns - target->stamp_ns : 0;
    target->stamp_ns = now_ns;
    if (latency_ns == 0)
        latency_ns = 1;
    if (target->response_ns <= latency_ns)
        target->response_ns = latency_ns;
    else
        target->response_ns =
            latency_ns + balancer_decay(target->response_ns - latency_ns, elapsed_ns, half_life_ns);
}

void
skein_balancer_done(struct skein_balancer *balancer, const struct skein_pick *pick, bool ok,
                    uint64_t now_ns)
{
    struct balancer_target *target = find_mutable(balancer, pick->target);
    if (!target || target->epoch != pick->epoch)
        return;
    skein_assert(target->outstanding_count > 0);
    target->outstanding_count--;
    uint64_t latency_ns = now_ns > pick->begun_ns ? now_ns - pick->begun_ns : 0;
    if (!ok && latency_ns < balancer->options.failure_ns)
        latency_ns = balancer->options.failure_ns;
    observe(target, latency_ns, now_ns, balancer->options.half_life_ns);
}

int
skein_balancer_status(const struct skein_balancer *balancer, struct skein_target_id target,
                      struct skein_target_status *out_status)
{
    const struct balancer_target *found = find(balancer, target);
    if (!found)
        return -SKEIN_ENOTFOUND;
    *out_status = (struct skein_target_status){.up = found->up,
                                               .weight = found->weight,
                                               .outstanding_count = found->outstanding_count,
                                               .response_ns = found->response_ns};
    return 0;
}
