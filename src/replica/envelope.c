/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/envelope.h"

#include <string.h>

#include "raft/codec.h"
#include "replica/genesis.h"
#include "skein/error.h"

#define CARD_VERSION 1
#define WISH_VERSION 1

void
envelope_begin_raft(struct wire_writer *out, const uint8_t cluster[16])
{
    wire_put_u8(out, ENVELOPE_RAFT);
    wire_put_raw(out, cluster, 16);
}

void
envelope_add_raft(struct wire_writer *out, uint32_t group, const struct raft_message *message)
{
    wire_put_u32(out, group);
    wire_put_u32(out, 0);
    size_t begin = out->count;
    raft_encode_message(out, message);
    wire_store(out->data + begin - 4, out->count - begin, 4);
}

int
envelope_open_raft(struct envelope_rafts *items, struct bytes frame)
{
    *items = (struct envelope_rafts){.frame = frame, .in = wire_reader_of(frame.data, frame.count)};
    wire_get_u8(&items->in);
    const uint8_t *cluster = wire_get_raw(&items->in, 16);
    if (items->in.failed)
        return -SKEIN_EPROTO;
    memcpy(items->cluster, cluster, 16);
    return 0;
}

int
envelope_next_raft(struct envelope_rafts *items, uint32_t *out_group, struct bytes *out_message)
{
    if (items->in.at == items->in.end)
        return -SKEIN_ENOTFOUND;
    uint32_t group = wire_get_u32(&items->in);
    uint32_t count = wire_get_u32(&items->in);
    const uint8_t *data = wire_get_raw(&items->in, count);
    if (items->in.failed)
        return -SKEIN_EPROTO;
    *out_group = group;
    *out_message = (struct bytes){.buf = items->frame.buf, .data = data, .count = count};
    return 0;
}

void
envelope_begin_items(struct wire_writer *out, enum envelope_kind kind, uint64_t session,
                     uint64_t token)
{
    wire_put_u8(out, (uint8_t)kind);
    wire_put_u64(out, session);
    wire_put_u64(out, token);
    wire_put_u32(out, 0);
}

static void
count_item(struct wire_writer *out)
{
    uint8_t *at = out->data + ENVELOPE_FORWARD_HEADER_BYTES - 4;
    wire_store(at, wire_load(at, 4) + 1, 4);
}

void
envelope_add_forward(struct wire_writer *out, const struct envelope_forward *item)
{
    wire_put_u32(out, item->group);
    wire_put_u64(out, item->id);
    wire_put_u8(out, (uint8_t)item->kind);
    wire_put_u64(out, item->left_ns);
    wire_put_u32(out, (uint32_t)item->command.count);
    wire_put_raw(out, item->command.data, item->command.count);
    count_item(out);
}

void
envelope_add_reply(struct wire_writer *out, uint64_t id, enum envelope_outcome outcome,
                   const void *reply, size_t reply_bytes)
{
    wire_put_u64(out, id);
    wire_put_u8(out, (uint8_t)outcome);
    wire_put_u32(out, (uint32_t)reply_bytes);
    wire_put_raw(out, reply, reply_bytes);
    count_item(out);
}

int
envelope_open_items(struct envelope_items *items, struct bytes frame)
{
    *items = (struct envelope_items){.frame = frame, .in = wire_reader_of(frame.data, frame.count)};
    wire_get_u8(&items->in);
    items->session = wire_get_u64(&items->in);
    items->token = wire_get_u64(&items->in);
    items->left = wire_get_u32(&items->in);
    return items->in.failed || items->session == 0 ? -SKEIN_EPROTO : 0;
}

static int
get_view(struct envelope_items *items, struct bytes *out_view)
{
    uint32_t count = wire_get_u32(&items->in);
    const uint8_t *data = wire_get_raw(&items->in, count);
    if (items->in.failed)
        return -SKEIN_EPROTO;
    *out_view = (struct bytes){.buf = items->frame.buf, .data = data, .count = count};
    return 0;
}

static int
at_end(const struct envelope_items *items)
{
    return items->in.at == items->in.end ? -SKEIN_ENOTFOUND : -SKEIN_EPROTO;
}

int
envelope_next_forward(struct envelope_items *items, struct envelope_forward *out_item)
{
    if (items->left == 0)
        return at_end(items);
    items->left--;
    struct envelope_forward item = {.group = wire_get_u32(&items->in)};
    item.id = wire_get_u64(&items->in);
    uint8_t kind = wire_get_u8(&items->in);
    item.left_ns = wire_get_u64(&items->in);
    if (get_view(items, &item.command) < 0 || item.id == 0 || kind >= ENVELOPE_REQUEST_END)
        return -SKEIN_EPROTO;
    item.kind = kind;
    *out_item = item;
    return 0;
}

int
envelope_next_reply(struct envelope_items *items, struct envelope_reply *out_item)
{
    if (items->left == 0)
        return at_end(items);
    items->left--;
    struct envelope_reply item = {.id = wire_get_u64(&items->in)};
    uint8_t outcome = wire_get_u8(&items->in);
    if (get_view(items, &item.reply) < 0 || outcome >= ENVELOPE_OUTCOME_END)
        return -SKEIN_EPROTO;
    item.outcome = outcome;
    *out_item = item;
    return 0;
}

void
envelope_put_chunk(struct wire_writer *out, const struct envelope_chunk *chunk)
{
    skein_assert(chunk->data.count <= ENVELOPE_CHUNK_BYTES);
    skein_assert(chunk->file.index == chunk->snapshot.index);
    wire_put_u8(out, ENVELOPE_SNAP_CHUNK);
    wire_put_raw(out, chunk->cluster, 16);
    wire_put_u32(out, chunk->group);
    wire_put_u64(out, chunk->transfer);
    wire_put_u64(out, chunk->term);
    wire_put_u64(out, chunk->snapshot.index);
    wire_put_u64(out, chunk->snapshot.term);
    raft_encode_config(out, &chunk->snapshot.config);
    wire_put_u64(out, chunk->file.file_bytes);
    wire_put_u32(out, chunk->file.header_crc);
    wire_put_u32(out, chunk->file.chain);
    wire_put_u64(out, chunk->offset);
    wire_put_raw(out, chunk->data.data, chunk->data.count);
}

int
envelope_get_chunk(struct bytes frame, struct envelope_chunk *out_chunk)
{
    struct envelope_chunk chunk = {0};
    struct wire_reader in = wire_reader_of(frame.data, frame.count);
    wire_get_u8(&in);
    const uint8_t *cluster = wire_get_raw(&in, 16);
    chunk.group = wire_get_u32(&in);
    chunk.transfer = wire_get_u64(&in);
    chunk.term = wire_get_u64(&in);
    chunk.snapshot.index = wire_get_u64(&in);
    chunk.snapshot.term = wire_get_u64(&in);
    if (in.failed || raft_decode_config(&in, &chunk.snapshot.config) < 0)
        return -SKEIN_EPROTO;
    chunk.file.index = chunk.snapshot.index;
    chunk.file.file_bytes = wire_get_u64(&in);
    chunk.file.header_crc = wire_get_u32(&in);
    chunk.file.chain = wire_get_u32(&in);
    chunk.offset = wire_get_u64(&in);
    size_t count = wire_left(&in);
    uint64_t file_bytes = chunk.file.file_bytes;
    if (in.failed || chunk.transfer == 0 || chunk.snapshot.index == 0 || file_bytes == 0 ||
        count > ENVELOPE_CHUNK_BYTES || chunk.offset > file_bytes ||
        file_bytes - chunk.offset < count || (count == 0 && chunk.offset != 0))
        return -SKEIN_EPROTO;
    memcpy(chunk.cluster, cluster, 16);
    chunk.data = (struct bytes){.buf = frame.buf, .data = in.at, .count = count};
    *out_chunk = chunk;
    return 0;
}

void
envelope_put_ack(struct wire_writer *out, const struct envelope_ack *ack)
{
    wire_put_u8(out, ENVELOPE_SNAP_ACK);
    wire_put_u32(out, ack->group);
    wire_put_u64(out, ack->transfer);
    wire_put_u64(out, ack->offset);
    wire_put_u8(out, (uint8_t)ack->state);
}

int
envelope_get_ack(struct bytes frame, struct envelope_ack *out_ack)
{
    struct wire_reader in = wire_reader_of(frame.data, frame.count);
    wire_get_u8(&in);
    struct envelope_ack ack = {.group = wire_get_u32(&in)};
    ack.transfer = wire_get_u64(&in);
    ack.offset = wire_get_u64(&in);
    uint8_t state = wire_get_u8(&in);
    if (!wire_done(&in) || state > ENVELOPE_ACK_BUSY)
        return -SKEIN_EPROTO;
    ack.state = state;
    *out_ack = ack;
    return 0;
}

void
envelope_put_recovered(struct wire_writer *out, const uint8_t former[16], const uint8_t cluster[16])
{
    wire_put_u8(out, ENVELOPE_RECOVERED);
    wire_put_raw(out, former, 16);
    wire_put_raw(out, cluster, 16);
}

int
envelope_get_recovered(struct bytes frame, uint8_t out_former[16], uint8_t out_cluster[16])
{
    struct wire_reader in = wire_reader_of(frame.data, frame.count);
    wire_get_u8(&in);
    const uint8_t *former = wire_get_raw(&in, 16);
    const uint8_t *cluster = wire_get_raw(&in, 16);
    if (!wire_done(&in))
        return -SKEIN_EPROTO;
    memcpy(out_former, former, 16);
    memcpy(out_cluster, cluster, 16);
    return 0;
}

void
envelope_put_card(struct wire_writer *out, const struct envelope_card *card)
{
    wire_put_u8(out, ENVELOPE_CARD);
    wire_put_u8(out, CARD_VERSION);
    wire_put_u8(out, card->rank);
    wire_put_raw(out, card->client.ip, sizeof card->client.ip);
    wire_put_u16(out, card->client.port);
}

int
envelope_get_card(struct bytes frame, struct envelope_card *out_card)
{
    struct wire_reader in = wire_reader_of(frame.data, frame.count);
    struct envelope_card card = {0};
    wire_get_u8(&in);
    uint8_t version = wire_get_u8(&in);
    card.rank = wire_get_u8(&in);
    const uint8_t *ip = wire_get_raw(&in, sizeof card.client.ip);
    card.client.port = wire_get_u16(&in);
    if (!wire_done(&in) || version != CARD_VERSION || card.rank > RAFT_RANK_MAX)
        return -SKEIN_EPROTO;
    memcpy(card.client.ip, ip, sizeof card.client.ip);
    *out_card = card;
    return 0;
}

void
envelope_put_wish(struct wire_writer *out, const struct envelope_wish *wish)
{
    size_t bytes = strnlen(wish->note, sizeof wish->note - 1);
    wire_put_u8(out, ENVELOPE_WISH);
    wire_put_u8(out, WISH_VERSION);
    wire_put_raw(out, wish->cluster, sizeof wish->cluster);
    wire_put_u64(out, wish->term);
    wire_put_u64(out, wish->id);
    wire_put_u8(out, wish->state);
    wire_put_u32(out, (uint32_t)-wish->failure);
    wire_put_u8(out, (uint8_t)bytes);
    wire_put_raw(out, wish->note, bytes);
}

int
envelope_get_wish(struct bytes frame, struct envelope_wish *out_wish)
{
    struct wire_reader in = wire_reader_of(frame.data, frame.count);
    struct envelope_wish wish = {0};
    wire_get_u8(&in);
    uint8_t version = wire_get_u8(&in);
    const uint8_t *cluster = wire_get_raw(&in, sizeof wish.cluster);
    wish.term = wire_get_u64(&in);
    wish.id = wire_get_u64(&in);
    wish.state = wire_get_u8(&in);
    uint32_t failure = wire_get_u32(&in);
    uint8_t bytes = wire_get_u8(&in);
    const uint8_t *note = wire_get_raw(&in, bytes);
    if (!wire_done(&in) || version != WISH_VERSION || wish.id == 0 || failure > INT32_MAX ||
        bytes >= sizeof wish.note)
        return -SKEIN_EPROTO;
    for (uint8_t i = 0; i < bytes; i++)
        if (note[i] < ' ')
            return -SKEIN_EPROTO;
    memcpy(wish.cluster, cluster, sizeof wish.cluster);
    memcpy(wish.note, note, bytes);
    wish.failure = -(int)failure;
    *out_wish = wish;
    return 0;
}

static int
check_items(struct bytes frame)
{
    struct envelope_items items;
    int rc = envelope_open_items(&items, frame);
    while (rc == 0) {
        struct envelope_forward forward;
        struct envelope_reply reply;
        rc = frame.data[0] == ENVELOPE_FORWARD ? envelope_next_forward(&items, &forward)
                                               : envelope_next_reply(&items, &reply);
    }
    return rc == -SKEIN_ENOTFOUND ? 0 : rc;
}

static int
check_raft(struct bytes frame)
{
    struct envelope_rafts items;
    struct bytes body;
    uint32_t group;
    int rc = envelope_open_raft(&items, frame);
    while (rc == 0 && (rc = envelope_next_raft(&items, &group, &body)) == 0) {
        struct raft_message message = {0};
        rc = raft_decode_message(body, &message);
        if (rc == 0)
            raft_message_deinit(&message);
    }
    return rc == -SKEIN_ENOTFOUND ? 0 : rc;
}

int
envelope_check(struct bytes frame)
{
    if (frame.count == 0)
        return -SKEIN_EPROTO;
    struct envelope_chunk chunk;
    struct envelope_ack ack;
    struct genesis_message genesis;
    uint8_t former[16], cluster[16];
    struct envelope_card card;
    struct envelope_wish wish;
    struct wire_reader in = wire_reader_of(frame.data + 1, frame.count - 1);
    switch (frame.data[0]) {
    case ENVELOPE_RAFT:
        return check_raft(frame);
    case ENVELOPE_FORWARD:
    case ENVELOPE_FORWARD_REPLY:
        return check_items(frame);
    case ENVELOPE_SNAP_CHUNK:
        return envelope_get_chunk(frame, &chunk);
    case ENVELOPE_SNAP_ACK:
        return envelope_get_ack(frame, &ack);
    case ENVELOPE_GENESIS:
        return genesis_decode(&in, &genesis);
    case ENVELOPE_BEAT:
        return wire_done(&in) ? 0 : -SKEIN_EPROTO;
    case ENVELOPE_RECOVERED:
        return envelope_get_recovered(frame, former, cluster);
    case ENVELOPE_CARD:
        return envelope_get_card(frame, &card);
    case ENVELOPE_WISH:
        return envelope_get_wish(frame, &wish);
    }
    return -SKEIN_EPROTO;
}
