/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: bytes that are no roster are refused, and a roster keeps its order and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replica/roster.h"
#include "skein/error.h"

static struct replica_peer
peer_of(uint32_t node)
{
    return (struct replica_peer){.node = node,
                                 .addr = {.ip = {[15] = 1}, .port = (uint16_t)(7100 + node)}};
}

static struct roster
make(uint32_t count)
{
    struct roster roster = {0};
    for (uint32_t i = count; i > 0; i--) {
        struct replica_peer peer = peer_of(i * 3);
        assert_true(roster_put(&roster, &peer));
    }
    return roster;
}

static void
test_bad_bytes(void **state)
{
    (void)state;
    struct roster roster = make(3), got;
    struct wire_writer out = {0};
    roster_encode(&out, &roster);
    for (size_t cut = 0; cut < out.count; cut++)
        assert_int_equal(roster_decode(bytes_borrow(out.data, cut), &got), -SKEIN_EPROTO);
    const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 2}, {1, 0}, {1, 2}, {1, 4}, {1, 255}, {2, 0}, {2, 6}, {4, 1}};
    for (size_t i = 0; i < BASE_COUNT_OF(wrong); i++) {
        uint8_t right = out.data[wrong[i].at];
        out.data[wrong[i].at] = wrong[i].value;
        assert_int_equal(roster_decode(bytes_borrow(out.data, out.count), &got), -SKEIN_EPROTO);
        out.data[wrong[i].at] = right;
    }
    assert_int_equal(roster_decode(bytes_borrow(out.data, out.count), &got), 0);
    assert_true(roster_equal(&roster, &got));
    wire_writer_deinit(&out);
}

static void
test_put_and_drop(void **state)
{
    (void)state;
    struct roster roster = make(REPLICA_NODES_MAX), same = roster;
    struct replica_peer peer = peer_of(1);
    struct wire_writer out = {0};
    assert_false(roster_put(&roster, &peer));
    assert_true(roster_equal(&roster, &same));
    roster_encode(&out, &roster);
    assert_true(out.count <= ROSTER_BYTES_MAX);
    wire_writer_deinit(&out);
    roster_drop(&roster, 1); /* was not in it */
    assert_true(roster_equal(&roster, &same));
    roster_drop(&roster, 9);
    assert_null(roster_find(&roster, 9));
    assert_true(roster_put(&roster, &peer));
    assert_int_equal(roster.peers[0].node, 1);
    for (uint32_t i = 1; i < roster.count; i++)
        assert_true(roster.peers[i - 1].node < roster.peers[i].node);
    peer.addr.port = 9;
    assert_true(roster_put(&roster, &peer)); /* another address */
    assert_int_equal(roster.count, REPLICA_NODES_MAX);
    assert_int_equal(roster_find(&roster, 1)->addr.port, 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_put_and_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
