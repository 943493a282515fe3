/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* Decimal digits where printf would cost more than what is around it. */

#define DECIMAL_BYTES_MAX 20 /* of UINT64_MAX */

/* decimal_put - the digits of @value to @out, which has room for DECIMAL_BYTES_MAX; no zero is put
 * behind them. **Returns** how many. */
static inline size_t
decimal_put(char *out, uint64_t value)
{
    char digits[DECIMAL_BYTES_MAX];
    size_t at = DECIMAL_BYTES_MAX, count;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    count = DECIMAL_BYTES_MAX - at;
    for (size_t i = 0; i < count; i++)
        out[i] = digits[at + i];
    return count;
}

#endif
