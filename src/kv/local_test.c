/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the commands the face answers itself give Redis' replies and error texts, with figures that
 * are true; what clients send when they connect works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kv/face_fake.h"
#include "skein/error.h"

static void
session_body(struct fake *fake)
{
    fake_exchange(fake, "ping a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n");
    fake_exchange(fake, "echo\r\n", "-ERR wrong number of arguments for 'echo' command\r\n");
    fake_exchange(fake, "ping\r\nPING hi\r\necho \"\"\r\n", "+PONG\r\n$2\r\nhi\r\n$0\r\n\r\n");
    fake_exchange(fake, "select 1\r\nselect x\r\nselect 0\r\n",
                  "-ERR DB index is out of range\r\n"
                  "-ERR value is not an integer or out of range\r\n+OK\r\n");
    fake_exchange(fake, "auth default x\r\nauth user x\r\nauth a b c\r\nhello 2 auth a b\r\n",
                  "+OK\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n"
                  "-ERR syntax error\r\n"
                  "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    fake_exchange(fake, "auth x\r\n",
                  "-ERR AUTH <password> called without any password configured for the default "
                  "user. Are you sure your configuration is correct?\r\n");
    fake_exchange(fake, "watch k\r\n",
                  "-ERR unknown command 'watch', with args beginning with: 'k' \r\n");
    fake_exchange(fake,
                  "client setname me\r\nskein read stale 5\r\nreset\r\nclient getname\r\nget k\r\n",
                  "+OK\r\n+OK\r\n+RESET\r\n$-1\r\n$1\r\nk\r\n");
    CHECK(&fake->check, fake->level == REPLICA_LINEARIZABLE && fake->stale_ns == 0);
    fake_exchange(fake, "time x\r\n", "-ERR wrong number of arguments for 'time' command\r\n");
}

static void
session(void **state)
{
    assert_int_equal(fake_run(session_body, NULL), 0);
}

static void
hello_body(struct fake *fake)
{
    fake_exchange(fake, "hello 3\r\nhello 1\r\nhello x\r\n",
                  "-NOPROTO unsupported protocol version\r\n"
                  "-NOPROTO unsupported protocol version\r\n"
                  "-ERR Protocol version is not an integer or out of range\r\n");
    fake_exchange(fake, "hello 2 setname\r\nhello 2 x\r\n",
                  "-ERR Syntax error in HELLO option 'setname'\r\n"
                  "-ERR Syntax error in HELLO option 'x'\r\n");
    struct kv_client *client = fake_client(fake);
    static const char *const hello[] = {"HELLO", "2", "SETNAME", "me"};
    static const char *const getname[] = {"CLIENT", "GETNAME"};
    struct kv_reply reply = {0};
    CHECK(&fake->check, kv_client_call(client, &reply, fake_soon(), 4, hello) == 0);
    CHECK(&fake->check, reply.type == KV_REPLY_ARRAY && reply.element_count == 14);
    CHECK(&fake->check, reply.elements[5].integer == 2);
    kv_reply_deinit(&reply);
    CHECK(&fake->check, kv_client_call(client, &reply, fake_soon(), 2, getname) == 0);
    CHECK(&fake->check, reply.text.count == 2 && memcmp(reply.text.data, "me", 2) == 0);
    kv_reply_deinit(&reply);
    kv_client_close(client);
}

static void
hello(void **state)
{
    assert_int_equal(fake_run(hello_body, NULL), 0);
}

/* redis-py looks up each of these and takes it for a number. */
static void
client_info_body(struct fake *fake)
{
    static const char *const numbers[] = {"id",   "age",  "idle", "db",    "sub",       "psub",
                                          "ssub", "qbuf", "obl",  "multi", "qbuf-free", "argv-mem",
                                          "oll",  "omem", "resp", "redir", "multi-mem", "tot-mem"};
    static const char request[] = "client setname me\r\nclient info\r\n";
    size_t count;
    int handle = fake_connect(fake);
    CHECK(&fake->check, skein_socket_send(handle, request, sizeof(request) - 1, fake_soon()) == 0);
    CHECK(&fake->check, skein_socket_shutdown(handle) == 0);
    char *got = fake_read_all(handle, &count);
    skein_close(handle);
    for (size_t i = 0; i < BASE_COUNT_OF(numbers); i++) {
        char field[32];
        snprintf(field, sizeof(field), "%s%s=", i ? " " : "", numbers[i]);
        char *at = strstr(got, field), *end = NULL;
        if (!CHECK(&fake->check, at != NULL))
            continue;
        (void)strtoll(at + strlen(field), &end, 10);
        CHECK(&fake->check, end > at + strlen(field) && *end == ' ');
    }
    CHECK(&fake->check, strstr(got, " name=me ") != NULL && strstr(got, " cmd=client ") != NULL);
    mem_free(got);
}

static void
client_info(void **state)
{
    assert_int_equal(fake_run(client_info_body, NULL), 0);
}

static void
client_body(struct fake *fake)
{
    fake_exchange(fake, "client foo\r\n", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n");
    fake_exchange(fake, "client\r\nclient setname\r\n",
                  "-ERR wrong number of arguments for 'client' command\r\n"
                  "-ERR wrong number of arguments for 'client|setname' command\r\n");
    fake_exchange(fake, "client setname \"a b\"\r\nclient getname\r\n",
                  "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
                  "$-1\r\n");
    fake_exchange(fake, "client setinfo x y\r\nclient setinfo LIB-NAME \"a b\"\r\n",
                  "-ERR Unrecognized option 'x'\r\n"
                  "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n");
    fake_exchange(fake, "client setname n\r\nclient getname\r\nclient setinfo lib-ver 1.2\r\n",
                  "+OK\r\n$1\r\nn\r\n+OK\r\n");
    fake_exchange(fake, "client id\r\n", ":6\r\n");
}

static void
client(void **state)
{
    assert_int_equal(fake_run(client_body, NULL), 0);
}

static void
config_body(struct fake *fake)
{
    fake_exchange(fake, "config get\r\nconfig set a\r\nconfig reset\r\n",
                  "-ERR wrong number of arguments for 'config|get' command\r\n"
                  "-ERR wrong number of arguments for 'config|set' command\r\n"
                  "-ERR unknown subcommand 'reset'. Try CONFIG HELP.\r\n");
    fake_exchange(fake, "config set a b\r\nconfig set port 1\r\nconfig set loglevel a b c\r\n",
                  "-ERR Unknown option or number of arguments for CONFIG SET - 'a'\r\n"
                  "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set "
                  "immutable config\r\n"
                  "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - can't set "
                  "immutable config\r\n");
    /* The test's thread has no sink: nothing is logged. */
    fake_exchange(fake, "config get loglevel\r\nconfig set loglevel raft=debug\r\n",
                  "*2\r\n$8\r\nloglevel\r\n$3\r\noff\r\n+OK\r\n");
    fake_exchange(fake, "config set loglevel verbose\r\n",
                  "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument "
                  "must be debug, info, warn, error or off, and module=level for at most 32 "
                  "modules, separated by commas\r\n");
    fake_exchange(fake, "config get nothing\r\n", "*0\r\n");
    fake_exchange(fake, "CONFIG GET save\r\nconfig get APP*nly\r\n",
                  "*2\r\n$4\r\nsave\r\n$0\r\n\r\n*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    fake_exchange(fake, "config get proto-max-bulk-len max*s\r\n",
                  "*4\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n"
                  "$18\r\nproto-max-bulk-len\r\n$7\r\n4194304\r\n");
}

static void
config(void **state)
{
    assert_int_equal(fake_run(config_body, NULL), 0);
}

static void
command_body(struct fake *fake)
{
    fake_exchange(fake, "command foo\r\n", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n");
    fake_exchange(fake, "command count\r\ncommand docs\r\ncommand docs get\r\n",
                  ":25\r\n*0\r\n*0\r\n");
    fake_exchange(fake, "command info get nothing\r\n",
                  "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
                  "*0\r\n*0\r\n*0\r\n*0\r\n*-1\r\n");
    struct kv_client *client = fake_client(fake);
    static const char *const list[] = {"COMMAND", "LIST"};
    static const char *const all[] = {"COMMAND"};
    struct kv_reply reply = {0};
    CHECK(&fake->check, kv_client_call(client, &reply, fake_soon(), 2, list) == 0);
    CHECK(&fake->check, reply.element_count == 25);
    for (size_t i = 1; i < reply.element_count; i++)
        CHECK(&fake->check, strncmp((const char *)reply.elements[i - 1].text.data,
                                    (const char *)reply.elements[i].text.data, 3) < 0);
    kv_reply_deinit(&reply);
    CHECK(&fake->check, kv_client_call(client, &reply, fake_soon(), 1, all) == 0);
    CHECK(&fake->check, reply.element_count == 25);
    kv_reply_deinit(&reply);
    kv_client_close(client);
}

static void
command(void **state)
{
    assert_int_equal(fake_run(command_body, NULL), 0);
}

/* The text of INFO with these sections, NUL-terminated; mem_free it. */
static char *
info(struct fake *fake, const char *section)
{
    struct kv_client *asker = fake_client(fake);
    const char *const argv[] = {"INFO", section};
    struct kv_reply reply = {0};
    CHECK(&fake->check, kv_client_call(asker, &reply, fake_soon(), section ? 2 : 1, argv) == 0);
    char *text = mem_zalloc(reply.text.count + 1);
    memcpy(text, reply.text.data, reply.text.count);
    kv_reply_deinit(&reply);
    kv_client_close(asker);
    return text;
}

static void
info_body(struct fake *fake)
{
    char *text = info(fake, "nothing");
    CHECK(&fake->check, strcmp(text, "") == 0);
    mem_free(text);
    text = info(fake, "keyspace");
    CHECK(&fake->check, strcmp(text, "# Keyspace\r\ndb0:keys=13,expires=2,avg_ttl=0\r\n") == 0);
    mem_free(text);
    text = info(fake, NULL);
    static const char *const wanted[] = {"# Server\r\nredis_version:",
                                         "\r\n\r\n# Clients\r\nconnected_clients:",
                                         "# Memory\r\n",
                                         "# Persistence\r\n",
                                         "# Stats\r\n",
                                         "# Replication\r\nrole:master\r\n",
                                         "\r\n\r\n# Skein\r\nphase:running\r\n",
                                         "\r\nnode:3\r\n",
                                         "\r\nleader:2\r\n",
                                         "\r\nrole:follower\r\n",
                                         "\r\nterm:7\r\n",
                                         "\r\napplied:11\r\n",
                                         "\r\nkeys:13\r\n"};
    for (size_t i = 0; i < BASE_COUNT_OF(wanted); i++)
        if (!CHECK(&fake->check, strstr(text, wanted[i]) != NULL))
            fprintf(stderr, "%s is not in\n%s\n", wanted[i], text);
    mem_free(text);
}

static void
infos(void **state)
{
    assert_int_equal(fake_run(info_body, NULL), 0);
}

static void
once_body(struct fake *fake)
{
    fake_exchange(fake, "skein session open\r\nskein session open 5000\r\n",
                  "$16\r\n000000000000feed\r\n$16\r\n000000000000feed\r\n");
    CHECK(&fake->check, fake->ttl_ms == 5000);
    fake_exchange(fake, "skein once 000000000000feed 7 set k v\r\n", "+OK\r\n");
    CHECK(&fake->check, fake->session == 0xfeed && fake->sequence == 7);
    CHECK(&fake->check, fake->batches[fake->batch_count - 1].count == 1);
    fake_exchange(fake, "skein session close 000000000000FEED\r\n", "+OK\r\n");
    static const char usage[] = "-ERR SKEIN ONCE takes a session of 16 hexadecimal digits, a "
                                "sequence from 1 on, and a command\r\n";
    static const char *const senseless[] = {
        "skein once 00000000000feed 7 set k v\r\n",   "skein once 000000000000feeg 7 set k v\r\n",
        "skein once 0000000000000000 7 set k v\r\n",  "skein once 000000000000feed 0 set k v\r\n",
        "skein once 000000000000feed -1 set k v\r\n", "skein once 000000000000feed x set k v\r\n"};
    uint32_t count = fake->batch_count;
    for (size_t i = 0; i < BASE_COUNT_OF(senseless); i++)
        fake_exchange(fake, senseless[i], usage);
    fake_exchange(fake,
                  "skein once 000000000000feed 7\r\nskein once 000000000000feed 7 get k\r\n"
                  "skein once 000000000000feed 7 set k\r\nskein session\r\n"
                  "skein session open 5 5\r\nskein session open 999\r\nskein session close x\r\n"
                  "skein once 000000000000feed 7 skein once 000000000000feed 8 set k v\r\n",
                  "-ERR wrong number of arguments for 'skein|once' command\r\n"
                  "-ERR 'get' writes nothing: it needs no session\r\n"
                  "-ERR wrong number of arguments for 'set' command\r\n"
                  "-ERR SKEIN SESSION takes OPEN [milliseconds] or CLOSE <session>\r\n"
                  "-ERR SKEIN SESSION takes OPEN [milliseconds] or CLOSE <session>\r\n"
                  "-ERR a session's time is 1000 to 604800000 milliseconds without use\r\n"
                  "-ERR a session has 16 hexadecimal digits\r\n"
                  "-ERR 'skein' writes nothing: it needs no session\r\n");
    CHECK(&fake->check, fake->batch_count == count);
    fake->rc = -SKEIN_ESESSION;
    fake_exchange(fake, "skein once 000000000000feed 7 set k v\r\n",
                  "-NOSESSION no such session, or it has expired; whether an earlier copy of this "
                  "write was applied is not known\r\n");
    fake->rc = -SKEIN_EREPEATED;
    fake_exchange(fake, "skein once 000000000000feed 7 set k v\r\n",
                  "-REPEATED this sequence was applied, or passed over, before; its reply is not "
                  "kept\r\n");
    fake->rc = 0;
}

static void
once(void **state)
{
    assert_int_equal(fake_run(once_body, NULL), 0);
}

static void
levels_body(struct fake *fake)
{
    static const char wrong[] = "-ERR a read is LINEARIZABLE, LEASE, FOLLOWER or STALE <0 to "
                                "3600000 milliseconds>\r\n";
    static const char *const senseless[] = {
        "skein read fresh\r\n",         "skein read stale\r\n",     "skein read stale -1\r\n",
        "skein read stale 3600001\r\n", "skein read stale 1 1\r\n", "skein read follower 1\r\n"};
    for (size_t i = 0; i < BASE_COUNT_OF(senseless); i++)
        fake_exchange(fake, senseless[i], wrong);
    fake_exchange(fake, "get k\r\nskein read\r\n", "$1\r\nk\r\n+linearizable\r\n");
    CHECK(&fake->check, fake->level == REPLICA_LINEARIZABLE);
    fake_exchange(fake, "skein read stale 250\r\nget k\r\nskein read\r\n",
                  "+OK\r\n$1\r\nk\r\n+stale\r\n");
    CHECK(&fake->check, fake->level == REPLICA_STALE && fake->stale_ns == 250000000);
    fake_exchange(fake, "skein read follower\r\nget k\r\n", "+OK\r\n$1\r\nk\r\n");
    CHECK(&fake->check, fake->level == REPLICA_FOLLOWER && fake->stale_ns == 0);
    fake_exchange(fake, "skein read lease\r\nget k\r\n",
                  "-REFUSED this node was not told by how much clocks may differ: start every node "
                  "with --lease-drift-ppm\r\n$1\r\nk\r\n");
    CHECK(&fake->check, fake->level == REPLICA_LINEARIZABLE);
    fake->has_leases = true;
    fake_exchange(fake, "skein read lease\r\nget k\r\n", "+OK\r\n$1\r\nk\r\n");
    CHECK(&fake->check, fake->level == REPLICA_LEASE);
    fake->rc = -SKEIN_ESTALE;
    fake_exchange(fake, "get k\r\n",
                  "-STALE this node cannot show that its state is as fresh as this read asks for; "
                  "try again, or another node\r\n");
    fake->rc = 0;
}

static void
levels(void **state)
{
    assert_int_equal(fake_run(levels_body, NULL), 0);
}

static void
skein_body(struct fake *fake)
{
    fake_exchange(fake, "skein\r\nskein nonsense\r\nskein members 1\r\n",
                  "-ERR wrong number of arguments for 'skein' command\r\n"
                  "-ERR unknown subcommand 'nonsense'. Try SKEIN HELP.\r\n"
                  "-ERR wrong number of arguments for 'skein|members' command\r\n");
    fake_exchange(
        fake, "skein add 4=127.0.0.1\r\nskein add 0\r\nskein add 4x\r\nskein add 70000\r\n",
        "-ERR \"127.0.0.1\" is no address with a port\r\n"
        "-ERR a node is a number from 1 to 65535 or like 4=127.0.0.1:7104: \"0\"\r\n"
        "-ERR a node is a number from 1 to 65535 or like 4=127.0.0.1:7104: \"4x\"\r\n"
        "-ERR a node is a number from 1 to 65535 or like 4=127.0.0.1:7104: \"70000\"\r\n");
    fake_exchange(fake, "skein add 4=192.0.2.1:7104\r\nskein transfer 1 2\r\nskein transfer x\r\n",
                  "-ERR 192.0.2.1:7104 is not loopback, and nothing is encrypted or authenticated; "
                  "on a network that you trust start the nodes with --allow-plaintext\r\n"
                  "-ERR TRANSFER takes the number of one node, or nothing\r\n"
                  "-ERR TRANSFER takes the number of one node, or nothing\r\n");
    CHECK(&fake->check, fake->change.peer_count == 0);
    fake_exchange(fake, "SKEIN replace FORCE 3 4=127.0.0.1:7104\r\n",
                  "+STARTED 0000000000000abc\r\n");
    CHECK(&fake->check, fake->change.kind == REPLICA_REPLACE && fake->change.force);
    CHECK(&fake->check, fake->change.peer_count == 2 && fake->change.peers[0].node == 3);
    CHECK(&fake->check, fake->change.peers[0].addr.port == 0);
    CHECK(&fake->check, fake->change.peers[1].node == 4 && fake->change.peers[1].addr.port == 7104);
    fake_exchange(fake, "skein transfer 2\r\n", "+STARTED\r\n");
    CHECK(&fake->check, fake->transferred_to == 2);
    fake_exchange(fake, "skein members\r\n",
                  "$213\r\nnode:3\r\nleader:2\r\ncommit:0\r\nchange:running\r\n"
                  "change_id:0000000000000abc\r\nchange_failure:\r\n"
                  "change_note:waits: \"for\" node 4\r\n"
                  "member:4 learner 127.0.0.1:7104 0004000000000001 leads=0 answers=0 match=9 "
                  "state=snapshot\r\n\r\n");
    static const struct {
        int rc;
        const char *answer;
    } failures[] = {{-SKEIN_ENOTLEADER, "-NOTLEADER because\r\n"},
                    {-SKEIN_EBUSY, "-BUSY because\r\n"},
                    {-SKEIN_ENOTFOUND, "-NOMEMBER because\r\n"},
                    {-SKEIN_EREFUSED, "-REFUSED because\r\n"},
                    {-SKEIN_EINVALID, "-ERR because\r\n"}};
    for (size_t i = 0; i < BASE_COUNT_OF(failures); i++) {
        fake->rc = failures[i].rc;
        fake_exchange(fake, "skein remove 3\r\n", failures[i].answer);
        fake_exchange(fake, "skein transfer\r\n", failures[i].answer);
    }
    fake->rc = 0;
}

static void
skein(void **state)
{
    assert_int_equal(fake_run(skein_body, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_info), cmocka_unit_test(session), cmocka_unit_test(hello),
        cmocka_unit_test(client),      cmocka_unit_test(config),  cmocka_unit_test(command),
        cmocka_unit_test(infos),       cmocka_unit_test(levels),  cmocka_unit_test(once),
        cmocka_unit_test(skein),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
