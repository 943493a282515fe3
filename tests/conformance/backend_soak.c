/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: connections that come and go leave nothing behind: after COUNT of them the process has the
 * descriptors and the memory it had when the first few thousand had gone.
 *
 *     backend_soak io_uring|epoll|poll COUNT
 *
 * COUNT 1000000 takes about a minute. The clients are fibers of the same shard; each connection
 * carries one byte there and back, and every eighth is cut off by its server in mid-receive. The
 * server's addresses are many, because each has only so many ports.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "skein/backend.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "skein/socket.h"

#define CLIENT_COUNT 32
#define WARM_UP_COUNT 4096
/* What an allocator may keep, and no leak of one small block a connection. */
/* AddressSanitizer keeps what is freed for a while, to see who still uses it. */
#ifdef CONTEXT_ASAN
#define MEMORY_SLACK_BYTES (256l << 20)
#else
#define MEMORY_SLACK_BYTES (1 << 20)
#endif
#define SECOND_NS 1000000000ull

struct soak {
    uint64_t count, done_count, failed_count;
    struct skein_addr addr;
    int listener;
    long descriptors, descriptors_after;
    long memory_bytes, memory_bytes_after;
    struct skein_scope servers;
};

static long
count_descriptors(void)
{
    long count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static long
resident_bytes(void)
{
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = -1;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void
serve(void *arg)
{
    int handle = (int)(intptr_t)arg;
    char byte;
    if (skein_socket_recv(handle, &byte, 1, SKEIN_NEVER) == 1 && byte == 'e' &&
        skein_socket_send(handle, &byte, 1, SKEIN_NEVER) == 0 &&
        skein_socket_recv(handle, &byte, 1, SKEIN_NEVER) < 0)
        fprintf(stderr, "soak: a server's receive failed\n");
    skein_close(handle);
}

static void
accept_all(void *arg)
{
    struct soak *soak = arg;
    int handle;
    while ((handle = skein_socket_accept(soak->listener, NULL, SKEIN_NEVER)) >= 0)
        if (skein_spawn(&soak->servers, "server", serve, (void *)(intptr_t)handle,
                        SKEIN_STACK_SMALL) < 0)
            skein_close(handle);
}

static bool
connect_once(struct soak *soak, uint64_t number)
{
    uint64_t deadline_ns = skein_deadline_in(20 * SECOND_NS);
    struct skein_addr addr = soak->addr;
    char byte = number % 8 == 0 ? 'c' : 'e';
    addr.ip[14] = (uint8_t)(number % 64);
    int handle = skein_socket_connect(&addr, deadline_ns);
    if (handle < 0)
        return false;
    bool right = skein_socket_send(handle, &byte, 1, deadline_ns) == 0;
    char answer = 0;
    ssize_t n = skein_socket_recv(handle, &answer, 1, deadline_ns);
    right = right && (byte == 'e' ? n == 1 && answer == 'e' : n == 0);
    return skein_close(handle) == 0 && right;
}

static void
client(void *arg)
{
    struct soak *soak = arg;
    while (soak->done_count < soak->count) {
        uint64_t number = soak->done_count++;
        if (!connect_once(soak, number))
            soak->failed_count++;
    }
}

static int
run_clients(struct soak *soak, uint64_t count)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    soak->count = count;
    soak->done_count = 0;
    for (int i = 0; i < CLIENT_COUNT; i++)
        if (skein_spawn(&scope, "client", client, soak, SKEIN_STACK_SMALL) < 0)
            soak->failed_count++;
    skein_scope_join(&scope);
    skein_scope_join(&soak->servers);
    return 0;
}

static int
soak_main(void *arg)
{
    struct soak *soak = arg;
    struct skein_scope scope;
    uint64_t count = soak->count;
    soak->listener = skein_socket_listen(&soak->addr, 1024);
    if (soak->listener < 0 || skein_socket_local_addr(soak->listener, &soak->addr) < 0)
        return 1;
    soak->addr.ip[12] = 127;
    soak->addr.ip[15] = 1;
    skein_scope_init(&scope);
    skein_scope_init(&soak->servers);
    if (skein_spawn(&scope, "accept", accept_all, soak, SKEIN_STACK_SMALL) < 0)
        return 1;
    run_clients(soak, WARM_UP_COUNT);
    soak->descriptors = count_descriptors();
    soak->memory_bytes = resident_bytes();
    run_clients(soak, count);
    soak->descriptors_after = count_descriptors();
    soak->memory_bytes_after = resident_bytes();
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    return skein_close(soak->listener) < 0;
}

static int
judge(const struct soak *soak, const char *name)
{
    bool right = soak->failed_count == 0 && soak->descriptors == soak->descriptors_after &&
                 soak->memory_bytes_after <= soak->memory_bytes + MEMORY_SLACK_BYTES;
    printf("%s: %llu connections, %llu failed, descriptors %ld -> %ld, resident KiB %ld -> %ld\n",
           name, (unsigned long long)soak->count, (unsigned long long)soak->failed_count,
           soak->descriptors, soak->descriptors_after, soak->memory_bytes / 1024,
           soak->memory_bytes_after / 1024);
    return right ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct skein_backend_options wanted = {0};
    struct skein_backend_choice choice;
    struct skein_shard_options options = {.stacks = skein_stack_pool_open()};
    struct skein_shard *shard = NULL;
    struct soak soak = {.addr = {.ip = {[10] = 0xff, [11] = 0xff}}};
    if (argc != 3 || skein_backend_kind_parse(argv[1], &wanted.kind) < 0 ||
        (soak.count = strtoull(argv[2], NULL, 10)) == 0) {
        fprintf(stderr, "usage: backend_soak io_uring|epoll|poll COUNT\n");
        return 2;
    }
    int rc = skein_backend_open(&options.backend, &wanted, &choice);
    if (rc == 0)
        rc = skein_shard_open(&shard, &options);
    if (rc < 0) {
        fprintf(stderr, "soak: %s\n", choice.why);
        return 1;
    }
    rc = skein_shard_run(shard, soak_main, &soak);
    skein_shard_close(shard);
    skein_backend_close(options.backend);
    skein_stack_pool_close(options.stacks);
    return judge(&soak, argv[1]) || rc;
}
