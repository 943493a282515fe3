/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "core/mailbox_board.h"
#include "skein/file.h"
#include "skein/listener.h"
#include "skein/metrics.h"
#include "skein/service.h"
#include "skein/shard.h"

#define OPTION_COUNT_MAX 15
#define BACKLOG_DEFAULT 128
#define LIVE_COUNT_DEFAULT 10000

struct skein_listener {
    struct skein_service *service;
    struct skein_listener_options options; /* the port filled in by the first shard */
    struct skein_socket_option socket_options[OPTION_COUNT_MAX + 1];
    unsigned count;
    bool claimed;            /* the port, by the first shard */
    struct board_cell *live; /* connections each shard serves */
    /* How many each shard has handed to each other one, a row for each giver. */
    uint64_t *given;
    unsigned given_stride;
};

/* One shard's part. */
struct front {
    struct skein_listener *listener;
    struct skein_acceptor acceptor;
    struct skein_scope accepting;
    struct skein_scope *serving;
    struct skein_listener_stats stats;
    struct skein_list unserved; /* struct gift: nobody could serve it */
    struct skein_waitq changed;
    uint32_t gift_count;   /* on their way or on the way back */
    uint32_t *gifts_going; /* of these, by shard */
    uint64_t *gifts_come;  /* since the start, by the shard they came from */
    uint64_t *loads;
};

static const struct skein_metric rows[] = {
    {"skein_listener_connections", "Connections being served.", SKEIN_GAUGE,
     SKEIN_FIELD(struct front, stats.live_count)},
    {"skein_listener_accepted_total", "Connections accepted.", SKEIN_COUNTER,
     SKEIN_FIELD(struct front, stats.accepted_count)},
    {"skein_listener_given_total", "Of these, handed to another shard.", SKEIN_COUNTER,
     SKEIN_FIELD(struct front, stats.given_count)},
    {"skein_listener_served_total", "Connections served, wherever they were accepted.",
     SKEIN_COUNTER, SKEIN_FIELD(struct front, stats.served_count)},
    {"skein_listener_refused_total", "Connections closed unserved: no fiber, or no memory.",
     SKEIN_COUNTER, SKEIN_FIELD(struct front, stats.refused_count)},
    {"skein_listener_pauses_total", "Times there was no descriptor or memory to accept with.",
     SKEIN_COUNTER, SKEIN_FIELD(struct front, acceptor.pause_count)},
};

struct connection {
    struct front *front;
    int handle;
    struct skein_addr peer;
};

/* A connection that is handed over. Made and freed on the shard that accepted it. */
struct gift {
    struct skein_message message;
    struct skein_list link;
    struct front *from;
    unsigned from_shard;
    unsigned to;
    int handle;
    struct skein_addr peer;
    bool refused; /* written there */
};

unsigned
listener_choose(const uint64_t *loads, unsigned count, unsigned self)
{
    unsigned emptiest = self;
    for (unsigned i = 0; i < count; i++)
        if (loads[i] < loads[emptiest])
            emptiest = i;
    uint64_t slack = 1 + loads[emptiest] / 16;
    return loads[self] > loads[emptiest] + slack ? emptiest : self;
}

static void
publish(struct front *front)
{
    board_set(front->listener->live, skein_shard_index(), front->stats.live_count);
}

/* ---- serving ---- */

static void
serve(void *arg)
{
    struct connection *connection = arg;
    struct front *front = connection->front;
    const struct skein_listener_options *options = &front->listener->options;
    options->serve(options->arg, connection->handle, &connection->peer);
    (void)skein_close(connection->handle);
    mem_free(connection);
    front->stats.live_count--;
    publish(front);
    skein_acceptor_release(&front->acceptor);
}

/* Does not suspend. **Returns** 0; -SKEIN_EAGAIN, -ENOMEM: the handle is still the caller's. */
static int
begin_serving(struct front *front, int handle, const struct skein_addr *peer)
{
    struct connection *connection = mem_try_alloc(sizeof(*connection));
    if (!connection)
        return -SKEIN_ENOMEM;
    *connection = (struct connection){front, handle, *peer};
    int rc = skein_spawn(front->serving, "connection", serve, connection,
                         front->listener->options.stack);
    if (rc < 0) {
        mem_free(connection);
        return rc;
    }
    front->stats.served_count++;
    front->stats.live_count++;
    publish(front);
    return 0;
}

/* ---- handing over ---- */

static uint64_t *
given_counter(const struct skein_listener *listener, unsigned from, unsigned to)
{
    return &listener->given[(size_t)from * listener->given_stride + to];
}

static void
gift_arrives(struct skein_message *message)
{
    struct gift *gift = BASE_CONTAINER_OF(message, struct gift, message);
    struct front *front = skein_service_local(gift->from->listener->service);
    front->gifts_come[gift->from_shard]++;
    front->acceptor.live_count++;
    gift->refused = begin_serving(front, gift->handle, &gift->peer) < 0;
    if (gift->refused)
        skein_acceptor_release(&front->acceptor);
}

static void
gift_is_home(struct skein_message *message)
{
    struct gift *gift = BASE_CONTAINER_OF(message, struct gift, message);
    struct front *front = gift->from;
    front->gift_count--;
    front->gifts_going[gift->to]--;
    if (gift->refused) {
        list_push_back(&front->unserved, &gift->link);
    } else {
        front->stats.given_count++;
        skein_acceptor_release(&front->acceptor);
        mem_free(gift);
    }
    skein_wake_all(&front->changed);
}

/* **Returns** 0; negative: it could not be given away. */
static int
give(struct front *front, unsigned to, int handle, const struct skein_addr *peer)
{
    struct gift *gift = mem_try_alloc(sizeof(*gift));
    if (!gift)
        return -SKEIN_ENOMEM;
    *gift = (struct gift){.message = {gift_arrives, gift_is_home},
                          .from = front,
                          .from_shard = skein_shard_index(),
                          .to = to,
                          .handle = handle,
                          .peer = *peer};
    int rc = skein_send(to, &gift->message);
    if (rc < 0) {
        mem_free(gift);
        return rc;
    }
    front->gift_count++;
    front->gifts_going[to]++;
    board_count_up(given_counter(front->listener, skein_shard_index(), to));
    return 0;
}

static void
close_unserved(struct front *front)
{
    struct skein_list *link;
    while ((link = list_pop_front(&front->unserved))) {
        struct gift *gift = LIST_ENTRY(link, struct gift, link);
        (void)skein_close(gift->handle);
        mem_free(gift);
        front->stats.refused_count++;
        skein_acceptor_release(&front->acceptor);
    }
}

static void
unserved_fiber(void *arg)
{
    struct front *front = arg;
    while (skein_wait(&front->changed, SKEIN_NEVER) == 0)
        close_unserved(front);
}

/* ---- accepting ---- */

static unsigned
choose(struct front *front)
{
    struct skein_listener *listener = front->listener;
    unsigned self = skein_shard_index();
    if (listener->options.keep)
        return self;
    for (unsigned i = 0; i < listener->count; i++)
        front->loads[i] = board_get(listener->live, i) + front->gifts_going[i];
    /* What others have given us and we have not met yet will be ours, too. */
    for (unsigned i = 0; i < listener->count; i++)
        front->loads[self] += board_count(given_counter(listener, i, self)) - front->gifts_come[i];
    return listener_choose(front->loads, listener->count, self);
}

static void
accept_fiber(void *arg)
{
    struct front *front = arg;
    struct skein_addr peer;
    int handle;
    while ((handle = skein_acceptor_accept(&front->acceptor, &peer, SKEIN_NEVER)) >= 0) {
        front->stats.accepted_count++;
        unsigned to = choose(front);
        if (to != skein_shard_index() && give(front, to, handle, &peer) == 0)
            continue;
        if (begin_serving(front, handle, &peer) == 0)
            continue;
        skein_shield(true);
        (void)skein_close(handle);
        skein_shield(false);
        front->stats.refused_count++;
        skein_acceptor_release(&front->acceptor);
    }
}

/* With REUSEPORT the kernel would let a second program take half of the first one's connections, so
 * the port is first listened on without. The REUSEPORT option is the last one. */
static int
claim_port(const struct skein_listener *listener, struct skein_net_options net)
{
    net.option_count--;
    int handle = skein_net_listen(&listener->options.endpoint, &net);
    return handle < 0 ? handle : skein_close(handle);
}

static int
open_socket(struct skein_listener *listener)
{
    struct skein_net_options net = SKEIN_NET_OPTIONS_INIT;
    net.options = listener->socket_options;
    net.option_count = listener->options.option_count + 1;
    net.backlog = listener->options.backlog;
    bool first = !listener->claimed && listener->options.endpoint.addr.port != 0;
    int rc = first && !listener->options.share ? claim_port(listener, net) : 0;
    if (rc < 0)
        return rc;
    listener->claimed = true;
    int handle = skein_net_listen(&listener->options.endpoint, &net);
    if (handle < 0 || listener->options.endpoint.addr.port != 0)
        return handle;
    struct skein_endpoint local;
    rc = skein_net_local(handle, &local);
    if (rc < 0) {
        (void)skein_close(handle);
        return rc;
    }
    listener->options.endpoint.addr.port = local.addr.port;
    return handle;
}

static void
close_socket(struct front *front)
{
    if (front->acceptor.listener >= 0)
        (void)skein_close(front->acceptor.listener);
    front->acceptor.listener = -1;
}

/* A registry that is full has counted it. */
static void
add_metrics(const struct front *front)
{
    char text[SKEIN_ENDPOINT_TEXT_BYTES];
    const struct skein_listener_options *options = &front->listener->options;
    struct skein_label label = {"listener", options->name};
    if (!options->name)
        label.value = skein_net_format(&options->endpoint, text);
    (void)!skein_metrics_add(skein_shard_metrics(), front, rows, BASE_COUNT_OF(rows), &label, 1);
}

static int
front_start(void *local, struct skein_scope *scope, void *arg)
{
    struct front *front = local;
    struct skein_listener *listener = arg;
    int handle = open_socket(listener);
    if (handle < 0)
        return handle;
    front->listener = listener;
    front->serving = scope;
    front->gifts_going = mem_zalloc(listener->count * sizeof(front->gifts_going[0]));
    front->gifts_come = mem_zalloc(listener->count * sizeof(front->gifts_come[0]));
    front->loads = mem_zalloc(listener->count * sizeof(front->loads[0]));
    list_init(&front->unserved);
    skein_waitq_init(&front->changed);
    skein_scope_init(&front->accepting);
    skein_acceptor_init(&front->acceptor, handle, listener->options.live_count_max);
    add_metrics(front);
    return 0;
}

/* When all fronts are there: an early connection may be handed to any of them. */
static int64_t
front_open(void *local, void *arg)
{
    struct front *front = local;
    int rc = skein_spawn(&front->accepting, "accept", accept_fiber, front, SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = skein_spawn(&front->accepting, "unserved", unserved_fiber, front, SKEIN_STACK_SMALL);
    return rc;
}

static int64_t
front_close(void *local, void *arg)
{
    struct front *front = local;
    skein_shield(true);
    skein_scope_cancel(&front->accepting);
    skein_scope_join(&front->accepting);
    while (front->gift_count > 0) {
        int rc = skein_wait(&front->changed, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    close_unserved(front);
    close_socket(front);
    skein_shield(false);
    return 0;
}

static void
front_stop(void *local)
{
    struct front *front = local;
    skein_assert(front->stats.live_count == 0);
    close_socket(front); /* when another shard's start has failed */
    skein_metrics_remove(skein_shard_metrics(), front);
    mem_free(front->gifts_going);
    mem_free(front->gifts_come);
    mem_free(front->loads);
}

static const struct skein_service_ops front_ops = {
    .bytes = sizeof(struct front), .start = front_start, .stop = front_stop};

/* ---- all shards ---- */

static void
listener_free(struct skein_listener *listener)
{
    mem_free(listener->given);
    mem_free(listener->live);
    mem_free(listener);
}

int
skein_listener_start(struct skein_listener **out_listener,
                     const struct skein_listener_options *options)
{
    skein_assert(options->serve != NULL);
    skein_assert(options->option_count >= 0);
    if (options->endpoint.is_unix || options->option_count > OPTION_COUNT_MAX)
        return -SKEIN_EINVALID;
    struct skein_listener *listener = mem_zalloc(sizeof(*listener));
    listener->count = skein_shard_count();
    listener->options = *options;
    if (listener->options.backlog == 0)
        listener->options.backlog = BACKLOG_DEFAULT;
    if (listener->options.live_count_max == 0)
        listener->options.live_count_max = LIVE_COUNT_DEFAULT;
    for (int i = 0; i < options->option_count; i++)
        listener->socket_options[i] = options->options[i];
    listener->socket_options[options->option_count] =
        (struct skein_socket_option){SKEIN_SOCKET_REUSEPORT, 1};
    size_t board_bytes = listener->count * sizeof(listener->live[0]);
    listener->live = mem_alloc_aligned(128, board_bytes);
    memset(listener->live, 0, board_bytes);
    listener->given_stride = (listener->count + 15) & ~15u; /* rows do not share a line */
    size_t given_bytes = (size_t)listener->count * listener->given_stride * sizeof(uint64_t);
    listener->given = mem_alloc_aligned(128, given_bytes);
    memset(listener->given, 0, given_bytes);
    int rc = skein_service_start(&listener->service, &front_ops, listener);
    if (rc < 0) {
        listener_free(listener);
        return rc;
    }
    rc = skein_service_invoke_all(listener->service, front_open, NULL, NULL, SKEIN_NEVER);
    if (rc < 0) {
        skein_listener_stop(listener);
        return rc;
    }
    *out_listener = listener;
    return 0;
}

uint16_t
skein_listener_port(const struct skein_listener *listener)
{
    return listener->options.endpoint.addr.port;
}

static int64_t
front_stats(void *local, void *arg)
{
    struct front *front = local;
    struct skein_listener_stats *stats = arg;
    front->stats.pause_count = front->acceptor.pause_count;
    stats[skein_shard_index()] = front->stats;
    return 0;
}

int
skein_listener_stats_read(struct skein_listener *listener, struct skein_listener_stats *out_stats)
{
    return skein_service_invoke_all(listener->service, front_stats, out_stats, NULL, SKEIN_NEVER);
}

uint32_t
skein_listener_imbalance(const struct skein_listener_stats *stats, unsigned shard_count)
{
    uint64_t total = 0;
    uint64_t most = 0;
    for (unsigned i = 0; i < shard_count; i++) {
        total += stats[i].served_count;
        if (stats[i].served_count > most)
            most = stats[i].served_count;
    }
    return total == 0 ? 0 : (uint32_t)((most * shard_count - total) * 100 / total);
}

void
skein_listener_stop(struct skein_listener *listener)
{
    if (!listener)
        return;
    skein_shield(true);
    int rc = skein_service_invoke_all(listener->service, front_close, NULL, NULL, SKEIN_NEVER);
    skein_shield(false);
    skein_assert(rc == 0);
    skein_service_stop(listener->service);
    listener_free(listener);
}
