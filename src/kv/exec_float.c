/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INCRBYFLOAT, in decimal fixed point: 21 digits before the point and 17 behind it, which is what
 * Redis prints. A floating-point sum would hang on the processor (long double has 64 bits of
 * mantissa on x86-64 and 113 on aarch64), and members would differ. Sums here are exact.
 */
#include <string.h>

#include "kv/exec.h"

#define FRACTION_DIGITS 17
#define WHOLE_DIGITS 21
/* Longer texts are no numbers, as in Redis. */
#define TEXT_BYTES_MAX 5119
/* Exponents beyond this are beyond every digit of such a text. */
#define EXPONENT_MAX 100000
/* Sign, digits, point. */
#define FORMAT_BYTES (WHOLE_DIGITS + FRACTION_DIGITS + 2)

/* In units of 10^-FRACTION_DIGITS; below 10^(WHOLE_DIGITS + FRACTION_DIGITS). */
typedef __int128 fixed;

enum parsed { PARSED, NOT_A_NUMBER, TOO_LARGE };

static fixed
fixed_limit(void)
{
    fixed limit = 1;
    for (int i = 0; i < WHOLE_DIGITS + FRACTION_DIGITS; i++)
        limit *= 10;
    return limit;
}

static bool
is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* What a number's text is made of. */
struct parts {
    bool negative;
    const uint8_t *digits; /* with at most one point among them */
    size_t count;
    int64_t exponent; /* of ten, of the last digit before the point */
};

static bool
parse_exponent(const uint8_t *text, size_t count, int64_t *out_exponent)
{
    int64_t exponent = 0;
    bool negative = count > 0 && text[0] == '-';
    size_t at = negative || (count > 0 && text[0] == '+') ? 1 : 0;
    if (at == count)
        return false;
    for (; at < count; at++) {
        if (!is_digit(text[at]))
            return false;
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (text[at] - '0');
    }
    *out_exponent = negative ? -exponent : exponent;
    return true;
}

static bool
split(struct kv_arg text, struct parts *out)
{
    size_t at = 0, digits = 0, whole = 0;
    bool point = false;
    if (text.count > TEXT_BYTES_MAX)
        return false;
    *out = (struct parts){.negative = text.count > 0 && text.data[0] == '-'};
    at += text.count > 0 && (text.data[0] == '-' || text.data[0] == '+');
    out->digits = text.data + at;
    for (; at < text.count && (is_digit(text.data[at]) || (text.data[at] == '.' && !point)); at++) {
        point = point || text.data[at] == '.';
        digits += is_digit(text.data[at]);
        whole += is_digit(text.data[at]) && !point;
    }
    out->count = (size_t)(text.data + at - out->digits);
    if (digits == 0)
        return false;
    if (at < text.count && (text.data[at] | 0x20) == 'e') {
        if (!parse_exponent(text.data + at + 1, text.count - at - 1, &out->exponent))
            return false;
        at = text.count;
    }
    out->exponent += (int64_t)whole - 1;
    return at == text.count;
}

/* Digits behind the last kept one are rounded, half away from zero. */
static enum parsed
parse(struct kv_arg text, fixed *out_value)
{
    struct parts parts;
    fixed value = 0;
    if (!split(text, &parts))
        return NOT_A_NUMBER;
    int64_t power = parts.exponent; /* of the next digit */
    for (size_t i = 0; i < parts.count && power >= -FRACTION_DIGITS - 1; i++) {
        if (parts.digits[i] == '.')
            continue;
        int digit = parts.digits[i] - '0';
        if (power >= WHOLE_DIGITS && digit)
            return TOO_LARGE;
        if (power >= -FRACTION_DIGITS)
            value = value * 10 + digit;
        else
            value += digit >= 5;
        power--;
    }
    for (; power >= -FRACTION_DIGITS && value; power--)
        value *= 10;
    if (value >= fixed_limit())
        return TOO_LARGE;
    *out_value = parts.negative ? -value : value;
    return PARSED;
}

/* As Redis: no zeros at the end, no point without a digit behind it. */
static struct kv_arg
format(fixed value, uint8_t text[FORMAT_BYTES])
{
    bool negative = value < 0;
    unsigned __int128 rest = (unsigned __int128)(negative ? -value : value);
    size_t at = FORMAT_BYTES, end = FORMAT_BYTES;
    for (int place = 0; place < FRACTION_DIGITS || rest || place == FRACTION_DIGITS; place++) {
        uint8_t digit = (uint8_t)(rest % 10);
        rest /= 10;
        if (place == FRACTION_DIGITS && at < end)
            text[--at] = '.';
        if (place >= FRACTION_DIGITS || digit || at < end)
            text[--at] = (uint8_t)('0' + digit);
    }
    if (negative)
        text[--at] = '-';
    return (struct kv_arg){text + at, end - at};
}

static bool
float_arg(struct kv_exec *exec, struct kv_arg arg, fixed *out_value)
{
    enum parsed parsed = parse(arg, out_value);
    if (parsed == NOT_A_NUMBER)
        kv_exec_error(exec, "ERR value is not a valid float");
    else if (parsed == TOO_LARGE)
        kv_exec_error(exec, "ERR value has more than 21 digits before the point");
    return parsed == PARSED;
}

void
kv_exec_cmd_incrbyfloat(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry old = {0};
    fixed value = 0, by = 0;
    uint8_t text[FORMAT_BYTES];
    bool found = kv_keyspace_get(exec->keys, argv[1], &old);
    uint64_t expiry_ms = old.expiry_ms;
    bool valid = !found || float_arg(exec, (struct kv_arg){old.value, old.value_bytes}, &value);
    kv_keyspace_entry_deinit(&old);
    if (!valid || !float_arg(exec, argv[2], &by))
        return;
    value += by;
    if (value >= fixed_limit() || value <= -fixed_limit()) {
        kv_exec_error(exec, "ERR value has more than 21 digits before the point");
        return;
    }
    struct kv_arg sum = format(value, text);
    if (!kv_exec_sizes_ok(exec, argv[1], sum.count))
        return;
    kv_keyspace_put(exec->keys, argv[1], sum, (struct kv_arg){0}, expiry_ms);
    kv_exec_bulk(exec, sum.data, sum.count);
}
