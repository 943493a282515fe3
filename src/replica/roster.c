/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/roster.h"

#include <string.h>

#include "skein/error.h"

#define ROSTER_VERSION 1

const struct replica_peer *
roster_find(const struct roster *roster, uint32_t node)
{
    for (uint32_t i = 0; i < roster->count; i++)
        if (roster->peers[i].node == node)
            return &roster->peers[i];
    return NULL;
}

bool
roster_put(struct roster *roster, const struct replica_peer *peer)
{
    uint32_t at = 0;
    while (at < roster->count && roster->peers[at].node < peer->node)
        at++;
    if (at == roster->count || roster->peers[at].node != peer->node) {
        if (roster->count == REPLICA_NODES_MAX)
            return false;
        memmove(&roster->peers[at + 1], &roster->peers[at],
                (roster->count++ - at) * sizeof(roster->peers[0]));
    }
    roster->peers[at] = *peer;
    return true;
}

void
roster_drop(struct roster *roster, uint32_t node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < roster->count; i++)
        if (roster->peers[i].node != node)
            roster->peers[kept++] = roster->peers[i];
    roster->count = kept;
}

bool
roster_equal(const struct roster *a, const struct roster *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->peers[i].node != b->peers[i].node ||
            a->peers[i].addr.port != b->peers[i].addr.port ||
            memcmp(a->peers[i].addr.ip, b->peers[i].addr.ip, sizeof(a->peers[i].addr.ip)) != 0)
            return false;
    return true;
}

void
roster_encode(struct wire_writer *out, const struct roster *roster)
{
    wire_put_u8(out, ROSTER_VERSION);
    wire_put_u8(out, (uint8_t)roster->count);
    for (uint32_t i = 0; i < roster->count; i++) {
        wire_put_u32(out, roster->peers[i].node);
        wire_put_raw(out, roster->peers[i].addr.ip, sizeof(roster->peers[i].addr.ip));
        wire_put_u16(out, roster->peers[i].addr.port);
    }
}

int
roster_decode(struct bytes data, struct roster *out_roster)
{
    struct wire_reader in = wire_reader_of(data.data, data.count);
    struct roster roster = {0};
    uint8_t version = wire_get_u8(&in);
    uint8_t count = wire_get_u8(&in);
    if (in.failed || version != ROSTER_VERSION || count == 0 || count > REPLICA_NODES_MAX)
        return -SKEIN_EPROTO;
    for (uint32_t i = 0; i < count; i++) {
        struct replica_peer *peer = &roster.peers[roster.count++];
        peer->node = wire_get_u32(&in);
        const uint8_t *ip = wire_get_raw(&in, sizeof(peer->addr.ip));
        peer->addr.port = wire_get_u16(&in);
        if (in.failed || peer->node == 0 || peer->node > UINT16_MAX ||
            (i > 0 && peer[-1].node >= peer->node))
            return -SKEIN_EPROTO;
        memcpy(peer->addr.ip, ip, sizeof(peer->addr.ip));
    }
    if (!wire_done(&in))
        return -SKEIN_EPROTO;
    *out_roster = roster;
    return 0;
}
