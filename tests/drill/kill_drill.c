/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: real processes under load lose no acknowledged write and answer no stale read, whatever is
 * killed: the leader, a follower, all, or the leader frozen and thawed; a new leader serves soon;
 * and an emptied follower is brought back by a snapshot while writes go on.
 *
 *   kill_drill --skein build/skein [--rounds 50] [--seed 1] [--serve-within-ms 2000] [--wipe]
 * [--damage N] [--store memory|lmdb] [--groups N] [--keep]
 *
 * Exit code: 0 passed, 1 not linearizable or a node misbehaved, 2 the cluster did not serve in
 * time, 64 usage.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/world.h"
#include "skein/shard.h"
#include "tests/drill/load.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

struct drill {
    const char *skein, *history; /* history: where to leave it; NULL: nowhere */
    const char *store, *groups;  /* of every node */
    uint32_t rounds;
    uint64_t seed;
    uint64_t serve_within_ms;
    uint32_t damage; /* rounds of damage */
    bool wipe, keep;
    struct procs procs;
    struct load load;
    struct prng prng;
    uint64_t worst_ns;
    uint64_t over_count;
    uint32_t repairs; /* damaged logs that were made whole (and not only void parts hit) */
};

enum fault { KILL_LEADER, KILL_FOLLOWER, KILL_ALL, FREEZE_LEADER, FAULT_COUNT };
static const char *const fault_names[] = {"kill -9 of the leader", "kill -9 of a follower",
                                          "kill -9 of all three", "SIGSTOP of the leader"};

static uint32_t
await_leader(struct drill *drill)
{
    for (int i = 0; i < 200; i++) {
        uint32_t leader = procs_leader(&drill->procs);
        if (leader && drill->procs.pid[leader])
            return leader;
        (void)skein_sleep(skein_deadline_in(100 * MS));
    }
    return 0;
}

static int
start(struct drill *drill, uint32_t n)
{
    int rc = procs_start(&drill->procs, n);
    if (rc < 0)
        fprintf(stderr, "drill: node %u does not start: %s\n", n, strerror(-rc));
    return rc;
}

/* Does the fault; @out_frozen: who is to be thawed. Dead nodes are started again by the caller. */
static void
inflict(struct drill *drill, enum fault fault, uint32_t leader, uint32_t *out_frozen)
{
    struct procs *procs = &drill->procs;
    uint32_t other = leader % procs->count + 1;
    switch (fault) {
    case KILL_LEADER:
        procs_kill(procs, leader);
        break;
    case KILL_FOLLOWER:
        procs_kill(procs, other);
        break;
    case KILL_ALL:
        for (uint32_t n = 1; n <= procs->count; n++)
            procs_kill(procs, n);
        break;
    case FREEZE_LEADER:
        procs_signal(procs, leader, SIGSTOP);
        *out_frozen = leader;
        break;
    case FAULT_COUNT:
        break;
    }
}

static int
one_round(struct drill *drill, uint32_t round)
{
    struct procs *procs = &drill->procs;
    struct load *load = &drill->load;
    enum fault fault = (enum fault)(round % FAULT_COUNT);
    uint32_t leader = await_leader(drill), frozen = 0;
    if (!leader) {
        fprintf(stderr, "drill: round %u: no leader within 20 s\n", round);
        return 2;
    }
    load->round = round;
    (void)skein_sleep(skein_deadline_in(prng_range(&drill->prng, 200, 700) * MS));
    inflict(drill, fault, leader, &frozen);
    if (fault == KILL_ALL)
        for (uint32_t n = 1; n <= procs->count; n++)
            if (start(drill, n) < 0)
                return 1;
    load_mark(load);
    uint64_t took_ns = load_await_write(load, skein_deadline_in(30 * SECOND));
    if (!took_ns) {
        fprintf(stderr, "drill: round %u: %s: nobody served within 30 s\n", round,
                fault_names[fault]);
        return 2;
    }
    printf("round %2u  %-22s  leader was %u  served again after %4" PRIu64 " ms\n", round,
           fault_names[fault], leader, took_ns / MS);
    fflush(stdout);
    if (took_ns > drill->worst_ns)
        drill->worst_ns = took_ns;
    drill->over_count += took_ns > drill->serve_within_ms * MS;
    (void)skein_sleep(skein_deadline_in(prng_range(&drill->prng, 100, 600) * MS));
    int status;
    uint32_t died = procs_died(procs, &status);
    if (died) {
        fprintf(stderr, "drill: round %u: node %u ended by itself, status 0x%x\n", round, died,
                status);
        return 1;
    }
    if (frozen)
        procs_signal(procs, frozen, SIGCONT);
    for (uint32_t n = 1; n <= procs->count; n++)
        if (!procs->pid[n] && start(drill, n) < 0)
            return 1;
    return 0;
}

/* A follower whose directory was emptied is let in anew and caught up by a snapshot, under load. */
static int
wipe_round(struct drill *drill)
{
    struct procs *procs = &drill->procs;
    uint32_t leader = await_leader(drill);
    if (!leader)
        return 2;
    for (int i = 0; i < 300 && procs_info(procs, leader, "log_first") <= 1; i++)
        (void)skein_sleep(skein_deadline_in(100 * MS));
    uint32_t victim = leader % procs->count + 1;
    procs_kill(procs, victim);
    if (procs_wipe(procs, victim) < 0 || start(drill, victim) < 0)
        return 1;
    uint64_t begun_ns = skein_now_ns();
    int64_t target = procs_info(procs, leader, "commit");
    for (int i = 0; i < 300; i++) {
        int64_t applied = procs_info(procs, victim, "applied");
        int64_t installed = procs_info(procs, victim, "snapshots_installed");
        if (applied >= target && target > 0 && installed > 0) {
            printf("wiped node %u: back by snapshot after %" PRIu64 " ms, applied %" PRId64
                   " (leader's commit then %" PRId64 ")\n",
                   victim, (skein_now_ns() - begun_ns) / MS, applied, target);
            return 0;
        }
        (void)skein_sleep(skein_deadline_in(100 * MS));
    }
    fprintf(stderr, "drill: wiped node %u is not back within 30 s\n", victim);
    return 2;
}

/* One in a hundred blocks of a follower's log cannot be read: its peers repair it, under load. */
static int
damage_round(struct drill *drill)
{
    struct procs *procs = &drill->procs;
    uint32_t leader = await_leader(drill);
    if (!leader)
        return 2;
    uint32_t victim = prng_below(&drill->prng, 3) == 0 ? leader : leader % procs->count + 1;
    (void)skein_sleep(skein_deadline_in(prng_range(&drill->prng, 200, 700) * MS));
    procs_kill(procs, victim);
    int blocks = procs_damage(procs, victim, 100, &drill->prng);
    if (blocks < 0 || start(drill, victim) < 0)
        return 1;
    uint64_t begun_ns = skein_now_ns();
    for (int i = 0; i < 300; i++) {
        int status;
        if (procs_died(procs, &status)) {
            fprintf(stderr, "drill: node %u with %d damaged blocks ended, status 0x%x\n", victim,
                    blocks, status);
            return 1;
        }
        if (procs_info(procs, victim, "applied") > 0 &&
            procs_info(procs, victim, "log_repairing") == 0) {
            printf("damaged node %u (%d blocks%s): whole again after %" PRIu64 " ms, %" PRId64
                   " repairs\n",
                   victim, blocks, victim == leader ? ", was leader" : "",
                   (skein_now_ns() - begun_ns) / MS, procs_info(procs, victim, "log_repairs"));
            drill->repairs += procs_info(procs, victim, "log_repairs") > 0;
            return 0;
        }
        (void)skein_sleep(skein_deadline_in(100 * MS));
    }
    fprintf(stderr, "drill: damaged node %u is not whole within 30 s\n", victim);
    return 2;
}

/* Through a file, as anybody else would: what is checked is what skein check-history would read. */
static enum skein_linear_verdict
check_history(struct drill *drill)
{
    char *text = NULL, why[256];
    size_t count;
    FILE *memory = open_memstream(&text, &count);
    skein_linear_write(drill->load.history, memory);
    if (fclose(memory) != 0)
        base_die(__FILE__, __LINE__, "no memory for the history");
    if (drill->history) {
        FILE *file = fopen(drill->history, "w");
        if (!file || fwrite(text, 1, count, file) != count || fclose(file) != 0)
            fprintf(stderr, "drill: %s: %s\n", drill->history, strerror(errno));
    }
    struct skein_linear_options options = {.step_count_max = 100000000, .explain = true};
    struct skein_linear_result result = {.verdict = SKEIN_LINEAR_UNDECIDED, .why = why};
    struct skein_linear_history *history = skein_linear_open(0);
    if (skein_linear_read(history, text, count, NULL, &options.model, why) == 0)
        skein_linear_check(history, &options, &result);
    skein_linear_print(history, &options, &result, stderr);
    enum skein_linear_verdict verdict = result.verdict;
    skein_linear_result_deinit(&result);
    skein_linear_close(history);
    free(text);
    return verdict;
}

static int
verdict(struct drill *drill)
{
    struct load *load = &drill->load;
    int64_t read = load_read_all(load);
    if (read < 0) {
        fprintf(stderr, "drill: the final read of all keys failed\n");
        return 2;
    }
    printf("history: %zu operations, %" PRIu64 " acknowledged, %" PRIu64 " failed, %" PRIu64
           " of unknown outcome; %" PRId64 " keys read at the end\n",
           skein_linear_op_count(load->history), load->ok_count, load->failed_count,
           load->unknown_count, read);
    enum skein_linear_verdict result = check_history(drill);
    printf("linearizable: %s; longest time without service: %" PRIu64 " ms\n",
           result == SKEIN_LINEAR_OK          ? "yes"
           : result == SKEIN_LINEAR_VIOLATION ? "NO"
                                              : "undecided",
           drill->worst_ns / MS);
    if (result != SKEIN_LINEAR_OK)
        return 1;
    if (drill->over_count) {
        fprintf(stderr,
                "drill: %" PRIu64 " rounds were served only after more than %" PRIu64 " ms\n",
                drill->over_count, drill->serve_within_ms);
        return 2;
    }
    return 0;
}

static int
drill_main(void *arg)
{
    struct drill *drill = arg;
    struct load *load = &drill->load;
    prng_init(&drill->prng, drill->seed);
    int rc = procs_init(&drill->procs, drill->skein, 3);
    if (rc < 0) {
        fprintf(stderr, "drill: no folder or ports: %s\n", strerror(-rc));
        return 1;
    }
    /* With a table on disk a flush is nearly always under way: the kills meet it. */
    bool on_disk = strcmp(drill->store, "memory") != 0;
    const char *const small_log[] = {"--segment-bytes",
                                     "1M",
                                     "--checkpoint-log-bytes",
                                     on_disk || strcmp(drill->groups, "1") != 0 ? "64K" : "1M",
                                     "--keep-log-bytes",
                                     "64K",
                                     "--store",
                                     drill->store,
                                     "--groups",
                                     drill->groups,
                                     NULL};
    memcpy(drill->procs.extra, small_log, sizeof(small_log));
    *load = (struct load){.procs = &drill->procs,
                          .history = skein_linear_open(0),
                          .seed = drill->seed,
                          .client_count = 12,
                          .keys_per_round = 24,
                          .pause_ns = 2 * MS};
    for (uint32_t n = 1; n <= 3 && rc == 0; n++)
        rc = start(drill, n);
    load_start(load);
    for (uint32_t round = 0; round < drill->rounds && rc == 0; round++)
        rc = one_round(drill, round);
    for (uint32_t round = 0; round < drill->damage && rc == 0; round++)
        rc = damage_round(drill);
    if (rc == 0 && drill->damage >= 4 && drill->repairs == 0) {
        fprintf(stderr, "drill: no damage ever had to be repaired\n");
        rc = 1;
    }
    if (rc == 0 && drill->wipe)
        rc = wipe_round(drill);
    if (rc == 0)
        (void)skein_sleep(skein_deadline_in(500 * MS));
    load_stop(load);
    if (rc == 0)
        rc = verdict(drill);
    if (rc == 0 && procs_stop_all(&drill->procs) > 0)
        rc = 1;
    procs_deinit(&drill->procs, drill->keep || rc != 0);
    skein_linear_close(load->history);
    printf("%s\n", rc == 0 ? "drill passed" : "drill FAILED");
    return rc;
}

static _Noreturn void
usage(int code)
{
    fprintf(
        code ? stderr : stdout,
        "usage: kill_drill --skein PROGRAM [--rounds N] [--seed N] [--serve-within-ms MS] "
        "[--wipe] [--damage N] [--store memory|lmdb] [--groups N] [--keep] [--history FILE]\n"
        "  --history  leave what the clients saw in FILE, for skein check-history\n"
        "  --damage  N times, damage one in a hundred blocks of a node's log and wait until its "
        "peers have repaired it\n"
        "  --wipe   at the end empty a follower's data directory and wait until a snapshot has "
        "brought it back\n"
        "  --store  where the nodes keep their keys (skein serve --store); memory\n"
        "  --groups  of each node (skein serve --groups); 1. The leader is then that of the first\n"
        "  --keep   keep the temporary folder (kept anyway when the drill fails)\n");
    exit(code);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"skein", required_argument, NULL, 's'}, {"rounds", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 'e'},  {"serve-within-ms", required_argument, NULL, 'w'},
        {"wipe", no_argument, NULL, 'W'},        {"damage", required_argument, NULL, 'd'},
        {"keep", no_argument, NULL, 'k'},        {"history", required_argument, NULL, 'H'},
        {"store", required_argument, NULL, 'S'}, {"groups", required_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},        {0}};
    struct drill drill = {
        .store = "memory", .groups = "1", .rounds = 50, .seed = 1, .serve_within_ms = 2000};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's':
            drill.skein = optarg;
            break;
        case 'r':
            drill.rounds = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'e':
            drill.seed = strtoull(optarg, NULL, 10);
            break;
        case 'w':
            drill.serve_within_ms = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            drill.damage = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'W':
            drill.wipe = true;
            break;
        case 'k':
            drill.keep = true;
            break;
        case 'S':
            drill.store = optarg;
            break;
        case 'g':
            drill.groups = optarg;
            break;
        case 'H':
            drill.history = optarg;
            break;
        default:
            usage(c == 'h' ? 0 : 64);
        }
    }
    if (!drill.skein || optind != argc)
        usage(64);
    return world_run("drill", drill_main, &drill);
}
