/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts - what many groups cost: three processes, each a node of every group, on this machine.
 *
 *     hosts [--groups N] [--writes N] [--seconds S] [--tick-ms MS] [--awake | --asleep] [--limits]
 *           [--json] [--dir DIR]
 *
 * A small real program over skein/replica.h: each group is one number, which a write replaces,
 * answering the one before. First the writes, spread over all groups by way of all three nodes,
 * each followed by a read; what they answered has to be linearizable, group by group
 * (skein/linear.h). Then nobody asks for anything, and the processor time of each process is taken.
 *
 *   parent --fork--> node 1, 2, 3; a line on the control connection is a question, a line the
 * answer
 *
 * Exit status: 0 measured; 1 something failed, or a limit was passed (--limits: 2 % of a processor
 * for each process awake, 0.2 % asleep); 64 usage.
 */
#include "bench/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "skein/linear.h"

#define SECOND_NS UINT64_C(1000000000)
#define LINE_BYTES 256
#define FORM_SECONDS_MAX 120
#define SETTLE_SECONDS 5
#define AWAKE_PERCENT_MAX 2.0
#define ASLEEP_PERCENT_MAX 0.2

struct event {
    uint64_t at_ns;
    uint32_t record;
    bool is_return;
};

struct node {
    pid_t pid;
    FILE *control;
    struct hosts_record *records;
    size_t record_count;
};

struct bench {
    struct hosts_options options;
    const char *parent_dir;
    char dir[256];
    uint32_t seconds;
    bool awake, asleep, limits, json;
    struct node nodes[HOSTS_NODES];
};

static void
fail(const char *what)
{
    fprintf(stderr, "hosts: %s: %s\n", what, errno ? strerror(errno) : "unexpected answer");
    exit(1);
}

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* ---- the processes ---- */

/* Ports that are free now: nobody else on this machine is expected to take them in between. */
static void
draw_ports(struct hosts_options *options)
{
    int sockets[HOSTS_NODES];
    for (uint32_t i = 0; i < HOSTS_NODES; i++) {
        struct sockaddr_in addr = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t addr_bytes = sizeof(addr);
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (sockets[i] < 0 || bind(sockets[i], (struct sockaddr *)&addr, addr_bytes) < 0 ||
            getsockname(sockets[i], (struct sockaddr *)&addr, &addr_bytes) < 0)
            fail("no free port");
        options->peer_ports[i] = ntohs(addr.sin_port);
    }
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        close(sockets[i]);
}

static FILE *
connect_control(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        fail("connect to a node");
    FILE *file = fdopen(fd, "r");
    if (!file)
        fail("fdopen");
    return file;
}

static void
start_node(struct bench *bench, uint32_t number)
{
    struct node *node = &bench->nodes[number - 1];
    struct hosts_options options = bench->options;
    int ends[2];
    uint16_t port = 0;
    options.node = number;
    snprintf(options.data_dir, sizeof(options.data_dir), "%.200s/%u", bench->dir, number);
    if (pipe(ends) < 0)
        fail("pipe");
    fflush(NULL);
    node->pid = fork();
    if (node->pid < 0)
        fail("fork");
    if (node->pid == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        options.port_pipe = ends[1];
        _exit(hosts_node_run(&options));
    }
    close(ends[1]);
    errno = 0;
    if (read(ends[0], &port, sizeof(port)) != sizeof(port))
        fail("a node did not start");
    close(ends[0]);
    node->control = connect_control(port);
}

static void
ask(struct node *node, const char *question)
{
    if (dprintf(fileno(node->control), "%s\n", question) < 0)
        fail(question);
    errno = 0;
}

static uint64_t
answer(struct node *node)
{
    char line[LINE_BYTES];
    if (!fgets(line, sizeof(line), node->control))
        fail("a node ended");
    return strtoull(line, NULL, 10);
}

static uint64_t
ask_number(struct node *node, const char *question)
{
    ask(node, question);
    return answer(node);
}

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    return remove(path);
}

static void
stop_nodes(struct bench *bench)
{
    for (uint32_t i = 0; i < HOSTS_NODES; i++) {
        struct node *node = &bench->nodes[i];
        ask(node, "stop");
        fclose(node->control);
        free(node->records);
    }
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        waitpid(bench->nodes[i].pid, NULL, 0);
    memset(bench->nodes, 0, sizeof(bench->nodes));
    nftw(bench->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Every node knows a leader of every group. */
static void
wait_formed(struct bench *bench)
{
    uint64_t until_ns = now_ns() + FORM_SECONDS_MAX * SECOND_NS;
    uint32_t formed = 0;
    while (formed < HOSTS_NODES) {
        formed = 0;
        for (uint32_t i = 0; i < HOSTS_NODES; i++)
            formed += ask_number(&bench->nodes[i], "formed") == bench->options.group_count;
        if (now_ns() > until_ns)
            fail("the groups did not elect");
        if (formed < HOSTS_NODES)
            usleep(200000);
    }
}

/* ---- the histories ---- */

static void
take_records(struct bench *bench, struct node *node)
{
    node->record_count = answer(node);
    node->records = calloc(node->record_count + 1, sizeof(node->records[0]));
    if (!node->records)
        fail("memory");
    if (fread(node->records, sizeof(node->records[0]), node->record_count, node->control) !=
        node->record_count)
        fail("a node's history");
}

static int
compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    /* At one instant calls come first: then they overlap, which asks for less. */
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return (int)x->is_return - (int)y->is_return;
}

static void
note_event(struct skein_linear_history *history, const struct event *event,
           const struct hosts_record *record, size_t *number)
{
    struct skein_linear_value key = {&record->group, sizeof(record->group)};
    struct skein_linear_value arg = {&record->value, sizeof(record->value)};
    struct skein_linear_value observed = {&record->observed, sizeof(record->observed)};
    if (record->observed == 0)
        observed = SKEIN_LINEAR_ABSENT;
    if (!event->is_return)
        *number = skein_linear_call(
            history, event->record, record->is_read ? SKEIN_LINEAR_READ : SKEIN_LINEAR_WRITE, key,
            record->is_read ? SKEIN_LINEAR_ABSENT : arg, SKEIN_LINEAR_ABSENT, event->at_ns);
    else if (record->outcome == HOSTS_DONE)
        skein_linear_ok(history, *number, true, observed, event->at_ns);
    else if (record->outcome == HOSTS_FAILED)
        skein_linear_fail(history, *number);
    else
        skein_linear_unknown(history, *number);
}

/* All three nodes' records in the order of one clock; each group is a key. */
static bool
check_histories(struct bench *bench, size_t *out_checked)
{
    size_t count = 0, at = 0;
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        count += bench->nodes[i].record_count;
    struct hosts_record *records = calloc(count + 1, sizeof(*records));
    struct event *events = calloc(2 * count + 1, sizeof(*events));
    size_t *numbers = calloc(count + 1, sizeof(*numbers));
    if (!records || !events || !numbers)
        fail("memory");
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        for (size_t r = 0; r < bench->nodes[i].record_count; r++, at++) {
            records[at] = bench->nodes[i].records[r];
            events[2 * at] = (struct event){records[at].call_ns, (uint32_t)at, false};
            events[2 * at + 1] = (struct event){records[at].return_ns, (uint32_t)at, true};
        }
    qsort(events, 2 * count, sizeof(*events), compare_events);
    struct skein_linear_history *history = skein_linear_open(0);
    for (size_t i = 0; i < 2 * count; i++)
        note_event(history, &events[i], &records[events[i].record], &numbers[events[i].record]);
    const struct skein_linear_options options = {.step_count_max = 100000000, .explain = true};
    struct skein_linear_result result;
    bool linearizable = skein_linear_check(history, &options, &result) == SKEIN_LINEAR_OK;
    if (!linearizable)
        skein_linear_print(history, &options, &result, stderr);
    *out_checked = skein_linear_checked_count(history);
    skein_linear_result_deinit(&result);
    skein_linear_close(history);
    free(numbers);
    free(events);
    free(records);
    return linearizable;
}

/* ---- one measurement ---- */

struct figures {
    double cpu_percent[HOSTS_NODES];
    double form_s, writes_s;
    uint64_t writes, undone;
    size_t checked;
    bool linearizable;
};

static void
load(struct bench *bench, struct figures *out)
{
    uint64_t began_ns = now_ns();
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        ask(&bench->nodes[i], "load");
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        take_records(bench, &bench->nodes[i]);
    out->writes_s = (double)(now_ns() - began_ns) / 1e9;
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        for (size_t r = 0; r < bench->nodes[i].record_count; r++) {
            const struct hosts_record *record = &bench->nodes[i].records[r];
            out->writes += !record->is_read && record->outcome == HOSTS_DONE;
            out->undone += record->outcome != HOSTS_DONE;
        }
    out->linearizable = check_histories(bench, &out->checked);
}

static void
idle(struct bench *bench, struct figures *out)
{
    uint64_t cpu_ns[HOSTS_NODES];
    sleep(SETTLE_SECONDS);
    for (uint32_t i = 0; i < HOSTS_NODES; i++)
        cpu_ns[i] = ask_number(&bench->nodes[i], "cpu");
    uint64_t began_ns = now_ns();
    sleep(bench->seconds);
    for (uint32_t i = 0; i < HOSTS_NODES; i++) {
        uint64_t used_ns = ask_number(&bench->nodes[i], "cpu") - cpu_ns[i];
        out->cpu_percent[i] = 100.0 * (double)used_ns / (double)(now_ns() - began_ns);
    }
}

static void
print(const struct bench *bench, bool sleeps, const struct figures *f)
{
    const char *how = sleeps ? "asleep" : "awake";
    if (bench->json) {
        printf("{\"program\":\"bench_hosts\",\"groups\":%u,\"how\":\"%s\",\"seconds\":%u,"
               "\"cpu_percent\":[%.3f,%.3f,%.3f],\"form_s\":%.2f,\"writes\":%llu,\"undone\":%llu,"
               "\"load_s\":%.2f,\"checked\":%zu,\"linearizable\":%s}\n",
               bench->options.group_count, how, bench->seconds, f->cpu_percent[0],
               f->cpu_percent[1], f->cpu_percent[2], f->form_s, (unsigned long long)f->writes,
               (unsigned long long)f->undone, f->writes_s, f->checked,
               f->linearizable ? "true" : "false");
        return;
    }
    printf("%u groups, %s: %.3f %.3f %.3f %% of a processor, idle for %u s; elected in %.1f s; "
           "%llu writes and their reads in %.1f s, %llu not done; %zu operations checked: %s\n",
           bench->options.group_count, how, f->cpu_percent[0], f->cpu_percent[1], f->cpu_percent[2],
           bench->seconds, f->form_s, (unsigned long long)f->writes, f->writes_s,
           (unsigned long long)f->undone, f->checked,
           f->linearizable ? "linearizable" : "NOT LINEARIZABLE");
}

static bool
measure(struct bench *bench, bool sleeps)
{
    struct figures figures = {0};
    bool good = true;
    bench->options.quiesce_ticks = sleeps ? HOSTS_QUIESCE_TICKS : 0;
    snprintf(bench->dir, sizeof(bench->dir), "%.200s/hosts.XXXXXX", bench->parent_dir);
    if (!mkdtemp(bench->dir))
        fail(bench->parent_dir);
    draw_ports(&bench->options);
    uint64_t began_ns = now_ns();
    for (uint32_t number = 1; number <= HOSTS_NODES; number++)
        start_node(bench, number);
    wait_formed(bench);
    figures.form_s = (double)(now_ns() - began_ns) / 1e9;
    load(bench, &figures);
    idle(bench, &figures);
    print(bench, sleeps, &figures);
    fflush(stdout);
    stop_nodes(bench);
    for (uint32_t i = 0; i < HOSTS_NODES && bench->limits; i++)
        good = good && figures.cpu_percent[i] < (sleeps ? ASLEEP_PERCENT_MAX : AWAKE_PERCENT_MAX);
    if (!good)
        fprintf(stderr, "hosts: more of the processor than %.1f %%\n",
                sleeps ? ASLEEP_PERCENT_MAX : AWAKE_PERCENT_MAX);
    return good && figures.linearizable && figures.undone == 0;
}

static uint32_t
number_of(const char *text, uint32_t max)
{
    char *end;
    unsigned long value = strtoul(text ? text : "", &end, 10);
    if (!text || end == text || *end || value == 0 || value > max) {
        fprintf(stderr, "hosts: \"%s\" is not a number from 1 to %u\n", text ? text : "", max);
        exit(64);
    }
    return (uint32_t)value;
}

int
main(int argc, char **argv)
{
    struct bench bench = {.options = {.group_count = 1000, .write_count = 10000, .tick_ms = 100},
                          .parent_dir = "/tmp",
                          .seconds = 60};
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strcmp(flag, "--groups") == 0)
            bench.options.group_count = number_of(argv[++i], 4096);
        else if (strcmp(flag, "--writes") == 0)
            bench.options.write_count = number_of(argv[++i], 1000000);
        else if (strcmp(flag, "--seconds") == 0)
            bench.seconds = number_of(argv[++i], 3600);
        else if (strcmp(flag, "--tick-ms") == 0)
            bench.options.tick_ms = number_of(argv[++i], 10000);
        else if (strcmp(flag, "--dir") == 0 && i + 1 < argc)
            bench.parent_dir = argv[++i];
        else if (strcmp(flag, "--awake") == 0)
            bench.awake = true;
        else if (strcmp(flag, "--asleep") == 0)
            bench.asleep = true;
        else if (strcmp(flag, "--limits") == 0)
            bench.limits = true;
        else if (strcmp(flag, "--json") == 0)
            bench.json = true;
        else
            return fprintf(stderr, "hosts: what is \"%s\"?\n", flag), 64;
    }
    bool both = bench.awake == bench.asleep, good = true;
    signal(SIGPIPE, SIG_IGN);
    if (both || bench.awake)
        good = measure(&bench, false);
    if (both || bench.asleep)
        good = measure(&bench, true) && good;
    return good ? 0 : 1;
}
