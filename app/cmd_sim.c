/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/flags.h"
#include "app/serve_config.h"
#include "base/mutation.h"
#include "sim/draw.h"
#include "sim/faults.h"
#include "sim/shrink.h"
#include "sim/sweep.h"
#include "skein/error.h"

struct sim_flags {
    uint64_t seed, seeds, start, nodes, groups, seconds, clients, fault_steps, jobs;
    const char *trace, *history, *html, *faults, *set, *plan, *mutation;
    bool json, log, first, shuffle, shrink, members, quiesce;
    enum kv_store store;
};

static const struct flags_row rows[] = {
    {.name = "seed",
     .value = "N",
     .help = "run this seed only, and say more about it",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, seed),
     .min = 1,
     .max = UINT64_MAX / 4},
    {.name = "seeds",
     .value = "N",
     .fallback = "100",
     .help = "how many seeds to run",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, seeds),
     .min = 1,
     .max = 1000000000},
    {.name = "start",
     .value = "N",
     .fallback = "1",
     .help = "the first of them",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, start),
     .min = 1,
     .max = UINT64_MAX / 4},
    {.name = "nodes",
     .value = "N",
     .fallback = "0",
     .help = "nodes of the cluster; 0: by seed, 3 or 5",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, nodes),
     .min = 0,
     .max = 7},
    {.name = "groups",
     .value = "N",
     .fallback = "0",
     .help = "Raft groups on each node; 0: by seed, mostly 1",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, groups),
     .min = 0,
     .max = SIM_GROUPS_MAX},
    {.name = "quiesce",
     .help = "idle groups sleep; without it only where the seed says so",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, quiesce)},
    {.name = "store",
     .value = "NAME",
     .fallback = "memory",
     .help = "memory; lmdb is refused: it reads and writes by itself, where no fault can be put in",
     .parse = serve_parse_store,
     FLAGS_FIELD(struct sim_flags, store)},
    {.name = "seconds",
     .value = "N",
     .fallback = "30",
     .help = "simulated seconds with faults; as many, 30 at least, follow with a majority healed",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, seconds),
     .min = 1,
     .max = 3000},
    {.name = "clients",
     .value = "N",
     .fallback = "0",
     .help = "clients of the cluster; 0: by seed, 3 to 8",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, clients),
     .min = 0,
     .max = SIM_CLIENTS_MAX},
    {.name = "faults",
     .value = "LIST",
     .help = "only these kinds of faults, or none; they are named below",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, faults)},
    {.name = "set",
     .value = "LIST",
     .help = "NAME=VALUE, separated by commas: not as the seed draws it; see skein-sim(1)",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, set)},
    {.name = "plan",
     .value = "FILE",
     .help = "the same, NAME = VALUE on each line; --set counts more",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, plan)},
    {.name = "fault-steps",
     .value = "N",
     .fallback = "0",
     .help = "no new fault after so many; 0: no such limit",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, fault_steps),
     .min = 0,
     .max = 1000000},
    {.name = "jobs",
     .value = "N",
     .fallback = "0",
     .help = "processes at a time; 0: one a processor",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct sim_flags, jobs),
     .min = 0,
     .max = 64},
    {.name = "trace",
     .value = "FILE",
     .help = "with --seed: write every event into FILE, the same bytes each time",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, trace)},
    {.name = "history",
     .value = "FILE",
     .help = "with --seed: write what the clients saw into FILE, for skein check-history",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, history)},
    {.name = "html",
     .value = "FILE",
     .help = "with --seed: draw the run into FILE, a page that needs no network",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, html)},
    {.name = "mutation",
     .value = "NAME",
     .help = "put a known bug back in (only in a build with -Dmutations=true)",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct sim_flags, mutation)},
    {.name = "shrink",
     .help = "with --seed: look for a smaller failure: fewer faults and clients, a shorter run",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, shrink)},
    {.name = "first",
     .help = "stop at the first seed that fails",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, first)},
    {.name = "json",
     .help = "one line of JSON for each seed and one for all",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, json)},
    {.name = "log",
     .help = "with --seed: the nodes' own log lines, on standard error",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, log)},
    {.name = "members",
     .help = "three of six nodes begin, and members come and go while things break",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, members)},
    {.name = "shuffle",
     .help = "run ready fibers in an order drawn from the seed, instead of their own",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct sim_flags, shuffle)},
};

static const struct flags_command sim_command = {
    .name = "sim",
    .usage = "[--seed N | --seeds N] [OPTION...]",
    .summary = "whole clusters of the real code under virtual time, each derived from one seed",
    .details =
        "Each seed: nodes and clients on a faulty network and faulty disks; crashes, pauses,\n"
        "partitions; then a majority is healed and has to serve; then every node has to come to\n"
        "the same state. The clients' history has to be linearizable.\n\n"
        "Faults: crash, crash-all, stop, pause, split, one-way, isolate-leader, link, "
        "disk-errors,\n"
        "disk-full, disk-slow, flip, wipe, clock, misdirect, clog, transfer, rot, memory; and "
        "aimed,\n"
        "at the instant of a message or a write.\n\n"
        "Exit status: 0 all passed; 1 something happened that must not (safety); 2 something did\n"
        "not happen that must (liveness); 3 a seed crashed; 64 the command line is wrong.\n",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
};

struct progress {
    const struct sim_flags *flags;
    const struct sim_run_options *run;
    uint64_t done, total, failed;
    bool terminal;
};

static const char *
verdict_name(enum sim_verdict verdict)
{
    static const char *const names[] = {"passed", "safety", "liveness", "crashed"};
    return names[verdict];
}

static void
print_replay(const struct sim_flags *flags, const struct sim_run_options *run, uint64_t seed)
{
    printf("  replay: skein sim%s%s%s --seed %" PRIu64, flags->shuffle ? " --shuffle" : "",
           flags->members ? " --members" : "", flags->quiesce ? " --quiesce" : "", seed);
    if (run->node_count)
        printf(" --nodes %" PRIu32, run->node_count);
    if (run->group_count)
        printf(" --groups %" PRIu32, run->group_count);
    if (run->seconds != 30)
        printf(" --seconds %" PRIu64, run->seconds);
    if (run->client_count)
        printf(" --clients %" PRIu32, run->client_count);
    if (run->fault_steps_max)
        printf(" --fault-steps %" PRIu32, run->fault_steps_max);
    const char *between = " --faults ";
    for (uint32_t fault = 0; run->faults_off && fault <= SIM_FAULT_COUNT; fault++) {
        if (run->faults_off >> fault & 1)
            continue;
        printf("%s%s", between, sim_fault_name((enum sim_fault)fault));
        between = ",";
    }
    if (run->faults_off && between[0] == ' ')
        printf(" --faults none");
    if (run->settings.count) {
        printf(" --set ");
        sim_settings_print(&run->settings, stdout);
    }
    if (flags->mutation)
        printf(" --mutation %s", flags->mutation);
    printf("\n");
}

static void
print_json(uint64_t seed, const struct sim_run_result *result)
{
    char reason[2 * sizeof(result->reason)];
    size_t at = 0;
    for (const char *c = result->reason; *c && at + 2 < sizeof(reason); c++) {
        if (*c == '"' || *c == '\\')
            reason[at++] = '\\';
        reason[at++] = (unsigned char)*c < 32 ? ' ' : *c;
    }
    reason[at] = '\0';
    printf("{\"seed\":%" PRIu64 ",\"verdict\":\"%s\",\"reason\":\"%s\",\"checked\":%" PRIu64
           ",\"failed\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"simulated_ns\":%" PRIu64
           ",\"events\":%" PRIu64 ",\"trace_hash\":\"%016" PRIx64 "\",\"crashes\":%" PRIu64
           ",\"elections\":%" PRIu64 ",\"joins\":%" PRIu64 ",\"member_changes\":%" PRIu64
           ",\"write_gap_ns\":%" PRIu64 ",\"groups\":%" PRIu32 ",\"slept\":%" PRIu64 "}\n",
           seed, verdict_name(result->verdict), reason, result->checked_ops, result->failed_ops,
           result->unknown_ops, result->simulated_ns, result->event_count, result->trace_hash,
           result->crashes, result->elections, result->joins, result->member_changes,
           result->write_gap_ns_max, result->group_count, result->slept);
}

static void
on_result(void *owner, uint64_t seed, const struct sim_run_result *result)
{
    struct progress *progress = owner;
    progress->done++;
    progress->failed += result->verdict != SIM_PASSED;
    if (progress->flags->json) {
        print_json(seed, result);
    } else if (result->verdict != SIM_PASSED) {
        printf("%sseed %" PRIu64 ": %s: %s\n", progress->terminal ? "\r" : "", seed,
               verdict_name(result->verdict), result->reason);
        print_replay(progress->flags, progress->run, seed);
    }
    if (progress->terminal && !progress->flags->json)
        printf("\r%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed ", progress->done,
               progress->total, progress->failed);
    fflush(stdout);
}

static bool
open_output(const char *flag, const char *path, FILE **out_file)
{
    *out_file = path ? fopen(path, "w") : NULL;
    if (path && !*out_file)
        fprintf(stderr, "skein sim: --%s: %s: %s\n", flag, path, strerror(errno));
    return !path || *out_file;
}

static bool
close_output(const char *flag, const char *path, FILE *file)
{
    if (!file || fclose(file) == 0)
        return true;
    fprintf(stderr, "skein sim: --%s: %s: %s\n", flag, path, strerror(errno));
    return false;
}

/* From the trace, which lies in a file: it may be large. */
static void
draw(const struct sim_flags *flags, const struct sim_run_options *run,
     const struct sim_run_result *result, FILE *page)
{
    FILE *trace = run->trace;
    fflush(trace);
    if (flags->trace)
        trace = fopen(flags->trace, "r");
    else
        rewind(trace);
    if (!trace) {
        fprintf(stderr, "skein sim: --html: %s: %s\n", flags->trace, strerror(errno));
        return;
    }
    sim_draw_run(trace, run, result, page);
    if (flags->trace)
        fclose(trace);
}

static int
run_one(const struct sim_flags *flags, struct sim_run_options *run)
{
    struct sim_run_result result;
    run->seed = flags->seed;
    run->log = flags->log;
    run->report = flags->json ? NULL : stderr;
    FILE *page = NULL;
    if (!open_output("trace", flags->trace, &run->trace) ||
        !open_output("history", flags->history, &run->history) ||
        !open_output("html", flags->html, &page))
        return SIM_CRASHED;
    if (page && !run->trace && !(run->trace = tmpfile())) {
        fprintf(stderr, "skein sim: --html: no temporary file: %s\n", strerror(errno));
        return SIM_CRASHED;
    }
    sim_run(run, &result);
    if (page)
        draw(flags, run, &result, page);
    if (!close_output("trace", flags->trace, run->trace) ||
        !close_output("history", flags->history, run->history) ||
        !close_output("html", flags->html, page))
        return SIM_CRASHED;
    if (flags->json) {
        print_json(flags->seed, &result);
        return (int)result.verdict;
    }
    printf("seed %" PRIu64 ": %s%s%s\n", flags->seed, verdict_name(result.verdict),
           result.reason[0] ? ": " : "", result.reason);
    printf("  %" PRIu64 " operations checked, %" PRIu64 " refused, %" PRIu64 " unknown; %" PRIu64
           " simulated seconds, %" PRIu64 " events, trace %016" PRIx64 "\n",
           result.checked_ops, result.failed_ops, result.unknown_ops,
           (uint64_t)(result.simulated_ns / SIM_SECOND), result.event_count, result.trace_hash);
    printf("  %" PRIu32 " groups, asleep at %" PRIu64 " looks; %" PRIu64 " nodes upgraded\n",
           result.group_count, result.slept, result.upgrades);
    printf("  reads: %" PRIu64 " linearizable, %" PRIu64 " lease, %" PRIu64 " follower, %" PRIu64
           " stale; %" PRIu64 " writes in sessions, sent %" PRIu64 " times\n",
           result.reads[REPLICA_LINEARIZABLE], result.reads[REPLICA_LEASE],
           result.reads[REPLICA_FOLLOWER], result.reads[REPLICA_STALE], result.once_ops,
           result.once_attempts);
    printf("  %" PRIu64 " crashes, %" PRIu64 " exits, %" PRIu64 " elections, %" PRIu64
           " disks joined, %" PRIu64 " logs repaired, %" PRIu64 " set aside, %" PRIu64
           " changes of members, %" PRIu64 " blocks lost, %" PRIu64
           " MiB at most on a node; %" PRIu64 " ms at most without a write\n",
           result.crashes, result.exits, result.elections, result.joins, result.repairs,
           result.set_aside, result.member_changes, result.lost_blocks,
           result.memory_bytes_max >> 20, (uint64_t)(result.write_gap_ns_max / SIM_MS));
    if (result.verdict != SIM_PASSED)
        print_replay(flags, run, flags->seed);
    return (int)result.verdict;
}

static void
print_sum(const struct sim_flags *flags, const struct sim_sweep_result *sum)
{
    double wall = (double)sum->wall_ns / 1e9, simulated = (double)sum->simulated_ns / 1e9;
    double cpu = (double)sum->cpu_ns / 1e9;
    if (flags->json)
        printf("{\"passed\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"checked\":%" PRIu64
               ",\"simulated_s\":%.0f,\"wall_s\":%.2f,\"cpu_s\":%.2f}\n",
               sum->passed, sum->failed, sum->checked_ops, simulated, wall, cpu);
    else
        printf("%s%" PRIu64 " seeds passed, %" PRIu64 " failed; %" PRIu64
               " operations checked, %.0f a simulated second; %.0f simulated seconds in %.1f s "
               "(%.0f a second, %.0f a second of one processor)\n",
               isatty(STDOUT_FILENO) ? "\r" : "", sum->passed, sum->failed, sum->checked_ops,
               simulated > 0 ? (double)sum->checked_ops / simulated : 0, simulated, wall,
               wall > 0 ? simulated / wall : 0, cpu > 0 ? simulated / cpu : 0);
}

static void
on_smaller(void *owner, const struct sim_run_options *options, const struct sim_run_result *result)
{
    printf("%s: %s\n", verdict_name(result->verdict), result->reason);
    print_replay(owner, options, options->seed);
    fflush(stdout);
}

static int
shrink_one(struct sim_flags *flags, struct sim_run_options *run)
{
    struct sim_shrink_result shrunk;
    run->seed = flags->seed;
    int rc = sim_shrink(run, on_smaller, flags, &shrunk);
    if (rc == -SKEIN_ENOTFOUND) {
        printf("seed %" PRIu64 " passes: there is nothing to shrink\n", flags->seed);
        return SIM_PASSED;
    }
    if (rc < 0) {
        fprintf(stderr, "skein sim: no process could be started: %s\n", skein_error_text(rc));
        return SIM_CRASHED;
    }
    printf("the smallest of %" PRIu32 " runs: %s: %s\n", shrunk.runs,
           verdict_name(shrunk.result.verdict), shrunk.result.reason);
    print_replay(flags, &shrunk.options, flags->seed);
    return (int)shrunk.result.verdict;
}

static int
run_many(const struct sim_flags *flags, const struct sim_run_options *run)
{
    struct progress progress = {
        .flags = flags, .run = run, .total = flags->seeds, .terminal = isatty(STDOUT_FILENO)};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct sim_sweep_options sweep = {.run = *run,
                                      .first_seed = flags->start,
                                      .seed_count = flags->seeds,
                                      .job_count = (uint32_t)flags->jobs,
                                      .stop_at_failure = flags->first,
                                      .on_result = on_result,
                                      .owner = &progress};
    if (sweep.job_count == 0)
        sweep.job_count = cpus > 0 ? (uint32_t)cpus : 1;
    struct sim_sweep_result sum;
    int rc = sim_sweep(&sweep, &sum);
    if (rc < 0) {
        fprintf(stderr, "skein sim: no process could be started: %s\n", skein_error_text(rc));
        return SIM_CRASHED;
    }
    print_sum(flags, &sum);
    return (int)sum.verdict;
}

/* Returns whether the named bug is in this process now. */
static bool
select_mutation(const char *name)
{
#ifdef SKEIN_MUTATIONS
    enum mutation mutation = mutation_find(name);
    if (mutation == MUTATION_COUNT) {
        fprintf(stderr, "skein sim: --mutation: no such bug: \"%.64s\"; there are:", name);
        for (enum mutation m = MUTATION_NONE; m < MUTATION_COUNT; m++)
            fprintf(stderr, " %s", mutation_name(m));
        fprintf(stderr, "\n");
        return false;
    }
    mutation_select(mutation);
    return true;
#else
    fprintf(stderr,
            "skein sim: --mutation %.64s: this build has no known bugs in it; configure one with "
            "-Dmutations=true\n",
            name);
    return false;
#endif
}

/* Returns whether what --plan and --set say can be used. */
static bool
take_settings(const struct sim_flags *flags, struct sim_settings *settings)
{
    char why[SIM_SETTINGS_WHY_BYTES] = "";
    if (flags->plan) {
        FILE *file = fopen(flags->plan, "r");
        int rc = file ? sim_settings_read(settings, file, why) : -errno;
        if (!file)
            snprintf(why, sizeof(why), "%s", skein_error_text(rc));
        if (file)
            fclose(file);
        if (rc < 0) {
            fprintf(stderr, "skein sim: --plan %s: %s\n", flags->plan, why);
            return false;
        }
    }
    if (flags->set && sim_settings_list(settings, flags->set, why) < 0) {
        fprintf(stderr, "skein sim: --set: %s\n", why);
        return false;
    }
    return true;
}

int
cmd_sim(int argc, char **argv)
{
    struct sim_flags flags = {0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&sim_command, argc - 1, argv + 1, &flags, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    if ((flags.trace || flags.history || flags.html || flags.log || flags.shrink) && !flags.seed) {
        fprintf(stderr, "skein sim: --%s needs --seed: it is about one run\n",
                flags.trace     ? "trace"
                : flags.history ? "history"
                : flags.html    ? "html"
                : flags.shrink  ? "shrink"
                                : "log");
        return FLAGS_EXIT_USAGE;
    }
    if (flags.store != KV_STORE_MEMORY) {
        fprintf(
            stderr,
            "skein sim: --store %s: that table reads and writes its file by itself, so that its "
            "disk cannot be simulated; the nodes run with the table in memory here, and "
            "tests/kill_drill.sh --store %s kills real processes\n",
            kv_store_name(flags.store), kv_store_name(flags.store));
        return FLAGS_EXIT_USAGE;
    }
    if (flags.mutation && !select_mutation(flags.mutation))
        return FLAGS_EXIT_USAGE;
    struct sim_run_options run = {.node_count = (uint32_t)flags.nodes,
                                  .seconds = flags.seconds,
                                  .shuffle = flags.shuffle,
                                  .members = flags.members,
                                  .group_count = (uint32_t)flags.groups,
                                  .quiesce = flags.quiesce,
                                  .client_count = (uint32_t)flags.clients,
                                  .fault_steps_max = (uint32_t)flags.fault_steps};
    if (flags.faults && sim_faults_parse(flags.faults, &run.faults_off) < 0) {
        fprintf(stderr, "skein sim: --faults %.128s: no such fault; see: skein sim --help\n",
                flags.faults);
        return FLAGS_EXIT_USAGE;
    }
    if (!take_settings(&flags, &run.settings))
        return FLAGS_EXIT_USAGE;
    if (flags.shrink)
        return shrink_one(&flags, &run);
    return flags.seed ? run_one(&flags, &run) : run_many(&flags, &run);
}
