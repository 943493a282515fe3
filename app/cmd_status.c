/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/json.h"
#include "app/nodes.h"
#include "app/world.h"
#include "skein/shard.h"
#include "net/addr.h"
#include "skein/error.h"

struct status_options {
    struct nodes nodes;
    uint64_t timeout_ns;
    bool json;
};

struct status {
    struct status_options options;
    bool first;
    bool has_leader;
};

static const struct flags_row rows[] = {
    {"connect", "LIST", NODES_DEFAULT, "The nodes to ask, separated by commas.", nodes_parse,
     FLAGS_FIELD(struct status_options, nodes)},
    {"timeout-ms", "MS", "2000", "How long to wait for each.", flags_parse_number,
     FLAGS_FIELD(struct status_options, timeout_ns), 1, 3600000, 1000000},
    {"json", NULL, NULL, "Print JSON: every figure of INFO's skein section.", flags_parse_switch,
     FLAGS_FIELD(struct status_options, json)},
};

static const struct flags_command status_command = {
    .name = "status",
    .usage = "[--json] [OPTION...]",
    .summary = "the nodes of a cluster, as a table or JSON",
    .details = "Exit status: 0 when one of the nodes leads; 1 when none does or none answers.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
};

/* A plain whole number that every JSON reader takes: no leading zero, at most 15 digits. */
static bool
is_number(const struct nodes_line *line)
{
    size_t digits = 0;
    while (digits < line->value_bytes && line->value[digits] >= '0' && line->value[digits] <= '9')
        digits++;
    return digits > 0 && digits <= 15 && digits == line->value_bytes &&
           (digits == 1 || line->value[0] != '0');
}

static void
print_json(struct status *status, const char *addr, int rc, struct bytes text)
{
    struct nodes_line line;
    size_t at = 0;
    printf("%s\n  {\"address\": \"%s\", \"reachable\": %s", status->first ? "" : ",", addr,
           rc == 0 ? "true" : "false");
    if (rc < 0)
        printf(", \"error\": \"%s\"", skein_error_name(rc));
    while (rc == 0 && nodes_next(text, "skein", &at, &line)) {
        printf(", ");
        json_print(line.key, line.key_bytes);
        printf(": ");
        if (is_number(&line))
            printf("%.*s", (int)line.value_bytes, line.value);
        else
            json_print(line.value, line.value_bytes);
    }
    printf("}");
}

static void
print_row(struct status *status, const char *addr, int rc, struct bytes text)
{
    char phase[24], role[24];
    if (status->first)
        printf("%-22s %-5s %-9s %-10s %-6s %-8s %-10s %-10s %s\n", "ADDRESS", "NODE", "PHASE",
               "ROLE", "LEADER", "TERM", "COMMIT", "APPLIED", "KEYS");
    if (rc < 0) {
        printf("%-22s %-5s %s\n", addr, "-", skein_error_text(rc));
        return;
    }
    printf("%-22s %-5" PRIu64 " %-9s %-10s %-6" PRIu64 " %-8" PRIu64 " %-10" PRIu64 " %-10" PRIu64
           " %" PRIu64 "\n",
           addr, nodes_number(text, "node"), nodes_text(text, "phase", phase, sizeof(phase)),
           nodes_text(text, "role", role, sizeof(role)), nodes_number(text, "leader"),
           nodes_number(text, "term"), nodes_number(text, "commit"), nodes_number(text, "applied"),
           nodes_number(text, "keys"));
}

static int
status_main(void *arg)
{
    struct status *status = arg;
    if (status->options.json)
        printf("{\"nodes\": [");
    status->first = true;
    for (uint32_t i = 0; i < status->options.nodes.count; i++) {
        struct bytes text = {0};
        char addr[NET_ADDR_TEXT_BYTES], role[24];
        net_addr_format(&status->options.nodes.list[i], addr);
        int rc = nodes_info(&status->options.nodes.list[i], &text,
                            skein_deadline_in(status->options.timeout_ns));
        if (status->options.json)
            print_json(status, addr, rc, text);
        else
            print_row(status, addr, rc, text);
        if (strcmp(nodes_text(text, "role", role, sizeof(role)), "leader") == 0)
            status->has_leader = true;
        bytes_unref(&text);
        status->first = false;
    }
    if (status->options.json)
        printf("\n]}\n");
    return status->has_leader ? 0 : 1;
}

int
cmd_status(int argc, char **argv)
{
    struct status status = {0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&status_command, argc - 1, argv + 1, &status.options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    return world_run("status", status_main, &status);
}
