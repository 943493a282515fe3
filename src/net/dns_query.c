/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "net/dns_internal.h"
#include "skein/file.h"
#include "skein/net.h"

#define MESSAGE_BYTES_MAX 65535
#define UDP_ROOM_BYTES 4096
/* A flood of wrong answers is as good as none. */
#define LIES_MAX 1000

struct question {
    struct skein_dns *dns;
    const char *name;
    enum dns_type type;
    uint16_t id;
    uint8_t message[2 + DNS_QUERY_BYTES]; /* with TCP's length in front */
    size_t message_bytes;                 /* without it */
    const struct skein_addr *server;
    uint64_t deadline_ns; /* of this server's answer */
};

static int
recv_exactly(int handle, uint8_t *data, size_t count, uint64_t deadline_ns)
{
    size_t at = 0;
    while (at < count) {
        ssize_t n = skein_socket_recv(handle, data + at, count - at, deadline_ns);
        if (n <= 0)
            return n == 0 ? -SKEIN_EPROTO : (int)n;
        at += (size_t)n;
    }
    return 0;
}

static int
converse(struct question *q, int handle, uint8_t *data, struct dns_answer *out_answer)
{
    uint8_t head[2] = {0};
    q->message[0] = (uint8_t)(q->message_bytes >> 8);
    q->message[1] = (uint8_t)q->message_bytes;
    int rc = skein_socket_send(handle, q->message, 2 + q->message_bytes, q->deadline_ns);
    if (rc == 0)
        rc = recv_exactly(handle, head, sizeof(head), q->deadline_ns);
    if (rc < 0)
        return rc;
    size_t bytes = (size_t)head[0] << 8 | head[1];
    rc = recv_exactly(handle, data, bytes, q->deadline_ns);
    if (rc == 0)
        rc = dns_decode(data, bytes, q->name, q->type, q->id, out_answer);
    q->dns->stats.lie_count += rc == -SKEIN_EPROTO;
    return rc == -SKEIN_ETOOBIG ? -SKEIN_EPROTO : rc;
}

static int
ask_by_tcp(struct question *q, struct dns_answer *out_answer)
{
    struct skein_endpoint endpoint = {.addr = *q->server};
    q->dns->stats.tcp_count++;
    int handle = skein_net_connect(&endpoint, NULL, q->deadline_ns);
    if (handle < 0)
        return handle;
    q->dns->stats.message_count++;
    uint8_t *data = mem_alloc(MESSAGE_BYTES_MAX);
    int rc = converse(q, handle, data, out_answer);
    mem_free(data);
    skein_close(handle);
    return rc;
}

/* Answers until the true one. */
static int
await_answer(struct question *q, int handle, struct dns_answer *out_answer)
{
    uint8_t data[UDP_ROOM_BYTES];
    for (int lies = 0; lies < LIES_MAX; lies++) {
        struct iovec iov = {data, sizeof(data)};
        struct skein_datagram message = {.iov = &iov, .iov_count = 1};
        int rc = skein_datagram_recv(handle, &message, 1, q->deadline_ns);
        if (rc < 0)
            return rc;
        if (message.truncated)
            rc = dns_is_answer(data, sizeof(data), q->name, q->type, q->id) ? -SKEIN_ETOOBIG
                                                                            : -SKEIN_EPROTO;
        else
            rc = dns_decode(data, message.bytes, q->name, q->type, q->id, out_answer);
        if (rc != -SKEIN_EPROTO)
            return rc;
        q->dns->stats.lie_count++;
    }
    return -SKEIN_ETIMEDOUT;
}

/* A socket of its own for each try: its port is one more thing a liar has to guess. */
static int
ask_by_udp(struct question *q, struct dns_answer *out_answer)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct skein_endpoint server = {.addr = *q->server}, any = {.is_unix = false};
    if (memcmp(q->server->ip, v4_mapped, sizeof(v4_mapped)) == 0)
        memcpy(any.addr.ip, v4_mapped, sizeof(v4_mapped));
    int handle = skein_datagram_open(&any, &server, NULL);
    if (handle < 0)
        return handle;
    struct iovec iov = {q->message + 2, q->message_bytes};
    struct skein_datagram message = {.iov = &iov, .iov_count = 1};
    q->dns->stats.message_count++;
    int rc = skein_datagram_send(handle, &message, 1, q->deadline_ns);
    if (rc > 0)
        rc = await_answer(q, handle, out_answer);
    skein_close(handle);
    return rc;
}

static int
ask_one(struct question *q, struct dns_answer *out_answer)
{
    q->id = (uint16_t)skein_random();
    int bytes = dns_encode(q->name, q->type, q->id, q->message + 2);
    if (bytes < 0)
        return bytes;
    q->message_bytes = (size_t)bytes;
    int rc = ask_by_udp(q, out_answer);
    return rc == -SKEIN_ETOOBIG ? ask_by_tcp(q, out_answer) : rc;
}

/* Of several failures the one that says most: nonsense, refusal, silence. */
static int
weightier(int old, int new)
{
    if (new == -SKEIN_ETIMEDOUT)
        return old;
    if (new == -SKEIN_EPROTO || old == -SKEIN_EPROTO)
        return -SKEIN_EPROTO;
    return -SKEIN_EAGAIN;
}

int
dns_ask(struct skein_dns *dns, const char *name, enum dns_type type, struct dns_answer *out_answer,
        uint64_t deadline_ns)
{
    const struct dns_config *config = &dns->config;
    struct question q = {.dns = dns, .name = name, .type = type};
    int failure = config->server_count > 0 ? -SKEIN_ETIMEDOUT : -SKEIN_EAGAIN;
    uint64_t timeout_ns = config->timeout_ns;
    dns->stats.query_count++;
    for (uint32_t round = 0; round < config->attempt_count; round++) {
        for (uint32_t i = 0; i < config->server_count; i++) {
            uint64_t until_ns = skein_deadline_in(timeout_ns);
            q.server = &config->servers[i];
            q.deadline_ns = until_ns < deadline_ns ? until_ns : deadline_ns;
            int rc = ask_one(&q, out_answer);
            if (rc == 0 || rc == -SKEIN_ECANCELED || rc == -SKEIN_EINVALID || rc == -EMFILE)
                return rc;
            if (rc == -SKEIN_ETIMEDOUT && skein_now_ns() >= deadline_ns)
                return rc;
            dns->stats.timeout_count += rc == -SKEIN_ETIMEDOUT;
            failure = weightier(failure, rc);
        }
        timeout_ns = timeout_ns < UINT64_MAX / 2 ? 2 * timeout_ns : timeout_ns;
    }
    return failure;
}
