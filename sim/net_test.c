/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: streams between simulated hosts break the way real ones do: refused, stalled and reset by a
 * partition, reset by a dead process, silent after a power loss; pauses delay and lose nothing; the
 * same seed gives the same trace.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "skein/fiber.h"
#include "skein/socket.h"
#include "sim/net.h"
#include "sim/world.h"
#include "skein/error.h"

#define PORT 7000
#define BULK_BYTES 300000

/* What the two programs do, and what they saw; in the test's memory, outside the hosts' arenas. */
struct scene {
    struct sim_world world;
    struct sim_host *server, *client;
    int connect_rc;
    int64_t recv_rc;
    uint64_t received_bytes;
    bool order_ok;
};

static int
server_main(void *arg)
{
    struct scene *scene = arg;
    struct skein_addr addr = sim_host_addr(1, PORT), peer;
    uint8_t data[8192];
    uint8_t next = 0;
    int listener = skein_socket_listen(&addr, 4);
    int handle = listener < 0 ? listener : skein_socket_accept(listener, &peer, SKEIN_NEVER);
    ssize_t n = handle;
    while (handle >= 0 && (n = skein_socket_recv(handle, data, sizeof(data), SKEIN_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            scene->order_ok = scene->order_ok && data[i] == (next = (uint8_t)(next + 1));
        scene->received_bytes += (uint64_t)n;
    }
    scene->recv_rc = n;
    return skein_sleep(SKEIN_NEVER);
}

static int
client_main(void *arg)
{
    struct scene *scene = arg;
    struct skein_addr addr = sim_host_addr(1, PORT);
    static uint8_t data[BULK_BYTES];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i + 1);
    scene->connect_rc = skein_socket_connect(&addr, skein_deadline_in(3 * SIM_SECOND));
    int rc = scene->connect_rc;
    if (rc >= 0)
        rc = skein_socket_send(scene->connect_rc, data, sizeof(data), SKEIN_NEVER);
    if (rc >= 0)
        (void)!skein_socket_shutdown(scene->connect_rc);
    return skein_sleep(SKEIN_NEVER);
}

static void
open_scene(struct scene *scene, uint64_t seed)
{
    *scene = (struct scene){.recv_rc = 1, .connect_rc = 1, .order_ok = true};
    sim_world_open(&scene->world, seed, NULL);
    scene->server = sim_host_add(&scene->world, NULL);
    scene->client = sim_host_add(&scene->world, NULL);
    scene->server->main_fn = server_main;
    scene->client->main_fn = client_main;
    scene->server->main_arg = scene->client->main_arg = scene;
}

static void
run_for(struct scene *scene, uint64_t delay_ns)
{
    assert_true(sim_world_run(&scene->world, scene->world.now_ns + delay_ns));
}

static void
nobody_listens(void **state)
{
    struct scene scene;
    open_scene(&scene, 1);
    sim_host_start(scene.client);
    run_for(&scene, SIM_SECOND);
    assert_int_equal(scene.connect_rc, -ECONNREFUSED);
    sim_world_close(&scene.world);
}

static void
no_way_to_connect(void **state)
{
    struct scene scene;
    open_scene(&scene, 1);
    sim_host_start(scene.server);
    run_for(&scene, SIM_SECOND);
    sim_net_block(scene.world.net, 1, 2, true); /* only the way back */
    sim_host_start(scene.client);
    run_for(&scene, 10 * SIM_SECOND);
    assert_int_equal(scene.connect_rc, -SKEIN_ETIMEDOUT);
    sim_world_close(&scene.world);
}

static uint64_t
bulk_arrives(uint64_t seed, bool pause)
{
    struct scene scene;
    open_scene(&scene, seed);
    sim_host_start(scene.server);
    run_for(&scene, SIM_SECOND);
    sim_host_start(scene.client);
    if (pause) {
        run_for(&scene, 2 * SIM_MS);
        sim_host_pause(scene.server, 3 * SIM_SECOND);
        sim_host_pause(scene.client, SIM_SECOND);
    }
    run_for(&scene, 10 * SIM_SECOND);
    assert_int_equal(scene.recv_rc, 0);
    assert_int_equal(scene.received_bytes, BULK_BYTES);
    assert_true(scene.order_ok);
    uint64_t hash = scene.world.trace.hash;
    sim_world_close(&scene.world);
    return hash;
}

static void
bytes_arrive_in_order_and_a_seed_repeats(void **state)
{
    assert_int_equal(bulk_arrives(7, false), bulk_arrives(7, false));
    assert_int_equal(bulk_arrives(8, true), bulk_arrives(8, true));
    assert_int_not_equal(bulk_arrives(7, false), bulk_arrives(8, false));
}

static void
a_partition_stalls_and_then_breaks(void **state)
{
    struct scene scene;
    open_scene(&scene, 3);
    sim_host_start(scene.server);
    run_for(&scene, SIM_SECOND);
    sim_net_options(scene.world.net)->piece_bytes_max = 100;
    sim_host_start(scene.client);
    run_for(&scene, 2 * SIM_MS);
    sim_net_block(scene.world.net, 2, 1, true);
    run_for(&scene, SIM_SECOND);
    uint64_t before_bytes = scene.received_bytes;
    run_for(&scene, 3 * SIM_SECOND);
    assert_int_equal(scene.received_bytes, before_bytes);
    assert_true(before_bytes < BULK_BYTES);
    run_for(&scene, 20 * SIM_SECOND);
    assert_int_equal(scene.recv_rc, 1); /* the receiver has sent nothing and cannot know */
    sim_world_close(&scene.world);
}

static void
a_dead_process_resets_and_a_dead_machine_is_silent(void **state)
{
    for (int power_loss = 0; power_loss < 2; power_loss++) {
        struct scene scene;
        open_scene(&scene, 4);
        sim_host_start(scene.server);
        run_for(&scene, SIM_SECOND);
        sim_net_options(scene.world.net)->piece_bytes_max = 100;
        sim_host_start(scene.client);
        run_for(&scene, 2 * SIM_MS);
        sim_host_crash(scene.client, power_loss);
        run_for(&scene, 30 * SIM_SECOND);
        assert_true(scene.order_ok);
        assert_true(scene.received_bytes < BULK_BYTES);
        assert_true(power_loss ? scene.recv_rc == 1 : scene.recv_rc <= 0);
        sim_world_close(&scene.world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(no_way_to_connect),
        cmocka_unit_test(bytes_arrive_in_order_and_a_seed_repeats),
        cmocka_unit_test(a_partition_stalls_and_then_breaks),
        cmocka_unit_test(a_dead_process_resets_and_a_dead_machine_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
