/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "core/epoll.h"
#include "core/poll.h"
#include "core/uring.h"

#define HELPER_COUNT_DEFAULT 2

static const char *const names[] = {
    [SKEIN_BACKEND_AUTO] = "auto",
    [SKEIN_BACKEND_IO_URING] = "io_uring",
    [SKEIN_BACKEND_EPOLL] = "epoll",
    [SKEIN_BACKEND_POLL] = "poll",
};

const char *
skein_backend_kind_name(enum skein_backend_kind kind)
{
    skein_assert((size_t)kind < BASE_COUNT_OF(names));
    return names[kind];
}

int
skein_backend_kind_parse(const char *name, enum skein_backend_kind *out_kind)
{
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out_kind = (enum skein_backend_kind)i;
            return 0;
        }
    return -SKEIN_EINVALID;
}

/* What refuses io_uring, and what to do about it. */
static const char *
remedy(int rc)
{
    switch (rc) {
    case -ENOSYS:
        return "the kernel has no io_uring that suffices (Linux 6.1 or newer), or a filter hides "
               "it";
    case -EPERM:
    case -EACCES:
        return "the kernel refuses io_uring to this process (sysctl kernel.io_uring_disabled, or a "
               "seccomp filter)";
    case -EMFILE:
    case -ENFILE:
        return "too many open files; raise the limit (ulimit -n)";
    case -ENOMEM:
        return "no memory for it; raise the limit of locked memory (ulimit -l) or free some";
    default:
        return skein_error_text(rc);
    }
}

static int
open_kind(struct backend **out_backend, enum skein_backend_kind kind, unsigned helper_count)
{
    if (kind == SKEIN_BACKEND_IO_URING)
        return uring_open(out_backend, helper_count);
    if (kind == SKEIN_BACKEND_EPOLL)
        return epoll_open(out_backend, helper_count);
    skein_assert(kind == SKEIN_BACKEND_POLL);
    return poll_open(out_backend, helper_count);
}

static int
open_best(struct backend **out_backend, unsigned helper_count, struct skein_backend_choice *choice)
{
    int rc = uring_open(out_backend, helper_count);
    choice->kind = SKEIN_BACKEND_IO_URING;
    choice->refusal = rc;
    if (rc == 0) {
        snprintf(choice->why, sizeof(choice->why), "the kernel has it");
        return 0;
    }
    snprintf(choice->why, sizeof(choice->why), "io_uring: %s", remedy(rc));
    choice->kind = SKEIN_BACKEND_EPOLL;
    return epoll_open(out_backend, helper_count);
}

int
skein_backend_open(struct backend **out_backend, const struct skein_backend_options *options,
                   struct skein_backend_choice *out_choice)
{
    unsigned helper_count = options->helper_count ? options->helper_count : HELPER_COUNT_DEFAULT;
    *out_choice = (struct skein_backend_choice){.kind = options->kind};
    int rc;
    if (options->kind == SKEIN_BACKEND_AUTO) {
        rc = open_best(out_backend, helper_count, out_choice);
    } else {
        rc = open_kind(out_backend, options->kind, helper_count);
        if (rc < 0)
            snprintf(out_choice->why, sizeof(out_choice->why), "%s: %s", names[options->kind],
                     remedy(rc));
        else
            snprintf(out_choice->why, sizeof(out_choice->why), "asked for");
    }
    if (rc == 0 && out_choice->kind == SKEIN_BACKEND_IO_URING && options->gather_ns)
        uring_set_gather(*out_backend, options->gather_ns);
    return rc;
}

void
skein_backend_close(struct backend *backend)
{
    if (backend)
        backend->ops->close(backend);
}
