/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_ERROR_H
#define SKEIN_ERROR_H

/*
 * Error codes.
 *
 * A call that can fail returns 0 or a count, else a negative code: `-errno` where the operating
 * system's errno is the truth (-ENOSPC, -ECONNREFUSED ...), else one of the codes below, negated:
 *
 *     int rc = some_call();
 *     if (rc == -SKEIN_ECANCELED) ...
 *
 * The two ranges never meet: errno is below 4096, these are above.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* Marks a result that the caller has to look at. */
#define SKEIN_MUST_CHECK __attribute__((warn_unused_result))

enum skein_error {
    SKEIN_ECANCELED = 4097, /* the fiber or the operation was cancelled */
    SKEIN_ETIMEDOUT,        /* the deadline passed first */
    SKEIN_EAGAIN,           /* a bounded queue is full; try again later */
    SKEIN_EBUSY,            /* the thing is in use, or overloaded */
    SKEIN_ECLOSED,          /* the object was closed */
    SKEIN_EEOF,             /* the bytes ended where more had to follow */
    SKEIN_ECORRUPT,         /* bytes that fail their checksum or contradict themselves */
    SKEIN_EFORMAT,          /* a format or version this build does not read */
    SKEIN_EPROTO,           /* a peer broke the protocol */
    SKEIN_ETOOBIG,          /* larger than a configured or documented limit */
    SKEIN_EINVALID,         /* an argument from outside is out of its range */
    SKEIN_ENOTFOUND,        /* no such key, peer, file or option */
    SKEIN_EEXIST,           /* it is there already */
    SKEIN_EIDENTITY,        /* belongs to another cluster or node */
    SKEIN_ENOLEADER,        /* no leader within the deadline; nothing was applied */
    SKEIN_ENOTLEADER,       /* this node does not lead; nothing was applied */
    SKEIN_EUNKNOWN,         /* the outcome of a write is unknown: it may or may not be applied */
    SKEIN_ELATCHED,         /* an earlier disk failure stopped this log for good */
    SKEIN_ENOMEM,           /* a budget in bytes is used up, or memory ran out */
    SKEIN_EREFUSED,         /* would be harmful; it can be forced */
    SKEIN_EREMOVED,         /* this node is no member of the cluster any more */
    SKEIN_ESESSION,         /* no such session, or it expired; this attempt was not applied */
    SKEIN_ESTALE,           /* this node cannot show that its state is fresh enough for the read */
    SKEIN_EREPEATED,        /* applied or passed over before, and its reply is not kept any more */
};

/*
 * skein_error_name - the short name of a code, "ECANCELED" or, for an errno, "ENOSPC".
 * @code: any int, negative or positive.
 * Returns a static string; total: an unknown code gives "E?".
 */
const char *skein_error_name(int code);

/*
 * skein_error_text - one sentence for a person, without a full stop.
 * @code: any int, negative or positive.
 * Returns a static string (for an errno, the C library's); never NULL.
 */
const char *skein_error_text(int code);

#ifdef __cplusplus
}
#endif
#endif
