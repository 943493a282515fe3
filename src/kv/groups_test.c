/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the face over several groups: each command goes to its keys' group and nowhere else,
 * replies come in the order of the commands, what is for several groups is refused or made of their
 * parts, and "not applied" is said only when it is true of every part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kv/conn.h"
#include "kv/face_fake.h"
#include "skein/error.h"

/* With 4 groups: hello is in group 0, bar in 1, foo in 2, {a} in 3. */
#define GROUPS 4

static kv_groups
seen(const struct fake *fake, uint32_t from)
{
    kv_groups groups = 0;
    for (uint32_t i = from; i < fake->batch_count; i++)
        groups |= UINT32_C(1) << fake->batches[i].group;
    return groups;
}

static void
turns_body(struct fake *fake)
{
    fake_exchange(fake, "set foo 1\r\nget foo\r\n", "+OK\r\n$3\r\nfoo\r\n");
    CHECK(&fake->check, fake->batch_count == 1 && seen(fake, 0) == 1 << 2);
    /* A batch a group; a group without a write reads. */
    fake_exchange(fake,
                  "get bar\r\nset foo 1\r\nget hello\r\nget foo\r\nset bar 2\r\nget hello\r\n",
                  "$3\r\nbar\r\n+OK\r\n$5\r\nhello\r\n$3\r\nfoo\r\n+OK\r\n$5\r\nhello\r\n");
    CHECK(&fake->check, fake->batch_count == 4 && seen(fake, 1) == 7);
    for (uint32_t i = 1; i < 4; i++) {
        CHECK(&fake->check, fake->batches[i].count == 2);
        CHECK(&fake->check, fake->batches[i].kind ==
                                (fake->batches[i].group == 0 ? REPLICA_READ : REPLICA_WRITE));
    }
    /* Local commands and wrong ones keep their place. */
    fake_exchange(fake, "get foo\r\nping\r\nget\r\nget bar\r\n",
                  "$3\r\nfoo\r\n+PONG\r\n-ERR wrong number of arguments for 'get' command\r\n"
                  "$3\r\nbar\r\n");
    fake->rc_of[2] = -SKEIN_EBUSY;
    fake_exchange(fake, "get hello\r\nset foo 1\r\nget foo\r\nset bar 1\r\n",
                  "$5\r\nhello\r\n"
                  "-BUSY too many commands are waiting on this node; the command was not applied, "
                  "try again\r\n"
                  "-BUSY too many commands are waiting on this node; the command was not applied, "
                  "try again\r\n"
                  "+OK\r\n");
}

static void
turns(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(turns_body, GROUPS), 0);
}

static void
long_pipeline_body(struct fake *fake)
{
    struct kv_client *client = fake_client(fake);
    const uint32_t count = 3000;
    kv_groups groups = 0;
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        size_t bytes = (size_t)snprintf(key, sizeof(key), "k%u", i);
        struct kv_arg argv[] = {{(const uint8_t *)"get", 3}, {(const uint8_t *)key, bytes}};
        groups |= UINT32_C(1) << kv_slot_group(kv_slot(argv[1]), KV_GROUPS_MAX);
        kv_client_send(client, argv, 2);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct kv_reply reply = {0};
        char key[16];
        size_t bytes = (size_t)snprintf(key, sizeof(key), "k%u", i);
        if (!CHECK(&fake->check, kv_client_receive(client, &reply, fake_soon()) == 0))
            break;
        CHECK(&fake->check, reply.text.count == bytes && memcmp(reply.text.data, key, bytes) == 0);
        kv_reply_deinit(&reply);
    }
    kv_client_close(client);
    uint32_t commands = 0;
    for (uint32_t i = 0; i < fake->batch_count; i++)
        commands += fake->batches[i].count;
    CHECK(&fake->check, commands == count);
    CHECK(&fake->check, seen(fake, 0) == groups);
}

static void
long_pipeline(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(long_pipeline_body, KV_GROUPS_MAX), 0);
}

static void
spread_body(struct fake *fake)
{
    fake_exchange(fake, "mset foo 1 bar 2\r\nmset foo 1 {foo}x 2\r\n",
                  "-CROSSSLOT Keys in request don't hash to the same slot\r\n:5\r\n");
    CHECK(&fake->check, fake->batch_count == 1);
    fake_exchange(fake, "get foo\r\nmget foo bar foo hello {foo}2\r\nget bar\r\n",
                  "$3\r\nfoo\r\n*5\r\n$3\r\nfoo\r\n$3\r\nbar\r\n$3\r\nfoo\r\n$5\r\nhello\r\n"
                  "$6\r\n{foo}2\r\n$3\r\nbar\r\n");
    CHECK(&fake->check, fake->batch_count == 6);
    fake_exchange(fake, "del foo bar foo\r\n", ":3\r\n");
    CHECK(&fake->check, fake->batch_count == 8);
    fake_exchange(fake, "keys x\r\n", "*4\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n");
    CHECK(&fake->check, seen(fake, 8) == 15);
    fake_exchange(fake, "flushall\r\nflushall bad\r\n", "+OK\r\n-ERR syntax error\r\n");
    fake_exchange(fake, "keys 12345678901234567890\r\n",
                  "-ERR reply is larger than 100 bytes (--reply-bytes-max)\r\n");
}

static void
spread(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(spread_body, GROUPS), 0);
}

/* The fake's groups are walked in two steps, at 0 and at 7. */
static void
walk_body(struct fake *fake)
{
    fake_exchange(fake, "scan 0\r\n", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\n0\r\n");
    CHECK(&fake->check, seen(fake, 0) == 1);
    fake_exchange(fake, "scan 7\r\n", "*2\r\n$15\r\n281474976710656\r\n*1\r\n$1\r\n7\r\n");
    fake_exchange(fake, "scan 281474976710656\r\n",
                  "*2\r\n$15\r\n281474976710663\r\n*1\r\n$1\r\n0\r\n");
    CHECK(&fake->check, seen(fake, 2) == 2);
    fake_exchange(fake, "scan 844424930131975\r\n", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\n7\r\n");
    CHECK(&fake->check, seen(fake, 3) == 8);
    /* Behind all groups, and no number: the last one's machine sees what was sent. */
    fake_exchange(fake, "scan 1125899906842624\r\n",
                  "*2\r\n$1\r\n0\r\n*1\r\n$16\r\n1125899906842624\r\n");
    fake_exchange(fake, "scan -1\r\n", "*2\r\n$1\r\n0\r\n*1\r\n$2\r\n-1\r\n");
    CHECK(&fake->check, seen(fake, 4) == 8);
}

static void
walk(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(walk_body, GROUPS), 0);
}

#define UNKNOWN                                                                                   \
    "-UNKNOWN the outcome of this write is unknown (no answer in time, or the leader or the way " \
    "to it was lost); it may or may not have been applied\r\n"
#define NOLEADER "-NOLEADER no leader within 5000 ms; the command was not applied, try again\r\n"

static void
outcomes_body(struct fake *fake)
{
    fake->rc_of[1] = -SKEIN_ENOLEADER;
    fake_exchange(fake, "mget foo bar\r\n", NOLEADER);
    /* One part is done: the whole cannot be called not applied. */
    fake_exchange(fake, "del foo bar\r\n", UNKNOWN);
    fake->rc_of[2] = -SKEIN_ENOLEADER;
    fake_exchange(fake, "del foo bar\r\n", NOLEADER);
    fake->rc_of[2] = -SKEIN_EUNKNOWN;
    fake_exchange(fake, "del foo bar\r\n", UNKNOWN);
    fake_exchange(fake, "mget foo hello\r\n",
                  "-NOLEADER no answer from a leader within 5000 ms; try again\r\n");
    /* In a session: gone in one group, done in another. */
    fake->rc_of[1] = -SKEIN_ESESSION;
    fake->rc_of[2] = 0;
    fake_exchange(fake, "skein once 000000000000feed 1 del foo bar\r\n", UNKNOWN);
    CHECK(&fake->check, fake->batches[fake->batch_count - 1].session == 0xfeed);
    fake->rc_of[2] = -SKEIN_ESESSION;
    fake_exchange(fake, "skein once 000000000000feed 2 del foo bar\r\n",
                  "-NOSESSION no such session, or it has expired; whether an earlier copy of this "
                  "write was applied is not known\r\n");
    fake->rc_of[1] = fake->rc_of[2] = 0;
    fake_exchange(fake, "skein once 000000000000feed 3 mset foo 1 bar 2\r\n",
                  "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    fake_exchange(fake, "skein once 000000000000feed 4 set bar 2\r\n", "+OK\r\n");
    CHECK(&fake->check, fake->batches[fake->batch_count - 1].group == 1);
}

static void
outcomes(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(outcomes_body, GROUPS), 0);
}

static void
transactions_body(struct fake *fake)
{
    fake_exchange(fake, "multi\r\nset foo 1\r\nget {foo}2\r\nexec\r\n",
                  "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$6\r\n{foo}2\r\n");
    CHECK(&fake->check, fake->batch_count == 1 && seen(fake, 0) == 1 << 2);
    fake_exchange(fake, "multi\r\nset foo 1\r\nset bar 1\r\nexec\r\nset bar 1\r\n",
                  "+OK\r\n+QUEUED\r\n-CROSSSLOT Keys in request don't hash to the same slot\r\n"
                  "-EXECABORT Transaction discarded because of previous errors.\r\n+OK\r\n");
    fake_exchange(fake, "multi\r\nmget foo bar\r\nexec\r\n",
                  "+OK\r\n-CROSSSLOT Keys in request don't hash to the same slot\r\n"
                  "-EXECABORT Transaction discarded because of previous errors.\r\n");
    CHECK(&fake->check, fake->batch_count == 2);
}

static void
transactions(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(transactions_body, GROUPS), 0);
}

static void
refused_body(struct fake *fake)
{
    fake_exchange(fake, "skein add 4=127.0.0.1:7104\r\nskein transfer\r\nskein snapshot\r\n",
                  "-ERR members cannot be changed: not with several groups (--groups 4)\r\n"
                  "-ERR leadership cannot be handed over as a whole: not with several groups "
                  "(--groups 4)\r\n"
                  "-ERR a snapshot holds one group, and this node has 4 (--groups)\r\n");
    fake_exchange(fake, "skein slot foo {foo}2\r\nskein slot\r\n",
                  "*2\r\n*3\r\n:12182\r\n:2\r\n:2\r\n*3\r\n:12182\r\n:2\r\n:2\r\n"
                  "-ERR wrong number of arguments for 'skein|slot' command\r\n");
}

static void
refused(void **state)
{
    (void)state;
    assert_int_equal(fake_run_groups(refused_body, GROUPS), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns),        cmocka_unit_test(long_pipeline), cmocka_unit_test(spread),
        cmocka_unit_test(walk),         cmocka_unit_test(outcomes),      cmocka_unit_test(refused),
        cmocka_unit_test(transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
