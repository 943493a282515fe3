/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Pseudo-random numbers: xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64. The
 * same seed gives the same numbers on every machine. Not for keys.
 */

struct prng {
    uint64_t s[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* prng_below - uniform in [0, @limit), without bias; @limit > 0. */
uint64_t prng_below(struct prng *prng, uint64_t limit);
/* prng_range - uniform in [@low, @high], both included. */
uint64_t prng_range(struct prng *prng, uint64_t low, uint64_t high);
/* prng_chance - true with probability @numerator / @denominator. */
bool prng_chance(struct prng *prng, uint64_t numerator, uint64_t denominator);
void prng_fill(struct prng *prng, void *data, size_t count);

#endif
