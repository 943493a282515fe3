/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "bench/echo.h"

/* One connection: it answers what it has received before it reads on, from one buffer. */
struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    char buffer[2048];
};

static void
check(const char *what, int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "echo (libuv): %s: %s\n", what, uv_strerror(rc));
    exit(1);
}

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct peer *peer = handle->data;
    *out = uv_buf_init(peer->buffer, sizeof(peer->buffer));
}

static void
on_written(uv_write_t *write, int status)
{
    if (status < 0)
        uv_close((uv_handle_t *)write->handle, on_closed);
}

static void
on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct peer *peer = stream->data;
    if (count < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    uv_buf_t out = uv_buf_init(peer->buffer, (unsigned)count);
    /* What goes out at once needs no request; the clients wait for each answer. */
    int sent = uv_try_write(stream, &out, 1);
    if (sent == count)
        return;
    sent = sent < 0 ? 0 : sent;
    out = uv_buf_init(peer->buffer + sent, (unsigned)(count - sent));
    check("write", uv_write(&peer->write, stream, &out, 1, on_written));
}

static void
on_connection(uv_stream_t *server, int status)
{
    check("accept", status);
    struct peer *peer = malloc(sizeof(*peer));
    if (!peer)
        check("accept", UV_ENOMEM);
    check("socket", uv_tcp_init(server->loop, &peer->tcp));
    peer->tcp.data = peer;
    check("accept", uv_accept(server, (uv_stream_t *)&peer->tcp));
    check("read", uv_read_start((uv_stream_t *)&peer->tcp, give_buffer, on_read));
}

void
echo_serve_uv(int listener)
{
    uv_loop_t loop;
    uv_tcp_t server;
    check("loop", uv_loop_init(&loop));
    check("socket", uv_tcp_init(&loop, &server));
    check("socket", uv_tcp_open(&server, listener));
    check("listen", uv_listen((uv_stream_t *)&server, 1024, on_connection));
    check("run", uv_run(&loop, UV_RUN_DEFAULT));
    exit(1);
}
