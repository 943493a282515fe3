/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/machine_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ARG_MAX 16

const struct kv_limits bench_limits = {
    .key_bytes_max = 64 << 10, .value_bytes_max = 1 << 20, .reply_bytes_max = 64 << 20};

struct bench
bench_open(void *config)
{
    struct bench bench = {.time_ms = BENCH_START_MS, .limits = bench_limits};
    assert_int_equal(kv_machine_ops.open(&bench.machine, config), 0);
    return bench;
}

void
bench_close(struct bench *bench)
{
    kv_machine_ops.close(bench->machine);
    wire_writer_deinit(&bench->reply);
}

void
bench_add_line(struct wire_writer *batch, const char *line)
{
    struct kv_arg argv[ARG_MAX];
    uint32_t argc = 0;
    while (*line) {
        size_t count = strcspn(line, " ");
        assert_true(argc < ARG_MAX);
        bool empty = count == 2 && !memcmp(line, "''", 2);
        argv[argc++] = (struct kv_arg){(const uint8_t *)line, empty ? 0 : count};
        line += count + (line[count] == ' ');
    }
    kv_batch_add(batch, argv, argc);
}

void
bench_run(struct bench *bench, struct wire_writer *batch, bool query)
{
    struct replica_command command = {.time_ms = bench->time_ms,
                                      .data = bytes_borrow(batch->data, batch->count)};
    bench->reply.count = 0;
    if (query)
        kv_machine_ops.query(bench->machine, &command, &bench->reply);
    else
        kv_machine_ops.apply(bench->machine, &command, &bench->reply);
    wire_put_u8(&bench->reply, 0);
    bench->reply.count--;
}

const char *
bench_call(struct bench *bench, const char *line, bool query)
{
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, &bench->limits);
    bench_add_line(&batch, line);
    bench_run(bench, &batch, query);
    wire_writer_deinit(&batch);
    return (const char *)bench->reply.data;
}

void
bench_check_rows(struct bench *bench, const struct bench_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *reply = bench_call(bench, rows[i].line, false);
        size_t bytes = strlen(rows[i].reply);
        bool full = bytes >= 2 && !memcmp(rows[i].reply + bytes - 2, "\r\n", 2);
        if (strncmp(reply, rows[i].reply, bytes) || strcmp(reply + bytes, full ? "" : "\r\n")) {
            print_error("%s: %s, wanted %s\n", rows[i].line, reply, rows[i].reply);
            fail();
        }
    }
}
