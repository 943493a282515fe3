/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every message comes back as it went; every truncation and every changed byte is an error or
 * another message, which a core takes without harm. */
#include <string.h>

#include "raft/codec.h"
#include "raft/test_util.h"

static struct raft_message
sample(enum raft_message_type type)
{
    struct raft_message m = {
        .type = type,
        .from = 0xfedcba9876543210u,
        .to = 1,
        .term = 3,
        .index = 4,
        .log_term = 2,
        .commit = 6,
        .reject_hint = 7,
        .reject = true,
        .context = RAFT_CONTEXT_TRANSFER,
    };
    if (type == RAFT_SNAPSHOT || type == RAFT_STORAGE_APPENDED)
        m.snapshot = raft_snapshot_copy(&(struct raft_snapshot){
            .index = 8, .term = 2, .config = raft_config_of((uint64_t[]){1, 5, 900}, 3)});
    if (type == RAFT_APPEND) {
        m.entry_count = 3;
        m.entries = entries_of(3, 5, 3);
        m.entries[1].data = bytes_copy("hello", 5);
        m.entries[2].type = RAFT_ENTRY_CONFIG;
    }
    return m;
}

static void
assert_same(const struct raft_message *a, const struct raft_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->from, b->from);
    assert_int_equal(a->to, b->to);
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->log_term, b->log_term);
    assert_int_equal(a->commit, b->commit);
    assert_int_equal(a->reject_hint, b->reject_hint);
    assert_int_equal(a->reject, b->reject);
    assert_int_equal(a->context, b->context);
    assert_int_equal(a->snapshot != NULL, b->snapshot != NULL);
    if (a->snapshot)
        assert_memory_equal(a->snapshot, b->snapshot, sizeof(*a->snapshot));
    assert_int_equal(a->entry_count, b->entry_count);
    for (size_t i = 0; i < a->entry_count; i++) {
        const struct raft_entry *x = &a->entries[i];
        const struct raft_entry *y = &b->entries[i];
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->term, y->term);
        assert_int_equal(x->index, y->index);
        assert_int_equal(x->data.count, y->data.count);
        if (x->data.count)
            assert_memory_equal(x->data.data, y->data.data, x->data.count);
    }
}

static struct bytes
encoded(enum raft_message_type type)
{
    struct raft_message m = sample(type);
    struct wire_writer out = {0};
    raft_encode_message(&out, &m);
    struct bytes frame = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    raft_message_deinit(&m);
    return frame;
}

static void
test_roundtrip(void **state)
{
    for (int type = RAFT_APPEND; type < RAFT_MESSAGE_TYPE_END; type++) {
        struct bytes frame = encoded((enum raft_message_type)type);
        struct raft_message want = sample((enum raft_message_type)type);
        struct raft_message got;
        assert_int_equal(raft_decode_message(frame, &got), 0);
        assert_same(&want, &got);
        raft_message_deinit(&want);
        raft_message_deinit(&got);
        bytes_unref(&frame);
    }
}

static void
test_truncations(void **state)
{
    for (int type = RAFT_APPEND; type < RAFT_MESSAGE_TYPE_END; type++) {
        struct bytes frame = encoded((enum raft_message_type)type);
        for (size_t count = 0; count < frame.count; count++) {
            struct bytes part = bytes_copy(frame.data, count);
            struct raft_message got;
            assert_int_equal(raft_decode_message(part, &got), -SKEIN_EPROTO);
            assert_null(got.entries);
            bytes_unref(&part);
        }
        bytes_unref(&frame);
    }
}

static void
try_flipped(struct testnet *net, struct bytes frame, size_t at, uint8_t with)
{
    struct bytes_buf *buf = bytes_new(frame.count);
    memcpy(buf->data, frame.data, frame.count);
    buf->data[at] ^= with;
    struct bytes copy = bytes_of(buf, frame.count);
    struct raft_message got;
    if (raft_decode_message(copy, &got) == 0)
        (void)raft_step(net->nodes[1].raft, &got);
    bytes_unref(&copy);
}

static void
test_flips(void **state)
{
    for (int type = RAFT_APPEND; type < RAFT_MESSAGE_TYPE_END; type++) {
        struct bytes frame = encoded((enum raft_message_type)type);
        for (size_t at = 0; at < frame.count; at++) {
            struct testnet net;
            lead(&net, 3);
            for (uint32_t bit = 0; bit < 8; bit++)
                try_flipped(&net, frame, at, (uint8_t)(1u << bit));
            try_flipped(&net, frame, at, 0xff);
            testnet_deinit(&net);
        }
        bytes_unref(&frame);
    }
}

static void
test_huge_counts(void **state)
{
    struct raft_message m = sample(RAFT_APPEND);
    struct wire_writer out = {0};
    raft_encode_message(&out, &m);
    raft_message_deinit(&m);
    wire_store(out.data + 66, UINT32_MAX, 4); /* entry_count */
    struct bytes frame = bytes_copy(out.data, out.count);
    assert_int_equal(raft_decode_message(frame, &m), -SKEIN_EPROTO);
    bytes_unref(&frame);
    wire_writer_deinit(&out);
    struct wire_reader in = wire_reader_of("\xff\xff\xff\xff", 4);
    struct raft_config config;
    assert_int_equal(raft_decode_config(&in, &config), -SKEIN_EPROTO);
}

static void
test_config_change(void **state)
{
    struct raft_conf_change change = {
        .v1 = true, .changes = {{RAFT_CHANGE_REMOVE, 77}}, .change_count = 1};
    struct raft_conf_change got;
    struct wire_writer out = {0};
    raft_encode_conf_change(&out, &change);
    /* The bytes of Skein's first logs. */
    assert_int_equal(out.count, 9);
    assert_memory_equal(out.data, "\1\115\0\0\0\0\0\0\0", 9);
    struct bytes data = bytes_borrow(out.data, out.count);
    assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_CONFIG, data, &got), 0);
    assert_true(got.v1);
    assert_int_equal(got.changes[0].type, RAFT_CHANGE_REMOVE);
    assert_int_equal(got.changes[0].node, 77);
    assert_int_equal(got.context.count, 0);
    assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_NORMAL, data, &got), -SKEIN_EPROTO);
    out.data[0] = RAFT_CHANGE_TYPE_END;
    assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_CONFIG, data, &got), -SKEIN_EPROTO);
    assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_CONFIG, bytes_borrow(out.data, 8), &got),
                     -SKEIN_EPROTO);
    wire_writer_deinit(&out);
}

static void
test_config_change_v2(void **state)
{
    struct raft_conf_change got;
    assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_CONFIG_V2, (struct bytes){0}, &got), 0);
    assert_true(raft_conf_change_leaves(&got));
    struct raft_conf_change change = {
        .transition = RAFT_TRANSITION_JOINT_EXPLICIT,
        .changes = {{RAFT_CHANGE_ADD_LEARNER, 5}, {RAFT_CHANGE_REMOVE, UINT64_MAX}},
        .change_count = 2,
        .context = bytes_borrow("words", 5)};
    struct wire_writer out = {0};
    raft_encode_conf_change(&out, &change);
    struct bytes data = bytes_borrow(out.data, out.count);
    for (size_t cut = 1; cut + 5 < out.count; cut++)
        assert_int_equal(
            raft_decode_conf_change(RAFT_ENTRY_CONFIG_V2, bytes_borrow(out.data, cut), &got),
            -SKEIN_EPROTO);
    assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_CONFIG_V2, data, &got), 0);
    assert_false(got.v1);
    assert_int_equal(got.transition, RAFT_TRANSITION_JOINT_EXPLICIT);
    assert_int_equal(got.change_count, 2);
    assert_true(got.changes[1].node == UINT64_MAX);
    assert_int_equal(got.context.count, 5);
    assert_memory_equal(got.context.data, "words", 5);
    const uint8_t wrong[][2] = {{0, 2}, {1, RAFT_TRANSITION_END}, {3, 9}};
    for (size_t i = 0; i < 3; i++) { /* layout, transition, count */
        uint8_t right = out.data[wrong[i][0]];
        out.data[wrong[i][0]] = wrong[i][1];
        assert_int_equal(raft_decode_conf_change(RAFT_ENTRY_CONFIG_V2, data, &got), -SKEIN_EPROTO);
        out.data[wrong[i][0]] = right;
    }
    wire_writer_deinit(&out);
}

static void
test_config(void **state)
{
    struct raft_config config = raft_config_of((uint64_t[]){1, 5}, 2);
    struct raft_config got;
    struct wire_writer out = {0};
    raft_encode_config(&out, &config);
    assert_int_equal(out.count, 4 + 2 * 8); /* as older members write and read it */
    struct wire_reader in = wire_reader_of(out.data, out.count);
    assert_int_equal(raft_decode_config(&in, &got), 0);
    assert_true(raft_config_equal(&config, &got));
    out.count = 0;
    config.roles[0] = RAFT_OUTGOING | RAFT_LEARNER_NEXT;
    config.auto_leave = true;
    raft_encode_config(&out, &config);
    in = wire_reader_of(out.data, out.count);
    assert_int_equal(raft_decode_config(&in, &got), 0);
    assert_true(wire_done(&in));
    assert_true(raft_config_equal(&config, &got));
    for (size_t cut = 0; cut < out.count; cut++) {
        in = wire_reader_of(out.data, cut);
        assert_int_equal(raft_decode_config(&in, &got), -SKEIN_EPROTO);
    }
    out.data[out.count - 1] = RAFT_LEARNER | RAFT_VOTER;
    in = wire_reader_of(out.data, out.count);
    assert_int_equal(raft_decode_config(&in, &got), -SKEIN_EPROTO);
    wire_writer_deinit(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roundtrip),     cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_flips),         cmocka_unit_test(test_huge_counts),
        cmocka_unit_test(test_config_change), cmocka_unit_test(test_config_change_v2),
        cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests_name("raft codec", tests, NULL, NULL);
}
