/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "core/mailbox_port.h"
#include "core/run_queue.h"

/*
 * Awake or asleep. A sleeping shard costs its peers tens of microseconds, an awake one a core. The
 * window for which a shard polls before it sleeps follows what happens: a sleep that ends so soon
 * that the longest window would have caught it doubles the window, a longer one halves it, down to
 * none. So a shard that is asked often stays awake, and an idle one uses no processor at all. When
 * somebody else had to wait for the processor while we polled, there is no polling until sleeps
 * have been short for a while: on a shared processor it only takes time from those we wait for.
 */

#define WINDOW_NS_MIN 10000u
#define SPIN_COUNT 32

static inline void
relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool
poll_once(struct shard_port *port)
{
    struct backend *backend = port->shard->backend;
    if (port_turn(port))
        return true;
    backend->ops->wait(backend, 0);
    return !sched_is_idle(port->shard);
}

/* Returns whether something came within the window. */
static bool
poll_for_a_while(struct shard_port *port, uint64_t deadline_ns)
{
    struct backend *backend = port->shard->backend;
    uint64_t begin_ns = 0;
    for (;;) {
        for (int i = 0; i < SPIN_COUNT; i++) {
            if (poll_once(port)) {
                port->stats.poll_count++;
                return true;
            }
            relax();
        }
        uint64_t now_ns = backend->ops->now_ns(backend);
        if (begin_ns == 0)
            begin_ns = now_ns;
        if (now_ns >= deadline_ns)
            return true; /* a timer is due */
        if (now_ns - begin_ns >= port->idle_poll_ns)
            return false;
    }
}

static bool
was_preempted(struct shard_port *port)
{
    if (!port->preempted_count)
        return false;
    uint64_t count = port->preempted_count();
    bool more = count != port->preempted_seen_count;
    port->preempted_seen_count = count;
    return more;
}

bool
port_idle(struct shard_port *port, uint64_t deadline_ns)
{
    if (port->idle_poll_ns > 0 && poll_for_a_while(port, deadline_ns))
        return false;
    return port_rest(port);
}

void
port_slept(struct shard_port *port, uint64_t slept_ns)
{
    port_awake(port);
    if (port->idle_poll_ns_max == 0 || port->idle_poll_ns_max == UINT64_MAX)
        return;
    if (was_preempted(port)) {
        port->idle_poll_ns = 0;
        return;
    }
    if (slept_ns > port->idle_poll_ns_max) {
        port->idle_poll_ns /= 2;
        if (port->idle_poll_ns < WINDOW_NS_MIN)
            port->idle_poll_ns = 0;
        return;
    }
    port->idle_poll_ns = port->idle_poll_ns ? port->idle_poll_ns * 2 : WINDOW_NS_MIN;
    if (port->idle_poll_ns > port->idle_poll_ns_max)
        port->idle_poll_ns = port->idle_poll_ns_max;
}
