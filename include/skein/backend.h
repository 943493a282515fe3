/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_BACKEND_H
#define SKEIN_BACKEND_H

#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a shard stands on: the kernel's io_uring, or epoll where that is refused, or poll by
 * request. All do the same; they differ in cost. One backend a shard, opened by the shard's thread.
 *
 *   io_uring   one system call a turn, receives without any; Linux 6.1 or newer for all of it
 *   epoll      any Linux; a system call for each receive and send; files on helper threads
 *   poll       the same with poll(2): each turn costs a walk over all that is waited for
 */

struct backend;

enum skein_backend_kind {
    SKEIN_BACKEND_AUTO, /* io_uring, else epoll */
    SKEIN_BACKEND_IO_URING,
    SKEIN_BACKEND_EPOLL,
    SKEIN_BACKEND_POLL
};

/* Of gather_ns: sleeps end with the first completion. */
#define SKEIN_GATHER_NEVER UINT64_MAX
#define SKEIN_GATHER_NS_DEFAULT UINT64_C(40000)

struct skein_backend_options {
    enum skein_backend_kind kind;
    /*
     * io_uring: while eight connections or more are busy (something came on them within a
     * millisecond), a sleep goes on for up to this long, until a quarter as many completions are
     * there (at most 16): fewer wake-ups, each of which costs about as much as a request. It delays
     * an answer by at most this. 0: SKEIN_GATHER_NS_DEFAULT; SKEIN_GATHER_NEVER: off.
     */
    uint64_t gather_ns;
    unsigned helper_count; /* helper threads, 1 to 64, started when first needed; 0: 2 */
};

/* Which one it became, and why. */
struct skein_backend_choice {
    enum skein_backend_kind kind; /* not AUTO */
    int refusal;                  /* with AUTO: why io_uring was not taken, -errno; 0: it was */
    char why[192]; /* a sentence for people; with a failure: what was refused, and the remedy */
};

/*
 * skein_backend_open - @out_choice: filled in also on failure.
 * **Ownership**: close with skein_backend_close when the shard is closed.
 * **Returns** 0; what the kernel said: -ENOSYS, -EPERM (io_uring asked for by name, and refused),
 * -EMFILE, -ENOMEM (limits of this process; also with AUTO).
 */
int skein_backend_open(struct backend **out_backend, const struct skein_backend_options *options,
                       struct skein_backend_choice *out_choice) SKEIN_MUST_CHECK;
/* skein_backend_close - every shard on it is closed. Joins the helper threads. */
void skein_backend_close(struct backend *backend);

/* skein_backend_kind_name - "auto", "io_uring", "epoll", "poll". */
const char *skein_backend_kind_name(enum skein_backend_kind kind);
/* skein_backend_kind_parse - **Returns** 0; -SKEIN_EINVALID: none of these names. */
int skein_backend_kind_parse(const char *name, enum skein_backend_kind *out_kind) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
