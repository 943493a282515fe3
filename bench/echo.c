/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor time a TCP echo of 64 bytes costs its server: ours, a hand-written liburing loop
 * and libuv, in turn, several times, with the clients in a process of their own on the other core.
 *
 *     echo [--seconds S] [--repeats N] [--connections N,N,...] [--servers NAME,NAME,...]
 *          [--idle N] [--json]
 *
 * Every connection has one message under way. What counts is the server's processor time (user and
 * system) divided by the echoes in the measured time; the first fifth of a run is not measured.
 *
 * --idle: also what a connection costs the server in memory when it has been used once and waits:
 * resident pages and page tables, N connections (at most what the descriptor limit allows).
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/echo.h"

#define MESSAGE_BYTES 64
#define REPEAT_COUNT_MAX 25
#define CASE_COUNT_MAX 8
#define CONNECTION_COUNT_MAX 18000
#define IDLE_COUNT_MIN 1000

struct server {
    const char *name;
    void (*serve)(int listener);
};

static const struct server servers[] = {
    {"ours", echo_serve_ours},
    {"bare", echo_serve_bare},
    {"libuv", echo_serve_uv},
};

#define SERVER_COUNT (sizeof(servers) / sizeof(servers[0]))

struct sample {
    double cpu_us;
    double rate;
};

struct bench {
    double seconds;
    int repeat_count;
    int connections[CASE_COUNT_MAX];
    int case_count;
    bool wanted[SERVER_COUNT];
    bool json;
    int idle_count;
    double idle_bytes[SERVER_COUNT];
    struct sample samples[CASE_COUNT_MAX][SERVER_COUNT][REPEAT_COUNT_MAX];
};

static void
die(const char *what)
{
    fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double
clock_s(clockid_t clock)
{
    struct timespec ts;
    if (clock_gettime(clock, &ts) < 0)
        die("clock");
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
pin_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && sched_setaffinity(0, sizeof(set), &set) < 0)
        die("affinity");
}

static int
listen_on_loopback(struct sockaddr_in *out_addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    socklen_t bytes = sizeof(*out_addr);
    *out_addr =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)out_addr, sizeof(*out_addr)) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)out_addr, &bytes) < 0)
        die("listen");
    return fd;
}

static pid_t
start_server(const struct server *server, int listener)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        pin_to(0);
        server->serve(listener);
        _exit(1);
    }
    return pid;
}

/* ---- the clients ---- */

static char message[MESSAGE_BYTES];

static int
connect_one(int epoll, const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("connect");
    return fd;
}

/* Echoes until @end_s; how many. A message of this size never arrives in two pieces. */
static uint64_t
exchange(int epoll, double end_s)
{
    struct epoll_event events[256];
    char data[MESSAGE_BYTES];
    uint64_t count = 0;
    do {
        int n = epoll_wait(epoll, events, 256, 1000);
        if (n <= 0)
            die("no answer");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (recv(fd, data, sizeof(data), 0) != MESSAGE_BYTES ||
                send(fd, message, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
                die("exchange");
        }
        count += (uint64_t)n;
    } while (clock_s(CLOCK_MONOTONIC) < end_s);
    return count;
}

static struct sample
measure(const struct server *server, int connection_count, double seconds)
{
    struct sockaddr_in addr;
    clockid_t cpu_clock;
    int listener = listen_on_loopback(&addr);
    pid_t pid = start_server(server, listener);
    int *fds = malloc((size_t)connection_count * sizeof(int));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    close(listener);
    if (!fds || epoll < 0 || clock_getcpuclockid(pid, &cpu_clock) != 0)
        die("set-up");
    for (int i = 0; i < connection_count; i++)
        fds[i] = connect_one(epoll, &addr);
    for (int i = 0; i < connection_count; i++)
        if (send(fds[i], message, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
            die("send");
    exchange(epoll, clock_s(CLOCK_MONOTONIC) + seconds / 5);
    double cpu_s = clock_s(cpu_clock);
    double begin_s = clock_s(CLOCK_MONOTONIC);
    uint64_t count = exchange(epoll, begin_s + seconds);
    double end_s = clock_s(CLOCK_MONOTONIC);
    cpu_s = clock_s(cpu_clock) - cpu_s;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < connection_count; i++)
        close(fds[i]);
    free(fds);
    close(epoll);
    return (struct sample){.cpu_us = cpu_s * 1e6 / (double)count,
                           .rate = (double)count / (end_s - begin_s)};
}

/* ---- idle connections ---- */

/* Resident memory and page tables of a process. */
static double
memory_of(pid_t pid)
{
    char path[64], line[256];
    double bytes = 0, value;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        die(path);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "VmRSS: %lf", &value) == 1 || sscanf(line, "VmPTE: %lf", &value) == 1)
            bytes += value * 1024;
    fclose(file);
    return bytes;
}

/* Connections from several loopback addresses, so that there are ports enough; one echo each. */
static int
connect_idle(const struct sockaddr_in *addr, int number)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % 8)};
    char data[MESSAGE_BYTES];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
        connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
        send(fd, message, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES ||
        recv(fd, data, MESSAGE_BYTES, MSG_WAITALL) != MESSAGE_BYTES)
        die("idle connection");
    return fd;
}

static double
measure_idle(const struct server *server, int count)
{
    struct sockaddr_in addr;
    int listener = listen_on_loopback(&addr);
    pid_t pid = start_server(server, listener);
    int *fds = malloc((size_t)count * sizeof(int));
    double before = 0;
    close(listener);
    if (!fds)
        die("memory");
    for (int i = 0; i < count; i++) {
        fds[i] = connect_idle(&addr, i);
        if (i == IDLE_COUNT_MIN / 2 - 1)
            before = memory_of(pid);
    }
    double bytes = (memory_of(pid) - before) / (count - IDLE_COUNT_MIN / 2);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
    return bytes;
}

static void
measure_idle_all(struct bench *bench)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)bench->idle_count + 64 > limit.rlim_cur)
        bench->idle_count = (int)limit.rlim_cur - 64;
    for (size_t s = 0; s < SERVER_COUNT; s++)
        if (bench->wanted[s])
            bench->idle_bytes[s] = measure_idle(&servers[s], bench->idle_count);
}

/* ---- the report ---- */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct figures {
    double cpu_us, cpu_us_min, cpu_us_max, rate;
};

static struct figures
figures_of(const struct sample *samples, int count)
{
    double cpu[REPEAT_COUNT_MAX], rate[REPEAT_COUNT_MAX];
    for (int i = 0; i < count; i++) {
        cpu[i] = samples[i].cpu_us;
        rate[i] = samples[i].rate;
    }
    qsort(cpu, (size_t)count, sizeof(cpu[0]), compare);
    qsort(rate, (size_t)count, sizeof(rate[0]), compare);
    return (struct figures){cpu[count / 2], cpu[0], cpu[count - 1], rate[count / 2]};
}

static void
report(const struct bench *bench)
{
    if (bench->json)
        printf("{\"bench\":\"echo\",\"unit\":\"cpu_us_per_request\",\"cases\":[");
    else
        printf("%11s  %-6s  %22s  %9s\n", "connections", "server", "CPU us/echo (min-max)",
               "echoes/s");
    bool first = true;
    for (int c = 0; c < bench->case_count; c++)
        for (size_t s = 0; s < SERVER_COUNT; s++) {
            if (!bench->wanted[s])
                continue;
            struct figures f = figures_of(bench->samples[c][s], bench->repeat_count);
            if (bench->json)
                printf("%s{\"connections\":%d,\"server\":\"%s\",\"cpu_us\":%.3f,\"cpu_us_min\":"
                       "%.3f,\"cpu_us_max\":%.3f,\"rate\":%.0f}",
                       first ? "" : ",", bench->connections[c], servers[s].name, f.cpu_us,
                       f.cpu_us_min, f.cpu_us_max, f.rate);
            else
                printf("%11d  %-6s  %6.2f (%5.2f - %5.2f)  %9.0f\n", bench->connections[c],
                       servers[s].name, f.cpu_us, f.cpu_us_min, f.cpu_us_max, f.rate);
            first = false;
        }
    if (bench->json)
        printf("],\"idle_connections\":%d", bench->idle_count);
    for (size_t s = 0; s < SERVER_COUNT && bench->idle_count > 0; s++)
        if (bench->wanted[s] && bench->json)
            printf(",\"idle_bytes_%s\":%.0f", servers[s].name, bench->idle_bytes[s]);
        else if (bench->wanted[s])
            printf("%11d  %-6s  %6.0f bytes of memory for an idle connection\n", bench->idle_count,
                   servers[s].name, bench->idle_bytes[s]);
    if (bench->json)
        printf("}\n");
}

/* ---- options ---- */

static void
usage(void)
{
    fprintf(stderr, "usage: echo [--seconds S] [--repeats N] [--connections N,N,...] "
                    "[--servers NAME,NAME,...] [--idle N] [--json]\n");
    exit(2);
}

static void
read_connections(struct bench *bench, char *text)
{
    bench->case_count = 0;
    for (char *at = strtok(text, ","); at; at = strtok(NULL, ",")) {
        int count = atoi(at);
        if (count < 1 || count > CONNECTION_COUNT_MAX || bench->case_count == CASE_COUNT_MAX)
            usage();
        bench->connections[bench->case_count++] = count;
    }
}

static void
read_servers(struct bench *bench, char *text)
{
    memset(bench->wanted, 0, sizeof(bench->wanted));
    for (char *at = strtok(text, ","); at; at = strtok(NULL, ",")) {
        size_t s = 0;
        while (s < SERVER_COUNT && strcmp(at, servers[s].name) != 0)
            s++;
        if (s == SERVER_COUNT)
            usage();
        bench->wanted[s] = true;
    }
}

static void
read_options(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"repeats", required_argument, NULL, 'r'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"servers", required_argument, NULL, 'v'},
                                            {"idle", required_argument, NULL, 'i'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            bench->seconds = atof(optarg);
        else if (option == 'r')
            bench->repeat_count = atoi(optarg);
        else if (option == 'c')
            read_connections(bench, optarg);
        else if (option == 'v')
            read_servers(bench, optarg);
        else if (option == 'i')
            bench->idle_count = atoi(optarg);
        else if (option == 'j')
            bench->json = true;
        else
            usage();
    }
    if (optind != argc || bench->seconds <= 0 || bench->repeat_count < 1 ||
        bench->repeat_count > REPEAT_COUNT_MAX || bench->case_count == 0 ||
        (bench->idle_count != 0 && bench->idle_count < IDLE_COUNT_MIN))
        usage();
}

int
main(int argc, char **argv)
{
    static struct bench bench = {.seconds = 1,
                                 .repeat_count = 5,
                                 .connections = {1, 64, 1000},
                                 .case_count = 3,
                                 .wanted = {true, true, true}};
    struct rlimit limit;
    read_options(&bench, argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    pin_to(1);
    for (int r = 0; r < bench.repeat_count; r++)
        for (int c = 0; c < bench.case_count; c++)
            for (size_t s = 0; s < SERVER_COUNT; s++)
                if (bench.wanted[s])
                    bench.samples[c][s][r] =
                        measure(&servers[s], bench.connections[c], bench.seconds);
    if (bench.idle_count > 0)
        measure_idle_all(&bench);
    report(&bench);
    return 0;
}
