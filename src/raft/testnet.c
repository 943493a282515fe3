/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/confchange.h"
#include "raft/testnet.h"

#include <skein/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutation.h"

static const char *const type_names[] = {"?",
                                         "append",
                                         "append-response",
                                         "vote",
                                         "vote-response",
                                         "pre-vote",
                                         "pre-vote-response",
                                         "snapshot",
                                         "heartbeat",
                                         "heartbeat-response",
                                         "timeout-now",
                                         "stored",
                                         "propose",
                                         "read-index",
                                         "read-index-response",
                                         "transfer-leader"};

static void __attribute__((format(printf, 3, 4)))
say(struct testnet *net, uint64_t id, const char *format, ...)
{
    if (!net->trace)
        return;
    char line[300];
    int head = snprintf(line, sizeof(line), "%3llu n%llu ", (unsigned long long)net->now,
                        (unsigned long long)id);
    va_list args;
    va_start(args, format);
    vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
    va_end(args);
    wire_put_raw(net->trace, line, strlen(line));
    wire_put_raw(net->trace, "\n", 1);
}

static void
say_message(struct testnet *net, uint64_t id, const char *what, const struct raft_message *m)
{
    if (!net->trace)
        return;
    char context[32] = "";
    if (m->context == RAFT_CONTEXT_TRANSFER)
        snprintf(context, sizeof(context), " transfer");
    else if (m->context == RAFT_CONTEXT_NEEDS_SNAPSHOT)
        snprintf(context, sizeof(context), " needs-snapshot");
    else if (m->context)
        snprintf(context, sizeof(context), " context=%llu", (unsigned long long)m->context);
    say(net, id, "%s n%llu>n%llu %s term=%llu at=%llu/%llu commit=%llu%s%s entries=%zu snap=%llu",
        what, (unsigned long long)m->from, (unsigned long long)m->to, type_names[m->type],
        (unsigned long long)m->term, (unsigned long long)m->index, (unsigned long long)m->log_term,
        (unsigned long long)m->commit, m->reject ? " reject" : "", context, m->entry_count,
        (unsigned long long)(m->snapshot ? m->snapshot->index : 0));
}

void
testnet_init(struct testnet *net, uint32_t count, uint32_t voters, uint64_t seed)
{
#ifdef SKEIN_MUTATIONS
    const char *bug = getenv("RAFT_MUTATION"); /* to see which test finds it */
    if (bug)
        mutation_select(mutation_find(bug));
#endif
    *net = (struct testnet){.node_count = count};
    net->options = (struct raft_options){.seed = seed,
                                         .pre_vote = true,
                                         .check_quorum = true,
                                         .step_down_on_removal = true,
                                         .apply_bytes_max = 200};
    for (uint64_t id = 1; id <= count; id++) {
        uint64_t ids[RAFT_VOTERS_MAX];
        for (uint32_t v = 0; v < voters; v++)
            ids[v] = v + 1;
        if (id <= voters)
            net->nodes[id].snapshot.config = raft_config_of(ids, voters);
    }
    for (uint64_t id = 1; id <= count; id++)
        testnet_start(net, id);
}

static void
drop_entries(struct raft_entry *entries, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        bytes_unref(&entries[i].data);
}

void
testnet_deinit(struct testnet *net)
{
    for (uint64_t id = 1; id <= net->node_count; id++) {
        struct testnet_node *node = &net->nodes[id];
        testnet_crash(net, id);
        drop_entries(node->entries, 0, node->entry_count);
        mem_free(node->entries);
        mem_free(node->writes);
        mem_free(node->reads);
    }
    for (size_t i = 0; i < net->bag_count; i++)
        raft_message_deinit(&net->bag[i]);
    mem_free(net->bag);
    drop_entries(net->truth, 0, net->truth_count);
    mem_free(net->truth);
    mem_free(net->leaders);
}

void
testnet_start(struct testnet *net, uint64_t id)
{
    struct testnet_node *node = &net->nodes[id];
    skein_assert(!node->raft);
    struct raft_options options = net->options;
    options.id = id;
    options.hard_state = node->hard_state;
    options.snapshot = node->snapshot;
    options.applied = node->snapshot.index;
    options.entries = node->entries;
    options.entry_count = node->entry_count;
    node->applied = node->snapshot.index;
    int rc = raft_open(&node->raft, &options);
    skein_assert(rc == 0);
    say(net, id, "start term=%llu last=%zu", (unsigned long long)node->hard_state.term,
        node->entry_count);
}

void
testnet_crash(struct testnet *net, uint64_t id)
{
    struct testnet_node *node = &net->nodes[id];
    if (!node->raft)
        return;
    say(net, id, "crash unsynced=%zu", node->write_count);
    raft_close(node->raft);
    node->raft = NULL;
    for (size_t i = 0; i < node->write_count; i++)
        raft_ready_deinit(&node->writes[i].ready);
    node->write_count = 0;
    node->read_count = 0;
}

void
testnet_wipe(struct testnet *net, uint64_t id, bool keep_config)
{
    struct testnet_node *node = &net->nodes[id];
    struct raft_config config = node->snapshot.config;
    skein_assert(!node->raft);
    drop_entries(node->entries, 0, node->entry_count);
    node->entry_count = 0;
    node->hard_state = (struct raft_hard_state){0};
    node->snapshot = (struct raft_snapshot){0};
    if (keep_config)
        node->snapshot.config = config;
}

static void
disk_append(struct testnet_node *node, const struct raft_entry *e)
{
    while (node->entry_count && node->entries[node->entry_count - 1].index >= e->index)
        bytes_unref(&node->entries[--node->entry_count].data);
    mem_grow(&node->entries, &node->entry_capacity, node->entry_count, sizeof(*e));
    node->entries[node->entry_count] = *e;
    node->entries[node->entry_count++].data = bytes_ref(e->data);
}

void
testnet_set_log(struct testnet *net, uint64_t id, const uint64_t *terms, size_t count,
                uint64_t hard_term)
{
    testnet_crash(net, id);
    for (size_t i = 0; i < count; i++) {
        struct raft_entry e = {.term = terms[i], .index = i + 1};
        disk_append(&net->nodes[id], &e);
    }
    net->nodes[id].hard_state = (struct raft_hard_state){.term = hard_term};
    testnet_start(net, id);
}

/* State-machine safety (Figure 3): one entry at an index, for ever. */
static void
apply(struct testnet *net, uint64_t id, const struct raft_entry *e)
{
    struct testnet_node *node = &net->nodes[id];
    skein_assert(e->index == node->applied + 1);
    bool witnessed = e->type == RAFT_ENTRY_WITNESSED;
    if (e->index > net->truth_count && !witnessed) {
        skein_assert(e->index == net->truth_count + 1);
        mem_grow(&net->truth, &net->truth_capacity, net->truth_count, sizeof(*e));
        net->truth[net->truth_count] = *e;
        net->truth[net->truth_count++].data = bytes_ref(e->data);
    }
    if (e->index <= net->truth_count) {
        const struct raft_entry *truth = &net->truth[e->index - 1];
        skein_assert(truth->term == e->term);
        skein_assert(witnessed || truth->data.count == e->data.count);
        skein_assert(!e->data.count || !memcmp(truth->data.data, e->data.data, e->data.count));
    }
    node->applied = e->index;
    if (raft_entry_is_config(e->type))
        (void)raft_apply_config(node->raft, e);
    raft_applied(node->raft, e->index);
    say(net, id, "apply %llu/%llu %s\"%.*s\"", (unsigned long long)e->index,
        (unsigned long long)e->term, raft_entry_is_config(e->type) ? "config " : "",
        raft_entry_is_config(e->type) ? 0 : (int)e->data.count, (const char *)e->data.data);
}

/* Election safety. */
static void
see_leader(struct testnet *net, uint64_t id)
{
    uint64_t term = raft_term(net->nodes[id].raft);
    while (term >= net->leader_capacity) {
        size_t before = net->leader_capacity;
        mem_grow(&net->leaders, &net->leader_capacity, before, sizeof(*net->leaders));
        memset(net->leaders + before, 0, (net->leader_capacity - before) * sizeof(*net->leaders));
    }
    skein_assert(!net->leaders[term] || net->leaders[term] == id);
    net->leaders[term] = id;
}

static void
put(struct testnet *net, const struct raft_message *m)
{
    mem_grow(&net->bag, &net->bag_capacity, net->bag_count, sizeof(*m));
    net->bag[net->bag_count++] = *m;
}

static void
take_reads(struct testnet *net, uint64_t id, const struct raft_ready *ready)
{
    struct testnet_node *node = &net->nodes[id];
    for (size_t i = 0; i < ready->read_state_count; i++) {
        mem_grow(&node->reads, &node->read_capacity, node->read_count, sizeof(*node->reads));
        node->reads[node->read_count++] = ready->read_states[i];
        say(net, id, "read %llu answered at %llu",
            (unsigned long long)ready->read_states[i].context,
            (unsigned long long)ready->read_states[i].index);
    }
    node->reads_dropped += ready->reads_dropped;
    if (ready->reads_dropped)
        say(net, id, "reads dropped");
}

static void
take_one(struct testnet *net, uint64_t id)
{
    struct testnet_node *node = &net->nodes[id];
    struct raft_ready ready;
    raft_take_ready(node->raft, &ready);
    if (raft_role(node->raft) == RAFT_LEADER)
        see_leader(net, id);
    if (ready.leader_changed)
        say(net, id, "is %s term=%llu leader=n%llu", raft_role_name(raft_role(node->raft)),
            (unsigned long long)raft_term(node->raft), (unsigned long long)raft_leader(node->raft));
    for (size_t i = 0; i < ready.message_count; i++) {
        skein_assert(ready.messages[i].to != id);
        put(net, &ready.messages[i]);
    }
    ready.message_count = 0;
    take_reads(net, id, &ready);
    if (ready.snapshot.index)
        node->applied = ready.snapshot.index;
    for (size_t i = 0; i < ready.apply_count; i++)
        apply(net, id, &ready.apply[i]);
    skein_assert(ready.must_sync || (!ready.response_count && !ready.entry_count));
    if (!ready.has_append) {
        raft_ready_deinit(&ready);
        return;
    }
    say(net, id, "write entries=%zu hard=%llu/%llu/%llu snap=%llu responses=%zu%s",
        ready.entry_count, (unsigned long long)ready.hard_state.term,
        (unsigned long long)ready.hard_state.vote, (unsigned long long)ready.hard_state.commit,
        (unsigned long long)ready.snapshot.index, ready.response_count,
        ready.must_sync ? " sync" : "");
    mem_grow(&node->writes, &node->write_capacity, node->write_count, sizeof(*node->writes));
    node->writes[node->write_count++].ready = ready;
}

void
testnet_collect(struct testnet *net, uint64_t id)
{
    while (net->nodes[id].raft && raft_has_ready(net->nodes[id].raft))
        take_one(net, id);
}

static void
sync_one(struct testnet *net, uint64_t id)
{
    struct testnet_node *node = &net->nodes[id];
    struct raft_ready ready = node->writes[0].ready;
    node->write_count--;
    memmove(node->writes, node->writes + 1, node->write_count * sizeof(*node->writes));
    if (ready.snapshot.index) {
        drop_entries(node->entries, 0, node->entry_count);
        node->entry_count = 0;
        node->snapshot = ready.snapshot;
    }
    for (size_t i = 0; i < ready.entry_count; i++)
        disk_append(node, &ready.entries[i]);
    node->hard_state = ready.hard_state;
    say(net, id, "durable entries=%zu", ready.entry_count);
    for (size_t i = 0; i < ready.response_count; i++) {
        if (ready.responses[i].to == id) {
            int rc = raft_step(node->raft, &ready.responses[i]);
            skein_assert(rc == 0 || rc == -SKEIN_ENOTFOUND); /* removed meanwhile */
        } else {
            put(net, &ready.responses[i]);
        }
    }
    ready.response_count = 0;
    raft_ready_deinit(&ready);
}

void
testnet_sync(struct testnet *net, uint64_t id, size_t write_count)
{
    for (size_t i = 0; i < write_count && net->nodes[id].write_count; i++)
        sync_one(net, id);
}

static struct raft_message
take_out(struct testnet *net, size_t at)
{
    struct raft_message m = net->bag[at];
    net->bag_count--;
    memmove(net->bag + at, net->bag + at + 1, (net->bag_count - at) * sizeof(m));
    return m;
}

static void
report(struct testnet *net, const struct raft_message *m, bool ok)
{
    struct raft *from = net->nodes[m->from].raft;
    if (m->type == RAFT_SNAPSHOT && from)
        raft_report_snapshot(from, m->to, ok);
}

void
testnet_lose(struct testnet *net, size_t at)
{
    struct raft_message m = take_out(net, at);
    say_message(net, m.to, "lost", &m);
    report(net, &m, false);
    raft_message_deinit(&m);
}

void
testnet_deliver(struct testnet *net, size_t at)
{
    const struct raft_message *next = &net->bag[at];
    struct raft *to = net->nodes[next->to].raft;
    if (!to || net->cut[next->from][next->to]) {
        testnet_lose(net, at);
        return;
    }
    if (net->filter && net->filter(net, next)) {
        net->filtered++;
        testnet_lose(net, at);
        return;
    }
    struct raft_message m = take_out(net, at);
    say_message(net, m.to, "recv", &m);
    struct raft_message head = m;
    (void)raft_step(to, &m);
    report(net, &head, true);
}

void
testnet_run(struct testnet *net)
{
    for (size_t rounds = 0;; rounds++) {
        skein_assert(rounds < 10000);
        bool moved = false;
        for (uint64_t id = 1; id <= net->node_count; id++) {
            struct testnet_node *node = &net->nodes[id];
            moved |= node->raft && raft_has_ready(node->raft);
            testnet_collect(net, id);
            if (!node->slow_disk && node->write_count) {
                testnet_sync(net, id, node->write_count);
                moved = true;
            }
        }
        for (size_t n = net->bag_count; n; n--, moved = true)
            testnet_deliver(net, 0);
        if (!moved)
            return;
    }
}

void
testnet_tick(struct testnet *net, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        net->now++;
        for (uint64_t id = 1; id <= net->node_count; id++)
            if (net->nodes[id].raft)
                raft_tick(net->nodes[id].raft);
        testnet_run(net);
        uint64_t leader = testnet_leader(net);
        if (leader && testnet_status(net, leader).wants_checkpoint)
            testnet_compact(net, leader, 0);
    }
}

void
testnet_isolate(struct testnet *net, uint64_t id, bool cut)
{
    for (uint64_t other = 1; other <= net->node_count; other++)
        net->cut[id][other] = net->cut[other][id] = cut;
}

void
testnet_campaign(struct testnet *net, uint64_t id)
{
    say(net, id, "campaign");
    raft_campaign(net->nodes[id].raft);
    testnet_run(net);
}

int
testnet_propose(struct testnet *net, uint64_t id, const char *text)
{
    struct bytes data = bytes_copy(text, strlen(text));
    uint64_t index;
    uint64_t term;
    say(net, id, "propose \"%s\"", text);
    int rc = raft_propose(net->nodes[id].raft, data, &index, &term);
    bytes_unref(&data);
    return rc;
}

int
testnet_change(struct testnet *net, uint64_t id, bool remove, uint64_t node)
{
    struct raft_conf_change change = {
        .v1 = true,
        .changes = {{remove ? RAFT_CHANGE_REMOVE : RAFT_CHANGE_ADD_VOTER, node}},
        .change_count = 1};
    uint64_t index;
    uint64_t term;
    return raft_propose_config(net->nodes[id].raft, &change, &index, &term);
}

void
testnet_compact(struct testnet *net, uint64_t id, uint64_t keep_count)
{
    struct testnet_node *node = &net->nodes[id];
    struct raft_status status = testnet_status(net, id);
    uint64_t index = status.applied;
    if (index <= node->snapshot.index || !node->raft)
        return;
    struct raft_snapshot snapshot = {
        .index = index, .term = raft_entry_term(node->raft, index), .config = status.config};
    uint64_t keep_from = keep_count > index ? 1 : index + 1 - keep_count;
    raft_compact(node->raft, &snapshot, keep_from);
    node->snapshot = snapshot;
    size_t gone = 0;
    while (gone < node->entry_count && node->entries[gone].index < keep_from)
        bytes_unref(&node->entries[gone++].data);
    node->entry_count -= gone;
    memmove(node->entries, node->entries + gone, node->entry_count * sizeof(*node->entries));
    say(net, id, "compact at=%llu keep=%llu", (unsigned long long)index,
        (unsigned long long)keep_from);
}

uint64_t
testnet_leader(const struct testnet *net)
{
    uint64_t leader = 0;
    uint64_t term = 0;
    for (uint64_t id = 1; id <= net->node_count; id++) {
        const struct raft *raft = net->nodes[id].raft;
        if (raft && raft_role(raft) == RAFT_LEADER && raft_term(raft) > term) {
            leader = id;
            term = raft_term(raft);
        }
    }
    return leader;
}

struct raft_status
testnet_status(const struct testnet *net, uint64_t id)
{
    struct raft_status status;
    skein_assert(net->nodes[id].raft);
    raft_status(net->nodes[id].raft, &status);
    return status;
}

uint64_t
testnet_commit(const struct testnet *net, uint64_t id)
{
    return testnet_status(net, id).hard_state.commit;
}

/* Log matching: where two logs agree on a term, they agree on everything before. */
static void
check_pair(const struct testnet *net, uint64_t a, uint64_t b)
{
    struct raft_status sa = testnet_status(net, a);
    struct raft_status sb = testnet_status(net, b);
    uint64_t index = sa.last_index < sb.last_index ? sa.last_index : sb.last_index;
    uint64_t first = sa.first_index > sb.first_index ? sa.first_index : sb.first_index;
    bool agreed = false;
    for (; index >= first && index; index--) {
        bool same = raft_entry_term(net->nodes[a].raft, index) ==
                    raft_entry_term(net->nodes[b].raft, index);
        skein_assert(same || !agreed);
        agreed |= same;
    }
}

/* Leader completeness: whoever leads in the highest term holds all that was ever applied. */
static void
check_leader(const struct testnet *net, uint64_t id)
{
    struct raft_status s = testnet_status(net, id);
    skein_assert(s.last_index >= net->truth_count);
    for (uint64_t i = s.first_index; i <= net->truth_count; i++)
        skein_assert(raft_entry_term(net->nodes[id].raft, i) == net->truth[i - 1].term);
}

void
testnet_check(struct testnet *net)
{
    for (uint64_t a = 1; a <= net->node_count; a++)
        for (uint64_t b = a + 1; b <= net->node_count; b++)
            if (net->nodes[a].raft && net->nodes[b].raft)
                check_pair(net, a, b);
    uint64_t leader = testnet_leader(net);
    if (!leader)
        return;
    uint64_t term = raft_term(net->nodes[leader].raft);
    for (uint64_t id = 1; id <= net->node_count; id++) {
        const struct testnet_node *node = &net->nodes[id];
        /* Deposed without knowing it: nothing is promised. */
        if ((node->raft ? raft_term(node->raft) : node->hard_state.term) > term)
            return;
    }
    check_leader(net, leader);
}

struct raft_message
testnet_message(enum raft_message_type type, uint64_t from, uint64_t to, uint64_t term)
{
    return (struct raft_message){.type = type, .from = from, .to = to, .term = term};
}
