/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CHANNEL_INTERNAL_H
#define CORE_CHANNEL_INTERNAL_H

#include "core/internal.h"
#include "skein/channel.h"

/*
 * A fiber that waits on channels has one case in the queue of each; the first that happens takes
 * the others out. Whoever arrives at a channel finds: senders wait only while it is full, receivers
 * only while it is empty.
 */

struct skein_select_wait {
    struct skein_fiber *fiber;
    struct skein_select_case *cases;
    size_t case_count;
    int happened; /* index */
};

/* channel_try - carry the case out if that needs no waiting. **Returns** whether it happened; its
 * result is then set. */
bool channel_try(struct skein_select_case *one);
/* channel_happened - a case that waits is carried out: its fiber is ready, its other cases are off
 * their queues. */
void channel_happened(struct skein_select_case *one, int result);

#endif
