/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listen.h"

#include <errno.h>

#include "core/fiber.h"
#include "core/io.h"

#define PAUSE_NS UINT64_C(20000000)

int
net_listen(const struct backend_addr *addr, int backlog)
{
    uint64_t until_ns = core_deadline_in(NET_LISTEN_PATIENCE_NS);
    for (;;) {
        int rc = core_listen(addr, backlog);
        if (rc != -EADDRINUSE || core_now_ns() >= until_ns)
            return rc;
        int slept = core_sleep(core_deadline_in(PAUSE_NS));
        if (slept < 0)
            return slept;
    }
}
