/* SPDX-License-Identifier: Apache-2.0 */
/* What skein cluster prints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cluster.h"
#include "app/json.h"
#include "skein/error.h"

void
cluster_print_string(const char *text)
{
    json_print(text, strlen(text));
}

void
cluster_print_result(const struct cluster *cluster, const char *result, const char *note)
{
    if (!cluster->options.json) {
        if (strcmp(result, "done") == 0 || strcmp(result, "begun") == 0)
            printf("%s: %s\n", result, note);
        return;
    }
    printf("{\"action\": \"%s\", \"result\": \"%s\", \"note\": ", cluster->action, result);
    cluster_print_string(note);
    printf("}\n");
}

/* One "member:" line, in its parts. */
struct shown {
    unsigned node;
    char role[24], addr[72], id[24], state[16];
    int leads, answers;
    uint64_t match;
};

static bool
parse_member(const struct nodes_line *line, struct shown *out)
{
    char text[256];
    size_t count = line->value_bytes < sizeof(text) ? line->value_bytes : sizeof(text) - 1;
    if (line->key_bytes != 6 || memcmp(line->key, "member", 6) != 0)
        return false;
    memcpy(text, line->value, count);
    text[count] = '\0';
    return sscanf(text, "%u %23s %71s %23s leads=%d answers=%d match=%" SCNu64 " state=%15s",
                  &out->node, out->role, out->addr, out->id, &out->leads, &out->answers,
                  &out->match, out->state) == 8;
}

static void
print_table(struct bytes text, bool from_leader)
{
    struct nodes_line line;
    struct shown m;
    char state[16], note[256];
    printf("%-5s %-12s %-22s %-6s %-7s %-10s %s\n", "NODE", "ROLE", "ADDRESS", "LEADS", "ANSWERS",
           "MATCH", "STATE");
    for (size_t at = 0; nodes_next(text, NULL, &at, &line);)
        if (parse_member(&line, &m))
            printf("%-5u %-12s %-22s %-6s %-7s %-10" PRIu64 " %s\n", m.node, m.role, m.addr,
                   m.leads ? "yes" : "no",
                   !from_leader ? "?"
                   : m.answers  ? "yes"
                                : "no",
                   m.match, from_leader ? m.state : "?");
    if (strcmp(nodes_text(text, "change", state, sizeof(state)), "none") != 0)
        printf("\nlast change: %s: %s\n", state,
               nodes_text(text, "change_note", note, sizeof(note)));
}

static void
print_json(struct bytes text, bool from_leader)
{
    struct nodes_line line;
    struct shown m;
    char value[256];
    const char *between = "";
    printf("{\"leader\": %" PRIu64 ", \"asked\": %" PRIu64 ", \"commit\": %" PRIu64
           ", \"change\": \"%s\", \"change_note\": ",
           nodes_number(text, "leader"), nodes_number(text, "node"), nodes_number(text, "commit"),
           nodes_text(text, "change", value, sizeof(value)));
    cluster_print_string(nodes_text(text, "change_note", value, sizeof(value)));
    printf(", \"members\": [");
    for (size_t at = 0; nodes_next(text, NULL, &at, &line);) {
        if (!parse_member(&line, &m))
            continue;
        printf("%s\n  {\"node\": %u, \"role\": \"%s\", \"address\": \"%s\", \"raft_id\": \"%s\", "
               "\"leads\": %s",
               between, m.node, m.role, m.addr, m.id, m.leads ? "true" : "false");
        if (from_leader)
            printf(", \"answers\": %s, \"match\": %" PRIu64 ", \"state\": \"%s\"",
                   m.answers ? "true" : "false", m.match, m.state);
        printf("}");
        between = ",";
    }
    printf("\n]}\n");
}

int
cluster_show(struct cluster *cluster)
{
    struct bytes best = {0};
    bool from_leader = false;
    int rc = -SKEIN_ENOTFOUND;
    for (uint32_t i = 0; i < cluster->options.nodes.count && !from_leader; i++) {
        struct bytes text = {0};
        int asked = cluster_members(cluster, i, &text);
        rc = asked < 0 && best.count == 0 ? asked : 0;
        uint64_t node = asked < 0 ? 0 : nodes_number(text, "node");
        from_leader = node && node == nodes_number(text, "leader");
        if (from_leader || !best.count) {
            bytes_unref(&best);
            best = text;
        } else {
            bytes_unref(&text);
        }
    }
    if (!best.count) {
        fprintf(stderr, "skein cluster: no node answers at --connect (%s)\n", skein_error_text(rc));
        return 1;
    }
    if (cluster->options.json)
        print_json(best, from_leader);
    else
        print_table(best, from_leader);
    bytes_unref(&best);
    return 0;
}
