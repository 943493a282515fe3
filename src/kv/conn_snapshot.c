/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "kv/conn.h"
#include "kv/local.h"
#include "kv/resp.h"
#include "replica/backup.h"
#include "skein/error.h"
#include "skein/file.h"
#include "skein/socket.h"

#define PIECE_BYTES ((size_t)256 << 10)
/* So many are sent at a time: each holds a piece, and a file that may be gone otherwise. */
#define SNAPSHOTS_MAX 4u
/* A checkpoint of a large state takes its time. */
#define CHECKPOINT_NS (600 * UINT64_C(1000000000))

bool
kv_conn_is_snapshot(const struct kv_arg *argv, uint32_t argc)
{
    return argc == 2 && kv_local_is(&argv[0], "skein") && kv_local_is(&argv[1], "snapshot");
}

static int
send_file(struct kv_conn *conn, const struct replica_backup_file *file)
{
    char head[32];
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    uint64_t timeout_ns = conn->face->options.send_timeout_ns;
    int count = snprintf(head, sizeof head, "$%" PRIu64 "\r\n", file->bytes);
    int rc = skein_socket_send(conn->handle, head, (size_t)count, skein_deadline_in(timeout_ns));
    for (uint64_t at = 0; at < file->bytes && rc == 0;) {
        ssize_t got = skein_file_pread(file->handle, piece, PIECE_BYTES, at);
        /* The length is said: a file that cannot be read any more ends the connection. */
        rc = got > 0 ? 0 : got < 0 ? (int)got : -SKEIN_EEOF;
        if (rc == 0)
            rc = replica_backup_pause(conn->face->options.replica, (uint64_t)got);
        if (rc == 0)
            rc = skein_socket_send(conn->handle, piece, (size_t)got, skein_deadline_in(timeout_ns));
        at += got > 0 ? (uint64_t)got : 0;
    }
    if (rc == 0)
        rc = skein_socket_send(conn->handle, "\r\n", 2, skein_deadline_in(timeout_ns));
    mem_free(piece);
    return rc;
}

static int
send_snapshot(struct kv_conn *conn)
{
    struct replica_backup_file file;
    int rc = replica_backup(conn->face->options.replica, skein_deadline_in(CHECKPOINT_NS), &file);
    if (rc == -SKEIN_ENOTFOUND) {
        kv_reply_error(conn_buffer_out(conn), "ERR this node has applied nothing yet");
        return 0;
    }
    if (rc < 0) {
        kv_reply_errorf(conn_buffer_out(conn), "ERR no checkpoint could be made (%s)",
                        skein_error_name(rc));
        return 0;
    }
    rc = conn_buffer_send(conn, skein_deadline_in(conn->face->options.send_timeout_ns));
    if (rc == 0)
        rc = send_file(conn, &file);
    replica_backup_close(conn->face->options.replica, &file);
    return rc;
}

int
kv_conn_send_snapshot(struct kv_conn *conn)
{
    struct kv_face *face = conn->face;
    if (face->group_count > 1) {
        kv_reply_errorf(conn_buffer_out(conn),
                        "ERR a snapshot holds one group, and this node has %u (--groups)",
                        face->group_count);
        return 0;
    }
    if (face->snapshot_count >= SNAPSHOTS_MAX) {
        kv_reply_errorf(conn_buffer_out(conn), "BUSY %u snapshots are being sent already",
                        SNAPSHOTS_MAX);
        return 0;
    }
    face->snapshot_count++;
    int rc = send_snapshot(conn);
    face->snapshot_count--;
    return rc;
}
