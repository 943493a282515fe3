/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_raft/interaction.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <skein/error.h>

#include "base/mem.h"

/* What a verb's work comes to. */
enum outcome {
    DONE,
    FAILED, /* as the files describe: the error's text stands at the end of the output, always */
    WRONG   /* the block cannot be served; the output says why */
};

struct call {
    struct world *world;
    const struct datadriven_block *block;
    struct text *out;
    struct node *node;   /* of the first argument; NULL: none */
    struct text *errors; /* for FAILED */
    bool quiet;          /* what it printed is not shown */
};

static bool
node_of(struct world *world, const struct datadriven_arg *arg, uint32_t *out_index)
{
    uint64_t id;
    if (arg->value_count || !datadriven_number(arg->key, &id) || !id || id > world->node_count)
        return false;
    *out_index = (uint32_t)id - 1;
    return true;
}

/* The nodes named by the block, all of them where it names none. */
static bool
nodes_of(const struct call *call, uint32_t *out_indices, uint32_t *out_count)
{
    *out_count = 0;
    for (size_t i = 0; i < call->block->arg_count; i++) {
        const struct datadriven_arg *arg = &call->block->args[i];
        if (arg->value_count)
            continue;
        if (*out_count == NODES_MAX || !node_of(call->world, arg, &out_indices[*out_count])) {
            text_printf(call->out, "no node %s", arg->key);
            return false;
        }
        ++*out_count;
    }
    return true;
}

/* The number of argument @at: a bare one, or the value of @key=. */
static bool
number_of(const struct call *call, size_t at, const char *key, uint64_t *out_number)
{
    const struct datadriven_block *block = call->block;
    const struct datadriven_arg *named = datadriven_arg_find(block, key);
    if (named && named->value_count == 1)
        return datadriven_number(named->values[0], out_number);
    return at < block->arg_count && !block->args[at].value_count &&
           datadriven_number(block->args[at].key, out_number);
}

static bool
parse_level(const char *name, bool *out_quiet)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "fatal", "none"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcasecmp(names[i], name)) {
            *out_quiet = !strcasecmp(name, "none");
            return true;
        }
    return false;
}

/* The verbs. Each has its node where the table says so. */

static enum outcome
verb_breakpoint(struct call *call)
{
    (void)call;
    return DONE;
}

static enum outcome
verb_add_nodes(struct call *call)
{
    uint64_t count;
    struct node_options options;
    if (!number_of(call, 0, "", &count)) {
        text_printf(call->out, "how many nodes?");
        return WRONG;
    }
    if (!node_options_parse(call->block, &options, call->errors))
        return FAILED;
    for (uint64_t i = 0; i < count; i++)
        if (!node_open(call->world, &options, call->errors))
            return FAILED;
    return DONE;
}

static enum outcome
verb_campaign(struct call *call)
{
    raft_campaign(call->node->raft);
    return DONE;
}

static enum outcome
verb_compact(struct call *call)
{
    uint64_t index;
    if (!number_of(call, 1, "", &index)) {
        text_printf(call->out, "up to which index?");
        return WRONG;
    }
    struct node *node = call->node;
    if (!storage_compact(&node->storage, index)) {
        text_printf(call->errors, "requested index is unavailable due to compaction");
        return FAILED;
    }
    raft_compact(node->raft, &node->newest, index + 1);
    storage_describe(&node->storage, call->out);
    return DONE;
}

static bool
parse_recipient(struct call *call, const char *text, bool drop, enum etcd_type type,
                size_t *delivered)
{
    uint64_t id;
    if (!datadriven_number(text, &id))
        return false;
    *delivered += net_deliver(call->world, id, type, drop, call->out);
    return true;
}

static enum outcome
verb_deliver_msgs(struct call *call)
{
    const struct datadriven_block *block = call->block;
    const struct datadriven_arg *of_type = datadriven_arg_find(block, "type");
    enum etcd_type type = ETCD_TYPE_END;
    if (of_type && of_type->value_count == 1) {
        type = etcd_type_find(of_type->values[0]);
        if (type == ETCD_TYPE_END) {
            text_printf(call->out, "unknown message type %s", of_type->values[0]);
            return WRONG;
        }
    }
    size_t delivered = 0;
    for (size_t i = 0; i < block->arg_count; i++) {
        const struct datadriven_arg *arg = &block->args[i];
        bool sense = arg == of_type;
        if (!arg->value_count)
            sense = parse_recipient(call, arg->key, false, type, &delivered);
        for (size_t v = 0; !strcmp(arg->key, "drop") && v < arg->value_count; v++)
            sense = parse_recipient(call, arg->values[v], true, type, &delivered);
        if (!sense) {
            text_printf(call->out, "to whom is %s?", arg->key);
            return WRONG;
        }
    }
    if (!delivered)
        text_printf(call->out, "no messages\n");
    return DONE;
}

/* With several nodes each has a heading, and what it prints stands further in. */
static enum outcome
for_each_node(struct call *call, const char *heading,
              void (*work)(struct world *, struct node *, struct text *))
{
    uint32_t indices[NODES_MAX];
    uint32_t count;
    if (!nodes_of(call, indices, &count))
        return WRONG;
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = call->world->nodes[indices[i]];
        if (count == 1) {
            work(call->world, node, call->out);
            break;
        }
        struct text block = {0};
        text_printf(call->out, "> %" PRIu64 " %s\n", node->id, heading);
        work(call->world, node, &block);
        text_indented(call->out, &block);
        text_deinit(&block);
    }
    return DONE;
}

static enum outcome
verb_process_ready(struct call *call)
{
    return for_each_node(call, "handling Ready", node_process_ready);
}

static enum outcome
verb_process_append_thread(struct call *call)
{
    return for_each_node(call, "processing append thread", node_process_append);
}

static enum outcome
verb_process_apply_thread(struct call *call)
{
    return for_each_node(call, "processing apply thread", node_process_apply);
}

static enum outcome
verb_log_level(struct call *call)
{
    const struct datadriven_block *block = call->block;
    if (block->arg_count == 1 && parse_level(block->args[0].key, &call->world->quiet))
        return DONE;
    text_printf(call->errors, "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
    return FAILED;
}

static enum outcome
verb_raft_log(struct call *call)
{
    storage_describe(&call->node->storage, call->out);
    return DONE;
}

static enum outcome
verb_raft_state(struct call *call)
{
    for (uint32_t i = 0; i < call->world->node_count; i++) {
        struct raft_status status;
        raft_status(call->world->nodes[i]->raft, &status);
        bool votes = raft_config_is(&status.config, status.id, RAFT_VOTER | RAFT_OUTGOING);
        text_printf(call->out, "%" PRIu64 ": %s (%s) Term:%" PRIu64 " Lead:%" PRIu64 "\n",
                    status.id, etcd_role_name(status.role), votes ? "Voter" : "Non-Voter",
                    status.hard_state.term, status.leader);
    }
    return DONE;
}

static enum outcome
verb_set_randomized_election_timeout(struct call *call)
{
    uint64_t ticks;
    if (!number_of(call, 1, "timeout", &ticks) || !ticks || ticks > UINT32_MAX) {
        text_printf(call->out, "timeout=?");
        return WRONG;
    }
    raft_set_election_timeout(call->node->raft, (uint32_t)ticks);
    return DONE;
}

static enum outcome
verb_stabilize(struct call *call)
{
    uint32_t indices[NODES_MAX];
    uint32_t count;
    struct world *world = call->world;
    bool quiet = world->quiet;
    const struct datadriven_arg *level = datadriven_arg_find(call->block, "log-level");
    if (!nodes_of(call, indices, &count))
        return WRONG;
    if (level && (level->value_count != 1 || !parse_level(level->values[0], &quiet))) {
        text_printf(call->errors,
                    "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
        return FAILED;
    }
    if (!count)
        for (; count < world->node_count; count++)
            indices[count] = count;
    net_stabilize(world, indices, count, call->out);
    call->quiet = quiet;
    return DONE;
}

static enum outcome
verb_status(struct call *call)
{
    struct raft_status status;
    raft_status(call->node->raft, &status);
    for (uint32_t i = 0; i < status.peer_count; i++) {
        text_printf(call->out, "%" PRIu64 ": ", status.peers[i].id);
        describe_peer(call->out, &status.peers[i]);
        text_printf(call->out, "\n");
    }
    return DONE;
}

static void
tick(struct node *node, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        raft_tick(node->raft);
}

static enum outcome
verb_tick_election(struct call *call)
{
    tick(call->node, call->node->election_ticks);
    return DONE;
}

static enum outcome
verb_tick_heartbeat(struct call *call)
{
    tick(call->node, call->node->heartbeat_ticks);
    return DONE;
}

static enum outcome
verb_transfer_leadership(struct call *call)
{
    uint64_t from, to;
    if (!number_of(call, 0, "from", &from) || !number_of(call, 1, "to", &to) || !from ||
        from > call->world->node_count) {
        text_printf(call->out, "from=? to=?");
        return WRONG;
    }
    (void)!raft_transfer(call->world->nodes[from - 1]->raft, to);
    return DONE;
}

static enum outcome
verb_forget_leader(struct call *call)
{
    raft_forget_leader(call->node->raft);
    return DONE;
}

/* A snapshot that the core did not ask for: as if the application sent it by itself. */
static enum outcome
verb_send_snapshot(struct call *call)
{
    uint64_t to;
    if (!number_of(call, 1, "", &to)) {
        text_printf(call->out, "to whom?");
        return WRONG;
    }
    struct raft_message core = {.type = RAFT_SNAPSHOT,
                                .from = call->node->id,
                                .to = to,
                                .term = raft_term(call->node->raft),
                                .snapshot = raft_snapshot_copy(&call->node->newest)};
    struct etcd_message message = etcd_message_of(&core);
    describe_message(call->out, &message);
    text_printf(call->out, "\n");
    messages_push(&call->world->messages, message);
    return DONE;
}

static enum outcome
proposed(struct call *call, int rc)
{
    if (!rc)
        return DONE;
    text_printf(call->errors, "raft proposal dropped");
    return FAILED;
}

static enum outcome
verb_propose(struct call *call)
{
    const struct datadriven_block *block = call->block;
    uint64_t index, term;
    if (block->arg_count != 2 || block->args[1].value_count) {
        text_printf(call->out, "propose what?");
        return WRONG;
    }
    struct bytes data = bytes_copy(block->args[1].key, strlen(block->args[1].key));
    int rc = raft_propose(call->node->raft, data, &index, &term);
    bytes_unref(&data);
    return proposed(call, rc);
}

static bool
parse_changes(const char *input, struct raft_conf_change *change)
{
    for (const char *at = input; *(at += strspn(at, " \t\r\n"));) {
        size_t count = strcspn(at, " \t\r\n");
        char digits[24] = "";
        uint64_t node;
        if (count < 2 || count > sizeof digits || change->change_count == RAFT_CHANGES_MAX)
            return false;
        memcpy(digits, at + 1, count - 1);
        struct raft_change *one = &change->changes[change->change_count++];
        if (!datadriven_number(digits, &node) || !strchr("vlru", *at))
            return false;
        one->node = node;
        one->type = *at == 'v'   ? RAFT_CHANGE_ADD_VOTER
                    : *at == 'l' ? RAFT_CHANGE_ADD_LEARNER
                    : *at == 'r' ? RAFT_CHANGE_REMOVE
                                 : RAFT_CHANGE_UPDATE;
        at += count;
    }
    return true;
}

static bool
parse_change_arg(const struct datadriven_arg *arg, const char *value,
                 struct raft_conf_change *change)
{
    if (!strcmp(arg->key, "v1")) {
        return options_parse_bool(value, &change->v1);
    }
    if (strcmp(arg->key, "transition") != 0)
        return false;
    if (!strcmp(value, "implicit"))
        change->transition = RAFT_TRANSITION_JOINT_IMPLICIT;
    else if (!strcmp(value, "explicit"))
        change->transition = RAFT_TRANSITION_JOINT_EXPLICIT;
    else
        return !strcmp(value, "auto");
    return true;
}

static enum outcome
verb_propose_conf_change(struct call *call)
{
    struct raft_conf_change change = {0};
    for (size_t i = 1; i < call->block->arg_count; i++)
        for (size_t v = 0; v < call->block->args[i].value_count; v++)
            if (!parse_change_arg(&call->block->args[i], call->block->args[i].values[v], &change)) {
                text_printf(call->errors, "unknown %s %s", call->block->args[i].key,
                            call->block->args[i].values[v]);
                return FAILED;
            }
    if (!parse_changes(call->block->input, &change)) {
        text_printf(call->errors, "unknown input: %s", call->block->input);
        return FAILED;
    }
    if (change.v1 && (change.change_count != 1 || change.transition != RAFT_TRANSITION_AUTO)) {
        text_printf(call->errors, "v1 conf change can only have one operation and no transition");
        return FAILED;
    }
    uint64_t index, term;
    return proposed(call, raft_propose_config(call->node->raft, &change, &index, &term));
}

static enum outcome
verb_report_unreachable(struct call *call)
{
    uint64_t peer;
    if (!number_of(call, 1, "", &peer)) {
        text_printf(call->out, "who?");
        return WRONG;
    }
    raft_report_unreachable(call->node->raft, peer);
    return DONE;
}

/* report-snapshot N PEER ok|failed, and read-index N CONTEXT: verbs of our own files. */
static enum outcome
verb_report_snapshot(struct call *call)
{
    uint64_t peer;
    const struct datadriven_block *block = call->block;
    bool sense = block->arg_count == 3 && number_of(call, 1, "", &peer);
    if (!sense || (strcmp(block->args[2].key, "ok") && strcmp(block->args[2].key, "failed"))) {
        text_printf(call->out, "report-snapshot NODE PEER ok|failed");
        return WRONG;
    }
    raft_report_snapshot(call->node->raft, peer, !strcmp(block->args[2].key, "ok"));
    return DONE;
}

static enum outcome
verb_read_index(struct call *call)
{
    uint64_t context;
    if (!number_of(call, 1, "", &context)) {
        text_printf(call->out, "which context?");
        return WRONG;
    }
    (void)!raft_read_index(call->node->raft, context);
    return DONE;
}

static const struct verb {
    const char *name;
    enum outcome (*run)(struct call *call);
    bool of_node; /* its first argument is a node's number */
} verbs[] = {
    {"_breakpoint", verb_breakpoint, false},
    {"add-nodes", verb_add_nodes, false},
    {"campaign", verb_campaign, true},
    {"compact", verb_compact, true},
    {"deliver-msgs", verb_deliver_msgs, false},
    {"forget-leader", verb_forget_leader, true},
    {"log-level", verb_log_level, false},
    {"process-append-thread", verb_process_append_thread, false},
    {"process-apply-thread", verb_process_apply_thread, false},
    {"process-ready", verb_process_ready, false},
    {"propose", verb_propose, true},
    {"propose-conf-change", verb_propose_conf_change, true},
    {"raft-log", verb_raft_log, true},
    {"raft-state", verb_raft_state, false},
    {"read-index", verb_read_index, true},
    {"report-snapshot", verb_report_snapshot, true},
    {"report-unreachable", verb_report_unreachable, true},
    {"send-snapshot", verb_send_snapshot, true},
    {"set-randomized-election-timeout", verb_set_randomized_election_timeout, true},
    {"stabilize", verb_stabilize, false},
    {"status", verb_status, true},
    {"tick-election", verb_tick_election, true},
    {"tick-heartbeat", verb_tick_heartbeat, true},
    {"transfer-leadership", verb_transfer_leadership, false},
};

static void *
open_world(void)
{
    return mem_zalloc(sizeof(struct world));
}

static void
close_world(void *env)
{
    struct world *world = env;
    for (uint32_t i = 0; i < world->node_count; i++)
        node_close(world->nodes[i]);
    messages_deinit(&world->messages);
    mem_free(world);
}

static enum outcome
run_verb(const struct verb *verb, struct call *call)
{
    uint32_t index;
    if (verb->of_node) {
        if (!call->block->arg_count || !node_of(call->world, &call->block->args[0], &index)) {
            text_printf(call->out, "%s needs a node's number first", verb->name);
            return WRONG;
        }
        call->node = call->world->nodes[index];
    }
    return verb->run(call);
}

/* One command, with what it prints at the end of @out. */
static int
run_one(struct world *world, const struct datadriven_block *block, struct text *out)
{
    struct text printed = {0}, errors = {0};
    struct call call = {.world = world, .block = block, .out = &printed, .errors = &errors};
    size_t at = 0, count = sizeof verbs / sizeof verbs[0];
    while (at < count && strcmp(verbs[at].name, block->command) != 0)
        at++;
    if (at == count) {
        text_printf(out, "unknown command %s", block->command);
        return -SKEIN_EPROTO;
    }
    call.quiet = world->quiet;
    enum outcome outcome = run_verb(&verbs[at], &call);
    if (outcome == WRONG || (!call.quiet && strcmp(block->command, "log-level") != 0))
        text_printf(out, "%s", text_str(&printed));
    text_printf(out, "%s", text_str(&errors));
    text_deinit(&printed);
    text_deinit(&errors);
    return outcome == WRONG ? -SKEIN_EPROTO : 0;
}

/* A line of input is one more command. */
static int
run_line(struct world *world, const char *line, size_t count, struct text *out)
{
    struct text alone = {0};
    struct datadriven_file file;
    char why[256];
    text_printf(&alone, "%.*s\n----\n", (int)count, line);
    int rc = datadriven_parse(text_str(&alone), alone.count, &file, why);
    if (!rc) {
        if (file.block_count == 1)
            rc = run_one(world, &file.blocks[0], out);
        datadriven_file_deinit(&file);
    } else {
        text_printf(out, "%s", why);
    }
    text_deinit(&alone);
    return rc;
}

static int
run(void *env, const struct datadriven_block *block, struct text *out)
{
    struct world *world = env;
    int rc = run_one(world, block, out);
    bool has_input = !strcmp(block->command, "propose-conf-change");
    for (const char *at = block->input; !rc && !has_input && *at;) {
        size_t count = strcspn(at, "\n");
        rc = run_line(world, at, count, out);
        at += count + (at[count] != 0);
    }
    if (!rc && !out->count)
        text_printf(out, "ok\n");
    return rc;
}

const struct datadriven_handler interaction_handler = {
    .folder = "interaction", .open = open_world, .run = run, .close = close_world};
