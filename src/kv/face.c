/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/face.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "kv/conn.h"
#include "net/addr.h"
#include "net/listen.h"
#include "obs/log.h"
#include "skein/error.h"

#define BACKLOG 1024
#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)
#define REFUSE_NS (100 * MS_NS)

static void
refuse(struct kv_face *face, int handle, const char *text)
{
    face->stats.rejected++;
    int rc = skein_socket_send(handle, text, strlen(text), skein_deadline_in(REFUSE_NS));
    if (rc < 0)
        obs_log(OBS_DEBUG, "kv", "client refused unheard", "error=%s", skein_error_name(rc));
    skein_close(handle);
    skein_acceptor_release(&face->acceptor);
}

static void
welcome(struct kv_face *face, int handle, const struct skein_addr *peer)
{
    if (face->conn_count >= face->options.client_count_max) {
        refuse(face, handle, "-ERR max number of clients reached\r\n");
        return;
    }
    int rc = kv_conn_open(face, handle, peer);
    if (rc < 0) {
        obs_log(OBS_WARN, "kv", "client refused", "error=%s", skein_error_name(rc));
        refuse(face, handle, "-ERR this node cannot serve more clients\r\n");
        return;
    }
    face->stats.connections++;
}

static void
listener_main(void *arg)
{
    struct kv_face *face = arg;
    struct skein_addr peer;
    int handle;
    while ((handle = skein_acceptor_accept(&face->acceptor, &peer, SKEIN_NEVER)) >= 0) {
        if (!face->stopping) {
            welcome(face, handle, &peer);
            continue;
        }
        /* It came before the cancellation did. */
        skein_acceptor_release(&face->acceptor);
        skein_close(handle);
    }
    if (handle != -SKEIN_ECANCELED)
        obs_log(OBS_ERROR, "kv", "no more clients are accepted", "error=%s",
                skein_error_name(handle));
}

static void
reaper_main(void *arg)
{
    struct kv_face *face = arg;
    skein_shield(true);
    for (;;) {
        struct skein_list *link;
        while ((link = list_pop_front(&face->done))) {
            struct kv_conn *conn = LIST_ENTRY(link, struct kv_conn, link);
            skein_scope_join(&conn->scope);
            mem_free(conn);
        }
        if (list_is_empty(&face->conns))
            skein_wake_all(&face->empty_q);
        if (face->reaper_ends)
            return;
        int rc = skein_wait(&face->reaper_q, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
}

static void
draw_run_id(struct kv_face *face)
{
    uint8_t id[20];
    skein_entropy(id, sizeof(id));
    for (size_t i = 0; i < sizeof(id); i++)
        snprintf(face->run_id + 2 * i, 3, "%02x", id[i]);
}

static int
begin_listening(struct kv_face *face, char out_why[512])
{
    char text[NET_ADDR_TEXT_BYTES];
    net_addr_format(&face->options.listen, text);
    int handle = net_listen(&face->options.listen, BACKLOG);
    if (handle < 0) {
        snprintf(
            out_why, 512, "cannot listen for clients on %s: %s%s", text, skein_error_text(handle),
            handle == -EADDRINUSE ? "; stop the program that has it, or choose another --listen"
                                  : "");
        return handle;
    }
    int rc = skein_socket_local_addr(handle, &face->addr);
    if (rc < 0) {
        snprintf(out_why, 512, "cannot read the address of the socket on %s: %s", text,
                 skein_error_text(rc));
        skein_close(handle);
        return rc;
    }
    skein_acceptor_init(&face->acceptor, handle, UINT32_MAX);
    return 0;
}

static void
end_fibers(struct kv_face *face)
{
    face->reaper_ends = true;
    skein_wake_all(&face->reaper_q);
    skein_scope_cancel(&face->scope);
    skein_scope_join(&face->scope);
    skein_close(face->acceptor.listener);
}

int
kv_face_open(struct kv_face **out_face, const struct kv_face_options *options, char out_why[512])
{
    struct kv_face *face = mem_zalloc(sizeof(*face));
    face->options = *options;
    face->group_count = options->group_count ? options->group_count : 1;
    skein_assert(face->group_count <= KV_GROUPS_MAX);
    face->opened_ns = skein_now_ns();
    skein_scope_init(&face->scope);
    skein_waitq_init(&face->reaper_q);
    skein_waitq_init(&face->empty_q);
    list_init(&face->conns);
    list_init(&face->done);
    draw_run_id(face);
    kv_face_metrics_open(face);
    int rc = begin_listening(face, out_why);
    if (rc < 0) {
        kv_face_metrics_close(face);
        mem_free(face);
        return rc;
    }
    rc = skein_spawn(&face->scope, "reaper", reaper_main, face, SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = skein_spawn(&face->scope, "listener", listener_main, face, SKEIN_STACK_SMALL);
    if (rc < 0) {
        snprintf(out_why, 512, "cannot start serving clients: %s", skein_error_text(rc));
        end_fibers(face);
        kv_face_metrics_close(face);
        mem_free(face);
        return rc;
    }
    *out_face = face;
    return 0;
}

struct replica *
kv_face_group(const struct kv_face *face, uint32_t group)
{
    struct replica *replica = face->options.replica;
    return face->group_count > 1 ? replica_group(replica, group) : replica;
}

static void
cancel_conns(struct kv_face *face, bool all)
{
    list_for_each (link, &face->conns) {
        struct kv_conn *conn = LIST_ENTRY(link, struct kv_conn, link);
        if (all || conn->receiving)
            skein_scope_cancel(&conn->scope);
    }
}

static void
wait_empty(struct kv_face *face, uint64_t deadline_ns)
{
    while (!list_is_empty(&face->conns))
        if (skein_wait(&face->empty_q, deadline_ns) < 0)
            return;
}

void
kv_face_stop_accepting(struct kv_face *face)
{
    if (face->stopping)
        return;
    face->stopping = true;
    skein_scope_cancel(&face->scope);
    cancel_conns(face, false);
}

void
kv_face_stop(struct kv_face *face, uint64_t deadline_ns)
{
    if (!face)
        return;
    skein_shield(true);
    kv_face_stop_accepting(face);
    wait_empty(face, deadline_ns);
    if (!list_is_empty(&face->conns))
        obs_log(OBS_WARN, "kv", "clients cut off", "clients=%u", face->conn_count);
    cancel_conns(face, true);
    wait_empty(face, SKEIN_NEVER);
    end_fibers(face);
    for (uint32_t i = 0; i < face->group_count; i++)
        wire_writer_deinit(&face->batches[i]);
    kv_face_metrics_close(face);
    mem_free(face);
    skein_shield(false);
}

void
kv_face_count_command(struct kv_face *face, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;
    if (second != face->second) {
        face->stats.commands_last_second = second == face->second + 1 ? face->second_commands : 0;
        face->second = second;
        face->second_commands = 0;
    }
    face->second_commands++;
    face->stats.commands++;
}

uint64_t
kv_face_commands_per_second(const struct kv_face *face, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;
    if (second == face->second)
        return face->stats.commands_last_second;
    return second == face->second + 1 ? face->second_commands : 0;
}
