/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/file_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/mem.h"
#include "core/await.h"
#include "skein/file.h"
#include "skein/shard.h"

#define BUFFER_BYTES 8192u

_Static_assert(BUFFER_BYTES >= sizeof(struct inotify_event) + SKEIN_WATCH_NAME_BYTES,
               "the longest event fits");

struct skein_watch {
    int handle;
    size_t begin, end; /* events not yet told: buffer[begin .. end) */
    _Alignas(struct inotify_event) char buffer[BUFFER_BYTES];
};

int
skein_watch_open(struct skein_watch **out_watch)
{
    struct backend_op op = {.kind = BACKEND_WATCH_OPEN};
    int handle = (int)await_op(&op, SKEIN_NEVER);
    if (handle < 0)
        return handle;
    struct skein_watch *watch = mem_zalloc(sizeof(*watch));
    watch->handle = handle;
    *out_watch = watch;
    return 0;
}

void
skein_watch_close(struct skein_watch *watch)
{
    if (!watch)
        return;
    skein_close(watch->handle);
    mem_free(watch);
}

int
skein_watch_add(struct skein_watch *watch, const char *path, uint32_t kinds)
{
    skein_assert(kinds != 0);
    struct backend_op op = {
        .kind = BACKEND_WATCH_ADD, .handle = watch->handle, .path = path, .flags = kinds};
    return (int)await_op_to_end(&op);
}

int
skein_watch_remove(struct skein_watch *watch, int number)
{
    struct backend_op op = {
        .kind = BACKEND_WATCH_REMOVE, .handle = watch->handle, .offset = (uint64_t)number};
    return (int)await_op_to_end(&op);
}

static uint32_t
kinds_of(uint32_t mask)
{
    static const struct {
        uint32_t kernels, ours;
    } kinds[] = {
        {IN_CREATE | IN_MOVED_TO, SKEIN_WATCH_CREATED},
        {IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF, SKEIN_WATCH_REMOVED},
        {IN_MODIFY, SKEIN_WATCH_WRITTEN},
        {IN_CLOSE_WRITE, SKEIN_WATCH_CLOSED},
        {IN_ATTRIB, SKEIN_WATCH_ATTRIBUTES},
        {IN_Q_OVERFLOW, SKEIN_WATCH_LOST},
        {IN_IGNORED | IN_UNMOUNT, SKEIN_WATCH_ENDED},
        {IN_ISDIR, SKEIN_WATCH_DIRECTORY},
    };
    uint32_t what = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        what |= mask & kinds[i].kernels ? kinds[i].ours : 0;
    return what;
}

/* Takes one event off the buffer. */
static void
take(struct skein_watch *watch, struct skein_watch_event *out)
{
    struct inotify_event event;
    skein_assert(watch->end - watch->begin >= sizeof(event));
    memcpy(&event, watch->buffer + watch->begin, sizeof(event));
    const char *name = watch->buffer + watch->begin + sizeof(event);
    watch->begin += sizeof(event) + event.len;
    skein_assert(watch->begin <= watch->end);
    size_t name_bytes = strnlen(name, event.len);
    *out = (struct skein_watch_event){
        .number = event.wd, .what = kinds_of(event.mask), .cookie = event.cookie};
    if (name_bytes >= sizeof(out->name))
        name_bytes = sizeof(out->name) - 1;
    memcpy(out->name, name, name_bytes);
}

static int
fill(struct skein_watch *watch)
{
    struct iovec iov = {watch->buffer, sizeof(watch->buffer)};
    struct backend_op op = {
        .kind = BACKEND_WATCH_READ, .handle = watch->handle, .iov = &iov, .iov_count = 1};
    int64_t n = await_op_to_end(&op);
    if (n < 0)
        return (int)n;
    watch->begin = 0;
    watch->end = (size_t)n;
    return 0;
}

int
skein_watch_next(struct skein_watch *watch, struct skein_watch_event *out_event,
                 uint64_t deadline_ns)
{
    while (watch->begin == watch->end) {
        int rc = fill(watch);
        if (rc == -EAGAIN)
            rc = skein_wait_readable(watch->handle, deadline_ns);
        if (rc < 0)
            return rc;
    }
    take(watch, out_event);
    return 0;
}
