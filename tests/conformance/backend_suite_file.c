/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the file calls beyond read and write give what they promise, and their documented errors,
 * on every backend.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conformance/backend_suite.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/file_watch.h"
#include "skein/socket.h"

#define SECOND_NS 1000000000ull
#define PATH_BYTES 512
#define SENT_BYTES ((size_t)700000)

static int
create(struct backend_suite_run *run, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", run->directory, name);
    int handle = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    CHECK(&run->check, handle >= 0);
    return handle;
}

void
backend_suite_vectored_files(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    char a[3] = "abc", b[4] = "defg", out[16] = {0};
    struct iovec write[4] = {{a, 3}, {NULL, 0}, {b, 4}, {NULL, 0}};
    int handle = create(run, "vectored");
    CHECK(check, skein_file_pwritev(handle, write, 4, 2, SKEIN_FILE_DSYNC) == 0);
    struct iovec read[3] = {{out, 2}, {out + 2, 4}, {out + 6, 10}};
    CHECK(check, skein_file_preadv(handle, read, 3, 0) == 9);
    CHECK(check, memcmp(out, "\0\0abcdefg", 9) == 0);
    struct iovec none = {out, 1};
    CHECK(check, skein_file_preadv(handle, &none, 1, 100) == 0);
    CHECK(check, skein_file_preadv(handle, NULL, 0, 0) == 0);
    /* More elements than one call to the kernel takes. */
    static struct iovec many[3000];
    char *bytes = mem_alloc(BASE_COUNT_OF(many));
    for (size_t i = 0; i < BASE_COUNT_OF(many); i++) {
        bytes[i] = (char)('a' + i % 26);
        many[i] = (struct iovec){bytes + i, 1};
    }
    CHECK(check, skein_file_pwritev(handle, many, BASE_COUNT_OF(many), 0, 0) == 0);
    uint64_t size_bytes = 0;
    CHECK(check, skein_file_size(handle, &size_bytes) == 0);
    CHECK(check, size_bytes == BASE_COUNT_OF(many));
    memset(bytes, 0, BASE_COUNT_OF(many));
    for (size_t i = 0; i < BASE_COUNT_OF(many); i++)
        many[i] = (struct iovec){bytes + i, 1};
    CHECK(check, skein_file_preadv(handle, many, BASE_COUNT_OF(many), 0) == BASE_COUNT_OF(many));
    CHECK(check, bytes[0] == 'a' && bytes[2999] == (char)('a' + 2999 % 26));
    mem_free(bytes);
    CHECK(check, skein_close(handle) == 0);
}

static bool
reads(int handle, uint64_t offset, const char *wanted)
{
    char data[32];
    size_t count = strlen(wanted);
    if (skein_file_pread(handle, data, count, offset) != (ssize_t)count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (data[i] != (wanted[i] == '.' ? '\0' : wanted[i]))
            return false;
    return true;
}

void
backend_suite_allocation(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    uint64_t size_bytes = 0;
    int handle = create(run, "allocated");
    CHECK(check, skein_file_pwrite(handle, "0123456789", 10, 0, 0) == 0);
    CHECK(check, skein_file_reserve(handle, 0, 65536) == 0);
    CHECK(check, skein_file_size(handle, &size_bytes) == 0 && size_bytes == 10);
    CHECK(check, skein_file_zero(handle, 2, 3) == 0);
    CHECK(check, reads(handle, 0, "01...56789"));
    CHECK(check, skein_file_punch(handle, 8, 4096) == 0);
    CHECK(check, skein_file_size(handle, &size_bytes) == 0 && size_bytes == 10);
    CHECK(check, reads(handle, 0, "01...567.."));
    CHECK(check, skein_file_zero(handle, 9, 3) == 0);
    CHECK(check, skein_file_size(handle, &size_bytes) == 0 && size_bytes == 12);
    CHECK(check, skein_file_allocate(handle, 0, 20) == 0);
    CHECK(check, skein_file_size(handle, &size_bytes) == 0 && size_bytes == 20);
    CHECK(check, skein_file_allocate(handle, 0, 0) == -EINVAL);
    CHECK(check, skein_close(handle) == 0);
}

void
backend_suite_durable_names(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    char from[PATH_BYTES], to[PATH_BYTES], other[PATH_BYTES];
    struct skein_file_alignment alignment = {0};
    uint64_t size_bytes = 0;
    snprintf(from, sizeof(from), "%s/from", run->directory);
    snprintf(other, sizeof(other), "%s/other", run->directory);
    snprintf(to, sizeof(to), "%s/other/to", run->directory);
    int handle = create(run, "from");
    CHECK(check, skein_file_rename_durable(from, to) == -ENOENT);
    CHECK(check, skein_file_mkdir(other, 0700) == 0);
    CHECK(check, skein_file_rename_durable(from, to) == 0);
    CHECK(check, skein_file_rename_durable(from, to) == -ENOENT);
    CHECK(check, skein_file_pwrite(handle, "kept", 4, 0, 0) == 0);
    CHECK(check, skein_file_alignment(handle, &alignment) == 0);
    CHECK(check, alignment.memory_bytes > 0 && alignment.memory_bytes <= 4096);
    CHECK(check, alignment.offset_bytes >= 512 && alignment.offset_bytes <= 65536);
    /* A file without a name is a file as long as it is open. */
    CHECK(check, skein_file_unlink(to, 0) == 0);
    CHECK(check, skein_file_size(handle, &size_bytes) == 0 && size_bytes == 4);
    CHECK(check, reads(handle, 0, "kept"));
    CHECK(check, skein_file_truncate(handle, 2) == 0);
    char data[8];
    CHECK(check, skein_file_pread(handle, data, sizeof(data), 0) == 2);
    CHECK(check, skein_close(handle) == 0);
}

void
backend_suite_bad_handles(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_file_alignment alignment;
    uint64_t size_bytes;
    char byte = 'b';
    struct iovec iov = {&byte, 1};
    int closed = create(run, "closed");
    CHECK(check, skein_close(closed) == 0);
    const int handles[] = {closed, 1 << 20};
    for (size_t i = 0; i < BASE_COUNT_OF(handles); i++) {
        int bad = handles[i];
        CHECK(check, skein_file_pread(bad, &byte, 1, 0) == -EBADF);
        CHECK(check, skein_file_pwrite(bad, &byte, 1, 0, 0) == -EBADF);
        CHECK(check, skein_file_preadv(bad, &iov, 1, 0) == -EBADF);
        CHECK(check, skein_file_sync(bad, 0) == -EBADF);
        CHECK(check, skein_file_allocate(bad, 0, 1) == -EBADF);
        CHECK(check, skein_file_punch(bad, 0, 1) == -EBADF);
        CHECK(check, skein_file_truncate(bad, 0) == -EBADF);
        CHECK(check, skein_file_size(bad, &size_bytes) == -EBADF);
        CHECK(check, skein_file_alignment(bad, &alignment) == -EBADF);
        CHECK(check, skein_file_lock(bad) == -EBADF);
        CHECK(check, skein_socket_recv(bad, &byte, 1, SKEIN_NEVER) == -EBADF);
        CHECK(check, skein_socket_send(bad, &byte, 1, SKEIN_NEVER) == -EBADF);
        CHECK(check, skein_socket_accept(bad, NULL, SKEIN_NEVER) == -EBADF);
        CHECK(check, skein_close(bad) == -EBADF);
    }
    int file = create(run, "file");
    CHECK(check, skein_socket_recv(file, &byte, 1, SKEIN_NEVER) < 0);
    CHECK(check, skein_socket_send(file, &byte, 1, SKEIN_NEVER) < 0);
    CHECK(check, skein_close(file) == 0);
}

/* ---- files to sockets ---- */

struct sending {
    struct backend_suite_run *run;
    int socket, file;
    uint64_t bytes;
    int result;
};

static void
send_file(void *arg)
{
    struct sending *sending = arg;
    sending->result = skein_file_send(sending->socket, sending->file, 3, sending->bytes,
                                      skein_deadline_in(20 * SECOND_NS));
    CHECK(&sending->run->check, skein_socket_shutdown(sending->socket) == 0);
}

static char
pattern(size_t i)
{
    return (char)(i * 7 + (i >> 9));
}

static int
create_pattern(struct backend_suite_run *run)
{
    char *data = mem_alloc(SENT_BYTES);
    for (size_t i = 0; i < SENT_BYTES; i++)
        data[i] = pattern(i);
    int handle = create(run, "sent");
    CHECK(&run->check, skein_file_pwrite(handle, data, SENT_BYTES, 0, 0) == 0);
    mem_free(data);
    return handle;
}

/* How much of the pattern, from its fourth byte, comes out of @socket. */
static size_t
receive_pattern(int socket)
{
    char data[5000];
    size_t count = 0;
    ssize_t n;
    while ((n = skein_socket_recv(socket, data, sizeof(data), skein_deadline_in(20 * SECOND_NS))) >
           0)
        for (ssize_t i = 0; i < n; i++, count++)
            if (data[i] != pattern(count + 3))
                return 0;
    return n == 0 ? count : 0;
}

void
backend_suite_files_to_sockets(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_addr addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    int file = create_pattern(run);
    int listener = skein_socket_listen(&addr, 8);
    CHECK(check, skein_socket_local_addr(listener, &addr) == 0);
    const uint64_t bytes[] = {SENT_BYTES - 3, SENT_BYTES, 1};
    const int results[] = {0, -ENODATA, 0};
    for (size_t i = 0; i < BASE_COUNT_OF(bytes); i++) {
        uint64_t deadline_ns = skein_deadline_in(5 * SECOND_NS);
        int client = skein_socket_connect(&addr, deadline_ns);
        int server = skein_socket_accept(listener, NULL, deadline_ns);
        struct sending sending = {run, server, file, bytes[i], 1};
        struct skein_scope scope;
        skein_scope_init(&scope);
        CHECK(check, skein_spawn(&scope, "send", send_file, &sending, SKEIN_STACK_SMALL) == 0);
        uint64_t wanted = bytes[i] < SENT_BYTES - 3 ? bytes[i] : SENT_BYTES - 3;
        CHECK(check, receive_pattern(client) == wanted);
        skein_scope_join(&scope);
        CHECK(check, sending.result == results[i]);
        CHECK(check, skein_close(client) == 0);
        CHECK(check, skein_close(server) == 0);
    }
    CHECK(check, skein_file_send(listener, file, 0, 0, SKEIN_NEVER) == 0);
    CHECK(check, skein_close(listener) == 0);
    CHECK(check, skein_close(file) == 0);
}

/* ---- watching ---- */

static bool
comes(struct skein_watch *watch, int number, uint32_t what, const char *name)
{
    struct skein_watch_event event;
    while (skein_watch_next(watch, &event, skein_deadline_in(5 * SECOND_NS)) == 0)
        if (event.number == number && (event.what & what) == what && strcmp(event.name, name) == 0)
            return true;
    return false;
}

static void
rename_a_little_later(void *arg)
{
    const struct backend_suite_run *run = arg;
    char from[PATH_BYTES], to[PATH_BYTES];
    snprintf(from, sizeof(from), "%s/one", run->directory);
    snprintf(to, sizeof(to), "%s/two", run->directory);
    if (skein_sleep(skein_deadline_in(2000000)) < 0 || skein_file_rename(from, to) < 0)
        return;
}

void
backend_suite_watches(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_watch *watch = NULL;
    struct skein_watch_event event;
    int rc = skein_watch_open(&watch);
    if (rc == -EOPNOTSUPP) /* this world has none */
        return;
    CHECK(check, rc == 0);
    CHECK(check, skein_watch_add(watch, "/nowhere/at/all", SKEIN_WATCH_CREATED) == -ENOENT);
    int number = skein_watch_add(watch, run->directory,
                                 SKEIN_WATCH_CREATED | SKEIN_WATCH_REMOVED | SKEIN_WATCH_CLOSED);
    CHECK(check, number > 0);
    uint64_t soon_ns = skein_deadline_in(1000000);
    CHECK(check, skein_watch_next(watch, &event, soon_ns) == -SKEIN_ETIMEDOUT);
    int handle = create(run, "one");
    CHECK(check, comes(watch, number, SKEIN_WATCH_CREATED, "one"));
    CHECK(check, skein_close(handle) == 0);
    CHECK(check, comes(watch, number, SKEIN_WATCH_CLOSED, "one"));
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "later", rename_a_little_later, run, SKEIN_STACK_SMALL) == 0);
    CHECK(check, comes(watch, number, SKEIN_WATCH_REMOVED, "one"));
    CHECK(check, comes(watch, number, SKEIN_WATCH_CREATED, "two"));
    skein_scope_join(&scope);
    CHECK(check, skein_watch_remove(watch, number) == 0);
    CHECK(check, comes(watch, number, SKEIN_WATCH_ENDED, ""));
    CHECK(check, skein_watch_remove(watch, number) == -EINVAL);
    skein_watch_close(watch);
}
