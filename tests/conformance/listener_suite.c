/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/listener_suite.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "net/listener.h"
#include "skein/core.h"
#include "skein/listener.h"
#include "skein/metrics.h"

#define CLIENT_COUNT 180
#define MS 1000000u

static const struct skein_endpoint loopback = {
    .addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
};

struct client {
    int handle;
    int shard; /* who serves it */
};

/* Says who serves, then waits for the end. */
static void
serve_number(void *arg, int handle, const struct skein_addr *peer)
{
    char byte = (char)skein_shard_index();
    if (peer->port == 0 || skein_socket_send(handle, &byte, 1, SKEIN_NEVER) < 0)
        return;
    while (skein_socket_recv(handle, &byte, 1, SKEIN_NEVER) > 0)
        ;
}

static struct skein_listener_options
default_options(void)
{
    return (struct skein_listener_options){.endpoint = loopback, .serve = serve_number};
}

static void
connect_all(struct check *check, struct skein_listener *listener, struct client *clients, int count)
{
    struct skein_endpoint endpoint = loopback;
    endpoint.addr.port = skein_listener_port(listener);
    for (int i = 0; i < count; i++) {
        char byte = 0;
        clients[i].handle = skein_net_connect(&endpoint, NULL, skein_deadline_in(60000ull * MS));
        CHECK(check, clients[i].handle >= 0);
        CHECK(check, skein_socket_recv(clients[i].handle, &byte, 1, SKEIN_NEVER) == 1);
        clients[i].shard = (unsigned char)byte;
    }
}

static void
hang_up(struct check *check, struct client *clients, int count, int shard)
{
    for (int i = 0; i < count; i++)
        if (clients[i].handle >= 0 && (shard < 0 || clients[i].shard == shard)) {
            CHECK(check, skein_close(clients[i].handle) == 0);
            clients[i].handle = -1;
        }
}

static void
wait_for_live(struct check *check, struct skein_listener *listener, unsigned shard, uint64_t count)
{
    struct skein_listener_stats stats[SHARDS_SUITE_COUNT];
    do {
        CHECK(check, skein_sleep(skein_deadline_in(MS)) == 0);
        CHECK(check, skein_listener_stats_read(listener, stats) == 0);
    } while (stats[shard].live_count > count);
}

static int
put(void *owner, const char *piece, size_t bytes)
{
    char **end = owner;
    memcpy(*end, piece, bytes);
    *end += bytes;
    return 0;
}

/* The metrics of all shards, added up. */
static bool
metrics_say(const char *line)
{
    static char text[1 << 18]; /* some hundred series */
    char *end = text;
    struct skein_snapshot *snapshot = skein_snapshot_open();
    memset(text, 0, sizeof(text));
    int rc = skein_metrics_gather(snapshot, SKEIN_NEVER);
    if (rc == 0)
        rc = skein_snapshot_write(snapshot, SKEIN_FORMAT_PROMETHEUS, 0, put, &end);
    skein_snapshot_close(snapshot);
    return rc == 0 && strstr(text, line);
}

static void
connections_are_spread_evenly(struct check *check)
{
    struct client clients[CLIENT_COUNT];
    struct skein_listener_stats stats[SHARDS_SUITE_COUNT];
    struct skein_listener_options options = default_options();
    struct skein_listener *listener;
    options.name = "even";
    CHECK(check, skein_listener_start(&listener, &options) == 0);
    connect_all(check, listener, clients, CLIENT_COUNT);
    CHECK(check, skein_listener_stats_read(listener, stats) == 0);
    uint64_t accepted_count = 0;
    for (int i = 0; i < SHARDS_SUITE_COUNT; i++) {
        CHECK(check, stats[i].live_count * SHARDS_SUITE_COUNT * 100 >= CLIENT_COUNT * 90);
        CHECK(check, stats[i].live_count * SHARDS_SUITE_COUNT * 100 <= CLIENT_COUNT * 110);
        CHECK(check, stats[i].served_count == stats[i].live_count);
        CHECK(check, stats[i].refused_count == 0);
        accepted_count += stats[i].accepted_count;
    }
    CHECK(check, accepted_count == CLIENT_COUNT);
    CHECK(check, skein_listener_imbalance(stats, SHARDS_SUITE_COUNT) <= 10);
    CHECK(check, metrics_say("\nskein_listener_accepted_total{listener=\"even\"} 180\n"));
    CHECK(check, metrics_say("\nskein_listener_connections{listener=\"even\"} 180\n"));
    CHECK(check, metrics_say("\nskein_mailbox_sent_total "));
    hang_up(check, clients, CLIENT_COUNT, -1);
    skein_listener_stop(listener);
    CHECK(check, !metrics_say("skein_listener_connections"));
}

/* All of shard 0's clients stay, the others leave: new ones go where there is room. */
static void
skewed_shards_hand_over(struct check *check)
{
    struct client clients[CLIENT_COUNT];
    struct client more[CLIENT_COUNT];
    struct skein_listener_stats stats[SHARDS_SUITE_COUNT];
    struct skein_listener_options options = default_options();
    struct skein_listener *listener;
    CHECK(check, skein_listener_start(&listener, &options) == 0);
    connect_all(check, listener, clients, CLIENT_COUNT);
    for (int i = 1; i < SHARDS_SUITE_COUNT; i++)
        hang_up(check, clients, CLIENT_COUNT, i);
    for (unsigned i = 1; i < SHARDS_SUITE_COUNT; i++)
        wait_for_live(check, listener, i, 0);
    connect_all(check, listener, more, CLIENT_COUNT / 2);
    int on_first = 0;
    for (int i = 0; i < CLIENT_COUNT / 2; i++)
        on_first += more[i].shard == 0;
    CHECK(check, on_first == 0);
    CHECK(check, skein_listener_stats_read(listener, stats) == 0);
    CHECK(check, stats[0].given_count > 0);
    hang_up(check, clients, CLIENT_COUNT, -1);
    /* The others are cut off by the stop. */
    skein_listener_stop(listener);
    char byte;
    CHECK(check, skein_socket_recv(more[0].handle, &byte, 1, SKEIN_NEVER) <= 0);
    hang_up(check, more, CLIENT_COUNT / 2, -1);
}

static void
kept_connections_stay_where_they_came(struct check *check)
{
    struct client clients[CLIENT_COUNT];
    struct skein_listener_stats stats[SHARDS_SUITE_COUNT];
    struct skein_listener_options options = default_options();
    struct skein_listener *listener;
    options.keep = true;
    CHECK(check, skein_listener_start(&listener, &options) == 0);
    connect_all(check, listener, clients, CLIENT_COUNT);
    CHECK(check, skein_listener_stats_read(listener, stats) == 0);
    for (int i = 0; i < SHARDS_SUITE_COUNT; i++) {
        CHECK(check, stats[i].given_count == 0);
        CHECK(check, stats[i].served_count == stats[i].accepted_count);
    }
    hang_up(check, clients, CLIENT_COUNT, -1);
    skein_listener_stop(listener);
}

static void
bad_listeners_are_refused(struct check *check)
{
    struct skein_listener *listener = NULL;
    struct skein_listener *second = NULL;
    struct skein_listener_options options = default_options();
    options.endpoint = (struct skein_endpoint){.is_unix = true, .unix_addr = {"@x"}};
    CHECK(check, skein_listener_start(&listener, &options) == -SKEIN_EINVALID);
    options = default_options();
    options.option_count = 16;
    CHECK(check, skein_listener_start(&listener, &options) == -SKEIN_EINVALID);
    /* Somebody else's port: nothing is left open, and it works once the port is free. */
    int other = skein_net_listen(&loopback, NULL);
    struct skein_endpoint taken;
    CHECK(check, other >= 0);
    CHECK(check, skein_net_local(other, &taken) == 0);
    options = default_options();
    options.endpoint = taken;
    CHECK(check, skein_listener_start(&listener, &options) == -EADDRINUSE);
    CHECK(check, listener == NULL);
    CHECK(check, skein_close(other) == 0);
    CHECK(check, skein_listener_start(&second, &options) == 0);
    CHECK(check, skein_listener_port(second) == taken.addr.port);
    /* A second one would share the port: only when asked for. */
    CHECK(check, skein_listener_start(&listener, &options) == -EADDRINUSE);
    options.share = true;
    CHECK(check, skein_listener_start(&listener, &options) == 0);
    skein_listener_stop(listener);
    skein_listener_stop(second);
    skein_listener_stop(NULL);
}

static void
the_emptiest_is_chosen_beyond_the_slack(struct check *check)
{
    static const struct {
        uint64_t loads[3];
        unsigned self, chosen;
    } rows[] = {
        {{0, 0, 0}, 1, 1},          {{1, 0, 0}, 0, 0},       {{2, 0, 0}, 0, 1},
        {{2, 1, 0}, 0, 2},          {{0, 5, 5}, 1, 0},       {{0, 5, 5}, 0, 0},
        {{170, 160, 170}, 0, 0},    {{172, 160, 170}, 0, 1}, {{171, 170, 160}, 1, 1},
        {{UINT64_MAX, 0, 1}, 0, 1},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
        CHECK(check, listener_choose(rows[i].loads, 3, rows[i].self) == rows[i].chosen);
    struct skein_listener_stats stats[2] = {{.served_count = 0}};
    CHECK(check, skein_listener_imbalance(stats, 2) == 0);
    stats[0].served_count = 10;
    CHECK(check, skein_listener_imbalance(stats, 2) == 100);
    stats[1].served_count = 10;
    CHECK(check, skein_listener_imbalance(stats, 2) == 0);
    stats[1].served_count = 12;
    CHECK(check, skein_listener_imbalance(stats, 2) == 9);
}

const struct shards_suite_case listener_suite_cases[] = {
    {"connections are spread evenly", connections_are_spread_evenly},
    {"skewed shards hand over", skewed_shards_hand_over},
    {"kept connections stay where they came", kept_connections_stay_where_they_came},
    {"bad listeners are refused", bad_listeners_are_refused},
    {"the emptiest is chosen beyond the slack", the_emptiest_is_chosen_beyond_the_slack},
    {NULL, NULL},
};
