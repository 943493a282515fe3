/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "core/internal.h"
#include "core/stall.h"
#include "core/symbol.h"
#include "skein/process.h"

/* Where the running code's stack lies: a fiber's, or the thread's. */
static void
find_stack(const char **out_low, const char **out_high)
{
    const struct skein_shard *shard = skein_shard_current();
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    *out_low = *out_high = NULL;
    if (shard && shard->running) {
        *out_low = shard->running->stack->low;
        *out_high = *out_low + shard->running->stack->usable_bytes;
        return;
    }
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
        *out_low = low;
        *out_high = *out_low + bytes;
    }
    pthread_attr_destroy(&attributes);
}

__attribute__((noinline)) size_t
skein_backtrace(void **out_frames, size_t frame_count_max)
{
    const char *low, *high;
    find_stack(&low, &high);
    return stall_walk((uintptr_t)__builtin_frame_address(0), low, high, out_frames,
                      frame_count_max);
}

void
skein_backtrace_text(void *const *frames, size_t frame_count, char *out, size_t out_bytes)
{
    symbol_list(frames, frame_count, out, out_bytes);
}
