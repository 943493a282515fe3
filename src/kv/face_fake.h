/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_FACE_FAKE_H
#define KV_FACE_FAKE_H

#include "core/check.h"
#include "skein/fiber.h"
#include "kv/client.h"
#include "kv/face.h"
#include "replica/members.h"

/*
 * For the tests of the face: a replica and a machine in a few lines, linked in their place, and a
 * face over loopback sockets on the io_uring backend.
 *
 * The machine knows get (answers its key), set (+OK), mset (:number of arguments), big (a bulk
 * string of so many bytes), del (:number of keys), mget (the keys), keys (an array of its
 * argument), flushall (+OK, or an error for the argument "bad") and scan (the cursor 0 is followed
 * by 7, that by 0; the cursor is its only key).
 */

#define FAKE_BATCHES_MAX 4096

struct fake {
    struct check check;
    struct kv_face *face;
    struct kv_face_options options;
    /* What replica_submit does: an error instead of the replies; or park until `open`. */
    int rc;
    bool closed;
    struct skein_waitq gate_q;
    /* What came. */
    struct {
        enum replica_kind kind;
        uint32_t count;
        uint64_t bytes;
        struct kv_limits limits;
        uint32_t group;
        uint64_t session;
    } batches[FAKE_BATCHES_MAX];
    uint32_t batch_count;
    char tags[KV_GROUPS_MAX];     /* a group's replica is the address of one */
    int rc_of[KV_GROUPS_MAX];     /* of replica_submit_all: an error of this group */
    struct replica_change change; /* the last one begun */
    uint32_t transferred_to;
    uint64_t session, sequence, ttl_ms; /* of the last write in a session, or opening */
    enum replica_level level;           /* of the last read */
    uint64_t stale_ns;
    bool has_leases;
    uint32_t waiting; /* parked at the gate */
    void (*body)(struct fake *fake);
};

/* fake_run - open a shard, a face with @options applied (NULL: defaults), run @body in a fiber,
 * stop the face when the body has not. Returns the number of failed checks. */
unsigned fake_run(void (*body)(struct fake *fake),
                  void (*configure)(struct kv_face_options *options));
/* fake_run_groups - the same with @group_count groups, and replies of up to 100 bytes. */
unsigned fake_run_groups(void (*body)(struct fake *fake), uint32_t group_count);

/* fake_connect - a raw connection to the face; fake_client - with the client. */
int fake_connect(struct fake *fake);
struct kv_client *fake_client(struct fake *fake);
/* fake_exchange - send @request on a new connection, end it, read to the end; the result is
 * compared with @wanted. */
bool fake_exchange(struct fake *fake, const char *request, const char *wanted);
/* fake_read_all - everything up to the end of the stream, NUL-terminated, mem_free it. */
char *fake_read_all(int handle, size_t *out_count);
/* fake_yield_until - let others run until @condition holds; false after a while. */
bool fake_yield_until(bool (*condition)(struct fake *fake), struct fake *fake);
/* Until something can be waited for: two seconds from now. */
uint64_t fake_soon(void);

#endif
