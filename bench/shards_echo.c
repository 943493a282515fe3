/* SPDX-License-Identifier: Apache-2.0 */

/*
 * shards_echo - what a request costs when two shards serve instead of one.
 *
 *     shards_echo [--json]
 *
 * A TCP echo of 64 bytes behind skein_listener, in a process of its own, with 64 connections a
 * shard, each with one request under way. Two processes drive it, one on each of processors 0 and
 * 1, so that every shard has the same neighbours: a driver on its own processor and, for half of
 * its connections, one on the other. Measured interleaved with one shard and with two: the server's
 * processor time for a request, and how the connections were split.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "skein/core.h"
#include "skein/listener.h"

#define REPEATS 5
#define SECONDS 1
#define CONNECTIONS_EACH 64
#define SHARDS_MAX 2
#define DRIVERS 2
#define WARM_UP_NS 200000000.0
#define REQUEST_BYTES 64

/* What the server says at the end. */
struct report {
    double cpu_ns;
    uint64_t served[SHARDS_MAX];
    uint64_t given;
    uint32_t imbalance;
};

static double
cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static double
clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- the server: a command byte over `control` begins and ends a measurement ---- */

static void
echo(void *arg, int handle, const struct skein_addr *peer)
{
    char data[REQUEST_BYTES];
    ssize_t n;
    while ((n = skein_socket_recv(handle, data, sizeof(data), SKEIN_NEVER)) > 0)
        if (skein_socket_send(handle, data, (size_t)n, SKEIN_NEVER) < 0)
            return;
}

static void
say(int control, const void *data, size_t count)
{
    ssize_t written = write(control, data, count);
    skein_assert(written == (ssize_t)count);
}

static void
wait_for_byte(int control)
{
    char byte;
    int rc = skein_net_wait(control, SKEIN_READABLE, SKEIN_NEVER);
    skein_assert(rc == 0);
    ssize_t got = read(control, &byte, 1);
    skein_assert(got == 1);
}

static int
server_main(void *arg)
{
    int control = *(int *)arg;
    struct skein_listener *listener;
    struct skein_listener_options options = {
        .endpoint = {.addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}},
        .serve = echo};
    struct skein_listener_stats stats[SHARDS_MAX];
    struct report report = {0};
    int rc = skein_listener_start(&listener, &options);
    if (rc < 0)
        return rc;
    uint16_t port = skein_listener_port(listener);
    say(control, &port, sizeof(port));
    wait_for_byte(control);
    double begin_ns = cpu_ns();
    wait_for_byte(control);
    report.cpu_ns = cpu_ns() - begin_ns;
    rc = skein_listener_stats_read(listener, stats);
    skein_assert(rc == 0);
    for (unsigned i = 0; i < skein_shard_count(); i++) {
        report.served[i] = stats[i].served_count;
        report.given += stats[i].given_count;
    }
    report.imbalance = skein_listener_imbalance(stats, skein_shard_count());
    say(control, &report, sizeof(report));
    skein_listener_stop(listener);
    return 0;
}

static void
serve(int control, unsigned shard_count)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int result = 0;
    options.shard_count = shard_count;
    options.cpus = "0-1";
    options.idle_poll_ns = 0;
    int rc = skein_runtime_run(&options, server_main, &control, &result, why);
    if (rc < 0)
        fprintf(stderr, "shards_echo: %s\n", why);
    _exit(rc < 0 || result < 0);
}

/* ---- the clients ---- */

static int
dial(uint16_t port)
{
    int one = 1;
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    skein_assert(fd >= 0);
    skein_assert(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* Answers between @begin_ns and @end_ns. */
static uint64_t
drive(int epoll, double begin_ns, double end_ns)
{
    struct epoll_event events[256];
    char data[REQUEST_BYTES];
    uint64_t count = 0;
    double now_ns;
    while ((now_ns = clock_ns()) < end_ns) {
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            ssize_t got = recv(events[i].data.fd, data, sizeof(data), MSG_DONTWAIT);
            skein_assert(got == REQUEST_BYTES || (got < 0 && errno == EAGAIN));
            if (got < 0)
                continue;
            count += now_ns >= begin_ns;
            skein_assert(send(events[i].data.fd, data, sizeof(data), 0) == REQUEST_BYTES);
        }
    }
    return count;
}

/* A driver's whole life: the count goes to @result. */
static void
driver(int cpu, uint16_t port, unsigned connections, double begin_ns, int result)
{
    cpu_set_t set;
    char data[REQUEST_BYTES] = {0};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    int rc = sched_setaffinity(0, sizeof(set), &set);
    skein_assert(rc == 0);
    for (unsigned i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = dial(port)};
        rc = epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        skein_assert(rc == 0);
        ssize_t sent = send(event.data.fd, data, sizeof(data), 0);
        skein_assert(sent == REQUEST_BYTES);
    }
    uint64_t count = drive(epoll, begin_ns, begin_ns + SECONDS * 1e9);
    say(result, &count, sizeof(count));
    _exit(0);
}

static void
sleep_until(double at_ns)
{
    double left_ns = at_ns - clock_ns();
    if (left_ns > 0)
        usleep((useconds_t)(left_ns / 1e3));
}

struct outcome {
    double cpu_ns; /* a request */
    double rate;
    struct report report;
};

static struct outcome
measure(unsigned shard_count)
{
    int control[2];
    int results[2];
    uint16_t port;
    uint64_t count = 0;
    struct outcome outcome = {0};
    pid_t pids[1 + DRIVERS];
    skein_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0);
    skein_assert(pipe(results) == 0);
    if ((pids[0] = fork()) == 0)
        serve(control[1], shard_count);
    if (read(control[0], &port, sizeof(port)) != sizeof(port))
        exit(1);
    double begin_ns = clock_ns() + WARM_UP_NS;
    for (int i = 0; i < DRIVERS; i++)
        if ((pids[1 + i] = fork()) == 0)
            driver(i, port, CONNECTIONS_EACH * shard_count / DRIVERS, begin_ns, results[1]);
    sleep_until(begin_ns);
    say(control[0], "b", 1);
    sleep_until(begin_ns + SECONDS * 1e9);
    say(control[0], "e", 1);
    for (int i = 0; i < DRIVERS; i++) {
        uint64_t part;
        if (read(results[0], &part, sizeof(part)) != sizeof(part))
            exit(1);
        count += part;
    }
    if (read(control[0], &outcome.report, sizeof(outcome.report)) != sizeof(outcome.report))
        exit(1);
    outcome.rate = (double)count / SECONDS;
    outcome.cpu_ns = outcome.report.cpu_ns / (double)count;
    for (int i = 0; i < 2; i++) {
        close(control[i]);
        close(results[i]);
    }
    for (int i = 0; i <= DRIVERS; i++)
        waitpid(pids[i], NULL, 0);
    return outcome;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    double cost[SHARDS_MAX][REPEATS];
    double rate[SHARDS_MAX][REPEATS];
    double share_worst = 0.5;
    struct report last = {0};
    for (int i = 0; i < REPEATS; i++)
        for (unsigned shards = 1; shards <= SHARDS_MAX; shards++) {
            struct outcome outcome = measure(shards);
            cost[shards - 1][i] = outcome.cpu_ns;
            rate[shards - 1][i] = outcome.rate;
            last = outcome.report;
            double share = (double)last.served[0] / (double)(last.served[0] + last.served[1]);
            if (shards > 1 &&
                (share - 0.5) * (share - 0.5) > (share_worst - 0.5) * (share_worst - 0.5))
                share_worst = share;
        }
    for (int i = 0; i < SHARDS_MAX; i++) {
        qsort(cost[i], REPEATS, sizeof(double), compare);
        qsort(rate[i], REPEATS, sizeof(double), compare);
    }
    double one = cost[0][REPEATS / 2];
    double two = cost[1][REPEATS / 2];
    if (json) {
        printf("{\"cpu_ns_one\":%.0f,\"cpu_ns_two\":%.0f,\"cpu_ratio\":%.3f,\"rate_one\":%.0f,"
               "\"rate_two\":%.0f,\"cpu_ns_two_min\":%.0f,\"cpu_ns_two_max\":%.0f,"
               "\"share_worst\":%.3f,\"repeats\":%d}\n",
               one, two, two / one, rate[0][REPEATS / 2], rate[1][REPEATS / 2], cost[1][0],
               cost[1][REPEATS - 1], share_worst, REPEATS);
        return 0;
    }
    printf("one shard   %6.0f ns of the server a request (%.0f-%.0f), %.0f a second\n", one,
           cost[0][0], cost[0][REPEATS - 1], rate[0][REPEATS / 2]);
    printf("two shards  %6.0f ns (%.0f-%.0f), %.0f a second: %.2f times; at most 1.1\n", two,
           cost[1][0], cost[1][REPEATS - 1], rate[1][REPEATS / 2], two / one);
    printf("connections %.1f %% on shard 0 at worst, 50 +/- 5; %llu handed over last\n",
           100 * share_worst, (unsigned long long)last.given);
    return 0;
}
