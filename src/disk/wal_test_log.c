/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_test_log.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/wire.h"
#include "disk/disk_test.h"
#include "disk/wal_block.h"

struct submitted {
    struct wal_write write;
    struct test_log *log;
    struct raft_hard_state hard_state;
    struct raft_snapshot snapshot;
    struct raft_entry *entries;
    uint64_t last;
};

void
test_log_data(uint8_t *data, uint64_t index, uint64_t term, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)((index * 131 + term * 17 + i) * 2654435761u >> 24);
}

int
test_log_wal_open(struct test_log *log, const struct wal_options *options)
{
    struct wal_recovery recovery;
    skein_scope_init(&log->scope);
    skein_waitq_init(&log->q);
    int rc = wal_open(&log->wal, options, &log->scope, &recovery, log->why);
    if (rc < 0)
        return rc;
    log->recovery = wal_recovery_take(&recovery, 0);
    log->torn_bytes = recovery.torn_bytes;
    wal_recovery_deinit(&recovery);
    return 0;
}

int
test_log_try_open(struct test_log *log, const char *dir, uint64_t segment_bytes)
{
    struct wal_options options = {
        .dir = dir,
        .identity = {.cluster = "test cluster 16", .node = log->node ? log->node : 7},
        .segment_bytes = segment_bytes,
        .queue_bytes_max = 256 << 20,
    };
    if (log->queue_bytes_max)
        options.queue_bytes_max = log->queue_bytes_max;
    return test_log_wal_open(log, &options);
}

void
test_log_open(struct test_log *log, const char *dir, uint64_t segment_bytes)
{
    if (log->term == 0)
        log->term = 1;
    log->pending = 0;
    log->failed_count = 0;
    int rc = test_log_try_open(log, dir, segment_bytes);
    if (rc != 0)
        print_error("wal_open: %s\n", log->why);
    assert_int_equal(rc, 0);
}

void
test_log_close(struct test_log *log)
{
    wal_close(log->wal);
    skein_scope_join(&log->scope);
    wal_free(log->wal);
    wal_group_recovery_deinit(&log->recovery);
    log->wal = NULL;
}

static void
on_durable(struct wal_write *write, int status)
{
    struct submitted *submitted = write->owner;
    struct test_log *log = submitted->log;
    log->pending--;
    if (status < 0) {
        log->failed_count++;
        log->failed_code = status;
    } else {
        log->durable_count++;
        if (submitted->last)
            log->durable_last = submitted->last;
    }
    for (size_t i = 0; i < write->entry_count; i++)
        bytes_unref(&submitted->entries[i].data);
    mem_free(submitted->entries);
    mem_free(submitted);
    skein_wake_all(&log->q);
}

static struct submitted *
submitted_new(struct test_log *log, bool sync)
{
    struct submitted *submitted = mem_zalloc(sizeof(*submitted));
    submitted->log = log;
    submitted->hard_state = log->model_state;
    submitted->write = (struct wal_write){.hard_state = &submitted->hard_state,
                                          .sync = sync,
                                          .on_durable = on_durable,
                                          .owner = submitted};
    return submitted;
}

int
test_log_try_submit(struct test_log *log, uint64_t term, uint64_t index, uint64_t count,
                    uint64_t bytes, bool sync)
{
    struct submitted *submitted = submitted_new(log, sync);
    submitted->hard_state.term = term;
    if (count == 0)
        submitted->hard_state.commit++;
    submitted->entries = mem_zalloc(count * sizeof(*submitted->entries));
    for (uint64_t i = 0; i < count; i++) {
        struct bytes_buf *buf = bytes_new(bytes);
        test_log_data(buf->data, index + i, term, bytes);
        submitted->entries[i] = (struct raft_entry){.term = term,
                                                    .index = index + i,
                                                    .type = RAFT_ENTRY_NORMAL,
                                                    .data = bytes_of(buf, bytes)};
        submitted->last = index + i;
    }
    submitted->write.entries = submitted->entries;
    submitted->write.entry_count = count;
    int rc = wal_submit(log->wal, &submitted->write);
    if (rc < 0) {
        log->pending++;
        uint64_t failed = log->failed_count;
        int code = log->failed_code;
        on_durable(&submitted->write, rc);
        log->failed_count = failed;
        log->failed_code = code;
        return rc;
    }
    log->pending++;
    log->model_state = submitted->hard_state;
    for (uint64_t i = 0; i < count; i++) {
        assert_true(index + i <= TEST_LOG_ENTRIES_MAX);
        log->model_terms[index + i - 1] = term;
        log->model_bytes[index + i - 1] = (uint32_t)bytes;
        log->model_last = index + i;
    }
    return 0;
}

void
test_log_submit(struct test_log *log, uint64_t term, uint64_t index, uint64_t count, uint64_t bytes,
                bool sync)
{
    assert_int_equal(test_log_try_submit(log, term, index, count, bytes, sync), 0);
}

void
test_log_wait(struct test_log *log)
{
    while (log->pending > 0)
        assert_int_equal(skein_wait(&log->q, SKEIN_NEVER), 0);
}

void
test_log_append(struct test_log *log, uint64_t term, uint64_t index, uint64_t count, uint64_t bytes)
{
    test_log_submit(log, term, index, count, bytes, true);
    test_log_wait(log);
    assert_int_equal(log->failed_count, 0);
}

void
test_log_snapshot(struct test_log *log, uint64_t index)
{
    struct submitted *submitted = submitted_new(log, true);
    submitted->snapshot = (struct raft_snapshot){.index = index, .term = log->term};
    submitted->hard_state.commit = index;
    submitted->write.snapshot = &submitted->snapshot;
    assert_int_equal(wal_submit(log->wal, &submitted->write), 0);
    log->pending++;
    log->model_state.commit = index;
    log->model_start = index;
    log->model_last = index;
    test_log_wait(log);
}

void
test_log_compact(struct test_log *log, uint64_t index)
{
    wal_compact(log->wal, 0, index, log->term);
    if (log->model_start < index)
        log->model_start = index;
}

void
test_log_settle(struct test_log *log, uint64_t segments)
{
    struct wal_stats stats;
    for (int i = 0; i < 2000; i++) {
        wal_stats(log->wal, &stats);
        if (stats.segment_count <= segments)
            return;
        assert_int_equal(skein_sleep(skein_deadline_in(1000000)), 0);
    }
}

void
test_log_check(struct test_log *log)
{
    const struct wal_group_recovery *recovery = &log->recovery;
    assert_int_equal(recovery->hard_state.term, log->model_state.term);
    assert_int_equal(recovery->hard_state.commit, log->model_state.commit);
    assert_int_equal(recovery->start_index, log->model_start);
    uint64_t last = recovery->start_index;
    if (recovery->entry_count) {
        assert_true(recovery->entries[0].index <= recovery->start_index + 1);
        last = recovery->entries[recovery->entry_count - 1].index;
    }
    assert_int_equal(last, log->model_last);
    for (size_t i = 0; i < recovery->entry_count; i++) {
        const struct raft_entry *entry = &recovery->entries[i];
        assert_int_equal(entry->index, recovery->entries[0].index + i);
        assert_int_equal(entry->term, log->model_terms[entry->index - 1]);
        assert_int_equal(entry->data.count, log->model_bytes[entry->index - 1]);
        uint8_t *expected = mem_alloc(entry->data.count);
        test_log_data(expected, entry->index, entry->term, entry->data.count);
        assert_memory_equal(entry->data.data, expected, entry->data.count);
        mem_free(expected);
    }
}

void
test_block_patch(uint8_t *block, size_t offset, uint32_t value)
{
    wire_store(block + offset, value, 4);
    wire_store(block, crc32c(0, block + 4, WAL_BLOCK_BYTES - 4), 4);
}
