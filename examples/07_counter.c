/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replicated counter: one machine, three processes, any of them answers.
 *   07_counter 1 1=127.0.0.1:7101,2=127.0.0.1:7102,3=127.0.0.1:7103 /tmp/c1 7201 & # and 2, 3
 *   printf 'add 5\nget\n' | nc -q 1 127.0.0.1 7202
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skein/core.h"
#include "skein/replica.h"
#include "skein/runtime.h"

#define SECOND_NS UINT64_C(1000000000)

static int
counter_open(void **out_machine, void *config)
{
    *out_machine = calloc(1, sizeof(int64_t));
    return *out_machine ? 0 : -SKEIN_ENOMEM;
}

static void
counter_query(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    char text[32];
    int count = snprintf(text, sizeof text, "%lld", (long long)*(int64_t *)machine);
    skein_reply_put(reply, text, (size_t)count);
}

static void
counter_apply(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    int64_t amount;
    if (command->count != sizeof amount)
        return; /* no command of ours */
    memcpy(&amount, command->data, sizeof amount);
    *(uint64_t *)machine += (uint64_t)amount;
    counter_query(machine, command, reply);
}

static int
counter_save(void *machine, struct skein_sink *sink)
{
    return skein_sink_put(sink, machine, sizeof(int64_t));
}

static int
counter_load(void *machine, struct skein_source *source)
{
    return skein_source_get(source, machine, sizeof(int64_t));
}

static const struct skein_machine_ops counter_ops = {
    "counter", counter_open, counter_apply, counter_query, counter_save, counter_load, free};

/* ---- a line in, a line out ---- */
static struct skein_replica *replica;

static void
serve_client(void *arg)
{
    int handle = (int)(intptr_t)arg;
    char line[128], reply[128], *end;
    size_t have = 0;
    ssize_t n, rc = 0;
    while (rc >= 0 &&
           (n = skein_socket_recv(handle, line + have, sizeof line - have, SKEIN_NEVER)) > 0) {
        for (have += (size_t)n; (end = memchr(line, '\n', have)) != NULL;) {
            uint64_t by_ns = skein_deadline_in(5 * SECOND_NS);
            int64_t amount = have > 4 && memcmp(line, "add ", 4) == 0 ? atoll(line + 4) : 0;
            rc = amount ? skein_replica_write(replica, &amount, sizeof amount, reply, 100, by_ns)
                        : skein_replica_read(replica, "", 0, reply, 100, by_ns);
            if (rc < 0)
                rc = snprintf(reply, 100, "error: %s", skein_error_text((int)rc));
            reply[rc++] = '\n';
            rc = skein_socket_send(handle, reply, (size_t)rc, by_ns);
            have -= (size_t)(end + 1 - line);
            memmove(line, end + 1, have);
        }
    }
    skein_close(handle);
}

static int
node_main(void *arg)
{
    char **argv = arg, why[SKEIN_REPLICA_WHY_BYTES];
    struct skein_replica_options options = {.cluster_name = "counter",
                                            .machine = &counter_ops,
                                            .node = (uint32_t)atoi(argv[1]),
                                            .peers = argv[2],
                                            .data_dir = argv[3]};
    struct skein_addr addr = {.ip = {[10] = 255, 255, 127, 0, 0, 1},
                              .port = (uint16_t)atoi(argv[4])};
    struct skein_scope clients;
    if (skein_replica_open(&replica, &options, why) < 0)
        return fprintf(stderr, "07_counter: %s\n", why), 1;
    int listener = skein_socket_listen(&addr, 64), handle = listener;
    skein_scope_init(&clients);
    while (handle >= 0 && (handle = skein_socket_accept(listener, &addr, SKEIN_NEVER)) >= 0)
        if (skein_spawn(&clients, "client", serve_client, (void *)(intptr_t)handle,
                        SKEIN_STACK_SMALL) < 0)
            skein_close(handle);
    skein_replica_stop(replica, skein_deadline_in(SECOND_NS));
    return fprintf(stderr, "07_counter: port %s: %s\n", argv[4], skein_error_text(handle)), 1;
}

int
main(int argc, char **argv)
{
    struct skein_runtime_options options = {.shard_count = 1};
    char why[SKEIN_WHY_BYTES] = "usage: 07_counter NODE PEERS DATA_DIR PORT";
    int result = 64;
    if (argc != 5 || skein_runtime_run(&options, node_main, argv, &result, why) < 0)
        fprintf(stderr, "07_counter: %s\n", why);
    return result;
}
