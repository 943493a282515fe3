/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/await.h"
#include "core/internal.h"
#include "skein/file.h"
#include "skein/process.h"

/* waitid's P_PIDFD, which older headers lack. */
#define WAIT_PIDFD ((idtype_t)3)

struct skein_child {
    pid_t pid;
    int pidfd;
    int pipes[3]; /* this process's ends; -1: none */
    bool ended;
    struct skein_child_status status;
};

/* What the child needs between fork and exec; it shares this process's memory until then. */
struct launch {
    const struct skein_child_options *options;
    char *const *argv;
    char *const *envp;
    int fds[3]; /* the child's ends */
    pid_t parent;
    volatile int failure; /* errno of what did not work */
};

/* In the child: system calls only. */
static int
prepare_child(const struct launch *launch)
{
    const struct skein_child_options *options = launch->options;
    struct sigaction fresh = {.sa_handler = SIG_DFL};
    sigset_t none;
    int fds[3];
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &fresh, NULL);
    sigemptyset(&none);
    if (options->group && setpgid(0, 0) < 0)
        return errno;
    if (options->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, options->parent_death_signal) < 0)
            return errno;
        if (getppid() != launch->parent)
            return ESRCH;
    }
    if (options->directory && chdir(options->directory) < 0)
        return errno;
    /* First out of each other's way, then into their places. */
    for (int i = 0; i < 3; i++) {
        fds[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, 3);
        if (fds[i] < 0)
            return errno;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            return errno;
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(options->path, launch->argv, launch->envp);
    return errno;
}

/* vfork: the thread waits until the child has its own memory, which costs less than copying the
 * tables of this one's. The child returns to nowhere. */
__attribute__((noinline)) static pid_t
launch_child(struct launch *launch)
{
    sigset_t all, before;
    sigfillset(&all);
    /* A handler of ours must not run in the child. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0) {
        /* System calls only, and no way out but _exit: what vfork needs in Linux.
         * NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
        launch->failure = prepare_child(launch);
        _exit(127);
    }
    int failure = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        launch->failure = failure;
    return pid;
}

static void
close_if(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The child's end of one stream in launch->fds, this process's in child->pipes. @out_own: whether
 * the child's end is to be closed here. */
static int
wire(struct skein_child *child, struct launch *launch, int stream, bool *out_own)
{
    const struct skein_child_options *options = launch->options;
    int both[2];
    *out_own = true;
    switch (options->streams[stream]) {
    case SKEIN_CHILD_NULL:
        launch->fds[stream] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return launch->fds[stream] < 0 ? -errno : 0;
    case SKEIN_CHILD_INHERIT:
        launch->fds[stream] = stream;
        *out_own = false;
        return 0;
    case SKEIN_CHILD_HANDLE:
        launch->fds[stream] = options->handles[stream];
        *out_own = false;
        return 0;
    case SKEIN_CHILD_PIPE:
        if (pipe2(both, O_CLOEXEC) < 0)
            return -errno;
        launch->fds[stream] = both[stream == SKEIN_CHILD_STDIN ? 0 : 1];
        child->pipes[stream] = both[stream == SKEIN_CHILD_STDIN ? 1 : 0];
        return fcntl(child->pipes[stream], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    }
    return -SKEIN_EINVALID;
}

static int
start(struct skein_child *child, struct launch *launch)
{
    bool own[3] = {false, false, false};
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = wire(child, launch, i, &own[i]);
    if (rc == 0) {
        child->pid = launch_child(launch);
        rc = -launch->failure;
        /* One that could not become the program has ended: take its status. */
        if (rc < 0 && child->pid > 0)
            while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
                ;
    }
    if (rc == 0) {
        child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
        if (child->pidfd < 0) {
            rc = -errno;
            kill(child->pid, SIGKILL);
            while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        }
    }
    for (int i = 0; i < 3; i++)
        if (own[i])
            close_if(&launch->fds[i]);
    return rc;
}

int
skein_child_open(struct skein_child **out_child, const struct skein_child_options *options)
{
    struct launch launch = {.options = options, .fds = {-1, -1, -1}, .parent = getpid()};
    skein_assert(options->path != NULL);
    skein_assert(options->argv != NULL && options->argv[0] != NULL);
    if (skein_shard_backend()->ops->virtual_time)
        return -ENOSYS;
    /* execve's arguments are not const, and not changed. */
    launch.argv = (char *const *)(uintptr_t)options->argv;
    launch.envp = options->envp ? (char *const *)(uintptr_t)options->envp : environ;
    struct skein_child *child = mem_zalloc(sizeof(*child));
    *child = (struct skein_child){.pidfd = -1, .pipes = {-1, -1, -1}};
    int rc = start(child, &launch);
    struct shard_stats *stats = &fiber_self()->shard->stats;
    if (rc < 0) {
        stats->children_failed++;
        for (int i = 0; i < 3; i++)
            close_if(&child->pipes[i]);
        mem_free(child);
        return rc;
    }
    stats->children_started++;
    stats->children_live++;
    *out_child = child;
    return 0;
}

pid_t
skein_child_pid(const struct skein_child *child)
{
    return child->pid;
}

static int
wait_for(int fd, uint32_t what, uint64_t deadline_ns)
{
    struct backend_op op = {.kind = BACKEND_POLL, .handle = fd, .flags = what};
    return (int)await_op(&op, deadline_ns);
}

ssize_t
skein_child_read(struct skein_child *child, enum skein_child_stream stream, void *data,
                 size_t count, uint64_t deadline_ns)
{
    skein_assert(stream == SKEIN_CHILD_STDOUT || stream == SKEIN_CHILD_STDERR);
    skein_assert(child->pipes[stream] >= 0);
    for (;;) {
        ssize_t n = read(child->pipes[stream], data, count);
        if (n >= 0)
            return n;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int rc = wait_for(child->pipes[stream], SKEIN_READABLE, deadline_ns);
        if (rc < 0)
            return rc;
    }
}

/* A write whose reader is gone raises SIGPIPE; it is taken back before anybody sees it. */
static ssize_t
write_quietly(int fd, const void *data, size_t count)
{
    struct timespec now = {0};
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    sigpending(&pending);
    ssize_t n = write(fd, data, count);
    int failure = errno;
    if (n < 0 && failure == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_signal, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n < 0 ? -failure : n;
}

int
skein_child_write(struct skein_child *child, const void *data, size_t count, uint64_t deadline_ns)
{
    const char *from = data;
    while (count > 0) {
        int fd = child->pipes[SKEIN_CHILD_STDIN];
        if (fd < 0)
            return -EPIPE;
        ssize_t n = write_quietly(fd, from, count);
        if (n >= 0) {
            from += n;
            count -= (size_t)n;
            continue;
        }
        if (n != -EAGAIN && n != -EINTR)
            return (int)n;
        int rc = wait_for(fd, SKEIN_WRITABLE, deadline_ns);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void
skein_child_end_input(struct skein_child *child)
{
    close_if(&child->pipes[SKEIN_CHILD_STDIN]);
}

/* Whether it has ended; its status is taken when it has. */
static bool
reap(struct skein_child *child)
{
    siginfo_t info = {0};
    if (child->ended)
        return true;
    if (waitid(WAIT_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return false;
    child->ended = true;
    child->status = (struct skein_child_status){
        .exited = info.si_code == CLD_EXITED,
        .code = info.si_status,
        .core_dumped = info.si_code == CLD_DUMPED,
    };
    return true;
}

int
skein_child_wait(struct skein_child *child, struct skein_child_status *out_status,
                 uint64_t deadline_ns)
{
    while (!reap(child)) {
        int rc = wait_for(child->pidfd, SKEIN_READABLE, deadline_ns);
        if (rc < 0)
            return rc;
    }
    if (out_status)
        *out_status = child->status;
    return 0;
}

int
skein_child_kill(struct skein_child *child, int number)
{
    if (child->ended)
        return 0;
    if (syscall(SYS_pidfd_send_signal, child->pidfd, number, NULL, 0) == 0 || errno == ESRCH)
        return 0;
    return errno == EINVAL ? -SKEIN_EINVALID : -errno;
}

void
skein_child_close(struct skein_child *child)
{
    if (!child)
        return;
    for (int i = 0; i < 3; i++)
        close_if(&child->pipes[i]);
    skein_shield(true);
    if (!reap(child)) {
        (void)skein_child_kill(child, SIGKILL);
        int rc = skein_child_wait(child, NULL, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    skein_shield(false);
    close_if(&child->pidfd);
    fiber_self()->shard->stats.children_live--;
    mem_free(child);
}
