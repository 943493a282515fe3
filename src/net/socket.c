/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/assert.h"
#include "core/await.h"
#include "skein/net.h"

#define PAUSE_NS_MIN UINT64_C(1000000)
#define PAUSE_NS_MAX UINT64_C(20000000)

static const struct skein_net_options no_options = SKEIN_NET_OPTIONS_INIT;

/* The op for @endpoint. @unix_addr: room for a copy, because an op may write there. */
static struct backend_op
op_for(enum backend_op_kind kind, const struct skein_endpoint *endpoint,
       const struct skein_net_options *options, struct skein_unix_addr *unix_addr)
{
    *unix_addr = endpoint->unix_addr;
    return (struct backend_op){
        .kind = kind,
        .addr = endpoint->addr,
        .unix_addr = endpoint->is_unix ? unix_addr : NULL,
        .options = (struct skein_socket_option *)(uintptr_t)options->options,
        .option_count = options->option_count,
        .flags = options->replace_stale ? BACKEND_REPLACE_STALE : 0,
        .backlog = options->backlog,
    };
}

int
skein_net_listen(const struct skein_endpoint *endpoint, const struct skein_net_options *options)
{
    struct skein_unix_addr unix_addr;
    options = options ? options : &no_options;
    if (options->backlog <= 0)
        return -SKEIN_EINVALID;
    struct backend_op op = op_for(BACKEND_LISTEN, endpoint, options, &unix_addr);
    return (int)await_op(&op, SKEIN_NEVER);
}

/* Sleep, longer each time, but not beyond the deadline. **Returns** 0; -SKEIN_ETIMEDOUT: it had
 * passed; -SKEIN_ECANCELED. */
static int
pause_for(uint64_t *pause_ns, uint64_t deadline_ns)
{
    if (skein_now_ns() >= deadline_ns)
        return -SKEIN_ETIMEDOUT;
    uint64_t until_ns = skein_deadline_in(*pause_ns);
    *pause_ns = 2 * *pause_ns < PAUSE_NS_MAX ? 2 * *pause_ns : PAUSE_NS_MAX;
    return skein_sleep(until_ns < deadline_ns ? until_ns : deadline_ns);
}

/* A Unix listener whose backlog is full answers -EAGAIN on some backends, and there is nothing that
 * could be waited for: ask again, ever more slowly. */
static int
connect_patiently(const struct backend_op *first, uint64_t deadline_ns)
{
    uint64_t pause_ns = PAUSE_NS_MIN;
    for (;;) {
        struct backend_op op = *first;
        int rc = (int)await_op(&op, deadline_ns);
        if (rc != -EAGAIN)
            return rc;
        rc = pause_for(&pause_ns, deadline_ns);
        if (rc < 0)
            return rc;
    }
}

int
skein_net_connect(const struct skein_endpoint *endpoint, const struct skein_net_options *options,
                  uint64_t deadline_ns)
{
    struct skein_unix_addr unix_addr;
    struct backend_op op =
        op_for(BACKEND_CONNECT, endpoint, options ? options : &no_options, &unix_addr);
    return endpoint->is_unix ? connect_patiently(&op, deadline_ns)
                             : (int)await_op(&op, deadline_ns);
}

int
skein_datagram_open(const struct skein_endpoint *local, const struct skein_endpoint *peer,
                    const struct skein_net_options *options)
{
    struct skein_unix_addr unix_addr;
    struct backend_op op =
        op_for(BACKEND_DATAGRAM, local, options ? options : &no_options, &unix_addr);
    op.peer = peer;
    if (peer && peer->is_unix != local->is_unix)
        return -SKEIN_EINVALID;
    return (int)await_op(&op, SKEIN_NEVER);
}

static int
name_of(enum backend_op_kind kind, int handle, struct skein_endpoint *out_endpoint)
{
    struct skein_endpoint found = {.is_unix = false};
    struct backend_op op = {.kind = kind, .handle = handle, .unix_addr = &found.unix_addr};
    int rc = (int)await_op(&op, SKEIN_NEVER);
    if (rc < 0)
        return rc;
    found.is_unix = rc == 1;
    found.addr = op.addr;
    *out_endpoint = found;
    return 0;
}

int
skein_net_local(int handle, struct skein_endpoint *out_endpoint)
{
    return name_of(BACKEND_LOCAL, handle, out_endpoint);
}

int
skein_net_peer(int handle, struct skein_endpoint *out_endpoint)
{
    return name_of(BACKEND_PEER, handle, out_endpoint);
}

int
skein_net_set(int handle, enum skein_socket_option_name name, int64_t value)
{
    struct skein_socket_option option = {.name = name, .value = value};
    struct backend_op op = {
        .kind = BACKEND_SET_OPTIONS, .handle = handle, .options = &option, .option_count = 1};
    return (int)await_op(&op, SKEIN_NEVER);
}

int
skein_net_get(int handle, enum skein_socket_option_name name, int64_t *out_value)
{
    struct skein_socket_option option = {.name = name};
    struct backend_op op = {
        .kind = BACKEND_GET_OPTION, .handle = handle, .options = &option, .option_count = 1};
    int rc = (int)await_op(&op, SKEIN_NEVER);
    if (rc == 0)
        *out_value = option.value;
    return rc;
}

int
skein_net_credentials(int handle, struct skein_credentials *out_credentials)
{
    struct backend_op op = {
        .kind = BACKEND_CREDENTIALS, .handle = handle, .credentials = out_credentials};
    return (int)await_op(&op, SKEIN_NEVER);
}

int
skein_net_wait(int handle, uint32_t what, uint64_t deadline_ns)
{
    skein_assert(what != 0);
    struct backend_op op = {.kind = BACKEND_POLL, .handle = handle, .flags = what};
    return (int)await_op(&op, deadline_ns);
}

static int
change_group(enum backend_op_kind kind, int handle, const struct skein_addr *group,
             uint32_t interface_index)
{
    struct backend_op op = {
        .kind = kind, .handle = handle, .addr = *group, .mode = interface_index};
    return (int)await_op(&op, SKEIN_NEVER);
}

int
skein_datagram_join(int handle, const struct skein_addr *group, uint32_t interface_index)
{
    return change_group(BACKEND_JOIN, handle, group, interface_index);
}

int
skein_datagram_leave(int handle, const struct skein_addr *group, uint32_t interface_index)
{
    return change_group(BACKEND_LEAVE, handle, group, interface_index);
}

/* Call, and wait for readiness as long as the call says -EAGAIN. A Unix socket is always ready to
 * send to others that are full: then time has to pass. */
static int
transfer(enum backend_op_kind kind, uint32_t what, int handle, struct skein_datagram *messages,
         int message_count, uint64_t deadline_ns)
{
    uint64_t pause_ns = PAUSE_NS_MIN;
    if (message_count < 1 || message_count > SKEIN_MESSAGES_MAX)
        return -SKEIN_EINVALID;
    for (bool waited = false;; waited = !waited) {
        struct backend_op op = {
            .kind = kind, .handle = handle, .messages = messages, .message_count = message_count};
        int rc = (int)await_op(&op, SKEIN_NEVER);
        if (rc != -EAGAIN)
            return rc;
        rc = waited ? pause_for(&pause_ns, deadline_ns) : skein_net_wait(handle, what, deadline_ns);
        if (rc < 0)
            return rc;
    }
}

int
skein_datagram_send(int handle, struct skein_datagram *messages, int message_count,
                    uint64_t deadline_ns)
{
    return transfer(BACKEND_SEND_MESSAGES, SKEIN_WRITABLE, handle, messages, message_count,
                    deadline_ns);
}

int
skein_datagram_recv(int handle, struct skein_datagram *messages, int message_count,
                    uint64_t deadline_ns)
{
    return transfer(BACKEND_RECV_MESSAGES, SKEIN_READABLE, handle, messages, message_count,
                    deadline_ns);
}
