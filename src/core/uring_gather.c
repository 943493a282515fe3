/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/prctl.h>

#include "core/uring_internal.h"
#include "skein/backend.h"

/* A stream counts as busy when something came on it in the last window. */
#define WINDOW_NS UINT64_C(1000000)
/* So many busy streams for each completion that a sleep waits for. */
#define STREAMS_PER_COMPLETION 4u
#define COMPLETION_COUNT_MAX 16u

void
gather_open(struct uring_gather *gather)
{
    *gather = (struct uring_gather){.gather_ns = SKEIN_GATHER_NS_DEFAULT, .window = 1};
    /* Else the kernel rounds each sleep up by 50 us. */
    int rc = prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    (void)rc;
}

void
gather_count(struct uring_gather *gather, uint64_t *window)
{
    if (*window == gather->window)
        return;
    *window = gather->window;
    gather->busy_count++;
}

unsigned
gather_wanted(struct uring_gather *gather, uint64_t now_ns)
{
    if (gather->gather_ns == SKEIN_GATHER_NEVER)
        return 0;
    uint64_t passed_ns = now_ns - gather->begun_ns;
    if (passed_ns >= WINDOW_NS) {
        gather->wanted =
            passed_ns < 2 * WINDOW_NS ? gather->busy_count / STREAMS_PER_COMPLETION : 0;
        if (gather->wanted > COMPLETION_COUNT_MAX)
            gather->wanted = COMPLETION_COUNT_MAX;
        gather->begun_ns = now_ns;
        gather->busy_count = 0;
        gather->window++;
    }
    return gather->wanted;
}
