/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what would stop the cluster is refused, members come and go without a write lost, whoever
 * is removed stops itself, and an emptied disk comes back safely.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "obs/log.h"
#include "replica/members.h"
#include "replica/replica_test_cluster.h"
#include "replica/wish.h"
#include "skein/error.h"
#include "skein/shard.h"

#define MS_NS UINT64_C(1000000)

static struct replica *
replica_of(struct test_cluster *cluster, uint32_t node)
{
    return cluster->nodes[node - 1].replica;
}

static struct replica_change
change_of(struct test_cluster *cluster, enum replica_change_kind kind, uint32_t count,
          const uint32_t *nodes)
{
    struct replica_change change = {.kind = kind, .peer_count = count};
    for (uint32_t i = 0; i < count; i++)
        change.peers[i] = nodes[i] <= cluster->count ? cluster->peers[nodes[i] - 1]
                                                     : (struct replica_peer){.node = nodes[i]};
    return change;
}

#define NODES(...)                                                                 \
    sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[]) \
    {                                                                              \
        __VA_ARGS__                                                                \
    }

/* Whether it is done; false: it has to be begun again with the next leader. */
static bool
await(struct replica *replica, uint64_t id)
{
    struct replica_change_status status = {0};
    uint64_t deadline_ns = skein_deadline_in(20000 * MS_NS);
    do {
        if (skein_now_ns() >= deadline_ns)
            fprintf(stderr, "change does not end: %s\n", status.note);
        skein_assert(skein_now_ns() < deadline_ns);
        skein_assert(skein_sleep(skein_deadline_in(5 * MS_NS)) == 0);
        replica_change_status(replica, &status);
        skein_assert(status.id == id);
    } while (status.state == REPLICA_CHANGE_RUNNING);
    if (status.state != REPLICA_CHANGE_DONE && status.failure != -SKEIN_ENOTLEADER)
        fprintf(stderr, "change failed: %s\n", status.note);
    skein_assert(status.state == REPLICA_CHANGE_DONE || status.failure == -SKEIN_ENOTLEADER);
    return status.state == REPLICA_CHANGE_DONE;
}

static void
carry_out(struct test_cluster *cluster, enum replica_change_kind kind, uint32_t count,
          const uint32_t *nodes)
{
    struct replica_change change = change_of(cluster, kind, count, nodes);
    uint64_t deadline_ns = skein_deadline_in(20000 * MS_NS);
    for (bool done = false, again = false; !done; again = true) {
        char why[512] = "";
        uint64_t id;
        skein_assert(skein_now_ns() < deadline_ns);
        struct replica *leader = replica_of(cluster, test_leader(cluster));
        int rc = replica_change_begin(leader, &change, &id, why);
        if (rc == -SKEIN_ENOTFOUND && again)
            return; /* the leader before carried it out */
        if (rc == 0)
            done = await(leader, id);
        else if (rc != -SKEIN_ENOTLEADER && rc != -SKEIN_EBUSY)
            fprintf(stderr, "refused: %s\n", why);
        skein_assert(rc == 0 || rc == -SKEIN_ENOTLEADER || rc == -SKEIN_EBUSY);
        skein_assert(skein_sleep(skein_deadline_in(10 * MS_NS)) == 0);
    }
}

static int
refused(struct test_cluster *cluster, enum replica_change_kind kind, const char *why_part,
        uint32_t count, const uint32_t *nodes)
{
    struct replica_change change = change_of(cluster, kind, count, nodes);
    char why[512] = "";
    uint64_t id;
    struct replica *leader = replica_of(cluster, test_leader(cluster));
    int rc = replica_change_begin(leader, &change, &id, why);
    if (!strstr(why, why_part))
        fprintf(stderr, "\"%s\" lacks \"%s\"\n", why, why_part);
    skein_assert(strstr(why, why_part) != NULL);
    return rc;
}

static void
write_some(struct test_cluster *cluster, uint32_t node, uint32_t from, uint32_t to)
{
    for (uint32_t id = from; id < to; id++)
        skein_assert(test_write(cluster, node, id) == 0);
}

static bool
is_removed(struct test_cluster *cluster, uint64_t node)
{
    char why[512];
    int rc = replica_failure(replica_of(cluster, (uint32_t)node), why);
    skein_assert(rc == 0 || rc == -SKEIN_EREMOVED);
    return rc != 0;
}

static uint32_t
voters_of(struct test_cluster *cluster, uint32_t node)
{
    struct raft_config config = test_status(cluster, node).raft.config;
    skein_assert(!raft_config_joint(&config));
    uint32_t voters = 0;
    for (uint32_t i = 0; i < config.count; i++)
        if (config.roles[i] == RAFT_VOTER)
            voters |= 1u << replica_raft_node(config.ids[i]);
    return voters;
}

static void
start_founders(struct test_cluster *cluster, uint32_t count)
{
    char why[512];
    cluster->founder_count = count;
    for (uint32_t node = 1; node <= count; node++)
        skein_assert(test_start(cluster, node, why) == 0);
    test_leader(cluster);
}

static void
start(struct test_cluster *cluster, uint32_t node)
{
    char why[512] = "";
    int rc = test_start(cluster, node, why);
    if (rc < 0)
        fprintf(stderr, "node %u: %s\n", node, why);
    skein_assert(rc == 0);
}

static void
refusals(struct test_cluster *cluster)
{
    start_founders(cluster, 3);
    uint32_t leader = test_leader(cluster);
    struct replica_change add = change_of(cluster, REPLICA_ADD, NODES(4));
    char why[512];
    uint64_t id;
    skein_assert(replica_change_begin(replica_of(cluster, leader % 3 + 1), &add, &id, why) ==
                 -SKEIN_ENOTLEADER);
    skein_assert(refused(cluster, REPLICA_REMOVE, "node 9 is no member", NODES(9)) ==
                 -SKEIN_ENOTFOUND);
    skein_assert(refused(cluster, REPLICA_PROMOTE, "no member", NODES(4)) == -SKEIN_ENOTFOUND);
    skein_assert(refused(cluster, REPLICA_ADD, "needs an address", NODES(77)) == -SKEIN_EINVALID);
    skein_assert(refused(cluster, REPLICA_REMOVE, "no voter", NODES(1, 2, 3)) == -SKEIN_EINVALID);
    skein_assert(refused(cluster, REPLICA_REMOVE, "not that many", 0, NULL) == -SKEIN_EINVALID);
    skein_assert(refused(cluster, REPLICA_REPLACE, "not that many", NODES(1)) == -SKEIN_EINVALID);
    skein_assert(refused(cluster, REPLICA_ADD, "no node's number", NODES(70000)) ==
                 -SKEIN_EINVALID);
    add.peers[0].addr = cluster->peers[0].addr;
    skein_assert(replica_change_begin(replica_of(cluster, leader), &add, &id, why) ==
                 -SKEIN_EINVALID);
    skein_assert(replica_transfer(replica_of(cluster, leader), 9, why) == -SKEIN_EINVALID);
    skein_assert(replica_transfer(replica_of(cluster, leader), leader, why) == -SKEIN_EINVALID);

    /* Nobody will come: the one that waits keeps others out. */
    add = change_of(cluster, REPLICA_ADD, NODES(4));
    skein_assert(replica_change_begin(replica_of(cluster, leader), &add, &id, why) == 0);
    skein_assert(refused(cluster, REPLICA_REMOVE, "under way", NODES(3)) == -SKEIN_EBUSY);
}

static bool
went_silent(struct test_cluster *cluster, uint64_t node)
{
    struct replica_member members[RAFT_MEMBERS_MAX];
    uint32_t count = replica_members(replica_of(cluster, test_leader(cluster)), members);
    for (uint32_t i = 0; i < count; i++)
        if (members[i].node == node)
            return !members[i].answers;
    return false;
}

/* A majority of those who stay has to answer; forced, it stands still until it does. */
static void
silent_majority(struct test_cluster *cluster)
{
    start_founders(cluster, 3);
    uint32_t leader = test_leader(cluster), gone = leader % 3 + 1, other = gone % 3 + 1;
    write_some(cluster, leader, 0, 5);
    test_cut(cluster, gone);
    test_wait(cluster, went_silent, gone);
    char part[64];
    snprintf(part, sizeof part, "silent: node %u", gone);
    skein_assert(refused(cluster, REPLICA_REMOVE, part, NODES(other)) == -SKEIN_EREFUSED);
    skein_assert(refused(cluster, REPLICA_DEMOTE, part, NODES(other)) == -SKEIN_EREFUSED);
    struct replica_change change = change_of(cluster, REPLICA_REMOVE, NODES(other));
    char why[512];
    uint64_t id;
    change.force = true;
    skein_assert(replica_change_begin(replica_of(cluster, leader), &change, &id, why) == 0);
    test_wait(cluster, is_removed, other);
    test_cut(cluster, other);
    start(cluster, gone);
    write_some(cluster, gone, 5, 10);
    test_expect_once(cluster, leader, 0, 10);
    skein_assert(voters_of(cluster, leader) == (1u << leader | 1u << gone));
    /* The silent one itself may go. */
    test_cut(cluster, gone);
    skein_assert(replica_of(cluster, leader));
}

static void
grow_and_shrink(struct test_cluster *cluster)
{
    cluster->checkpoint_log_bytes = 20000;
    start_founders(cluster, 3);
    write_some(cluster, 1, 0, 200);
    start(cluster, 4);
    start(cluster, 5);
    carry_out(cluster, REPLICA_ADD, NODES(4));
    write_some(cluster, 4, 200, 250);
    carry_out(cluster, REPLICA_ADD, NODES(4)); /* is done already */
    carry_out(cluster, REPLICA_ADD_LEARNER, NODES(5));
    test_expect_once(cluster, 5, 0, 250);
    uint32_t leader = test_leader(cluster);
    skein_assert(voters_of(cluster, leader) == (1 << 1 | 1 << 2 | 1 << 3 | 1 << 4));
    carry_out(cluster, REPLICA_PROMOTE, NODES(5));
    /* Whoever leads goes, twice, and then a third one. */
    for (uint32_t i = 0; i < 2; i++) {
        leader = test_leader(cluster);
        carry_out(cluster, REPLICA_REMOVE, NODES(leader));
        test_wait(cluster, is_removed, leader);
        test_cut(cluster, leader);
        write_some(cluster, test_leader(cluster), 250 + 10 * i, 260 + 10 * i);
    }
    leader = test_leader(cluster);
    test_expect_once(cluster, leader, 0, 270);
    skein_assert(__builtin_popcount(voters_of(cluster, leader)) == 3);
    /* The lists that nodes were started with are old; the roster counts, also after a restart. */
    for (uint32_t node = 1; node <= 5; node++)
        if (replica_of(cluster, node))
            test_stop(cluster, node);
    for (uint32_t node = 1; node <= 5; node++)
        start(cluster, node);
    uint32_t removed = 0;
    leader = test_leader(cluster);
    write_some(cluster, leader, 270, 280);
    for (uint32_t node = 1; node <= 5; node++)
        if (!(voters_of(cluster, leader) >> node & 1)) {
            test_wait(cluster, is_removed, node);
            removed++;
        } else {
            test_expect_once(cluster, node, 0, 280);
        }
    skein_assert(removed == 2);
}

static void
whole_set_at_once(struct test_cluster *cluster)
{
    start_founders(cluster, 3);
    write_some(cluster, 1, 0, 50);
    for (uint32_t node = 4; node <= 6; node++)
        start(cluster, node);
    carry_out(cluster, REPLICA_SET, NODES(4, 5, 6));
    for (uint32_t node = 1; node <= 3; node++) {
        test_wait(cluster, is_removed, node);
        test_cut(cluster, node);
    }
    uint32_t leader = test_leader(cluster);
    skein_assert(leader >= 4);
    skein_assert(voters_of(cluster, leader) == (1 << 4 | 1 << 5 | 1 << 6));
    test_expect_once(cluster, 5, 0, 50);
    carry_out(cluster, REPLICA_DEMOTE, NODES(leader));
    skein_assert(test_leader(cluster) != leader);
    write_some(cluster, leader, 50, 60); /* a learner hands on */
    carry_out(cluster, REPLICA_PROMOTE, NODES(leader));
    test_expect_once(cluster, leader, 0, 60);
}

static bool
rules(struct test_cluster *cluster, uint64_t node)
{
    return test_leader(cluster) == node;
}

static void
replaced_and_emptied(struct test_cluster *cluster)
{
    start_founders(cluster, 3);
    write_some(cluster, 1, 0, 20);
    char why[512];
    uint32_t leader = test_leader(cluster), away = leader % 3 + 1, heir = away % 3 + 1;
    skein_assert(replica_transfer(replica_of(cluster, leader), heir, why) == 0);
    test_wait(cluster, rules, heir);
    /* It is away when it is replaced, and learns of it from the others' refusal. */
    test_stop(cluster, away);
    start(cluster, 4);
    carry_out(cluster, REPLICA_REPLACE, NODES(away, 4));
    write_some(cluster, 4, 20, 40);
    start(cluster, away);
    test_wait(cluster, is_removed, away);
    test_cut(cluster, away);
    /* As it is it does not come back; emptied and added it does. */
    test_empty(cluster, away);
    start(cluster, away);
    carry_out(cluster, REPLICA_ADD, NODES(away));
    test_expect_once(cluster, away, 0, 40);
    /* A member's emptied disk is taken in again by itself. */
    test_stop(cluster, 4);
    test_empty(cluster, 4);
    start(cluster, 4);
    test_expect_once(cluster, 4, 0, 40);
    skein_assert(__builtin_popcount(voters_of(cluster, test_leader(cluster))) == 4);
}

static bool
says_lost(struct test_cluster *cluster, uint64_t id)
{
    for (uint32_t node = 1; node <= 3; node++) {
        struct replica_change_status status;
        if (!replica_of(cluster, node))
            continue;
        replica_change_status(replica_of(cluster, node), &status);
        if (status.id != id || status.state != REPLICA_CHANGE_FAILED ||
            status.failure != -SKEIN_ENOTLEADER || !strstr(status.note, "lost leadership"))
            return false;
    }
    return true;
}

static bool
heard_of(struct test_cluster *cluster, uint64_t id)
{
    for (uint32_t node = 1; node <= 3; node++) {
        struct replica_change_status status;
        replica_change_status(replica_of(cluster, node), &status);
        if (status.id != id || status.state != REPLICA_CHANGE_RUNNING)
            return false;
    }
    return true;
}

/* What a former leader says late of its change does not hide a later one; the next leader's does.
 */
static void
heard_late(struct test_cluster *cluster, uint32_t from)
{
    struct replica *replica = replica_of(cluster, test_leader(cluster));
    struct replica_change_status status;
    uint64_t id = replica->change.status.id, term = replica->change.term;
    for (uint64_t later = 0; later < 2; later++) {
        struct wire_writer out = {0};
        struct envelope_wish wish = {.term = term - 1 + 2 * later,
                                     .id = id + 2,
                                     .state = REPLICA_CHANGE_FAILED,
                                     .failure = -SKEIN_EINVALID};
        memcpy(wish.cluster, replica->host->identity.map.cluster, sizeof wish.cluster);
        envelope_put_wish(&out, &wish);
        wish_on_message(replica->host, from, bytes_borrow(out.data, out.count));
        wire_writer_deinit(&out);
        replica_change_status(replica, &status);
        skein_assert(status.id == id + 2 * later);
    }
    skein_assert(status.state == REPLICA_CHANGE_FAILED && status.failure == -SKEIN_EINVALID);
}

/* A change whose leader dies is not just gone: whoever is asked says so, until another is begun. */
static void
lost_with_its_leader(struct test_cluster *cluster)
{
    struct replica_change_status status;
    char why[512];
    uint64_t id;
    cluster->founder_count = 3;
    for (uint32_t node = 1; node <= 3; node++)
        start(cluster, node);
    uint32_t first = test_leader(cluster);
    struct replica_change change = change_of(cluster, REPLICA_ADD, NODES(4));
    uint64_t deadline_ns = skein_deadline_in(20000 * MS_NS);
    int rc;
    while ((rc = replica_change_begin(replica_of(cluster, first), &change, &id, why)) ==
               -SKEIN_EBUSY &&
           skein_now_ns() < deadline_ns)
        skein_assert(skein_sleep(skein_deadline_in(5 * MS_NS)) == 0);
    skein_assert(rc == 0);
    test_wait(cluster, heard_of, id);
    test_cut(cluster, first);
    test_wait(cluster, says_lost, id);
    start(cluster, 4);
    carry_out(cluster, REPLICA_ADD, NODES(4));
    replica_change_status(replica_of(cluster, test_leader(cluster)), &status);
    skein_assert(status.id != id && status.state == REPLICA_CHANGE_DONE);
    heard_late(cluster, first);
}

#define CASE(name, count)                 \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(count, name);            \
    }
CASE(refusals, 4)
CASE(silent_majority, 3)
CASE(grow_and_shrink, 5)
CASE(whole_set_at_once, 6)
CASE(replaced_and_emptied, 4)
CASE(lost_with_its_leader, 4)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_silent_majority),
        cmocka_unit_test(test_grow_and_shrink),
        cmocka_unit_test(test_whole_set_at_once),
        cmocka_unit_test(test_replaced_and_emptied),
        cmocka_unit_test(test_lost_with_its_leader),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
