/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/genesis.h"

#include <string.h>

#include "skein/error.h"

/* docs/design/0003-peer-protocol.md, "genesis". */
#define GENESIS_VERSION 2 /* 1: no groups */

void
genesis_encode_map(struct wire_writer *out, const struct genesis_map *map)
{
    wire_put_raw(out, map->cluster, 16);
    wire_put_u8(out, (uint8_t)map->count);
    for (uint32_t i = 0; i < map->count; i++)
        wire_put_u64(out, map->ids[i]);
}

int
genesis_decode_map(struct wire_reader *in, struct genesis_map *out_map)
{
    struct genesis_map map = {0};
    const uint8_t *cluster = wire_get_raw(in, 16);
    map.count = wire_get_u8(in);
    if (!cluster || map.count == 0 || map.count > REPLICA_NODES_MAX)
        return -SKEIN_EPROTO;
    memcpy(map.cluster, cluster, 16);
    for (uint32_t i = 0; i < map.count; i++) {
        map.ids[i] = wire_get_u64(in);
        if (map.ids[i] >> 48 == 0 || map.ids[i] << 16 == 0)
            return -SKEIN_EPROTO;
        if (i > 0 && map.ids[i - 1] >> 48 >= map.ids[i] >> 48)
            return -SKEIN_EPROTO;
    }
    if (in->failed)
        return -SKEIN_EPROTO;
    *out_map = map;
    return 0;
}

void
genesis_encode(struct wire_writer *out, const struct genesis_message *message)
{
    size_t name_bytes = strlen(message->name);
    wire_put_u8(out, GENESIS_VERSION);
    wire_put_u8(out, (uint8_t)message->state);
    wire_put_u8(out, message->join);
    wire_put_u64(out, message->incarnation);
    wire_put_u64(out, message->heard);
    wire_put_u64(out, message->challenge);
    wire_put_u64(out, message->echo);
    wire_put_u8(out, (uint8_t)name_bytes);
    wire_put_raw(out, message->name, name_bytes);
    wire_put_u8(out, (uint8_t)message->node_count);
    for (uint32_t i = 0; i < message->node_count; i++)
        wire_put_u32(out, message->nodes[i]);
    wire_put_u32(out, message->group_count);
    if (message->state != GENESIS_UNBORN)
        genesis_encode_map(out, &message->map);
}

static int
decode_nodes(struct wire_reader *in, struct genesis_message *message)
{
    message->node_count = wire_get_u8(in);
    if (message->node_count == 0 || message->node_count > REPLICA_NODES_MAX)
        return -SKEIN_EPROTO;
    for (uint32_t i = 0; i < message->node_count; i++) {
        message->nodes[i] = wire_get_u32(in);
        if (message->nodes[i] == 0 || message->nodes[i] > UINT16_MAX ||
            (i > 0 && message->nodes[i - 1] >= message->nodes[i]))
            return -SKEIN_EPROTO;
    }
    return 0;
}

int
genesis_decode(struct wire_reader *in, struct genesis_message *out_message)
{
    struct genesis_message message = {0};
    if (wire_get_u8(in) != GENESIS_VERSION)
        return -SKEIN_EPROTO;
    uint8_t state = wire_get_u8(in);
    uint8_t join = wire_get_u8(in);
    message.incarnation = wire_get_u64(in);
    message.heard = wire_get_u64(in);
    message.challenge = wire_get_u64(in);
    message.echo = wire_get_u64(in);
    uint8_t name_bytes = wire_get_u8(in);
    const uint8_t *name = wire_get_raw(in, name_bytes);
    if (in->failed || state > GENESIS_JOINING || join > 1 || name_bytes == 0 ||
        name_bytes > GENESIS_NAME_BYTES_MAX || memchr(name, 0, name_bytes) ||
        message.incarnation == 0 || message.incarnation >> 48 != 0)
        return -SKEIN_EPROTO;
    memcpy(message.name, name, name_bytes);
    message.state = state;
    message.join = join;
    if (decode_nodes(in, &message) < 0)
        return -SKEIN_EPROTO;
    message.group_count = wire_get_u32(in);
    if (message.group_count == 0)
        return -SKEIN_EPROTO;
    if (state != GENESIS_UNBORN && genesis_decode_map(in, &message.map) < 0)
        return -SKEIN_EPROTO;
    if (!wire_done(in))
        return -SKEIN_EPROTO;
    *out_message = message;
    return 0;
}
