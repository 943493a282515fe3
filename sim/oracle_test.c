/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: an oracle says what must not be, and nothing else: a leader lacks an entry only when that
 * was committed in a term before its own, whatever the entry's own term is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sim/oracle.h"

#define INDEX 422
#define ENTRY_TERM 20

struct scene {
    struct sim_cluster cluster;
    struct oracle_group known;
    struct replica replica;
    struct oracle_view view;
};

/* Node 1 begins to lead in @term with an empty log; another one, in term @seen_in, has applied an
 * entry of ENTRY_TERM. */
static enum sim_verdict
leads_without(uint64_t term, uint64_t seen_in)
{
    struct scene *scene = mem_zalloc(sizeof(*scene));
    struct raft_options options = {.id = 1, .seed = 1};
    struct oracle_view *view = &scene->view;
    sim_trace_init(&scene->cluster.world.trace, &scene->cluster.world.now_ns, NULL);
    assert_int_equal(raft_open(&scene->replica.raft, &options), 0);
    *oracle_seen_at(&scene->known, INDEX) =
        (struct seen){.node = 2, .term = ENTRY_TERM, .within_term = seen_in};
    view->cluster = &scene->cluster;
    view->known = &scene->known;
    view->number = 1;
    view->replica = &scene->replica;
    raft_status(scene->replica.raft, &view->status);
    view->status.role = RAFT_LEADER;
    view->status.hard_state.term = term;
    oracle_completeness(view);
    enum sim_verdict verdict = scene->cluster.verdict;
    raft_close(scene->replica.raft);
    mem_free(scene->known.applied);
    mem_free(scene);
    return verdict;
}

/* As in seed 4807 of three nodes: elected for term 21, its votes came when term 22 had committed
 * what term 20 had left behind. */
static void
a_late_leader_may_lack_what_came_after_its_election(void **state)
{
    assert_int_equal(leads_without(21, 22), SIM_PASSED);
    assert_int_equal(leads_without(22, 22), SIM_PASSED);
}

static void
a_leader_has_what_was_committed_before(void **state)
{
    assert_int_equal(leads_without(23, 22), SIM_SAFETY);
    assert_int_equal(leads_without(21, ENTRY_TERM), SIM_SAFETY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_leader_may_lack_what_came_after_its_election),
        cmocka_unit_test(a_leader_has_what_was_committed_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
