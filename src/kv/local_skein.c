/* SPDX-License-Identifier: Apache-2.0 */
/* SKEIN: the members of the cluster, for `skein cluster`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/local.h"
#include "kv/resp.h"
#include "net/addr.h"
#include "replica/members.h"
#include "skein/error.h"

static const struct {
    const char *name;
    enum replica_change_kind kind;
} changes[] = {
    {"add", REPLICA_ADD},         {"learner", REPLICA_ADD_LEARNER}, {"remove", REPLICA_REMOVE},
    {"promote", REPLICA_PROMOTE}, {"demote", REPLICA_DEMOTE},       {"replace", REPLICA_REPLACE},
    {"set", REPLICA_SET},
};

static const char *const help[] = {
    "SKEIN <subcommand> [<arg> ...]. A <node> is a number or number=address:port. Subcommands are:",
    "ADD|LEARNER [FORCE] <node> [<node> ...]",
    "    Take new nodes in, to become voters or to stay learners.",
    "REMOVE|PROMOTE|DEMOTE [FORCE] <node> [<node> ...]",
    "    Change what members are.",
    "REPLACE [FORCE] <node> <node>",
    "    Let the second node take the place of the first one.",
    "SET [FORCE] <node> [<node> ...]",
    "    Make these the voters, and remove everybody else.",
    "TRANSFER [<node>]",
    "    Hand leadership over, to the voter that is best up to date or to this one.",
    "LEADER",
    "    Return where the leader's clients connect; nil when that is not known, or there are "
    "groups.",
    "MEMBERS",
    "    Return the members, and how the last change on this node stands.",
    "READ [LINEARIZABLE|LEASE|FOLLOWER|STALE <milliseconds>]",
    "    How fresh this connection's reads are; without an argument, return it.",
    "SESSION OPEN [<milliseconds>] | CLOSE <session>",
    "    A session for writes that are applied once, kept so long without use.",
    "ONCE <session> <sequence> <command> [<arg> ...]",
    "    Apply a write unless its sequence was applied in the session before; the same reply "
    "again.",
    "SLOT <key> [<key> ...]",
    "    Return the slot of each key, its group, and the node that leads it (0: nobody).",
    "SNAPSHOT",
    "    Return this node's state as a file, for skein snapshot save.",
    "HELP",
    "    Print this help.",
};

static void
reply_failure(struct kv_local *local, int rc, const char *why)
{
    const char *word = rc == -SKEIN_ENOTLEADER  ? "NOTLEADER"
                       : rc == -SKEIN_EBUSY     ? "BUSY"
                       : rc == -SKEIN_ENOTFOUND ? "NOMEMBER"
                       : rc == -SKEIN_EREFUSED  ? "REFUSED"
                                                : "ERR";
    kv_reply_errorf(local->out, "%s %s", word, why);
}

/* "4" or "4=127.0.0.1:7104". */
static bool
parse_node(const struct kv_local *local, const struct kv_arg *arg, struct replica_peer *out_peer,
           char why[256])
{
    char text[128], reason[128], formatted[NET_ADDR_TEXT_BYTES];
    snprintf(text, sizeof(text), "%.*s", (int)(arg->count < 120 ? arg->count : 120),
             (const char *)arg->data);
    char *equals = strchr(text, '=');
    char *end = text;
    unsigned long number = text[0] >= '1' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    *out_peer = (struct replica_peer){.node = (uint32_t)number};
    if (number == 0 || number > UINT16_MAX || (*end && end != equals)) {
        snprintf(why, 256, "a node is a number from 1 to 65535 or like 4=127.0.0.1:7104: \"%.40s\"",
                 text);
        return false;
    }
    if (!equals)
        return true;
    if (net_addr_parse(equals + 1, &out_peer->addr, reason) < 0 || out_peer->addr.port == 0) {
        snprintf(why, 256, "\"%.40s\" is no address with a port", equals + 1);
        return false;
    }
    if (net_addr_is_loopback(&out_peer->addr) || local->face->options.allow_plaintext)
        return true;
    snprintf(why, 256,
             "%s is not loopback, and nothing is encrypted or authenticated; on a network that you "
             "trust start the nodes with --allow-plaintext",
             net_addr_format(&out_peer->addr, formatted));
    return false;
}

/* With several groups a change would have to be carried out in each of them; nothing does that. */
static bool
has_one_group(struct kv_local *local, const char *what)
{
    if (local->face->group_count == 1)
        return true;
    kv_reply_errorf(local->out, "ERR %s: not with several groups (--groups %u)", what,
                    local->face->group_count);
    return false;
}

static void
skein_change(struct kv_local *local, enum replica_change_kind kind, const struct kv_arg *argv,
             uint32_t argc)
{
    struct replica_change change = {.kind = kind};
    char why[512];
    uint64_t id;
    if (!has_one_group(local, "members cannot be changed"))
        return;
    change.force = argc > 0 && kv_local_is(&argv[0], "force");
    for (uint32_t i = change.force; i < argc; i++) {
        if (change.peer_count == REPLICA_NODES_MAX) {
            kv_reply_errorf(local->out, "ERR at most %d nodes", REPLICA_NODES_MAX);
            return;
        }
        if (!parse_node(local, &argv[i], &change.peers[change.peer_count++], why)) {
            kv_reply_errorf(local->out, "ERR %s", why);
            return;
        }
    }
    int rc = replica_change_begin(local->face->options.replica, &change, &id, why);
    if (rc < 0) {
        reply_failure(local, rc, why);
        return;
    }
    char started[64];
    snprintf(started, sizeof(started), "STARTED %016" PRIx64, id);
    kv_reply_simple(local->out, started);
}

static void
skein_transfer(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    struct replica_peer peer = {.node = 0};
    char why[512];
    if (!has_one_group(local, "leadership cannot be handed over as a whole"))
        return;
    if (argc > 1 || (argc == 1 && !parse_node(local, &argv[0], &peer, why))) {
        kv_reply_error(local->out, "ERR TRANSFER takes the number of one node, or nothing");
        return;
    }
    int rc = replica_transfer(local->face->options.replica, peer.node, why);
    if (rc < 0)
        reply_failure(local, rc, why);
    else
        kv_reply_simple(local->out, "STARTED");
}

static const char *
role_name(uint8_t roles)
{
    if (roles & RAFT_LEARNER)
        return "learner";
    if (!(roles & RAFT_OUTGOING))
        return roles ? "voter" : "none";
    return roles & RAFT_VOTER ? "voter" : roles & RAFT_LEARNER_NEXT ? "learner-next" : "outgoing";
}

const char *
kv_local_progress_name(enum raft_progress_state state)
{
    switch (state) {
    case RAFT_PROBE:
        return "probe";
    case RAFT_REPLICATE:
        return "replicate";
    case RAFT_SNAPSHOTTING:
        return "snapshot";
    }
    return "?";
}

static void
skein_members(struct kv_local *local)
{
    struct replica *replica = local->face->options.replica;
    struct replica_change_status change;
    struct replica_member members[RAFT_MEMBERS_MAX];
    struct replica_status status;
    struct wire_writer text = {0};
    char addr[NET_ADDR_TEXT_BYTES];
    replica_status(replica, &status);
    replica_change_status(replica, &change);
    uint32_t count = replica_members(replica, members);
    kv_local_printf(&text, "node:%u\r\nleader:%u\r\ncommit:%" PRIu64 "\r\n", status.node,
                    status.leader_node, status.raft.hard_state.commit);
    kv_local_printf(&text, "change:%s\r\nchange_id:%016" PRIx64 "\r\nchange_failure:%s\r\n",
                    replica_change_state_name(change.state), change.id,
                    change.failure ? skein_error_name(change.failure) : "");
    kv_local_printf(&text, "change_note:%.255s\r\n", change.note);
    for (uint32_t i = 0; i < count; i++) {
        const struct replica_member *m = &members[i];
        kv_local_printf(&text,
                        "member:%u %s %s %016" PRIx64 " leads=%d answers=%d match=%" PRIu64
                        " state=%s\r\n",
                        m->node, role_name(m->roles), net_addr_format(&m->addr, addr), m->raft_id,
                        m->leads, m->answers, m->match, kv_local_progress_name(m->state));
    }
    kv_reply_bulk(local->out, text.data, text.count);
    wire_writer_deinit(&text);
}

static void
skein_leader(struct kv_local *local)
{
    struct replica_status status;
    char addr[NET_ADDR_TEXT_BYTES];
    replica_status(local->face->options.replica, &status);
    if (status.leader_client.port == 0 || !local->face->options.advertised) {
        kv_reply_null(local->out);
        return;
    }
    net_addr_format(&status.leader_client, addr);
    kv_reply_bulk(local->out, addr, strlen(addr));
}

#define STALE_MS_MAX 3600000

static void
skein_read(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    struct kv_conn *conn = local->conn;
    enum replica_level level = REPLICA_LINEARIZABLE;
    int64_t ms = 0;
    if (argc == 0) {
        kv_reply_simple(local->out, replica_level_name(conn->level));
        return;
    }
    while (replica_level_name(level) && !kv_local_is(&argv[0], replica_level_name(level)))
        level++;
    bool stale = level == REPLICA_STALE;
    if (!replica_level_name(level) || argc != 1u + stale ||
        (stale &&
         (!kv_resp_integer(argv[1].data, argv[1].count, &ms) || ms < 0 || ms > STALE_MS_MAX))) {
        kv_reply_errorf(local->out,
                        "ERR a read is LINEARIZABLE, LEASE, FOLLOWER or STALE <0 to %d "
                        "milliseconds>",
                        STALE_MS_MAX);
        return;
    }
    if (level == REPLICA_LEASE && !replica_has_leases(local->face->options.replica)) {
        kv_reply_error(local->out, "REFUSED this node was not told by how much clocks may differ: "
                                   "start every node with --lease-drift-ppm");
        return;
    }
    conn->level = level;
    conn->stale_ns = (uint64_t)ms * 1000000;
    kv_reply_simple(local->out, "OK");
}

static void
skein_slot(struct kv_local *local, const struct kv_arg *keys, uint32_t count)
{
    struct replica_status status;
    kv_reply_array(local->out, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = kv_slot(keys[i]), group = kv_slot_group(slot, local->face->group_count);
        replica_status(kv_face_group(local->face, group), &status);
        kv_reply_array(local->out, 3);
        kv_reply_integer(local->out, slot);
        kv_reply_integer(local->out, group);
        kv_reply_integer(local->out, status.leader_node);
    }
}

void
kv_local_skein(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    for (size_t i = 0; i < BASE_COUNT_OF(changes); i++)
        if (kv_local_is(&argv[1], changes[i].name)) {
            skein_change(local, changes[i].kind, argv + 2, argc - 2);
            return;
        }
    if (kv_local_is(&argv[1], "read"))
        skein_read(local, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "transfer"))
        skein_transfer(local, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "slot") && argc > 2)
        skein_slot(local, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "slot"))
        kv_local_wrong_arity(local, "skein", "slot");
    else if (kv_local_is(&argv[1], "leader") && argc == 2)
        skein_leader(local);
    else if (kv_local_is(&argv[1], "leader"))
        kv_local_wrong_arity(local, "skein", "leader");
    else if (kv_local_is(&argv[1], "members") && argc == 2)
        skein_members(local);
    else if (kv_local_is(&argv[1], "members"))
        kv_local_wrong_arity(local, "skein", "members");
    else if (kv_local_is(&argv[1], "help"))
        kv_local_help(local, help, BASE_COUNT_OF(help));
    else
        kv_local_unknown_subcommand(local, &argv[1], "SKEIN");
}
