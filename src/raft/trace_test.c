/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what the core does, message by message, is what tests/trace/raft_*.txt say, byte for byte.
 * SKEIN_TRACE_UPDATE=1 rewrites them: read the difference before it is committed. */
#include <stdio.h>
#include <string.h>

#include "raft/test_util.h"

static char *
path_of(const char *name)
{
    static char path[500];
    snprintf(path, sizeof(path), "%s/raft_%s.txt", RAFT_TRACE_DIR, name);
    return path;
}

static void
compare(const char *name, struct wire_writer *got)
{
    if (getenv("SKEIN_TRACE_UPDATE")) {
        FILE *file = fopen(path_of(name), "w");
        assert_non_null(file);
        assert_int_equal(fwrite(got->data, 1, got->count, file), got->count);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    size_t line = 1;
    for (size_t i = 0; i < got->count; i++) {
        int want = fgetc(file);
        if (want != got->data[i])
            fail_msg("raft_%s.txt differs at line %zu", name, line);
        line += want == '\n';
    }
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    wire_writer_deinit(got);
}

static void
begin(struct testnet *net, struct wire_writer *out, uint32_t count)
{
    testnet_init(net, count, count, 7);
    net->trace = out;
}

static void
finish(struct testnet *net, const char *name, struct wire_writer *out)
{
    net->trace = NULL;
    testnet_deinit(net);
    compare(name, out);
}

static void
test_election(void **state)
{
    struct testnet net;
    struct wire_writer out = {0};
    begin(&net, &out, 3);
    testnet_tick(&net, 20);
    finish(&net, "election", &out);
}

static void
test_conflict(void **state)
{
    static const uint64_t logs[3][7] = {{1, 1, 1, 4, 4, 6}, {1, 1, 1, 4}, {1, 1, 1, 2, 2, 3, 3}};
    static const size_t counts[3] = {6, 4, 7};
    struct testnet net;
    struct wire_writer out = {0};
    begin(&net, &out, 3);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_set_log(&net, id, logs[id - 1], counts[id - 1], 6);
    testnet_campaign(&net, 1);
    propose(&net, 1, "after the repair");
    finish(&net, "conflict", &out);
}

static void
test_read(void **state)
{
    struct testnet net;
    struct wire_writer out = {0};
    begin(&net, &out, 3);
    testnet_campaign(&net, 1);
    for (uint64_t context = 1; context <= 3; context++)
        assert_int_equal(raft_read_index(net.nodes[1].raft, context), 0);
    testnet_run(&net);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 4), 0);
    testnet_tick(&net, 21);
    finish(&net, "read", &out);
}

static void
test_snapshot(void **state)
{
    struct testnet net;
    struct wire_writer out = {0};
    begin(&net, &out, 3);
    testnet_campaign(&net, 1);
    testnet_isolate(&net, 3, true);
    for (uint32_t i = 0; i < 3; i++)
        propose(&net, 1, "x");
    testnet_compact(&net, 1, 1);
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 3);
    propose(&net, 1, "y");
    finish(&net, "snapshot", &out);
}

static void
test_transfer(void **state)
{
    struct testnet net;
    struct wire_writer out = {0};
    begin(&net, &out, 3);
    testnet_campaign(&net, 1);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 2), 0);
    testnet_run(&net);
    testnet_tick(&net, 1);
    finish(&net, "transfer", &out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_election), cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_read),     cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_transfer),
    };
    return cmocka_run_group_tests_name("raft trace", tests, NULL, NULL);
}
