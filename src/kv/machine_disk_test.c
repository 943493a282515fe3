/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the machine on a table on disk is the one in memory, and after a restart what it was when
 * it was persisted; a machine that fails says so, and does not crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kv/machine.h"
#include "skein/error.h"
#include "skein/runtime.h"

/* One program, one thread: its own. */
static char top[256];
static unsigned dir_count;

struct one {
    const struct replica_machine_ops *ops;
    void *machine;
    uint64_t time_ms;
    struct wire_writer reply;
    char why[512];
};

static void
new_dir(char out_path[300])
{
    snprintf(out_path, 300, "%s/%u", top, dir_count++);
    assert_int_equal(mkdir(out_path, 0755), 0);
}

static int
try_open(struct one *one, const char *dir, enum kv_store store)
{
    *one = (struct one){.time_ms = 1000};
    struct kv_machine_config config = {
        .store = store, .data_dir = dir, .memory_bytes_max = 1 << 20, .out_why = one->why};
    one->ops = store == KV_STORE_LMDB ? &kv_machine_disk_ops : &kv_machine_ops;
    return one->ops->open(&one->machine, dir ? &config : NULL);
}

static struct one
open_one(const char *dir, enum kv_store store)
{
    struct one one;
    int rc = try_open(&one, dir, store);
    if (rc < 0)
        print_message("%s\n", one.why);
    assert_int_equal(rc, 0);
    return one;
}

static void
close_one(struct one *one)
{
    one->ops->close(one->machine);
    wire_writer_deinit(&one->reply);
}

/* Words separated by spaces; the reply ends in a zero. */
static const char *
call(struct one *one, const char *line)
{
    static const struct kv_limits limits = {
        .key_bytes_max = 64 << 10, .value_bytes_max = 1 << 20, .reply_bytes_max = 64 << 20};
    struct kv_arg argv[8];
    uint32_t argc = 0;
    struct wire_writer batch = {0};
    for (; *line; line += argv[argc - 1].count + (line[argv[argc - 1].count] == ' ')) {
        assert_true(argc < 8);
        argv[argc++] = (struct kv_arg){(const uint8_t *)line, strcspn(line, " ")};
    }
    kv_batch_begin(&batch, &limits);
    kv_batch_add(&batch, argv, argc);
    struct replica_command command = {.time_ms = one->time_ms,
                                      .data = bytes_borrow(batch.data, batch.count)};
    if (one->ops->prepare)
        (void)one->ops->prepare(one->machine, &command.data, 1);
    one->reply.count = 0;
    one->ops->apply(one->machine, &command, &one->reply);
    wire_put_u8(&one->reply, 0);
    wire_writer_deinit(&batch);
    return (const char *)one->reply.data;
}

static int
persist(struct one *one, const char *note)
{
    return one->ops->persist(one->machine, bytes_borrow(note, strlen(note)));
}

/* Whatever runs out of memory: no crash, and the machine says that it cannot go on; nothing else
 * makes it say so. */
static void
test_no_memory(void **state)
{
    char line[800] = "set large ", why[512];
    memset(line + 10, 'v', 700);
    uint64_t failures = 0;
    for (uint64_t nth = 0; nth < 12; nth++) {
        struct one one = open_one(NULL, KV_STORE_MEMORY);
        call(&one, "set a 1 px 1000");
        mem_fail_at(nth);
        call(&one, line);
        call(&one, "set a 2 px 5000");
        call(&one, "append a 345");
        bool failed = mem_fail_at(0) >= nth && nth > 0;
        assert_int_equal(one.ops->failure(one.machine, why), failed ? -SKEIN_ENOMEM : 0);
        call(&one, "del a large");
        call(&one, "flushall");
        failures += failed;
        close_one(&one);
    }
    assert_true(failures >= 3);
}

static void
test_restart(void **state)
{
    char dir[300];
    struct bytes note = {0};
    new_dir(dir);
    struct one one = open_one(dir, KV_STORE_LMDB);
    assert_int_equal(one.ops->note(one.machine, &note), -SKEIN_ENOTFOUND);
    call(&one, "set kept 1");
    call(&one, "set short 1 px 1000");
    call(&one, "set long 1 px 5000");
    assert_int_equal(persist(&one, "the note"), 0);
    call(&one, "set lost 1");
    call(&one, "incr kept");
    uint32_t checksum = kv_machine_checksum(one.machine);
    close_one(&one);

    one = open_one(dir, KV_STORE_LMDB);
    assert_int_equal(one.ops->note(one.machine, &note), 0);
    assert_int_equal(note.count, 8);
    assert_memory_equal(note.data, "the note", 8);
    bytes_unref(&note);
    assert_string_equal(call(&one, "get kept"), "$1\r\n1\r\n");
    assert_string_equal(call(&one, "get lost"), "$-1\r\n");
    assert_string_equal(call(&one, "dbsize"), ":3\r\n");
    /* The log is applied again. */
    call(&one, "set lost 1");
    call(&one, "incr kept");
    assert_int_equal(kv_machine_checksum(one.machine), checksum);
    assert_int_equal(kv_machine_next_expiry_ms(one.machine), 2000);
    one.time_ms = 3000;
    assert_string_equal(call(&one, "exists short long"), ":1\r\n");
    assert_string_equal(call(&one, "dbsize"), ":3\r\n");
    close_one(&one);
}

struct tape {
    struct replica_sink sink;
    struct replica_source source;
    struct wire_writer bytes;
    size_t at;
};

static int
save(struct replica_sink *sink, const void *data, size_t count)
{
    wire_put_raw(&BASE_CONTAINER_OF(sink, struct tape, sink)->bytes, data, count);
    return 0;
}

static int
load(struct replica_source *source, void *data, size_t count)
{
    struct tape *tape = BASE_CONTAINER_OF(source, struct tape, source);
    if (tape->bytes.count - tape->at < count)
        return -SKEIN_EEOF;
    memcpy(data, tape->bytes.data + tape->at, count);
    tape->at += count;
    return 0;
}

/* What one member saves the other loads, many levels long, and both say the same. */
static void
test_snapshot_between_the_two(void **state)
{
    char dir[300], line[500];
    new_dir(dir);
    struct one memory = open_one(NULL, KV_STORE_MEMORY), disk = open_one(dir, KV_STORE_LMDB);
    struct tape tape = {.sink.write = save, .source.read = load};
    call(&disk, "set gone 1");
    assert_int_equal(persist(&disk, "old"), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof(line), "set key:%d %0200d%s", i, i, i % 10 ? "" : " px 1000000");
        call(&memory, line);
    }
    assert_int_equal(memory.ops->snapshot_save(memory.machine, &tape.sink), 0);
    assert_int_equal(disk.ops->snapshot_load(disk.machine, &tape.source), 0);
    assert_int_equal(kv_machine_checksum(disk.machine), kv_machine_checksum(memory.machine));
    close_one(&disk);
    /* It was not persisted. */
    disk = open_one(dir, KV_STORE_LMDB);
    assert_string_equal(call(&disk, "dbsize"), ":1\r\n");
    tape.at = 0;
    assert_int_equal(disk.ops->snapshot_load(disk.machine, &tape.source), 0);
    assert_int_equal(persist(&disk, "new"), 0);
    close_one(&disk);
    disk = open_one(dir, KV_STORE_LMDB);
    assert_int_equal(kv_machine_checksum(disk.machine), kv_machine_checksum(memory.machine));
    size_t first_bytes = tape.bytes.count;
    tape.bytes.count = 0;
    assert_int_equal(disk.ops->snapshot_save(disk.machine, &tape.sink), 0);
    assert_int_equal(tape.bytes.count, first_bytes);
    close_one(&disk);
    close_one(&memory);
    wire_writer_deinit(&tape.bytes);
}

static void
test_other_store_is_refused(void **state)
{
    char dir[300], path[400];
    struct one one;
    new_dir(dir);
    one = open_one(dir, KV_STORE_LMDB);
    close_one(&one);
    assert_int_equal(try_open(&one, dir, KV_STORE_MEMORY), -SKEIN_EIDENTITY);
    assert_non_null(strstr(one.why, "start it with --store lmdb"));
    new_dir(dir);
    snprintf(path, sizeof(path), "%s/wal", dir);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(try_open(&one, dir, KV_STORE_LMDB), -SKEIN_EIDENTITY);
    assert_non_null(strstr(one.why, "start it with --store memory"));
    one = open_one(dir, KV_STORE_MEMORY);
    close_one(&one);
}

static void
test_damaged_value_is_a_failure(void **state)
{
    char dir[300], path[400], why[512];
    uint8_t buffer[1 << 16];
    new_dir(dir);
    struct one one = open_one(dir, KV_STORE_LMDB);
    call(&one, "set key find-this-value");
    assert_int_equal(persist(&one, "n"), 0);
    close_one(&one);
    snprintf(path, sizeof(path), "%s/table/data.mdb", dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t count = fread(buffer, 1, sizeof(buffer), file);
    uint8_t *at = memmem(buffer, count, "find-this-value", 15);
    assert_non_null(at);
    fseek(file, at - buffer, SEEK_SET);
    fputc('F', file);
    fclose(file);
    one = open_one(dir, KV_STORE_LMDB);
    assert_int_equal(one.ops->failure(one.machine, why), 0);
    call(&one, "get key");
    assert_int_equal(one.ops->failure(one.machine, why), -SKEIN_ECORRUPT);
    assert_int_equal(persist(&one, "n"), -SKEIN_ECORRUPT);
    close_one(&one);
}

static int
run(void *arg)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_value_is_a_failure), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_other_store_is_refused),     cmocka_unit_test(test_restart),
        cmocka_unit_test(test_snapshot_between_the_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES], command[300];
    const char *parent = getenv("TMPDIR");
    int result = 1;
    options.shard_count = 1;
    options.pin = false;
    snprintf(top, sizeof(top), "%s/skein-kv-disk-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(top))
        return 1;
    int rc = skein_runtime_run(&options, run, NULL, &result, why);
    if (rc < 0)
        fprintf(stderr, "%s\n", why);
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    if (system(command) != 0)
        result = 1;
    return rc < 0 ? 1 : result;
}
