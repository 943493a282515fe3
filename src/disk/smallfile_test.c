/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a small file is the old one or the new one whatever fails while it is replaced; and no byte
 * of one can change without being noticed.
 */
#include "disk/smallfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/disk_test.h"
#include "skein/error.h"

#define VERSION 3
#define COUNT_MAX 100u

static const char magic[8] = {'T', 'E', 'S', 'T', 'F', 'I', 'L', 'E'};

static int
write_text(const char *dir, const char *text)
{
    return smallfile_write(dir, "small", magic, VERSION, text, strlen(text));
}

/* 0: it holds @text. */
static int
read_text(const char *dir, const char *text)
{
    char why[512] = "";
    struct bytes data = {0};
    int rc = smallfile_read(dir, "small", magic, VERSION, COUNT_MAX, &data, why);
    if (rc < 0) {
        skein_assert(why[0] != '\0');
        return rc;
    }
    skein_assert(data.count == strlen(text) && memcmp(data.data, text, data.count) == 0);
    bytes_unref(&data);
    return 0;
}

static int
as_written(void *arg)
{
    const char *dir = arg;
    char long_text[COUNT_MAX + 2], path[300];
    skein_assert(read_text(dir, "") == -ENOENT);
    skein_assert(write_text(dir, "") == 0 && read_text(dir, "") == 0);
    skein_assert(write_text(dir, "one") == 0 && read_text(dir, "one") == 0);
    memset(long_text, 'l', sizeof long_text);
    long_text[COUNT_MAX] = '\0';
    skein_assert(write_text(dir, long_text) == 0 && read_text(dir, long_text) == 0);
    long_text[COUNT_MAX] = 'l';
    long_text[COUNT_MAX + 1] = '\0';
    skein_assert(write_text(dir, long_text) == 0 && read_text(dir, "") == -SKEIN_ECORRUPT);
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    char deep[600];
    snprintf(deep, sizeof deep, "%s/%s", path, path);
    skein_assert(write_text(deep, "x") == -ENAMETOOLONG);
    skein_assert(read_text(deep, "x") == -ENAMETOOLONG);
    return 0;
}

static int
every_byte_counts(void *arg)
{
    const char *dir = arg;
    char path[300], why[512];
    struct bytes data = {0};
    snprintf(path, sizeof path, "%s/small", dir);
    skein_assert(write_text(dir, "some words") == 0);
    uint64_t bytes = disk_test_size(path);
    for (uint64_t at = 0; at < bytes; at++) {
        disk_test_flip(path, at, 1);
        int rc = read_text(dir, "some words");
        skein_assert(rc == -SKEIN_ECORRUPT);
        disk_test_flip(path, at, 1);
    }
    skein_assert(read_text(dir, "some words") == 0);
    int rc = smallfile_read(dir, "small", magic, VERSION + 1, COUNT_MAX, &data, why);
    skein_assert(rc == -SKEIN_EFORMAT && strstr(why, "version 3"));
    rc = smallfile_read(dir, "small", "OTHERONE", VERSION, COUNT_MAX, &data, why);
    skein_assert(rc == -SKEIN_ECORRUPT && strstr(why, "another kind"));
    while (bytes > 0) {
        disk_test_truncate(path, --bytes);
        skein_assert(read_text(dir, "some words") == -SKEIN_ECORRUPT);
    }
    return 0;
}

/* Each operation in turn fails. */
static int
old_or_new(void *arg)
{
    static const enum backend_op_kind kinds[] = {BACKEND_OPEN, BACKEND_WRITE, BACKEND_SYNC,
                                                 BACKEND_RENAME};
    const char *dir = arg;
    struct disk_test_fault *fault = disk_test_fault();
    skein_assert(write_text(dir, "old") == 0);
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        *fault = (struct disk_test_fault){.kind = kinds[i], .countdown = 1, .code = -EIO};
        skein_assert(write_text(dir, "new") == -EIO);
        *fault = (struct disk_test_fault){0};
        skein_assert(read_text(dir, "old") == 0);
    }
    skein_assert(write_text(dir, "new") == 0 && read_text(dir, "new") == 0);
    *fault = (struct disk_test_fault){.kind = BACKEND_READ, .countdown = 1, .code = -EIO};
    skein_assert(read_text(dir, "new") == -EIO);
    *fault = (struct disk_test_fault){0};
    return 0;
}

static void
run(int (*fn)(void *arg))
{
    char dir[256];
    disk_test_dir(dir);
    disk_test_run(fn, dir);
    disk_test_remove(dir);
}

#define CASE(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        run(name);                        \
    }
CASE(as_written)
CASE(every_byte_counts)
CASE(old_or_new)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_written),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
