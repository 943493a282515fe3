/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a disk that is left becomes a cluster that holds all it held, wherever the recovery is cut
 * off; and who was left behind ends itself.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "replica/members.h"
#include "replica/replica_test_cluster.h"
#include "replica/rescue.h"
#include "skein/error.h"
#include "skein/shard.h"

#define IDS 40u

static int
rescue(struct test_cluster *cluster, uint32_t node, bool confirmed, uint32_t steps_max,
       struct rescue_report *out_report, char out_why[512])
{
    const struct rescue_options options = {.data_dir = cluster->nodes[node - 1].dir,
                                           .machine_ops = &test_machine_ops,
                                           .machine_config = cluster,
                                           .confirmed = confirmed,
                                           .steps_max = steps_max};
    return rescue_run(&options, out_report, out_why);
}

static void
write_ids(struct test_cluster *cluster, uint32_t first, uint32_t count)
{
    for (uint32_t id = first; id < first + count; id++)
        skein_assert(test_write(cluster, test_leader(cluster), id) == 0);
}

static void
expect_ids(struct test_cluster *cluster, uint32_t node, uint32_t count)
{
    for (uint32_t id = 1; id <= count; id++) {
        uint64_t times = 0;
        skein_assert(test_read(cluster, node, id, &times) == 0);
        skein_assert(times == 1);
    }
}

static bool
all_have_applied(struct test_cluster *cluster, uint64_t count)
{
    for (uint32_t node = 1; node <= cluster->count; node++)
        for (uint32_t id = 1; id <= count; id++)
            if (test_machine(cluster, node)->seen[id] != 1)
                return false;
    return true;
}

static void
copy(const char *from, const char *to)
{
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    skein_assert(system(command) == 0);
}

static void
holds_what_it_says(struct test_cluster *cluster)
{
    struct rescue_report report;
    char why[512] = "";
    skein_assert(rescue(cluster, 1, false, 0, &report, why) == -ENOENT);
    skein_assert(strstr(why, cluster->nodes[0].dir) != NULL);
    test_start_all(cluster);
    write_ids(cluster, 1, IDS);
    skein_assert(rescue(cluster, 1, false, 0, &report, why) == -SKEIN_EBUSY);
    test_wait(cluster, all_have_applied, IDS);
    uint64_t commit = test_status(cluster, 2).raft.hard_state.commit;
    test_stop_all(cluster);

    skein_assert(rescue(cluster, 2, false, 0, &report, why) == 0);
    skein_assert(report.node == 2 && report.group_count == 1 && report.damage[0] == '\0');
    skein_assert(report.groups[0].last_index >= commit);
    skein_assert(report.groups[0].last_term > 0 && report.groups[0].promised_index == 0);
    skein_assert(raft_config_count(&report.config, RAFT_VOTER) == 3);
    rescue_report_deinit(&report);
    /* Looking has changed nothing. */
    test_start_all(cluster);
    expect_ids(cluster, test_leader(cluster), IDS);
    test_stop_all(cluster);
}

/* Each cut is made on a copy of the same directory, and then once more on what that left. */
static void
cut_off_anywhere(struct test_cluster *cluster)
{
    struct rescue_report report;
    char why[512], kept[300];
    bool whole = false;
    cluster->group_count = 2;
    test_start_all(cluster);
    write_ids(cluster, 1, IDS);
    test_wait(cluster, all_have_applied, IDS);
    test_stop_all(cluster);
    snprintf(kept, sizeof kept, "%s.kept", cluster->nodes[2].dir);
    copy(cluster->nodes[2].dir, kept);
    uint32_t cuts = 0;
    for (uint32_t steps = 1; !whole; steps++) {
        copy(kept, cluster->nodes[2].dir);
        int rc = rescue(cluster, 3, true, steps, &report, why);
        rescue_report_deinit(&report);
        whole = rc == 0;
        skein_assert(whole || rc == -SKEIN_ECANCELED);
        if (!whole) {
            cuts++;
            skein_assert(test_start(cluster, 3, why) == -SKEIN_EIDENTITY);
            skein_assert(strstr(why, "skein cluster recover") != NULL);
            rc = rescue(cluster, 3, true, 1, &report, why);
            skein_assert(rc == 0 || rc == -SKEIN_ECANCELED);
            if (rc < 0) {
                skein_assert(rescue(cluster, 3, true, 0, &report, why) == 0);
                skein_assert(report.finished);
            }
        }
        skein_assert(test_start(cluster, 3, why) == 0);
        skein_assert(test_leader(cluster) == 3);
        expect_ids(cluster, 3, IDS);
        write_ids(cluster, IDS + 1, 1);
        expect_ids(cluster, 3, IDS + 1);
        test_stop(cluster, 3);
    }
    skein_assert(cuts >= 6);
    /* A second disaster. */
    skein_assert(rescue(cluster, 3, true, 0, &report, why) == 0);
    skein_assert(raft_config_count(&report.config, RAFT_VOTER) == 1);
    rescue_report_deinit(&report);
    skein_assert(test_start(cluster, 3, why) == 0);
    expect_ids(cluster, 3, IDS + 1);
    test_stop(cluster, 3);
    copy(kept, cluster->nodes[2].dir); /* the directory beside goes with the root */
}

static bool
has_ended(struct test_cluster *cluster, uint64_t node)
{
    char why[512];
    int rc = replica_failure(cluster->nodes[node - 1].replica, why);
    skein_assert(rc == 0 || rc == -SKEIN_EREMOVED);
    skein_assert(rc == 0 || strstr(why, "was left behind") != NULL);
    return rc < 0;
}

static bool
is_voter(struct test_cluster *cluster, uint64_t node)
{
    struct replica_member members[RAFT_MEMBERS_MAX];
    uint32_t count = replica_members(cluster->nodes[0].replica, members);
    for (uint32_t i = 0; i < count; i++)
        if (members[i].node == node && members[i].roles == RAFT_VOTER)
            return true;
    return false;
}

static void
left_behind(struct test_cluster *cluster)
{
    struct rescue_report report;
    char why[512];
    uint64_t id;
    test_start_all(cluster);
    write_ids(cluster, 1, IDS);
    test_wait(cluster, all_have_applied, IDS);
    test_stop_all(cluster);
    skein_assert(rescue(cluster, 1, true, 0, &report, why) == 0);
    rescue_report_deinit(&report);
    skein_assert(test_start(cluster, 1, why) == 0);
    expect_ids(cluster, 1, IDS);
    /* One alone is told; an emptied one is let in when it is added, and not before. */
    skein_assert(test_start(cluster, 2, why) == 0);
    test_wait(cluster, has_ended, 2);
    test_stop(cluster, 2);
    test_empty(cluster, 2);
    skein_assert(test_start(cluster, 2, why) == 0);
    skein_assert(skein_sleep(skein_deadline_in(UINT64_C(1500000000))) == 0);
    skein_assert(!is_voter(cluster, 2));
    struct replica_change change = {
        .kind = REPLICA_ADD, .peers = {cluster->peers[1]}, .peer_count = 1};
    int rc = replica_change_begin(cluster->nodes[0].replica, &change, &id, why);
    if (rc < 0)
        fprintf(stderr, "add: %s\n", why);
    skein_assert(rc == 0);
    test_wait(cluster, is_voter, 2);
    expect_ids(cluster, 2, IDS);
    write_ids(cluster, IDS + 1, 1);
    /* The one that is still away has no part in it. */
    skein_assert(test_start(cluster, 3, why) == 0);
    test_wait(cluster, has_ended, 3);
    test_stop(cluster, 3);
    expect_ids(cluster, 1, IDS + 1);
}

#define CASE(name, count)                 \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(count, name);            \
    }
CASE(holds_what_it_says, 3)
CASE(cut_off_anywhere, 3)
CASE(left_behind, 3)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_it_says),
        cmocka_unit_test(test_cut_off_anywhere),
        cmocka_unit_test(test_left_behind),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
