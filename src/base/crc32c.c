/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL 0x82f63b78u

/* The table for one nibble is enough: this path is the fallback. */
static const uint32_t nibble_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};
_Static_assert(POLYNOMIAL == 0x82f63b78u, "the table belongs to this polynomial");

uint32_t
crc32c_portable(uint32_t seed, const void *data, size_t count)
{
    const uint8_t *p = data;
    uint32_t crc = ~seed;
    for (size_t i = 0; i < count; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ nibble_table[crc & 15];
        crc = (crc >> 4) ^ nibble_table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
/*
 * The instruction takes three cycles and a new one can begin in each: three lanes side by side. A
 * lane's sum is moved over the bytes behind it by a multiplication with x to the power of 8 * bytes
 * - 33, modulo the polynomial (33: the product lies one bit and one word too high).
 */
#define LANE_BYTES 168
#define SHIFT_ONE_LANE 0x1b3d8f29
#define SHIFT_TWO_LANES 0xa60ce07b

__attribute__((target("sse4.2,pclmul"))) static uint64_t
shift(uint64_t crc, uint32_t factor)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)factor), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t
three_lanes(uint64_t crc, const uint8_t *p)
{
    uint64_t second = 0, third = 0, a, b, c;
    for (size_t i = 0; i < LANE_BYTES; i += 8) {
        memcpy(&a, p + i, 8);
        memcpy(&b, p + LANE_BYTES + i, 8);
        memcpy(&c, p + 2 * LANE_BYTES + i, 8);
        crc = _mm_crc32_u64(crc, a);
        second = _mm_crc32_u64(second, b);
        third = _mm_crc32_u64(third, c);
    }
    return shift(crc, SHIFT_TWO_LANES) ^ shift(second, SHIFT_ONE_LANE) ^ third;
}

__attribute__((target("sse4.2"))) static uint32_t
crc32c_hardware(uint32_t seed, const void *data, size_t count)
{
    const uint8_t *p = data;
    uint64_t crc = ~seed;
    bool lanes = count >= 3 * LANE_BYTES && __builtin_cpu_supports("pclmul");
    for (; lanes && count >= 3 * LANE_BYTES; count -= 3 * LANE_BYTES, p += 3 * LANE_BYTES)
        crc = three_lanes(crc, p);
    for (; count >= 8; count -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; count; count--, p++)
        crc = _mm_crc32_u8((uint32_t)crc, *p);
    return ~(uint32_t)crc;
}

uint32_t
crc32c(uint32_t seed, const void *data, size_t count)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_hardware(seed, data, count)
                                            : crc32c_portable(seed, data, count);
}
#elif defined(__aarch64__)
__attribute__((target("+crc"))) static uint32_t
crc32c_hardware(uint32_t seed, const void *data, size_t count)
{
    const uint8_t *p = data;
    uint32_t crc = ~seed;
    for (; count >= 8; count -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
    }
    for (; count; count--, p++)
        crc = __crc32cb(crc, *p);
    return ~crc;
}

uint32_t
crc32c(uint32_t seed, const void *data, size_t count)
{
    return getauxval(AT_HWCAP) & HWCAP_CRC32 ? crc32c_hardware(seed, data, count)
                                             : crc32c_portable(seed, data, count);
}
#else
uint32_t
crc32c(uint32_t seed, const void *data, size_t count)
{
    return crc32c_portable(seed, data, count);
}
#endif
