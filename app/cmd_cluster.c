/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cluster.h"
#include "app/commands.h"
#include "app/world.h"
#include "net/addr.h"
#include "skein/error.h"
#include "skein/shard.h"

/* How long between two looks at a change under way, and two rounds for a leader. */
#define PAUSE_NS (50 * UINT64_C(1000000))

static const struct flags_row rows[] = {
    {"wait", NULL, NULL, "Wait until the change is carried out, and say how it comes on.",
     flags_parse_switch, FLAGS_FIELD(struct cluster_options, wait)},
    {"force", NULL, NULL,
     "Also when a majority of the voters would not answer afterwards. No acknowledged write is "
     "lost by it, but nothing is served until a majority answers.",
     flags_parse_switch, FLAGS_FIELD(struct cluster_options, force)},
    {"json", NULL, NULL, "Print JSON.", flags_parse_switch,
     FLAGS_FIELD(struct cluster_options, json)},
    {"connect", "LIST", NODES_DEFAULT,
     "Nodes to ask for the leader, separated by commas: where their clients connect.", nodes_parse,
     FLAGS_FIELD(struct cluster_options, nodes)},
    {"data", "DIR", NULL, "recover: the data directory of a node that is stopped.",
     flags_parse_text, FLAGS_FIELD(struct cluster_options, data_dir)},
    {"accept-loss", NULL, NULL,
     "recover: do it, although writes that were acknowledged may be lost. Without it nothing is "
     "changed.",
     flags_parse_switch, FLAGS_FIELD(struct cluster_options, accept_loss)},
    {"timeout-ms", "MS", "60000", "How long to try, and to wait.", flags_parse_number,
     FLAGS_FIELD(struct cluster_options, timeout_ns), 1, 86400000, 1000000},
};

static const struct flags_command cluster_command = {
    .name = "cluster",
    .usage = "ACTION [NODE...] [OPTION...]",
    .summary = "the members of a cluster, and changes of them",
    .details =
        "members                        who they are and how they do\n"
        "add NODE=ADDR:PORT...          take new nodes in as voters (learners until they caught "
        "up)\n"
        "learner NODE=ADDR:PORT...      take new nodes in as learners, which do not vote\n"
        "remove NODE...                 take members out; they stop themselves\n"
        "promote NODE..., demote NODE...  make learners voters, and voters learners\n"
        "replace NODE NODE=ADDR:PORT    let a new node take a member's place\n"
        "set NODE[=ADDR:PORT]...        make these the voters at once, and remove all others\n"
        "transfer NODE, stepdown        hand leadership over\n"
        "recover --data DIR             a majority of the voters is lost for ever: begin a new "
        "cluster with\n"
        "                               what one node that is left holds (shows it; --accept-loss "
        "does it)\n\n"
        "ADDR:PORT is where the node's peers reach it. A node is started before or after it is "
        "added, with\n"
        "--join and with itself and the members in --peers. Exit status: 0 done, or begun without "
        "--wait; 1 "
        "refused or\n"
        "failed, with the reason.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 1,
    .argument_max = 1 + REPLICA_NODES_MAX,
};

/* ---- asking ---- */

static bool
begins(struct bytes text, const char *word)
{
    size_t bytes = strlen(word);
    return text.count >= bytes && memcmp(text.data, word, bytes) == 0;
}

static int
ask(struct cluster *cluster, uint32_t at, uint32_t argc, const char *const *argv,
    struct kv_reply *out_reply)
{
    struct kv_client *client;
    uint64_t deadline_ns = skein_deadline_in(2000 * UINT64_C(1000000));
    if (deadline_ns > cluster->deadline_ns)
        deadline_ns = cluster->deadline_ns;
    int rc = kv_client_connect(&client, &cluster->options.nodes.list[at], deadline_ns);
    if (rc < 0)
        return rc;
    rc = kv_client_call(client, out_reply, deadline_ns, argc, argv);
    kv_client_close(client);
    return rc;
}

/* The leader's answer: each node is asked, again and again, until one leads. */
static int
ask_leader(struct cluster *cluster, uint32_t argc, const char *const *argv,
           struct kv_reply *out_reply)
{
    int rc = -SKEIN_ENOLEADER;
    for (;;) {
        for (uint32_t i = 0; i < cluster->options.nodes.count; i++) {
            struct kv_reply reply = {.type = KV_REPLY_NULL};
            int asked = ask(cluster, i, argc, argv, &reply);
            bool other = asked == 0 && reply.type == KV_REPLY_ERROR &&
                         (begins(reply.text, "NOTLEADER") ||
                          (cluster->options.wait && begins(reply.text, "BUSY")));
            if (asked == 0 && !other) {
                cluster->leader_at = i;
                *out_reply = reply;
                return 0;
            }
            rc = asked < 0 ? asked : -SKEIN_ENOLEADER;
            cluster->reached |= asked == 0;
            kv_reply_deinit(&reply);
        }
        if (skein_sleep(skein_deadline_in(PAUSE_NS)) < 0 || skein_now_ns() >= cluster->deadline_ns)
            return cluster->reached ? -SKEIN_ENOLEADER : rc;
    }
}

int
cluster_members(struct cluster *cluster, uint32_t at, struct bytes *out_text)
{
    static const char *const argv[] = {"SKEIN", "MEMBERS"};
    struct kv_reply reply = {.type = KV_REPLY_NULL};
    int rc = ask(cluster, at, BASE_COUNT_OF(argv), argv, &reply);
    if (rc == 0 && reply.type == KV_REPLY_BULK)
        *out_text = bytes_ref(reply.text);
    else if (rc == 0)
        rc = -SKEIN_EPROTO;
    kv_reply_deinit(&reply);
    return rc;
}

/* ---- a change ---- */

static int
finish(struct cluster *cluster, const char *result, const char *note, int status)
{
    cluster_print_result(cluster, result, note);
    return status;
}

enum waited { WAITED_DONE, WAITED_FAILED, WAITED_AGAIN };

static enum waited
await(struct cluster *cluster, const char *id)
{
    while (skein_now_ns() < cluster->deadline_ns) {
        struct bytes text = {0};
        char value[32], failure[32], note[256];
        if (cluster_members(cluster, cluster->leader_at, &text) < 0)
            return WAITED_AGAIN; /* it may be gone, and with it the change: the next leader knows */
        nodes_text(text, "change", value, sizeof(value));
        nodes_text(text, "change_failure", failure, sizeof(failure));
        nodes_text(text, "change_note", note, sizeof(note));
        char now_id[32];
        bool same = strcmp(nodes_text(text, "change_id", now_id, sizeof(now_id)), id) == 0;
        bytes_unref(&text);
        if (!same && strcmp(value, "running") == 0) {
            snprintf(cluster->note, sizeof(cluster->note), "another change took its place");
            return WAITED_FAILED;
        }
        if (!same || (strcmp(value, "failed") == 0 && strcmp(failure, "ENOTLEADER") == 0))
            return WAITED_AGAIN;
        if (strcmp(cluster->note, note) != 0 && !cluster->options.json)
            fprintf(stderr, "skein cluster: %s\n", note);
        snprintf(cluster->note, sizeof(cluster->note), "%s", note);
        if (strcmp(value, "running") != 0)
            return strcmp(value, "done") == 0 ? WAITED_DONE : WAITED_FAILED;
        if (skein_sleep(skein_deadline_in(PAUSE_NS)) < 0)
            break;
    }
    snprintf(cluster->note, sizeof(cluster->note),
             "it is not carried out yet; the cluster goes on with it");
    return WAITED_FAILED;
}

static int
refused(struct cluster *cluster, const struct kv_reply *reply, bool again)
{
    char text[512];
    snprintf(text, sizeof(text), "%.*s", (int)reply->text.count, (const char *)reply->text.data);
    /* Begun by an earlier leader, which carried it out. */
    if (again && begins(reply->text, "NOMEMBER") && strcmp(cluster->argv[1], "REMOVE") == 0)
        return finish(cluster, "done", "the members are as wanted", 0);
    bool can_force = begins(reply->text, "REFUSED");
    const char *why = strchr(text, ' ');
    fprintf(stderr, "skein cluster: %s%s%s\n", can_force ? "refused: " : "", why ? why + 1 : text,
            can_force ? " (--force)" : "");
    return finish(cluster, "refused", why ? why + 1 : text, 1);
}

/* True: the leader has begun it, and said so in @reply; else the command ends with @status. */
static bool
ask_to_begin(struct cluster *cluster, bool again, struct kv_reply *reply, int *status)
{
    int rc = ask_leader(cluster, cluster->argc, cluster->argv, reply);
    if (rc < 0) {
        fprintf(stderr, "skein cluster: no leader answers at --connect (%s)\n",
                skein_error_text(rc));
        *status = finish(cluster, "failed", skein_error_text(rc), 1);
        return false;
    }
    if (reply->type == KV_REPLY_SIMPLE)
        return true;
    *status = refused(cluster, reply, again);
    kv_reply_deinit(reply);
    return false;
}

static int
change_main(struct cluster *cluster)
{
    for (bool again = false;; again = true) {
        struct kv_reply reply = {.type = KV_REPLY_NULL};
        char id[32] = "";
        int status;
        if (!ask_to_begin(cluster, again, &reply, &status))
            return status;
        if (reply.text.count > 8 && reply.text.count < 8 + sizeof(id))
            memcpy(id, reply.text.data + 8, reply.text.count - 8);
        kv_reply_deinit(&reply);
        if (!cluster->options.wait)
            return finish(
                cluster, "begun",
                "skein cluster members shows how it comes on; when its leader goes, it is "
                "lost with what is left to do, and members says so (--wait goes on)",
                0);
        switch (await(cluster, id)) {
        case WAITED_DONE:
            return finish(cluster, "done", cluster->note, 0);
        case WAITED_FAILED:
            fprintf(stderr, "skein cluster: failed: %s\n", cluster->note);
            return finish(cluster, "failed", cluster->note, 1);
        case WAITED_AGAIN:
            break;
        }
    }
}

/* ---- leadership ---- */

static uint64_t
leader_of(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->options.nodes.count; i++) {
        struct bytes text = {0};
        if (cluster_members(cluster, i, &text) < 0)
            continue;
        uint64_t leader = nodes_number(text, "leader");
        bool itself = leader && leader == nodes_number(text, "node");
        bytes_unref(&text);
        if (itself)
            return leader;
    }
    return 0;
}

static int
transfer_main(struct cluster *cluster)
{
    struct kv_reply reply = {.type = KV_REPLY_NULL};
    uint64_t before = leader_of(cluster);
    uint64_t wanted = cluster->argc > 2 ? strtoull(cluster->argv[2], NULL, 10) : 0;
    int status;
    if (!ask_to_begin(cluster, false, &reply, &status))
        return status;
    kv_reply_deinit(&reply);
    if (!cluster->options.wait)
        return finish(cluster, "begun", "leadership is being handed over", 0);
    while (skein_now_ns() < cluster->deadline_ns) {
        uint64_t now = leader_of(cluster);
        if (now && (wanted ? now == wanted : now != before)) {
            snprintf(cluster->note, sizeof(cluster->note), "node %" PRIu64 " leads", now);
            return finish(cluster, "done", cluster->note, 0);
        }
        if (skein_sleep(skein_deadline_in(PAUSE_NS)) < 0)
            break;
    }
    fprintf(stderr, "skein cluster: failed: leadership was not taken over\n");
    return finish(cluster, "failed", "leadership was not taken over", 1);
}

static int
cluster_main(void *arg)
{
    struct cluster *cluster = arg;
    cluster->deadline_ns = skein_deadline_in(cluster->options.timeout_ns);
    if (strcmp(cluster->action, "recover") == 0)
        return cluster_recover(cluster);
    if (cluster->argc == 0)
        return cluster_show(cluster);
    return strcmp(cluster->argv[1], "TRANSFER") == 0 ? transfer_main(cluster)
                                                     : change_main(cluster);
}

/* The words of the command line become those of the SKEIN command. */
static bool
translate(struct cluster *cluster, char **arguments, int count)
{
    static const struct {
        const char *action, *command;
        int min, max;
    } actions[] = {{"members", NULL, 0, 0},
                   {"add", "ADD", 1, REPLICA_NODES_MAX},
                   {"learner", "LEARNER", 1, REPLICA_NODES_MAX},
                   {"remove", "REMOVE", 1, REPLICA_NODES_MAX},
                   {"promote", "PROMOTE", 1, REPLICA_NODES_MAX},
                   {"demote", "DEMOTE", 1, REPLICA_NODES_MAX},
                   {"replace", "REPLACE", 2, 2},
                   {"set", "SET", 1, REPLICA_NODES_MAX},
                   {"transfer", "TRANSFER", 1, 1},
                   {"stepdown", "TRANSFER", 0, 0},
                   {"recover", NULL, 0, 0}};
    for (size_t i = 0; i < BASE_COUNT_OF(actions); i++) {
        if (strcmp(arguments[0], actions[i].action) != 0)
            continue;
        if (count - 1 < actions[i].min || count - 1 > actions[i].max)
            break;
        cluster->action = actions[i].action;
        if (!actions[i].command)
            return true;
        cluster->argv[cluster->argc++] = "SKEIN";
        cluster->argv[cluster->argc++] = actions[i].command;
        if (cluster->options.force && strcmp(actions[i].command, "TRANSFER") != 0)
            cluster->argv[cluster->argc++] = "FORCE";
        for (int a = 1; a < count; a++)
            cluster->argv[cluster->argc++] = arguments[a];
        return true;
    }
    fprintf(stderr,
            "skein cluster: no such action, or not with so many nodes: \"%.40s\"; skein "
            "cluster --help lists them\n",
            arguments[0]);
    return false;
}

int
cmd_cluster(int argc, char **argv)
{
    struct cluster cluster = {.argc = 0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&cluster_command, argc - 1, argv + 1, &cluster.options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    if (!translate(&cluster, arguments, count))
        return FLAGS_EXIT_USAGE;
    bool recovers = strcmp(cluster.action, "recover") == 0;
    if (recovers != (cluster.options.data_dir != NULL) ||
        (cluster.options.accept_loss && !recovers)) {
        fprintf(stderr, "skein cluster: recover needs --data DIR, and nothing else has it\n");
        return FLAGS_EXIT_USAGE;
    }
    return world_run("cluster", cluster_main, &cluster);
}
