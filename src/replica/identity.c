/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/identity.h"

#include <stdio.h>
#include <string.h>

#include "replica/replica.h"
#include "skein/shard.h"
#include "disk/smallfile.h"
#include "skein/error.h"

#define IDENTITY_NAME "identity"
#define IDENTITY_REJOINED 0x80u
#define IDENTITY_VERSION 1
#define IDENTITY_BYTES_MAX 4096

static const char magic[8] = {'S', 'K', 'E', 'I', 'N', 'I', 'D', 'N'};

static int
write_as(const char *dir, const char *name, const struct identity *identity)
{
    struct wire_writer out = {0};
    size_t name_bytes = strlen(identity->name);
    wire_put_u8(&out, (uint8_t)name_bytes);
    wire_put_raw(&out, identity->name, name_bytes);
    wire_put_u32(&out, identity->node);
    wire_put_u64(&out, identity->incarnation);
    wire_put_u8(&out, (uint8_t)(identity->state | (identity->rejoined ? IDENTITY_REJOINED : 0)));
    wire_put_u8(&out, identity->log_begun);
    if (identity->state != GENESIS_UNBORN)
        genesis_encode_map(&out, &identity->map);
    bool groups = identity->group_count > 1 || identity->recovered;
    if (identity->let_in_index || groups)
        wire_put_u64(&out, identity->let_in_index);
    if (groups)
        wire_put_u32(&out, identity->group_count);
    if (identity->recovered)
        wire_put_raw(&out, identity->former, sizeof identity->former);
    int rc = smallfile_write(dir, name, magic, IDENTITY_VERSION, out.data, out.count);
    wire_writer_deinit(&out);
    return rc;
}

int
identity_write(const char *dir, const struct identity *identity)
{
    return write_as(dir, IDENTITY_NAME, identity);
}

int
identity_write_aside(const char *dir, const struct identity *identity)
{
    return write_as(dir, IDENTITY_NAME ".damaged", identity);
}

static int
decode(struct wire_reader *in, struct identity *out_identity)
{
    struct identity id = {0};
    uint8_t name_bytes = wire_get_u8(in);
    const uint8_t *name = wire_get_raw(in, name_bytes);
    if (!name || name_bytes == 0 || name_bytes > GENESIS_NAME_BYTES_MAX)
        return -SKEIN_ECORRUPT;
    memcpy(id.name, name, name_bytes);
    id.node = wire_get_u32(in);
    id.incarnation = wire_get_u64(in);
    uint8_t state = wire_get_u8(in);
    id.rejoined = state & IDENTITY_REJOINED;
    state &= IDENTITY_REJOINED - 1;
    id.log_begun = wire_get_u8(in) != 0;
    if (in->failed || state > GENESIS_JOINING || id.node == 0 || id.node > UINT16_MAX ||
        id.incarnation == 0 || id.incarnation >> 48 != 0)
        return -SKEIN_ECORRUPT;
    id.state = state;
    if (state != GENESIS_UNBORN && genesis_decode_map(in, &id.map) < 0)
        return -SKEIN_ECORRUPT;
    if (wire_left(in) > 0)
        id.let_in_index = wire_get_u64(in);
    id.group_count = wire_left(in) > 0 ? wire_get_u32(in) : 1;
    if (id.group_count == 0 || id.group_count > REPLICA_GROUPS_MAX)
        return -SKEIN_ECORRUPT;
    id.recovered = wire_left(in) > 0;
    const uint8_t *former = id.recovered ? wire_get_raw(in, sizeof id.former) : NULL;
    if (former)
        memcpy(id.former, former, sizeof id.former);
    if (!wire_done(in))
        return -SKEIN_ECORRUPT;
    *out_identity = id;
    return 0;
}

int
identity_read(const char *dir, struct identity *out_identity, char out_why[512])
{
    struct bytes data = {0};
    int rc = smallfile_read(dir, IDENTITY_NAME, magic, IDENTITY_VERSION, IDENTITY_BYTES_MAX, &data,
                            out_why);
    if (rc < 0)
        return rc;
    struct wire_reader in = wire_reader_of(data.data, data.count);
    rc = decode(&in, out_identity);
    if (rc < 0)
        snprintf(out_why, 512,
                 "%.300s/" IDENTITY_NAME ": its content contradicts itself at byte %zu", dir,
                 (size_t)(in.at - data.data));
    bytes_unref(&data);
    return rc;
}

void
identity_draw(struct identity *identity, const char *name, uint32_t node)
{
    *identity = (struct identity){.node = node, .group_count = 1};
    snprintf(identity->name, sizeof identity->name, "%s", name);
    while (identity->incarnation == 0)
        identity->incarnation = skein_random() & ((UINT64_C(1) << 48) - 1);
}
