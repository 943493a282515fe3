/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/checkpoint_block.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "skein/error.h"

static const char header_magic[8] = {'S', 'K', 'E', 'I', 'N', 'C', 'K', 'P'};

#define HEADER_IDS_AT 64u
#define HEADER_ROLES_AT (HEADER_IDS_AT + 8u * RAFT_MEMBERS_MAX)
#define HEADER_NOTE_AT 512u

uint32_t
checkpoint_header_seed(const uint8_t unit[CHECKPOINT_UNIT_BYTES])
{
    return (uint32_t)wire_load(unit, 4);
}

void
checkpoint_header_encode(uint8_t unit[CHECKPOINT_UNIT_BYTES], const struct checkpoint_info *info)
{
    const struct raft_config *config = &info->snapshot.config;
    bool plain = !config->auto_leave && !info->note_bytes;
    skein_assert(raft_config_valid(config));
    skein_assert(info->note_bytes <= CHECKPOINT_NOTE_BYTES_MAX);
    memset(unit, 0, CHECKPOINT_UNIT_BYTES);
    memcpy(unit + 4, header_magic, 8);
    memcpy(unit + 16, info->cluster, 16);
    wire_store(unit + 32, info->snapshot.index, 8);
    wire_store(unit + 40, info->snapshot.term, 8);
    wire_store(unit + 48, info->time_ms, 8);
    wire_store(unit + 56, config->count, 4);
    for (uint32_t i = 0; i < config->count; i++) {
        wire_store(unit + HEADER_IDS_AT + 8 * i, config->ids[i], 8);
        plain = plain && config->roles[i] == RAFT_VOTER;
    }
    wire_store(unit + 12, plain ? CHECKPOINT_FORMAT_VERSION_PLAIN : CHECKPOINT_FORMAT_VERSION, 4);
    if (!plain) {
        unit[60] = config->auto_leave;
        wire_store(unit + 62, info->note_bytes, 2);
        memcpy(unit + HEADER_ROLES_AT, config->roles, config->count);
        memcpy(unit + HEADER_NOTE_AT, info->note, info->note_bytes);
    }
    wire_store(unit, crc32c(0, unit + 4, CHECKPOINT_UNIT_BYTES - 4), 4);
}

int
checkpoint_header_decode(const uint8_t unit[CHECKPOINT_UNIT_BYTES],
                         struct checkpoint_info *out_info, uint32_t *out_seed,
                         uint32_t *out_version)
{
    if (wire_load(unit, 4) != crc32c(0, unit + 4, CHECKPOINT_UNIT_BYTES - 4) ||
        memcmp(unit + 4, header_magic, 8) != 0)
        return -SKEIN_ECORRUPT;
    *out_version = (uint32_t)wire_load(unit + 12, 4);
    bool plain = *out_version == CHECKPOINT_FORMAT_VERSION_PLAIN;
    if (!plain && *out_version != CHECKPOINT_FORMAT_VERSION)
        return -SKEIN_EFORMAT;
    struct checkpoint_info info = {.time_ms = wire_load(unit + 48, 8)};
    memcpy(info.cluster, unit + 16, 16);
    info.snapshot.index = wire_load(unit + 32, 8);
    info.snapshot.term = wire_load(unit + 40, 8);
    struct raft_config *config = &info.snapshot.config;
    config->count = (uint32_t)wire_load(unit + 56, 4);
    if (config->count > RAFT_MEMBERS_MAX || (!plain && unit[60] > 1))
        return -SKEIN_ECORRUPT;
    config->auto_leave = !plain && unit[60];
    for (uint32_t i = 0; i < config->count; i++) {
        config->ids[i] = wire_load(unit + HEADER_IDS_AT + 8 * i, 8);
        config->roles[i] = plain ? RAFT_VOTER : unit[HEADER_ROLES_AT + i];
    }
    info.note_bytes = plain ? 0 : (uint32_t)wire_load(unit + 62, 2);
    if (!raft_config_valid(config) || info.note_bytes > CHECKPOINT_NOTE_BYTES_MAX)
        return -SKEIN_ECORRUPT;
    memcpy(info.note, unit + HEADER_NOTE_AT, info.note_bytes);
    *out_info = info;
    *out_seed = checkpoint_header_seed(unit);
    return 0;
}

static size_t
padded(size_t bytes)
{
    return (bytes + CHECKPOINT_UNIT_BYTES - 1) / CHECKPOINT_UNIT_BYTES * CHECKPOINT_UNIT_BYTES;
}

size_t
checkpoint_block_seal(uint8_t raw[CHECKPOINT_BLOCK_BYTES], uint32_t seed, uint64_t number,
                      size_t count)
{
    skein_assert(count > 0);
    skein_assert(count <= CHECKPOINT_CONTENT_BYTES);
    size_t used = CHECKPOINT_BLOCK_HEAD_BYTES + count;
    size_t bytes = padded(used);
    memset(raw + used, 0, bytes - used);
    wire_store(raw + 4, count, 4);
    wire_store(raw + 8, number, 8);
    wire_store(raw, crc32c(seed, raw + 4, bytes - 4), 4);
    return bytes;
}

uint32_t
checkpoint_chain(uint32_t chain, const uint8_t *raw)
{
    return crc32c(chain, raw, 4);
}

/* A footer is a block without content, with the sums over all that came before. */
void
checkpoint_footer_encode(uint8_t unit[CHECKPOINT_UNIT_BYTES], const struct checkpoint_scan *scan)
{
    memset(unit, 0, CHECKPOINT_UNIT_BYTES);
    wire_store(unit + 8, scan->next_number, 8);
    wire_store(unit + 16, scan->content_bytes, 8);
    wire_store(unit + 24, scan->chain, 4);
    wire_store(unit, crc32c(scan->seed, unit + 4, CHECKPOINT_UNIT_BYTES - 4), 4);
}

int
checkpoint_footer_decode(const uint8_t unit[CHECKPOINT_UNIT_BYTES], uint32_t seed,
                         uint32_t *out_chain)
{
    if (wire_load(unit, 4) != crc32c(seed, unit + 4, CHECKPOINT_UNIT_BYTES - 4) ||
        wire_load(unit + 4, 4) != 0)
        return -SKEIN_ECORRUPT;
    *out_chain = (uint32_t)wire_load(unit + 24, 4);
    return 0;
}

size_t
checkpoint_block_bytes(const uint8_t *raw)
{
    uint64_t count = wire_load(raw + 4, 4);
    return count <= CHECKPOINT_CONTENT_BYTES ? padded(CHECKPOINT_BLOCK_HEAD_BYTES + (size_t)count)
                                             : 0;
}

int
checkpoint_scan_block(struct checkpoint_scan *scan, const uint8_t *raw, size_t left,
                      size_t *out_bytes, size_t *out_count, const char **out_reason)
{
    skein_assert(!scan->ended);
    *out_reason = "the file ends in the middle";
    if (left < CHECKPOINT_UNIT_BYTES)
        return -SKEIN_ECORRUPT;
    uint64_t count = wire_load(raw + 4, 4);
    *out_reason = "checksum does not match";
    if (count > CHECKPOINT_CONTENT_BYTES)
        return -SKEIN_ECORRUPT;
    size_t bytes = padded(CHECKPOINT_BLOCK_HEAD_BYTES + (size_t)count);
    if (bytes > left || wire_load(raw, 4) != crc32c(scan->seed, raw + 4, bytes - 4))
        return -SKEIN_ECORRUPT;
    *out_reason = "block out of order";
    if (wire_load(raw + 8, 8) != scan->next_number)
        return -SKEIN_ECORRUPT;
    if (count == 0) {
        *out_reason = "the footer contradicts the blocks";
        if (wire_load(raw + 16, 8) != scan->content_bytes || wire_load(raw + 24, 4) != scan->chain)
            return -SKEIN_ECORRUPT;
        scan->ended = true;
    } else {
        if (scan->last_block)
            return -SKEIN_ECORRUPT;
        scan->last_block = count < CHECKPOINT_CONTENT_BYTES;
        scan->next_number++;
        scan->content_bytes += count;
        scan->chain = checkpoint_chain(scan->chain, raw);
    }
    *out_bytes = bytes;
    *out_count = (size_t)count;
    return 0;
}
