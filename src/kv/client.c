/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/client.h"

#include <string.h>

#include "base/decimal.h"
#include "skein/dial.h"
#include "skein/error.h"
#include "skein/file.h"
#include "kv/resp_reply.h"

#define RECV_BYTES_MIN ((size_t)4 << 10)
/* The server's own limit for one reply (kv_limits) is below this. */
#define REPLY_BYTES_MAX ((size_t)512 << 20)

struct kv_client {
    int handle;
    bool failed;
    struct wire_writer out;
    uint8_t *in;
    size_t in_begin, in_end, in_capacity;
    struct kv_reply_scan scan;
};

int
kv_client_connect(struct kv_client **out_client, const struct skein_addr *addr,
                  uint64_t deadline_ns)
{
    return kv_client_connect_any(out_client, addr, 1, deadline_ns);
}

int
kv_client_connect_any(struct kv_client **out_client, const struct skein_addr *addrs, uint32_t count,
                      uint64_t deadline_ns)
{
    int handle = count == 1 ? skein_socket_connect(addrs, deadline_ns)
                            : skein_dial_any(addrs, count, NULL, NULL, deadline_ns);
    if (handle < 0)
        return handle;
    struct kv_client *client = mem_zalloc(sizeof(*client));
    client->handle = handle;
    *out_client = client;
    return 0;
}

static void
put_header(struct wire_writer *out, char kind, size_t value)
{
    char text[DECIMAL_BYTES_MAX + 3] = {kind};
    size_t bytes = 1 + decimal_put(text + 1, value);
    text[bytes++] = '\r';
    text[bytes++] = '\n';
    wire_put_raw(out, text, bytes);
}

void
kv_client_send(struct kv_client *client, const struct kv_arg *argv, uint32_t argc)
{
    put_header(&client->out, '*', argc);
    for (uint32_t i = 0; i < argc; i++) {
        put_header(&client->out, '$', argv[i].count);
        wire_put_raw(&client->out, argv[i].data, argv[i].count);
        wire_put_raw(&client->out, "\r\n", 2);
    }
}

int
kv_client_flush(struct kv_client *client, uint64_t deadline_ns)
{
    if (client->failed)
        return -SKEIN_ECLOSED;
    if (!client->out.count)
        return 0;
    int rc = skein_socket_send(client->handle, client->out.data, client->out.count, deadline_ns);
    client->out.count = 0;
    if (client->out.capacity > RECV_BYTES_MIN * 16)
        wire_writer_deinit(&client->out);
    client->failed = rc < 0;
    return rc;
}

/* Room behind in_end: what is left moves to the front, a full buffer doubles. */
static int
make_room(struct kv_client *client)
{
    if (client->in_begin) {
        memmove(client->in, client->in + client->in_begin, client->in_end - client->in_begin);
        client->in_end -= client->in_begin;
        client->in_begin = 0;
    }
    if (client->in_end < client->in_capacity)
        return 0;
    size_t wanted = client->in_capacity ? client->in_capacity * 2 : RECV_BYTES_MIN;
    uint8_t *grown = mem_try_realloc(client->in, wanted);
    if (!grown)
        return -SKEIN_ENOMEM;
    client->in = grown;
    client->in_capacity = wanted;
    return 0;
}

static int
receive_some(struct kv_client *client, uint64_t deadline_ns)
{
    int rc = make_room(client);
    if (rc < 0)
        return rc;
    ssize_t n = skein_socket_recv(client->handle, client->in + client->in_end,
                                  client->in_capacity - client->in_end, deadline_ns);
    if (n == 0)
        return -SKEIN_EEOF;
    if (n > 0)
        client->in_end += (size_t)n;
    return n < 0 ? (int)n : 0;
}

static void
consume(struct kv_client *client, size_t count)
{
    client->in_begin += count;
    client->scan = (struct kv_reply_scan){0};
    if (client->in_begin < client->in_end)
        return;
    client->in_begin = client->in_end = 0;
    if (client->in_capacity > RECV_BYTES_MIN * 16) {
        mem_free(client->in);
        client->in = NULL;
        client->in_capacity = 0;
    }
}

int
kv_client_receive(struct kv_client *client, struct kv_reply *out_reply, uint64_t deadline_ns)
{
    int rc = kv_client_flush(client, deadline_ns);
    if (rc < 0)
        return rc;
    while ((rc = kv_reply_scan(&client->scan, client->in + client->in_begin,
                               client->in_end - client->in_begin, REPLY_BYTES_MAX)) == 0) {
        rc = receive_some(client, deadline_ns);
        if (rc < 0)
            break;
    }
    if (rc > 0) {
        size_t bytes = client->scan.position;
        rc = kv_reply_build(client->in + client->in_begin, bytes, out_reply);
        consume(client, bytes);
    }
    client->failed = rc < 0;
    return rc;
}

int
kv_client_call(struct kv_client *client, struct kv_reply *out_reply, uint64_t deadline_ns,
               uint32_t argc, const char *const *argv)
{
    struct kv_arg *args = mem_alloc(argc * sizeof(*args));
    for (uint32_t i = 0; i < argc; i++)
        args[i] = (struct kv_arg){.data = (const uint8_t *)argv[i], .count = strlen(argv[i])};
    kv_client_send(client, args, argc);
    mem_free(args);
    return kv_client_receive(client, out_reply, deadline_ns);
}

void
kv_client_close(struct kv_client *client)
{
    if (!client)
        return;
    skein_close(client->handle);
    wire_writer_deinit(&client->out);
    mem_free(client->in);
    mem_free(client);
}
