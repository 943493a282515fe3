/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_waitgroup_init(struct skein_waitgroup *group)
{
    skein_waitq_init(&group->q);
    group->count = 0;
}

void
skein_waitgroup_add(struct skein_waitgroup *group, uint64_t count)
{
    skein_assert(count <= UINT64_MAX - group->count);
    group->count += count;
}

void
skein_waitgroup_done(struct skein_waitgroup *group)
{
    skein_assert(group->count > 0);
    if (--group->count == 0)
        skein_wake_all(&group->q);
}

int
skein_waitgroup_wait(struct skein_waitgroup *group, uint64_t deadline_ns)
{
    chaos_point();
    return group->count == 0 ? 0 : wait_counted(&group->q, WAIT_WAITGROUP, deadline_ns);
}
