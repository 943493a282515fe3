/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/disk_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "skein/shard.h"
#include "core/uring.h"

#define HANDLE_MAX 4096
#define DIR_COUNT_MAX 64

/* A test program is one thread; what it watches is its own. */
static struct disk_test_fault fault;
static struct disk_test_record record;
static char handle_paths[HANDLE_MAX][256];
static char dirs[DIR_COUNT_MAX][256]; /* made and not removed yet */
static pid_t dirs_made_by;            /* a child of the test removes nothing */

struct front {
    struct backend base;
    struct backend *real;
};

struct pending {
    struct backend_op *op;
    void (*complete)(struct backend_op *op);
    void *waiter;
    int code;
    uint8_t *data;
    uint64_t data_bytes;
};

struct disk_test_fault *
disk_test_fault(void)
{
    return &fault;
}

struct disk_test_record *
disk_test_record(void)
{
    return &record;
}

void
disk_test_record_clear(void)
{
    for (size_t i = 0; i < record.count; i++)
        mem_free(record.events[i].data);
    mem_free(record.events);
    record = (struct disk_test_record){0};
}

static void
event_add(const struct backend_op *op, const struct pending *pending)
{
    mem_grow(&record.events, &record.capacity, record.count, sizeof(*record.events));
    struct disk_test_event *event = &record.events[record.count++];
    *event = (struct disk_test_event){.kind = op->kind, .offset = op->offset, .flags = op->flags};
    const char *path = op->path ? op->path : handle_paths[op->handle % HANDLE_MAX];
    snprintf(event->path, sizeof(event->path), "%s", path);
    if (op->path2)
        snprintf(event->path2, sizeof(event->path2), "%s", op->path2);
    event->bytes = op->kind == BACKEND_WRITE ? (uint64_t)op->result : op->bytes;
    if (op->kind == BACKEND_WRITE) {
        event->data = mem_alloc(event->bytes);
        memcpy(event->data, pending->data, event->bytes);
    }
}

static bool
changes_disk(enum backend_op_kind kind)
{
    return kind == BACKEND_OPEN || kind == BACKEND_WRITE || kind == BACKEND_SYNC ||
           kind == BACKEND_TRUNCATE || kind == BACKEND_RENAME || kind == BACKEND_UNLINK ||
           kind == BACKEND_ALLOCATE || kind == BACKEND_MKDIR;
}

/* A handle goes with its file. */
static void
handles_rename(const char *from, const char *to)
{
    for (size_t i = 0; i < HANDLE_MAX; i++)
        if (strcmp(handle_paths[i], from) == 0)
            snprintf(handle_paths[i], sizeof(handle_paths[i]), "%s", to);
}

static void
front_complete(struct backend_op *op)
{
    struct pending *pending = op->waiter;
    op->complete = pending->complete;
    op->waiter = pending->waiter;
    if (op->kind == BACKEND_OPEN && op->result >= 0)
        snprintf(handle_paths[op->result % HANDLE_MAX], sizeof(handle_paths[0]), "%s", op->path);
    if (record.on && op->result >= 0 && changes_disk(op->kind))
        event_add(op, pending);
    if (op->kind == BACKEND_RENAME && op->result >= 0)
        handles_rename(op->path, op->path2);
    if (pending->code < 0)
        op->result = pending->code;
    mem_free(pending->data);
    mem_free(pending);
    op->complete(op);
}

static bool
fault_hits(const struct backend_op *op)
{
    if (fault.countdown == 0 || op->kind != fault.kind || (op->flags & fault.flags) != fault.flags)
        return false;
    fault.count++;
    if (fault.countdown == 1) {
        fault.countdown = fault.sticky ? 1 : 0;
        return true;
    }
    fault.countdown--;
    return false;
}

/* A failing op still goes to the ring, as a harmless one, so that it completes from wait. */
static void
make_harmless(struct backend_op *op)
{
    op->kind = BACKEND_STAT;
    static struct skein_stat ignored;
    op->path = "/";
    op->stat = &ignored;
}

static void
front_submit(struct backend *backend, struct backend_op *op)
{
    struct front *front = (struct front *)backend;
    struct pending *pending = mem_zalloc(sizeof(*pending));
    pending->op = op;
    pending->complete = op->complete;
    pending->waiter = op->waiter;
    if (op->kind == BACKEND_WRITE && record.on) {
        for (int i = 0; i < op->iov_count; i++)
            pending->data_bytes += op->iov[i].iov_len;
        pending->data = mem_alloc(pending->data_bytes);
        uint64_t at = 0;
        for (int i = 0; i < op->iov_count; i++) {
            memcpy(pending->data + at, op->iov[i].iov_base, op->iov[i].iov_len);
            at += op->iov[i].iov_len;
        }
    }
    op->complete = front_complete;
    op->waiter = pending;
    if (fault_hits(op)) {
        pending->code = fault.code;
        if (op->kind == BACKEND_WRITE && fault.half && op->iov[0].iov_len >= 8192)
            op->iov[0].iov_len = op->iov[0].iov_len / 8192 * 4096;
        else
            make_harmless(op);
    }
    front->real->ops->submit(front->real, op);
}

static uint64_t
front_now_ns(struct backend *backend)
{
    struct backend *real = ((struct front *)backend)->real;
    return real->ops->now_ns(real);
}

static uint64_t
front_wall_ns(struct backend *backend)
{
    struct backend *real = ((struct front *)backend)->real;
    return real->ops->wall_ns(real);
}

static void
front_entropy(struct backend *backend, void *data, size_t count)
{
    struct backend *real = ((struct front *)backend)->real;
    real->ops->entropy(real, data, count);
}

static void
front_cancel(struct backend *backend, struct backend_op *op)
{
    struct backend *real = ((struct front *)backend)->real;
    real->ops->cancel(real, op);
}

static void
front_wait(struct backend *backend, uint64_t deadline_ns)
{
    struct backend *real = ((struct front *)backend)->real;
    real->ops->wait(real, deadline_ns);
}

static void
front_wake(struct backend *backend)
{
    struct backend *real = ((struct front *)backend)->real;
    real->ops->wake(real);
}

static const struct backend_ops front_ops = {
    .name = "test",
    .now_ns = front_now_ns,
    .boot_ns = front_now_ns,
    .wall_ns = front_wall_ns,
    .entropy = front_entropy,
    .submit = front_submit,
    .cancel = front_cancel,
    .wait = front_wait,
    .wake = front_wake,
};

void
disk_test_run(int (*fn)(void *arg), void *arg)
{
    struct front front = {.base.ops = &front_ops};
    struct skein_shard *shard = NULL;
    assert_int_equal(uring_open(&front.real, 1), 0);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = &front.base, .stacks = stacks};
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    int rc = skein_shard_run(shard, fn, arg);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    uring_close(front.real);
    fault = (struct disk_test_fault){0};
    assert_int_equal(rc, 0);
}

/* A test that failed left what it made. */
static void
remove_all_dirs(void)
{
    for (size_t i = 0; i < DIR_COUNT_MAX; i++)
        if (dirs[i][0] && getpid() == dirs_made_by)
            disk_test_remove(dirs[i]);
}

void
disk_test_dir_in(const char *parent, char out_path[256])
{
    size_t i = 0;
    snprintf(out_path, 256, "%s/skein-disk-XXXXXX", parent);
    assert_non_null(mkdtemp(out_path));
    while (i < DIR_COUNT_MAX && dirs[i][0])
        i++;
    assert_true(i < DIR_COUNT_MAX);
    if (dirs_made_by == 0) {
        assert_int_equal(atexit(remove_all_dirs), 0);
        dirs_made_by = getpid();
    }
    snprintf(dirs[i], sizeof(dirs[i]), "%s", out_path);
}

void
disk_test_dir(char out_path[256])
{
    disk_test_dir_in(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", out_path);
}

void
disk_test_remove(const char *path)
{
    char name[1024];
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        struct stat stat;
        if (lstat(name, &stat) == 0 && S_ISDIR(stat.st_mode))
            disk_test_remove(name);
        else
            unlink(name);
    }
    closedir(dir);
    rmdir(path);
    for (size_t i = 0; i < DIR_COUNT_MAX; i++)
        if (strcmp(dirs[i], path) == 0)
            dirs[i][0] = '\0';
}

void
disk_test_flip(const char *path, uint64_t offset, uint8_t mask)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

void
disk_test_truncate(const char *path, uint64_t bytes)
{
    assert_int_equal(truncate(path, (off_t)bytes), 0);
}

uint64_t
disk_test_size(const char *path)
{
    struct stat stat_now;
    assert_int_equal(stat(path, &stat_now), 0);
    return (uint64_t)stat_now.st_size;
}

uint8_t *
disk_test_read(const char *path, size_t *out_bytes)
{
    *out_bytes = disk_test_size(path);
    uint8_t *data = mem_alloc(*out_bytes);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, data, *out_bytes), *out_bytes);
    close(fd);
    return data;
}

void
disk_test_write(const char *path, const void *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
}
