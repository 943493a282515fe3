/* SPDX-License-Identifier: Apache-2.0 */
#include "core/epoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/io_ready.h"
#include "skein/shard.h"

#define EVENT_COUNT 256

struct epoll {
    struct ready ready; /* first */
    int epoll_fd;
    bool without_nanoseconds; /* the kernel has no epoll_pwait2, or refuses it */
};

static struct epoll *
epoll_of(struct ready *ready)
{
    return (struct epoll *)(void *)ready;
}

/* Edge-triggered and for both directions, so that a socket costs one call in its life. */
static int
watch(struct ready *ready, struct ready_slot *slot)
{
    if (slot->watched)
        return 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.fd = slot->fd};
    if (epoll_ctl(epoll_of(ready)->epoll_fd, EPOLL_CTL_ADD, slot->fd, &event) < 0)
        return -errno;
    slot->watched = true;
    return 0;
}

static void
forget(struct ready *ready, struct ready_slot *slot)
{
    int rc = epoll_ctl(epoll_of(ready)->epoll_fd, EPOLL_CTL_DEL, slot->fd, NULL);
    (void)rc; /* somebody else closed it: then it is gone already */
    slot->watched = false;
}

static int
wait_events(struct epoll *epoll, struct epoll_event *events, uint64_t timeout_ns)
{
    bool forever = timeout_ns == SKEIN_NEVER;
    if (timeout_ns == 0 || forever)
        return epoll_wait(epoll->epoll_fd, events, EVENT_COUNT, forever ? -1 : 0);
    if (!epoll->without_nanoseconds) {
        struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                              .tv_nsec = (long)(timeout_ns % 1000000000u)};
        int n = epoll_pwait2(epoll->epoll_fd, events, EVENT_COUNT, &ts, NULL);
        epoll->without_nanoseconds = n < 0 && (errno == ENOSYS || errno == EPERM);
        if (!epoll->without_nanoseconds)
            return n;
    }
    uint64_t timeout_ms = (timeout_ns + 999999) / 1000000;
    return epoll_wait(epoll->epoll_fd, events, EVENT_COUNT,
                      timeout_ms > 1000000 ? 1000000 : (int)timeout_ms);
}

static void
sleep_for(struct ready *ready, uint64_t timeout_ns)
{
    struct epoll_event events[EVENT_COUNT];
    int n = wait_events(epoll_of(ready), events, timeout_ns);
    skein_assert(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        uint32_t what = events[i].events;
        bool trouble = what & (EPOLLHUP | EPOLLERR);
        struct ready_event event = {.input = what & EPOLLIN,
                                    .room = trouble || (what & EPOLLOUT),
                                    .ended = trouble || (what & EPOLLRDHUP)};
        ready_on_event(ready, events[i].data.fd, event);
    }
}

static void
close_epoll(struct backend *backend)
{
    struct epoll *epoll = epoll_of(ready_of(backend));
    ready_deinit(&epoll->ready);
    close(epoll->epoll_fd);
    mem_free(epoll);
}

static const struct ready_poller poller = {.watch = watch, .forget = forget, .sleep = sleep_for};

static const struct backend_ops epoll_ops = {
    .name = "epoll",
    .now_ns = ready_now_ns,
    .boot_ns = ready_boot_ns,
    .wall_ns = ready_wall_ns,
    .entropy = ready_entropy,
    .submit = ready_submit,
    .try_now = ready_try_now,
    .cancel = ready_cancel,
    .wait = ready_wait,
    .wake = ready_wake,
    .close = close_epoll,
};

int
epoll_open(struct backend **out_backend, unsigned helper_count)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return -errno;
    struct epoll *epoll = mem_zalloc(sizeof(*epoll));
    epoll->epoll_fd = epoll_fd;
    int rc = ready_init(&epoll->ready, &epoll_ops, &poller, helper_count);
    if (rc < 0) {
        close(epoll_fd);
        mem_free(epoll);
        return rc;
    }
    *out_backend = &epoll->ready.base;
    return 0;
}
