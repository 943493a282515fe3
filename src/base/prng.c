/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

#include <string.h>

#include "base/assert.h"

static uint64_t
splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t
rotate_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

void
prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->s[i] = splitmix64(&seed);
}

uint64_t
prng_next(struct prng *prng)
{
    uint64_t *s = prng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t
prng_below(struct prng *prng, uint64_t limit)
{
    skein_assert(limit > 0);
    uint64_t reject_below = -limit % limit;
    uint64_t value;
    do {
        value = prng_next(prng);
    } while (value < reject_below);
    return value % limit;
}

uint64_t
prng_range(struct prng *prng, uint64_t low, uint64_t high)
{
    skein_assert(low <= high);
    if (low == 0 && high == UINT64_MAX)
        return prng_next(prng);
    return low + prng_below(prng, high - low + 1);
}

bool
prng_chance(struct prng *prng, uint64_t numerator, uint64_t denominator)
{
    return prng_below(prng, denominator) < numerator;
}

void
prng_fill(struct prng *prng, void *data, size_t count)
{
    uint8_t *p = data;
    while (count) {
        uint64_t word = prng_next(prng);
        size_t n = count < 8 ? count : 8;
        memcpy(p, &word, n);
        p += n;
        count -= n;
    }
}
