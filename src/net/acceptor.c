/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/assert.h"
#include "obs/log.h"
#include "skein/net.h"

#define PAUSE_NS_MIN UINT64_C(10000000)
#define PAUSE_NS_MAX UINT64_C(1000000000)

void
skein_acceptor_init(struct skein_acceptor *acceptor, int listener, uint32_t live_count_max)
{
    skein_assert(live_count_max > 0);
    *acceptor = (struct skein_acceptor){.listener = listener, .live_count_max = live_count_max};
    skein_waitq_init(&acceptor->released);
}

/* What passes when somebody closes something. */
static bool
is_shortage(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

/* What concerned one connection, which is gone. */
static bool
is_of_the_peer(int rc)
{
    return rc == -ECONNABORTED || rc == -EPROTO || rc == -ENETDOWN || rc == -ENOPROTOOPT ||
           rc == -EHOSTDOWN || rc == -ENONET || rc == -EHOSTUNREACH || rc == -ENETUNREACH ||
           rc == -EPERM;
}

static int
pause_for(struct skein_acceptor *acceptor, uint64_t *pause_ns, uint64_t deadline_ns)
{
    uint64_t until_ns = skein_deadline_in(*pause_ns);
    acceptor->pause_count++;
    *pause_ns = *pause_ns * 2 < PAUSE_NS_MAX ? *pause_ns * 2 : PAUSE_NS_MAX;
    if (until_ns > deadline_ns)
        until_ns = deadline_ns;
    int rc = skein_wait(&acceptor->released, until_ns);
    return rc == -SKEIN_ETIMEDOUT && until_ns < deadline_ns ? 0 : rc;
}

int
skein_acceptor_accept(struct skein_acceptor *acceptor, struct skein_addr *out_peer,
                      uint64_t deadline_ns)
{
    uint64_t pause_ns = PAUSE_NS_MIN;
    for (;;) {
        int rc;
        if (acceptor->live_count >= acceptor->live_count_max) {
            rc = skein_wait(&acceptor->released, deadline_ns);
            if (rc < 0)
                return rc;
            continue;
        }
        rc = skein_socket_accept(acceptor->listener, out_peer, deadline_ns);
        if (rc >= 0) {
            acceptor->live_count++;
            return rc;
        }
        if (is_shortage(rc)) {
            if (pause_ns == PAUSE_NS_MIN)
                obs_log(OBS_WARN, "net", "cannot accept", "error=%s connections=%u",
                        skein_error_name(rc), acceptor->live_count);
            rc = pause_for(acceptor, &pause_ns, deadline_ns);
            if (rc < 0)
                return rc;
        } else if (!is_of_the_peer(rc)) {
            return rc;
        }
    }
}

void
skein_acceptor_release(struct skein_acceptor *acceptor)
{
    skein_assert(acceptor->live_count > 0);
    acceptor->live_count--;
    skein_wake_one(&acceptor->released);
}
