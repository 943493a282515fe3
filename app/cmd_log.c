/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/flags.h"
#include "app/world.h"
#include "base/mem.h"
#include "disk/wal_inspect.h"
#include "skein/error.h"
#include "skein/file.h"

struct log_options {
    bool entries, json;
    bool verify;
    const char *dir;
};

static const struct flags_row rows[] = {
    {"entries", NULL, NULL, "inspect: list every entry, too.", flags_parse_switch,
     FLAGS_FIELD(struct log_options, entries)},
    {"json", NULL, NULL, "One JSON object instead of a table.", flags_parse_switch,
     FLAGS_FIELD(struct log_options, json)},
};

static const struct flags_command log_command = {
    .name = "log",
    .usage = "inspect|verify DIR [--entries] [--json]",
    .summary = "what a node's log holds, and whether it is whole",
    .details =
        "DIR is a node's data directory, or the wal directory in it. Nothing is changed; look at "
        "a stopped node, what a running one is writing may be shown as torn.\n"
        "\n"
        "Exit status: 0 whole, or with a torn end that was never acknowledged; 1 it cannot be "
        "read; 2 damaged, and the peers can repair it; 3 damaged beyond that: the node "
        "sets it aside and joins anew, or refuses it.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 2,
    .argument_max = 2,
};

static const char *const verdicts[] = {
    [WAL_INSPECT_WHOLE] = "whole",
    [WAL_INSPECT_TORN] = "torn at the end, which was never acknowledged",
    [WAL_INSPECT_REPAIRABLE] = "damaged; its peers can repair it",
    [WAL_INSPECT_DAMAGED] = "damaged; cannot be repaired in its place",
};
static const char *const remedies[] = {
    [WAL_INSPECT_WHOLE] = NULL,
    [WAL_INSPECT_TORN] = NULL,
    [WAL_INSPECT_REPAIRABLE] = "start the node while its peers run; one that has none needs a "
                               "backup (skein snapshot restore)",
    [WAL_INSPECT_DAMAGED] = "start the node while its peers run: it sets the log aside and joins "
                            "anew, or says why not; one that has none needs a backup (skein "
                            "snapshot restore)",
};
static const char *const verdict_names[] = {"whole", "torn", "repairable", "damaged"};
static const int verdict_exits[] = {0, 0, 2, 3};
static const char *const entry_names[] = {"command", "config", "config-v2"};

static uint64_t
entry_bytes(const struct wal_group_recovery *group)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < group->entry_count; i++)
        bytes += group->entries[i].data.count;
    return bytes;
}

static void
print_group(const struct wal_group_recovery *group, const struct log_options *options)
{
    const struct raft_hard_state *state = &group->hard_state;
    printf("group %u: term %" PRIu64 ", vote %" PRIx64 ", commit %" PRIu64
           "; begins behind index %" PRIu64 " of term %" PRIu64 "; ",
           group->group, state->term, state->vote, state->commit, group->start_index,
           group->start_term);
    if (group->entry_count > 0)
        printf("entries %" PRIu64 " to %" PRIu64 ", %" PRIu64 " bytes\n", group->entries[0].index,
               group->entries[group->entry_count - 1].index, entry_bytes(group));
    else
        printf("no entries\n");
    for (size_t i = 0; options->entries && i < group->entry_count; i++)
        printf("  %10" PRIu64 "  term %-6" PRIu64 " %-9s %8zu bytes\n", group->entries[i].index,
               group->entries[i].term, entry_names[group->entries[i].type],
               group->entries[i].data.count);
}

static void
print_table(const struct wal_inspect *log, const struct log_options *options)
{
    printf("log of node %u, raft id %" PRIx64 "\n", (unsigned)(log->identity.node >> 48),
           log->identity.node);
    printf("%-12s %7s %10s %8s %10s %6s %12s %8s\n", "segment", "version", "bytes", "blocks",
           "unreadable", "group", "last index", "term");
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct wal_inspect_segment *segment = &log->segments[i];
        char version[16] = "damaged";
        if (segment->version)
            snprintf(version, sizeof version, "%u", segment->version);
        printf("%08u.wal %7s %10" PRIu64 " %8" PRIu64 " %10" PRIu64 " %6u %12" PRIu64 " %8" PRIu64
               "\n",
               segment->number, version, segment->file_bytes, segment->good_blocks,
               segment->bad_blocks, segment->group, segment->last_index, segment->last_term);
    }
    for (size_t i = 0; i < log->log.group_count; i++)
        print_group(&log->log.groups[i], options);
}

static void
print_verdict(const struct wal_inspect *log)
{
    printf("%s", verdicts[log->verdict]);
    if (log->log.torn_bytes > 0 && log->verdict == WAL_INSPECT_TORN)
        printf(" (%" PRIu64 " bytes)", log->log.torn_bytes);
    if (log->why[0])
        printf(": %s", log->why);
    printf("\n");
    if (log->verdict == WAL_INSPECT_REPAIRABLE)
        printf("it had promised to group %u: term %" PRIu64 ", vote %" PRIx64
               ", entries up to %" PRIu64 " of term %" PRIu64 "\n",
               log->mark.group, log->mark.state.hard_state.term, log->mark.state.hard_state.vote,
               log->mark.last_index, log->mark.last_term);
    if (remedies[log->verdict])
        printf("%s\n", remedies[log->verdict]);
}

static void
print_json_text(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            putchar('\\');
        if (*c >= 32)
            putchar(*c);
        else
            printf("\\u%04x", *c);
    }
    putchar('"');
}

static void
print_json_group(const struct wal_group_recovery *group, const struct log_options *options)
{
    const struct raft_hard_state *state = &group->hard_state;
    printf("{\"group\":%u,\"term\":%" PRIu64 ",\"vote\":\"%" PRIx64 "\",\"commit\":%" PRIu64
           ",\"start_index\":%" PRIu64 ",\"entries\":%zu,\"entry_bytes\":%" PRIu64,
           group->group, state->term, state->vote, state->commit, group->start_index,
           group->entry_count, entry_bytes(group));
    for (size_t i = 0; options->entries && i < group->entry_count; i++)
        printf("%s{\"index\":%" PRIu64 ",\"term\":%" PRIu64 ",\"type\":\"%s\",\"bytes\":%zu}%s",
               i ? "," : ",\"list\":[", group->entries[i].index, group->entries[i].term,
               entry_names[group->entries[i].type], group->entries[i].data.count,
               i + 1 == group->entry_count ? "]" : "");
    printf("}");
}

static void
print_json(const struct wal_inspect *log, const struct log_options *options)
{
    printf("{\"verdict\":\"%s\",\"why\":", verdict_names[log->verdict]);
    print_json_text(log->why);
    printf(",\"node\":%u,\"raft_id\":\"%" PRIx64 "\",\"torn_bytes\":%" PRIu64 ",\"segments\":[",
           (unsigned)(log->identity.node >> 48), log->identity.node, log->log.torn_bytes);
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct wal_inspect_segment *segment = &log->segments[i];
        printf("%s{\"number\":%u,\"version\":%u,\"generation\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"blocks\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",\"group\":%u"
               ",\"last_index\":%" PRIu64 ",\"last_term\":%" PRIu64 "}",
               i ? "," : "", segment->number, segment->version, segment->generation,
               segment->file_bytes, segment->good_blocks, segment->bad_blocks, segment->group,
               segment->last_index, segment->last_term);
    }
    printf("],\"groups\":[");
    for (size_t i = 0; i < log->log.group_count; i++) {
        printf("%s", i ? "," : "");
        print_json_group(&log->log.groups[i], options);
    }
    printf("]}\n");
}

static int
log_main(void *arg)
{
    const struct log_options *options = arg;
    struct wal_inspect log;
    struct skein_stat stat;
    char dir[4096], why[512] = "";
    snprintf(dir, sizeof dir, "%s/wal", options->dir);
    if (skein_file_stat(dir, &stat) < 0)
        snprintf(dir, sizeof dir, "%s", options->dir);
    int rc = wal_inspect(dir, &log, why);
    if (rc < 0) {
        fprintf(stderr, "skein log: %s\n", why);
        return 1;
    }
    if (options->json) {
        print_json(&log, options);
    } else {
        if (!options->verify)
            print_table(&log, options);
        print_verdict(&log);
    }
    int status = verdict_exits[log.verdict];
    wal_inspect_deinit(&log);
    return status;
}

int
cmd_log(int argc, char **argv)
{
    struct log_options options = {0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&log_command, argc - 1, argv + 1, &options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    options.verify = strcmp(arguments[0], "verify") == 0;
    options.dir = arguments[1];
    if (!options.verify && strcmp(arguments[0], "inspect") != 0) {
        fprintf(stderr, "skein log: inspect or verify, not \"%.40s\"\n", arguments[0]);
        return FLAGS_EXIT_USAGE;
    }
    return world_run("log", log_main, &options);
}
