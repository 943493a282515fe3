/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listen.h"

#include <errno.h>

#include "skein/fiber.h"
#include "skein/socket.h"

#define PAUSE_NS UINT64_C(20000000)

int
net_listen(const struct skein_addr *addr, int backlog)
{
    uint64_t until_ns = skein_deadline_in(NET_LISTEN_PATIENCE_NS);
    for (;;) {
        int rc = skein_socket_listen(addr, backlog);
        if (rc != -EADDRINUSE || skein_now_ns() >= until_ns)
            return rc;
        int slept = skein_sleep(skein_deadline_in(PAUSE_NS));
        if (slept < 0)
            return slept;
    }
}
