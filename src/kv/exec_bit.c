/* SPDX-License-Identifier: Apache-2.0 */
/* Values as arrays of bits: bit 0 is the highest of the first byte. */
#include <string.h>

#include "base/mem.h"
#include "kv/exec.h"

/* As in Redis, whose values end at 512 MiB. */
#define BIT_OFFSET_MAX ((INT64_C(1) << 32) - 1)

static bool
parse_offset(struct kv_exec *exec, struct kv_arg arg, int64_t *out_offset)
{
    if (kv_exec_parse_integer(arg, out_offset) && *out_offset >= 0 && *out_offset <= BIT_OFFSET_MAX)
        return true;
    kv_exec_error(exec, "ERR bit offset is not an integer or out of range");
    return false;
}

static unsigned
bit_at(const struct keyspace_entry *entry, int64_t offset)
{
    size_t at = (size_t)(offset >> 3);
    return at < entry->value_bytes ? entry->value[at] >> (7 - (offset & 7)) & 1u : 0;
}

void
kv_exec_cmd_getbit(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry entry = {0};
    int64_t offset;
    if (!parse_offset(exec, argv[2], &offset))
        return;
    (void)kv_keyspace_get(exec->keys, argv[1], &entry);
    kv_exec_integer(exec, bit_at(&entry, offset));
    kv_keyspace_entry_deinit(&entry);
}

static void
put_bit(struct kv_exec *exec, struct kv_arg key, const struct keyspace_entry *old, int64_t offset,
        bool value)
{
    size_t at = (size_t)(offset >> 3);
    size_t count = at < old->value_bytes ? old->value_bytes : at + 1;
    uint8_t mask = (uint8_t)(1u << (7 - (offset & 7)));
    uint8_t *patched = mem_zalloc(count);
    if (old->value_bytes)
        memcpy(patched, old->value, old->value_bytes);
    patched[at] = (uint8_t)(value ? patched[at] | mask : patched[at] & ~mask);
    kv_keyspace_put(exec->keys, key, (struct kv_arg){patched, count}, (struct kv_arg){0},
                    old->expiry_ms);
    mem_free(patched);
}

void
kv_exec_cmd_setbit(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry old = {0};
    int64_t offset, value;
    if (!parse_offset(exec, argv[2], &offset))
        return;
    if (!kv_exec_parse_integer(argv[3], &value) || (value != 0 && value != 1)) {
        kv_exec_error(exec, "ERR bit is not an integer or out of range");
        return;
    }
    (void)kv_keyspace_get(exec->keys, argv[1], &old);
    if (kv_exec_sizes_ok(exec, argv[1], (uint64_t)(offset >> 3) + 1)) {
        unsigned before = bit_at(&old, offset);
        put_bit(exec, argv[1], &old, offset, value != 0);
        kv_exec_integer(exec, before);
    }
    kv_keyspace_entry_deinit(&old);
}

/* The bits @first to @last, which are within the value. */
static int64_t
count_bits(const uint8_t *value, int64_t first, int64_t last)
{
    int64_t count = 0;
    for (int64_t byte = first >> 3; byte <= last >> 3; byte++) {
        unsigned bits = value[byte];
        if (byte == first >> 3)
            bits &= 0xffu >> (first & 7);
        if (byte == last >> 3)
            bits &= 0xffu << (7 - (last & 7));
        count += __builtin_popcount(bits & 0xffu);
    }
    return count;
}

/* BITCOUNT's range as bits of a value of @total_bits; an empty one has its end before its start.
 * false: the error has been replied. */
static bool
parse_range(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc, int64_t total_bits,
            int64_t *out_first, int64_t *out_last)
{
    int64_t start, end;
    if (argc > 5 || argc == 3) {
        kv_exec_syntax_error(exec);
        return false;
    }
    if (!kv_exec_integer_arg(exec, argv[2], &start) || !kv_exec_integer_arg(exec, argv[3], &end))
        return false;
    *out_first = 1;
    *out_last = 0;
    if (start < 0 && end < 0 && start > end)
        return true;
    bool in_bits = argc == 5 && kv_exec_is(argv[4], "bit");
    if (argc == 5 && !in_bits && !kv_exec_is(argv[4], "byte")) {
        kv_exec_syntax_error(exec);
        return false;
    }
    int64_t unit_bits = in_bits ? 1 : 8, total = total_bits / unit_bits;
    if (start < 0)
        start = start < -total ? 0 : start + total;
    if (end < 0)
        end = end < -total ? 0 : end + total;
    if (end >= total)
        end = total - 1;
    if (start <= end) {
        *out_first = start * unit_bits;
        *out_last = end * unit_bits + unit_bits - 1;
    }
    return true;
}

void
kv_exec_cmd_bitcount(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry entry;
    if (!kv_keyspace_get(exec->keys, argv[1], &entry)) {
        kv_exec_integer(exec, 0);
        return;
    }
    int64_t total_bits = (int64_t)entry.value_bytes * 8;
    int64_t first = 0, last = total_bits - 1;
    if (argc == 2 || parse_range(exec, argv, argc, total_bits, &first, &last))
        kv_exec_integer(exec, first <= last ? count_bits(entry.value, first, last) : 0);
    kv_keyspace_entry_deinit(&entry);
}
