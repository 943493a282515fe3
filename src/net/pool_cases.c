/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pool_cases.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "core/check.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/pool.h"

#define MS UINT64_C(1000000)
#define SERVERS 3

static const struct skein_endpoint loopback = {
    .addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
};

struct session {
    struct server *server;
    int handle;
    bool used;
};

/* A server that answers each byte with its number, and the connections it has. */
struct server {
    struct check *check;
    int listener;
    struct skein_endpoint at;
    struct skein_scope scope;
    unsigned number, accepted_count, served_count;
    bool sick; /* answers with another number */
    struct session sessions[64];
};

static struct session *
session_of(struct server *server, int handle)
{
    for (size_t i = 0; i < BASE_COUNT_OF(server->sessions); i++) {
        struct session *session = &server->sessions[i];
        if (session->used)
            continue;
        *session = (struct session){.server = server, .handle = handle, .used = true};
        return session;
    }
    return NULL;
}

static void
serve(void *arg)
{
    struct session *session = arg;
    struct server *server = session->server;
    char byte;
    while (skein_socket_recv(session->handle, &byte, 1, SKEIN_NEVER) == 1) {
        byte = (char)('0' + server->number + (server->sick ? 5 : 0));
        server->served_count++;
        if (skein_socket_send(session->handle, &byte, 1, SKEIN_NEVER) < 0)
            break;
    }
    skein_close(session->handle);
    session->used = false;
}

static void
accept_all(void *arg)
{
    struct server *server = arg;
    int handle;
    while ((handle = skein_socket_accept(server->listener, NULL, SKEIN_NEVER)) >= 0) {
        struct session *session = session_of(server, handle);
        server->accepted_count++;
        if (!CHECK(server->check, session != NULL))
            return;
        CHECK(server->check,
              skein_spawn(&server->scope, "session", serve, session, SKEIN_STACK_SMALL) == 0);
    }
}

static void
start(struct server *server, struct check *check, unsigned number)
{
    struct skein_endpoint at = server->at.addr.port ? server->at : loopback;
    *server = (struct server){.check = check, .number = number};
    server->listener = skein_net_listen(&at, NULL);
    CHECK(check, server->listener >= 0 && skein_net_local(server->listener, &server->at) == 0);
    skein_scope_init(&server->scope);
    CHECK(check, skein_spawn(&server->scope, "server", accept_all, server, SKEIN_STACK_SMALL) == 0);
}

static void
stop(struct server *server)
{
    skein_scope_cancel(&server->scope);
    skein_scope_join(&server->scope);
    skein_close(server->listener);
}

struct scene {
    struct check *check;
    struct server servers[SERVERS];
    struct skein_pool *pool;
};

static int
check_session(void *arg, int handle, uint64_t deadline_ns)
{
    char byte = '?';
    (void)arg;
    int rc = skein_socket_send(handle, "?", 1, deadline_ns);
    if (rc < 0)
        return rc;
    ssize_t n = skein_socket_recv(handle, &byte, 1, deadline_ns);
    return n == 1 && byte < '5' ? 0 : -SKEIN_EPROTO;
}

static struct skein_pool_options
usual(void)
{
    struct skein_pool_options options = SKEIN_POOL_OPTIONS_INIT;
    options.conn_count_max = 8;
    options.check = check_session;
    options.balancer = SKEIN_BALANCER_ROUND_ROBIN;
    options.retry.delay_ns = 1 * MS;
    return options;
}

static void
set_up(struct scene *scene, struct check *check, const struct skein_pool_options *options)
{
    *scene = (struct scene){.check = check};
    CHECK(check, skein_pool_open(&scene->pool, options) == 0);
    for (uint32_t i = 0; i < SERVERS; i++) {
        start(&scene->servers[i], check, i);
        CHECK(check, skein_pool_add(scene->pool, (struct skein_target_id){i}, &scene->servers[i].at,
                                    1) == 0);
    }
}

static void
tear_down(struct scene *scene)
{
    skein_pool_close(scene->pool);
    for (int i = 0; i < SERVERS; i++)
        stop(&scene->servers[i]);
}

static uint64_t
soon(void)
{
    return skein_deadline_in(10000 * MS);
}

static struct skein_pool_stats
stats_of(const struct scene *scene)
{
    struct skein_pool_stats stats;
    skein_pool_stats_read(scene->pool, &stats);
    return stats;
}

/* One request. **Returns** the number of the server that answered; -errno. */
static int
request(struct scene *scene, uint64_t deadline_ns)
{
    struct skein_pool_conn conn;
    char byte = 'x';
    int rc = skein_pool_acquire(scene->pool, NULL, &conn, deadline_ns);
    if (rc < 0)
        return rc;
    rc = skein_socket_send(conn.handle, "r", 1, deadline_ns);
    if (rc == 0)
        rc = (int)skein_socket_recv(conn.handle, &byte, 1, deadline_ns);
    bool ok = rc == 1 && byte == (char)('0' + conn.target.value);
    skein_pool_release(scene->pool, &conn, ok ? SKEIN_OUTCOME_OK : SKEIN_OUTCOME_FAILED);
    return ok ? byte - '0' : rc < 0 ? rc : -SKEIN_EPROTO;
}

static void
bad_options(struct check *check)
{
    struct skein_pool *pool = NULL;
    struct skein_pool_options rows[6];
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
        rows[i] = usual();
    rows[0].conn_count_max = 0;
    rows[1].conn_count_min = 9;
    rows[2].target_count_max = 0;
    rows[3].idle_ns_max = 0;
    rows[4].breaker.probe_count = 0;
    rows[5].retry.attempt_count_max = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
        CHECK(check, skein_pool_open(&pool, &rows[i]) == -SKEIN_EINVALID);
    CHECK(check, pool == NULL);
    struct skein_pool_options options = usual();
    struct skein_pool_conn conn;
    CHECK(check, skein_pool_open(&pool, &options) == 0);
    CHECK(check, skein_pool_acquire(pool, NULL, &conn, soon()) == -SKEIN_ENOTFOUND);
    CHECK(check, skein_pool_remove(pool, (struct skein_target_id){1}) == -SKEIN_ENOTFOUND);
    skein_pool_close(pool);
    skein_pool_close(NULL);
}

static void
connections_are_reused(struct check *check)
{
    struct skein_pool_options options = usual();
    struct scene scene;
    set_up(&scene, check, &options);
    for (int i = 0; i < 30; i++)
        CHECK(check, request(&scene, soon()) == i % SERVERS);
    struct skein_pool_stats stats = stats_of(&scene);
    CHECK(check, stats.connect_count == SERVERS && stats.reused_count == 30 - SERVERS);
    CHECK(check, stats.open_count == SERVERS && stats.idle_count == SERVERS);
    CHECK(check, scene.servers[1].accepted_count == 1);
    tear_down(&scene);
}

struct client {
    struct scene *scene;
    struct skein_pool_conn conn;
    uint64_t deadline_ns;
    unsigned *order, my_order;
    int result;
};

static void
hold_one(void *arg)
{
    struct client *client = arg;
    client->result =
        skein_pool_acquire(client->scene->pool, NULL, &client->conn, client->deadline_ns);
    client->my_order = (*client->order)++;
}

/* Eight places, twelve who want one: the bound holds, those who wait are served in their order. */
static void
waiters_are_served_in_order(struct check *check)
{
    struct skein_pool_options options = usual();
    struct scene scene;
    struct skein_scope scope;
    struct client clients[14];
    unsigned order = 0;
    options.waiter_count_max = 5;
    set_up(&scene, check, &options);
    skein_scope_init(&scope);
    for (int i = 0; i < 14; i++) {
        clients[i] =
            (struct client){.scene = &scene, .order = &order, .deadline_ns = soon(), .result = 1};
        if (i == 9)
            clients[i].deadline_ns = skein_deadline_in(20 * MS);
        CHECK(check, skein_spawn(&scope, "client", hold_one, &clients[i], SKEIN_STACK_SMALL) == 0);
    }
    CHECK(check, skein_sleep(skein_deadline_in(40 * MS)) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(check, clients[i].result == 0);
    CHECK(check, clients[9].result == -SKEIN_ETIMEDOUT);
    CHECK(check, clients[13].result == -SKEIN_EAGAIN); /* five wait already */
    CHECK(check, clients[8].result == 1 && clients[10].result == 1);
    CHECK(check, stats_of(&scene).open_count == 8 && stats_of(&scene).waiting_count == 4);
    for (int i = 0; i < 8; i++)
        skein_pool_release(scene.pool, &clients[i].conn, SKEIN_OUTCOME_OK);
    skein_scope_join(&scope);
    static const int waited[] = {8, 10, 11, 12};
    for (int i = 0; i < 4; i++) {
        struct client *client = &clients[waited[i]];
        CHECK(check, client->result == 0);
        CHECK(check, i == 0 || client->my_order > clients[waited[i - 1]].my_order);
        skein_pool_release(scene.pool, &client->conn, SKEIN_OUTCOME_OK);
    }
    CHECK(check, stats_of(&scene).open_count <= 8 && stats_of(&scene).refused_count == 1);
    tear_down(&scene);
}

/* A server that is gone: requests go to the others, its breaker opens, it is asked no more; when it
 * is back it is used again. */
static void
dead_servers_are_failed_over(struct check *check)
{
    struct skein_pool_options options = usual();
    struct scene scene;
    options.breaker.call_count_min = 3;
    options.breaker.open_ns = options.breaker.open_ns_max = 50 * MS;
    set_up(&scene, check, &options);
    stop(&scene.servers[1]);
    for (int i = 0; i < 40; i++) {
        int rc = request(&scene, soon());
        CHECK(check, rc == 0 || rc == 2);
    }
    struct skein_pool_stats stats = stats_of(&scene);
    CHECK(check, stats.connect_failed_count >= 3 && stats.connect_failed_count <= 8);
    start(&scene.servers[1], check, 1);
    CHECK(check, skein_sleep(skein_deadline_in(60 * MS)) == 0);
    for (int i = 0; i < 9; i++)
        CHECK(check, request(&scene, soon()) >= 0);
    CHECK(check, scene.servers[1].served_count >= 2);
    /* All gone: the error says so, after the rounds that the budget gives. */
    for (int i = 0; i < SERVERS; i++)
        stop(&scene.servers[i]);
    CHECK(check, skein_sleep(skein_deadline_in(150 * MS)) == 0);
    int rc = request(&scene, soon());
    CHECK(check, rc == -ECONNREFUSED || rc == -SKEIN_EBUSY);
    CHECK(check, stats_of(&scene).retry_count >= 1);
    for (int i = 0; i < SERVERS; i++)
        start(&scene.servers[i], check, (unsigned)i);
    tear_down(&scene);
}

/* What the server closed while it was idle is not handed out. */
static void
closed_ones_are_not_handed_out(struct check *check)
{
    struct skein_pool_options options = usual();
    struct scene scene;
    options.trust_ns = 0;
    set_up(&scene, check, &options);
    for (int i = 0; i < SERVERS; i++)
        CHECK(check, request(&scene, soon()) == i);
    for (int i = 0; i < SERVERS; i++) {
        stop(&scene.servers[i]);
        start(&scene.servers[i], check, (unsigned)i);
    }
    CHECK(check, skein_sleep(skein_deadline_in(5 * MS)) == 0);
    for (int i = 0; i < SERVERS; i++)
        CHECK(check, request(&scene, soon()) == i);
    CHECK(check, stats_of(&scene).dead_count == SERVERS);
    tear_down(&scene);
}

static void
targets_come_and_go(struct check *check)
{
    struct skein_pool_options options = usual();
    struct skein_pool_conn conn;
    struct scene scene;
    set_up(&scene, check, &options);
    CHECK(check,
          skein_pool_add(scene.pool, (struct skein_target_id){1}, &loopback, 1) == -SKEIN_EEXIST);
    for (int i = 0; i < SERVERS; i++)
        CHECK(check, request(&scene, soon()) == i);
    CHECK(check, skein_pool_acquire(scene.pool, NULL, &conn, soon()) == 0);
    CHECK(check, conn.target.value == 0);
    CHECK(check, skein_pool_remove(scene.pool, conn.target) == 0);
    CHECK(check, stats_of(&scene).open_count == SERVERS);
    for (int i = 0; i < 6; i++)
        CHECK(check, request(&scene, soon()) == 1 + i % 2);
    skein_pool_release(scene.pool, &conn, SKEIN_OUTCOME_OK);
    CHECK(check, conn.handle == -1 && stats_of(&scene).open_count == SERVERS - 1);
    CHECK(check,
          skein_pool_add(scene.pool, (struct skein_target_id){0}, &scene.servers[0].at, 1) == 0);
    struct skein_target_id tried[] = {{1}, {2}};
    struct skein_ask ask = {.avoid = tried, .avoid_count = 2};
    CHECK(check, skein_pool_acquire(scene.pool, &ask, &conn, soon()) == 0);
    CHECK(check, conn.target.value == 0);
    skein_pool_release(scene.pool, &conn, SKEIN_OUTCOME_NONE);
    CHECK(check, stats_of(&scene).open_count == SERVERS - 1);
    tear_down(&scene);
}

static void
drained_pools_give_nothing(struct check *check)
{
    struct skein_pool_options options = usual();
    struct skein_pool_conn conn, other;
    struct skein_scope scope;
    struct scene scene;
    unsigned order = 0;
    options.conn_count_max = 1;
    set_up(&scene, check, &options);
    CHECK(check, skein_pool_acquire(scene.pool, NULL, &conn, soon()) == 0);
    struct client waiting = {.scene = &scene, .order = &order, .deadline_ns = soon(), .result = 1};
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "client", hold_one, &waiting, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    CHECK(check, skein_pool_drain(scene.pool, skein_deadline_in(5 * MS)) == -SKEIN_ETIMEDOUT);
    skein_scope_join(&scope);
    CHECK(check, waiting.result == -SKEIN_ECLOSED);
    CHECK(check, skein_pool_acquire(scene.pool, NULL, &other, soon()) == -SKEIN_ECLOSED);
    skein_pool_release(scene.pool, &conn, SKEIN_OUTCOME_OK);
    CHECK(check, skein_pool_drain(scene.pool, soon()) == 0);
    CHECK(check, stats_of(&scene).open_count == 0);
    tear_down(&scene);
}

int
pool_cases(void *arg)
{
    bad_options(arg);
    connections_are_reused(arg);
    waiters_are_served_in_order(arg);
    dead_servers_are_failed_over(arg);
    closed_ones_are_not_handed_out(arg);
    targets_come_and_go(arg);
    drained_pools_give_nothing(arg);
    return 0;
}

/* ---- what the keeper does, over minutes ---- */

static void
the_least_is_kept(struct check *check)
{
    struct skein_pool_options options = usual();
    struct scene scene;
    options.conn_count_min = 4;
    options.idle_ns_max = 3000 * MS;
    options.lifetime_ns_max = 60000 * MS;
    set_up(&scene, check, &options);
    CHECK(check, skein_sleep(skein_deadline_in(2000 * MS)) == 0);
    CHECK(check, stats_of(&scene).idle_count == 4);
    struct skein_pool_conn conns[7];
    for (int i = 0; i < 7; i++)
        CHECK(check, skein_pool_acquire(scene.pool, NULL, &conns[i], soon()) == 0);
    CHECK(check, stats_of(&scene).open_count >= 7);
    for (int i = 0; i < 7; i++)
        skein_pool_release(scene.pool, &conns[i], SKEIN_OUTCOME_OK);
    CHECK(check, skein_sleep(skein_deadline_in(5000 * MS)) == 0);
    CHECK(check, stats_of(&scene).open_count == 4 && stats_of(&scene).idle_closed_count >= 3);
    CHECK(check, skein_sleep(skein_deadline_in(120000 * MS)) == 0);
    CHECK(check, stats_of(&scene).aged_count >= 4 && stats_of(&scene).open_count == 4);
    tear_down(&scene);
}

static void
sick_servers_are_left_alone(struct check *check)
{
    struct skein_pool_options options = usual();
    struct scene scene;
    options.conn_count_min = 3;
    options.check_ns = 1000 * MS;
    set_up(&scene, check, &options);
    CHECK(check, skein_sleep(skein_deadline_in(3000 * MS)) == 0);
    scene.servers[2].sick = true;
    CHECK(check, skein_sleep(skein_deadline_in(4000 * MS)) == 0);
    for (int i = 0; i < 10; i++) {
        int rc = request(&scene, soon());
        CHECK(check, rc == 0 || rc == 1);
    }
    CHECK(check, stats_of(&scene).dead_count >= 1);
    scene.servers[2].sick = false;
    CHECK(check, skein_sleep(skein_deadline_in(4000 * MS)) == 0);
    bool used = false;
    for (int i = 0; i < 10; i++)
        used |= request(&scene, soon()) == 2;
    CHECK(check, used);
    tear_down(&scene);
}

int
pool_slow_cases(void *arg)
{
    the_least_is_kept(arg);
    sick_servers_are_left_alone(arg);
    return 0;
}
