/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "core/channel_internal.h"
#include "core/chaos.h"

static void
leave_queues(struct skein_select_wait *wait)
{
    for (size_t i = 0; i < wait->case_count; i++)
        list_remove(&wait->cases[i].link);
}

void
channel_happened(struct skein_select_case *one, int result)
{
    struct skein_select_wait *wait = one->wait;
    one->result = result;
    wait->happened = (int)(one - wait->cases);
    leave_queues(wait);
    fiber_ready(wait->fiber, 0);
}

static void
give_up(struct skein_fiber *fiber, int reason)
{
    leave_queues(fiber->interrupt_arg);
    fiber_ready(fiber, reason);
}

int
skein_select(struct skein_select_case *cases, size_t case_count, uint64_t deadline_ns)
{
    chaos_point();
    skein_assert(case_count <= INT_MAX);
    for (size_t i = 0; i < case_count; i++)
        if (cases[i].channel && channel_try(&cases[i]))
            return (int)i;
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    struct skein_select_wait wait = {fiber_self(), cases, case_count, -1};
    for (size_t i = 0; i < case_count; i++) {
        struct skein_select_case *one = &cases[i];
        one->wait = &wait;
        one->link = (struct skein_list){0};
        if (one->channel)
            list_push_back(one->send ? &one->channel->senders : &one->channel->receivers,
                           &one->link);
    }
    int rc = fiber_park_counted(WAIT_CHANNEL, deadline_ns, give_up, &wait);
    return rc < 0 ? rc : wait.happened;
}
