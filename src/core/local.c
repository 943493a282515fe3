/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/internal.h"

struct fiber_local {
    struct fiber_local *next;
    const struct skein_local *key;
    void *value;
};

static struct fiber_local **
find(struct skein_fiber *fiber, const struct skein_local *key)
{
    struct fiber_local **at = &fiber->locals;
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

void
skein_local_set(const struct skein_local *key, void *value)
{
    struct skein_fiber *fiber = fiber_self();
    skein_assert(key != NULL);
    struct fiber_local **at = find(fiber, key);
    struct fiber_local *local = *at;
    if (local && value) {
        local->value = value;
    } else if (local) {
        *at = local->next;
        mem_free(local);
    } else if (value) {
        local = mem_alloc(sizeof(*local));
        *local = (struct fiber_local){fiber->locals, key, value};
        fiber->locals = local;
    }
}

void *
skein_local_get(const struct skein_local *key)
{
    const struct fiber_local *local = *find(fiber_self(), key);
    return local ? local->value : NULL;
}

void
fiber_locals_destroy(struct skein_fiber *fiber)
{
    fiber->shield_depth++;
    while (fiber->locals) {
        struct fiber_local local = *fiber->locals;
        mem_free(fiber->locals);
        fiber->locals = local.next;
        if (local.key->destroy)
            local.key->destroy(local.value);
    }
    fiber->shield_depth--;
}
