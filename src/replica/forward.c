/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node is the origin: commands handed to the leader, and what comes back.
 *
 * A command is handed on as an attempt with an id of its own, never used again. It may be handed on
 * once more only when the attempt before it is known to be without effect: NOT_LEADER, or SESSION
 * for an attempt that carried no token (the leader's process takes none of those). A read, and a
 * write in a session, may be handed on again whatever became of it.
 */
#include "base/mem.h"
#include "base/mutation.h"
#include "skein/shard.h"
#include "replica/state.h"
#include "skein/error.h"

static struct skein_list *
bucket(struct host *host, uint64_t attempt)
{
    return &host->forwards[attempt % REPLICA_FORWARD_BUCKETS];
}

static void
flush_peer(struct host *host, struct peer *peer)
{
    if (peer->forwards.count == 0)
        return;
    /* When the link refuses the message nothing has left: but it is kept simple, the attempts wait
     * as if it were lost, and reads are begun again by forward_lost. */
    if (inbox_send_writer(host, peer->node, &peer->forwards) < 0)
        peer->lost = true;
}

static enum envelope_request
kind_of(const struct request *request)
{
    if (request->kind == REPLICA_READ)
        return request->level == REPLICA_LEASE ? ENVELOPE_LEASE_READ : ENVELOPE_READ;
    return request->in_session ? ENVELOPE_SESSION_WRITE : ENVELOPE_WRITE;
}

bool
forward_request(struct replica *replica, struct request *request, uint32_t leader)
{
    struct host *host = replica->host;
    struct peer *peer = host_peer(host, leader);
    if (!peer || !host->link->ops->connected(host->link, leader))
        return false;
    uint64_t now_ns = skein_now_ns();
    struct envelope_forward item = {.group = replica->group,
                                    .id = ++host->next_attempt,
                                    .kind = kind_of(request),
                                    .command = request->command};
    if (request->deadline_ns == SKEIN_NEVER)
        item.left_ns = SKEIN_NEVER;
    else if (request->deadline_ns > now_ns)
        item.left_ns = request->deadline_ns - now_ns;
    else
        return true;
    if (peer->forwards.count > 0 &&
        peer->forwards.count + request->command.count > ENVELOPE_FORWARD_BYTES_MAX)
        flush_peer(host, peer);
    if (peer->forwards.count == 0)
        envelope_begin_items(&peer->forwards, ENVELOPE_FORWARD, host->session, peer->token);
    envelope_add_forward(&peer->forwards, &item);
    list_remove(&request->link);
    request->state = REQUEST_FORWARDED;
    request->attempt = item.id;
    request->target = leader;
    request->target_token = peer->token;
    list_push_back(&replica->forwarded, &request->link);
    list_push_back(bucket(host, item.id), &request->attempt_link);
    replica->counters.forwarded++;
    return true;
}

void
forward_flush(struct host *host)
{
    for (uint32_t i = 0; i < host->peer_count; i++)
        flush_peer(host, &host->peers[i]);
}

static struct request *
find(struct host *host, uint64_t attempt, uint32_t from)
{
    list_for_each (link, bucket(host, attempt)) {
        struct request *request = LIST_ENTRY(link, struct request, attempt_link);
        if (request->attempt == attempt)
            return request->target == from ? request : NULL;
    }
    return NULL;
}

static void
hand_on_again(struct request *request)
{
    request->refused_by = request->target;
    request->refused_until_ns = skein_deadline_in(request->replica->host->options.tick_ns / 2);
    request_requeue(request->replica, request);
}

static void
again_or(struct request *request, int write_status)
{
    request->doubtful |= request->in_session && write_status == -SKEIN_EUNKNOWN;
    if (request_repeatable(request) || mutation_on(MUTATION_FORWARD_RESENT))
        hand_on_again(request);
    else
        request_finish(request->replica, request, write_status, NULL, 0);
}

static void
take_reply(struct request *request, const struct envelope_reply *reply)
{
    struct replica *replica = request->replica;
    switch (reply->outcome) {
    case ENVELOPE_DONE:
        request_finish(replica, request, 0, reply->reply.data, reply->reply.count);
        return;
    case ENVELOPE_NOT_LEADER:
        hand_on_again(request);
        return;
    case ENVELOPE_LOST:
        again_or(request, -SKEIN_ENOLEADER);
        return;
    case ENVELOPE_UNKNOWN:
        again_or(request, -SKEIN_EUNKNOWN);
        return;
    case ENVELOPE_BUSY:
        request_finish(replica, request, -SKEIN_EBUSY, NULL, 0);
        return;
    case ENVELOPE_TOO_BIG:
        request_finish(replica, request, -SKEIN_ETOOBIG, NULL, 0);
        return;
    case ENVELOPE_NO_SESSION:
        request_finish(replica, request, -SKEIN_ESESSION, NULL, 0);
        return;
    case ENVELOPE_REPEATED:
        request_finish(replica, request, -SKEIN_EREPEATED, NULL, 0);
        return;
    case ENVELOPE_INVALID:
        request_finish(replica, request, -SKEIN_EINVALID, NULL, 0);
        return;
    case ENVELOPE_SESSION:
    case ENVELOPE_OUTCOME_END:
        return;
    }
}

/* An attempt that a former process of its target got, if any did: that answers no more. */
static void
give_up_attempt(struct request *request)
{
    if (request_repeatable(request))
        request_repeat(request->replica, request);
    else
        request_finish(request->replica, request, -SKEIN_EUNKNOWN, NULL, 0);
}

/*
 * The peer's process does not take @rejected and names @token instead (0: it does not know us,
 * begin anew). What was sent with no token has had no effect; what was sent with another went to a
 * former process. A late repeat of such an answer finds nothing that it applies to.
 */
static void
take_token(struct host *host, struct peer *peer, uint64_t rejected, uint64_t token)
{
    bool fits = peer->token == rejected;
    if (fits)
        peer->token = token;
    for (uint32_t i = 0; i < REPLICA_FORWARD_BUCKETS; i++)
        list_for_each_safe (link, &host->forwards[i]) {
            struct request *request = LIST_ENTRY(link, struct request, attempt_link);
            if (request->target != peer->node || request->target_token == token)
                continue;
            if (request->target_token == 0 && rejected == 0)
                request_requeue(request->replica, request);
            else if (request->target_token == rejected || (fits && request->target_token != 0))
                give_up_attempt(request);
        }
}

void
forward_on_reply(struct host *host, uint32_t from, struct bytes message)
{
    struct envelope_items items;
    struct envelope_reply reply;
    struct peer *peer = host_peer(host, from);
    int rc = envelope_open_items(&items, message);
    if (rc < 0)
        host->counters.undecodable_dropped++;
    if (rc < 0 || !peer || items.session != host->session)
        return;
    while ((rc = envelope_next_reply(&items, &reply)) == 0) {
        if (reply.outcome == ENVELOPE_SESSION) {
            take_token(host, peer, reply.id, items.token);
            continue;
        }
        struct request *request = find(host, reply.id, from);
        if (request)
            take_reply(request, &reply);
    }
    if (rc != -SKEIN_ENOTFOUND)
        host->counters.undecodable_dropped++;
}

static void
retry_reads(struct replica *replica, uint32_t leader, uint32_t lost)
{
    list_for_each_safe (link, &replica->forwarded) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        bool gone = lost ? request->target == lost : request->target != leader;
        if (gone && request_repeatable(request))
            request_repeat(replica, request);
    }
}

/*
 * Another leads, and has for an election timeout: whoever these writes were handed to has either
 * answered by now or answers no more, or so late that nobody should wait for it. An answer that
 * comes all the same finds no attempt with its id.
 */
void
forward_give_up(struct replica *replica, uint64_t now_ns)
{
    const struct replica_options *options = &replica->host->options;
    if (list_is_empty(&replica->forwarded))
        return;
    uint32_t leader = replica_raft_node(raft_leader(replica->raft));
    if (leader == 0 ||
        now_ns - replica->leader_since_ns < options->election_ticks * options->tick_ns)
        return;
    list_for_each_safe (link, &replica->forwarded) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->target == leader)
            continue;
        if (request_repeatable(request))
            request_repeat(replica, request);
        else if (mutation_on(MUTATION_FORWARD_RESENT))
            request_requeue(replica, request);
        else
            request_finish(replica, request, -SKEIN_EUNKNOWN, NULL, 0);
    }
}

void
forward_retry_reads(struct replica *replica, uint32_t leader)
{
    retry_reads(replica, leader, 0);
}

void
forward_lost(struct replica *replica, uint32_t node)
{
    retry_reads(replica, 0, node);
}

/*
 * Behind the next connection may be another process, which would refuse the token, and what carried
 * it would be of unknown outcome. What carries none is without effect, and is handed on again.
 */
void
forward_forget_token(struct host *host, struct peer *peer)
{
    flush_peer(host, peer);
    peer->token = 0;
}
