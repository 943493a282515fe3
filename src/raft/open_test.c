/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a disk whose parts contradict each other is refused; everything else opens as it was left
 * (rows 5, 12, 16, 37). */
#include "raft/codec.h"
#include "raft/test_util.h"

static struct raft_options
disk(struct raft_entry *entries, size_t count)
{
    return (struct raft_options){
        .id = 1,
        .hard_state = {.term = 3, .commit = 2},
        .snapshot = {.config = {.ids = {1, 2, 3},
                                .roles = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER},
                                .count = 3}},
        .entries = entries,
        .entry_count = count,
    };
}

static int
try(const struct raft_options *options)
{
    struct raft *raft;
    int rc = raft_open(&raft, options);
    if (!rc)
        raft_close(raft);
    return rc;
}

static void
test_contradictions(void **state)
{
    struct raft_entry entries[] = {{1, 1, 0, {0}}, {1, 2, 0, {0}}, {2, 3, 0, {0}}};
    struct raft_options good = disk(entries, 3);
    assert_int_equal(try(&good), 0);
    struct raft_options o = good;
    o.id = 0;
    assert_int_equal(try(&o), -SKEIN_EINVALID);
    o = good;
    o.election_ticks = o.heartbeat_ticks = 5;
    assert_int_equal(try(&o), -SKEIN_EINVALID);
    o = good;
    o.snapshot.config.ids[1] = 1;
    assert_int_equal(try(&o), -SKEIN_EINVALID);
    o = good;
    o.hard_state.commit = 4; /* beyond the log */
    assert_int_equal(try(&o), -SKEIN_ECORRUPT);
    o = good;
    o.hard_state.term = 1; /* older than an entry */
    assert_int_equal(try(&o), -SKEIN_ECORRUPT);
    o = good;
    o.entries = entries + 1; /* a gap behind the snapshot */
    o.entry_count = 2;
    assert_int_equal(try(&o), -SKEIN_ECORRUPT);
    o = good;
    o.applied = 9;
    assert_int_equal(try(&o), -SKEIN_ECORRUPT);
    o = good;
    o.snapshot.index = o.applied = 2;
    o.snapshot.term = 2; /* the log says 1 */
    assert_int_equal(try(&o), -SKEIN_ECORRUPT);
    o = good;
    o.snapshot.config.count = 0;
    assert_int_equal(try(&o), -SKEIN_ECORRUPT);
    entries[2].term = 0;
    assert_int_equal(try(&good), -SKEIN_ECORRUPT);
    entries[2].term = 2;
    entries[1].term = 3; /* terms fall */
    assert_int_equal(try(&good), -SKEIN_ECORRUPT);
    entries[1].term = 1;
    entries[2].index = 4;
    assert_int_equal(try(&good), -SKEIN_ECORRUPT);
}

static void
test_overlaps(void **state)
{
    struct raft_entry entries[] = {{1, 4, 0, {0}}, {1, 5, 0, {0}}, {2, 6, 0, {0}}};
    for (uint64_t at = 3; at <= 7; at++) {
        struct raft_options o = disk(entries, 3);
        o.snapshot.index = o.applied = at;
        o.snapshot.term = at >= 6 ? 2 : 1;
        struct raft *raft;
        assert_int_equal(raft_open(&raft, &o), 0);
        struct raft_status s;
        raft_status(raft, &s);
        assert_int_equal(s.last_index, at > 6 ? at : 6);
        assert_int_equal(s.hard_state.commit, at);
        assert_int_equal(raft_entry_term(raft, at), o.snapshot.term);
        assert_false(raft_has_ready(raft));
        raft_close(raft);
    }
}

static void
test_applied_changes_are_in_force(void **state)
{
    struct wire_writer out = {0};
    raft_encode_conf_change(
        &out, &(struct raft_conf_change){.v1 = true, .changes = {{.node = 9}}, .change_count = 1});
    struct raft_entry entries[] = {{1, 1, RAFT_ENTRY_CONFIG, bytes_borrow(out.data, out.count)},
                                   {1, 2, 0, {0}}};
    for (uint64_t applied = 0; applied <= 1; applied++) {
        struct raft_options o = disk(entries, 2);
        o.applied = applied;
        struct raft *raft;
        assert_int_equal(raft_open(&raft, &o), 0);
        struct raft_status s;
        raft_status(raft, &s);
        assert_int_equal(s.config.count, 3 + applied);
        raft_close(raft);
    }
    wire_writer_deinit(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_applied_changes_are_in_force),
    };
    return cmocka_run_group_tests_name("raft open", tests, NULL, NULL);
}
