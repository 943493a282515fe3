/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_TEST_LOG_H
#define DISK_WAL_TEST_LOG_H

#include "skein/fiber.h"
#include "disk/wal.h"

/*
 * A log under test beside a model of it: what was submitted, what is durable. An entry's data
 * follows from its index, term and length, so that it can be checked without being kept.
 */

#define TEST_LOG_ENTRIES_MAX 4096

struct test_log {
    struct wal *wal;
    struct skein_scope scope;
    struct wal_group_recovery recovery; /* group 0, the only one it writes to */
    uint64_t torn_bytes;
    char why[512];
    uint64_t node; /* 0: 7 */
    uint64_t queue_bytes_max;

    uint64_t term;
    /* The model: terms and lengths by index - 1, of what was submitted. */
    uint64_t model_terms[TEST_LOG_ENTRIES_MAX];
    uint32_t model_bytes[TEST_LOG_ENTRIES_MAX];
    uint64_t model_last;
    uint64_t model_start;
    struct raft_hard_state model_state;

    uint64_t pending;
    uint64_t durable_last;
    uint64_t durable_count;
    uint64_t failed_count;
    int failed_code;
    struct skein_waitq q;
};

void test_log_open(struct test_log *log, const char *dir, uint64_t segment_bytes);
int test_log_try_open(struct test_log *log, const char *dir, uint64_t segment_bytes);
int test_log_wal_open(struct test_log *log, const struct wal_options *options);
void test_log_close(struct test_log *log);

int test_log_try_submit(struct test_log *log, uint64_t term, uint64_t index, uint64_t count,
                        uint64_t bytes, bool sync);
void test_log_submit(struct test_log *log, uint64_t term, uint64_t index, uint64_t count,
                     uint64_t bytes, bool sync);
/* test_log_wait - until nothing is queued. */
void test_log_wait(struct test_log *log);
/* test_log_append - submit and wait; must be durable. */
void test_log_append(struct test_log *log, uint64_t term, uint64_t index, uint64_t count,
                     uint64_t bytes);
void test_log_snapshot(struct test_log *log, uint64_t index);
void test_log_compact(struct test_log *log, uint64_t index);
/* test_log_settle - until at most @segments are left. */
void test_log_settle(struct test_log *log, uint64_t segments);
/* test_log_check - the recovery agrees with the model. */
void test_log_check(struct test_log *log);

/* The data of an entry. */
void test_log_data(uint8_t *data, uint64_t index, uint64_t term, size_t bytes);

/* test_block_patch - write @value (4 bytes) at @offset of a block and make its checksum right
 * again. */
void test_block_patch(uint8_t *block, size_t offset, uint32_t value);

#endif
