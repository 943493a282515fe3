/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/shards_suite.h"

#include <string.h>

#include "base/assert.h"
#include "skein/core.h"

#define MS 1000000u
#define CALLER_COUNT 600
#define CALL_CREDIT_COUNT 256
#define POST_COUNT 1000
#define FLOOD_COUNT 2000

/* ---- calls ---- */

static int64_t
number_here(void *arg)
{
    int *seen = arg;
    if (seen)
        *seen += 1;
    return 100 + skein_shard_index();
}

static void
a_call_runs_there_and_brings_its_result(struct check *check)
{
    int seen = 0;
    CHECK(check, skein_shard_index() == 0);
    CHECK(check, skein_shard_count() == SHARDS_SUITE_COUNT);
    for (unsigned i = 0; i < SHARDS_SUITE_COUNT; i++)
        CHECK(check, skein_call(i, number_here, &seen, SKEIN_NEVER) == 100 + i);
    CHECK(check, seen == SHARDS_SUITE_COUNT);
    CHECK(check, skein_shard_index() == 0);
}

static int64_t
call_on(void *arg)
{
    int *hops = arg;
    if (--*hops == 0)
        return skein_shard_index();
    return skein_call((skein_shard_index() + 1) % SHARDS_SUITE_COUNT, call_on, hops, SKEIN_NEVER);
}

static void
calls_nest(struct check *check)
{
    int hops = 50;
    CHECK(check, skein_call(1, call_on, &hops, SKEIN_NEVER) == 50 % SHARDS_SUITE_COUNT);
}

/* Only shard 1 touches the counters while calls run. */
struct crowd {
    struct check *check;
    int running, running_max, ended;
    int64_t result;
};

static int64_t
sleep_there(void *arg)
{
    struct crowd *crowd = arg;
    if (++crowd->running > crowd->running_max)
        crowd->running_max = crowd->running;
    int rc = skein_sleep(skein_deadline_in(MS));
    crowd->running--;
    crowd->ended++;
    return rc;
}

static void
caller(void *arg)
{
    struct crowd *crowd = arg;
    CHECK(crowd->check, skein_call(1, sleep_there, crowd, SKEIN_NEVER) == 0);
}

static void
calls_wait_for_a_credit(struct check *check)
{
    struct crowd crowd = {.check = check};
    struct skein_scope scope;
    skein_scope_init(&scope);
    for (int i = 0; i < CALLER_COUNT; i++)
        CHECK(check, skein_spawn(&scope, "caller", caller, &crowd, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    CHECK(check, crowd.ended == CALLER_COUNT);
    CHECK(check, crowd.running == 0);
    CHECK(check, crowd.running_max <= CALL_CREDIT_COUNT);
    CHECK(check, crowd.running_max > 1);
}

static int64_t
group_here(void *arg)
{
    char *name = arg;
    strcpy(name, skein_group_name(skein_group_self()));
    return 0;
}

static int64_t
open_tenant(void *arg)
{
    struct skein_group *group;
    struct skein_group *child;
    struct skein_group_options tenant = {"tenant", 100, NULL};
    int rc = skein_group_open(&group, &tenant);
    /* On shard 2 it only has children, and so no fibers. */
    struct skein_group_options nested = {"nested", 100, group};
    return rc < 0 || skein_shard_index() != 2 ? rc : skein_group_open(&child, &nested);
}

static void
calls_run_in_the_callers_group(struct check *check)
{
    char name[SKEIN_GROUP_NAME_BYTES_MAX + 1];
    CHECK(check, skein_call(1, group_here, name, SKEIN_NEVER) == 0);
    CHECK(check, strcmp(name, "normal") == 0);
    struct skein_group *critical = skein_group_preset(SKEIN_PRIORITY_CRITICAL);
    struct skein_group *normal = skein_group_switch(critical);
    CHECK(check, skein_call(1, group_here, name, SKEIN_NEVER) == 0);
    CHECK(check, strcmp(name, "critical") == 0);
    skein_group_switch(normal);
    CHECK(check, open_tenant(NULL) == 0);
    skein_group_switch(skein_group_find("tenant"));
    CHECK(check, skein_call(1, group_here, name, SKEIN_NEVER) == 0);
    CHECK(check, strcmp(name, "normal") == 0);
    CHECK(check, skein_call(1, open_tenant, NULL, SKEIN_NEVER) == 0);
    CHECK(check, skein_call(1, group_here, name, SKEIN_NEVER) == 0);
    CHECK(check, strcmp(name, "tenant") == 0);
    CHECK(check, skein_call(2, open_tenant, NULL, SKEIN_NEVER) == 0);
    CHECK(check, skein_call(2, group_here, name, SKEIN_NEVER) == 0);
    CHECK(check, strcmp(name, "normal") == 0);
    skein_group_switch(normal);
}

/* ---- deadlines and cancellation ---- */

static int64_t
sleep_for_ever(void *arg)
{
    int *why = arg;
    *why = skein_sleep(SKEIN_NEVER);
    return *why;
}

static int64_t
refuse_to_end(void *arg)
{
    skein_shield(true);
    int rc = skein_sleep(skein_deadline_in(20 * MS));
    skein_shield(false);
    return rc == 0 ? 7 : rc;
}

static void
a_deadline_cancels_what_runs_there(struct check *check)
{
    int why = 0;
    CHECK(check,
          skein_call(1, sleep_for_ever, &why, skein_deadline_in(5 * MS)) == -SKEIN_ETIMEDOUT);
    CHECK(check, why == -SKEIN_ECANCELED);
    why = 0;
    CHECK(check, skein_call(0, sleep_for_ever, &why, skein_now_ns()) == -SKEIN_ETIMEDOUT);
    /* A result beats the deadline. */
    CHECK(check, skein_call(2, refuse_to_end, NULL, skein_deadline_in(5 * MS)) == 7);
}

static void
cancelled_caller(void *arg)
{
    struct crowd *crowd = arg;
    int why = 0;
    int64_t rc = skein_call(1, sleep_for_ever, &why, SKEIN_NEVER);
    CHECK(crowd->check, rc == -SKEIN_ECANCELED);
    /* Withdrawn, or cancelled there: either way it is over. */
    CHECK(crowd->check, why == 0 || why == -SKEIN_ECANCELED);
    CHECK(crowd->check, skein_call(1, number_here, NULL, SKEIN_NEVER) == -SKEIN_ECANCELED);
    crowd->ended++;
}

static void
a_cancelled_caller_takes_its_call_along(struct check *check)
{
    struct crowd crowd = {.check = check};
    struct skein_scope scope;
    skein_scope_init(&scope);
    for (int i = 0; i < CALLER_COUNT; i++)
        CHECK(check,
              skein_spawn(&scope, "caller", cancelled_caller, &crowd, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_sleep(skein_deadline_in(5 * MS)) == 0);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(check, crowd.ended == CALLER_COUNT);
    CHECK(check, skein_call(1, number_here, NULL, SKEIN_NEVER) == 101);
}

/* ---- one-way ---- */

struct arrivals {
    int next; /* there */
    bool in_order;
};

struct numbered {
    struct skein_message message;
    struct arrivals *arrivals;
    int number;
    int runs;
    int *home_next; /* here */
    bool home_in_order;
};

static void
post_arrived(void *arg)
{
    struct numbered *numbered = arg;
    struct arrivals *arrivals = numbered->arrivals;
    arrivals->in_order = arrivals->in_order && numbered->number == arrivals->next;
    arrivals->next++;
    numbered->runs++;
}

static int64_t
read_next(void *arg)
{
    return ((struct arrivals *)arg)->next;
}

static void
message_arrived(struct skein_message *message)
{
    post_arrived(BASE_CONTAINER_OF(message, struct numbered, message));
}

static void
message_is_home(struct skein_message *message)
{
    struct numbered *numbered = BASE_CONTAINER_OF(message, struct numbered, message);
    numbered->home_in_order = numbered->number == *numbered->home_next;
    ++*numbered->home_next;
}

static void
posts_arrive_in_order(struct check *check)
{
    static struct numbered posts[POST_COUNT];
    struct arrivals arrivals = {.in_order = true};
    for (int i = 0; i < POST_COUNT; i++) {
        posts[i] = (struct numbered){.arrivals = &arrivals, .number = i};
        while (skein_post(1, post_arrived, &posts[i]) == -SKEIN_EAGAIN)
            CHECK(check, skein_wait_room(1, SKEIN_NEVER) == 0);
    }
    CHECK(check, skein_call(1, read_next, &arrivals, SKEIN_NEVER) == POST_COUNT);
    CHECK(check, arrivals.in_order);
}

static void
count_up(void *arg)
{
    ++*(int *)arg;
}

/* A shard does not take its own posts before the fiber parks, so its ring fills up for certain. */
static void
a_full_ring_refuses(struct check *check)
{
    int sent_count = 0;
    int arrived_count = 0;
    struct skein_mailbox_stats before;
    struct skein_mailbox_stats after;
    skein_mailbox_stats_read(&before);
    while (sent_count < POST_COUNT && skein_post(0, count_up, &arrived_count) == 0)
        sent_count++;
    CHECK(check, sent_count >= 128 && sent_count < POST_COUNT);
    CHECK(check, skein_post(0, count_up, &arrived_count) == -SKEIN_EAGAIN);
    CHECK(check, arrived_count == 0);
    CHECK(check, skein_wait_room(0, SKEIN_NEVER) == 0);
    CHECK(check, skein_post(0, count_up, &arrived_count) == 0);
    CHECK(check, skein_call(0, number_here, NULL, SKEIN_NEVER) == 100);
    CHECK(check, arrived_count == sent_count + 1);
    skein_mailbox_stats_read(&after);
    CHECK(check, after.full_count >= before.full_count + 2);
    CHECK(check, after.sent_count >= before.sent_count + (uint64_t)sent_count + 2);
    CHECK(check, after.received_count >= before.received_count + (uint64_t)sent_count + 2);
}

static void
messages_come_home(struct check *check)
{
    static struct numbered messages[POST_COUNT];
    struct arrivals arrivals = {.in_order = true};
    int home_next = 0;
    for (int i = 0; i < POST_COUNT; i++) {
        messages[i] = (struct numbered){.message = {message_arrived, message_is_home},
                                        .arrivals = &arrivals,
                                        .number = i,
                                        .home_next = &home_next};
        while (skein_send(2, &messages[i].message) == -SKEIN_EAGAIN)
            CHECK(check, skein_wait_room(2, SKEIN_NEVER) == 0);
    }
    /* Nothing but the coming home wakes this shard. */
    while (home_next < POST_COUNT)
        CHECK(check, skein_sleep(skein_deadline_in(MS)) == 0);
    bool each_once = true;
    for (int i = 0; i < POST_COUNT; i++)
        each_once = each_once && messages[i].runs == 1 && messages[i].home_in_order;
    CHECK(check, each_once);
    CHECK(check, arrivals.in_order);
}

static void
waiting_for_room_ends_at_the_deadline(struct check *check)
{
    CHECK(check, skein_wait_room(1, skein_now_ns()) <= 0);
    CHECK(check, skein_wait_room(1, SKEIN_NEVER) == 0);
}

/* ---- both rings full ---- */

struct flood {
    struct check *check;
    unsigned to;
    int arrived;    /* touched by `to` only */
    int64_t result; /* of the flooding shard */
};

static void
flood_arrived(void *arg)
{
    ((struct flood *)arg)->arrived++;
}

static int64_t
flood(void *arg)
{
    struct flood *mine = arg;
    for (int i = 0; i < FLOOD_COUNT; i++) {
        int rc;
        while (skein_post(mine->to, flood_arrived, mine) == -SKEIN_EAGAIN)
            if ((rc = skein_wait_room(mine->to, SKEIN_NEVER)) < 0)
                return rc;
        if (i % 10 == 0 && skein_call(mine->to, number_here, NULL, SKEIN_NEVER) != 100 + mine->to)
            return -1;
    }
    return 0;
}

static int64_t
read_arrived(void *arg)
{
    return ((struct flood *)arg)->arrived;
}

static void
flood_from_here(void *arg)
{
    struct flood *mine = arg;
    mine->result = flood(mine);
}

static void
flood_from_there(void *arg)
{
    struct flood *mine = arg;
    mine->result = skein_call(1, flood, mine, SKEIN_NEVER);
}

static void
two_full_rings_do_not_deadlock(struct check *check)
{
    struct flood there = {.to = 1, .result = 1};
    struct flood back = {.to = 0, .result = 1};
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "there", flood_from_here, &there, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_spawn(&scope, "back", flood_from_there, &back, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    CHECK(check, there.result == 0);
    CHECK(check, back.result == 0);
    CHECK(check, skein_call(1, read_arrived, &there, SKEIN_NEVER) == FLOOD_COUNT);
    CHECK(check, back.arrived == FLOOD_COUNT);
}

/* ---- all shards ---- */

static int64_t
fail_on_two(void *arg)
{
    return skein_shard_index() < 1 ? 1 : -(int64_t)skein_shard_index();
}

static int64_t
each_sleeps(void *arg)
{
    return sleep_for_ever(&((int *)arg)[skein_shard_index()]);
}

static int64_t
append_digit(int64_t so_far, int64_t result)
{
    return so_far * 1000 + result;
}

static void
map_reduce_folds_in_order(struct check *check)
{
    int64_t value = 5;
    int64_t results[SHARDS_SUITE_COUNT];
    CHECK(check, skein_map_reduce(number_here, NULL, append_digit, 0, &value, SKEIN_NEVER) == 0);
    CHECK(check, value == 100101102);
    CHECK(check, skein_map_reduce(fail_on_two, NULL, append_digit, 0, &value, SKEIN_NEVER) == -1);
    CHECK(check, value == 100101102);
    CHECK(check, skein_call_all(fail_on_two, NULL, results, SKEIN_NEVER) == -1);
    CHECK(check, results[0] == 1 && results[1] == -1 && results[2] == -2);
    int why[SHARDS_SUITE_COUNT] = {0};
    CHECK(check, skein_call_all(each_sleeps, why, NULL, skein_deadline_in(MS)) == -SKEIN_ETIMEDOUT);
}

/* ---- foreign pointers ---- */

struct treasure {
    int value;
    int drop_count;
    unsigned dropped_on;
    struct skein_waitq dropped;
};

static void
drop_treasure(void *object)
{
    struct treasure *treasure = object;
    treasure->drop_count++;
    treasure->dropped_on = skein_shard_index();
    skein_wake_all(&treasure->dropped);
}

static int64_t
use_and_drop(void *arg)
{
    struct skein_foreign *foreign = arg;
    int value = ((struct treasure *)skein_foreign_object(foreign))->value;
    unsigned home = skein_foreign_home(foreign);
    skein_foreign_drop(foreign);
    return value + home;
}

static void
foreign_pointers_are_freed_at_home(struct check *check)
{
    struct treasure treasure = {.value = 41, .dropped_on = 9};
    skein_waitq_init(&treasure.dropped);
    skein_foreign_drop(NULL);
    for (unsigned i = 0; i < SHARDS_SUITE_COUNT; i++) {
        struct skein_foreign *foreign = skein_foreign_open(&treasure, drop_treasure);
        CHECK(check, skein_call(i, use_and_drop, foreign, SKEIN_NEVER) == 41);
        while (treasure.drop_count == (int)i)
            CHECK(check, skein_wait(&treasure.dropped, SKEIN_NEVER) == 0);
        CHECK(check, treasure.drop_count == (int)i + 1);
        CHECK(check, treasure.dropped_on == 0);
    }
}

/* ---- memory ---- */

struct parcel {
    void *objects[100];
    unsigned owner;
};

static int64_t
fill_parcel(void *arg)
{
    struct parcel *parcel = arg;
    for (int i = 0; i < 100; i++) {
        size_t bytes = (size_t)i * i * i; /* to 970 KB: of every kind */
        parcel->objects[i] = skein_alloc(bytes);
        if (!parcel->objects[i])
            return -SKEIN_ENOMEM;
        memset(parcel->objects[i], i, bytes);
    }
    parcel->owner = skein_owner(parcel->objects[7]);
    return 0;
}

static int64_t
used_here(void *arg)
{
    skein_yield(); /* a turn, in which what others freed comes home */
    skein_yield();
    struct skein_memory_stats stats;
    skein_memory_stats_read(&stats);
    return (int64_t)stats.used_bytes;
}

static void
objects_are_freed_at_home(struct check *check)
{
    struct parcel parcel;
    for (int round = 0; round < 3; round++) {
        CHECK(check, skein_call(1, fill_parcel, &parcel, SKEIN_NEVER) == 0);
        CHECK(check, parcel.owner == 1);
        CHECK(check, skein_call(1, used_here, NULL, SKEIN_NEVER) > 25000000);
        for (int i = 0; i < 100; i++) {
            size_t bytes = (size_t)i * i * i;
            unsigned char *object = parcel.objects[i];
            CHECK(check, skein_owner(object) == 1);
            CHECK(check, skein_usable_bytes(object) >= bytes);
            CHECK(check, bytes == 0 || (object[0] == i && object[bytes - 1] == i));
            skein_free(object);
        }
        CHECK(check, skein_call(1, used_here, NULL, SKEIN_NEVER) == 0);
    }
    CHECK(check, used_here(NULL) == 0);
}

struct delivery {
    struct skein_parcel *parcel;
    struct skein_bytes kept; /* there */
};

static int64_t
take_delivery(void *arg)
{
    struct delivery *delivery = arg;
    struct skein_bytes bytes;
    if (skein_bytes_unpack(delivery->parcel, &bytes) < 0)
        return -SKEIN_ENOMEM;
    int64_t sum = 0;
    for (size_t i = 0; i < bytes.count; i++)
        sum += bytes.data[i];
    delivery->kept = skein_bytes_split(&bytes, 10);
    skein_bytes_unref(&bytes);
    return sum;
}

static int64_t
let_go(void *arg)
{
    struct delivery *delivery = arg;
    bool same = delivery->kept.count == 10 && delivery->kept.data[9] == 9;
    skein_bytes_unref(&delivery->kept);
    return same ? 0 : -1;
}

static void
dropped_at_home(void *context)
{
    int *dropped_on = context;
    *dropped_on = (int)skein_shard_index();
}

static void
slices_travel_without_copying(struct check *check)
{
    uint8_t data[200];
    int dropped_on = -1;
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    for (unsigned shard = 0; shard < SHARDS_SUITE_COUNT; shard++) {
        struct delivery delivery = {0};
        struct skein_bytes bytes;
        dropped_on = -1;
        CHECK(check, skein_bytes_wrap(data, 200, dropped_at_home, &dropped_on, &bytes) == 0);
        delivery.parcel = skein_bytes_pack(&bytes);
        CHECK(check, delivery.parcel && bytes.buf == NULL);
        CHECK(check, skein_call(shard, take_delivery, &delivery, SKEIN_NEVER) == 199 * 100);
        CHECK(check, delivery.kept.data == data); /* the bytes have not moved */
        CHECK(check, dropped_on == -1);
        CHECK(check, skein_call(shard, let_go, &delivery, SKEIN_NEVER) == 0);
        while (dropped_on == -1)
            CHECK(check, skein_sleep(skein_deadline_in(MS)) == 0);
        CHECK(check, dropped_on == 0);
    }
    struct skein_bytes unwanted;
    dropped_on = -1;
    CHECK(check, skein_bytes_wrap(data, 1, dropped_at_home, &dropped_on, &unwanted) == 0);
    skein_parcel_drop(skein_bytes_pack(&unwanted));
    skein_parcel_drop(NULL);
    while (dropped_on == -1)
        CHECK(check, skein_sleep(skein_deadline_in(MS)) == 0);
    CHECK(check, used_here(NULL) == 0);
}

/* ---- services ---- */

struct counter {
    unsigned shard;
    int64_t value;
    struct skein_waitq changed;
    int *fiber_ends;
};

struct counter_config {
    int fail_on; /* a shard's number, or -1 */
    int64_t initial;
    char starts[SHARDS_SUITE_COUNT + 1], stops[SHARDS_SUITE_COUNT + 1];
    int start_count, stop_count;
    int fiber_ends[SHARDS_SUITE_COUNT];
};

static struct counter_config *counter_config; /* written while shards take turns */

static void
counter_fiber(void *arg)
{
    struct counter *counter = arg;
    while (skein_wait(&counter->changed, SKEIN_NEVER) == 0)
        counter->value++;
    ++*counter->fiber_ends;
}

static int
counter_start(void *local, struct skein_scope *scope, void *arg)
{
    struct counter *counter = local;
    struct counter_config *config = arg;
    if ((int)skein_shard_index() == config->fail_on)
        return -SKEIN_EBUSY;
    config->starts[config->start_count++] = (char)('0' + skein_shard_index());
    counter->shard = skein_shard_index();
    counter->value = config->initial + counter->shard;
    counter->fiber_ends = &config->fiber_ends[counter->shard];
    skein_waitq_init(&counter->changed);
    return skein_spawn(scope, "counter", counter_fiber, counter, SKEIN_STACK_SMALL);
}

static void
counter_stop(void *local)
{
    struct counter *counter = local;
    struct counter_config *config = counter_config;
    config->stops[config->stop_count++] = (char)('0' + counter->shard);
}

static const struct skein_service_ops counter_ops = {
    .bytes = sizeof(struct counter), .start = counter_start, .stop = counter_stop};

static int64_t
counter_bump(void *local, void *arg)
{
    struct counter *counter = local;
    skein_wake_all(&counter->changed);
    skein_yield();
    skein_yield();
    return counter->shard == skein_shard_index() ? counter->value : -1;
}

static int64_t
counter_slow(void *local, void *arg)
{
    return skein_sleep(skein_deadline_in(3 * MS));
}

struct invoker {
    struct skein_service *service;
    int64_t result;
};

static void
invoke_slow(void *arg)
{
    struct invoker *invoker = arg;
    invoker->result = skein_service_invoke_on(invoker->service, 2, counter_slow, NULL, SKEIN_NEVER);
}

static void
a_service_has_an_instance_everywhere(struct check *check)
{
    struct counter_config config = {.fail_on = -1, .initial = 10};
    struct skein_service *service;
    int64_t results[SHARDS_SUITE_COUNT];
    counter_config = &config;
    CHECK(check, skein_service_start(&service, &counter_ops, &config) == 0);
    CHECK(check, strcmp(config.starts, "012") == 0);
    CHECK(check, ((struct counter *)skein_service_local(service))->value == 10);
    CHECK(check, skein_service_invoke_on(service, 2, counter_bump, NULL, SKEIN_NEVER) == 13);
    CHECK(check, skein_service_invoke_all(service, counter_bump, NULL, results, SKEIN_NEVER) == 0);
    CHECK(check, results[0] == 11 && results[1] == 12 && results[2] == 14);
    /* What runs in it is waited for. */
    struct invoker invoker = {.service = service, .result = 1};
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "slow", invoke_slow, &invoker, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_sleep(skein_deadline_in(MS)) == 0);
    skein_service_stop(service);
    skein_scope_join(&scope);
    CHECK(check, invoker.result == 0);
    CHECK(check, strcmp(config.stops, "210") == 0);
    for (int i = 0; i < SHARDS_SUITE_COUNT; i++)
        CHECK(check, config.fiber_ends[i] == 1);
    skein_service_stop(NULL);
}

static void
a_service_that_fails_to_start_leaves_nothing(struct check *check)
{
    struct counter_config config = {.fail_on = 2, .initial = 1};
    struct skein_service *service = NULL;
    counter_config = &config;
    CHECK(check, skein_service_start(&service, &counter_ops, &config) == -SKEIN_EBUSY);
    CHECK(check, service == NULL);
    CHECK(check, strcmp(config.starts, "01") == 0);
    CHECK(check, strcmp(config.stops, "10") == 0);
    CHECK(check, config.fiber_ends[0] == 1 && config.fiber_ends[1] == 1);
}

const struct shards_suite_case shards_suite_cases[] = {
    {"a call runs there and brings its result", a_call_runs_there_and_brings_its_result},
    {"calls nest", calls_nest},
    {"calls wait for a credit", calls_wait_for_a_credit},
    {"calls run in the caller's group", calls_run_in_the_callers_group},
    {"a deadline cancels what runs there", a_deadline_cancels_what_runs_there},
    {"a cancelled caller takes its call along", a_cancelled_caller_takes_its_call_along},
    {"posts arrive in order", posts_arrive_in_order},
    {"a full ring refuses", a_full_ring_refuses},
    {"messages come home", messages_come_home},
    {"waiting for room ends at the deadline", waiting_for_room_ends_at_the_deadline},
    {"two full rings do not deadlock", two_full_rings_do_not_deadlock},
    {"map-reduce folds in order", map_reduce_folds_in_order},
    {"foreign pointers are freed at home", foreign_pointers_are_freed_at_home},
    {"objects are freed at home", objects_are_freed_at_home},
    {"slices travel without copying", slices_travel_without_copying},
    {"a service has an instance everywhere", a_service_has_an_instance_everywhere},
    {"a service that fails to start leaves nothing", a_service_that_fails_to_start_leaves_nothing},
    {NULL, NULL},
};

int
shards_suite_main(void *arg)
{
    struct shards_suite_run *run = arg;
    run->suite_case->fn(&run->check);
    return 42;
}
