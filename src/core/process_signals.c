/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/internal.h"
#include "skein/file.h"
#include "skein/process.h"

struct skein_signals {
    int fd;
    sigset_t before; /* the thread's mask */
};

static bool
number_ok(int number)
{
    static const int faults[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < BASE_COUNT_OF(faults); i++)
        if (number == faults[i])
            return false;
    return number > 0 && number <= SIGRTMAX;
}

int
skein_signals_open(struct skein_signals **out_signals, const int *numbers, size_t count)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++)
        if (!number_ok(numbers[i]) || sigaddset(&set, numbers[i]) < 0)
            return -SKEIN_EINVALID;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct skein_signals *signals = mem_zalloc(sizeof(*signals));
    signals->fd = fd;
    pthread_sigmask(SIG_BLOCK, &set, &signals->before);
    *out_signals = signals;
    return 0;
}

int
skein_signals_next(struct skein_signals *signals, struct skein_signal *out_signal,
                   uint64_t deadline_ns)
{
    for (;;) {
        struct signalfd_siginfo info;
        ssize_t n = read(signals->fd, &info, sizeof(info));
        if (n == (ssize_t)sizeof(info)) {
            skein_shard_current()->stats.signals++;
            *out_signal = (struct skein_signal){
                .number = (int)info.ssi_signo,
                .sender = info.ssi_code <= 0 ? (pid_t)info.ssi_pid : 0,
            };
            return 0;
        }
        skein_assert(n < 0 && (errno == EAGAIN || errno == EINTR));
        int rc = skein_wait_readable(signals->fd, deadline_ns);
        if (rc < 0)
            return rc;
    }
}

void
skein_signals_close(struct skein_signals *signals)
{
    if (!signals)
        return;
    close(signals->fd);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
    mem_free(signals);
}
