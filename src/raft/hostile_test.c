/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever members send, in whatever order, and however slow the disk is: no assertion fails,
 * and what is committed stays. Messages are drawn so that they look right. */
#include "raft/confchange.h"
#include "raft/test_util.h"

#define STEPS 600
#define WRITES_MAX 16

struct victim {
    struct raft *raft;
    struct raft_options options;
    struct raft_ready writes[WRITES_MAX]; /* not durable yet, the oldest first */
    size_t write_count;
    uint64_t commit;
    uint64_t commit_term;
    struct prng prng;
};

static uint64_t
draw(struct victim *v, uint64_t limit)
{
    return prng_below(&v->prng, limit);
}

static struct raft_config
draw_config(struct victim *v)
{
    static const uint8_t roles[] = {RAFT_VOTER,
                                    RAFT_VOTER,
                                    RAFT_LEARNER,
                                    RAFT_VOTER | RAFT_OUTGOING,
                                    RAFT_OUTGOING | RAFT_LEARNER_NEXT,
                                    RAFT_VOTER | RAFT_WITNESS};
    struct raft_config config = {.count = 1 + (uint32_t)draw(v, 5)};
    for (uint32_t i = 0; i < config.count; i++) {
        config.ids[i] = i + 1 + (config.count < 3 ? draw(v, 2) * 3 : 0);
        config.roles[i] = roles[draw(v, 6)];
        if (i && config.ids[i] <= config.ids[i - 1])
            config.ids[i] = config.ids[i - 1] + 1;
    }
    config.auto_leave = draw(v, 2);
    return config;
}

static void
draw_entries(struct victim *v, struct raft_message *m)
{
    size_t count = (size_t)draw(v, 4);
    bool proposal = m->type == RAFT_PROPOSE;
    m->entries =
        entries_of(count + proposal, proposal ? 0 : m->index + 1, proposal ? 0 : m->log_term);
    m->entry_count = count + proposal;
    uint64_t term = m->log_term ? m->log_term : 1;
    for (size_t i = 0; i < m->entry_count; i++) {
        struct raft_entry *e = &m->entries[i];
        e->type = draw(v, 8) ? RAFT_ENTRY_NORMAL : (enum raft_entry_type)draw(v, 4);
        if (draw(v, 3) == 0)
            e->data = bytes_copy("\0\0\0\0\0\0\0\0\0", 1 + draw(v, 9));
        if (proposal) {
            e->index = e->term = 0;
            continue;
        }
        term += draw(v, 5) == 0 && term < m->term;
        e->term = term;
    }
}

static struct raft_message
draw_message(struct victim *v)
{
    static const uint64_t contexts[] = {0,
                                        0,
                                        1,
                                        2,
                                        RAFT_CONTEXT_TRANSFER,
                                        RAFT_CONTEXT_NEEDS_SNAPSHOT,
                                        RAFT_CONTEXT_SHORTER,
                                        RAFT_CONTEXT_SLEEP};
    uint64_t now = raft_term(v->raft);
    struct raft_message m = {.type = (enum raft_message_type)(1 + draw(v, RAFT_MESSAGE_TYPE_END)),
                             .from = 1 + draw(v, 6),
                             .to = 1,
                             .term = now + draw(v, 12) / 10 - (now > 1 && draw(v, 8) == 0),
                             .index = draw(v, 14),
                             .commit = draw(v, 14),
                             .reject_hint = draw(v, 14),
                             .reject = draw(v, 3) == 0,
                             .context = contexts[draw(v, 8)]};
    m.term += m.type == RAFT_PRE_VOTE;
    m.log_term = m.index && m.term ? 1 + draw(v, m.term) : 0;
    if (draw(v, 2) && raft_entry_term(v->raft, m.index))
        m.log_term = raft_entry_term(v->raft, m.index);
    if (m.type == RAFT_PROPOSE || m.type == RAFT_READ_INDEX)
        m.term = 0;
    if (m.type == RAFT_APPEND || m.type == RAFT_PROPOSE)
        draw_entries(v, &m);
    if (m.type == RAFT_SNAPSHOT)
        m.snapshot =
            raft_snapshot_copy(&(struct raft_snapshot){.index = 1 + draw(v, 14),
                                                       .term = 1 + draw(v, m.term ? m.term : 1),
                                                       .config = draw_config(v)});
    return m;
}

static void
end_write(struct victim *v)
{
    struct raft_ready ready = v->writes[0];
    v->write_count--;
    memmove(v->writes, v->writes + 1, v->write_count * sizeof ready);
    for (size_t i = 0; i < ready.response_count; i++)
        if (ready.responses[i].to == 1)
            (void)raft_step(v->raft, &ready.responses[i]);
    raft_ready_deinit(&ready);
}

static void
take_ready(struct victim *v)
{
    if (!raft_has_ready(v->raft))
        return;
    if (v->write_count == WRITES_MAX)
        end_write(v);
    struct raft_ready ready;
    raft_take_ready(v->raft, &ready);
    for (size_t i = 0; i < ready.apply_count; i++) {
        if (raft_entry_is_config(ready.apply[i].type))
            (void)raft_apply_config(v->raft, &ready.apply[i]);
        raft_applied(v->raft, ready.apply[i].index);
    }
    v->writes[v->write_count++] = ready;
}

static void
ask(struct victim *v)
{
    uint64_t index, term;
    struct raft_status status;
    raft_status(v->raft, &status);
    struct raft_conf_change change = {.changes = {{(enum raft_change_type)draw(v, 5), draw(v, 8)}},
                                      .transition = (enum raft_transition)draw(v, 3),
                                      .change_count = (uint32_t)draw(v, 2)};
    struct raft_snapshot snapshot = {.index = status.applied,
                                     .term = raft_entry_term(v->raft, status.applied),
                                     .config = status.config};
    switch (draw(v, 9)) {
    case 0:
        raft_campaign(v->raft);
        break;
    case 1:
        (void)!raft_propose(v->raft, bytes_borrow("x", 1), &index, &term);
        break;
    case 2:
        (void)!raft_propose_config(v->raft, &change, &index, &term);
        break;
    case 3:
        (void)!raft_read_index(v->raft, draw(v, 5));
        break;
    case 4:
        (void)!raft_transfer(v->raft, draw(v, 7));
        break;
    case 5:
        raft_report_unreachable(v->raft, draw(v, 7));
        raft_report_snapshot(v->raft, draw(v, 7), draw(v, 2));
        break;
    case 6:
        if (snapshot.index && snapshot.term)
            raft_compact(v->raft, &snapshot, snapshot.index + 1 - draw(v, 2));
        break;
    case 7:
        raft_forget_leader(v->raft);
        raft_wake(v->raft);
        break;
    case 8:
        raft_clock(v->raft, draw(v, 1000000));
        (void)!raft_read_lease(v->raft, draw(v, 1000000), &index);
        break;
    }
}

static void
check(struct victim *v)
{
    struct raft_status status;
    raft_status(v->raft, &status);
    assert_true(status.hard_state.commit >= v->commit);
    assert_true(status.hard_state.commit <= status.last_index);
    assert_true(status.applied <= status.hard_state.commit);
    uint64_t still = raft_entry_term(v->raft, v->commit);
    if (still && v->commit >= status.first_index)
        assert_int_equal(still, v->commit_term);
    v->commit = status.hard_state.commit;
    v->commit_term = raft_entry_term(v->raft, v->commit);
}

static void
attack(uint64_t seed)
{
    struct victim v = {0};
    prng_init(&v.prng, seed);
    v.options = (struct raft_options){.id = 1,
                                      .seed = seed,
                                      .election_ticks = 4,
                                      .inflight_count_max = 2,
                                      .apply_bytes_max = 100,
                                      .uncommitted_bytes_max = 400,
                                      .read_count_max = 5,
                                      .check_quorum = seed & 1,
                                      .pre_vote = seed & 2,
                                      .etcd_rules = seed & 4,
                                      .eager_sends = seed & 8,
                                      .forward_proposals = seed & 16,
                                      .step_down_on_removal = seed & 32};
    if (v.options.check_quorum)
        v.options.lease_ns = (seed & 64) * 1000;
    v.options.quiesce_ticks = seed & 128 ? 2 : 0;
    if (seed % 5)
        v.options.snapshot.config = raft_config_of((uint64_t[]){1, 2, 3}, seed % 3 ? 3 : 1);
    assert_int_equal(raft_open(&v.raft, &v.options), 0);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct raft_message m = draw_message(&v);
        (void)raft_step(v.raft, &m);
        assert_int_equal(m.entry_count, 0);
        assert_null(m.snapshot);
        if (draw(&v, 4) == 0)
            raft_tick(v.raft);
        if (draw(&v, 6) == 0)
            ask(&v);
        if (draw(&v, 2))
            take_ready(&v);
        if (draw(&v, 3) == 0 && v.write_count)
            end_write(&v);
        check(&v);
    }
    while (v.write_count)
        end_write(&v);
    raft_close(v.raft);
}

static void
test_nothing_breaks_it(void **state)
{
    for (uint64_t seed = 1; seed <= 1500; seed++)
        attack(seed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_breaks_it)};
    return cmocka_run_group_tests_name("raft hostile", tests, NULL, NULL);
}
