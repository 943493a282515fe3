/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/flags.h"
#include "app/nodes.h"
#include "app/world.h"
#include "base/mem.h"
#include "disk/explain.h"
#include "net/addr.h"
#include "replica/backup.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "skein/socket.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define SECOND_NS UINT64_C(1000000000)
/* Between two lines of a log. */
#define PROGRESS_NS (10 * SECOND_NS)

struct snapshot_options {
    struct nodes nodes;
    uint64_t timeout_ns;
    const char *data_dir, *cluster_name;
    uint32_t node;
    bool json;
    const char *path;
    int (*action)(const struct snapshot_options *options);
};

static const struct flags_row rows[] = {
    {"connect", "LIST", NODES_DEFAULT,
     "save: nodes to ask, separated by commas; the one that leads is saved.", nodes_parse,
     FLAGS_FIELD(struct snapshot_options, nodes)},
    {"timeout-ms", "MS", "60000", "save: give up when nothing comes for so long.",
     flags_parse_number, FLAGS_FIELD(struct snapshot_options, timeout_ns), 1, 86400000, 1000000},
    {"data", "DIR", NULL, "restore: the new node's data directory; absent, or empty.",
     flags_parse_text, FLAGS_FIELD(struct snapshot_options, data_dir)},
    {"node", "N", "1", "restore: the new node's number.", flags_parse_number,
     FLAGS_FIELD(struct snapshot_options, node), 1, 65535},
    {"cluster", "NAME", "skein", "restore: the new cluster's name, as serve's --cluster.",
     flags_parse_text, FLAGS_FIELD(struct snapshot_options, cluster_name), 1, 64},
    {"json", NULL, NULL, "Print JSON.", flags_parse_switch,
     FLAGS_FIELD(struct snapshot_options, json)},
};

static const struct flags_command snapshot_command = {
    .name = "snapshot",
    .usage = "save|verify|restore FILE [OPTION...]",
    .summary = "back a cluster up, check a backup, begin a new cluster with one",
    .details =
        "save writes the leader's state to FILE, whole or not at all. verify reads all of FILE and "
        "checks\n"
        "it. restore makes a data directory of a new cluster: start its node with skein serve, "
        "and the\n"
        "other nodes of the new cluster with empty directories; they join by themselves.\n"
        "\n"
        "Exit status: 0 done; 1 failed, with the reason; 2 the file is damaged.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 2,
    .argument_max = 2,
};

/* ---- how far it is, on standard error ---- */

/* On a terminal one line that changes; elsewhere (a log) a line of its own now and then. */
struct progress {
    bool on_terminal, shown;
    uint64_t next_ns;
};

static void
show_progress(void *owner, const char *what, uint64_t done_bytes, uint64_t all_bytes)
{
    struct progress *progress = owner;
    uint64_t now_ns = skein_now_ns();
    if (now_ns < progress->next_ns)
        return;
    progress->next_ns = now_ns + (progress->on_terminal ? SECOND_NS / 10 : PROGRESS_NS);
    progress->shown = true;
    fprintf(stderr,
            progress->on_terminal ? "\r%s %" PRIu64 " of %" PRIu64 " MiB"
                                  : "%s %" PRIu64 " of %" PRIu64 " MiB\n",
            what, done_bytes >> 20, all_bytes >> 20);
}

static struct progress
progress_begin(void)
{
    bool on_terminal = isatty(STDERR_FILENO);
    uint64_t quiet_ns = on_terminal ? SECOND_NS / 2 : PROGRESS_NS;
    return (struct progress){.on_terminal = on_terminal, .next_ns = skein_deadline_in(quiet_ns)};
}

static void
progress_end(const struct progress *progress)
{
    if (progress->shown && progress->on_terminal)
        fprintf(stderr, "\n");
}

/* ---- save ---- */

static int
find_leader(const struct snapshot_options *options, struct skein_addr *out_addr)
{
    int rc = -SKEIN_ENOLEADER;
    for (uint32_t i = 0; i < options->nodes.count; i++) {
        struct bytes text = {0};
        char role[32];
        if (nodes_info(&options->nodes.list[i], &text, skein_deadline_in(2 * SECOND_NS)) < 0)
            continue;
        if (strcmp(nodes_text(text, "role", role, sizeof role), "leader") == 0) {
            *out_addr = options->nodes.list[i];
            rc = 0;
        }
        bytes_unref(&text);
    }
    return rc;
}

/* "$123\r\n", or what the node says instead. */
static int
read_length(int handle, uint64_t deadline_ns, uint64_t *out_bytes, char why[512])
{
    char line[256];
    size_t have = 0;
    while (have < sizeof line - 1) {
        ssize_t n = skein_socket_recv(handle, line + have, 1, deadline_ns);
        if (n <= 0)
            return n < 0 ? (int)n : -SKEIN_EEOF;
        if (line[have++] == '\n')
            break;
    }
    line[have] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] != '$') {
        snprintf(why, 512, "the node answers: %.200s", line);
        return -SKEIN_EPROTO;
    }
    *out_bytes = strtoull(line + 1, NULL, 10);
    return 0;
}

static int
receive(const struct snapshot_options *options, int handle, int file, uint64_t bytes)
{
    struct progress progress = progress_begin();
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    int rc = 0;
    for (uint64_t at = 0; at < bytes && rc == 0;) {
        size_t wanted = bytes - at < PIECE_BYTES ? (size_t)(bytes - at) : PIECE_BYTES;
        ssize_t n =
            skein_socket_recv(handle, piece, wanted, skein_deadline_in(options->timeout_ns));
        rc = n > 0   ? skein_file_pwrite(file, piece, (size_t)n, at, 0)
             : n < 0 ? (int)n
                     : -SKEIN_EEOF;
        at += n > 0 ? (uint64_t)n : 0;
        show_progress(&progress, "received", at, bytes);
    }
    progress_end(&progress);
    mem_free(piece);
    return rc == 0 ? skein_file_sync(file, 0) : rc;
}

static int
fetch(const struct snapshot_options *options, const struct skein_addr *addr, const char *part,
      char why[512])
{
    static const char command[] = "*2\r\n$5\r\nSKEIN\r\n$8\r\nSNAPSHOT\r\n";
    uint64_t deadline_ns = skein_deadline_in(options->timeout_ns), bytes = 0;
    int handle = skein_socket_connect(addr, deadline_ns);
    if (handle < 0)
        return handle;
    int rc = skein_socket_send(handle, command, sizeof command - 1, deadline_ns);
    if (rc == 0)
        rc = read_length(handle, deadline_ns, &bytes, why);
    int file =
        rc < 0
            ? rc
            : skein_file_open(part, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC, 0600);
    if (rc == 0 && file < 0)
        rc = disk_explain(file, "cannot create", part, why);
    if (rc == 0)
        rc = receive(options, handle, file, bytes);
    if (file >= 0)
        skein_close(file);
    skein_close(handle);
    return rc;
}

static void
print_info(const struct snapshot_options *options, const struct checkpoint_info *info)
{
    struct skein_stat stat = {0};
    char cluster[33];
    for (int i = 0; i < 16; i++)
        snprintf(cluster + 2 * i, 3, "%02x", info->cluster[i]);
    (void)!skein_file_stat(options->path, &stat);
    printf(options->json ? "{\"index\":%" PRIu64 ",\"term\":%" PRIu64 ",\"time_ms\":%" PRIu64
                           ",\"bytes\":%" PRIu64 ",\"cluster\":\"%s\"}\n"
                         : "index %" PRIu64 ", term %" PRIu64 ", log time %" PRIu64 " ms, %" PRIu64
                           " bytes, cluster %s\n",
           info->snapshot.index, info->snapshot.term, info->time_ms, stat.size_bytes, cluster);
}

static const char remedy_of_backup[] =
    "this backup cannot be restored: use another one, or make one (skein snapshot save)";

/* @remedy: what to do about a damaged file. */
static int
failed(int rc, const char *why, const char *remedy)
{
    bool damaged = rc == -SKEIN_ECORRUPT;
    fprintf(stderr, "skein snapshot: %s%s%s\n", why[0] ? why : skein_error_text(rc),
            damaged ? "; " : "", damaged ? remedy : "");
    return damaged ? 2 : 1;
}

static int
check_file(const char *path, struct checkpoint_info *out_info, char why[512])
{
    struct progress progress = progress_begin();
    struct backup_progress report = {show_progress, &progress};
    int rc = backup_verify(path, &report, out_info, why);
    progress_end(&progress);
    return rc;
}

static int
save(const struct snapshot_options *options)
{
    struct checkpoint_info info;
    struct skein_addr addr;
    char part[4096], why[512] = "";
    if (snprintf(part, sizeof part, "%s.part", options->path) >= (int)sizeof part)
        return failed(-ENAMETOOLONG, why, "");
    int rc = find_leader(options, &addr);
    if (rc < 0)
        return failed(rc, "no node that was asked leads; name others with --connect", "");
    rc = fetch(options, &addr, part, why);
    if (rc == 0)
        rc = check_file(part, &info, why);
    if (rc == 0) {
        rc = skein_file_rename(part, options->path);
        if (rc < 0)
            disk_explain(rc, "cannot rename to", options->path, why);
    }
    if (rc < 0) {
        (void)!skein_file_unlink(part, 0);
        return failed(rc, why, "nothing was saved; save again");
    }
    print_info(options, &info);
    return 0;
}

static int
verify(const struct snapshot_options *options)
{
    struct checkpoint_info info;
    char why[512] = "";
    int rc = check_file(options->path, &info, why);
    if (rc < 0)
        return failed(rc, why, remedy_of_backup);
    print_info(options, &info);
    return 0;
}

static int
restore(const struct snapshot_options *options)
{
    struct checkpoint_info info;
    char why[512] = "";
    struct progress progress = progress_begin();
    struct backup_progress report = {show_progress, &progress};
    struct backup_restore target = {options->path, options->data_dir, options->cluster_name,
                                    options->node, &report};
    int rc = backup_restore(&target, &info, why);
    progress_end(&progress);
    if (rc < 0)
        return failed(rc, why, remedy_of_backup);
    if (options->json)
        print_info(options, &info);
    else
        printf("restored index %" PRIu64
               " to %s; start it with: skein serve --node %u --cluster %s "
               "--data %s --peers ...\n",
               info.snapshot.index, options->data_dir, options->node, options->cluster_name,
               options->data_dir);
    return 0;
}

static int
snapshot_main(void *arg)
{
    const struct snapshot_options *options = arg;
    return options->action(options);
}

int
cmd_snapshot(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*action)(const struct snapshot_options *options);
    } actions[] = {{"save", save}, {"verify", verify}, {"restore", restore}};
    struct snapshot_options options = {0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&snapshot_command, argc - 1, argv + 1, &options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    for (size_t i = 0; i < BASE_COUNT_OF(actions); i++)
        if (strcmp(arguments[0], actions[i].name) == 0)
            options.action = actions[i].action;
    options.path = arguments[1];
    if (!options.action || (options.action == restore && !options.data_dir)) {
        fprintf(stderr, "skein snapshot: %s\n",
                options.action ? "restore needs --data DIR" : "save, verify or restore FILE");
        return FLAGS_EXIT_USAGE;
    }
    return world_run("snapshot", snapshot_main, &options);
}
