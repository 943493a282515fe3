/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_DISK_TEST_H
#define DISK_DISK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/backend.h"

/*
 * What the disk tests share: a shard on a real ring, a directory of their own under the system's
 * temporary one (the build's, so that it is on a real file system), and a backend that fails what
 * it is told to.
 */

/* disk_test_run - run @fn(@arg) as a fiber of a fresh shard. */
void disk_test_run(int (*fn)(void *arg), void *arg);
/* disk_test_dir - a fresh directory; disk_test_remove takes it and what is in it away, and so does
 * the end of the program, where a test has failed. */
void disk_test_dir(char out_path[256]);
/* disk_test_dir_in - the same, in @parent. */
void disk_test_dir_in(const char *parent, char out_path[256]);
void disk_test_remove(const char *path);

/* Flip the bits of @mask at @offset of the file; the plain file API, as damage would be done. */
void disk_test_flip(const char *path, uint64_t offset, uint8_t mask);
void disk_test_truncate(const char *path, uint64_t bytes);
uint64_t disk_test_size(const char *path);
/* The whole file, mem_alloc'd. */
uint8_t *disk_test_read(const char *path, size_t *out_bytes);
void disk_test_write(const char *path, const void *data, size_t bytes);

/*
 * The failing backend: in front of the shard's ring in every test. With @countdown n > 0 the n-th
 * op of @kind from now (of any file, or of those whose handle was opened under a name that contains
 * nothing special) gives @code, and every one after it too, when @sticky.
 */
struct disk_test_fault {
    enum backend_op_kind kind;
    uint32_t flags; /* must all be set in the op; 0: any */
    uint64_t countdown;
    int code;
    bool sticky;
    bool half;      /* a write is carried out first, half of it */
    uint64_t count; /* ops of the kind seen */
};

struct disk_test_fault *disk_test_fault(void);

/* Everything that changed the disk, in order, when recording: for the crash tests. */
struct disk_test_event {
    enum backend_op_kind kind;
    char path[256];
    char path2[256];
    uint64_t offset;
    uint8_t *data;
    uint64_t bytes;
    uint32_t flags;
};

struct disk_test_record {
    struct disk_test_event *events;
    size_t count;
    size_t capacity;
    bool on;
};

struct disk_test_record *disk_test_record(void);
void disk_test_record_clear(void);

#endif
