/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_CLIENT_H
#define KV_CLIENT_H

#include <stdint.h>

#include "skein/fiber.h"
#include "skein/socket.h"
#include "kv/batch.h"

/*
 * A RESP2 client for fibers: the command line, the drills and the simulator's clients use it.
 */

enum kv_reply_type {
    KV_REPLY_SIMPLE,
    KV_REPLY_ERROR,
    KV_REPLY_INTEGER,
    KV_REPLY_BULK,
    KV_REPLY_NULL,
    KV_REPLY_ARRAY
};

struct kv_reply {
    enum kv_reply_type type;
    int64_t integer;
    struct bytes text;         /* SIMPLE, ERROR (without the dash), BULK */
    struct kv_reply *elements; /* ARRAY */
    size_t element_count;
};
void kv_reply_deinit(struct kv_reply *reply);

struct kv_client;
/* kv_client_connect - **Returns** 0, -errno, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED. */
int kv_client_connect(struct kv_client **out_client, const struct skein_addr *addr,
                      uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* kv_client_connect_any - to the first of @count nodes, 1 to 32, that takes the connection; they
 * are tried 250 ms apart, so that a dead one costs no more (skein_dial_any). */
int kv_client_connect_any(struct kv_client **out_client, const struct skein_addr *addrs,
                          uint32_t count, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* kv_client_send - queue one command; nothing is sent before flush or receive. */
void kv_client_send(struct kv_client *client, const struct kv_arg *argv, uint32_t argc);
int kv_client_flush(struct kv_client *client, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* kv_client_receive - flush, then one reply. After any failure the connection is useless: close it.
 * **Returns** 0; -SKEIN_EEOF: the server closed; -SKEIN_EPROTO; -SKEIN_ETIMEDOUT; -errno. */
int kv_client_receive(struct kv_client *client, struct kv_reply *out_reply,
                      uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* kv_client_call - send, flush, receive; arguments are strings. */
int kv_client_call(struct kv_client *client, struct kv_reply *out_reply, uint64_t deadline_ns,
                   uint32_t argc, const char *const *argv) SKEIN_MUST_CHECK;
void kv_client_close(struct kv_client *client);

#endif
