/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/backend_suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "skein/error.h"

#define MILLISECOND_NS 1000000ull
#define PATH_BYTES 512
#define BULK_BYTES ((size_t)1 << 20)

static const struct skein_addr loopback = {
    .ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
};

static const char *
path_in(const struct backend_suite_run *run, const char *name, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%s", run->directory, name);
    return out;
}

static int
create(struct backend_suite_run *run, const char *path)
{
    int handle = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    CHECK(&run->check, handle >= 0);
    return handle;
}

/* ---- files ---- */

static void
absent_files(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_stat stat;
    struct skein_names names;
    char path[PATH_BYTES];
    char other[PATH_BYTES];
    path_in(run, "absent", path);
    path_in(run, "other", other);
    CHECK(check, skein_file_open(path, SKEIN_FILE_RDONLY, 0) == -ENOENT);
    CHECK(check, skein_file_stat(path, &stat) == -ENOENT);
    CHECK(check, skein_file_list(path, &names) == -ENOENT);
    CHECK(check, skein_file_unlink(path, 0) == -ENOENT);
    CHECK(check, skein_file_rename(path, other) == -ENOENT);
    CHECK(check, skein_file_sync_directory(path) == -ENOENT);
    path_in(run, "absent/file", path);
    CHECK(check, skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600) == -ENOENT);
}

static void
file_contents(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    char path[PATH_BYTES];
    char data[16];
    struct skein_stat stat = {0};
    path_in(run, "file", path);
    int handle = create(run, path);
    uint32_t exclusive = SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_EXCLUSIVE;
    CHECK(check, skein_file_open(path, exclusive, 0600) == -EEXIST);
    CHECK(check, skein_file_pread(handle, data, sizeof(data), 0) == 0);
    CHECK(check, skein_file_pwrite(handle, "0123456789", 10, 0, 0) == 0);
    CHECK(check, skein_file_pwrite(handle, "abc", 3, 8, SKEIN_FILE_DSYNC) == 0);
    CHECK(check, skein_file_pread(handle, data, sizeof(data), 0) == 11);
    CHECK(check, memcmp(data, "01234567abc", 11) == 0);
    CHECK(check, skein_file_pread(handle, data, 4, 9) == 2);
    CHECK(check, skein_file_pread(handle, data, 4, 11) == 0);
    CHECK(check, skein_file_pread(handle, data, 4, 4096) == 0);
    CHECK(check, skein_file_sync(handle, 0) == 0);
    CHECK(check, skein_file_sync(handle, SKEIN_FILE_DATA_ONLY) == 0);
    CHECK(check, skein_file_truncate(handle, 5) == 0);
    CHECK(check, skein_file_pread(handle, data, sizeof(data), 0) == 5);
    CHECK(check, skein_file_allocate(handle, 0, 8192) == 0);
    CHECK(check, skein_file_stat(path, &stat) == 0);
    CHECK(check, stat.size_bytes == 8192 && !stat.is_directory);
    CHECK(check, skein_file_pread(handle, data, 3, 4) == 3);
    CHECK(check, memcmp(data, "4\0\0", 3) == 0);
    CHECK(check, skein_close(handle) == 0);
    handle = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_TRUNC, 0);
    CHECK(check, handle >= 0);
    CHECK(check, skein_file_pread(handle, data, 1, 0) == 0);
    CHECK(check, skein_close(handle) == 0);
    handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    CHECK(check, skein_file_pwrite(handle, "x", 1, 0, 0) == -EBADF);
    CHECK(check, skein_close(handle) == 0);
}

static void
direct_files(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    char path[PATH_BYTES];
    char *block = mem_alloc_aligned(4096, 8192);
    path_in(run, "direct", path);
    int handle =
        skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_DIRECT, 0600);
    CHECK(check, handle >= 0);
    memset(block, 'd', 8192);
    CHECK(check, skein_file_pwrite(handle, block, 8192, 0, SKEIN_FILE_DSYNC) == 0);
    CHECK(check, skein_file_truncate(handle, 5000) == 0);
    memset(block, 0, 8192);
    CHECK(check, skein_file_pread(handle, block, 8192, 0) == 5000);
    CHECK(check, block[0] == 'd' && block[4999] == 'd');
    CHECK(check, skein_close(handle) == 0);
    mem_free(block);
}

static void
directories(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    static const char *const unsorted[] = {"d/b", "d/a", "d/B", "d/c"};
    char path[PATH_BYTES];
    char to[PATH_BYTES];
    struct skein_stat stat = {0};
    struct skein_names names = {0};
    path_in(run, "d", path);
    CHECK(check, skein_file_mkdir(path, 0700) == 0);
    CHECK(check, skein_file_mkdir(path, 0700) == -EEXIST);
    CHECK(check, skein_file_stat(path, &stat) == 0 && stat.is_directory);
    CHECK(check, skein_file_list(path, &names) == 0 && names.count == 0);
    skein_names_deinit(&names);
    for (size_t i = 0; i < BASE_COUNT_OF(unsorted); i++)
        CHECK(check, skein_close(create(run, path_in(run, unsorted[i], to))) == 0);
    CHECK(check, skein_file_sync_directory(path) == 0);
    CHECK(check, skein_file_rename(path_in(run, "d/c", to), path_in(run, "d/a", path)) == 0);
    path_in(run, "d", path);
    CHECK(check, skein_file_list(path, &names) == 0);
    if (CHECK(check, names.count == 3)) {
        CHECK(check, strcmp(names.names[0], "B") == 0);
        CHECK(check, strcmp(names.names[1], "a") == 0);
        CHECK(check, strcmp(names.names[2], "b") == 0);
    }
    skein_names_deinit(&names);
    skein_names_deinit(&names);
    CHECK(check, skein_file_unlink(path, SKEIN_FILE_DIRECTORY) == -ENOTEMPTY);
    CHECK(check, skein_file_unlink(path_in(run, "d/B", to), 0) == 0);
    CHECK(check, skein_file_unlink(path_in(run, "d/a", to), 0) == 0);
    CHECK(check, skein_file_unlink(path_in(run, "d/b", to), 0) == 0);
    CHECK(check, skein_file_unlink(path, SKEIN_FILE_DIRECTORY) == 0);
    CHECK(check, skein_file_stat(path, &stat) == -ENOENT);
}

static void
locks(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    char path[PATH_BYTES];
    path_in(run, "lock", path);
    int first = create(run, path);
    int second = create(run, path);
    CHECK(check, skein_file_lock(first) == 0);
    CHECK(check, skein_file_lock(second) == -EWOULDBLOCK);
    CHECK(check, skein_close(first) == 0);
    CHECK(check, skein_file_lock(second) == 0);
    CHECK(check, skein_close(second) == 0);
}

/* ---- sockets ---- */

struct pair {
    int listener;
    int client;
    int server;
    struct skein_addr addr;
};

/* The handshake is the listener's, so connect needs no accept beside it. */
static bool
open_pair(struct backend_suite_run *run, struct pair *pair)
{
    struct check *check = &run->check;
    struct skein_addr peer = {0};
    struct skein_addr local = {0};
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    pair->listener = skein_socket_listen(&loopback, 16);
    if (!CHECK(check, pair->listener >= 0))
        return false;
    CHECK(check, skein_socket_local_addr(pair->listener, &pair->addr) == 0);
    CHECK(check, pair->addr.port != 0);
    CHECK(check, memcmp(pair->addr.ip, loopback.ip, 16) == 0);
    pair->client = skein_socket_connect(&pair->addr, deadline_ns);
    pair->server = skein_socket_accept(pair->listener, &peer, deadline_ns);
    if (!CHECK(check, pair->client >= 0 && pair->server >= 0))
        return false;
    CHECK(check, skein_socket_local_addr(pair->client, &local) == 0);
    CHECK(check, local.port == peer.port && memcmp(local.ip, peer.ip, 16) == 0);
    return true;
}

static void
close_pair(struct backend_suite_run *run, struct pair *pair)
{
    CHECK(&run->check, skein_close(pair->client) == 0);
    CHECK(&run->check, skein_close(pair->server) == 0);
    CHECK(&run->check, skein_close(pair->listener) == 0);
}

static void
refused_connects(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_addr addr = loopback;
    int listener = skein_socket_listen(&loopback, 1);
    CHECK(check, skein_socket_local_addr(listener, &addr) == 0);
    CHECK(check, skein_socket_listen(&addr, 1) == -EADDRINUSE);
    CHECK(check, skein_close(listener) == 0);
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    CHECK(check, skein_socket_connect(&addr, deadline_ns) == -ECONNREFUSED);
}

static void
streams(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    char data[16];
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    if (!open_pair(run, &pair))
        return;
    CHECK(check, skein_socket_send(pair.client, "hello", 5, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.server, data, 2, deadline_ns) == 2);
    CHECK(check, memcmp(data, "he", 2) == 0);
    CHECK(check, skein_socket_recv(pair.server, data, sizeof(data), deadline_ns) == 3);
    struct iovec iov[3] = {{(char *)(uintptr_t) "ab", 2}, {NULL, 0}, {(char *)(uintptr_t) "c", 1}};
    CHECK(check, skein_socket_sendv(pair.server, iov, 3, deadline_ns) == 0);
    size_t count = 0;
    while (count < 3) {
        ssize_t n = skein_socket_recv(pair.client, data + count, sizeof(data) - count, deadline_ns);
        if (!CHECK(check, n > 0))
            break;
        count += (size_t)n;
    }
    CHECK(check, count == 3 && memcmp(data, "abc", 3) == 0);
    CHECK(check, skein_socket_shutdown(pair.client) == 0);
    CHECK(check, skein_socket_recv(pair.server, data, 1, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.server, data, 1, deadline_ns) == 0);
    CHECK(check, skein_socket_send(pair.server, "still", 5, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.client, data, 5, deadline_ns) > 0);
    close_pair(run, &pair);
}

struct bulk {
    struct backend_suite_run *run;
    int handle;
};

static void
send_bulk(void *arg)
{
    struct bulk *bulk = arg;
    char *data = mem_alloc(BULK_BYTES);
    struct iovec iov[4];
    for (size_t i = 0; i < BULK_BYTES; i++)
        data[i] = (char)(i * 31 + (i >> 12));
    for (size_t i = 0; i < 4; i++)
        iov[i] = (struct iovec){data + i * (BULK_BYTES / 4), BULK_BYTES / 4};
    uint64_t deadline_ns = skein_deadline_in(20000 * MILLISECOND_NS);
    CHECK(&bulk->run->check, skein_socket_sendv(bulk->handle, iov, 4, deadline_ns) == 0);
    CHECK(&bulk->run->check, skein_socket_shutdown(bulk->handle) == 0);
    mem_free(data);
}

static void
bulk_transfer(struct backend_suite_run *run)
{
    struct pair pair;
    struct skein_scope scope;
    if (!open_pair(run, &pair))
        return;
    struct bulk bulk = {.run = run, .handle = pair.client};
    skein_scope_init(&scope);
    CHECK(&run->check, skein_spawn(&scope, "bulk", send_bulk, &bulk, SKEIN_STACK_SMALL) == 0);
    char data[8192];
    uint64_t deadline_ns = skein_deadline_in(20000 * MILLISECOND_NS);
    size_t count = 0;
    bool same = true;
    ssize_t n;
    while ((n = skein_socket_recv(pair.server, data, sizeof(data), deadline_ns)) > 0) {
        for (size_t i = 0; i < (size_t)n; i++)
            same = same && data[i] == (char)((count + i) * 31 + ((count + i) >> 12));
        count += (size_t)n;
    }
    CHECK(&run->check, n == 0);
    CHECK(&run->check, same && count == BULK_BYTES);
    skein_scope_join(&scope);
    close_pair(run, &pair);
}

static void
sends_to_a_closed_peer(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    if (!open_pair(run, &pair))
        return;
    CHECK(check, skein_close(pair.server) == 0);
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++) {
        rc = skein_socket_send(pair.client, "x", 1, skein_deadline_in(1000 * MILLISECOND_NS));
        CHECK(check, skein_sleep(skein_deadline_in(MILLISECOND_NS)) == 0);
    }
    CHECK(check, rc == -EPIPE || rc == -ECONNRESET);
    CHECK(check, skein_close(pair.client) == 0);
    CHECK(check, skein_close(pair.listener) == 0);
}

/* ---- deadlines and cancellation ---- */

static void
deadlines(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    char byte;
    if (!open_pair(run, &pair))
        return;
    uint64_t deadline_ns = skein_deadline_in(5 * MILLISECOND_NS);
    CHECK(check, skein_socket_recv(pair.server, &byte, 1, deadline_ns) == -SKEIN_ETIMEDOUT);
    CHECK(check, skein_now_ns() >= deadline_ns);
    CHECK(check, skein_socket_accept(pair.listener, NULL, deadline_ns) == -SKEIN_ETIMEDOUT);
    CHECK(check, skein_sleep(deadline_ns) == 0);
    deadline_ns = skein_deadline_in(3 * MILLISECOND_NS);
    CHECK(check, skein_sleep(deadline_ns) == 0);
    CHECK(check, skein_now_ns() >= deadline_ns);
    deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    CHECK(check, skein_socket_send(pair.client, "x", 1, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.server, &byte, 1, deadline_ns) == 1 && byte == 'x');
    close_pair(run, &pair);
}

struct blocked {
    int handle;
    int64_t result;
    char byte;
    struct skein_waitq *got;
};

static void
blocked_recv(void *arg)
{
    struct blocked *blocked = arg;
    blocked->result = skein_socket_recv(blocked->handle, &blocked->byte, 1, SKEIN_NEVER);
}

static void
blocked_accept(void *arg)
{
    struct blocked *blocked = arg;
    blocked->result = skein_socket_accept(blocked->handle, NULL, SKEIN_NEVER);
}

static void
cancelled_waits(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    struct skein_scope scope;
    if (!open_pair(run, &pair))
        return;
    struct blocked recv = {.handle = pair.server, .result = 1};
    struct blocked accept = {.handle = pair.listener, .result = 1};
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "recv", blocked_recv, &recv, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_spawn(&scope, "accept", blocked_accept, &accept, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_sleep(skein_deadline_in(2 * MILLISECOND_NS)) == 0);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(check, recv.result == -SKEIN_ECANCELED);
    CHECK(check, accept.result == -SKEIN_ECANCELED);
    /* The stream is whole: nothing was taken from it by the cancelled recv. */
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    char byte = 0;
    CHECK(check, skein_socket_send(pair.client, "y", 1, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.server, &byte, 1, deadline_ns) == 1 && byte == 'y');
    close_pair(run, &pair);
}

static void
cancel_it(void *arg)
{
    skein_scope_cancel(arg);
}

/* Cancelled at about the moment of the result: whichever came first, no byte is lost. */
static void
results_against_cancels(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    if (!open_pair(run, &pair))
        return;
    uint64_t deadline_ns = skein_deadline_in(20000 * MILLISECOND_NS);
    for (int i = 0; i < 50; i++) {
        struct skein_scope scope;
        struct skein_scope canceller;
        struct blocked recv = {.handle = pair.server, .result = 1};
        skein_scope_init(&scope);
        skein_scope_init(&canceller);
        CHECK(check, skein_spawn(&scope, "recv", blocked_recv, &recv, SKEIN_STACK_SMALL) == 0);
        skein_yield();
        if (i % 2)
            CHECK(check, skein_spawn(&canceller, "c", cancel_it, &scope, SKEIN_STACK_SMALL) == 0);
        CHECK(check, skein_socket_send(pair.client, "z", 1, deadline_ns) == 0);
        skein_scope_cancel(&scope);
        skein_scope_join(&scope);
        skein_scope_join(&canceller);
        CHECK(check, recv.result == 1 || recv.result == -SKEIN_ECANCELED);
        if (recv.result != 1)
            recv.result = skein_socket_recv(pair.server, &recv.byte, 1, deadline_ns);
        CHECK(check, recv.result == 1 && recv.byte == 'z');
    }
    close_pair(run, &pair);
}

/* A handle closed under its receiver: told so, at once; the peer reads the end. */
static void
closed_under_a_receiver(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    struct skein_scope scope;
    char byte;
    if (!open_pair(run, &pair))
        return;
    struct blocked recv = {.handle = pair.server, .result = 1};
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "recv", blocked_recv, &recv, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_sleep(skein_deadline_in(2 * MILLISECOND_NS)) == 0);
    CHECK(check, skein_close(pair.server) == 0);
    skein_scope_join(&scope);
    CHECK(check, recv.result == -ECONNRESET);
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    CHECK(check, skein_socket_recv(pair.client, &byte, 1, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.server, &byte, 1, deadline_ns) == -EBADF);
    CHECK(check, skein_close(pair.server) == -EBADF);
    CHECK(check, skein_close(pair.client) == 0);
    CHECK(check, skein_close(pair.listener) == 0);
}

#define IDLE_PAIR_COUNT 24
#define IDLE_BYTES ((size_t)192 << 10)

static void
send_until_full(void *arg)
{
    struct bulk *bulk = arg;
    char data[4096];
    memset(data, 'f', sizeof(data));
    for (size_t sent = 0; sent < IDLE_BYTES; sent += sizeof(data))
        if (skein_socket_send(bulk->handle, data, sizeof(data), SKEIN_NEVER) < 0)
            return;
}

/* Receives @wanted bytes; how many came and were right. */
static size_t
drain(int handle, size_t wanted)
{
    char data[3000];
    size_t count = 0;
    uint64_t deadline_ns = skein_deadline_in(20000 * MILLISECOND_NS);
    while (count < wanted) {
        size_t room = wanted - count < sizeof(data) ? wanted - count : sizeof(data);
        ssize_t n = skein_socket_recv(handle, data, room, deadline_ns);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            if (data[i] != 'f')
                return 0;
        count += (size_t)n;
    }
    return count;
}

/* Connections whose receivers have read one byte and no more do not keep others from being served,
 * and nothing of theirs is lost. */
static void
receivers_that_do_not_read(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pairs[IDLE_PAIR_COUNT + 1] = {0};
    struct bulk bulks[IDLE_PAIR_COUNT];
    struct skein_scope scope;
    char byte = 0;
    skein_scope_init(&scope);
    uint64_t deadline_ns = skein_deadline_in(20000 * MILLISECOND_NS);
    for (size_t i = 0; i <= IDLE_PAIR_COUNT; i++)
        if (!open_pair(run, &pairs[i]))
            return;
    for (size_t i = 0; i < IDLE_PAIR_COUNT; i++) {
        bulks[i] = (struct bulk){.run = run, .handle = pairs[i].client};
        CHECK(check,
              skein_spawn(&scope, "full", send_until_full, &bulks[i], SKEIN_STACK_SMALL) == 0);
        CHECK(check, skein_socket_recv(pairs[i].server, &byte, 1, deadline_ns) == 1);
    }
    const struct pair *live = &pairs[IDLE_PAIR_COUNT];
    for (int i = 0; i < 200; i++) {
        CHECK(check, skein_socket_send(live->client, "p", 1, deadline_ns) == 0);
        CHECK(check, skein_socket_recv(live->server, &byte, 1, deadline_ns) == 1 && byte == 'p');
    }
    for (size_t i = 0; i < IDLE_PAIR_COUNT; i++)
        CHECK(check, drain(pairs[i].server, IDLE_BYTES - 1) == IDLE_BYTES - 1);
    skein_scope_join(&scope);
    for (size_t i = 0; i <= IDLE_PAIR_COUNT; i++)
        close_pair(run, &pairs[i]);
}

/* A listener closed under its acceptor: told so; its port is free again; who was not accepted yet
 * is cut off. */
static void
closed_under_an_acceptor(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_addr addr = {0};
    struct skein_scope scope;
    char byte;
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    struct blocked accept = {.handle = skein_socket_listen(&loopback, 4), .result = 1};
    CHECK(check, skein_socket_local_addr(accept.handle, &addr) == 0);
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "accept", blocked_accept, &accept, SKEIN_STACK_SMALL) == 0);
    int first = skein_socket_connect(&addr, deadline_ns);
    skein_scope_join(&scope);
    CHECK(check, accept.result >= 0);
    CHECK(check, skein_close((int)accept.result) == 0);
    CHECK(check, skein_socket_recv(first, &byte, 1, deadline_ns) == 0);
    CHECK(check, skein_spawn(&scope, "accept", blocked_accept, &accept, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_sleep(skein_deadline_in(2 * MILLISECOND_NS)) == 0);
    CHECK(check, skein_close(accept.handle) == 0);
    skein_scope_join(&scope);
    CHECK(check, accept.result == -ECONNRESET);
    CHECK(check, skein_socket_connect(&addr, deadline_ns) == -ECONNREFUSED);
    int again = skein_socket_listen(&addr, 4);
    CHECK(check, again >= 0);
    int second = skein_socket_connect(&addr, deadline_ns);
    CHECK(check, second >= 0);
    CHECK(check, skein_close(again) == 0);
    ssize_t n = skein_socket_recv(second, &byte, 1, deadline_ns);
    CHECK(check, n == 0 || n == -ECONNRESET);
    CHECK(check, skein_close(first) == 0);
    CHECK(check, skein_close(second) == 0);
}

static void
waits_for_input(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct pair pair;
    char data[2];
    if (!open_pair(run, &pair))
        return;
    CHECK(check, skein_wait_readable(-1, SKEIN_NEVER) == -EBADF);
    uint64_t soon_ns = skein_deadline_in(2 * MILLISECOND_NS);
    CHECK(check, skein_wait_readable(pair.server, soon_ns) == -SKEIN_ETIMEDOUT);
    uint64_t deadline_ns = skein_deadline_in(5000 * MILLISECOND_NS);
    for (int i = 0; i < 3; i++) {
        CHECK(check, skein_socket_send(pair.client, "i", 1, deadline_ns) == 0);
        CHECK(check, skein_wait_readable(pair.server, deadline_ns) == 0);
        CHECK(check, skein_wait_readable(pair.server, deadline_ns) == 0);
        CHECK(check, skein_socket_recv(pair.server, data, 2, deadline_ns) == 1);
        soon_ns = skein_deadline_in(MILLISECOND_NS);
        CHECK(check, skein_wait_readable(pair.server, soon_ns) == -SKEIN_ETIMEDOUT);
    }
    CHECK(check, skein_socket_shutdown(pair.client) == 0);
    CHECK(check, skein_wait_readable(pair.server, deadline_ns) == 0);
    CHECK(check, skein_socket_recv(pair.server, data, 2, deadline_ns) == 0);
    close_pair(run, &pair);
}

struct cancelled_io {
    struct backend_suite_run *run;
    int handle;
};

static void
io_of_a_cancelled_fiber(void *arg)
{
    struct cancelled_io *io = arg;
    struct check *check = &io->run->check;
    char byte = 0;
    CHECK(check, skein_cancelled());
    CHECK(check, skein_file_pread(io->handle, &byte, 1, 0) == -SKEIN_ECANCELED);
    CHECK(check, skein_file_sync(io->handle, 0) == -SKEIN_ECANCELED);
    skein_shield(true);
    CHECK(check, skein_file_pwrite(io->handle, "q", 1, 0, 0) == 0);
    skein_shield(false);
    CHECK(check, skein_close(io->handle) == 0);
}

static void
cancelled_fibers_close_what_they_hold(struct backend_suite_run *run)
{
    char path[PATH_BYTES];
    struct skein_scope scope;
    struct cancelled_io io = {.run = run, .handle = create(run, path_in(run, "held", path))};
    skein_scope_init(&scope);
    skein_scope_cancel(&scope);
    CHECK(&run->check,
          skein_spawn(&scope, "held", io_of_a_cancelled_fiber, &io, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
}

/* ---- the rest ---- */

static int64_t
add_one(void *arg)
{
    return ++*(int64_t *)arg;
}

static void
worker(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int64_t value = i;
        *(int64_t *)arg += skein_work(add_one, &value);
    }
}

static void
helper_work(struct backend_suite_run *run)
{
    struct skein_scope scope;
    int64_t sums[6] = {0};
    skein_scope_init(&scope);
    for (size_t i = 0; i < BASE_COUNT_OF(sums); i++)
        CHECK(&run->check, skein_spawn(&scope, "worker", worker, &sums[i], SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    for (size_t i = 0; i < BASE_COUNT_OF(sums); i++)
        CHECK(&run->check, sums[i] == 210);
}

static void
clocks_and_entropy(struct backend_suite_run *run)
{
    uint64_t before_ns = skein_now_ns();
    CHECK(&run->check, skein_sleep(skein_deadline_in(MILLISECOND_NS)) == 0);
    CHECK(&run->check, skein_now_ns() >= before_ns + MILLISECOND_NS);
    CHECK(&run->check, skein_wall_ns() > 0);
    CHECK(&run->check, skein_random() != skein_random());
}

const struct backend_suite_case backend_suite_cases[] = {
    {"absent_files", absent_files},
    {"file_contents", file_contents},
    {"direct_files", direct_files},
    {"directories", directories},
    {"locks", locks},
    {"vectored_files", backend_suite_vectored_files},
    {"allocation", backend_suite_allocation},
    {"durable_names", backend_suite_durable_names},
    {"bad_handles", backend_suite_bad_handles},
    {"files_to_sockets", backend_suite_files_to_sockets},
    {"watches", backend_suite_watches},
    {"file_streams", backend_suite_file_streams},
    {"file_stream_errors", backend_suite_file_stream_errors},
    {"maps", backend_suite_maps},
    {"refused_connects", refused_connects},
    {"streams", streams},
    {"bulk_transfer", bulk_transfer},
    {"sends_to_a_closed_peer", sends_to_a_closed_peer},
    {"deadlines", deadlines},
    {"cancelled_waits", cancelled_waits},
    {"results_against_cancels", results_against_cancels},
    {"closed_under_a_receiver", closed_under_a_receiver},
    {"closed_under_an_acceptor", closed_under_an_acceptor},
    {"waits_for_input", waits_for_input},
    {"receivers_that_do_not_read", receivers_that_do_not_read},
    {"cancelled_fibers_close_what_they_hold", cancelled_fibers_close_what_they_hold},
    {"helper_work", helper_work},
    {"clocks_and_entropy", clocks_and_entropy},
    {"bad_sockets", backend_suite_bad_sockets},
    {"options", backend_suite_options},
    {"datagrams", backend_suite_datagrams},
    {"unix_streams", backend_suite_unix_streams},
    {"unix_backlog", backend_suite_unix_backlog},
    {"unix_datagrams_full", backend_suite_unix_datagrams_full},
    {"unix_datagrams", backend_suite_unix_datagrams},
    {NULL, NULL},
};

struct case_run {
    struct backend_suite_run run;
    const struct backend_suite_case *suite_case;
};

static int
case_main(void *arg)
{
    struct case_run *case_run = arg;
    case_run->suite_case->fn(&case_run->run);
    return 42;
}

unsigned
backend_suite_case_run(struct backend_suite_world *world,
                       const struct backend_suite_case *suite_case)
{
    struct case_run case_run = {.run = {.directory = world->directory}, .suite_case = suite_case};
    int result = world->run(world, case_main, &case_run);
    CHECK(&case_run.run.check, result == 42);
    return case_run.run.check.failed_count;
}
