/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no batch and no snapshot that a peer, a log or a checkpoint may bring can crash the
 * machine, and whatever they bring, members stay alike: one that builds replies, one that does not,
 * one that loaded a snapshot. The first byte of the input chooses:
 *
 *   0: the rest is one batch            1: the rest is a snapshot of the machine
 *   2: the rest is a table's stream     else: a script, so that whole commands come up
 *
 * Script: u8 what, then 0: through a snapshot; 1: time passes, u16 ms; 2: a query; else: a batch.
 * Batch: u8 limits, u8 commands x ( u8 which | u8 arguments x ( u8 kind | bytes ) ).
 */
#include <stdio.h>
#include <string.h>

#include "base/wire.h"
#include "kv/batch.h"
#include "kv/command.h"
#include "kv/machine.h"
#include "skein/error.h"
#include "store/table_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARG_MAX 12
#define COMMANDS_MAX 16
#define LITERAL_MAX 96
/* So that one SETRANGE does not take the memory that the fuzzer is allowed. */
#define VALUE_BYTES_MAX (64u << 10)

/* Two members: one where a client waits, one where nobody does. */
struct pair {
    void *with;
    void *without;
    uint64_t time_ms;
};

/* Bytes to write to or to read from. */
struct tape {
    struct replica_sink sink;
    struct replica_source source;
    struct wire_writer out;
    struct wire_reader in;
};

static int
tape_write(struct replica_sink *sink, const void *data, size_t count)
{
    struct tape *tape = BASE_CONTAINER_OF(sink, struct tape, sink);
    wire_put_raw(&tape->out, data, count);
    return 0;
}

static int
tape_read(struct replica_source *source, void *data, size_t count)
{
    struct tape *tape = BASE_CONTAINER_OF(source, struct tape, source);
    const uint8_t *from = wire_get_raw(&tape->in, count);
    if (!from)
        return -SKEIN_EEOF;
    if (count)
        memcpy(data, from, count);
    return 0;
}

static struct tape
tape_of(const uint8_t *data, size_t count)
{
    return (struct tape){.sink = {.write = tape_write},
                         .source = {.read = tape_read},
                         .in = wire_reader_of(data, count)};
}

static void *
machine_new(void)
{
    void *machine;
    int rc = kv_machine_ops.open(&machine, NULL);
    skein_assert(rc == 0);
    return machine;
}

static void
check_alike(void *a, void *b)
{
    struct kv_machine_stats x, y;
    kv_machine_stats(a, &x);
    kv_machine_stats(b, &y);
    skein_assert(x.key_count == y.key_count);
    skein_assert(x.expiring_key_count == y.expiring_key_count);
    skein_assert(x.expired_total == y.expired_total);
    skein_assert(x.commands_total == y.commands_total);
    skein_assert(kv_machine_checksum(a) == kv_machine_checksum(b));
    skein_assert(kv_machine_next_expiry_ms(a) == kv_machine_next_expiry_ms(b));
}

static void
run(struct pair *pair, const uint8_t *batch, size_t count, bool query)
{
    struct replica_command command = {.time_ms = pair->time_ms, .data = bytes_borrow(batch, count)};
    struct wire_writer reply = {0};
    if (query) {
        uint32_t before = kv_machine_checksum(pair->with);
        kv_machine_ops.query(pair->with, &command, &reply);
        skein_assert(kv_machine_checksum(pair->with) == before);
    } else {
        kv_machine_ops.apply(pair->with, &command, &reply);
        kv_machine_ops.apply(pair->without, &command, NULL);
        check_alike(pair->with, pair->without);
    }
    wire_writer_deinit(&reply);
}

/* The member without replies goes on from a snapshot of the other one. */
static void
through_snapshot(struct pair *pair)
{
    struct tape tape = tape_of(NULL, 0);
    int rc = kv_machine_ops.snapshot_save(pair->with, &tape.sink);
    skein_assert(rc == 0);
    tape.in = wire_reader_of(tape.out.data, tape.out.count);
    rc = kv_machine_ops.snapshot_load(pair->without, &tape.source);
    skein_assert(rc == 0);
    skein_assert(wire_done(&tape.in));
    check_alike(pair->with, pair->without);
    wire_writer_deinit(&tape.out);
}

static struct kv_arg
draw_arg(struct wire_reader *in, char text[32])
{
    static const char *const words[] = {"ex",      "px",      "exat",  "pxat",
                                        "nx",      "xx",      "get",   "gt",
                                        "lt",      "count",   "type",  "match",
                                        "sync",    "keepttl", "",      "string",
                                        "*",       "k?",      "[a-c]", "async",
                                        "persist", "0",       "-1",    "1",
                                        "2",       "-0",      "70000", "9223372036854775807",
                                        "65535",   "500",     "k[0-9", "-9223372036854775808",
                                        "replace", "db",      "bit",   "byte",
                                        "1.5e3",   "-.00001", "1e20",  "999999999999999999999.9"};
    uint8_t kind = wire_get_u8(in);
    size_t count;
    const char *data = text;
    if (kind < BASE_COUNT_OF(words)) {
        data = words[kind];
        count = strlen(data);
    } else if (kind < 128) {
        count = (size_t)snprintf(text, 32, "k%d", kind % 8);
    } else {
        count = (size_t)(kind - 128) % LITERAL_MAX;
        count = count < wire_left(in) ? count : wire_left(in);
        data = (const char *)wire_get_raw(in, count);
    }
    return (struct kv_arg){(const uint8_t *)data, count};
}

static void
draw_batch(struct wire_reader *in, struct wire_writer *batch)
{
    static const struct kv_limits limits[] = {
        {.key_bytes_max = 64 << 10, .value_bytes_max = VALUE_BYTES_MAX, .reply_bytes_max = 1 << 20},
        {.key_bytes_max = 2, .value_bytes_max = 5, .reply_bytes_max = 1 << 10},
        {.key_bytes_max = 64, .value_bytes_max = 1000, .reply_bytes_max = 40},
        {.key_bytes_max = 64, .value_bytes_max = 0, .reply_bytes_max = 0}};
    struct kv_arg argv[ARG_MAX];
    char texts[ARG_MAX][32];
    kv_batch_begin(batch, &limits[wire_get_u8(in) % BASE_COUNT_OF(limits)]);
    for (uint32_t left = wire_get_u8(in) % COMMANDS_MAX; left > 0; left--) {
        uint8_t which = wire_get_u8(in);
        uint32_t argc = 1 + wire_get_u8(in) % (ARG_MAX - 1);
        for (uint32_t i = 0; i < argc; i++)
            argv[i] = draw_arg(in, texts[i]);
        if (which < 250) {
            const char *name = kv_data_commands[which % kv_data_command_count].name;
            argv[0] = (struct kv_arg){(const uint8_t *)name, strlen(name)};
        }
        kv_batch_add(batch, argv, argc);
    }
}

static void
run_script(const uint8_t *data, size_t count)
{
    struct wire_reader in = wire_reader_of(data, count);
    struct wire_writer batch = {0};
    struct pair pair = {.with = machine_new(), .without = machine_new(), .time_ms = 1000};
    while (!in.failed && wire_left(&in) > 0) {
        uint8_t what = wire_get_u8(&in) % 8;
        if (what == 0) {
            through_snapshot(&pair);
        } else if (what == 1) {
            pair.time_ms += wire_get_u16(&in);
        } else {
            draw_batch(&in, &batch);
            run(&pair, batch.data, batch.count, what == 2);
        }
    }
    through_snapshot(&pair);
    wire_writer_deinit(&batch);
    kv_machine_ops.close(pair.with);
    kv_machine_ops.close(pair.without);
}

static void
run_raw_batch(const uint8_t *data, size_t count)
{
    struct pair pair = {.with = machine_new(), .without = machine_new(), .time_ms = 1000};
    struct wire_writer batch = {0};
    wire_put_raw(&batch, data, count);
    if (count >= 9) {
        uint64_t value_bytes_max = wire_load(batch.data + 5, 4);
        if (value_bytes_max > VALUE_BYTES_MAX && value_bytes_max <= KV_VALUE_BYTES_MAX)
            wire_store(batch.data + 5, VALUE_BYTES_MAX, 4);
    }
    run(&pair, batch.data, batch.count, true);
    run(&pair, batch.data, batch.count, false);
    run(&pair, batch.data, batch.count, false);
    run(&pair, batch.data, batch.count, true);
    through_snapshot(&pair);
    wire_writer_deinit(&batch);
    kv_machine_ops.close(pair.with);
    kv_machine_ops.close(pair.without);
}

static void
run_snapshot(const uint8_t *data, size_t count)
{
    struct pair pair = {.with = machine_new(), .without = machine_new()};
    struct tape tape = tape_of(data, count);
    struct kv_machine_stats stats;
    if (kv_machine_ops.snapshot_load(pair.with, &tape.source) == 0) {
        through_snapshot(&pair);
    } else {
        kv_machine_stats(pair.with, &stats);
        skein_assert(stats.key_count == 0);
    }
    kv_machine_ops.close(pair.with);
    kv_machine_ops.close(pair.without);
}

static int
stream_write(void *context, const void *data, size_t count)
{
    struct tape *tape = context;
    return tape_write(&tape->sink, data, count);
}

static int
stream_read(void *context, void *data, size_t count)
{
    struct tape *tape = context;
    return tape_read(&tape->source, data, count);
}

/* What was taken is saved as a stream that is taken again and gives the same bytes. */
static void
run_stream(const uint8_t *data, size_t count)
{
    const struct table_stream_limits limits = {.key_bytes_max = 1000, .value_bytes_max = 100000};
    struct tape tape = tape_of(data, count), first = tape_of(NULL, 0), second = tape_of(NULL, 0);
    struct store_table *table;
    int rc = store_memtable_open(&table);
    skein_assert(rc == 0);
    if (table_stream_load(table, &limits, stream_read, NULL, &tape) == 0) {
        struct store_snapshot *snapshot = table->ops->snapshot_take(table);
        rc = table_stream_save(table, snapshot, stream_write, &first);
        skein_assert(rc == 0);
        table->ops->snapshot_release(snapshot);
        table->ops->clear(table);
        first.in = wire_reader_of(first.out.data, first.out.count);
        rc = table_stream_load(table, &limits, stream_read, NULL, &first);
        skein_assert(rc == 0);
        snapshot = table->ops->snapshot_take(table);
        rc = table_stream_save(table, snapshot, stream_write, &second);
        skein_assert(rc == 0);
        table->ops->snapshot_release(snapshot);
        skein_assert(first.out.count == second.out.count);
        skein_assert(memcmp(first.out.data, second.out.data, first.out.count) == 0);
    }
    table->ops->close(table);
    wire_writer_deinit(&first.out);
    wire_writer_deinit(&second.out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 0)
        run_raw_batch(data + 1, size - 1);
    else if (data[0] == 1)
        run_snapshot(data + 1, size - 1);
    else if (data[0] == 2)
        run_stream(data + 1, size - 1);
    else
        run_script(data + 1, size - 1);
    return 0;
}
