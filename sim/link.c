/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/link.h"

#include <string.h>

#include "base/crc32c.h"
#include "skein/fiber.h"
#include "replica/envelope.h"
#include "sim/net.h"
#include "skein/error.h"

/* A message on its way; the world's memory. */
struct mail {
    struct skein_list link;
    struct sim_event event;
    struct sim_links *links;
    uint32_t from, to, claims; /* @from: what the link will say */
    bool notice;               /* not a message: tell @to that @from may have missed something */
    bool refusal;              /* nor this: @from does not know @to */
    uint64_t id;               /* of the message, for the trace; a copy has the same */
    size_t bytes;
    uint8_t data[];
};

/* A message that has arrived and waits for the link's fiber; the host's memory. */
struct arrived {
    struct skein_list link;
    uint32_t from;
    bool notice, refusal;
    struct bytes message;
};

struct sim_link {
    struct replica_link base; /* first */
    struct sim_links *links;
    struct sim_host *host;
    const struct replica_link_handler *handler;
    struct skein_scope scope;
    struct skein_waitq waiting;
    struct skein_list inbox; /* struct arrived */
    uint32_t strangers;      /* bits of the nodes that were dropped as peers: they are refused */
    struct replica_link_stats stats;
};

void
sim_links_init(struct sim_links *links, struct sim_world *world, uint32_t node_count)
{
    *links = (struct sim_links){.world = world, .node_count = node_count};
    links->queue_bytes_max = 64u << 20;
    list_init(&links->mails);
}

static void
mail_free(struct mail *mail)
{
    struct sim_links *links = mail->links;
    links->under_way_bytes[mail->claims][mail->to] -= mail->bytes;
    sim_event_cancel(links->world, &mail->event);
    list_remove(&mail->link);
    mem_free(mail);
}

void
sim_links_deinit(struct sim_links *links)
{
    while (!list_is_empty(&links->mails))
        mail_free(LIST_ENTRY(links->mails.next, struct mail, link));
}

static void
arrive(struct sim_link *link, const struct mail *mail)
{
    struct arrived *arrived = mem_zalloc(sizeof(*arrived));
    arrived->from = mail->from;
    arrived->notice = mail->notice;
    arrived->refusal = mail->refusal;
    arrived->message = bytes_copy(mail->data, mail->bytes);
    list_push_back(&link->inbox, &arrived->link);
    skein_wake_one(&link->waiting);
}

static struct mail *post(struct sim_links *links, uint32_t claims, uint32_t from, uint32_t to,
                         struct bytes message, uint64_t delay_ns);

/* Who is no peer is told so. */
static void
refuse(struct sim_links *links, const struct mail *mail)
{
    if (mail->claims == mail->from)
        post(links, mail->to, mail->to, mail->from, (struct bytes){0}, SIM_MS)->refusal = true;
}

static void
on_mail(struct sim_event *event)
{
    struct mail *mail = event->owner;
    struct sim_links *links = mail->links;
    struct sim_world *world = links->world;
    struct sim_host *host = world->hosts[mail->to - 1];
    if (sim_host_paused(host)) {
        sim_event_at(world, event, host->paused_until_ns);
        return;
    }
    bool there = host->state == SIM_HOST_UP && host->link && !host->dying;
    if (there && !mail->notice && !mail->refusal && (host->link->strangers >> mail->from & 1)) {
        refuse(links, mail);
        mail_free(mail);
        return;
    }
    if (there && (mail->notice || !sim_net_blocked(world->net, mail->claims, mail->to))) {
        if (mail->claims != mail->from && links->on_forged)
            links->on_forged(links->owner, mail->to, bytes_borrow(mail->data, mail->bytes));
        struct sim_context context = sim_host_enter(host);
        arrive(host->link, mail);
        sim_host_leave(context);
        sim_trace_event(&world->trace, mail->to, "link.arrive", mail->from, mail->claims, mail->id);
        mail_free(mail);
        sim_host_turn(host);
        return;
    }
    links->lost++;
    mail_free(mail);
}

static struct mail *
post(struct sim_links *links, uint32_t claims, uint32_t from, uint32_t to, struct bytes message,
     uint64_t delay_ns)
{
    struct mail *mail = mem_zalloc(sizeof(*mail) + message.count);
    mail->links = links;
    mail->from = from;
    mail->to = to;
    mail->claims = claims;
    mail->bytes = message.count;
    mail->id = links->sent;
    mail->event = (struct sim_event){.fire = on_mail, .owner = mail};
    if (message.count)
        memcpy(mail->data, message.data, message.count);
    links->under_way_bytes[claims][to] += mail->bytes;
    list_push_back(&links->mails, &mail->link);
    sim_event_at(links->world, &mail->event, links->world->now_ns + delay_ns);
    return mail;
}

/* The sender of something lost hears of it half of the time. */
static void
lose(struct sim_links *links, uint32_t from, uint32_t to)
{
    links->lost++;
    if (!sim_chance(links->world, 500))
        return;
    uint64_t delay_ns = sim_draw(links->world, 0, 300 * SIM_MS);
    struct mail *mail = post(links, to, to, from, (struct bytes){0}, delay_ns);
    mail->notice = true;
    mail->id = 0;
}

static uint64_t
delay_of(struct sim_links *links, uint32_t from, uint32_t to)
{
    uint64_t delay_ns = sim_net_latency_ns(links->world->net, from, to);
    if (sim_chance(links->world, links->delay_per_mille))
        delay_ns += sim_draw(links->world, 0, links->delay_ns_max);
    return delay_ns;
}

static void
forge(struct sim_links *links, uint32_t claims, uint32_t to, struct bytes message)
{
    if (message.count == 0 || message.data[0] != ENVELOPE_RAFT || links->node_count < 3 ||
        !sim_chance(links->world, links->forge_per_mille))
        return;
    uint32_t pick = (uint32_t)sim_draw(links->world, 1, links->node_count - 2), from = 0;
    while (pick > 0) {
        from++;
        pick -= from != claims && from != to;
    }
    links->forged++;
    post(links, claims, from, to, message, sim_draw(links->world, 0, SIM_SECOND));
}

/* What a message is, for the trace. */
static const char *
name_of(struct bytes message)
{
    static const char *const kinds[] = {"?",          "raft",     "forward", "forward-reply",
                                        "snap-chunk", "snap-ack", "genesis"};
    static const char *const types[] = {"raft.?",
                                        "raft.append",
                                        "raft.append-response",
                                        "raft.vote",
                                        "raft.vote-response",
                                        "raft.pre-vote",
                                        "raft.pre-vote-response",
                                        "raft.snapshot",
                                        "raft.heartbeat",
                                        "raft.heartbeat-response",
                                        "raft.timeout-now"};
    uint8_t kind = message.count > 0 ? message.data[0] : 0;
    if (kind == ENVELOPE_RAFT && message.count > ENVELOPE_RAFT_FIRST_BYTES) {
        uint8_t type = message.data[ENVELOPE_RAFT_FIRST_BYTES]; /* of the first of them */
        return types[type < BASE_COUNT_OF(types) ? type : 0];
    }
    return kinds[kind < BASE_COUNT_OF(kinds) ? kind : 0];
}

static int
send_message(struct replica_link *base, uint32_t node, struct bytes message)
{
    struct sim_link *link = (struct sim_link *)base;
    struct sim_links *links = link->links;
    uint32_t from = link->host->number;
    if (node == 0 || node > links->node_count || node == from)
        return -SKEIN_ENOTFOUND;
    if (link->host->dying)
        return -SKEIN_ECANCELED;
    if (links->under_way_bytes[from][node] + message.count > links->queue_bytes_max) {
        link->stats.dropped_queue_full++;
        return -SKEIN_EAGAIN;
    }
    struct mem_arena *previous = mem_arena_set_current(NULL);
    link->stats.sent++;
    link->stats.sent_bytes += message.count;
    links->sent++;
    sim_trace_event(&links->world->trace, from, name_of(message), node,
                    crc32c(0, message.data, message.count), links->sent);
    if (sim_net_blocked(links->world->net, from, node) ||
        sim_chance(links->world, links->loss_per_mille)) {
        lose(links, from, node);
    } else {
        post(links, from, from, node, message, delay_of(links, from, node));
        forge(links, from, node, message);
        if (sim_chance(links->world, links->repeat_per_mille)) {
            links->repeated++;
            post(links, from, from, node, message, sim_draw(links->world, 0, links->delay_ns_max));
        }
    }
    if (links->on_sent)
        links->on_sent(links->owner, from, node, message);
    mem_arena_set_current(previous);
    return 0;
}

static void
deliver_all(struct sim_link *link)
{
    struct skein_list *first;
    while ((first = list_pop_front(&link->inbox))) {
        struct arrived *arrived = LIST_ENTRY(first, struct arrived, link);
        if (arrived->refusal) {
            if (link->handler->on_refused)
                link->handler->on_refused(link->handler->owner, arrived->from);
        } else if (arrived->notice) {
            link->handler->on_lost(link->handler->owner, arrived->from);
        } else {
            link->stats.received++;
            link->stats.received_bytes += arrived->message.count;
            link->handler->on_message(link->handler->owner, arrived->from, arrived->message);
        }
        bytes_unref(&arrived->message);
        mem_free(arrived);
    }
}

static void
link_fiber(void *arg)
{
    struct sim_link *link = arg;
    do {
        deliver_all(link);
    } while (skein_wait(&link->waiting, SKEIN_NEVER) == 0);
}

static int
start(struct replica_link *base, const struct replica_link_handler *handler)
{
    struct sim_link *link = (struct sim_link *)base;
    link->handler = handler;
    skein_scope_init(&link->scope);
    int rc = skein_spawn(&link->scope, "sim link", link_fiber, link, SKEIN_STACK_SMALL);
    if (rc < 0)
        return rc;
    link->host->link = link;
    return 0;
}

static bool
connected(struct replica_link *base, uint32_t node)
{
    struct sim_link *link = (struct sim_link *)base;
    struct sim_world *world = link->links->world;
    return node >= 1 && node <= link->links->node_count &&
           world->hosts[node - 1]->state == SIM_HOST_UP &&
           !sim_net_blocked(world->net, link->host->number, node);
}

static void
stats(struct replica_link *base, struct replica_link_stats *out_stats)
{
    *out_stats = ((struct sim_link *)base)->stats;
}

static void
stop(struct replica_link *base)
{
    struct sim_link *link = (struct sim_link *)base;
    if (link->handler) {
        link->host->link = NULL;
        skein_scope_cancel(&link->scope);
        skein_scope_join(&link->scope);
    }
    struct skein_list *first;
    while ((first = list_pop_front(&link->inbox))) {
        struct arrived *arrived = LIST_ENTRY(first, struct arrived, link);
        bytes_unref(&arrived->message);
        mem_free(arrived);
    }
    mem_free(link);
}

/* Every simulated node can reach every other, unless it was dropped. */
static int
set_peer(struct replica_link *base, const struct replica_peer *peer)
{
    struct sim_link *link = (struct sim_link *)base;
    link->strangers &= ~(1u << peer->node);
    return peer->node >= 1 && peer->node <= link->links->node_count ? 0 : -SKEIN_EINVALID;
}

static void
drop_peer(struct replica_link *base, uint32_t node)
{
    struct sim_link *link = (struct sim_link *)base;
    link->strangers |= 1u << node;
}

static const struct replica_link_ops ops = {.name = "sim",
                                            .start = start,
                                            .send = send_message,
                                            .connected = connected,
                                            .set_peer = set_peer,
                                            .drop_peer = drop_peer,
                                            .stats = stats,
                                            .stop = stop};

struct replica_link *
sim_link_open(struct sim_links *links, struct sim_host *host)
{
    struct sim_link *link = mem_zalloc(sizeof(*link));
    link->base.ops = &ops;
    link->links = links;
    link->host = host;
    list_init(&link->inbox);
    skein_waitq_init(&link->waiting);
    return &link->base;
}
