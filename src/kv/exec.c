/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/exec.h"

#include <inttypes.h>
#include <string.h>

/* What stands around a bulk string. */
#define BULK_FRAME_BYTES 32

void
kv_exec_simple(struct kv_exec *exec, const char *text)
{
    if (exec->out)
        kv_reply_simple(exec->out, text);
}

void
kv_exec_ok(struct kv_exec *exec)
{
    kv_exec_simple(exec, "OK");
}

void
kv_exec_error(struct kv_exec *exec, const char *text)
{
    if (exec->out)
        kv_reply_error(exec->out, text);
}

void
kv_exec_integer(struct kv_exec *exec, int64_t value)
{
    if (exec->out)
        kv_reply_integer(exec->out, value);
}

void
kv_exec_bulk(struct kv_exec *exec, const void *data, size_t count)
{
    /* What a write returns was admitted by kv_exec_return_fits. */
    if (!exec->out || exec->too_large)
        return;
    if (exec->command->kind == KV_READ && kv_exec_room(exec) < count + BULK_FRAME_BYTES) {
        exec->too_large = true;
        return;
    }
    kv_reply_bulk(exec->out, data, count);
}

void
kv_exec_null(struct kv_exec *exec)
{
    if (exec->out)
        kv_reply_null(exec->out);
}

void
kv_exec_array(struct kv_exec *exec, uint64_t count)
{
    if (exec->out)
        kv_reply_array(exec->out, count);
}

size_t
kv_exec_room(const struct kv_exec *exec)
{
    size_t used = exec->out ? exec->out->count : 0;
    return used < exec->out_bytes_max ? exec->out_bytes_max - used : 0;
}

void
kv_exec_reply_too_large(struct kv_exec *exec)
{
    if (exec->out)
        kv_reply_too_large(exec->out, exec->limits);
}

bool
kv_exec_return_fits(struct kv_exec *exec, size_t count)
{
    uint64_t used = exec->returned_bytes;
    if (count > exec->limits->reply_bytes_max || used > exec->limits->reply_bytes_max - count) {
        kv_exec_reply_too_large(exec);
        return false;
    }
    exec->returned_bytes += count;
    return true;
}

bool
kv_exec_sizes_ok(struct kv_exec *exec, struct kv_arg key, uint64_t value_bytes)
{
    const struct kv_limits *limits = exec->limits;
    if (key.count > limits->key_bytes_max) {
        if (exec->out)
            kv_reply_errorf(exec->out, "ERR key is larger than %" PRIu64 " bytes (--key-bytes-max)",
                            limits->key_bytes_max);
        return false;
    }
    if (value_bytes > limits->value_bytes_max) {
        if (exec->out)
            kv_reply_errorf(exec->out,
                            "ERR value is larger than %" PRIu64 " bytes (--value-bytes-max)",
                            limits->value_bytes_max);
        return false;
    }
    return true;
}

bool
kv_exec_is(struct kv_arg arg, const char *name)
{
    if (strlen(name) != arg.count)
        return false;
    for (size_t i = 0; i < arg.count; i++) {
        uint8_t byte = arg.data[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (uint8_t)(byte + ('a' - 'A'));
        if (byte != (uint8_t)name[i])
            return false;
    }
    return true;
}

bool
kv_exec_parse_integer(struct kv_arg arg, int64_t *out_value)
{
    size_t at = 0;
    bool negative = arg.count > 0 && arg.data[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value = 0;
    if (arg.count == 1 && arg.data[0] == '0') {
        *out_value = 0;
        return true;
    }
    at += negative;
    if (at == arg.count || arg.count > 20 || arg.data[at] == '0')
        return false;
    for (; at < arg.count; at++) {
        uint8_t digit = (uint8_t)(arg.data[at] - '0');
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool
kv_exec_integer_arg(struct kv_exec *exec, struct kv_arg arg, int64_t *out_value)
{
    if (kv_exec_parse_integer(arg, out_value))
        return true;
    kv_exec_error(exec, "ERR value is not an integer or out of range");
    return false;
}

void
kv_exec_syntax_error(struct kv_exec *exec)
{
    kv_exec_error(exec, "ERR syntax error");
}

void
kv_exec_invalid_expire(struct kv_exec *exec)
{
    if (exec->out)
        kv_reply_errorf(exec->out, "ERR invalid expire time in '%s' command", exec->command->name);
}

bool
kv_exec_expiry(struct kv_exec *exec, const struct kv_expiry_arg *arg, int64_t *out_expiry_ms)
{
    int64_t amount;
    int64_t base = arg->is_absolute ? 0 : (int64_t)exec->keys->time_ms;
    if (!kv_exec_integer_arg(exec, arg->amount, &amount))
        return false;
    bool valid = amount > 0 && !(arg->in_seconds && amount > INT64_MAX / 1000);
    if (valid && arg->in_seconds)
        amount *= 1000;
    if (!valid || amount > INT64_MAX - base) {
        kv_exec_invalid_expire(exec);
        return false;
    }
    *out_expiry_ms = amount + base;
    return true;
}

bool
kv_exec_is_past(const struct kv_exec *exec, int64_t expiry_ms)
{
    return expiry_ms <= 0 || (uint64_t)expiry_ms <= exec->keys->time_ms;
}
