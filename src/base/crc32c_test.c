/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: checksums match published vectors, whatever computes them and however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/prng.h"

static void
crc32c_matches_rfc3720(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], up[32];
    memset(ones, 0xff, 32);
    for (int i = 0; i < 32; i++)
        up[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    struct prng prng;
    prng_init(&prng, 7);
    uint8_t noise[2100]; /* four times what the processor's three lanes take at once, and more */
    prng_fill(&prng, noise, sizeof(noise));
    for (size_t n = 0; n < sizeof(noise); n++) {
        uint32_t seed = (uint32_t)prng_next(&prng);
        assert_int_equal(crc32c(seed, noise, n), crc32c_portable(seed, noise, n));
        assert_int_equal(crc32c(crc32c(0, noise, n), noise + n, sizeof(noise) - n),
                         crc32c(0, noise, sizeof(noise)));
    }
}

/* Where a buffer begins makes no difference, and nothing behind its end is read. */
static void
crc32c_takes_any_place(void **state)
{
    uint8_t bytes[64 + 300];
    struct prng prng;
    prng_init(&prng, 11);
    prng_fill(&prng, bytes, sizeof(bytes));
    for (size_t at = 0; at < 64; at++) {
        uint8_t copy[300];
        memcpy(copy, bytes + at, sizeof(copy));
        uint32_t sum = crc32c(0, bytes + at, 299);
        assert_int_equal(sum, crc32c(0, copy, 299));
        bytes[at + 299] ^= 0xff;
        assert_int_equal(sum, crc32c(0, bytes + at, 299));
        bytes[at + 150] ^= 1;
        assert_int_not_equal(sum, crc32c(0, bytes + at, 299));
        bytes[at + 150] ^= 1;
        bytes[at + 299] ^= 0xff;
    }
    assert_int_equal(crc32c(5, NULL, 0), 5);
    assert_int_equal(crc32c_portable(5, NULL, 0), 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_matches_rfc3720),
        cmocka_unit_test(crc32c_takes_any_place),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
