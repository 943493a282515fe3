/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no bytes from a peer make the decoder or a core fail: the input is a run of frames, each
 * led by its length (u16), given to a node that leads, follows or waits, with the options of its
 * first byte's bits. */
#include <stddef.h>
#include <stdint.h>

#include "raft/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void
drain(struct raft *raft, bool sync)
{
    for (uint32_t i = 0; i < 100 && raft_has_ready(raft); i++) {
        struct raft_ready ready;
        raft_take_ready(raft, &ready);
        for (size_t r = 0; sync && r < ready.response_count; r++)
            if (ready.responses[r].to == 1)
                (void)raft_step(raft, &ready.responses[r]);
        for (size_t a = 0; a < ready.apply_count; a++) {
            if (raft_entry_is_config(ready.apply[a].type))
                (void)raft_apply_config(raft, &ready.apply[a]);
            raft_applied(raft, ready.apply[a].index);
        }
        raft_ready_deinit(&ready);
    }
}

static void
vote_for(struct raft *raft, enum raft_message_type type)
{
    for (uint64_t from = 2; from <= 3; from++) {
        struct raft_message m = {.type = type, .from = from, .to = 1, .term = 1};
        (void)raft_step(raft, &m);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count < 1)
        return 0;
    struct raft_options options = {.id = 1,
                                   .seed = 1,
                                   .pre_vote = true,
                                   .check_quorum = true,
                                   .etcd_rules = data[0] & 8,
                                   .eager_sends = data[0] & 16,
                                   .forward_proposals = data[0] & 32,
                                   .lease_ns = data[0] & 64,
                                   .quiesce_ticks = data[0] >> 7};
    if (data[0] & 1)
        options.snapshot.config = raft_config_of((uint64_t[]){1, 2, 3}, 3);
    struct raft *raft;
    if (raft_open(&raft, &options))
        return 0;
    if (data[0] & 2) {
        raft_campaign(raft);
        vote_for(raft, RAFT_PRE_VOTE_RESPONSE);
        drain(raft, true);
        vote_for(raft, RAFT_VOTE_RESPONSE);
        drain(raft, true);
    }
    struct wire_reader in = wire_reader_of(data + 1, count - 1);
    while (wire_left(&in)) {
        size_t length = wire_get_u16(&in);
        const uint8_t *at = wire_get_raw(&in, length);
        if (!at)
            break;
        struct bytes frame = bytes_copy(at, length);
        struct raft_message m;
        if (raft_decode_message(frame, &m) == 0)
            (void)raft_step(raft, &m);
        bytes_unref(&frame);
        raft_tick(raft);
        drain(raft, data[0] & 4);
    }
    raft_close(raft);
    return 0;
}
