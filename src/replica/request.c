/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: how they come in, wait and are answered. */
#include "base/mem.h"
#include "skein/shard.h"
#include "replica/state.h"
#include "skein/error.h"

static uint64_t
cost(const struct request *request)
{
    return request->command.count + REPLICA_REQUEST_BYTES;
}

static void
unlink_request(struct replica *replica, struct request *request)
{
    if (request->state == REQUEST_FORWARDED)
        list_remove(&request->attempt_link);
    list_remove(&request->link);
}

static void
leave(struct replica *replica, struct request *request)
{
    unlink_request(replica, request);
    request->state = REQUEST_DONE;
    skein_assert(replica->host->pending_bytes >= cost(request));
    replica->host->pending_bytes -= cost(request);
    bytes_unref(&request->command);
}

void
request_finish(struct replica *replica, struct request *request, int status, const void *reply,
               size_t reply_bytes)
{
    skein_assert(request->state != REQUEST_DONE);
    /* That the last attempt was not carried out says nothing of the ones before: also when it was
     * not because the session has expired meanwhile. */
    if (status < 0 && status != -SKEIN_EREPEATED && request->doubtful)
        status = -SKEIN_EUNKNOWN;
    leave(replica, request);
    if (request->origin != 0) {
        forward_answer(replica->host, request, status, reply, reply_bytes);
        list_remove(&request->remote_link);
        mem_free(request);
        return;
    }
    request->status = status;
    if (status == 0)
        request->reply = bytes_copy(reply, reply_bytes);
    skein_wake_all(&request->done);
}

void
request_requeue(struct replica *replica, struct request *request)
{
    unlink_request(replica, request);
    request->state = REQUEST_QUEUED;
    request->target = 0;
    list_push_back(&replica->queue, &request->link);
    replica_signal(replica);
}

void
request_repeat(struct replica *replica, struct request *request)
{
    skein_assert(request_repeatable(request) && request->origin == 0);
    request->doubtful = request->in_session;
    request_requeue(replica, request);
}

static int
latest_status(const struct request *request, int queued_status)
{
    bool handed = request->state == REQUEST_PROPOSED || request->state == REQUEST_FORWARDED;
    handed = handed || request->doubtful;
    if (request->level == REPLICA_STALE && queued_status == -SKEIN_ENOLEADER)
        return -SKEIN_ESTALE;
    return request->kind == REPLICA_WRITE && handed ? -SKEIN_EUNKNOWN : queued_status;
}

static void
finish_list(struct replica *replica, struct skein_list *head, int queued_status)
{
    while (!list_is_empty(head)) {
        struct request *request = LIST_ENTRY(head->next, struct request, link);
        request_finish(replica, request, latest_status(request, queued_status), NULL, 0);
    }
}

void
request_finish_all(struct replica *replica, int queued_status)
{
    finish_list(replica, &replica->queue, queued_status);
    finish_list(replica, &replica->forwarded, queued_status);
    while (!list_is_empty(&replica->proposals)) {
        struct proposal *proposal = LIST_ENTRY(replica->proposals.next, struct proposal, link);
        finish_list(replica, &proposal->requests, queued_status);
        list_remove(&proposal->link);
        mem_free(proposal);
    }
    while (!list_is_empty(&replica->reads)) {
        struct read_batch *batch = LIST_ENTRY(replica->reads.next, struct read_batch, link);
        finish_list(replica, &batch->requests, queued_status);
        list_remove(&batch->link);
        mem_free(batch);
    }
}

void
request_expire(struct replica *replica, uint64_t now_ns)
{
    list_for_each_safe (link, &replica->remotes) {
        struct request *request = LIST_ENTRY(link, struct request, remote_link);
        if (request->deadline_ns <= now_ns)
            request_finish(replica, request, latest_status(request, -SKEIN_ENOLEADER), NULL, 0);
    }
}

/* The submitter gives up: at its deadline or because it was cancelled. */
static int
abandon(struct replica *replica, struct request *request, int why)
{
    int status =
        why == -SKEIN_ECANCELED ? -SKEIN_ECANCELED : latest_status(request, -SKEIN_ENOLEADER);
    leave(replica, request);
    return status;
}

static int
admit(struct replica *replica, struct bytes command)
{
    if (replica->host->failure < 0)
        return -SKEIN_ELATCHED;
    if (replica->host->stopping)
        return -SKEIN_ECLOSED;
    if (command.count > replica->host->options.command_bytes_max)
        return -SKEIN_ETOOBIG;
    if (replica->host->pending_bytes + command.count + REPLICA_REQUEST_BYTES >
        replica->host->options.pending_bytes_max)
        return -SKEIN_EBUSY;
    return 0;
}

/* @request: kind, command and deadline are set; the command's reference goes. 0: it is queued. */
static int
begin(struct replica *replica, struct request *request)
{
    struct host *host = replica->host;
    skein_assert(host->magic == REPLICA_MAGIC);
    int rc = admit(replica, request->command);
    if (rc < 0) {
        bytes_unref(&request->command);
        return rc;
    }
    request->replica = replica;
    request->state = REQUEST_QUEUED;
    skein_waitq_init(&request->done);
    list_push_back(&replica->queue, &request->link);
    host->pending_bytes += cost(request);
    host->local_count++;
    if (request->kind == REPLICA_WRITE)
        replica->counters.proposals++;
    else
        replica->counters.reads++;
    replica_signal(replica);
    return 0;
}

/* What became of @request, which begin has queued. @rc: 0, or why it is not waited for. */
static int
await(struct request *request, int rc, struct bytes *out_reply)
{
    struct host *host = request->replica->host;
    while (request->state != REQUEST_DONE && rc == 0)
        rc = skein_wait(&request->done, request->deadline_ns);
    int status =
        request->state == REQUEST_DONE ? request->status : abandon(request->replica, request, rc);
    if (--host->local_count == 0)
        skein_wake_all(&host->idle_wake);
    if (status == 0)
        *out_reply = request->reply;
    return status;
}

static int
carry_out(struct replica *replica, struct request *request, struct bytes *out_reply)
{
    int rc = begin(replica, request);
    return rc < 0 ? rc : await(request, 0, out_reply);
}

int
replica_submit(struct replica *replica, enum replica_kind kind, struct bytes command,
               uint64_t deadline_ns, struct bytes *out_reply)
{
    struct request request = {
        .kind = kind, .command = bytes_ref(command), .deadline_ns = deadline_ns};
    return carry_out(replica, &request, out_reply);
}

int
replica_read(struct replica *replica, enum replica_level level, uint64_t stale_ns,
             struct bytes command, uint64_t deadline_ns, struct bytes *out_reply)
{
    if (level == REPLICA_LEASE && !replica->host->options.lease_drift_ppm)
        return -SKEIN_EREFUSED;
    struct request request = {.kind = REPLICA_READ,
                              .level = level,
                              .stale_ns = stale_ns,
                              .command = bytes_ref(command),
                              .deadline_ns = deadline_ns};
    return carry_out(replica, &request, out_reply);
}

static int
carry_out_in_session(struct replica *replica, uint64_t session, uint64_t sequence,
                     struct bytes command, uint64_t deadline_ns, struct bytes *out_reply)
{
    struct request request = {.kind = REPLICA_WRITE,
                              .in_session = true,
                              .command =
                                  sessions_encode(session, sequence, command.data, command.count),
                              .deadline_ns = deadline_ns};
    return carry_out(replica, &request, out_reply);
}

int
replica_submit_once(struct replica *replica, uint64_t session, uint64_t sequence,
                    struct bytes command, uint64_t deadline_ns, struct bytes *out_reply)
{
    if (session == 0 || sequence == SESSIONS_OPEN || sequence == SESSIONS_CLOSE)
        return -SKEIN_EINVALID;
    return carry_out_in_session(replica, session, sequence, command, deadline_ns, out_reply);
}

static struct request
request_of(const struct replica_call *call, uint64_t deadline_ns)
{
    return (struct request){
        .kind = call->kind,
        .level = call->level,
        .stale_ns = call->stale_ns,
        .in_session = call->session != 0,
        .command = call->session == 0 ? bytes_ref(call->command)
                                      : sessions_encode(call->session, call->sequence,
                                                        call->command.data, call->command.count),
        .deadline_ns = deadline_ns};
}

/* Without looking at what a call's sequence means. */
static void
carry_out_all(struct replica_call *calls, uint32_t count, uint64_t deadline_ns)
{
    struct request *requests = mem_alloc(count * sizeof(*requests));
    int rc = 0;
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = request_of(&calls[i], deadline_ns);
        calls[i].status = begin(calls[i].replica, &requests[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (calls[i].status < 0)
            continue;
        calls[i].status = await(&requests[i], rc, &calls[i].reply);
        /* A cancellation is said once, and is for all of them. */
        if (calls[i].status == -SKEIN_ECANCELED)
            rc = -SKEIN_ECANCELED;
    }
    mem_free(requests);
}

void
replica_submit_all(struct replica_call *calls, uint32_t count, uint64_t deadline_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        skein_assert(calls[i].kind == REPLICA_READ || calls[i].level == REPLICA_LINEARIZABLE);
        skein_assert(calls[i].session == 0 || calls[i].kind == REPLICA_WRITE);
        skein_assert(calls[i].session == 0 ||
                     (calls[i].sequence != SESSIONS_OPEN && calls[i].sequence != SESSIONS_CLOSE));
        skein_assert(calls[i].level != REPLICA_LEASE || replica_has_leases(calls[i].replica));
    }
    carry_out_all(calls, count, deadline_ns);
}

/* Opens or closes @session in every group. The first failure. */
static int
in_all_groups(struct replica *any, uint64_t session, uint64_t sequence, struct bytes command,
              uint64_t deadline_ns)
{
    struct host *host = any->host;
    struct replica_call *calls = mem_zalloc(host->group_count * sizeof(*calls));
    int rc = 0;
    for (uint32_t i = 0; i < host->group_count; i++)
        calls[i] = (struct replica_call){.replica = host->groups[i],
                                         .kind = REPLICA_WRITE,
                                         .session = session,
                                         .sequence = sequence,
                                         .command = command};
    carry_out_all(calls, host->group_count, deadline_ns);
    for (uint32_t i = 0; i < host->group_count; i++) {
        bytes_unref(&calls[i].reply);
        rc = rc < 0 ? rc : calls[i].status;
    }
    mem_free(calls);
    return rc;
}

static uint64_t
draw_session(void)
{
    uint64_t session = 0;
    while (session == 0)
        skein_entropy(&session, sizeof session);
    return session;
}

int
replica_session_open_all(struct replica *any, uint64_t ttl_ms, uint64_t deadline_ns,
                         uint64_t *out_session)
{
    uint8_t ttl[8];
    uint64_t session = draw_session();
    if (ttl_ms < SESSIONS_TTL_MS_MIN || ttl_ms > SESSIONS_TTL_MS_MAX)
        return -SKEIN_EINVALID;
    wire_store(ttl, ttl_ms, 8);
    int rc = in_all_groups(any, session, SESSIONS_OPEN, bytes_borrow(ttl, 8), deadline_ns);
    if (rc == 0)
        *out_session = session;
    return rc;
}

int
replica_session_close_all(struct replica *any, uint64_t session, uint64_t deadline_ns)
{
    return session == 0
               ? -SKEIN_EINVALID
               : in_all_groups(any, session, SESSIONS_CLOSE, (struct bytes){0}, deadline_ns);
}

int
replica_session_open(struct replica *replica, uint64_t ttl_ms, uint64_t deadline_ns,
                     uint64_t *out_session)
{
    uint8_t ttl[8];
    uint64_t session = draw_session();
    struct bytes reply = {0};
    if (ttl_ms < SESSIONS_TTL_MS_MIN || ttl_ms > SESSIONS_TTL_MS_MAX)
        return -SKEIN_EINVALID;
    wire_store(ttl, ttl_ms, 8);
    int rc = carry_out_in_session(replica, session, SESSIONS_OPEN, bytes_borrow(ttl, 8),
                                  deadline_ns, &reply);
    bytes_unref(&reply);
    if (rc == 0)
        *out_session = session;
    return rc;
}

int
replica_session_close(struct replica *replica, uint64_t session, uint64_t deadline_ns)
{
    struct bytes reply = {0};
    if (session == 0)
        return -SKEIN_EINVALID;
    int rc = carry_out_in_session(replica, session, SESSIONS_CLOSE, (struct bytes){0}, deadline_ns,
                                  &reply);
    bytes_unref(&reply);
    return rc;
}
