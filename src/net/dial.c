/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/dial.h"

#include <errno.h>

#include "base/assert.h"
#include "skein/fiber.h"
#include "skein/file.h"

#define STAGGER_NS_MIN UINT64_C(10000000)
#define STAGGER_NS_MAX UINT64_C(2000000000)

/* One family's addresses, as they become known. */
struct side {
    struct dial *dial;
    enum skein_dns_family family;
    struct skein_dns_addresses found;
    uint32_t next; /* the one to be tried next */
    bool answered;
    int result;
};

struct attempt {
    struct dial *dial;
    struct skein_addr to;
};

struct dial {
    struct skein_dns *dns;
    const char *name;
    uint16_t port;
    const struct skein_dial_options *options;
    uint64_t deadline_ns;
    struct skein_scope scope;
    struct skein_waitq changed;
    struct side sides[2]; /* IPv6, IPv4 */
    int last_side;
    bool v4_may_begin;
    uint64_t v4_begins_ns; /* when IPv4 waits no longer for IPv6; UINT64_MAX: not known yet */
    uint64_t next_ns;      /* when the next attempt may begin */
    uint32_t live_count;
    struct attempt attempts[2 * SKEIN_DNS_ADDRESSES_MAX];
    int first_error;
    int winner;
    struct skein_dial_info info;
};

static void
resolve(void *arg)
{
    struct side *side = arg;
    struct dial *dial = side->dial;
    side->result =
        skein_dns_lookup(dial->dns, dial->name, side->family, &side->found, dial->deadline_ns);
    if (side->result < 0)
        side->found.count = 0;
    side->answered = true;
    if (side->family == SKEIN_DNS_V4)
        dial->v4_begins_ns = skein_deadline_in(dial->options->resolution_ns);
    skein_wake_all(&dial->changed);
}

static void
try_one(void *arg)
{
    struct attempt *attempt = arg;
    struct dial *dial = attempt->dial;
    struct skein_endpoint endpoint = {.addr = attempt->to};
    int rc = skein_net_connect(&endpoint, &dial->options->net, dial->deadline_ns);
    dial->live_count--;
    if (rc >= 0 && dial->winner >= 0) {
        skein_close(rc);
    } else if (rc >= 0) {
        dial->winner = rc;
        dial->info.addr = attempt->to;
    } else if (dial->first_error == 0) {
        dial->first_error = rc;
    }
    if (rc < 0)
        dial->next_ns = 0; /* a failure need not be waited for */
    skein_wake_all(&dial->changed);
}

static bool
has_more(const struct dial *dial, int which)
{
    const struct side *side = &dial->sides[which];
    bool may = which == 0 || dial->v4_may_begin;
    return side->answered && may && side->next < side->found.count;
}

/* The side of the next attempt: the other one than last time, if it can. -1: none now. */
static int
next_side(const struct dial *dial)
{
    int other = 1 - dial->last_side;
    if (has_more(dial, other))
        return other;
    return has_more(dial, dial->last_side) ? dial->last_side : -1;
}

static int
begin_attempt(struct dial *dial, int which)
{
    struct side *side = &dial->sides[which];
    struct attempt *attempt = &dial->attempts[dial->info.attempt_count];
    skein_assert(dial->info.attempt_count < BASE_COUNT_OF(dial->attempts));
    attempt->dial = dial;
    attempt->to = side->found.list[side->next++];
    if (dial->name)
        attempt->to.port = dial->port;
    dial->last_side = which;
    int rc = skein_spawn(&dial->scope, "dial-attempt", try_one, attempt, SKEIN_STACK_SMALL);
    if (rc < 0)
        return rc;
    dial->live_count++;
    dial->info.attempt_count++;
    dial->next_ns = skein_deadline_in(dial->options->stagger_ns);
    return 0;
}

/* Nothing more can come. */
static int
outcome(const struct dial *dial)
{
    if (dial->first_error != 0)
        return dial->first_error;
    int six = dial->sides[0].result, four = dial->sides[1].result;
    return six == -SKEIN_ENOTFOUND ? four : six;
}

static int
step(struct dial *dial)
{
    uint64_t now_ns = skein_now_ns(), until_ns = dial->deadline_ns;
    dial->v4_may_begin = dial->sides[0].answered || now_ns >= dial->v4_begins_ns;
    int which = next_side(dial);
    if (which >= 0 && dial->info.resolved_ns == 0)
        dial->info.resolved_ns = now_ns;
    if (which >= 0 && (dial->live_count == 0 || now_ns >= dial->next_ns))
        return begin_attempt(dial, which);
    bool all_answered = dial->sides[0].answered && dial->sides[1].answered;
    if (which < 0 && all_answered && dial->live_count == 0)
        return outcome(dial);
    if (now_ns >= dial->deadline_ns)
        return -SKEIN_ETIMEDOUT;
    if (which >= 0 && dial->next_ns < until_ns)
        until_ns = dial->next_ns;
    if (!dial->v4_may_begin && dial->v4_begins_ns < until_ns)
        until_ns = dial->v4_begins_ns;
    int rc = skein_wait(&dial->changed, until_ns);
    return rc == -SKEIN_ETIMEDOUT ? 0 : rc;
}

static int
begin_names(struct dial *dial)
{
    for (int i = 0; i < 2; i++) {
        int rc =
            skein_spawn(&dial->scope, "dial-resolve", resolve, &dial->sides[i], SKEIN_STACK_SMALL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
run_race(struct dial *dial, const struct skein_dial_options *options,
         struct skein_dial_info *out_info, uint64_t deadline_ns)
{
    static const struct skein_dial_options usual = SKEIN_DIAL_OPTIONS_INIT;
    uint64_t begin_ns = skein_now_ns();
    dial->options = options ? options : &usual;
    dial->deadline_ns = deadline_ns;
    dial->last_side = 1;
    dial->v4_begins_ns = UINT64_MAX;
    dial->winner = -1;
    if (dial->options->stagger_ns < STAGGER_NS_MIN || dial->options->stagger_ns > STAGGER_NS_MAX)
        return -SKEIN_EINVALID;
    skein_scope_init(&dial->scope);
    skein_waitq_init(&dial->changed);
    int rc = dial->name ? begin_names(dial) : 0;
    while (rc == 0 && dial->winner < 0)
        rc = step(dial);
    skein_scope_cancel(&dial->scope);
    skein_scope_join(&dial->scope);
    dial->info.connected_ns = skein_now_ns() - begin_ns;
    if (dial->info.resolved_ns > 0)
        dial->info.resolved_ns -= begin_ns;
    if (out_info)
        *out_info = dial->info;
    return dial->winner >= 0 ? dial->winner : rc;
}

int
skein_dial_with(struct skein_dns *dns, const char *name, uint16_t port,
                const struct skein_dial_options *options, struct skein_dial_info *out_info,
                uint64_t deadline_ns)
{
    struct dial dial = {.dns = dns, .name = name, .port = port};
    dial.sides[0] = (struct side){.dial = &dial, .family = SKEIN_DNS_V6};
    dial.sides[1] = (struct side){.dial = &dial, .family = SKEIN_DNS_V4};
    return run_race(&dial, options, out_info, deadline_ns);
}

int
skein_dial_any(const struct skein_addr *addrs, uint32_t count,
               const struct skein_dial_options *options, struct skein_dial_info *out_info,
               uint64_t deadline_ns)
{
    struct dial dial = {.name = NULL};
    if (count < 1 || count > SKEIN_DNS_ADDRESSES_MAX)
        return -SKEIN_EINVALID;
    dial.sides[0] = (struct side){.answered = true};
    dial.sides[1] = (struct side){.answered = true};
    dial.sides[0].found.count = count;
    for (uint32_t i = 0; i < count; i++)
        dial.sides[0].found.list[i] = addrs[i];
    return run_race(&dial, options, out_info, deadline_ns);
}

int
skein_dial(struct skein_dns *dns, const char *name, uint16_t port, uint64_t deadline_ns)
{
    return skein_dial_with(dns, name, port, NULL, NULL, deadline_ns);
}
