/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overload - what a service does when three times as much is asked of it as it can do.
 *
 *     overload [--json] [--seconds S] [--repeats N]
 *
 * One process serves, with 100 us of work a request, on one processor; another asks on the other,
 * at a rate that does not depend on the answers. Goodput is what was answered within 50 ms; an
 * attempt is given up after 20 ms. The peak is the best median at 0.7 to 1.0 of the capacity;
 * in turn with these, at three times the capacity:
 *
 *   neither    everything is queued; who gets no answer asks again at once, up to three times
 *   breaker    the same server; clients have a circuit breaker and a budget of retries
 *   pressure   a bounded queue, "busy" beyond it, nothing done for who has given up; naive clients
 *   both
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/overload.h"
#include "skein/core.h"

#define WORK_NS 100000.0
#define REPEATS_MAX 21
#define OVERLOAD 3.0
#define LOADS 4

static const struct {
    const char *name;
    bool pressure, breaker;
} modes[] = {
    {"neither", false, false},
    {"breaker", false, true},
    {"pressure", true, false},
    {"both", true, true},
};

#define MODES BASE_COUNT_OF(modes)

void
overload_die(const char *what, int rc)
{
    fprintf(stderr, "overload: %s: %s\n", what, skein_error_text(rc));
    exit(1);
}

void
overload_work(uint64_t loops)
{
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < loops; i++)
        sum += i;
}

void
overload_shard(int cpu, int (*main_fn)(void *arg), void *arg)
{
    struct skein_backend_options options = {.kind = SKEIN_BACKEND_AUTO};
    struct skein_backend_choice choice;
    struct backend *backend;
    struct skein_shard *shard;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        overload_die("pinning (two processors are needed)", -errno);
    int rc = skein_backend_open(&backend, &options, &choice);
    if (rc < 0)
        overload_die(choice.why, rc);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options shard_options = {.backend = backend, .stacks = stacks};
    rc = skein_shard_open(&shard, &shard_options);
    if (rc < 0)
        overload_die("shard", rc);
    (void)skein_shard_run(shard, main_fn, arg);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    skein_backend_close(backend);
}

static double
clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Loops that take WORK_NS, by the best of some tries. */
static uint64_t
calibrate(void)
{
    const uint64_t loops = 1000000;
    double best_ns = 1e18;
    for (int i = 0; i < 10; i++) {
        double begin_ns = clock_ns();
        overload_work(loops);
        double took_ns = clock_ns() - begin_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    return (uint64_t)((double)loops * WORK_NS / best_ns);
}

static void
measure(struct overload_run *run)
{
    int ports[2];
    if (pipe(ports) < 0)
        overload_die("pipe", -errno);
    pid_t server = fork();
    if (server < 0)
        overload_die("fork", -errno);
    if (server == 0) {
        /* It must not outlive a client that failed. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        overload_serve(run, ports[1]);
    }
    if (read(ports[0], &run->port, sizeof(run->port)) != sizeof(run->port))
        overload_die("the server did not start", -errno);
    overload_ask(run);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    close(ports[0]);
    close(ports[1]);
}

static double
measure_load(double rate, uint64_t loops, double seconds)
{
    struct overload_run run = {
        .pressure = true, .breaker = true, .rate = rate, .seconds = seconds, .work_loops = loops};
    measure(&run);
    return run.goodput;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
report(double peak, double goodput[MODES][REPEATS_MAX], const struct overload_run *last,
       int repeat_count, bool json)
{
    if (json)
        printf("{\"bench\": \"overload\", \"peak\": %.0f", peak);
    else
        printf("peak      %7.0f operations a second\n", peak);
    for (size_t m = 0; m < MODES; m++) {
        double *row = goodput[m];
        qsort(row, (size_t)repeat_count, sizeof(row[0]), compare);
        double median = row[repeat_count / 2];
        if (json)
            printf(", \"%s\": %.0f, \"%s_min\": %.0f, \"%s_max\": %.0f, \"%s_of_peak\": %.3f",
                   modes[m].name, median, modes[m].name, row[0], modes[m].name,
                   row[repeat_count - 1], modes[m].name, median / peak);
        else
            printf(
                "%-8s  %7.0f (%.0f to %.0f), %5.1f %% of the peak; %.0f attempts, %.0f refused\n",
                modes[m].name, median, row[0], row[repeat_count - 1], 100 * median / peak,
                last[m].sent, last[m].refused);
    }
    printf(json ? "}\n" : "wanted: both at least 80 %%, neither visibly below\n");
}

int
main(int argc, char **argv)
{
    double goodput[MODES][REPEATS_MAX], light[LOADS][REPEATS_MAX], seconds = 1.0, peak = 0;
    struct overload_run last[MODES];
    int repeat_count = 3;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else if (strcmp(argv[i], "--repeats") == 0 && i + 1 < argc)
            repeat_count = atoi(argv[++i]);
        else
            return fprintf(stderr, "usage: overload [--json] [--seconds S] [--repeats N]\n"), 64;
    }
    if (seconds <= 0 || repeat_count < 1 || repeat_count > REPEATS_MAX)
        return fprintf(stderr, "overload: seconds > 0, repeats 1 to %d\n", REPEATS_MAX), 64;
    uint64_t loops = calibrate();
    double capacity = 1e9 / WORK_NS;
    for (int repeat = 0; repeat < repeat_count; repeat++) {
        for (int i = 0; i < LOADS; i++)
            light[i][repeat] = measure_load(capacity * (7 + i) / 10, loops, seconds);
        for (size_t m = 0; m < MODES; m++) {
            last[m] = (struct overload_run){.pressure = modes[m].pressure,
                                            .breaker = modes[m].breaker,
                                            .rate = capacity * OVERLOAD,
                                            .seconds = seconds,
                                            .work_loops = loops};
            measure(&last[m]);
            goodput[m][repeat] = last[m].goodput;
        }
    }
    for (int i = 0; i < LOADS; i++) {
        qsort(light[i], (size_t)repeat_count, sizeof(light[i][0]), compare);
        double median = light[i][repeat_count / 2];
        peak = median > peak ? median : peak;
    }
    report(peak, goodput, last, repeat_count, json);
    return 0;
}
