/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
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
__attribute__((target("sse4.2"))) static uint32_t
crc32c_hardware(uint32_t seed, const void *data, size_t count)
{
    const uint8_t *p = data;
    uint64_t crc = ~seed;
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
