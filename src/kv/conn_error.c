/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "kv/command.h"
#include "kv/conn.h"
#include "skein/error.h"

void
kv_conn_error(struct wire_writer *out, int rc, bool read, uint64_t timeout_ns)
{
    uint64_t ms = timeout_ns / 1000000;
    switch (rc) {
    case -SKEIN_EUNKNOWN:
    case -SKEIN_ECANCELED:
        if (!read) {
            kv_reply_errorf(out,
                            "UNKNOWN the outcome of this write is unknown (%s); it may or may not "
                            "have been applied",
                            rc == -SKEIN_ECANCELED
                                ? "this node is stopping"
                                : "no answer in time, or the leader or the way to it was lost");
            return;
        }
        kv_reply_errorf(out, "NOLEADER no answer from a leader within %" PRIu64 " ms; try again",
                        ms);
        return;
    case -SKEIN_ENOLEADER:
    case -SKEIN_ENOTLEADER:
    case -SKEIN_ETIMEDOUT:
        kv_reply_errorf(
            out, "NOLEADER no leader within %" PRIu64 " ms; the command was not applied, try again",
            ms);
        return;
    case -SKEIN_EBUSY:
    case -SKEIN_EAGAIN:
        kv_reply_error(out, "BUSY too many commands are waiting on this node; the command was not "
                            "applied, try again");
        return;
    case -SKEIN_ETOOBIG:
        kv_reply_error(out,
                       "ERR the command is larger than a log entry may be; it was not applied");
        return;
    case -SKEIN_ELATCHED:
        kv_reply_error(out, "DISKFAILED the disk of this node failed and it serves nothing more; "
                            "the command was not applied, use another node");
        return;
    case -SKEIN_ECLOSED:
        kv_reply_error(out, "STOPPING this node is shutting down; the command was not applied, use "
                            "another node");
        return;
    case -SKEIN_ESTALE:
        kv_reply_error(out, "STALE this node cannot show that its state is as fresh as this read "
                            "asks for; try again, or another node");
        return;
    case -SKEIN_ESESSION:
        kv_reply_error(out, "NOSESSION no such session, or it has expired; whether an earlier copy "
                            "of this write was applied is not known");
        return;
    case -SKEIN_EREPEATED:
        kv_reply_error(out, "REPEATED this sequence was applied, or passed over, before; its reply "
                            "is not kept");
        return;
    default:
        kv_reply_errorf(out, "ERR the command was not applied: %s (%s)", skein_error_text(rc),
                        skein_error_name(rc));
        return;
    }
}
