/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/assert.h"
#include "core/internal.h"
#include "core/pool.h"
#include "skein/call.h"

void
skein_budget_init(struct skein_budget *budget, struct skein_budget *parent, uint64_t bytes_max)
{
    *budget = (struct skein_budget){.parent = parent, .bytes_max = bytes_max};
}

void
skein_budget_deinit(struct skein_budget *budget)
{
    skein_assert(budget->used_bytes == 0);
}

int
skein_budget_take(struct skein_budget *budget, uint64_t bytes)
{
    for (struct skein_budget *at = budget; at; at = at->parent)
        if (bytes > at->bytes_max || at->used_bytes > at->bytes_max - bytes) {
            at->refused_count++;
            return -SKEIN_ENOMEM;
        }
    for (struct skein_budget *at = budget; at; at = at->parent) {
        at->used_bytes += bytes;
        if (at->used_bytes > at->peak_bytes)
            at->peak_bytes = at->used_bytes;
    }
    return 0;
}

void
skein_budget_give(struct skein_budget *budget, uint64_t bytes)
{
    for (struct skein_budget *at = budget; at; at = at->parent) {
        skein_assert(at->used_bytes >= bytes);
        at->used_bytes -= bytes;
    }
}

int
skein_budget_alloc(struct skein_budget *budget, size_t bytes, void **out_object)
{
    uint64_t object_bytes = pool_object_bytes(bytes);
    int rc = skein_budget_take(budget, object_bytes);
    if (rc < 0)
        return rc;
    void *object = skein_alloc(bytes);
    if (!object) {
        skein_budget_give(budget, object_bytes);
        return -ENOMEM;
    }
    *out_object = object;
    return 0;
}

void
skein_budget_free(struct skein_budget *budget, void *object)
{
    if (!object)
        return;
    skein_assert(skein_owner(object) == skein_shard_index());
    skein_budget_give(budget, skein_usable_bytes(object));
    skein_free(object);
}
