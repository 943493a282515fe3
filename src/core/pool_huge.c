/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "base/assert.h"
#include "core/internal.h"
#include "core/pool.h"

int
skein_huge_open(struct skein_huge *out_huge, size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return -SKEIN_ENOMEM;
    const struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    int node = shard->pool ? shard->pool->node : -1;
    struct skein_huge huge = {.bytes = (bytes + POOL_CHUNK_BYTES - 1) & ~(POOL_CHUNK_BYTES - 1)};
    huge.data = pool_map(huge.bytes, node, true);
    huge.reserved = huge.data != NULL;
    if (!huge.data)
        huge.data = pool_map(huge.bytes, node, false);
    if (!huge.data)
        return -SKEIN_ENOMEM;
    if (!huge.reserved)
        (void)madvise(huge.data, huge.bytes, MADV_HUGEPAGE);
    *out_huge = huge;
    return 0;
}

void
skein_huge_close(struct skein_huge *huge)
{
    if (huge->data)
        pool_unmap(huge->data, huge->bytes);
    *huge = (struct skein_huge){0};
}
