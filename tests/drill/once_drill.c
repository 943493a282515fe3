/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: clients that count, and repeat what was not answered, count exactly, though the leader is
 * killed (kill -9) under them again and again, or frozen.
 *
 *   once_drill --skein build/skein [--rounds 6] [--clients 8] [--keep]
 *
 * Each client adds one to a counter of its own, whose every reply it can foresee, and to one of all
 * clients. Exit code: 0 passed, 1 a count is wrong or a node misbehaved, 64 usage.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/world.h"
#include "base/mem.h"
#include "kv/caller.h"
#include "skein/error.h"
#include "skein/shard.h"
#include "tests/drill/procs.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define CLIENTS_MAX 64

struct drill {
    const char *skein;
    uint32_t rounds, client_count;
    bool keep, stopping;
    struct procs procs;
    struct skein_scope scope;
    uint64_t counted, attempts;
    uint32_t faults; /* found */
};

struct client {
    struct drill *drill;
    uint32_t number;
};

/* INCR @key: the count, or -1. */
static int64_t
add_one(struct drill *drill, struct kv_caller *caller, const char *key)
{
    struct kv_arg argv[] = {{(const uint8_t *)"INCR", 4}, {(const uint8_t *)key, strlen(key)}};
    struct kv_reply reply = {0};
    int rc = kv_caller_call(caller, argv, 2, skein_deadline_in(60 * SECOND), &reply);
    int64_t count = rc == 0 && reply.type == KV_REPLY_INTEGER ? reply.integer : -1;
    if (count < 0) {
        fprintf(stderr, "drill: INCR %s: %s (%s)\n", key, skein_error_name(rc),
                kv_caller_why(caller));
        drill->faults++;
    }
    kv_reply_deinit(&reply);
    return count;
}

static void
client_main(void *arg)
{
    struct client *client = arg;
    struct drill *drill = client->drill;
    struct skein_addr addrs[PROCS_MAX];
    struct kv_caller *caller;
    char own[32];
    uint32_t count = drill->procs.count;
    for (uint32_t i = 0; i < count; i++)
        addrs[i] = procs_addr(&drill->procs, 1 + (i + client->number) % count);
    kv_caller_open(&caller, addrs, count, 120000);
    snprintf(own, sizeof(own), "own-%u", client->number);
    for (int64_t i = 1; !drill->stopping && drill->faults == 0; i++) {
        int64_t found = add_one(drill, caller, own);
        if (found >= 0 && found != i) {
            fprintf(stderr, "drill: %s counts %" PRId64 " after %" PRId64 " additions\n", own,
                    found, i);
            drill->faults++;
        }
        if (add_one(drill, caller, "all") >= 0)
            drill->counted++;
    }
    drill->attempts += kv_caller_attempts(caller);
    kv_caller_close(caller, skein_deadline_in(SECOND));
    mem_free(client);
}

static uint32_t
await_leader(struct drill *drill)
{
    for (int i = 0; i < 200; i++) {
        uint32_t leader = procs_leader(&drill->procs);
        if (leader && drill->procs.pid[leader])
            return leader;
        (void)!skein_sleep(skein_deadline_in(100 * MS));
    }
    return 0;
}

static bool
one_round(struct drill *drill, uint32_t round)
{
    struct procs *procs = &drill->procs;
    uint32_t leader = await_leader(drill);
    uint64_t before = drill->counted;
    bool frozen = round % 3 == 2;
    if (!leader) {
        fprintf(stderr, "drill: round %u: no leader within 20 s\n", round);
        return false;
    }
    if (frozen)
        procs_signal(procs, leader, SIGSTOP);
    else
        procs_kill(procs, leader);
    (void)!skein_sleep(skein_deadline_in(1500 * MS));
    if (frozen)
        procs_signal(procs, leader, SIGCONT);
    else if (procs_start(procs, leader) < 0)
        return false;
    for (int i = 0; i < 300 && drill->counted < before + 50 && drill->faults == 0; i++)
        (void)!skein_sleep(skein_deadline_in(50 * MS));
    printf("round %u  leader %u %s  %" PRIu64 " counted\n", round, leader,
           frozen ? "frozen" : "killed", drill->counted);
    if (drill->counted < before + 50)
        fprintf(stderr, "drill: round %u: fewer than 50 additions in 15 s\n", round);
    return drill->counted >= before + 50;
}

/* The last addition says how many there were before it. */
static bool
check_total(struct drill *drill)
{
    struct skein_addr addr = procs_addr(&drill->procs, 1);
    struct kv_caller *caller;
    kv_caller_open(&caller, &addr, 1, 60000);
    int64_t total = add_one(drill, caller, "all");
    kv_caller_close(caller, skein_deadline_in(SECOND));
    printf("%" PRIu64 " additions acknowledged, %" PRIu64
           " requests sent, the counter says %" PRId64 "\n",
           drill->counted, drill->attempts, total - 1);
    return total == (int64_t)drill->counted + 1;
}

static int
drill_main(void *arg)
{
    struct drill *drill = arg;
    bool ok = procs_init(&drill->procs, drill->skein, 3) == 0;
    for (uint32_t n = 1; ok && n <= 3; n++)
        ok = procs_start(&drill->procs, n) == 0;
    ok = ok && await_leader(drill) != 0;
    skein_scope_init(&drill->scope);
    for (uint32_t i = 0; ok && i < drill->client_count; i++) {
        struct client *client = mem_zalloc(sizeof(*client));
        *client = (struct client){drill, i};
        ok = skein_spawn(&drill->scope, "client", client_main, client, SKEIN_STACK_LARGE) == 0;
    }
    for (uint32_t round = 0; ok && round < drill->rounds; round++)
        ok = one_round(drill, round);
    drill->stopping = true;
    skein_scope_join(&drill->scope);
    ok = ok && drill->faults == 0 && check_total(drill) && drill->faults == 0;
    ok = ok && procs_stop_all(&drill->procs) == 0;
    procs_deinit(&drill->procs, drill->keep || !ok);
    printf("%s\n", ok ? "drill passed" : "drill FAILED");
    return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {{"skein", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"clients", required_argument, NULL, 'c'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {0}};
    struct drill drill = {.rounds = 6, .client_count = 8};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's')
            drill.skein = optarg;
        else if (c == 'r')
            drill.rounds = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'c')
            drill.client_count = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'k')
            drill.keep = true;
        else
            drill.skein = NULL, optind = argc + 1;
    }
    if (!drill.skein || optind != argc || drill.client_count > CLIENTS_MAX) {
        fprintf(stderr, "usage: once_drill --skein PROGRAM [--rounds N] [--clients N] [--keep]\n");
        return 64;
    }
    return world_run("drill", drill_main, &drill);
}
