/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64
/* A seed that spins inside a node never gets to the world's own limit of events. */
#define CPU_SECONDS_MAX 300

struct job {
    pid_t pid; /* 0: free */
    int fd;
    uint64_t seed;
};

static uint64_t
wall_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SIM_SECOND + (uint64_t)now.tv_nsec;
}

/* Of the children that were waited for. */
static uint64_t
children_cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SIM_SECOND +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static _Noreturn void
child(const struct sim_sweep_options *options, uint64_t seed, int fd)
{
    struct sim_run_options run = options->run;
    struct sim_run_result result;
    const struct rlimit cpu = {CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1};
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &no_core);
    run.seed = seed;
    sim_run(&run, &result);
    const char *at = (const char *)&result;
    for (size_t left = sizeof(result); left > 0;) {
        ssize_t n = write(fd, at, left);
        if (n < 0)
            _exit(SIM_CRASHED);
        at += n;
        left -= (size_t)n;
    }
    fflush(NULL);
    _exit((int)result.verdict);
}

static int
start_job(const struct sim_sweep_options *options, struct job *job, uint64_t seed)
{
    int fds[2];
    fflush(NULL);
    if (pipe(fds) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int rc = -errno;
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    if (pid == 0) {
        close(fds[0]);
        child(options, seed, fds[1]);
    }
    close(fds[1]);
    *job = (struct job){pid, fds[0], seed};
    return 0;
}

/* What the child has left behind, once it has ended. */
static void
read_result(struct job *job, int status, struct sim_run_result *result)
{
    char *to = (char *)result;
    size_t got = 0;
    for (;;) {
        ssize_t n = read(job->fd, to + got, sizeof(*result) - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    close(job->fd);
    if (got == sizeof(*result) && WIFEXITED(status) && WEXITSTATUS(status) == (int)result->verdict)
        return;
    *result = (struct sim_run_result){.verdict = SIM_CRASHED};
    if (WIFSIGNALED(status))
        snprintf(result->reason, sizeof(result->reason), "ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(result->reason, sizeof(result->reason), "ended with status %d",
                 WEXITSTATUS(status));
}

static void
account(struct sim_sweep_result *sum, uint64_t seed, const struct sim_run_result *result)
{
    sum->checked_ops += result->checked_ops;
    sum->simulated_ns += result->simulated_ns;
    if (result->verdict == SIM_PASSED) {
        sum->passed++;
        return;
    }
    if (sum->failed == 0 || seed < sum->failed_seed) {
        sum->failed_seed = seed;
        sum->verdict = result->verdict;
    }
    sum->failed++;
}

static struct job *
wait_for_one(struct job *jobs, int *out_status)
{
    for (;;) {
        pid_t pid = waitpid(-1, out_status, 0);
        if (pid < 0 && errno != EINTR)
            return NULL;
        for (int i = 0; i < JOBS_MAX && pid > 0; i++)
            if (jobs[i].pid == pid)
                return &jobs[i];
    }
}

int
sim_sweep(const struct sim_sweep_options *options, struct sim_sweep_result *out_result)
{
    struct job jobs[JOBS_MAX] = {0};
    struct sim_sweep_result sum = {0};
    uint64_t next = 0, begun_ns = wall_now_ns(), begun_cpu_ns = children_cpu_ns();
    uint32_t running = 0;
    uint32_t job_count = options->job_count < JOBS_MAX ? options->job_count : JOBS_MAX;
    while (next < options->seed_count || running > 0) {
        bool more = next < options->seed_count && !(options->stop_at_failure && sum.failed > 0);
        if (!more && running == 0)
            break;
        if (more && running < job_count) {
            struct job *job = jobs;
            while (job->pid != 0)
                job++;
            int rc = start_job(options, job, options->first_seed + next);
            if (rc < 0 && running == 0)
                return rc;
            next += rc == 0;
            running += rc == 0;
            if (rc == 0)
                continue;
        }
        int status;
        struct sim_run_result result;
        struct job *job = wait_for_one(jobs, &status);
        if (!job)
            return -ECHILD;
        read_result(job, status, &result);
        running--;
        job->pid = 0;
        account(&sum, job->seed, &result);
        if (options->on_result)
            options->on_result(options->owner, job->seed, &result);
    }
    sum.wall_ns = wall_now_ns() - begun_ns;
    sum.cpu_ns = children_cpu_ns() - begun_cpu_ns;
    *out_result = sum;
    return 0;
}
