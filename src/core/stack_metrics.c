/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stack_slab.h"
#include "skein/metrics.h"

static int64_t
read_mapped_bytes(const void *object)
{
    const struct stack_class_state *state = object;
    return (int64_t)(state->mapped_count * slab_class_bytes(state->class));
}

static const struct skein_metric rows[] = {
    {"skein_stacks_used", "Stacks of live fibers.", SKEIN_GAUGE,
     SKEIN_FIELD(struct stack_class_state, used_count)},
    {"skein_stacks_free", "Stacks kept with their pages.", SKEIN_GAUGE,
     SKEIN_FIELD(struct stack_class_state, free_count)},
    {"skein_stacks_mapped_bytes", "Address space of all stacks, guards included.", SKEIN_GAUGE,
     .read = read_mapped_bytes},
    {"skein_stacks_high_water_bytes", "The deepest use of a stack; 0: the pool does not measure.",
     SKEIN_GAUGE, SKEIN_FIELD(struct stack_class_state, high_water_bytes),
     .merge = SKEIN_MERGE_MAX},
};

int
stack_metrics_add(struct skein_stack_pool *pool, struct skein_metrics *metrics)
{
    static const char *const names[SKEIN_STACK_CLASS_COUNT] = {
        [SKEIN_STACK_SMALL] = "small", [SKEIN_STACK_LARGE] = "large", [SKEIN_STACK_TINY] = "tiny"};
    int rc = 0;
    for (int i = 0; i < SKEIN_STACK_CLASS_COUNT && rc == 0; i++) {
        struct skein_label label = {"class", names[i]};
        rc = skein_metrics_add(metrics, &pool->classes[i], rows, BASE_COUNT_OF(rows), &label, 1);
    }
    return rc;
}
