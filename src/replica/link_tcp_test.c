/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: strangers, wrong clusters and broken frames are refused, counted and change nothing; a link
 * finds its peer again after the peer's restart; a peer that takes nothing costs a bounded queue.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/wire.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "skein/shard.h"
#include "core/uring.h"
#include "replica/link_frame.h"
#include "replica/link_tcp.h"
#include "skein/error.h"

#define SECOND_NS UINT64_C(1000000000)
#define QUEUE_BYTES ((uint64_t)1 << 20)

struct end {
    struct replica_link *link;
    struct replica_link_handler handler;
    uint64_t messages;
    uint64_t bytes;
    uint64_t lost;
    uint64_t refused;
    uint32_t last_from;
};

struct fixture {
    struct link_versions versions[2]; /* {0, 0}: all */
    struct replica_peer peers[2];
    struct end ends[2];
};

static void
on_message(void *owner, uint32_t from, struct bytes message)
{
    struct end *end = owner;
    end->messages++;
    end->bytes += message.count;
    end->last_from = from;
}

static void
on_lost(void *owner, uint32_t node)
{
    struct end *end = owner;
    (void)node;
    end->lost++;
}

static void
on_refused(void *owner, uint32_t node)
{
    struct end *end = owner;
    (void)node;
    end->refused++;
}

static int
start(struct fixture *f, uint32_t node)
{
    struct end *end = &f->ends[node - 1];
    struct link_tcp_options options = {.cluster_name = "test",
                                       .node = node,
                                       .peers = f->peers,
                                       .peer_count = 2,
                                       .queue_bytes_max = QUEUE_BYTES,
                                       .versions = f->versions[node - 1]};
    *end = (struct end){0};
    end->handler = (struct replica_link_handler){end, on_message, on_lost, on_refused};
    int rc = link_tcp_open(&end->link, &options);
    skein_assert(rc == 0);
    return end->link->ops->start(end->link, &end->handler);
}

static void
stop(struct fixture *f, uint32_t node)
{
    struct end *end = &f->ends[node - 1];
    if (end->link)
        end->link->ops->stop(end->link);
    end->link = NULL;
}

static struct replica_link_stats
stats(struct fixture *f, uint32_t node)
{
    struct replica_link_stats s;
    f->ends[node - 1].link->ops->stats(f->ends[node - 1].link, &s);
    return s;
}

#define WAIT(condition)                                                          \
    for (uint64_t until_ns = skein_deadline_in(10 * SECOND_NS); !(condition);) { \
        skein_assert(skein_now_ns() < until_ns);                                 \
        skein_assert(skein_sleep(skein_deadline_in(SECOND_NS / 500)) == 0);      \
    }

static bool
joined(struct fixture *f)
{
    return f->ends[0].link->ops->connected(f->ends[0].link, 2) &&
           f->ends[1].link->ops->connected(f->ends[1].link, 1);
}

static int
send_bytes(struct fixture *f, uint32_t from, size_t count)
{
    struct bytes message = bytes_of(bytes_new(count), count);
    memset((uint8_t *)(uintptr_t)message.data, 'm', count);
    struct replica_link *link = f->ends[from - 1].link;
    int rc = link->ops->send(link, 3 - from, message);
    bytes_unref(&message);
    return rc;
}

static int
dial(struct fixture *f, uint32_t node)
{
    int handle = skein_socket_connect(&f->peers[node - 1].addr, skein_deadline_in(SECOND_NS));
    skein_assert(handle >= 0);
    return handle;
}

static void
send_frame(int handle, const void *payload, size_t count)
{
    uint8_t header[LINK_FRAME_HEADER_BYTES];
    link_frame_header(header, payload, count);
    skein_assert(skein_socket_send(handle, header, sizeof header, skein_deadline_in(SECOND_NS)) ==
                 0);
    skein_assert(skein_socket_send(handle, payload, count, skein_deadline_in(SECOND_NS)) == 0);
}

static void
send_hello(int handle, const char *name, uint32_t from, uint32_t to)
{
    struct link_hello hello = {
        .from = from, .to = to, .versions = {LINK_VERSION_MIN, LINK_VERSION_MAX}};
    struct wire_writer out = {0};
    memcpy(hello.name, name, strlen(name));
    link_hello_encode(&out, &hello);
    send_frame(handle, out.data, out.count);
    wire_writer_deinit(&out);
}

/* The verdict, or -1 when the connection ends without one. @out_versions: of an answer that has
 * them. */
static int
answer(int handle, size_t count, struct link_versions *out_versions)
{
    uint8_t frame[LINK_FRAME_HEADER_BYTES + LINK_ANSWER_BYTES_MAX];
    struct link_answer got;
    size_t have = 0;
    count += LINK_FRAME_HEADER_BYTES;
    while (have < count) {
        ssize_t n = skein_socket_recv(handle, frame + have, count - have,
                                      skein_deadline_in(10 * SECOND_NS));
        skein_assert(n != -SKEIN_ETIMEDOUT);
        if (n <= 0)
            return -1;
        have += (size_t)n;
    }
    skein_assert(wire_load(frame, 4) + LINK_FRAME_HEADER_BYTES == count);
    skein_assert(link_answer_decode(
                     bytes_borrow(frame + LINK_FRAME_HEADER_BYTES, count - LINK_FRAME_HEADER_BYTES),
                     &got) == 0);
    *out_versions = got.versions;
    return (int)got.verdict;
}

static int
verdict(int handle)
{
    struct link_versions versions;
    return answer(handle, LINK_ANSWER_BYTES_MAX, &versions);
}

static void
expect_end(int handle)
{
    uint8_t byte;
    ssize_t n = skein_socket_recv(handle, &byte, 1, skein_deadline_in(10 * SECOND_NS));
    skein_assert(n <= 0 && n != -SKEIN_ETIMEDOUT);
    skein_close(handle);
}

static void
strangers(struct fixture *f)
{
    skein_assert(start(f, 1) == 0);
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n";
    int handle = dial(f, 1);
    skein_assert(skein_socket_send(handle, garbage, sizeof garbage, skein_deadline_in(SECOND_NS)) ==
                 0);
    expect_end(handle);
    handle = dial(f, 1);
    send_frame(handle, "not a hello at all", 18);
    skein_assert(verdict(handle) == -1);
    skein_close(handle);
    skein_assert(stats(f, 1).refused == 2);

    static const struct {
        const char *name;
        uint32_t from, to;
        int verdict;
    } cases[] = {{"prod", 2, 1, LINK_WRONG_CLUSTER},
                 {"test", 2, 3, LINK_WRONG_NODE},
                 {"test", 9, 1, LINK_WRONG_NODE},
                 {"test", 1, 1, LINK_WRONG_NODE}};
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        handle = dial(f, 1);
        send_hello(handle, cases[i].name, cases[i].from, cases[i].to);
        skein_assert(verdict(handle) == cases[i].verdict);
        expect_end(handle);
    }
    skein_assert(stats(f, 1).refused == 6);
    skein_assert(f->ends[0].messages == 0);
}

static int
dial_as_peer(struct fixture *f)
{
    int handle = dial(f, 1);
    send_hello(handle, "test", 2, 1);
    skein_assert(verdict(handle) == LINK_WELCOME);
    return handle;
}

static void
broken_frames(struct fixture *f)
{
    skein_assert(start(f, 1) == 0);
    int handle = dial_as_peer(f);
    send_frame(handle, "one", 3);
    WAIT(f->ends[0].messages == 1);
    skein_assert(f->ends[0].last_from == 2);
    uint8_t header[LINK_FRAME_HEADER_BYTES];
    link_frame_header(header, "two", 3);
    skein_assert(skein_socket_send(handle, header, sizeof header, skein_deadline_in(SECOND_NS)) ==
                 0);
    skein_assert(skein_socket_send(handle, "twO", 3, skein_deadline_in(SECOND_NS)) == 0);
    expect_end(handle);

    handle = dial_as_peer(f);
    wire_store(header, (uint64_t)REPLICA_MESSAGE_BYTES_MAX + 1, 4);
    skein_assert(skein_socket_send(handle, header, sizeof header, skein_deadline_in(SECOND_NS)) ==
                 0);
    expect_end(handle);
    skein_assert(f->ends[0].messages == 1 && stats(f, 1).refused == 2);

    /* A newer connection of the same peer ends the older one. */
    int older = dial_as_peer(f), newer = dial_as_peer(f);
    expect_end(older);
    send_frame(newer, "three", 5);
    WAIT(f->ends[0].messages == 2);
    skein_close(newer);
}

static void
finds_its_peer_again(struct fixture *f)
{
    skein_assert(start(f, 1) == 0);
    skein_assert(send_bytes(f, 1, 10) == -SKEIN_EAGAIN);
    skein_assert(stats(f, 1).dropped_unconnected == 1);
    skein_assert(start(f, 2) == 0);
    WAIT(joined(f));
    for (int i = 0; i < 100; i++)
        skein_assert(send_bytes(f, 1, 1 + (size_t)i * 97) == 0);
    WAIT(f->ends[1].messages == 100);
    skein_assert(f->ends[1].last_from == 1);
    stop(f, 2);
    WAIT(f->ends[0].lost == 1);
    skein_assert(start(f, 2) == 0);
    WAIT(joined(f));
    skein_assert(send_bytes(f, 1, 800000) == 0);
    WAIT(f->ends[1].bytes == 800000);
    struct bytes message = bytes_copy("x", 1);
    skein_assert(f->ends[0].link->ops->send(f->ends[0].link, 7, message) == -SKEIN_ENOTFOUND);
    bytes_unref(&message);
}

/* The test plays node 2: it takes the connection and then reads nothing, until the queue is full
 * and a send is stuck. */
static void
get_stuck(struct fixture *f, int *out_listener, int *out_handle)
{
    struct skein_addr from;
    int listener = skein_socket_listen(&f->peers[1].addr, 4);
    skein_assert(listener >= 0);
    skein_assert(start(f, 1) == 0);
    int handle = skein_socket_accept(listener, &from, skein_deadline_in(5 * SECOND_NS));
    skein_assert(handle >= 0);
    uint8_t frame[LINK_FRAME_HEADER_BYTES + 1] = {[LINK_FRAME_HEADER_BYTES] = LINK_WELCOME};
    link_frame_header(frame, frame + LINK_FRAME_HEADER_BYTES, 1);
    skein_assert(skein_socket_send(handle, frame, sizeof frame, skein_deadline_in(SECOND_NS)) == 0);
    WAIT(f->ends[0].link->ops->connected(f->ends[0].link, 2));
    uint64_t taken = 0;
    while (taken < 1000 && send_bytes(f, 1, 64 << 10) == 0) {
        taken++;
        skein_yield();
    }
    skein_assert(taken < 1000);
    *out_listener = listener;
    *out_handle = handle;
}

static void
full_queue(struct fixture *f)
{
    int listener, handle;
    get_stuck(f, &listener, &handle);
    skein_assert(stats(f, 1).dropped_queue_full == 1);
    skein_close(handle);
    skein_close(listener);
}

/* What is being sent when its peer is dropped is cut off before the connection goes. */
static void
dropped_while_sending(struct fixture *f)
{
    int listener, handle;
    uint8_t piece[4096];
    get_stuck(f, &listener, &handle);
    struct replica_link *one = f->ends[0].link;
    one->ops->drop_peer(one, 2);
    skein_assert(!one->ops->connected(one, 2));
    skein_assert(one->ops->set_peer(one, &f->peers[1]) == 0);
    ssize_t n = 1;
    while (n > 0)
        n = skein_socket_recv(handle, piece, sizeof piece, skein_deadline_in(5 * SECOND_NS));
    skein_assert(n == 0 || n == -ECONNRESET); /* the connection has ended */
    skein_close(handle);
    skein_close(listener);
    skein_assert(start(f, 2) == 0);
    WAIT(joined(f));
}

/* Dropped: nothing goes either way, and the other side is told. Taken back: as before. */
static void
peers_change(struct fixture *f)
{
    skein_assert(start(f, 1) == 0 && start(f, 2) == 0);
    WAIT(joined(f));
    struct replica_link *one = f->ends[0].link;
    one->ops->drop_peer(one, 9);
    one->ops->drop_peer(one, 2);
    struct bytes message = bytes_copy("x", 1);
    skein_assert(one->ops->send(one, 2, message) == -SKEIN_ENOTFOUND);
    bytes_unref(&message);
    WAIT(f->ends[1].refused > 0);
    skein_assert(!f->ends[1].link->ops->connected(f->ends[1].link, 1));
    uint64_t before = f->ends[0].messages;

    struct replica_peer elsewhere = f->peers[1];
    elsewhere.addr.port = 1;
    skein_assert(one->ops->set_peer(one, &elsewhere) == 0);
    WAIT(f->ends[1].link->ops->connected(f->ends[1].link, 1)); /* it is a peer again */
    WAIT(one->ops->connected(one, 2)); /* by the one that the other side dialled */
    skein_assert(one->ops->set_peer(one, &f->peers[1]) == 0);
    skein_assert(one->ops->set_peer(one, &f->peers[1]) == 0);
    WAIT(joined(f));
    skein_assert(send_bytes(f, 2, 10) == 0);
    WAIT(f->ends[0].messages == before + 1);
    for (int i = 0; i < 20; i++) { /* none of what was dropped stays behind */
        one->ops->drop_peer(one, 2);
        skein_assert(one->ops->set_peer(one, &f->peers[1]) == 0);
    }
    WAIT(joined(f));
}

/* A hello of the versions @min to @max, as their build would send it, and the answer. */
static int
ask(struct fixture *f, uint16_t min, uint16_t max, size_t answer_bytes,
    struct link_versions *out_versions)
{
    struct link_hello hello = {.from = 2, .to = 1, .name = "test", .versions = {min, max}};
    struct wire_writer out = {0};
    int handle = dial(f, 1);
    link_hello_encode(&out, &hello);
    if (max > LINK_VERSION_MAX)
        wire_put_u32(&out, 4711); /* what a later version may add */
    send_frame(handle, out.data, out.count);
    wire_writer_deinit(&out);
    int got = answer(handle, answer_bytes, out_versions);
    skein_close(handle);
    return got;
}

/* The newest that both speak; none: who is older hears what would do. */
static void
versions_of_a_connection(struct fixture *f)
{
    struct link_versions v;
    skein_assert(start(f, 1) == 0);
    skein_assert(ask(f, 3, 3, 1, &v) == LINK_WELCOME && v.max == 0);
    skein_assert(ask(f, 3, 4, 5, &v) == LINK_WELCOME && v.min == 4 && v.max == 4);
    skein_assert(ask(f, 4, 9, 5, &v) == LINK_WELCOME && v.min == 4 && v.max == 4);
    skein_assert(ask(f, 5, 9, 5, &v) == LINK_WRONG_VERSION && v.min == 3 && v.max == 4);
    skein_assert(ask(f, 2, 2, 1, &v) == LINK_WRONG_VERSION && v.max == 0);
    skein_assert(stats(f, 1).welcomed_older == 1 && stats(f, 1).refused == 2);
    stop(f, 1);
    f->versions[0] = (struct link_versions){4, 4};
    skein_assert(start(f, 1) == 0);
    skein_assert(ask(f, 3, 3, 1, &v) == LINK_WRONG_VERSION && v.max == 0);
    stop(f, 1);
    f->versions[0] = (struct link_versions){3, 3}; /* a build that knew no ranges */
    skein_assert(start(f, 1) == 0);
    skein_assert(ask(f, 3, 4, 1, &v) == LINK_WRONG_VERSION && v.max == 0);
    skein_assert(ask(f, 3, 3, 1, &v) == LINK_WELCOME && v.max == 0);
}

/* Node by node to the newer build and back, messages both ways at each step. */
static void
rolling_upgrade(struct fixture *f)
{
    static const struct link_versions older = {3, 3}, all = {0, 0};
    const struct link_versions steps[][2] = {
        {older, older}, {all, older}, {all, all}, {older, all}, {older, older}};
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        for (uint32_t node = 1; node <= 2; node++) {
            f->versions[node - 1] = steps[i][node - 1];
            skein_assert(start(f, node) == 0);
        }
        WAIT(f->ends[0].link->ops->connected(f->ends[0].link, 2) && joined(f));
        skein_assert(send_bytes(f, 1, 10) == 0 && send_bytes(f, 2, 20) == 0);
        WAIT(f->ends[0].bytes == 20 && f->ends[1].bytes == 10);
        stop(f, 1);
        stop(f, 2);
    }
    /* Nothing in common: they stay apart. */
    f->versions[0] = (struct link_versions){4, 4};
    f->versions[1] = older;
    skein_assert(start(f, 1) == 0 && start(f, 2) == 0);
    WAIT(stats(f, 1).refused > 0 && stats(f, 2).refused > 0);
    skein_assert(!f->ends[0].link->ops->connected(f->ends[0].link, 2));
}

static void
port_in_use(struct fixture *f)
{
    skein_assert(start(f, 1) == 0);
    struct end first = f->ends[0];
    skein_assert(start(f, 1) == -EADDRINUSE);
    stop(f, 1);
    f->ends[0] = first;
}

struct run {
    void (*fn)(struct fixture *f);
};

static int
main_fiber(void *arg)
{
    struct run *run = arg;
    struct fixture f = {0};
    struct skein_addr any = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    int held[2];
    for (uint32_t i = 0; i < 2; i++) {
        held[i] = skein_socket_listen(&any, 4);
        f.peers[i].node = i + 1;
        skein_assert(held[i] >= 0 && skein_socket_local_addr(held[i], &f.peers[i].addr) == 0);
    }
    skein_close(held[0]);
    skein_close(held[1]);
    run->fn(&f);
    stop(&f, 1);
    stop(&f, 2);
    return 0;
}

static void
run_case(void (*fn)(struct fixture *f))
{
    struct run run = {fn};
    struct backend *backend;
    struct skein_shard *shard;
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    skein_assert(uring_open(&backend, 1) == 0);
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    skein_assert(skein_shard_open(&shard, &options) == 0);
    skein_assert(skein_shard_run(shard, main_fiber, &run) == 0);
    skein_shard_close(shard);
    uring_close(backend);
    skein_stack_pool_close(stacks);
}

#define CASE(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        run_case(name);                   \
    }
CASE(strangers)
CASE(broken_frames)
CASE(versions_of_a_connection)
CASE(rolling_upgrade)
CASE(port_in_use)
CASE(finds_its_peer_again)
CASE(full_queue)
CASE(peers_change)
CASE(dropped_while_sending)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_broken_frames),
        cmocka_unit_test(test_versions_of_a_connection),
        cmocka_unit_test(test_rolling_upgrade),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_finds_its_peer_again),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_peers_change),
        cmocka_unit_test(test_dropped_while_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
