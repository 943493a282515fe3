/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_FILE_WATCH_H
#define SKEIN_FILE_WATCH_H

#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Being told what happens to files and to the names in directories.
 *
 *   skein_watch_open -> skein_watch_add (path, kinds) ... -> skein_watch_next, in a loop, in a
 * fiber
 *
 * The kernel queues events (a few thousand: sysctl fs.inotify.max_queued_events) and drops those
 * beyond, which is an event of its own, SKEIN_WATCH_LOST: look at everything again then. What is
 * written through a mapping or by another machine on a network file system makes no event.
 *
 * **Runs on** a fiber, all calls; a watch belongs to its shard, one fiber reads it.
 */

/* Kinds, to ask for and as told. On a directory they speak of the names in it. */
#define SKEIN_WATCH_CREATED 1u /* a name appeared: made, or renamed to it */
#define SKEIN_WATCH_REMOVED \
    2u /* a name is gone: removed, or renamed; also the watched thing itself */
#define SKEIN_WATCH_WRITTEN 4u     /* content or size changed */
#define SKEIN_WATCH_CLOSED 8u      /* closed by somebody who had it open for writing */
#define SKEIN_WATCH_ATTRIBUTES 16u /* mode, owner, times, number of links */
/* Only told. */
#define SKEIN_WATCH_LOST 32u /* events were dropped; number is -1 */
#define SKEIN_WATCH_ENDED                                                   \
    64u /* this number is watched no more: removed, unmounted, or asked for \
         */
#define SKEIN_WATCH_DIRECTORY 128u /* beside others: the name is a directory's */

#define SKEIN_WATCH_NAME_BYTES 256

struct skein_watch;

struct skein_watch_event {
    int number;                        /* what skein_watch_add returned */
    uint32_t what;                     /* SKEIN_WATCH_... */
    uint32_t cookie;                   /* not 0: the same in both halves of a rename */
    char name[SKEIN_WATCH_NAME_BYTES]; /* in the watched directory; "": the watched thing itself */
};

/*
 * skein_watch_open - **Ownership**: close with skein_watch_close.
 * **Returns** 0; -EMFILE: too many descriptors or watches of this user
 * (fs.inotify.max_user_instances); -EOPNOTSUPP: this world has no watching (the simulator).
 */
int skein_watch_open(struct skein_watch **out_watch) SKEIN_MUST_CHECK;
void skein_watch_close(struct skein_watch *watch);
/*
 * skein_watch_add - @path: a file or directory; the same path again changes its kinds.
 * **Returns** its number (> 0); -ENOENT, -EACCES; -ENOSPC: fs.inotify.max_user_watches.
 */
int skein_watch_add(struct skein_watch *watch, const char *path, uint32_t kinds) SKEIN_MUST_CHECK;
/* skein_watch_remove - **Returns** 0; -EINVAL: not a number of this watch. */
int skein_watch_remove(struct skein_watch *watch, int number) SKEIN_MUST_CHECK;
/* skein_watch_next - the next event; suspends until there is one.
 * **Returns** 0; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED. */
int skein_watch_next(struct skein_watch *watch, struct skein_watch_event *out_event,
                     uint64_t deadline_ns) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
