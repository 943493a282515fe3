/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/codec.h"

/*
 *   config, voters alone:  count u32, ids u64 each
 *   config, any other:     count u32 with EXTENDED, auto_leave u8, then id u64 and roles u8 each
 *   change, version 1:     type u8, node u64, context up to the end
 *   change, version 2:     nothing, or layout u8 (1), transition u8, count u16, then type u8 and
 *                          node u64 each, context up to the end
 *
 * The first form of each is what Skein has written since its first version, so that old logs and
 * checkpoints decode, and members of an older version understand what they can take part in.
 */
#define EXTENDED 0x80000000u
#define CHANGE_LAYOUT 1

static bool
is_plain(const struct raft_config *config)
{
    for (uint32_t i = 0; i < config->count; i++)
        if (config->roles[i] != RAFT_VOTER)
            return false;
    return !config->auto_leave;
}

void
raft_encode_config(struct wire_writer *out, const struct raft_config *config)
{
    bool plain = is_plain(config);
    wire_put_u32(out, config->count | (plain ? 0 : EXTENDED));
    if (!plain)
        wire_put_u8(out, config->auto_leave);
    for (uint32_t i = 0; i < config->count; i++) {
        wire_put_u64(out, config->ids[i]);
        if (!plain)
            wire_put_u8(out, config->roles[i]);
    }
}

int
raft_decode_config(struct wire_reader *in, struct raft_config *out_config)
{
    uint32_t head = wire_get_u32(in);
    bool plain = !(head & EXTENDED);
    struct raft_config config = {.count = head & ~EXTENDED};
    uint8_t auto_leave = plain ? 0 : wire_get_u8(in);
    if (in->failed || config.count > RAFT_MEMBERS_MAX || auto_leave > 1)
        return -SKEIN_EPROTO;
    config.auto_leave = auto_leave;
    for (uint32_t i = 0; i < config.count; i++) {
        config.ids[i] = wire_get_u64(in);
        config.roles[i] = plain ? RAFT_VOTER : wire_get_u8(in);
    }
    if (in->failed || !raft_config_valid(&config))
        return -SKEIN_EPROTO;
    *out_config = config;
    return 0;
}

static void
put_change(struct wire_writer *out, const struct raft_change *change)
{
    wire_put_u8(out, (uint8_t)change->type);
    wire_put_u64(out, change->node);
}

void
raft_encode_conf_change(struct wire_writer *out, const struct raft_conf_change *change)
{
    skein_assert(change->change_count <= RAFT_CHANGES_MAX);
    skein_assert(!change->v1 || change->change_count == 1);
    if (!change->v1 && raft_conf_change_leaves(change) && !change->context.count)
        return;
    if (!change->v1) {
        wire_put_u8(out, CHANGE_LAYOUT);
        wire_put_u8(out, (uint8_t)change->transition);
        wire_put_u16(out, (uint16_t)change->change_count);
    }
    for (uint32_t i = 0; i < change->change_count; i++)
        put_change(out, &change->changes[i]);
    wire_put_raw(out, change->context.data, change->context.count);
}

static int
get_changes(struct wire_reader *in, struct bytes data, struct raft_conf_change *change)
{
    for (uint32_t i = 0; i < change->change_count; i++) {
        uint8_t type = wire_get_u8(in);
        change->changes[i].node = wire_get_u64(in);
        if (in->failed || type >= RAFT_CHANGE_TYPE_END)
            return -SKEIN_EPROTO;
        change->changes[i].type = (enum raft_change_type)type;
    }
    size_t left = wire_left(in);
    if (left > RAFT_CHANGE_CONTEXT_BYTES_MAX)
        return -SKEIN_EPROTO;
    if (left)
        change->context = bytes_borrow(data.data + (data.count - left), left);
    return 0;
}

int
raft_decode_conf_change(enum raft_entry_type type, struct bytes data,
                        struct raft_conf_change *out_change)
{
    struct wire_reader in = wire_reader_of(data.data, data.count);
    *out_change = (struct raft_conf_change){.v1 = type == RAFT_ENTRY_CONFIG, .change_count = 1};
    if (type == RAFT_ENTRY_CONFIG)
        return get_changes(&in, data, out_change);
    if (type != RAFT_ENTRY_CONFIG_V2)
        return -SKEIN_EPROTO;
    out_change->change_count = 0;
    if (!data.count)
        return 0;
    uint8_t layout = wire_get_u8(&in);
    uint8_t transition = wire_get_u8(&in);
    out_change->change_count = wire_get_u16(&in);
    if (in.failed || layout != CHANGE_LAYOUT || transition >= RAFT_TRANSITION_END ||
        out_change->change_count > RAFT_CHANGES_MAX)
        return -SKEIN_EPROTO;
    out_change->transition = (enum raft_transition)transition;
    return get_changes(&in, data, out_change);
}
