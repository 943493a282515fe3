/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever takes memory whose size comes from outside, one after the other: each says that there is
 * none, frees what it had, and the next one works. And a listener on several shards, where a
 * connection that cannot be served is closed, wherever it was accepted.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/wire.h"
#include "inject/inject.h"
#include "kv/client.h"
#include "kv/resp_reply.h"
#include "raft/codec.h"
#include "skein/core.h"
#include "skein/dns.h"
#include "skein/file_map.h"
#include "skein/listener.h"
#include "skein/metrics.h"
#include "store/table_stream.h"

#define SHARDS 3
#define CLIENTS 24
#define SECOND_NS 1000000000ull

static const struct skein_endpoint loopback = {
    .addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
};

static uint64_t
soon(void)
{
    return skein_deadline_in(20 * SECOND_NS);
}

static int
channels(void)
{
    struct skein_channel channel;
    int item = 7;
    int rc = skein_channel_init(&channel, sizeof(item), 4);
    if (rc < 0)
        return rc;
    rc = skein_channel_try_send(&channel, &item);
    skein_channel_deinit(&channel);
    return rc;
}

static int
heaps(void)
{
    void *small = skein_alloc(100), *medium = skein_alloc(100000), *large = skein_alloc(3 << 20);
    int rc = small && medium && large ? 0 : -ENOMEM;
    skein_free(small);
    skein_free(medium);
    skein_free(large);
    return rc;
}

static int
chains(void)
{
    struct skein_chain chain, front;
    int rc = 0;
    skein_chain_init(&chain, 0);
    skein_chain_init(&front, 0);
    for (int i = 0; i < 40 && rc == 0; i++) {
        struct skein_bytes bytes = {0};
        rc = skein_bytes_copy("skein", 5, &bytes);
        if (rc == 0)
            rc = skein_chain_push(&chain, bytes);
        if (rc < 0)
            skein_bytes_unref(&bytes);
    }
    if (rc == 0)
        rc = skein_chain_split(&chain, 33, &front);
    if (rc == 0 && (front.bytes != 33 || chain.bytes != 200 - 33))
        rc = -SKEIN_EPROTO;
    skein_chain_deinit(&front);
    skein_chain_deinit(&chain);
    return rc;
}

static int
maps(int file)
{
    struct skein_map *map;
    int rc = skein_map_open(&map, file, 0, 4096, SKEIN_FILE_RDWR);
    if (rc < 0)
        return rc;
    rc = skein_map_write(map, 0, "mapped", 6);
    if (rc == 0)
        rc = skein_map_flush(map, 0, 4096);
    skein_map_close(map);
    return rc;
}

/* A file through a socket, to nobody who reads: it fits the socket's buffer. */
static int
files_sent(int file)
{
    struct skein_endpoint at;
    int client = -1, server = -1, listener = skein_net_listen(&loopback, NULL);
    int rc = listener < 0 ? listener : skein_net_local(listener, &at);
    if (rc == 0)
        rc = client = skein_net_connect(&at, NULL, soon());
    if (rc >= 0)
        rc = server = skein_socket_accept(listener, NULL, soon());
    if (rc >= 0)
        rc = skein_file_send(client, file, 0, 4096, soon());
    if (client >= 0)
        skein_close(client);
    if (server >= 0)
        skein_close(server);
    if (listener >= 0)
        skein_close(listener);
    return rc;
}

static int
with_file(int (*use)(int file))
{
    char block[4096] = "a block";
    int file = skein_file_open("/case/memory", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    if (file < 0)
        return file;
    int rc = skein_file_pwrite(file, block, sizeof(block), 0, 0);
    if (rc == 0)
        rc = use(file);
    skein_close(file);
    return rc;
}

static int
hosts(void)
{
    static const char text[] = "10.0.0.9 there\n";
    struct skein_dns_options options = SKEIN_DNS_OPTIONS_INIT;
    struct skein_dns_addresses addresses;
    struct skein_dns *dns;
    int file = skein_file_open("/case/hosts", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    int rc = file < 0 ? file : skein_file_pwrite(file, text, sizeof(text) - 1, 0, 0);
    if (file >= 0)
        skein_close(file);
    options.resolv_conf_path = NULL;
    options.hosts_path = "/case/hosts";
    if (rc < 0)
        return rc;
    rc = skein_dns_open(&dns, &options);
    if (rc < 0)
        return rc;
    rc = skein_dns_lookup(dns, "there", SKEIN_DNS_V4, &addresses, soon());
    skein_dns_close(dns);
    return rc;
}

static int
histograms(void)
{
    static const struct skein_histogram_options options = {1, 1000000, 2};
    struct skein_histogram *histogram;
    struct skein_summary *summary;
    int rc = skein_histogram_open(&histogram, &options);
    if (rc < 0)
        return rc;
    rc = skein_summary_open(&summary, &options, SECOND_NS);
    if (rc == 0)
        skein_summary_close(summary);
    skein_histogram_close(histogram);
    return rc;
}

/* ---- what is decoded ---- */

static int
messages(void)
{
    struct raft_entry entry = {.type = RAFT_ENTRY_NORMAL, .term = 1, .index = 1};
    struct raft_message message = {.type = RAFT_APPEND, .from = 1, .to = 2, .term = 1};
    struct raft_message decoded = {0};
    struct wire_writer bytes = {0};
    message.entries = &entry;
    message.entry_count = 1;
    raft_encode_message(&bytes, &message);
    struct bytes frame = bytes_copy(bytes.data, bytes.count);
    int rc = raft_decode_message(frame, &decoded);
    raft_message_deinit(&decoded);
    bytes_unref(&frame);
    wire_writer_deinit(&bytes);
    return rc;
}

static int
replies(void)
{
    static const char text[] = "*3\r\n:1\r\n$3\r\nabc\r\n*2\r\n+a\r\n+b\r\n";
    struct kv_reply reply = {0};
    int rc = kv_reply_build((const uint8_t *)text, sizeof(text) - 1, &reply);
    kv_reply_deinit(&reply);
    return rc;
}

struct tape {
    struct wire_writer bytes;
    size_t at;
};

static int
tape_write(void *context, const void *data, size_t count)
{
    struct tape *tape = context;
    wire_put_raw(&tape->bytes, data, count);
    return 0;
}

static int
tape_read(void *context, void *data, size_t count)
{
    struct tape *tape = context;
    if (tape->bytes.count - tape->at < count)
        return -SKEIN_EEOF;
    memcpy(data, tape->bytes.data + tape->at, count);
    tape->at += count;
    return 0;
}

static int
tables(void)
{
    static const struct table_stream_limits limits = {100, 1000};
    struct store_table *from, *to;
    struct tape tape = {0};
    int rc = store_memtable_open(&from);
    skein_assert(rc == 0);
    rc = store_memtable_open(&to);
    skein_assert(rc == 0);
    struct bytes value = bytes_copy("value", 5);
    rc = from->ops->put(from, "key", 3, value);
    bytes_unref(&value);
    if (rc == 0) {
        struct store_snapshot *snapshot = from->ops->snapshot_take(from);
        rc = table_stream_save(from, snapshot, tape_write, &tape);
        from->ops->snapshot_release(snapshot);
    }
    if (rc == 0)
        rc = table_stream_load(to, &limits, tape_read, NULL, &tape);
    wire_writer_deinit(&tape.bytes);
    to->ops->close(to);
    from->ops->close(from);
    return rc;
}

static int
mapped(void)
{
    return with_file(maps);
}

static int
sent(void)
{
    return with_file(files_sent);
}

static int
memory_main(void *arg)
{
    static int (*const steps[])(void) = {channels, heaps,      chains,   mapped,  sent,
                                         hosts,    histograms, messages, replies, tables};
    int failure = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        int rc = steps[i]();
        failure = failure || rc >= 0 ? failure : rc;
    }
    return failure;
}

const struct inject_case inject_memory_case = {"memory", memory_main, NULL, true};

/* ---- a listener ---- */

static void
serve_byte(void *arg, int handle, const struct skein_addr *peer)
{
    char byte;
    if (skein_socket_recv(handle, &byte, 1, SKEIN_NEVER) == 1)
        (void)!skein_socket_send(handle, &byte, 1, SKEIN_NEVER);
}

static int
say_byte(const struct skein_endpoint *at)
{
    char byte = 'b';
    int handle = skein_net_connect(at, NULL, soon());
    if (handle < 0)
        return handle;
    int rc = skein_socket_send(handle, &byte, 1, soon());
    if (rc == 0) {
        ssize_t n = skein_socket_recv(handle, &byte, 1, soon());
        rc = n == 1 ? 0 : n < 0 ? (int)n : -SKEIN_EEOF;
    }
    skein_close(handle);
    return rc;
}

/* Connections that stay while others come, so that some are handed over. */
static int
listener_main(void *arg)
{
    struct skein_listener_options options = {.endpoint = loopback, .serve = serve_byte};
    struct skein_endpoint at = loopback;
    struct skein_listener *listener;
    int handles[CLIENTS];
    int failure = 0;
    int rc = skein_listener_start(&listener, &options);
    if (rc < 0)
        return rc;
    at.addr.port = skein_listener_port(listener);
    for (int i = 0; i < CLIENTS; i++) {
        handles[i] = skein_net_connect(&at, NULL, soon());
        rc = handles[i] < 0 ? handles[i] : say_byte(&at);
        failure = failure ? failure : rc;
    }
    for (int i = 0; i < CLIENTS; i++)
        if (handles[i] >= 0)
            skein_close(handles[i]);
    skein_listener_stop(listener);
    return failure;
}

const struct inject_case inject_listener_case = {
    .name = "listener", .main_fn = listener_main, .robust = true, .shard_count = SHARDS};
