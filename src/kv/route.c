/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/route.h"

#include <string.h>

/* CRC-16/XMODEM: polynomial 1021, begins at 0, no reflection. Four bits at a time: keys are short.
 */
static const uint16_t nibbles[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                     0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                     0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};

static uint16_t
crc16(const uint8_t *data, size_t count)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < count; i++) {
        crc = (uint16_t)(crc << 4) ^ nibbles[(crc >> 12) ^ (data[i] >> 4)];
        crc = (uint16_t)(crc << 4) ^ nibbles[(crc >> 12) ^ (data[i] & 15)];
    }
    return crc;
}

/* What stands between the first brace and the next closing one, unless that is nothing. */
static struct kv_arg
hashed_part(struct kv_arg key)
{
    const uint8_t *open = key.count ? memchr(key.data, '{', key.count) : NULL;
    if (!open)
        return key;
    size_t left = (size_t)(key.data + key.count - open) - 1;
    const uint8_t *close = left ? memchr(open + 1, '}', left) : NULL;
    if (!close || close == open + 1)
        return key;
    return (struct kv_arg){.data = open + 1, .count = (size_t)(close - open) - 1};
}

uint32_t
kv_slot(struct kv_arg key)
{
    struct kv_arg part = hashed_part(key);
    return crc16(part.data, part.count) % KV_SLOT_COUNT;
}

uint32_t
kv_slot_group(uint32_t slot, uint32_t group_count)
{
    skein_assert(slot < KV_SLOT_COUNT);
    skein_assert(group_count >= 1 && group_count <= KV_GROUPS_MAX);
    return slot * group_count / KV_SLOT_COUNT;
}

kv_groups
kv_route(const struct kv_command *command, const struct kv_arg *argv, uint32_t argc,
         uint32_t group_count)
{
    kv_groups groups = 0;
    if (group_count == 1)
        return 1;
    if (command->first_key == 0)
        return kv_route_all(group_count);
    uint32_t end = command->last_key < 0 ? argc : (uint32_t)command->last_key + 1;
    for (uint32_t i = (uint32_t)command->first_key; i < end; i += (uint32_t)command->key_step)
        groups |= UINT32_C(1) << kv_slot_group(kv_slot(argv[i]), group_count);
    return groups;
}
