/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node leads, or an origin believes so: commands that were handed to it.
 *
 * A token names a pair of processes, the origin's and this one. Only a message that carries it is
 * looked at, and of each id only the first copy, whatever this node's role is at that time: a late
 * repeat is never carried out, and never answered with "not applied" either.
 */
#include "base/mem.h"
#include "base/mutation.h"
#include "skein/shard.h"
#include "replica/state.h"
#include "skein/error.h"

static void
flush_peer(struct host *host, struct peer *peer)
{
    if (peer->replies.count > 0)
        inbox_send_writer(host, peer->node, &peer->replies);
}

static void
put_reply(struct host *host, struct peer *peer, uint64_t session, uint64_t token,
          const struct envelope_reply *reply)
{
    bool fits = peer->replies.count + reply->reply.count <= ENVELOPE_FORWARD_BYTES_MAX;
    if (peer->replies.count > 0 && (!fits || peer->replies_session != session))
        flush_peer(host, peer);
    if (peer->replies.count == 0)
        envelope_begin_items(&peer->replies, ENVELOPE_FORWARD_REPLY, session, token);
    peer->replies_session = session;
    envelope_add_reply(&peer->replies, reply->id, reply->outcome, reply->reply.data,
                       reply->reply.count);
}

static enum envelope_outcome
outcome_of(int status)
{
    switch (status) {
    case 0:
        return ENVELOPE_DONE;
    case -SKEIN_ENOTLEADER:
        return ENVELOPE_NOT_LEADER;
    case -SKEIN_EBUSY:
        return ENVELOPE_BUSY;
    case -SKEIN_EUNKNOWN:
        return ENVELOPE_UNKNOWN;
    case -SKEIN_ESESSION:
        return ENVELOPE_NO_SESSION;
    case -SKEIN_EREPEATED:
        return ENVELOPE_REPEATED;
    case -SKEIN_EINVALID:
        return ENVELOPE_INVALID;
    }
    return ENVELOPE_LOST;
}

void
forward_answer(struct host *host, struct request *request, int status, const void *reply,
               size_t reply_bytes)
{
    struct peer *peer = host_peer(host, request->origin);
    if (!peer)
        return; /* it was removed from the cluster since */
    struct envelope_reply item = {.id = request->origin_id, .outcome = outcome_of(status)};
    if (status == 0)
        item.reply = bytes_borrow(reply, reply_bytes);
    /* A node whose log failed says nothing: it does not know what the cluster will do. */
    if (status == -SKEIN_ELATCHED || status == -SKEIN_ECLOSED)
        return;
    if (reply_bytes > REPLICA_MESSAGE_BYTES_MAX - 4096)
        item = (struct envelope_reply){.id = request->origin_id,
                                       .outcome = request->kind == REPLICA_READ ? ENVELOPE_TOO_BIG
                                                                                : ENVELOPE_UNKNOWN};
    put_reply(host, peer, request->origin_session, request->origin_token, &item);
    driver_signal(host);
}

void
forward_flush_replies(struct host *host)
{
    for (uint32_t i = 0; i < host->peer_count; i++)
        flush_peer(host, &host->peers[i]);
}

static struct session *
find_session(struct peer *peer, uint64_t id)
{
    for (uint32_t i = 0; i < REPLICA_SESSIONS; i++)
        if (peer->sessions[i].session == id)
            return &peer->sessions[i];
    return NULL;
}

static struct session *
begin_session(struct peer *peer, uint64_t id)
{
    struct session *oldest = &peer->sessions[0];
    for (uint32_t i = 1; i < REPLICA_SESSIONS; i++)
        if (peer->sessions[i].used_ns < oldest->used_ns)
            oldest = &peer->sessions[i];
    if (!oldest->window)
        oldest->window = mem_alloc(sizeof *oldest->window);
    *oldest->window = (struct window){0};
    oldest->session = id;
    oldest->token = skein_random() | 1;
    oldest->used_ns = skein_now_ns();
    return oldest;
}

static void
say_token(struct host *host, struct peer *peer, uint64_t session, uint64_t rejected, uint64_t token)
{
    struct envelope_reply item = {.id = rejected, .outcome = ENVELOPE_SESSION};
    flush_peer(host, peer);
    put_reply(host, peer, session, token, &item);
    flush_peer(host, peer);
}

static void
take_request(struct replica *replica, struct peer *peer, const struct envelope_items *items,
             const struct envelope_forward *item)
{
    struct host *host = replica->host;
    struct request *request = mem_zalloc(sizeof *request);
    uint64_t now_ns = skein_now_ns();
    bool is_read = item->kind == ENVELOPE_READ || item->kind == ENVELOPE_LEASE_READ;
    *request = (struct request){
        .replica = replica,
        .state = REQUEST_QUEUED,
        .kind = is_read ? REPLICA_READ : REPLICA_WRITE,
        .level = item->kind == ENVELOPE_LEASE_READ ? REPLICA_LEASE : REPLICA_LINEARIZABLE,
        .in_session = item->kind == ENVELOPE_SESSION_WRITE,
        .command = bytes_ref(item->command),
        .deadline_ns = item->left_ns > SKEIN_NEVER - now_ns ? SKEIN_NEVER : now_ns + item->left_ns,
        .origin = peer->node,
        .origin_session = items->session,
        .origin_token = items->token,
        .origin_id = item->id};
    skein_waitq_init(&request->done);
    list_push_back(&replica->queue, &request->link);
    list_push_back(&replica->remotes, &request->remote_link);
    host->pending_bytes += item->command.count + REPLICA_REQUEST_BYTES;
    if (item->command.count > host->options.command_bytes_max ||
        host->pending_bytes > host->options.pending_bytes_max)
        request_finish(replica, request, -SKEIN_EBUSY, NULL, 0);
    else if (!replica_is_leader(replica) || host->stopping)
        request_finish(replica, request, -SKEIN_ENOTLEADER, NULL, 0);
    else
        replica_signal(replica);
}

void
forward_on_request(struct host *host, uint32_t from, struct bytes message)
{
    struct envelope_items items;
    struct envelope_forward item;
    struct peer *peer = host_peer(host, from);
    int rc = envelope_open_items(&items, message);
    if (rc < 0)
        host->counters.undecodable_dropped++;
    if (rc < 0 || !peer)
        return;
    struct session *session = find_session(peer, items.session);
    /* Also for a token of another process of this node: its session would never begin otherwise.
     * What carries that token is refused all the same. */
    if (!session)
        session = begin_session(peer, items.session);
    if (session->token != items.token) {
        say_token(host, peer, items.session, items.token, session->token);
        return;
    }
    session->used_ns = skein_now_ns();
    while ((rc = envelope_next_forward(&items, &item)) == 0) {
        struct replica *replica = host_group(host, item.group);
        bool first = window_take(session->window, item.id);
        if (!replica)
            break;
        if (first || mutation_on(MUTATION_DEDUPE_FORGOTTEN))
            take_request(replica, peer, &items, &item);
    }
    if (rc != -SKEIN_ENOTFOUND)
        host->counters.undecodable_dropped++;
}
