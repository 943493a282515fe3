/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_THROTTLE_H
#define REPLICA_THROTTLE_H

#include <stdint.h>

/*
 * A token bucket of bytes, pure. What is taken may exceed what is there: the debt is paid by
 * waiting, so a piece larger than the bucket passes, too, and several who take in turn each wait
 * for those before them.
 *
 *   tokens:   burst  ------ take -----> 0 ------ take -----> debt     wait = debt / rate
 *               ^----- time * rate -----'
 */

/* What may go at once after a pause: a tenth of a second's bytes, and this at least. */
#define THROTTLE_BURST_BYTES_MIN (256u << 10)
/* A rate above it is none. */
#define THROTTLE_RATE_MAX (UINT64_C(1) << 40)

struct throttle {
    uint64_t bytes_per_second; /* 0: no limit */
    int64_t tokens;            /* bytes; below 0: taken in advance */
    uint64_t filled_ns;
};

/* throttle_init - @bytes_per_second: 0, no limit; the bucket is full. */
void throttle_init(struct throttle *throttle, uint64_t bytes_per_second, uint64_t now_ns);
/* throttle_take - @count bytes. Returns how long to wait before they may go, 0: not at all.
 * @count: up to 1 GiB. */
uint64_t throttle_take(struct throttle *throttle, uint64_t count, uint64_t now_ns);

#endif
