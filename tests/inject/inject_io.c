/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and sockets: an echo server with a fiber for each connection, clients that talk to it, and
 * what they said written to a file, listed, renamed and read back. Every handle is closed whatever
 * happens, so a second server can listen at the same place.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "inject/inject.h"
#include "sim/net.h"
#include "skein/core.h"

#define CLIENTS 3
#define ROUNDS 4
#define BYTES 3000

struct io_case {
    struct skein_scope servers;
    struct skein_scope connections;
    struct skein_gate gate;
    int listener;
    int file;
    int rc; /* the first that failed */
    uint64_t echoed_bytes;
};

static void
note(struct io_case *io, int rc)
{
    if (rc < 0 && io->rc == 0)
        io->rc = rc;
}

struct connection {
    struct io_case *io;
    int handle;
};

static void
echo(void *arg)
{
    struct connection *connection = arg;
    char data[1000];
    ssize_t count;
    while ((count = skein_socket_recv(connection->handle, data, sizeof(data), SKEIN_NEVER)) > 0)
        if (skein_socket_send(connection->handle, data, (size_t)count, SKEIN_NEVER) < 0)
            break;
    skein_close(connection->handle);
}

static void
serve(void *arg)
{
    struct io_case *io = arg;
    struct connection connections[CLIENTS];
    struct skein_scope scope;
    int rc = 0;
    skein_scope_init(&scope);
    for (int i = 0; i < CLIENTS && rc >= 0; i++) {
        rc = skein_socket_accept(io->listener, NULL, SKEIN_NEVER);
        if (rc < 0)
            break;
        connections[i] = (struct connection){io, rc};
        rc = skein_spawn(&scope, "echo", echo, &connections[i], SKEIN_STACK_SMALL);
        if (rc < 0)
            skein_close(connections[i].handle);
    }
    note(io, rc);
    skein_scope_join(&scope);
}

static int
say(struct io_case *io, int handle)
{
    char out[BYTES];
    char in[BYTES];
    memset(out, 'x', sizeof(out));
    int rc = skein_socket_send(handle, out, sizeof(out), skein_deadline_in(20000000000));
    size_t got = 0;
    while (rc == 0 && got < sizeof(in)) {
        ssize_t count =
            skein_socket_recv(handle, in + got, sizeof(in) - got, skein_deadline_in(20000000000));
        if (count <= 0)
            return count < 0 ? (int)count : -SKEIN_EEOF;
        got += (size_t)count;
    }
    if (rc == 0 && memcmp(in, out, sizeof(in)) != 0)
        return -SKEIN_ECORRUPT;
    if (rc < 0)
        return rc;
    uint64_t at = io->echoed_bytes;
    io->echoed_bytes += sizeof(in);
    return skein_file_pwrite(io->file, in, sizeof(in), at, 0);
}

static void
talk(void *arg)
{
    struct io_case *io = arg;
    struct skein_addr addr;
    if (skein_gate_enter(&io->gate) < 0)
        return;
    int rc = skein_socket_local_addr(io->listener, &addr);
    if (rc == 0) {
        addr = sim_host_addr(1, addr.port);
        rc = skein_socket_connect(&addr, skein_deadline_in(20000000000));
    }
    if (rc >= 0) {
        int handle = rc;
        rc = 0;
        for (int i = 0; i < ROUNDS && rc == 0; i++)
            rc = say(io, handle);
        if (rc == 0)
            rc = skein_socket_shutdown(handle);
        skein_close(handle);
    }
    note(io, rc);
    skein_gate_leave(&io->gate);
}

static int
converse(struct io_case *io)
{
    int rc = skein_spawn(&io->servers, "serve", serve, io, SKEIN_STACK_SMALL);
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        rc = skein_spawn(&io->connections, "talk", talk, io, SKEIN_STACK_SMALL);
    skein_scope_join(&io->connections);
    if (rc < 0 || io->rc < 0 || skein_cancelled())
        skein_scope_cancel(&io->servers);
    skein_scope_join(&io->servers);
    if (rc == 0)
        rc = skein_gate_close(&io->gate, SKEIN_NEVER);
    skein_assert(io->gate.inside_count == 0);
    return rc == 0 ? io->rc : rc;
}

static int
read_back(struct io_case *io)
{
    char data[512];
    struct skein_names names = {0};
    struct skein_stat stat;
    int rc = skein_file_sync(io->file, 0);
    if (rc == 0)
        rc = skein_file_rename("/case/said", "/case/kept");
    if (rc == 0)
        rc = skein_file_sync_directory("/case");
    if (rc == 0)
        rc = skein_file_list("/case", &names);
    if (rc < 0)
        return rc;
    rc = names.count == 1 && strcmp(names.names[0], "kept") == 0 ? 0 : -SKEIN_ENOTFOUND;
    skein_names_deinit(&names);
    if (rc == 0)
        rc = skein_file_stat("/case/kept", &stat);
    if (rc == 0 && stat.size_bytes != CLIENTS * ROUNDS * BYTES)
        rc = -SKEIN_ECORRUPT;
    for (uint64_t at = 0; rc == 0 && at < stat.size_bytes;) {
        ssize_t count = skein_file_pread(io->file, data, sizeof(data), at);
        if (count <= 0)
            return count < 0 ? (int)count : -SKEIN_EEOF;
        for (ssize_t i = 0; i < count; i++)
            rc = data[i] == 'x' ? rc : -SKEIN_ECORRUPT;
        at += (uint64_t)count;
    }
    return rc;
}

static int
io_main(void *arg)
{
    struct skein_addr addr = sim_host_addr(1, 7777);
    struct io_case io = {.listener = -1, .file = -1};
    (void)arg;
    skein_scope_init(&io.servers);
    skein_scope_init(&io.connections);
    skein_gate_init(&io.gate);
    int rc = io.file = skein_file_open("/case/said", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    if (rc >= 0)
        rc = io.listener = skein_socket_listen(&addr, 16);
    if (rc >= 0)
        rc = converse(&io);
    if (rc == 0)
        rc = read_back(&io);
    if (io.listener >= 0)
        skein_close(io.listener);
    if (io.file >= 0)
        skein_close(io.file);
    /* Nothing of it is left: the place is free again. */
    skein_shield(true);
    int again = skein_socket_listen(&addr, 16);
    skein_assert(again >= 0);
    skein_close(again);
    skein_shield(false);
    return rc;
}

const struct inject_case inject_io_case = {.name = "io", .main_fn = io_main, .robust = true};
