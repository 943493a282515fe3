/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "skein/shard.h"
#include "kv/local.h"
#include "net/addr.h"

#define SECOND_NS UINT64_C(1000000000)
/* More connections than this are not listed. */
#define LISTED_MAX 1000

/* Every field of Redis 7.0's line that clients parse, in its order. Nobody subscribes here, and
 * arguments are views into the query's buffer: sub, psub, ssub, argv-mem and oll are 0. */
static void
put_client(struct wire_writer *text, const struct kv_conn *conn, uint64_t now_ns)
{
    char peer[NET_ADDR_TEXT_BYTES], local[NET_ADDR_TEXT_BYTES];
    const struct kv_conn_multi *multi = &conn->multi;
    size_t out_bytes = conn_buffer_pending(conn);
    size_t held_bytes = conn->in_capacity + conn->out.capacity + multi->batch.capacity;
    net_addr_format(&conn->peer, peer);
    net_addr_format(&conn->face->addr, local);
    kv_local_printf(text,
                    "id=%" PRIu64 " addr=%s laddr=%s name=%s age=%" PRIu64 " idle=%" PRIu64
                    " flags=%c db=0 sub=0 psub=0 ssub=0",
                    conn->id, peer, local, conn->name, (now_ns - conn->opened_ns) / SECOND_NS,
                    (now_ns - conn->active_ns) / SECOND_NS, multi->open ? 'x' : 'N');
    kv_local_printf(text,
                    " multi=%" PRId64 " qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu obl=%zu"
                    " oll=0 omem=%zu tot-mem=%zu",
                    multi->open ? (int64_t)multi->count : -1, conn->in_end - conn->in_begin,
                    conn->in_capacity - conn->in_end, multi->batch.count, out_bytes,
                    conn->out.capacity, held_bytes);
    kv_local_printf(text,
                    " events=%s cmd=%s user=default redir=-1 resp=2 lib-name=%s lib-ver=%s"
                    " tot-cmds=%" PRIu64 "\n",
                    conn->receiving ? "r" : "", conn->last ? conn->last->name : "NULL",
                    conn->lib_name, conn->lib_version, conn->commands);
}

static void
client_list(struct kv_local *local, bool all)
{
    struct wire_writer text = {0};
    uint64_t now_ns = skein_now_ns();
    uint32_t left = LISTED_MAX;
    if (all) {
        list_for_each (link, &local->face->conns)
            if (left && left--)
                put_client(&text, LIST_ENTRY(link, struct kv_conn, link), now_ns);
    } else {
        put_client(&text, local->conn, now_ns);
    }
    kv_reply_bulk(local->out, text.data, text.count);
    wire_writer_deinit(&text);
}

static void
client_setname(struct kv_local *local, const struct kv_arg *name)
{
    if (!kv_local_name_ok(name)) {
        kv_reply_error(local->out, "ERR Client names cannot contain spaces, newlines or special "
                                   "characters.");
        return;
    }
    kv_local_set_name(local->conn->name, name);
    kv_reply_simple(local->out, "OK");
}

static void
client_setinfo(struct kv_local *local, const struct kv_arg *option, const struct kv_arg *value)
{
    bool is_name = kv_local_is(option, "lib-name");
    if (!is_name && !kv_local_is(option, "lib-ver")) {
        kv_reply_errorf(local->out, "ERR Unrecognized option '%.*s'",
                        option->count < 128 ? (int)option->count : 128, (const char *)option->data);
        return;
    }
    if (!kv_local_name_ok(value)) {
        kv_reply_errorf(local->out, "ERR %s cannot contain spaces, newlines or special characters.",
                        is_name ? "lib-name" : "lib-ver");
        return;
    }
    kv_local_set_name(is_name ? local->conn->lib_name : local->conn->lib_version, value);
    kv_reply_simple(local->out, "OK");
}

static const char *const help[] = {
    "CLIENT <subcommand> [<arg> ...]. Subcommands are:",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "LIST",
    "    Return information about client connections.",
    "SETINFO <option> <value>",
    "    Set client meta attributes: lib-name, lib-ver.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "HELP",
    "    Print this help.",
};

struct subcommand {
    const char *name;
    uint32_t argc;
};

/* The row of a subcommand, NULL when there is none. */
static const struct subcommand *
find_subcommand(const struct kv_arg *arg)
{
    static const struct subcommand rows[] = {{"getname", 2}, {"help", 2}, {"id", 2},
                                             {"info", 2},    {"list", 2}, {"setinfo", 4},
                                             {"setname", 3}};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
        if (kv_local_is(arg, rows[i].name))
            return &rows[i];
    return NULL;
}

void
kv_local_client(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    const struct subcommand *row = find_subcommand(&argv[1]);
    const char *name = local->conn->name;
    if (!row)
        kv_local_unknown_subcommand(local, &argv[1], "CLIENT");
    else if (row->argc != argc)
        kv_local_wrong_arity(local, "client", row->name);
    else if (strcmp(row->name, "id") == 0)
        kv_reply_integer(local->out, (int64_t)local->conn->id);
    else if (strcmp(row->name, "getname") == 0 && *name)
        kv_reply_bulk(local->out, name, strlen(name));
    else if (strcmp(row->name, "getname") == 0)
        kv_reply_null(local->out);
    else if (strcmp(row->name, "setname") == 0)
        client_setname(local, &argv[2]);
    else if (strcmp(row->name, "setinfo") == 0)
        client_setinfo(local, &argv[2], &argv[3]);
    else if (strcmp(row->name, "help") == 0)
        kv_local_help(local, help, BASE_COUNT_OF(help));
    else
        client_list(local, strcmp(row->name, "list") == 0);
}
