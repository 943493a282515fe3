/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/throttle.h"

#include "base/assert.h"

#define SECOND_US UINT64_C(1000000)
#define COUNT_MAX (UINT64_C(1) << 30)

static int64_t
burst(const struct throttle *throttle)
{
    uint64_t bytes = throttle->bytes_per_second / 10;
    return (int64_t)(bytes > THROTTLE_BURST_BYTES_MIN ? bytes : THROTTLE_BURST_BYTES_MIN);
}

void
throttle_init(struct throttle *throttle, uint64_t bytes_per_second, uint64_t now_ns)
{
    throttle->bytes_per_second = bytes_per_second < THROTTLE_RATE_MAX ? bytes_per_second : 0;
    throttle->tokens = burst(throttle);
    throttle->filled_ns = now_ns;
}

/* Whole bytes in whole microseconds; what is left of the time counts the next time. */
static void
fill(struct throttle *throttle, uint64_t now_ns)
{
    uint64_t rate = throttle->bytes_per_second;
    uint64_t passed_us = (now_ns - throttle->filled_ns) / 1000;
    if (now_ns < throttle->filled_ns)
        passed_us = 0;
    while (passed_us > 0 && throttle->tokens < burst(throttle)) {
        uint64_t part_us = passed_us < SECOND_US ? passed_us : SECOND_US;
        uint64_t bytes = part_us * rate / SECOND_US;
        if (bytes == 0)
            return; /* too short yet */
        throttle->tokens += (int64_t)bytes;
        throttle->filled_ns += part_us * 1000;
        passed_us -= part_us;
    }
    if (throttle->tokens < burst(throttle))
        return;
    throttle->tokens = burst(throttle);
    throttle->filled_ns = now_ns;
}

uint64_t
throttle_take(struct throttle *throttle, uint64_t count, uint64_t now_ns)
{
    skein_assert(count <= COUNT_MAX);
    if (throttle->bytes_per_second == 0)
        return 0;
    fill(throttle, now_ns);
    throttle->tokens -= (int64_t)count;
    if (throttle->tokens >= 0)
        return 0;
    uint64_t debt = (uint64_t)-throttle->tokens, rate = throttle->bytes_per_second;
    uint64_t seconds = debt / rate, rest = debt % rate;
    return seconds * SECOND_US * 1000 + (rest * SECOND_US / rate + 1) * 1000;
}
