/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/socket_call.h"
#include "sim/net_internal.h"

static int
set(struct sim_socket_options *options, const struct backend_op *op)
{
    for (int i = 0; i < op->option_count; i++) {
        if (!socket_option_check(&op->options[i]))
            return -SKEIN_EINVALID;
        options->values[op->options[i].name] = op->options[i].value;
    }
    return 0;
}

int
options_init(struct sim_socket_options *options, const struct backend_op *op, bool is_stream)
{
    *options =
        (struct sim_socket_options){.values = {
                                        [SKEIN_SOCKET_NODELAY] = is_stream,
                                        [SKEIN_SOCKET_KEEPALIVE_IDLE_S] = 7200,
                                        [SKEIN_SOCKET_KEEPALIVE_INTERVAL_S] = 75,
                                        [SKEIN_SOCKET_KEEPALIVE_COUNT] = 9,
                                        [SKEIN_SOCKET_RECV_BUFFER_BYTES] = 106496,
                                        [SKEIN_SOCKET_SEND_BUFFER_BYTES] = 106496,
                                        [SKEIN_SOCKET_LINGER_S] = -1,
                                        [SKEIN_SOCKET_REUSEADDR] = op->kind == BACKEND_LISTEN,
                                        [SKEIN_SOCKET_QUICKACK] = 1,
                                        [SKEIN_SOCKET_HOP_LIMIT] = 64,
                                        [SKEIN_SOCKET_MULTICAST_HOPS] = 1,
                                        [SKEIN_SOCKET_MULTICAST_LOOP] = 1,
                                    }};
    return set(options, op);
}

static struct sim_socket_options *
options_of(struct sim_op *sop)
{
    struct sim_backend *backend = &sop->host->backend;
    struct sim_handle *found;
    if ((found = sim_handle_get(backend, sop->op->handle, SIM_HANDLE_END)))
        return &found->end->options;
    if ((found = sim_handle_get(backend, sop->op->handle, SIM_HANDLE_LISTENER)))
        return &found->listener->options;
    if ((found = sim_handle_get(backend, sop->op->handle, SIM_HANDLE_DATAGRAM)))
        return &found->datagram->options;
    return NULL;
}

static int
get(const struct sim_socket_options *options, struct skein_socket_option *option)
{
    if ((unsigned)option->name >= SKEIN_SOCKET_OPTION_COUNT)
        return -SKEIN_EINVALID;
    option->value = options->values[option->name];
    return 0;
}

void
options_submit(struct sim_op *sop)
{
    struct sim_socket_options *options = options_of(sop);
    int rc;
    if (!options)
        rc = sim_handle_get(&sop->host->backend, sop->op->handle, SIM_HANDLE_FILE) ? -ENOTSOCK
                                                                                   : -EBADF;
    else if (sop->op->kind == BACKEND_SET_OPTIONS)
        rc = set(options, sop->op);
    else
        rc = get(options, sop->op->options);
    sim_op_finish(sop, rc, CALL_NS);
}
